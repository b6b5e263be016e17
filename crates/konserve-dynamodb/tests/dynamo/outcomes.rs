//! What becomes of a mutation whose first answer was lost: found out from what is in the table, whatever happened meanwhile.

use std::time::Duration;

use konserve_core::backend::{Backend, Committed, Mutation, Previous, Read, Refusal, When, Written};
use konserve_core::{ErrorKind, Outcome, Result, Store};
use konserve_dynamodb::DynamoDb;

use crate::support::{Engine, Reply, Script, check_kind, document, item, put, rev};

/// The first answer to the next mutation is lost. That the request arrived, and what happened to it since, is for the test to
/// arrange: a mutation of the same revision through another handle is the same mutation.
fn lose(script: &Script, operation: &'static str) {
    script.clear();
    script.push(Reply::error(operation, 500, "InternalServerError"));
}

async fn handles(engine: &Engine) -> (DynamoDb, DynamoDb, Script) {
    let (store, script) = engine.scripted().await;
    let (calm, _) = engine.store().await;
    (store, calm, script)
}

async fn write(store: &DynamoDb, name: &str, number: u64, when: When) -> Written {
    store
        .write(&document(name), item(number), when)
        .await
        .expect("an answer")
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_recognised_under_those_that_followed() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    for when in [When::Newer, When::Absent] {
        for followers in 0..6 {
            let name = format!("{when:?} {followers}");
            write(&calm, &name, 10, when).await;
            for follower in 0..followers {
                write(&calm, &name, 20 + follower, When::Newer).await;
            }
            lose(&script, "UpdateItem");
            let answer = store.write(&document(&name), item(10), when).await;
            if followers < 5 {
                let answer = answer.expect("is recognised");
                assert!(matches!(answer, Written::Applied { .. }), "{name}: {answer:?}");
            } else {
                let error = check_kind(answer, ErrorKind::UnknownOutcome);
                assert_eq!(error.outcome(), Outcome::Unknown, "{name}");
            }
            assert_eq!(script.sent().len(), 2, "{name}");
        }
    }
}

#[tokio::test]
async fn a_write_that_never_arrived_is_applied_by_its_next_attempt_and_replaces_what_is_there_now() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "a", 1, When::Newer).await;
    lose(&script, "UpdateItem");
    let Written::Applied {
        previous: Previous::Known(Some(previous)),
    } = write(&store, "a", 2, When::Newer).await
    else {
        panic!("it replaced something");
    };
    assert_eq!(previous.rev(), rev(1));
    assert_eq!(
        calm.read(&document("a"), Read::STRONG).await.expect("reads"),
        Some(item(2))
    );
}

#[tokio::test]
async fn a_write_that_came_too_late_is_refused_and_not_unknown() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "newer", 1, When::Newer).await;
    write(&calm, "newer", 9, When::Newer).await;
    write(&calm, "changed", 1, When::Newer).await;
    write(&calm, "changed", 2, When::Newer).await;
    for (name, when, found) in [
        ("newer", When::Newer, 9),
        ("newer", When::Absent, 9),
        ("newer", When::Matches(rev(1)), 9),
        ("changed", When::Matches(rev(1)), 2),
    ] {
        lose(&script, "UpdateItem");
        let Written::Refused { current: Some(current) } = write(&store, name, 5, when).await else {
            panic!("{name} {when:?} is refused");
        };
        assert_eq!(current.rev(), rev(found), "{name} {when:?}");
        assert_eq!(script.sent().len(), 2, "no request more: {name} {when:?}");
    }
}

#[tokio::test]
async fn a_refusal_while_the_first_attempt_may_still_be_on_its_way_keeps_that_one_out_for_good() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "a", 1, When::Newer).await;
    lose(&script, "UpdateItem");
    let answer = write(&store, "a", 5, When::Absent).await;
    assert!(matches!(answer, Written::Refused { current: Some(_) }), "{answer:?}");
    assert_eq!(script.sent().len(), 3, "the bar takes a request");
    assert_eq!(
        calm.read(&document("a"), Read::STRONG).await.expect("reads"),
        Some(item(1)),
        "and changes nothing that is seen"
    );
    // The key becomes absent under a revision that does not fence the late one off.
    calm.remove(&document("a"), rev(3), When::Newer).await.expect("removes");
    let late = write(&calm, "a", 5, When::Absent).await;
    assert!(matches!(late, Written::Refused { .. }), "{late:?}");
    assert_eq!(calm.read(&document("a"), Read::STRONG).await.expect("reads"), None);
    // Nobody else is concerned, older or newer.
    let other = write(&calm, "a", 4, When::Absent).await;
    assert!(matches!(other, Written::Applied { .. }), "{other:?}");
    let newer = write(&calm, "a", 6, When::Newer).await;
    assert!(matches!(newer, Written::Applied { .. }), "{newer:?}");
}

