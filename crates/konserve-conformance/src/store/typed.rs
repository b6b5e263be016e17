//! Trials of documents as types of the program and as values.

use std::collections::BTreeMap;
use std::sync::Arc;

use konserve_core::{ErrorKind, Value, path};
use serde::{Deserialize, Serialize};

use super::{edn, store};
use crate::arena::Arena;
use crate::failure::{Verdict, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.typed-and-untyped", &["S-TYPE-1"], typed_and_untyped),
        Trial::new("store.type-that-does-not-fit", &["S-TYPE-2"], does_not_fit),
        Trial::new(
            "store.typed-null-and-absence",
            &["S-TYPE-1", "S-GET-2"],
            null_and_absence,
        ),
    ]
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    born: Option<i32>,
    tags: Vec<Tag>,
    scores: BTreeMap<String, f64>,
    #[serde(with = "bytes_as_bytes")]
    photo: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tag {
    Friend,
    Named(String),
    At { x: i64, y: i64 },
}

/// Bytes, where a list of numbers would do for serde.
mod bytes_as_bytes {
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;

        impl de::Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }

        from.deserialize_byte_buf(Bytes)
    }
}

fn ada() -> Person {
    Person {
        name: "Ada".into(),
        born: Some(1815),
        tags: vec![Tag::Friend, Tag::Named("poet".into()), Tag::At { x: -1, y: i64::MAX }],
        scores: BTreeMap::from([("logic".into(), 1.5), ("ghosts".into(), -0.0)]),
        photo: vec![0, 255, 10],
    }
}

async fn typed_and_untyped(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("ada", &ada()).await?;
    same!(
        store.get::<Person>("ada").await?,
        Some(ada()),
        "a type as it was stored"
    );
    let value = store.get::<Value>("ada").await?;
    same!(
        value,
        Some(konserve_core::value::to_value(&ada())?),
        "the same as a value"
    );
    same!(
        store.get_in::<Tag>(path!["ada", "tags", 1]).await?,
        Some(Tag::Named("poet".into())),
        "a part of it by path"
    );
    let updated = store
        .update_in(path!["ada", "born"], |born: Option<i32>| {
            born.map_or(0, |born| born + 1)
        })
        .await?;
    same!((updated.old, updated.new), (Some(1815), 1816), "an update inside of it");
    let expected = Person {
        born: Some(1816),
        ..ada()
    };
    same!(
        store.get::<Person>("ada").await?,
        Some(expected.clone()),
        "all of it after that"
    );

    // What was stored as a value with keywords for fields reads as a type.
    store.assoc("grace", &edn("{:x 1, :y 2}")?).await?;
    #[derive(Debug, PartialEq, Deserialize)]
    struct At {
        x: i64,
        y: i64,
    }
    let at = store.get::<At>("grace").await?;
    same!(at, Some(At { x: 1, y: 2 }), "keywords as fields");

    store.append("people", &ada()).await?;
    store.append("people", &expected).await?;
    let names = |names: Vec<String>, person: Person| [names, vec![person.name]].concat();
    let names = store.reduce_log("people", Vec::new(), names).await?;
    same!(names, ["Ada", "Ada"], "types as entries of a log");
    Ok(())
}

async fn does_not_fit(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    for (text, what) in [
        ("1", "a number"),
        ("\"text\"", "a text"),
        ("[]", "a list"),
        ("{:name 1}", "a map"),
    ] {
        let revision = store.assoc("k", &edn(text)?).await?;
        refused(ErrorKind::Codec, what, store.get::<Person>("k").await)?;
        refused(ErrorKind::Codec, what, store.get_in::<Person>("k").await)?;
        let updated = store
            .update("k", |person: Option<Person>| person.unwrap_or_else(ada))
            .await;
        refused(ErrorKind::Codec, what, updated.map(|updated| updated.new))?;
        let found = store.get_meta("k").await?.map(|meta| meta.revision);
        same!(found, Some(revision), "the revision of {what} afterwards");
        same!(store.get::<Value>("k").await?, Some(edn(text)?), "{what} as a value");
    }
    // Half of a number is no number.
    store.assoc("k", &300).await?;
    refused(ErrorKind::Codec, "300 as a byte", store.get::<u8>("k").await)?;
    refused(ErrorKind::Codec, "300 as a text", store.get::<String>("k").await)?;
    same!(store.get::<i128>("k").await?, Some(300), "300 as a wide number");
    Ok(())
}

async fn null_and_absence(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("null", &None::<i64>).await?;
    same!(store.get::<Option<i64>>("null").await?, Some(None), "a stored null");
    same!(store.get::<Option<i64>>("never").await?, None, "what was never stored");
    // The function of an update gets what the type makes of a null, and `None` for absence alone.
    let seen = store.update("null", |old: Option<Option<i64>>| old.map(|_| 1)).await?;
    same!(
        (seen.old, seen.new),
        (Some(None), Some(1)),
        "an update of a stored null"
    );
    let seen = store.update("new", |old: Option<Option<i64>>| old.map(|_| 1)).await?;
    same!((seen.old, seen.new), (None, None), "an update of nothing");
    Ok(())
}
