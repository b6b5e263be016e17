//! Locks by key, within this process.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::backend::Partition;
use crate::log::Reached;

/// One fair lock for each key that somebody holds or waits for; a lock that nobody wants any more is forgotten.
///
/// Locks only spare requests: what makes updates atomic is the conditional write.
#[derive(Debug, Default, Clone)]
pub(crate) struct KeyLocks(Arc<Shared>);

/// What all have who share locks.
#[derive(Debug, Default)]
struct Shared {
    locks: Mutex<HashMap<Partition, Weak<KeyLock>>>,
    /// The store that they are registered for, if they are.
    identity: Option<String>,
}

/// The lock of one key, and what those who hold it tell the next one.
#[derive(Debug, Default)]
struct KeyLock {
    turn: Arc<AsyncMutex<Option<Reached>>>,
    /// How many have had their turn so far.
    turns: AtomicU64,
}

/// The shared locks of the stores that are open in this process.
static REGISTRY: LazyLock<Mutex<HashMap<String, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// Holds the lock of a key until dropped, unless it was not to be had.
#[derive(Debug)]
pub(crate) struct KeyGuard {
    shared: Arc<Shared>,
    partition: Partition,
    lock: Option<Arc<KeyLock>>,
    turn: Option<OwnedMutexGuard<Option<Reached>>>,
}

impl KeyLocks {
    /// The locks that all handles of the store of this identity share.
    pub(crate) fn of(identity: String) -> Self {
        let mut registry = registry();
        if let Some(shared) = registry.get(&identity).and_then(Weak::upgrade) {
            return Self(shared);
        }
        let shared = Arc::new(Shared {
            locks: Mutex::default(),
            identity: Some(identity.clone()),
        });
        registry.insert(identity, Arc::downgrade(&shared));
        Self(shared)
    }

    /// Waits for the lock of a key, in the order of arrival. Dropping the future gives up the place.
    ///
    /// Nobody waits for ever for somebody who does not go on: when one and the same holds the lock for this long, this goes on
    /// without it.
    pub(crate) async fn lock(&self, partition: &Partition, patience: Duration) -> KeyGuard {
        // Made before the wait, so that the entry is reclaimed also when this future is dropped while it waits, and before
        // `lock`, which is dropped before it.
        let mut guard = KeyGuard {
            shared: Arc::clone(&self.0),
            partition: partition.clone(),
            lock: None,
            turn: None,
        };
        let lock = self.0.lock_of(partition);
        guard.lock = Some(Arc::clone(&lock));
        guard.turn = lock.wait(patience).await;
        guard
    }
}

impl KeyGuard {
    /// How far the log at the key reached when somebody last appended to it, if that is told.
    pub(crate) fn reached(&self) -> Option<Reached> {
        self.turn.as_deref().copied().flatten()
    }

    /// Tells the next one, if somebody waits, how far the log at the key reaches.
    pub(crate) fn tell(&mut self, reached: Reached) {
        if let Some(turn) = &mut self.turn {
            **turn = Some(reached);
        }
    }
}

