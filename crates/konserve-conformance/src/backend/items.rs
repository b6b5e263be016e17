//! Trials of addresses and of items coming back as they were written.

use std::sync::Arc;

use bytes::Bytes;
use konserve_core::Instant;
use konserve_core::backend::{Address, Item, Partition, Read, Space, When, Written};

use crate::arena::{Arena, Until, item, joined};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("address.parts-all-count", &["B-ADDR-1"], parts_all_count),
        Trial::new("address.any-text", &["B-ADDR-2"], any_text),
        Trial::new("address.any-row", &["B-ADDR-1", "B-ADDR-3"], any_row),
        Trial::new("item.comes-back-whole", &["B-ITEM-1", "B-WRITE-1"], comes_back_whole),
        Trial::new("item.any-bytes", &["B-ITEM-1"], any_bytes),
        Trial::new("item.empty-is-not-none", &["B-ITEM-2"], empty_is_not_none),
        Trial::new("item.replaced-whole", &["B-ITEM-4", "B-WRITE-1"], replaced_whole),
        Trial::new("item.one-write-one-answer", &["B-ITEM-3"], one_write_one_answer),
    ]
}

/// Writes something else at each address and finds each as it was written.
async fn all_different(arena: &Arena, addresses: Vec<Address>) -> Verdict {
    let items: Vec<_> = addresses.into_iter().map(|at| (at, item(arena.rev()))).collect();
    for (at, item) in &items {
        let written = arena.backend.write(at, item.clone(), When::Absent).await?;
        check!(
            matches!(written, Written::Applied { .. }),
            "{at:?} is taken for an address that was written before"
        );
    }
    for (at, item) in items {
        same!(arena.get(&at).await?, Some(item), "what is at {at:?}");
    }
    Ok(())
}

async fn parts_all_count(arena: Arc<Arena>) -> Verdict {
    let mut addresses = Vec::new();
    for space in Space::ALL {
        for partition in ["a", "b", "a/0", "a/1", "d/a", "a1"] {
            for row in [0, 1, 10] {
                addresses.push(Address::new(space, Partition::new(partition), row));
            }
        }
    }
    all_different(&arena, addresses).await
}

async fn any_text(arena: Arc<Arena>) -> Verdict {
    let longest = arena.capabilities.longest_partition;
    let mut texts: Vec<String> = [
        "a",
        "A",
        "á",
        "a\u{301}",
        " a",
        "a ",
        "a b",
        "a\tb",
        "a\nb",
        "\0",
        "a\0",
        "a\0b",
        "\u{1}",
        "\u{7f}",
        "/",
        "//",
        "a/",
        "a//b",
        "..",
        ".",
        "./a",
        "../a",
        "\\",
        "a\\b",
        "a:b",
        "a#b",
        "a?b",
        "a%2Fb",
        "%",
        "%00",
        "*",
        "~",
        "-",
        "--",
        "CON",
        "nul",
        "con.txt",
        "[\"foo\" :bar]",
        ":bar",
        "\"",
        "'",
        "''",
        "`",
        "$HOME",
        "{}",
        "ß",
        "ss",
        "İ",
        "i",
        "ı",
        "ﬁ",
        "fi",
        "\u{200b}",
        "\u{202e}",
        "\u{feff}",
        "𝕬",
        "\u{10ffff}",
        "\u{fffd}",
        "\u{e000}",
        "\u{d7ff}",
        "日本語",
        "x",
        "xx",
    ]
    .map(str::to_owned)
    .into();
    // 1 byte below the longest; at the longest, of one byte and of four bytes each; and ends that differ late.
    texts.push("l".repeat(longest - 1));
    texts.push("l".repeat(longest));
    texts.push(format!("{}m", "l".repeat(longest - 1)));
    texts.push("𝕬".repeat(longest / 4));
    let addresses = texts.into_iter().map(|text| arena.at(&text)).collect();
    all_different(&arena, addresses).await
}

async fn any_row(arena: Arc<Arena>) -> Verdict {
    let mut rows = vec![0, 1, 2, 9, 10, 11, 99, 100];
    for power in [8, 16, 31, 32, 52, 53, 54, 63] {
        let row: u64 = 1 << power;
        rows.extend([row - 1, row, row + 1]);
    }
    rows.extend([i64::MAX as u64 - 1, u64::MAX - 1, u64::MAX]);
    rows.sort_unstable();
    rows.dedup();
    let partition = Partition::new("rows");
    let addresses = rows
        .into_iter()
        .map(|row| Address::new(Space::Log, partition.clone(), row));
    all_different(&arena, addresses.collect()).await
}

