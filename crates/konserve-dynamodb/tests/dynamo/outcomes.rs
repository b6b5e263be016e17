//! What becomes of a mutation whose first answer was lost: found out from what is in the table, whatever happened meanwhile.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use konserve_core::backend::{Backend, Committed, Item, Mutation, Occupant, Previous, Read, Refusal, When, Written};
use konserve_core::{ErrorKind, Instant, Outcome, Result, Store};
use konserve_dynamodb::DynamoDb;

use crate::support::{Engine, ManualClock, Reply, Script, check_kind, document, environment, item, put, rev};

/// The first answer to the next mutation is lost. That the request arrived, and what happened to it since, is for the test to
/// arrange: a mutation of the same revision through another handle is the same mutation.
fn lose(script: &Script, operation: &'static str) {
    script.clear();
    script.push(Reply::error(operation, 500, "InternalServerError"));
}

const CANCELLED: &str = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";

/// The answer to an update whose condition does not hold, over this item, if any.
fn refused_over(item: &str) -> Reply {
    let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
    Reply::answer("UpdateItem", 400, &format!(r#"{{"__type":"{kind}"{item}}}"#))
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
        for followers in 0..14 {
            let name = format!("{when:?} {followers}");
            write(&calm, &name, 10, when).await;
            for follower in 0..followers {
                write(&calm, &name, 20 + follower, When::Newer).await;
            }
            lose(&script, "UpdateItem");
            let answer = store.write(&document(&name), item(10), when).await;
            if followers < 13 {
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
async fn a_removal_that_was_overwritten_since_still_tells_whether_there_was_something() {
    let engine = Engine::start().await;
    let (_, script) = engine.scripted().await;
    let clock = Arc::new(ManualClock::default());
    clock.set(60);
    let builder = || DynamoDb::builder(engine.config("table")).environment(environment(&clock));
    let store = builder().client(engine.client(script.clone())).connect().await;
    let (store, calm) = (store.expect("connects"), builder().connect().await.expect("connects"));
    let ends = |second: i64| Item {
        expires: Some(Instant::from_millis(1000 * second)),
        ..item(1)
    };
    let cases = [
        ("nothing", None, false),
        ("item", Some(item(1)), true),
        ("will end", Some(ends(61)), true),
        ("has ended", Some(ends(60)), false),
    ];
    for (what, there, existed) in cases {
        for (removed_before, existed) in [(false, existed), (true, false)] {
            for followers in 0..14 {
                let name = format!("{what} {removed_before} {followers}");
                if let Some(item) = &there {
                    calm.write(&document(&name), item.clone(), When::Newer)
                        .await
                        .expect("writes");
                }
                if removed_before {
                    calm.remove(&document(&name), rev(3), When::Newer)
                        .await
                        .expect("removes");
                }
                calm.remove(&document(&name), rev(5), When::Newer)
                    .await
                    .expect("removes");
                for follower in 0..followers {
                    write(&calm, &name, 7 + follower, When::Newer).await;
                }
                lose(&script, "UpdateItem");
                let answer = store.remove(&document(&name), rev(5), When::Newer).await;
                match followers {
                    13.. => drop(check_kind(answer, ErrorKind::UnknownOutcome)),
                    // What was behind it is no longer known.
                    12 => {
                        let previous = Previous::Unknown;
                        assert_eq!(answer.expect("is recognised"), Written::Applied { previous }, "{name}");
                    }
                    _ => {
                        let previous = Previous::Existed(existed);
                        assert_eq!(answer.expect("is recognised"), Written::Applied { previous }, "{name}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_was_refused_where_nothing_is_stays_out_for_good() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    // Whoever writes there later, also whatever is there, or once more under a bar whose answer was lost.
    for (name, later, lost) in [
        ("newer", When::Newer, false),
        ("always", When::Always, false),
        ("lost", When::Newer, true),
    ] {
        lose(&script, "UpdateItem");
        if lost {
            script.push(refused_over(""));
            script.push(Reply::error("UpdateItem", 500, "InternalServerError").carried_out());
        }
        let refused = write(&store, name, 5, When::Exists).await;
        assert_eq!(refused, Written::Refused { current: None }, "{name}");
        assert!(script.is_done(), "{name}");
        assert_eq!(calm.read(&document(name), Read::STRONG).await.expect("reads"), None);
        let late = write(&calm, name, 5, When::Exists).await;
        let Written::Refused {
            current: Some(Occupant::Tombstone(below)),
        } = late
        else {
            panic!("{name}: {late:?}");
        };
        assert!(rev(4) < below && below < rev(5), "{name}: {below:?}");
        // It tells of others as well that they were not applied.
        lose(&script, "UpdateItem");
        let lower = write(&store, name, 3, When::Exists).await;
        assert!(matches!(lower, Written::Refused { .. }), "{name}: {lower:?}");
        let number = if later == When::Always { 2 } else { 6 };
        let other = write(&calm, name, number, later).await;
        assert!(matches!(other, Written::Applied { .. }), "{name}: {other:?}");
        let late = write(&calm, name, 5, When::Exists).await;
        assert!(matches!(late, Written::Refused { .. }), "{name}: {late:?}");
        let read = calm.read(&document(name), Read::STRONG).await.expect("reads");
        assert_eq!(read, Some(item(number)), "{name}");
    }
    // What is left of it may be erased as what is left of a removal.
    lose(&script, "UpdateItem");
    write(&store, "erased", 5, When::Exists).await;
    let key = [
        ("pk", AttributeValue::S("/d/erased".into())),
        ("sk", AttributeValue::N("0".into())),
    ];
    let key = key.map(|(name, value)| (name.to_owned(), value));
    let client = engine.client(Script::default());
    let get = client.get_item().table_name("table").set_key(Some(key.into()));
    let left = get.send().await.expect("gets").item.expect("a tombstone");
    let erasable: i64 = left["t"].as_n().expect("a number").parse().expect("seconds");
    let now = konserve_core::Environment::default().clock.now().as_millis() / 1000;
    assert!(
        (15 * 60 - 60..15 * 60 + 60).contains(&(erasable - now)),
        "{erasable} at {now}"
    );
}

#[tokio::test]
async fn what_comes_or_goes_between_a_refusal_and_its_bar_makes_no_difference() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    // Nothing is there by the refusal, and this by the time of the bar.
    for (name, number) in [("older", 2), ("newer", 9), ("itself", 5)] {
        write(&calm, name, number, When::Newer).await;
        lose(&script, "UpdateItem");
        script.push(refused_over(""));
        let answer = write(&store, name, 5, When::Exists).await;
        if name == "itself" {
            assert!(matches!(answer, Written::Applied { .. }), "{answer:?}");
            continue;
        }
        assert_eq!(answer, Written::Refused { current: None }, "{name}");
        let late = write(&calm, name, 5, When::Exists).await;
        assert!(matches!(late, Written::Refused { .. }), "{name}: {late:?}");
        let read = calm.read(&document(name), Read::STRONG).await.expect("reads");
        assert_eq!(read, Some(item(number)), "{name}");
    }
    // Revision 1 is there by the refusal, and nothing by the time of the bar.
    lose(&script, "UpdateItem");
    script.push(refused_over(
        r#","Item":{"r":{"B":"AAAAAAAAAAEHBwcHBwcHBw=="},"m":{"B":"AA=="},"c":{"N":"1"},"r1":{"B":""}}"#,
    ));
    let Written::Refused { current: Some(current) } = write(&store, "gone", 5, When::Absent).await else {
        panic!("it is refused");
    };
    assert_eq!(current.rev(), rev(1));
    let late = write(&calm, "gone", 5, When::Absent).await;
    assert!(matches!(late, Written::Refused { .. }), "{late:?}");
}

#[tokio::test]
async fn a_refused_removal_of_several_that_are_not_there_is_kept_out_for_good() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    let remove = |name: &str| Mutation::Remove {
        at: document(name),
        rev: rev(5),
        when: When::Exists,
    };
    let commit = || vec![remove("a"), remove("b")];
    lose(&script, "TransactWriteItems");
    // Neither part is there to be told, and the answer of what is made then is lost.
    (0..2).for_each(|_| script.push(refused_over("")));
    script.push(Reply::error("UpdateItem", 500, "InternalServerError").carried_out());
    let answer = store.commit(commit()).await.expect("an answer");
    let Committed::Refused(refusals) = answer else {
        panic!("{answer:?}");
    };
    assert!(refusals.iter().all(|refusal| refusal.current.is_none()), "{refusals:?}");
    for name in ["a", "b"] {
        write(&calm, name, if name == "a" { 6 } else { 2 }, When::Newer).await;
    }
    let late = calm.commit(commit()).await.expect("an answer");
    assert!(matches!(late, Committed::Refused(_)), "{late:?}");
    assert_eq!(
        calm.read(&document("b"), Read::STRONG).await.expect("reads"),
        Some(item(2))
    );
    // Something that is there is preferred: nothing is made where nothing is.
    write(&calm, "c", 1, When::Newer).await;
    lose(&script, "TransactWriteItems");
    let answer = store.commit(vec![remove("d"), remove("c")]).await.expect("an answer");
    assert!(matches!(answer, Committed::Refused(_)), "{answer:?}");
    let low = write(&calm, "d", 1, When::Absent).await;
    assert!(matches!(low, Written::Applied { .. }), "{low:?}");
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
async fn a_commit_that_left_no_trace_at_a_busy_item_is_found_out_by_another() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    for applied in [true, false] {
        let (busy, quiet) = (format!("busy {applied}"), format!("quiet {applied}"));
        write(&calm, &quiet, 1, When::Newer).await;
        let commit = || {
            let quiet = put(&quiet, item(5), When::Matches(rev(1)));
            vec![put(&busy, item(5), When::Newer), quiet]
        };
        if applied {
            assert_eq!(calm.commit(commit()).await.expect("an answer"), Committed::Applied);
        }
        for number in 10..24 {
            write(&calm, &busy, number, When::Newer).await;
        }
        if applied {
            // What was refused there says nothing of the commit.
            write(&calm, &quiet, 6, When::Newer).await;
        }
        lose(&script, "TransactWriteItems");
        if applied {
            // Revisions 15 to 11 are at the busy one, and nothing is said of the other.
            let item = r#"{"r":{"B":"AAAAAAAAAA8HBwcHBwcHBw=="},"r1":{"B":"AAAAAAAAAA4HBwcHBwcHBw=="},"r2":{"B":"AAAAAAAAAA0HBwcHBwcHBw=="},"r3":{"B":"AAAAAAAAAAwHBwcHBwcHBw=="},"r4":{"B":"AAAAAAAAAAsHBwcHBwcHBw=="},"m":{"B":"AA=="},"c":{"N":"1"}}"#;
            let failed = format!(r#"{{"Code":"ConditionalCheckFailed","Item":{item}}}"#);
            let body = format!(r#"{{"__type":"{CANCELLED}","CancellationReasons":[{failed},{{"Code":"None"}}]}}"#);
            script.push(Reply::answer("TransactWriteItems", 400, &body));
        }
        match (applied, store.commit(commit()).await.expect("is found out")) {
            (true, Committed::Applied) | (false, Committed::Refused(_)) => {}
            (_, answer) => panic!("{applied}: {answer:?}"),
        }
        // With nothing that tells, nobody knows.
        let commit = vec![put(&busy, item(5), When::Newer)];
        lose(&script, "TransactWriteItems");
        check_kind(store.commit(commit).await, ErrorKind::UnknownOutcome);
    }
}

#[tokio::test]
async fn a_commit_that_left_no_trace_but_may_still_be_applied_is_not_called_refused() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "a", 1, When::Newer).await;
    let check = Mutation::Check {
        at: document("needed"),
        when: When::Exists,
    };
    lose(&script, "TransactWriteItems");
    let commit = || vec![put("a", item(5), When::Matches(rev(1))), check.clone()];
    check_kind(store.commit(commit()).await, ErrorKind::UnknownOutcome);
    write(&calm, "needed", 1, When::Newer).await;
    assert_eq!(calm.commit(commit()).await.expect("an answer"), Committed::Applied);
}

#[tokio::test]
async fn a_commit_of_checks_is_never_in_doubt() {
    let engine = Engine::start().await;
    let (store, calm, script) = handles(&engine).await;
    write(&calm, "there", 1, When::Newer).await;
    let check = |name: &str| Mutation::Check {
        at: document(name),
        when: When::Absent,
    };
    lose(&script, "TransactWriteItems");
    let commit = vec![check("nothing"), check("there")];
    let Committed::Refused(refusals) = store.commit(commit).await.expect("an answer") else {
        panic!("it is refused");
    };
    assert!(matches!(refusals[..], [Refusal { index: 1, .. }]), "{refusals:?}");
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
