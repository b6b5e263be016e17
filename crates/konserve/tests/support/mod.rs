//! Stores on both engines, by configuration.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use konserve::Config;

/// A URL of a store that does not exist, for each engine.
pub(crate) fn fresh_urls() -> [String; 3] {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("store-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let dynamo = format!(
        "dynamodb://{name}?region=us-west-1&endpoint={}&access_key_id=id&secret_access_key=xyzzy",
        endpoint()
    );
    let in_a_namespace = format!("{}&namespace=some", dynamo.replace("//store", "//shared"));
    [format!("memory:{name}"), dynamo, in_a_namespace]
}

/// The configurations of the same.
#[allow(dead_code)] // not every test needs it
pub(crate) fn fresh_configs() -> [Config; 3] {
    fresh_urls().map(|url| url.parse().unwrap_or_else(|error| panic!("{error}")))
}

/// An embedded DynamoDB on a thread of its own, for all tests of the process.
pub(crate) fn endpoint() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let address = listener.local_addr().expect("its address");
                send.send(format!("http://{address}")).expect("somebody waits for it");
                dynoxide::server::serve_on(listener, dynoxide::Database::memory().expect("a database")).await;
            });
        });
        receive.recv().expect("the engine starts")
    })
}