async fn comes_back_whole(arena: Arc<Arena>) -> Verdict {
    let far = Instant::from_millis(64_060_588_800_123); // in the year 4000
    for (number, (pinned, expires, created)) in [
        (false, None, Instant::from_millis(1_700_000_000_001)),
        (true, None, Instant::from_millis(1_700_000_000_999)),
        (false, Some(far), Instant::from_millis(0)),
        (true, Some(far), far),
        (false, None, Instant::from_millis(1)),
    ]
    .into_iter()
    .enumerate()
    {
        let at = arena.at(&format!("item-{number}"));
        let written = Item {
            pinned,
            expires,
            created,
            ..item(arena.rev())
        };
        arena.put(&at, &written).await?;
        same!(arena.get(&at).await?, Some(written), "what comes back");
    }
    Ok(())
}

async fn any_bytes(arena: Arc<Arena>) -> Verdict {
    let every = Bytes::from_iter(0..=u8::MAX);
    for (number, bytes) in [
        every.clone(),
        Bytes::from_static(&[0]),
        Bytes::from_static(&[0, 0, 0]),
        Bytes::from_static(&[0xFF; 5]),
        Bytes::from_static(b"\r\n"),
        Bytes::from_static(&[0xC3, 0x28]),
        Bytes::from_static(b" "),
    ]
    .into_iter()
    .enumerate()
    {
        let at = arena.at(&format!("bytes-{number}"));
        let written = Item {
            meta: bytes.clone(),
            body: Some(bytes.slice(bytes.len() / 2..)),
            ..item(arena.rev())
        };
        arena.put(&at, &written).await?;
        same!(arena.get(&at).await?, Some(written), "what comes back");
    }
    Ok(())
}

async fn empty_is_not_none(arena: Arc<Arena>) -> Verdict {
    let full = Bytes::from_static(b"full");
    for (number, (meta, body)) in [
        (Bytes::new(), None),
        (Bytes::new(), Some(Bytes::new())),
        (Bytes::new(), Some(full.clone())),
        (full.clone(), None),
        (full.clone(), Some(Bytes::new())),
    ]
    .into_iter()
    .enumerate()
    {
        let at = arena.at(&format!("empty-{number}"));
        let written = Item {
            meta,
            body,
            ..item(arena.rev())
        };
        arena.put(&at, &written).await?;
        same!(arena.get(&at).await?, Some(written), "what comes back");
    }
    Ok(())
}

async fn replaced_whole(arena: Arc<Arena>) -> Verdict {
    let full = Item {
        pinned: true,
        expires: Some(Instant::from_millis(64_060_588_800_000)),
        created: Instant::from_millis(1_000_000_000_000),
        ..item(arena.rev())
    };
    let bare = |rev| Item {
        meta: Bytes::new(),
        body: None,
        ..item(rev)
    };
    let at = arena.at("a");
    arena.put(&at, &full).await?;
    let replacement = bare(arena.rev());
    let written = arena
        .backend
        .write(&at, replacement.clone(), When::Matches(full.rev))
        .await?;
    check!(matches!(written, Written::Applied { .. }), "not applied: {written:?}");
    same!(arena.get(&at).await?, Some(replacement), "a bare item over a full one");

    let removed = arena.rev();
    arena.bury(&at, removed).await?;
    let again = bare(arena.rev());
    arena.put(&at, &again).await?;
    same!(arena.get(&at).await?, Some(again), "a bare item over a tombstone");
    Ok(())
}

/// One task overwrites, others read: what they get is never from two writes.
async fn one_write_one_answer(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    let sized = |rev, number: usize| {
        let fill = (number % 251) as u8;
        Item {
            meta: Bytes::from(vec![fill; 1 + number % 17]),
            body: Some(Bytes::from(vec![fill; 1 + (number * 37) % 1500])),
            ..item(rev)
        }
    };
    arena.put(&at, &sized(arena.rev(), 0)).await?;
    let another = arena.namespace.another().await?;
    let until = Until::new();
    let writer = {
        let (arena, at, go_on) = (Arc::clone(&arena), at.clone(), until.go_on());
        tokio::spawn(async move {
            for number in (1..).take_while(|_| go_on()) {
                arena.put(&at, &sized(arena.rev(), number)).await?;
            }
            Verdict::Ok(())
        })
    };
    // Until enough writes came in between, however slow the writer is to begin.
    let (mut before, mut changes) = (None, 0);
    while changes < 60 && !writer.is_finished() {
        for backend in [&arena.backend, &another] {
            let read = backend.read(&at, Read::STRONG).await?;
            let Some(Item {
                meta, body: Some(body), ..
            }) = read
            else {
                check!(false, "an item that is always there was not found");
                continue;
            };
            let fill = meta.first().copied();
            let whole = body.iter().chain(&meta).all(|byte| Some(*byte) == fill);
            check!(whole, "meta and body of different writes: {meta:?} and {body:?}");
            changes += usize::from(before != fill);
            before = fill;
        }
        tokio::task::yield_now().await;
    }
    drop(until);
    joined(writer).await
}
