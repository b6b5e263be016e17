//! An embedded DynamoDB over loopback.

use konserve_dynamodb::DynamoConfig;

/// An engine of its own, gone with the runtime that it was started on.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) endpoint: String,
}

impl Engine {
    pub(crate) async fn start() -> Self {
        let database = dynoxide::Database::memory().expect("an engine in memory");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(dynoxide::server::serve_on(listener, database));
        Self { endpoint }
    }

    pub(crate) fn config(&self, table: &str) -> DynamoConfig {
        let mut config = DynamoConfig::new(table);
        config.region = Some("us-west-1".into());
        config.endpoint = Some(self.endpoint.clone());
        config.access_key_id = Some("id".into());
        config.secret_access_key = Some("secret".into());
        config
    }
}
