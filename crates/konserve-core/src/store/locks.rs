//! Locks by key, within this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::backend::Partition;

/// One fair lock for each key that somebody holds or waits for; a lock that nobody wants any more is forgotten.
///
/// Locks only spare requests: what makes updates atomic is the conditional write.
#[derive(Debug, Default, Clone)]
pub(crate) struct KeyLocks(Arc<Mutex<Table>>);

type Table = HashMap<Partition, Weak<AsyncMutex<()>>>;

/// Holds the lock of a key until dropped.
#[derive(Debug)]
pub(crate) struct KeyGuard {
    locks: KeyLocks,
    partition: Partition,
    guard: Option<OwnedMutexGuard<()>>,
}

impl KeyLocks {
    /// Waits for the lock of a key, in the order of arrival. Dropping the future gives up the place.
    pub(crate) async fn lock(&self, partition: &Partition) -> KeyGuard {
        let lock = {
            let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match table.get(partition).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::new(AsyncMutex::new(()));
                    table.insert(partition.clone(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        // Made before the wait, so that the entry is reclaimed also when this future is dropped while it waits.
        let mut key = KeyGuard {
            locks: self.clone(),
            partition: partition.clone(),
            guard: None,
        };
        key.guard = Some(lock.lock_owned().await);
        key
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.guard = None;
        let mut table = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.get(&self.partition).is_some_and(|lock| lock.strong_count() == 0) {
            table.remove(&self.partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_excludes_is_handed_on_in_order_and_is_forgotten() {
        let locks = KeyLocks::default();
        let key = Partition::new("k");
        let first = locks.lock(&key).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..3 {
            let (locks, key, order) = (locks.clone(), key.clone(), order.clone());
            waiting.push(tokio::spawn(async move {
                let _guard = locks.lock(&key).await;
                order.lock().unwrap().push(number);
            }));
            tokio::task::yield_now().await;
        }
        assert!(order.lock().unwrap().is_empty());
        drop(first);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
        assert_eq!(locks.len(), 0);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_leaves_nothing_behind() {
        let locks = KeyLocks::default();
        let key = Partition::new("k");
        let first = locks.lock(&key).await;
        {
            let mut second = Box::pin(locks.lock(&key));
            assert!(futures::poll!(second.as_mut()).is_pending());
        }
        drop(first);
        assert_eq!(locks.len(), 0);
    }
}
