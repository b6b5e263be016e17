//! Trials of `exists`, `get`, `get_meta`, `assoc`, `dissoc`.

use std::sync::Arc;

use futures::TryStreamExt;
use konserve_core::{ErrorKind, Key, Kind, Value, kw};

use super::{edn, store};
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.absent-key", &["S-GET-1"], absent_key),
        Trial::new(
            "store.any-value-comes-back",
            &["S-GET-2", "S-ASSOC-1"],
            any_value_comes_back,
        ),
        Trial::new("store.any-key", &["S-KEY-1"], any_key),
        Trial::new("store.assoc-replaces-whole", &["S-ASSOC-1", "S-META-1"], replaces_whole),
        Trial::new("store.assoc-if-absent", &["S-ASSOC-2"], if_absent),
        Trial::new("store.assoc-if-revision", &["S-ASSOC-2"], if_revision),
        Trial::new("store.dissoc", &["S-DISSOC-1"], dissoc),
        Trial::new(
            "store.dissoc-if-revision",
            &["S-DISSOC-1", "S-ASSOC-2"],
            dissoc_if_revision,
        ),
    ]
}

async fn absent_key(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("gone", &1).await?;
    store.dissoc("gone").await?;
    for key in ["never", "gone"] {
        check!(!store.exists(key).await?, "{key}: exists");
        same!(store.get::<Value>(key).await?, None, "{key}: get");
        same!(store.get_in::<Value>(key).await?, None, "{key}: get_in");
        same!(store.get_meta(key).await?, None, "{key}: get_meta");
        same!(store.get::<Value>(key).with_meta().await?, None, "{key}: get with meta");
        check!(store.bget(key).await?.is_none(), "{key}: bget");
        same!(store.log::<Value>(key).try_collect::<Vec<_>>().await?, [], "{key}: log");
        check!(!store.dissoc(key).await?, "{key}: dissoc");
    }
    Ok(())
}

async fn any_value_comes_back(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    for text in [
        "nil",
        "true",
        "0",
        "-170141183460469231731687303715884105728",
        "18446744073709551615",
        "1.0",
        "-0.0",
        "##NaN",
        "##Inf",
        "\"\"",
        "\"𝕬\\n\\\"\"",
        ":a",
        ":a/b",
        "[]",
        "[nil [] {} #{}]",
        "#{1 :a \"a\"}",
        "{{:a 1} {[1 2] nil}, nil 3, 1.5 #{}}",
        "#uuid \"6c84fb90-12c4-11e1-840d-7b25c5ee775a\"",
        "#inst \"2026-01-02T03:04:05.000000006Z\"",
    ] {
        let value = edn(text)?;
        store.assoc("value", &value).await?;
        same!(
            store.get::<Value>("value").await?,
            Some(value),
            "what was stored as {text}"
        );
        check!(store.exists("value").await?, "{text} is there, but does not exist");
    }
    Ok(())
}

async fn any_key(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let long = "k".repeat(arena.capabilities.longest_partition + 10);
    let mut keys = vec![Key::from(long.as_str()), Key::from(format!("{long}k").as_str())];
    keys.push(Key::from(long[..arena.capabilities.longest_partition].to_owned()));
    for text in [
        "\"a\"",
        ":a",
        "a",
        "1",
        "1.0",
        "\"1\"",
        "nil",
        "true",
        "[]",
        "[1]",
        "{}",
        "{:b 1, :a 2}",
        "#{}",
        "\"\"",
        "\" \"",
        "\"a b\"",
        "\"a/b\"",
        "\"\\u0000\"",
        "\"A\"",
        "\"á\"",
        "\"a\u{301}\"",
        "\"~sha256:00\"",
    ] {
        // A bare symbol is no value of the text form everywhere; what does not parse is no key.
        if let Ok(value) = text.parse::<Value>() {
            keys.push(Key::from(value));
        }
    }
    for (number, key) in keys.iter().enumerate() {
        store.assoc(key.clone(), &number).if_absent().await?;
    }
    for (number, key) in keys.iter().enumerate() {
        same!(
            store.get::<usize>(key.clone()).await?,
            Some(number),
            "what is at the key {key}"
        );
        let meta = store.get_meta(key.clone()).await?;
        same!(meta.map(|meta| meta.key), Some(key.clone()), "the key in its meta");
    }
    let mut listed: Vec<_> = store.keys().map_ok(|meta| meta.key).try_collect().await?;
    listed.sort();
    keys.sort();
    check!(
        listed == keys,
        "{} keys were stored, {} are listed or are others",
        keys.len(),
        listed.len()
    );
    Ok(())
}

