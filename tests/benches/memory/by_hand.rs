//! A plain sharded map that holds encoded documents: what a program does that needs no store.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use konserve_tests::document::{Customer, decode, encode};

type Shard = HashMap<String, Bytes>;

/// Encoded documents by key.
pub(crate) struct ByHand {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

impl ByHand {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..64).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Customer> {
        let bytes = self.with(key, |shard| shard.get(key).cloned());
        bytes.map(|bytes| decode(&bytes))
    }

    pub(crate) fn assoc(&self, key: &str, customer: &Customer) {
        let bytes = Bytes::from(encode(customer));
        self.with(key, |shard| shard.insert(key.to_owned(), bytes));
    }

    pub(crate) fn update(&self, key: &str) -> Option<u64> {
        self.with(key, |shard| {
            let bytes = shard.get_mut(key)?;
            let mut customer = decode(bytes);
            customer.visits += 1;
            *bytes = Bytes::from(encode(&customer));
            Some(customer.visits)
        })
    }

    fn with<R>(&self, key: &str, f: impl FnOnce(&mut Shard) -> R) -> R {
        let shard = self.hasher.hash_one(key) as usize % self.shards.len();
        f(&mut self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner))
    }
}
