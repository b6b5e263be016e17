//! An embedded DynamoDB in a process of its own, with its data in a file, so that what it takes is not what a store takes.
//!
//! ```text
//! engine FILE
//! ```
//!
//! It says at which URL it listens, and ends when its input does.

use std::env;
use std::io::Write;

fn main() {
    let file = env::args().nth(1).expect("the name of a file");
    std::thread::spawn(|| {
        // Whatever ends the input, nobody needs this process any more.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let database = dynoxide::Database::new(&file).expect("a database");
        let mut out = std::io::stdout();
        writeln!(out, "http://{address}").expect("the parent lives");
        out.flush().expect("the parent lives");
        dynoxide::server::serve_on(listener, database).await;
    });
}
