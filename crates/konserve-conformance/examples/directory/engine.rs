//! An engine that keeps every item as a file: an example of how an engine is written.
//!
//! The file of an address is `<space>/<partition in hexadecimal>/r<row>`. Writers exclude each other, across processes, by a
//! lock on the file `lock`. What is written is synced to disk and then renamed to its place, so that readers need no
//! lock and a crash leaves old or new.

use std::fs::{self, File};
use std::io::{self, ErrorKind as Io, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use konserve_core::backend::*;
use konserve_core::{Environment, Error, ErrorKind, Result, Rev};

/// The most bytes of a partition's text: the name of a path must stay below 4096 bytes.
const LONGEST_PARTITION: usize = 512;

/// A handle on a directory of items. Clones are the same handle.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    root: PathBuf,
    environment: Environment,
    closed: Arc<AtomicBool>,
}

impl Directory {
    /// A handle on the store in a directory, which must exist.
    pub(crate) fn new(root: PathBuf, environment: Environment) -> Self {
        Self {
            root,
            environment,
            closed: Arc::default(),
        }
    }

    /// Does something that blocks, away from the threads that must not. Once begun it is carried through.
    async fn off<T, W>(&self, on_error: ErrorKind, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Self) -> io::Result<T> + Send + 'static,
    {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the handle was closed"));
        }
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.unwrap_or_else(|error| Err(error.into())).map_err(|error| {
            let corrupt = error.kind() == Io::InvalidData;
            let kind = if corrupt { ErrorKind::Corrupt } else { on_error };
            Error::new(kind, "the file system failed").with_source(error)
        })
    }

    /// Puts an occupant at an address, if the condition holds.
    async fn put(&self, at: &Address, new: Occupant, when: When) -> Result<Written> {
        let (limit, given) = (LONGEST_PARTITION as u64, at.partition.as_str().len() as u64);
        if given > limit {
            return Err(Error::new(ErrorKind::TooLarge, "bytes of partition text").with_limit(limit, given));
        }
        let at = at.clone();
        let put = move |this: &Self| {
            let _lock = this.lock()?;
            let current = this.load(&at, true)?;
            if current.as_ref().is_some_and(|current| current.rev() == new.rev()) {
                let previous = Previous::Unknown; // the same mutation, arriving again
                return Ok(Written::Applied { previous });
            }
            if !when.admits(new.rev(), current.as_ref()) {
                return Ok(Written::Refused { current });
            }
            this.replace(&this.file(&at), &new.to_bytes())?;
            let previous = Previous::Known(current);
            Ok(Written::Applied { previous })
        };
        // After an error nobody knows what the disk has.
        self.off(ErrorKind::UnknownOutcome, put).await
    }

    /// Waits for the writers of all processes and keeps others out, for as long as the file stays open.
    fn lock(&self) -> io::Result<File> {
        let file = File::options().create(true).append(true).open(self.root.join("lock"))?;
        file.lock().map(|()| file)
    }

    fn folder(&self, space: Space, partition: &Partition) -> PathBuf {
        let hex: Vec<_> = partition.as_str().bytes().map(|byte| format!("{byte:02x}")).collect();
        // File systems take names of up to 255 bytes.
        let parts: PathBuf = hex.chunks(100).map(|part| part.concat()).collect();
        self.root.join(space.letter().to_string()).join(parts)
    }

    fn file(&self, at: &Address) -> PathBuf {
        self.folder(at.space, &at.partition).join(format!("r{}", at.row))
    }

    /// What is stored at an address. Only a file that is not there is absence; everything else that goes wrong is an error.
    fn stored(&self, at: &Address, body: bool) -> io::Result<Option<Occupant>> {
        let bytes = match fs::read(self.file(at)) {
            Err(error) if error.kind() == Io::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let occupant = Occupant::from_bytes(bytes.into()).map_err(|error| io::Error::new(Io::InvalidData, error))?;
        Ok(Some(match occupant {
            Occupant::Item(item) if !body => Occupant::Item(Item { body: None, ..item }),
            whole => whole,
        }))
    }

    /// What that counts as by now.
    fn load(&self, at: &Address, body: bool) -> io::Result<Option<Occupant>> {
        let now = self.environment.clock.now();
        Ok(self.stored(at, body)?.map(|stored| stored.as_of(now)))
    }

    /// Old or new, and new for good once this returns.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.root.join("new"); // one writer at a time; what a crash left is overwritten
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::rename(&fresh, path)?;
        // The names on the way, of which some may be new.
        let mut folders = folder.ancestors().take_while(|folder| folder.starts_with(&self.root));
        folders.try_for_each(|folder| File::open(folder)?.sync_all())
    }

    /// The addresses in a folder of a space, ascending. Without writers: names that move can be missed.
    fn addresses(&self, space: Space, folder: PathBuf, deep: bool) -> io::Result<Vec<Address>> {
        let _lock = self.lock()?;
        let (mut found, mut folders) = (Vec::new(), vec![folder]);
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == Io::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                match address(space, path.strip_prefix(&self.root).unwrap_or(&path)) {
                    Some(at) => found.push(at),
                    None => folders.extend(deep.then_some(path)),
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Collects, then delivers. An engine for stores that exceed the memory would load as it goes.
    fn stream<T, F>(&self, find: F) -> BoxStream<'static, Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> io::Result<Vec<T>> + Send + 'static,
    {
        let this = self.clone();
        let found = async move { this.off(ErrorKind::Unavailable, find).await };
        let items = stream::once(found).map_ok(|found| stream::iter(found).map(Ok));
        items.try_flatten().boxed()
    }
}

#[async_trait]
impl Backend for Directory {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Reach::Machine, Durability::Disk).with_longest_partition(LONGEST_PARTITION)
    }

    fn identity(&self) -> Option<String> {
        Some(format!("directory:{}", self.root.display()))
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        let at = at.clone();
        let load = move |this: &Self| this.load(&at, how.body);
        let occupant = self.off(ErrorKind::Unavailable, load).await?;
        Ok(occupant.and_then(Occupant::into_item))
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        if how.snapshot {
            return Err(Error::new(ErrorKind::Unsupported, "files know no transactions"));
        }
        let reads = at.iter().map(|at| self.read(at, how));
        futures::future::try_join_all(reads).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.put(at, Occupant::Item(item), when).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.put(at, Occupant::Tombstone(rev), when).await
    }

    async fn commit(&self, _all: Vec<Mutation>) -> Result<Committed> {
        Err(Error::new(ErrorKind::Unsupported, "files know no transactions"))
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        let what = what.to_vec();
        let purge = move |this: &Self| {
            let _lock = this.lock()?;
            for what in what {
                let doomed = match (this.load(what.at(), false)?, &what) {
                    (there, Purge::Row(_)) => there.is_some(),
                    (there, Purge::Tombstone(_, rev)) => there == Some(Occupant::Tombstone(*rev)),
                };
                if doomed {
                    fs::remove_file(this.file(what.at()))?;
                }
            }
            Ok(())
        };
        self.off(ErrorKind::UnknownOutcome, purge).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        self.stream(move |this| {
            let folder = this.folder(query.space, &query.partition);
            let mut rows = this.addresses(query.space, folder, false)?;
            rows.retain(|at| query.range.contains(&at.row));
            if query.order == Order::Descending {
                rows.reverse();
            }
            let item = |at: &Address| Ok(this.load(at, query.how.body)?.and_then(Occupant::into_item));
            let items = rows
                .iter()
                .filter_map(|at| Some(item(at).transpose()?.map(|item| (at.row, item))));
            items.take(query.limit.unwrap_or(usize::MAX)).collect()
        })
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        if !how.part.is_whole() {
            return stream::once(async move { Err(how.part.unknown()) }).boxed();
        }
        self.stream(move |this| {
            let folder = this.root.join(space.letter().to_string());
            let mut found = this.addresses(space, folder, true)?;
            found.retain(|at| how.after.as_ref().is_none_or(|after| at > after));
            let find = |at: &Address| match how.tombstones {
                true => this.stored(at, how.how.body),
                false => Ok(this.load(at, how.how.body)?.filter(|found| found.item().is_some())),
            };
            let found = found.into_iter();
            found
                .filter_map(|at| Some(find(&at).transpose()?.map(|found| (at, found))))
                .collect()
        })
    }

    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }

    fn parts(&self, _space: Space, _how: &Listing) -> Vec<ListingPart> {
        vec![ListingPart::whole()]
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

/// The address of a file, from its path below the root; `None` for folders.
fn address(space: Space, path: &Path) -> Option<Address> {
    let row = path.file_name()?.to_str()?.strip_prefix('r')?.parse().ok()?;
    let hex: String = path.parent()?.iter().skip(1).filter_map(|part| part.to_str()).collect();
    let pairs = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).ok());
    let bytes = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok());
    let text = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
    Some(Address::new(space, Partition::new(text), row))
}
