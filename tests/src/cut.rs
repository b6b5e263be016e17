//! A proxy before an engine that stops passing requests on at a chosen byte: where a process is killed is decided by what
//! it has sent.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Where requests end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After so many bytes, over all connections.
    Bytes(usize),
    /// Before the transaction of this number, counted from 0, is passed on.
    BeforeCommit(usize),
    /// Once the transaction of this number was passed on and answered; the answer is not passed on.
    AfterCommit(usize),
}

/// A proxy over loopback that passes everything on until the cut, and then nothing in either direction.
#[derive(Debug)]
pub struct CutProxy {
    endpoint: String,
    is_cut: watch::Receiver<bool>,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

impl CutProxy {
    /// Starts a proxy before the engine at a URL.
    pub async fn start(engine: &str, cut: Cut) -> Self {
        let engine = engine.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let (is_cut, watched) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(State {
            cut,
            seen: Mutex::default(),
            is_cut,
        });
        Self {
            endpoint,
            is_cut: watched,
            stop,
            accepting: tokio::spawn(accept(listener, engine, state, stopped)),
        }
    }

    /// The URL at which it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Waits until nothing is passed on any more.
    pub async fn wait_for_cut(&self) {
        let mut is_cut = self.is_cut.clone();
        is_cut.wait_for(|is_cut| *is_cut).await.expect("the proxy is there");
    }

    /// Waits, once the process behind it is dead, until the engine has done with whatever reached it.
    pub async fn drain(self) {
        // The receiver is gone only when there is nothing left to stop.
        let _ = self.stop.send(());
        self.accepting.await.expect("no panic in the proxy");
    }
}

#[derive(Debug)]
struct State {
    cut: Cut,
    seen: Mutex<Seen>,
    is_cut: watch::Sender<bool>,
}

/// What came from the process.
#[derive(Debug, Default)]
struct Seen {
    bytes: usize,
    commits: usize,
}

/// What becomes of a piece of a request.
enum Pass {
    /// So many bytes of it are passed on; fewer than all of them is the cut.
    Bytes(usize),
    /// It is passed on, and its answer is the cut.
    LoseAnswer,
}

impl State {
    fn pass(&self, piece: &[u8]) -> Pass {
        if *self.is_cut.borrow() {
            return Pass::Bytes(0);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A client writes head and body of a small request at once, and nothing before the answer to the last.
        let head = &piece[..piece.len().min(2_000)];
        let commit = head.windows(18).any(|word| word == b"TransactWriteItems").then(|| {
            seen.commits += 1;
            seen.commits - 1
        });
        match self.cut {
            Cut::Bytes(most) => {
                let pass = piece.len().min(most - seen.bytes);
                seen.bytes += pass;
                Pass::Bytes(pass)
            }
            Cut::BeforeCommit(number) if commit == Some(number) => Pass::Bytes(0),
            Cut::AfterCommit(number) if commit == Some(number) => Pass::LoseAnswer,
            Cut::BeforeCommit(_) | Cut::AfterCommit(_) => Pass::Bytes(piece.len()),
        }
    }

    fn cut(&self) {
        self.is_cut.send_replace(true);
    }
}

async fn accept(listener: TcpListener, engine: String, state: Arc<State>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let client = tokio::select! {
            client = listener.accept() => client.expect("a connection").0,
            _ = &mut stopped => break,
        };
        let server = TcpStream::connect(&engine).await.expect("the engine is there");
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (lose, lost) = watch::channel(false);
        connections.spawn(requests(from_client, to_server, state.clone(), lose));
        connections.spawn(answers(from_server, to_client, state.clone(), lost));
    }
    while let Some(ended) = connections.join_next().await {
        ended.expect("no panic in the proxy");
    }
}

/// Passes requests on until the cut, and then throws them away until the client is gone.
async fn requests(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, state: Arc<State>, lose: watch::Sender<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        let piece = &buffer[..length];
        let pass = match state.pass(piece) {
            Pass::Bytes(pass) => pass,
            Pass::LoseAnswer => {
                lose.send_replace(true);
                length
            }
        };
        // When the engine has closed the connection, there is nobody to pass it to.
        let _ = server.write_all(&piece[..pass]).await;
        if pass < length {
            state.cut();
        }
    }
    let _ = server.shutdown().await;
}

/// Passes answers on until the cut, and then throws them away until the engine has done.
async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    state: Arc<State>,
    lost: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut buffer).await {
        if *lost.borrow() {
            state.cut();
        }
        if !*state.is_cut.borrow() {
            // When the client is gone, there is nobody to pass it to.
            let _ = client.write_all(&buffer[..length]).await;
        }
    }
}
