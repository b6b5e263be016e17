//! What errors mean: kinds by code, certain and unknown outcomes, and nothing secret in any text.

use std::error::Error as _;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use futures::TryStreamExt;
use konserve_core::backend::{Backend, Committed, Listing, Mutation, Partition, Read, RowQuery, Space, When, Written};
use konserve_core::{Error, ErrorKind, Outcome};
use konserve_dynamodb::{DynamoConfig, DynamoDb};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{Engine, Reply, at, check_kind, document, item, put, rev};

use ErrorKind::*;

/// Status, code, kind for a read, and whether a mutation so answered was certainly not applied.
const CODES: [(u16, &str, ErrorKind, bool); 29] = [
    (400, "ProvisionedThroughputExceededException", Throttled, true),
    (400, "ThrottlingException", Throttled, true),
    (400, "RequestLimitExceeded", Throttled, true),
    (400, "LimitExceededException", Throttled, true),
    (400, "TransactionConflictException", Contended, true),
    (400, "ReplicatedWriteConflictException", Contended, true),
    (400, "ResourceNotFoundException", NotFound, true),
    (400, "ResourceInUseException", Unavailable, true),
    (400, "AccessDeniedException", Denied, true),
    (400, "UnrecognizedClientException", Denied, true),
    (400, "ExpiredTokenException", Denied, true),
    (400, "InvalidSignatureException", Denied, true),
    (403, "SomethingNew", Denied, true),
    (400, "ItemCollectionSizeLimitExceededException", TooLarge, true),
    (413, "", TooLarge, true),
    (429, "", Throttled, true),
    (400, "ValidationException", InvalidInput, true),
    (400, "SerializationException", InvalidInput, true),
    (400, "IdempotentParameterMismatchException", InvalidInput, true),
    (400, "UnknownOperationException", Unsupported, true),
    (400, "TransactionInProgressException", Unavailable, false),
    (500, "InternalServerError", Unavailable, false),
    (503, "ServiceUnavailable", Unavailable, false),
    (503, "ThrottlingException", Throttled, false),
    (502, "", Unavailable, false),
    (408, "", Unavailable, false),
    (499, "", Unavailable, false),
    (500, "ConditionalCheckFailedException", Conflict, false),
    (400, "InternalServerError", Unavailable, false),
];

#[tokio::test]
async fn every_code_has_its_kind_and_its_outcome() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted_once().await;
    for (status, code, kind, certain) in CODES {
        if code != "ConditionalCheckFailedException" {
            script.push(Reply::error("GetItem", status, code));
            let error = check_kind(store.read(&document("a"), Read::STRONG).await, kind);
            assert_eq!(error.outcome(), Outcome::NotApplied, "{code}");
            assert_eq!(
                error.is_retryable(),
                matches!(kind, Throttled | Contended | Unavailable),
                "{code}"
            );
            assert!(format!("{error}").contains("GetItem on table table"), "{error}");
        }
        let outcome = [Outcome::Unknown, Outcome::NotApplied][usize::from(certain)];
        let kind = if certain { kind } else { UnknownOutcome };
        if code != "ConditionalCheckFailedException" {
            script.push(Reply::error("UpdateItem", status, code));
            let error = check_kind(store.write(&document("a"), item(1), When::Newer).await, kind);
            assert_eq!(error.outcome(), outcome, "{code}");
        }
        script.push(Reply::error("TransactWriteItems", status, code));
        let commit = vec![put("a", item(1), When::Newer)];
        let error = check_kind(store.commit(commit).await, kind);
        assert_eq!(error.outcome(), outcome, "{code}");
        assert!(script.is_done(), "{code}: sent more than once");
    }
    assert_eq!(store.read(&document("a"), Read::STRONG).await.expect("reads"), None);
}