#[tokio::test]
async fn a_bar_that_is_still_needed_is_not_given_up_for_another() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "a", 1, When::Newer).await;
    for number in [5, 4, 7] {
        lose(&script, "UpdateItem");
        let answer = store.write(&document("a"), item(number), When::Absent).await;
        match number {
            5 => assert!(matches!(answer, Ok(Written::Refused { .. })), "{answer:?}"),
            _ => drop(check_kind(answer, ErrorKind::UnknownOutcome)),
        }
    }
    // What is stored keeps the barred one out by itself, and the room is free again.
    write(&calm, "a", 6, When::Newer).await;
    lose(&script, "UpdateItem");
    let answer = write(&store, "a", 8, When::Absent).await;
    assert!(matches!(answer, Written::Refused { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_removal_whose_answer_was_lost_still_tells_whether_there_was_something() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "there", 1, When::Newer).await;
    write(&calm, "removed", 1, When::Newer).await;
    calm.remove(&document("removed"), rev(2), When::Newer)
        .await
        .expect("removes");
    for (name, existed) in [("there", true), ("removed", false), ("never there", false)] {
        script.clear();
        script.push(Reply::error("UpdateItem", 503, "ServiceUnavailable").carried_out());
        let answer = store
            .remove(&document(name), rev(5), When::Newer)
            .await
            .expect("removes");
        let previous = Previous::Existed(existed);
        assert_eq!(answer, Written::Applied { previous }, "{name}");
        assert_eq!(script.sent().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_recognised_and_carries_one_token() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    let both = |number: u64| vec![put("a", item(number), When::Newer), put("b", item(number), When::Newer)];
    script.clear();
    script.push(Reply::error("TransactWriteItems", 500, "InternalServerError").carried_out());
    script.push(Reply::error(
        "TransactWriteItems",
        400,
        "TransactionInProgressException",
    ));
    assert_eq!(store.commit(both(10)).await.expect("is recognised"), Committed::Applied);
    let sent = script.sent();
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter().all(|(_, body)| *body == sent[0].1),
        "one and the same request"
    );
    assert!(sent[0].1.contains("\"ClientRequestToken\":"));
    // Under those that followed, also where the token is not known any more.
    calm.write(&document("a"), item(20), When::Newer).await.expect("writes");
    calm.write(&document("b"), item(30), When::Newer).await.expect("writes");
    lose(&script, "TransactWriteItems");
    assert_eq!(store.commit(both(10)).await.expect("is recognised"), Committed::Applied);
    // One that never arrived, and came too late.
    lose(&script, "TransactWriteItems");
    let Committed::Refused(refusals) = store.commit(both(15)).await.expect("an answer") else {
        panic!("it is refused");
    };
    let found: Vec<_> = refusals.iter().map(|refusal| refusal.index).collect();
    assert_eq!(found, [0, 1]);
    assert_eq!(script.sent().len(), 2);
}

#[tokio::test]
async fn a_refused_commit_that_may_still_be_on_its_way_is_kept_out_for_good() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "old", 1, When::Newer).await;
    let commit = || vec![put("new", item(5), When::Absent), put("old", item(5), When::Absent)];
    lose(&script, "TransactWriteItems");
    let Committed::Refused(refusals) = store.commit(commit()).await.expect("an answer") else {
        panic!("it is refused");
    };
    assert!(matches!(refusals[..], [Refusal { index: 1, .. }]), "{refusals:?}");
    calm.remove(&document("old"), rev(3), When::Newer)
        .await
        .expect("removes");
    let late = calm.commit(commit()).await.expect("an answer");
    assert!(matches!(late, Committed::Refused(_)), "{late:?}");
    assert_eq!(calm.read(&document("new"), Read::STRONG).await.expect("reads"), None);
    // Where nothing can be told to keep it out, nobody knows.
    lose(&script, "TransactWriteItems");
    let remove = Mutation::Remove {
        at: document("never there"),
        rev: rev(5),
        when: When::Exists,
    };
    check_kind(store.commit(vec![remove]).await, ErrorKind::UnknownOutcome);
}