impl Shared {
    fn lock_of(&self, partition: &Partition) -> Arc<KeyLock> {
        let mut locks = self.locks();
        if let Some(lock) = locks.get(partition).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(KeyLock::default());
        locks.insert(partition.clone(), Arc::downgrade(&lock));
        lock
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<Partition, Weak<KeyLock>>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyLock {
    async fn wait(&self, patience: Duration) -> Option<OwnedMutexGuard<Option<Reached>>> {
        // Fair all the same: a lock that somebody waits for is not free between two turns.
        if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
            return Some(self.begin(turn));
        }
        let mut turn = std::pin::pin!(Arc::clone(&self.turn).lock_owned());
        // Without a runtime there is no clock to wait by.
        if tokio::runtime::Handle::try_current().is_err() {
            return Some(self.begin(turn.await));
        }
        loop {
            let turns = self.turns.load(Ordering::Relaxed);
            match tokio::time::timeout(patience, &mut turn).await {
                Ok(turn) => return Some(self.begin(turn)),
                Err(_) if self.turns.load(Ordering::Relaxed) == turns => return None,
                Err(_) => {}
            }
        }
    }

    fn begin(&self, turn: OwnedMutexGuard<Option<Reached>>) -> OwnedMutexGuard<Option<Reached>> {
        self.turns.fetch_add(1, Ordering::Relaxed);
        turn
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.turn = None;
        self.lock = None;
        forget(&mut self.shared.locks(), &self.partition);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(identity) = &self.identity {
            forget(&mut registry(), identity);
        }
    }
}

fn registry() -> MutexGuard<'static, HashMap<String, Weak<Shared>>> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what nobody uses any more; in its place may be something new that somebody does.
fn forget<K: Eq + Hash, T>(table: &mut HashMap<K, Weak<T>>, key: &K) {
    if table.get(key).is_some_and(|entry| entry.strong_count() == 0) {
        table.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test.
    const LONG: Duration = Duration::from_secs(3600);

    fn count(locks: &KeyLocks) -> usize {
        locks.0.locks().len()
    }

    #[tokio::test]
    async fn a_lock_excludes_is_handed_on_in_order_and_is_forgotten() {
        let locks = KeyLocks::default();
        let key = Partition::new("k");
        let first = locks.lock(&key, LONG).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..3 {
            let (locks, key, order) = (locks.clone(), key.clone(), order.clone());
            waiting.push(tokio::spawn(async move {
                let _guard = locks.lock(&key, LONG).await;
                order.lock().unwrap().push(number);
            }));
            tokio::task::yield_now().await;
        }
        assert!(order.lock().unwrap().is_empty());
        drop(first);
        // Whoever comes now comes last, although nobody has begun.
        let mut late = Box::pin(locks.lock(&key, LONG));
        assert!(futures::poll!(late.as_mut()).is_pending());
        drop(late.await);
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(count(&locks), 0);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_leaves_nothing_behind() {
        let locks = KeyLocks::default();
        let key = Partition::new("k");
        let first = locks.lock(&key, LONG).await;
        for drops_first in [false, true] {
            let mut second = Box::pin(locks.lock(&key, LONG));
            assert!(futures::poll!(second.as_mut()).is_pending());
            if drops_first {
                break;
            }
        }
        drop(first);
        assert_eq!(count(&locks), 0);
        let _free = locks.lock(&key, LONG).await;
        {
            let mut other = Box::pin(locks.lock(&key, LONG));
            assert!(futures::poll!(other.as_mut()).is_pending());
        }
        assert_eq!(count(&locks), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_holder_that_does_not_go_on() {
        let locks = KeyLocks::default();
        let key = Partition::new("k");
        let patience = Duration::from_secs(1);
        let began = tokio::time::Instant::now();
        let hung = locks.lock(&key, patience).await;
        let without = locks.lock(&key, patience).await;
        assert!(without.turn.is_none());
        assert_eq!(began.elapsed(), patience);
        drop((hung, without));
        assert_eq!(count(&locks), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_queue_that_goes_on_is_waited_for() {
        let locks = KeyLocks::default();
        let key = Partition::new("k");
        let patience = Duration::from_secs(1);
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (locks, key) = (locks.clone(), key.clone());
                tokio::spawn(async move {
                    let guard = locks.lock(&key, patience).await;
                    tokio::time::sleep(patience * 3 / 4).await;
                    guard.turn.is_some()
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap(), "somebody went on without the lock");
        }
    }

    #[test]
    fn locks_are_shared_by_identity_and_forgotten_with_the_last_who_has_them() {
        let one = KeyLocks::of("locks.rs: one".into());
        let same = KeyLocks::of("locks.rs: one".into());
        let other = KeyLocks::of("locks.rs: other".into());
        assert!(Arc::ptr_eq(&one.0, &same.0));
        assert!(!Arc::ptr_eq(&one.0, &other.0));
        drop(one);
        assert!(registry().contains_key("locks.rs: one"));
        drop(same);
        assert!(!registry().contains_key("locks.rs: one"));
        assert!(registry().contains_key("locks.rs: other"));
    }
}