#[tokio::test]
async fn what_passes_is_repeated_and_what_stays_is_not() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    let mut number = 0;
    for (status, code, kind, certain) in CODES {
        if code == "ConditionalCheckFailedException" {
            continue;
        }
        let passes = matches!(kind, Throttled | Contended | Unavailable) || !certain;
        for operation in ["GetItem", "UpdateItem", "TransactWriteItems"] {
            number += 1;
            script.clear();
            script.push(Reply::error(operation, status, code));
            let done = match operation {
                "GetItem" => store.read(&document("a"), Read::STRONG).await.map(|_| ()),
                "UpdateItem" => store.write(&document("a"), item(number), When::Newer).await.map(|_| ()),
                _ => store
                    .commit(vec![put("a", item(number), When::Newer)])
                    .await
                    .map(|_| ()),
            };
            assert_eq!(done.is_ok(), passes, "{operation} {status} {code}: {done:?}");
            assert_eq!(
                script.sent().len(),
                1 + usize::from(passes),
                "{operation} {status} {code}"
            );
        }
    }
}

#[tokio::test]
async fn reasons_of_a_cancelled_transaction_are_read_by_code() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted_once().await;
    let own = r#"{"r":{"B":"AAAAAAAAAAEHBwcHBwcHBw=="}}"#;
    let other = r#"{"r":{"B":"AAAAAAAAAAkHBwcHBwcHBw=="}}"#;
    let failed = |item: &str| format!(r#"{{"Code":"ConditionalCheckFailed","Item":{item}}}"#);
    let reason = |code: &str| format!(r#"{{"Code":"{code}","Message":"xyzzy"}}"#);
    let none = r#"{"Code":"None"}"#.to_owned();
    let check = Mutation::Check {
        at: document("c"),
        when: When::Exists,
    };
    let commit = || {
        vec![
            put("a", item(1), When::Newer),
            put("b", item(2), When::Newer),
            check.clone(),
        ]
    };
    type Case<'a> = (Vec<String>, Result<&'a [usize], ErrorKind>);
    let cases: [Case; 11] = [
        (
            vec![reason("TransactionConflict"), none.clone(), none.clone()],
            Err(Contended),
        ),
        (
            vec![none.clone(), reason("ProvisionedThroughputExceeded"), none.clone()],
            Err(Throttled),
        ),
        (
            vec![none.clone(), reason("ThrottlingError"), none.clone()],
            Err(Throttled),
        ),
        (
            vec![reason("ItemCollectionSizeLimitExceeded"), none.clone(), none.clone()],
            Err(TooLarge),
        ),
        (
            vec![reason("ValidationError"), none.clone(), none.clone()],
            Err(InvalidInput),
        ),
        (vec![failed(other), none.clone(), failed(other)], Ok(&[0, 2])),
        // The revision of a check is nobody's own.
        (vec![none.clone(), none.clone(), failed(own)], Ok(&[2])),
        (vec![failed(own), none.clone(), failed(other)], Ok(&[])),
        (vec![failed(own), reason("TransactionConflict"), none.clone()], Ok(&[])),
        // What the conflict hides may be this commit's own revision.
        (
            vec![failed(other), reason("TransactionConflict"), none.clone()],
            Err(Contended),
        ),
        (
            vec![failed(other), failed(other), reason("TransactionConflict")],
            Ok(&[0, 1]),
        ),
    ];
    for (reasons, expected) in cases {
        let body = format!(
            r#"{{"__type":"TransactionCanceledException","CancellationReasons":[{}]}}"#,
            reasons.join(",")
        );
        script.push(Reply::answer("TransactWriteItems", 400, &body));
        let answer = store.commit(commit()).await;
        match expected {
            Err(kind) => {
                let error = check_kind(answer, kind);
                assert_eq!(error.outcome(), Outcome::NotApplied, "{body}");
                assert_eq!(error.is_retryable(), matches!(kind, Contended | Throttled), "{body}");
            }
            Ok([]) => assert_eq!(answer.expect("an answer"), Committed::Applied, "{body}"),
            Ok(indices) => match answer.expect("an answer") {
                Committed::Refused(refusals) => {
                    let found: Vec<_> = refusals.iter().map(|refusal| refusal.index).collect();
                    assert_eq!(found, indices, "{body}");
                }
                Committed::Applied => panic!("{body}"),
            },
        }
    }
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_asked_for_again_and_an_endless_one_is_throttled() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    let nothing = |operation| {
        let key = r#"{"pk":{"S":"/d/a"},"sk":{"N":"0"}}"#;
        let (kind, left) = match operation {
            "BatchGetItem" => ("UnprocessedKeys", format!(r#"{{"Keys":[{key}]}}"#)),
            _ => ("UnprocessedItems", format!(r#"[{{"DeleteRequest":{{"Key":{key}}}}}]"#)),
        };
        let responses = if operation == "BatchGetItem" {
            r#""Responses":{},"#
        } else {
            ""
        };
        Reply::answer(
            operation,
            200,
            &format!(r#"{{{responses}"{kind}":{{"table":{left}}}}}"#),
        )
    };
    (0..3).for_each(|_| script.push(nothing("BatchGetItem")));
    let found = store.read_many(&[document("a")], Read::STRONG).await.expect("reads");
    assert_eq!(found, [Some(item(1))]);
    (0..3).for_each(|_| script.push(nothing("BatchWriteItem")));
    store
        .purge(&[konserve_core::backend::Purge::Row(document("a"))])
        .await
        .expect("purges");
    assert_eq!(store.read(&document("a"), Read::STRONG).await.expect("reads"), None);
    assert!(script.is_done());

    let mut config = engine.config("table");
    config.request_timeout_ms = 1_000;
    let client = engine.client(script.clone());
    let hasty = DynamoDb::builder(config)
        .client(client)
        .connect()
        .await
        .expect("connects");
    (0..200).for_each(|_| script.push(nothing("BatchGetItem")));
    check_kind(hasty.read_many(&[document("a")], Read::STRONG).await, Throttled);
}

#[tokio::test]
async fn a_dead_endpoint_is_unavailable_and_what_was_never_sent_was_not_applied() {
    let engine = Engine::start().await;
    let (store, _) = engine.store().await;
    drop(store);
    // A port that nobody listens on: bound and let go.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("binds")
        .local_addr()
        .expect("an address");
    let mut config = engine.config("table");
    config.endpoint = Some(format!("http://{port}"));
    config.request_timeout_ms = 2_000;
    let error = check_kind(DynamoDb::connect(config.clone()).await, Unavailable);
    assert!(error.source().is_some(), "{error:?}");
    let mut managed = config.clone();
    managed.managed_table = true;
    // The first request of this is a mutation.
    let error = check_kind(DynamoDb::create(managed).await, Unavailable);
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn no_answer_in_time_is_unavailable_for_reads_and_unknown_for_mutations() {
    let engine = Engine::start().await;
    DynamoDb::create(engine.config("table")).await.expect("creates");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = listener.local_addr().expect("an address");
    let accepting = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            open.push(socket);
        }
    });
    let mut config = engine.config("table");
    config.endpoint = Some(format!("http://{silent}"));
    config.attempt_timeout_ms = 50;
    config.request_timeout_ms = 200;
    let started = tokio::time::Instant::now();
    check_kind(DynamoDb::connect(config.clone()).await, Unavailable);
    config.managed_table = true;
    check_kind(DynamoDb::exists(config.clone()).await, Unavailable);
    let error = check_kind(DynamoDb::create(config.clone()).await, UnknownOutcome);
    assert_eq!(error.outcome(), Outcome::Unknown);
    // The SDK's own configuration bounds nothing but connecting; the store's goes for the rest.
    let sdk = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .region("us-west-1")
        .endpoint_url(format!("http://{silent}"))
        .load()
        .await;
    let client = aws_sdk_dynamodb::Client::new(&sdk);
    check_kind(
        DynamoDb::builder(config.clone()).sdk_config(sdk).exists().await,
        Unavailable,
    );
    check_kind(DynamoDb::builder(config).client(client).exists().await, Unavailable);
    // Well below the default of one attempt, and generous to a busy machine.
    assert!(started.elapsed() < Duration::from_secs(15));
    accepting.abort();
}

/// Lets a client through to an engine until it is told to stop, and then waits until the client has hung up.
async fn relay(mut client: TcpStream, engine: String, mut stop: watch::Receiver<bool>) {
    let mut server = TcpStream::connect(engine).await.expect("the engine listens");
    let stopped = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => false,
        _ = stop.wait_for(|stop| *stop) => true,
    };
    if stopped {
        drop(client.shutdown().await);
        drop(client.read_to_end(&mut Vec::new()).await);
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_in_time_was_never_sent_anything_over() {
    let engine = Engine::start().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = Arc::new(socket.listen(1).expect("listens"));
    let entrance = listener.local_addr().expect("an address");
    let (stop, stopped) = watch::channel(false);
    let (accepting, behind) = (Arc::clone(&listener), engine.endpoint.replace("http://", ""));
    let passing = tokio::spawn(async move {
        let (mut relays, mut until) = (JoinSet::new(), stopped.clone());
        loop {
            tokio::select! {
                Ok((client, _)) = accepting.accept() => {
                    relays.spawn(relay(client, behind.clone(), stopped.clone()));
                }
                _ = until.wait_for(|stop| *stop) => break,
            }
        }
        relays.join_all().await;
    });
    let mut config = engine.config("table");
    config.endpoint = Some(format!("http://{entrance}"));
    config.max_attempts = NonZeroU32::new(2);
    let store = DynamoDb::connect(config).await.expect("connects");
    store
        .write(&document("a"), item(1), When::Absent)
        .await
        .expect("writes");
    stop.send(true).expect("it listens");
    passing.await.expect("all have hung up");
    // Nobody takes connections from the queue any more, and it is soon full.
    let mut queue = Vec::new();
    while let Ok(queued) = std::net::TcpStream::connect_timeout(&entrance, Duration::from_millis(200)) {
        queue.push(queued);
        assert!(queue.len() < 100, "the queue has no end");
    }
    tokio::time::pause();
    let calls = [
        store.write(&document("a"), item(2), When::Newer).await.map(drop),
        store.remove(&document("a"), rev(2), When::Newer).await.map(drop),
        store.commit(vec![put("a", item(2), When::Newer)]).await.map(drop),
    ];
    for call in calls {
        let error = check_kind(call, Unavailable);
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error:?}");
        assert!(error.is_retryable(), "{error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_unavailable_for_reads_and_unknown_for_mutations() {
    let engine = Engine::start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    let heard = [
        String::new(),
        head[..20].to_owned(),
        head.to_owned(),
        format!("{head}{{\"Item\":"),
        // Without the rest that was announced, this would be an answer.
        format!("{head}{{}}"),
    ];
    for heard in heard {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut config = engine.config("table");
        config.endpoint = Some(format!("http://{}", listener.local_addr().expect("an address")));
        config.managed_table = true;
        config.request_timeout_ms = 300;
        let requests = Arc::new(AtomicU64::new(0));
        let (sent, asked) = (heard.clone(), Arc::clone(&requests));
        let answering = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = vec![0; 1 << 16];
                if socket.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                drop(socket.write_all(sent.as_bytes()).await);
            }
        });
        check_kind(DynamoDb::exists(config.clone()).await, Unavailable);
        assert!(requests.swap(0, Ordering::Relaxed) > 1, "a read is repeated: {heard:?}");
        let error = check_kind(DynamoDb::create(config).await, UnknownOutcome);
        assert_eq!(error.outcome(), Outcome::Unknown, "{heard:?}: {error:?}");
        let read_and_written = requests.load(Ordering::Relaxed);
        assert!(read_and_written >= 1, "{heard:?}");
        answering.abort();
    }
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nothing here")))
    }
}

#[tokio::test]
async fn without_credentials_the_error_says_what_to_set() {
    let engine = Engine::start().await;
    let builder = DynamoDb::builder(engine.config("table")).credentials_provider(NoCredentials);
    let error = check_kind(builder.connect().await, Denied);
    for name in ["access_key_id", "AWS_ACCESS_KEY_ID", "profile"] {
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn without_a_region_the_error_says_what_to_set() {
    let engine = Engine::start().await;
    let mut config = engine.config("table");
    config.region = None;
    let sdk = aws_types::SdkConfig::builder().endpoint_url(&engine.endpoint).build();
    let error = check_kind(DynamoDb::builder(config).sdk_config(sdk).connect().await, Config);
    assert!(error.to_string().contains("AWS_REGION"), "{error}");
}

#[tokio::test]
async fn texts_of_errors_hold_neither_values_nor_secrets() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted_once().await;
    let leaks = |error: &Error, what: &str| format!("{error} {error:?}").contains(what);
    script.push(Reply::error("UpdateItem", 400, "InvalidSignatureException"));
    let error = check_kind(store.write(&document("a"), item(1), When::Newer).await, Denied);
    assert!(
        !leaks(&error, "xyzzy"),
        "the text about a signature repeats the signed headers: {error:?}"
    );
    let body = r#"{"__type":"InternalServerError","Item":{"b":{"S":"plugh"}}}"#;
    script.push(Reply::answer("UpdateItem", 500, body));
    let error = check_kind(store.write(&document("a"), item(1), When::Newer).await, UnknownOutcome);
    assert!(!leaks(&error, "plugh"), "{error:?}");
    script.push(Reply::answer("GetItem", 200, r#"{"Item":{"r":{"S":"plugh"}}}"#));
    let error = check_kind(store.read(&document("a"), Read::STRONG).await, Corrupt);
    assert!(!leaks(&error, "plugh"), "{error:?}");
    script.push(Reply::answer("GetItem", 200, "plugh"));
    let error = check_kind(store.read(&document("a"), Read::STRONG).await, Unavailable);
    assert!(!leaks(&error, "plugh"), "{error:?}");
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let engine = Engine::start().await;
    let mut config = engine.config("table");
    for secret in [
        &mut config.access_key_id,
        &mut config.secret_access_key,
        &mut config.session_token,
    ] {
        *secret = Some("xyzzy".into());
    }
    let provider = aws_credential_types::Credentials::new("id", "xyzzy", Some("xyzzy".into()), None, "test");
    let builder = || DynamoDb::builder(config.clone());
    let sdk = aws_types::SdkConfig::builder().build();
    for text in [
        format!("{:?}", builder()),
        format!("{:?}", builder().credentials_provider(provider).sdk_config(sdk)),
        format!("{:?}", builder().client(engine.client(Default::default()))),
        format!("{:?}", builder().connect().await.expect("connects")),
    ] {
        assert!(!text.contains("xyzzy"), "{text}");
    }
}

#[tokio::test]
async fn an_item_that_is_not_of_the_layout_is_corrupt_and_never_absent() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    let rev = r#""r":{"B":"AAAAAAAAAAEHBwcHBwcHBw=="}"#;
    let broken = [
        String::new(),
        r#""r":{"B":"AAAA"}"#.into(),
        format!(r#"{rev},"m":{{"S":"text"}}"#),
        format!(r#"{rev},"m":{{"B":""}}"#),
        format!(r#"{rev},"m":{{"B":""}},"c":{{"N":"1"}},"x":{{"N":"1e300"}}"#),
        format!(r#"{rev},"m":{{"B":""}},"c":{{"N":"1"}},"b":{{"N":"1"}}"#),
    ];
    for attributes in broken {
        let answer = format!(r#"{{"Item":{{{attributes}}}}}"#);
        script.push(Reply::answer("GetItem", 200, &answer));
        check_kind(store.read(&at(Space::Log, "a", 1), Read::STRONG).await, Corrupt);
    }
}

#[tokio::test]
async fn a_damaged_item_among_many_is_named() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    let items = r#"[{"pk":{"S":"/d/\"a\""},"sk":{"N":"0"},"r":{"B":"AAAA"}}]"#;
    script.push(Reply::answer("Scan", 200, &format!(r#"{{"Items":{items}}}"#)));
    let listing = store.list(Space::Document, Listing::all(Read::STRONG));
    let error = check_kind(listing.try_collect::<Vec<_>>().await, Corrupt);
    assert_eq!(error.key(), Some("\"a\""));
    script.push(Reply::answer("Query", 200, &format!(r#"{{"Items":{items}}}"#)));
    let rows = store.rows(RowQuery::all(Space::Document, Partition::new("\"a\""), Read::STRONG));
    let error = check_kind(rows.try_collect::<Vec<_>>().await, Corrupt);
    assert_eq!(error.key(), Some("\"a\""));
    let responses = format!(r#"{{"Responses":{{"table":{items}}}}}"#);
    script.push(Reply::answer("BatchGetItem", 200, &responses));
    let error = check_kind(store.read_many(&[document("\"a\"")], Read::STRONG).await, Corrupt);
    assert_eq!(error.key(), Some("\"a\""));
}

#[tokio::test]
async fn an_endpoint_that_hides_what_is_there_is_not_believed() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    let refused = r#"{"__type":"ConditionalCheckFailedException"}"#;
    for when in [When::Always, When::Absent, When::Newer] {
        script.push(Reply::answer("UpdateItem", 400, refused));
        check_kind(store.write(&document("a"), item(1), when).await, Unsupported);
    }
    for when in [When::Exists, When::Matches(rev(1))] {
        script.push(Reply::answer("UpdateItem", 400, refused));
        let answer = store.write(&document("a"), item(1), when).await.expect("an answer");
        assert_eq!(answer, Written::Refused { current: None });
    }
}

#[test]
fn bad_configuration_is_refused_by_field_and_unknown_fields_are_refused() {
    let parse = |text: &str| toml::from_str::<DynamoConfig>(text);
    let whole =
        parse("table = 'orders'\nbilling = { provisioned = { read = 5, write = 6 } }\nnamespace = 'n'").expect("reads");
    assert!(whole.validate().is_ok() && whole.create_table && !whole.managed_table);
    for text in [
        "",
        "table = 'a'\ntabel = 'b'",
        "table = 'orders'\nbilling = { provisioned = { read = 0, write = 1 } }",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    let long = format!("namespace = '{}'", "n".repeat(129));
    let cases = [
        ("table", "table = 'a'"),
        ("table", "table = 'a table'"),
        ("namespace", "namespace = ''"),
        ("namespace", "namespace = 'a/b'"),
        ("namespace", long.as_str()),
        ("endpoint", "endpoint = 'localhost:8000'"),
        ("access_key_id", "access_key_id = 'id'"),
        ("access_key_id", "secret_access_key = 'xyzzy'"),
        ("session_token", "session_token = 'xyzzy'"),
        ("managed_table", "managed_table = true\ndeletion_protection = true"),
        ("request_timeout_ms", "request_timeout_ms = 0"),
        ("request_timeout_ms", "request_timeout_ms = 300001"),
    ];
    for (field, line) in cases {
        let text = match line.starts_with("table") {
            true => line.to_owned(),
            false => format!("table = 'orders'\n{line}"),
        };
        let config = parse(&text).expect("reads");
        let error = check_kind(config.validate(), Config);
        assert!(error.to_string().contains(field), "{line}: {error}");
        assert!(!format!("{config:?} {error:?}").contains("xyzzy"), "{line}");
    }
    let mut config = DynamoConfig::new("orders");
    config.endpoint = Some("https://user:xyzzy@example.org/a@b".into());
    assert!(!format!("{config:?}").contains("xyzzy"));
}
