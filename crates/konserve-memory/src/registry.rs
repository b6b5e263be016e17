//! The stores of this process that have names.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use konserve_core::{Error, ErrorKind, Result};

use crate::data::Data;

pub(crate) fn create(name: &str, make: impl FnOnce() -> Data) -> Result<Arc<Data>> {
    match stores().entry(name.to_owned()) {
        Entry::Occupied(_) => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("the store {name:?} exists in memory"),
        )),
        Entry::Vacant(vacant) => Ok(Arc::clone(vacant.insert(Arc::new(make())))),
    }
}

pub(crate) fn open(name: &str, make: impl FnOnce() -> Data) -> Arc<Data> {
    Arc::clone(stores().entry(name.to_owned()).or_insert_with(|| Arc::new(make())))
}

pub(crate) fn connect(name: &str) -> Result<Arc<Data>> {
    stores().get(name).map(Arc::clone).ok_or_else(|| missing(name))
}

pub(crate) fn exists(name: &str) -> bool {
    stores().contains_key(name)
}

pub(crate) fn delete(name: &str) -> Result<()> {
    let data = stores().remove(name).ok_or_else(|| missing(name))?;
    // Not under the lock of the registry: this waits for whoever is at work in the store.
    data.delete()
}

fn stores() -> MutexGuard<'static, HashMap<String, Arc<Data>>> {
    static STORES: OnceLock<Mutex<HashMap<String, Arc<Data>>>> = OnceLock::new();
    let stores = STORES.get_or_init(Mutex::default);
    stores.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no store {name:?} in memory"))
}
