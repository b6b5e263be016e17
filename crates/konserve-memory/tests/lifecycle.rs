//! Stores with names, handles, and what is left of them after `close` and `delete`.

use bytes::Bytes;
use futures::StreamExt;
use konserve_core::backend::{Address, Backend, Item, Listing, Partition, Read, Space, When, Written};
use konserve_core::{ErrorKind, Instant, Rev};
use konserve_memory::Memory;

fn at(partition: &str) -> Address {
    Address::new(Space::Document, Partition::new(partition), 0)
}

fn item(rev: u8) -> Item {
    Item {
        rev: Rev::from_bytes([rev; 16]),
        pinned: false,
        expires: None,
        created: Instant::UNIX_EPOCH,
        meta: Bytes::new(),
        body: Some(Bytes::from_static(b"body")),
    }
}

async fn is_there(memory: &Memory) -> bool {
    memory.read(&at("a"), Read::STRONG).await.unwrap().is_some()
}

#[tokio::test]
async fn a_name_leads_to_the_same_store_until_it_is_deleted() {
    let name = "lifecycle-name";
    assert!(!Memory::exists(name));
    assert_eq!(Memory::connect(name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Memory::delete(name).unwrap_err().kind(), ErrorKind::NotFound);

    let first = Memory::create(name).unwrap();
    assert_eq!(Memory::create(name).unwrap_err().kind(), ErrorKind::AlreadyExists);
    first.write(&at("a"), item(1), When::Newer).await.unwrap();
    drop(first);
    assert!(is_there(&Memory::connect(name).unwrap()).await);
    assert!(is_there(&Memory::builder().open(name)).await);

    Memory::delete(name).unwrap();
    assert!(!Memory::exists(name));
    assert!(!is_there(&Memory::builder().open(name)).await);
    Memory::delete(name).unwrap();
}

#[tokio::test]
async fn a_handle_on_a_deleted_store_never_writes_into_the_void() {
    let name = "lifecycle-void";
    let old = Memory::create(name).unwrap();
    Memory::delete(name).unwrap();
    let new = Memory::create(name).unwrap();

    let refused = old.write(&at("a"), item(1), When::Newer).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(
        old.read(&at("a"), Read::STRONG).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let listed: Vec<_> = old
        .list(Space::Document, Listing::all(Read::STRONG))
        .collect::<Vec<_>>()
        .await;
    assert_eq!(
        listed
            .into_iter()
            .map(|one| one.unwrap_err().kind())
            .collect::<Vec<_>>(),
        [ErrorKind::NotFound]
    );
    assert!(!is_there(&new).await);
    Memory::delete(name).unwrap();
}

#[tokio::test]
async fn closing_concerns_one_handle_and_its_clones() {
    let memory = Memory::new();
    let clone = memory.clone();
    let other = memory.handle();
    memory.close().await.unwrap();
    memory.close().await.unwrap();
    for closed in [&memory, &clone] {
        let answer = closed.write(&at("a"), item(1), When::Newer).await;
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
    }
    let written = other.write(&at("a"), item(1), When::Newer).await.unwrap();
    assert!(matches!(written, Written::Applied { .. }));
}

#[tokio::test]
async fn listings_are_shuffled_by_the_seed_and_by_nothing_else() {
    async fn order(memory: Memory, names: impl Iterator<Item = usize>) -> Vec<String> {
        for name in names {
            let at = at(&format!("{name:04}"));
            memory.write(&at, item(1), When::Newer).await.unwrap();
        }
        let listed = memory.list(Space::Document, Listing::all(Read::EVENTUAL));
        listed.map(|one| one.unwrap().0.to_string()).collect().await
    }
    let seeded = |seed| Memory::builder().seed(seed).build();
    let forward = order(seeded(1), 0..1000).await;
    assert_eq!(forward, order(seeded(1), (0..1000).rev()).await);
    assert_ne!(forward, order(seeded(2), 0..1000).await);

    let ascending = forward.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((400..600).contains(&ascending), "{ascending} of 999 steps go up");
}
