//! The embedded DynamoDB that both sides of a pair talk to, over loopback.

use std::sync::mpsc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use tokio::runtime;

/// Starts an engine that lives as long as the process, and gives its endpoint.
///
/// It has a thread and a runtime of its own: what it costs is the same for whoever asks.
pub(crate) fn start() -> String {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("its address");
            send.send(format!("http://{address}")).expect("somebody waits for it");
            dynoxide::server::serve_on(listener, dynoxide::Database::memory().expect("a database")).await;
        });
    });
    receive.recv().expect("the engine starts")
}

/// A client of the engine as one writes it by hand: the defaults of the SDK.
pub(crate) fn client(endpoint: &str) -> Client {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-west-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "benchmark"))
        .build();
    Client::from_conf(config)
}