async fn replaces_whole(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let mut last = store
        .assoc("a", &edn("{:x 1, :y 2}")?)
        .meta(edn("{:by \"me\"}")?)
        .await?;
    let meta = store.get_meta("a").await?.ok_or_else(|| Failure::new("no meta"))?;
    same!(meta.kind, Kind::Document, "the kind");
    same!(meta.revision, last, "the revision in the meta");
    same!(meta.last_write, last.instant(), "the last write");
    same!(
        meta.user.get(&Value::from(kw!("by"))),
        Some(&Value::from("me")),
        "a field of the meta"
    );
    check!(meta.size > 0, "a document of no bytes");
    for number in 0..5 {
        let next = store.assoc("a", &number).await?;
        check!(next > last, "the revision {next} comes after {last} and is not higher");
        last = next;
        same!(store.get::<i64>("a").await?, Some(number), "what is there");
    }
    let Some((value, meta)) = store.get::<Value>("a").with_meta().await? else {
        return Err(Failure::new("the document was not found"));
    };
    same!(
        (value, meta.revision, meta.user.len()),
        (Value::from(4), last, 0),
        "value, revision, fields"
    );
    Ok(())
}

async fn if_absent(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("a", &1).if_absent().await?;
    refused(
        ErrorKind::Conflict,
        "a second creation",
        store.assoc("a", &2).if_absent().await,
    )?;
    same!(store.get::<i64>("a").await?, Some(1), "what is there");
    store.dissoc("a").await?;
    store.assoc("a", &3).if_absent().await?;
    same!(
        store.get::<i64>("a").await?,
        Some(3),
        "what was created after a removal"
    );
    Ok(())
}

async fn if_revision(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let first = store.assoc("a", &1).await?;
    let second = store.assoc("a", &2).if_revision(first).await?;
    let stale = store.assoc("a", &3).if_revision(first).await;
    refused(ErrorKind::Conflict, "a write under an old revision", stale)?;
    same!(store.get::<i64>("a").await?, Some(2), "what is there");
    store.dissoc("a").await?;
    let late = store.assoc("a", &4).if_revision(second).await;
    refused(ErrorKind::Conflict, "a write over what was removed", late)?;
    same!(store.get::<i64>("a").await?, None, "what is there after the removal");
    Ok(())
}

async fn dissoc(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    check!(!store.dissoc("a").await?, "nothing was there to be removed");
    for _ in 0..3 {
        store.assoc("a", &1).await?;
        check!(store.dissoc("a").await?, "what was removed did not exist");
        check!(!store.exists("a").await?, "what was removed exists");
        check!(!store.dissoc("a").await?, "what was removed could be removed again");
    }
    Ok(())
}

async fn dissoc_if_revision(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let first = store.assoc("a", &1).await?;
    let second = store.assoc("a", &2).await?;
    refused(
        ErrorKind::Conflict,
        "a stale removal",
        store.dissoc("a").if_revision(first).await,
    )?;
    same!(store.get::<i64>("a").await?, Some(2), "what is there");
    check!(
        store.dissoc("a").if_revision(second).await?,
        "what was removed did not exist"
    );
    refused(
        ErrorKind::Conflict,
        "a removal of nothing",
        store.dissoc("a").if_revision(second).await,
    )?;
    Ok(())
}