#[tokio::test]
async fn what_passes_within_the_time_of_the_caller_is_not_seen_and_what_does_not_keeps_its_kind() {
    let engine = Engine::start().await;
    let (backend, script) = engine.scripted().await;
    let store = Store::new(backend);
    let patience = Duration::from_millis(400);
    let cases = [
        ("GetItem", "ThrottlingException", ErrorKind::Throttled),
        ("GetItem", "InternalServerError", ErrorKind::Unavailable),
        (
            "UpdateItem",
            "ProvisionedThroughputExceededException",
            ErrorKind::Throttled,
        ),
        ("UpdateItem", "InternalServerError", ErrorKind::UnknownOutcome),
        (
            "TransactWriteItems",
            "TransactionConflictException",
            ErrorKind::Contended,
        ),
    ];
    for (operation, code, kind) in cases {
        let status = if code == "InternalServerError" { 500 } else { 400 };
        let call = async || -> Result<()> {
            match operation {
                "GetItem" => drop(store.get::<u64>("a").timeout(patience).await?),
                "UpdateItem" => drop(store.assoc("a", &1).timeout(patience).await?),
                _ => drop(store.multi_assoc([("a", 1), ("b", 2)]).timeout(patience).await?),
            }
            Ok(())
        };
        script.clear();
        script.push(Reply::error(operation, status, code));
        call().await.expect("passes");
        (0..500).for_each(|_| script.push(Reply::error(operation, status, code)));
        let began = tokio::time::Instant::now();
        check_kind(call().await, kind);
        // Twice the time: the machine may be busy, but it is not the minute of the configuration.
        assert!(
            began.elapsed() < patience * 2,
            "{operation} {code}: {:?}",
            began.elapsed()
        );
        assert!(script.sent().len() > 3, "{operation} {code}");
    }
}

#[tokio::test]
async fn a_mutation_from_before_that_is_not_in_doubt_is_refused_though_it_was_applied() {
    let engine = Engine::start().await;
    let (store, _, _) = handles(&engine).await;
    write(&store, "a", 1, When::Newer).await;
    write(&store, "a", 2, When::Newer).await;
    for when in [When::Newer, When::Absent, When::Matches(rev(2))] {
        let late = write(&store, "a", 1, when).await;
        assert!(
            matches!(late, Written::Refused { current: Some(_) }),
            "{when:?}: {late:?}"
        );
    }
    let late = store
        .commit(vec![put("a", item(1), When::Newer)])
        .await
        .expect("an answer");
    assert!(matches!(late, Committed::Refused(_)), "{late:?}");
}

#[tokio::test]
async fn a_store_whose_making_was_not_answered_is_made_once() {
    let engine = Engine::start().await;
    engine.store().await;
    let mut config = engine.config("table");
    config.namespace = Some("shop".into());
    let script = Script::default();
    let builder = || DynamoDb::builder(config.clone()).client(engine.client(script.clone()));
    script.push(Reply::error("PutItem", 500, "InternalServerError").carried_out());
    builder().create().await.expect("it is its own mark that is in the way");
    assert!(script.is_done());
    script.push(Reply::error("PutItem", 500, "InternalServerError").carried_out());
    check_kind(builder().create().await, ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_removal_of_nothing_that_was_overwritten_since_still_tells_that_there_was_nothing() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    for (name, existed) in [("never there", Some(false)), ("there", None)] {
        if existed.is_none() {
            write(&calm, name, 1, When::Newer).await;
        }
        calm.remove(&document(name), rev(5), When::Newer)
            .await
            .expect("removes");
        write(&calm, name, 7, When::Newer).await;
        lose(&script, "UpdateItem");
        let answer = store
            .remove(&document(name), rev(5), When::Newer)
            .await
            .expect("is recognised");
        let previous = existed.map_or(Previous::Unknown, Previous::Existed);
        assert_eq!(answer, Written::Applied { previous }, "{name}");
    }
}

#[tokio::test]
async fn a_commit_that_is_refused_by_a_check_alone_is_kept_out_as_well() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "a", 1, When::Newer).await;
    let check = Mutation::Check {
        at: document("needed"),
        when: When::Exists,
    };
    let commit = || vec![put("a", item(5), When::Newer), check.clone()];
    lose(&script, "TransactWriteItems");
    let answer = store.commit(commit()).await.expect("an answer");
    assert!(matches!(answer, Committed::Refused(_)), "{answer:?}");
    write(&calm, "needed", 1, When::Newer).await;
    let late = calm.commit(commit()).await.expect("an answer");
    assert!(matches!(late, Committed::Refused(_)), "{late:?}");
    assert_eq!(
        calm.read(&document("a"), Read::STRONG).await.expect("reads"),
        Some(item(1))
    );
}

#[tokio::test]
async fn a_mutation_in_doubt_stays_so_when_its_next_attempt_is_turned_away() {
    let engine = Engine::start().await;
    let (store, _, script) = handles(&engine).await;
    for code in ["AccessDeniedException", "ValidationException"] {
        for operation in ["UpdateItem", "TransactWriteItems"] {
            lose(&script, operation);
            script.push(Reply::error(operation, 400, code));
            let answer = match operation {
                "UpdateItem" => store.write(&document("a"), item(1), When::Newer).await.map(drop),
                _ => store.commit(vec![put("a", item(1), When::Newer)]).await.map(drop),
            };
            let error = check_kind(answer, ErrorKind::UnknownOutcome);
            assert_eq!(error.outcome(), Outcome::Unknown, "{operation} {code}");
            assert!(script.is_done(), "{operation} {code}");
        }
    }
}
