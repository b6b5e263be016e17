//! For synchronous programs: requests end in `.call()`, and streams become iterators.

use std::future::Future;
use std::sync::OnceLock;

use futures::{Stream, StreamExt};
use tokio::runtime::{Builder, Handle, Runtime};

/// Runs a future to its end and blocks this thread meanwhile, on a runtime that the process has for this.
///
/// For what has no `.call()`: connecting, closing, and a program's own asynchronous functions. A panic of the future comes
/// out.
///
/// Not for asynchronous programs: there it blocks a thread of their runtime, and when what it waits for needs that very
/// thread (another task of a current-thread runtime that holds the lock of the key, say), it waits for very long or for ever. Await there.
pub fn wait<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    if Handle::try_current().is_err() {
        return runtime().block_on(future);
    }
    // A runtime cannot be entered from within another on the same thread.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| runtime().block_on(future));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Panics only where the operating system cannot start a thread.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("konserve")
            .enable_all()
            .build()
            .expect("the operating system starts threads")
    })
}

/// A stream as an iterator that blocks its thread for each item.
#[derive(Debug)]
pub struct Blocking<S>(S);

impl<S> Blocking<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The stream, for what it can tell of itself.
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

impl<S> Iterator for Blocking<S>
where
    S: Stream + Unpin + Send,
    S::Item: Send,
{
    type Item = S::Item;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next())
    }
}
