//! An occupant as one string of bytes, for engines that store nothing finer.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Item, Occupant};
use crate::{Error, ErrorKind, Instant, Result, Rev};

/// The first byte, so that another layout can follow.
const VERSION: u8 = 1;

const ITEM: u8 = 1;
const PINNED: u8 = 1 << 1;
const EXPIRES: u8 = 1 << 2;
const BODY: u8 = 1 << 3;

/// The bytes of an item before its meta.
const HEADER: usize = 2 + 16 + 8 + 8 + 8;

impl Occupant {
    /// This occupant as bytes, for engines that store an occupant as one value: in a file, under a key, in a column.
    ///
    /// No engine must use it. Numbers are big-endian; instants are kept to the millisecond, as the contract demands.
    ///
    /// ```text
    /// tombstone   version: u8 = 1, flags: u8 = 0, rev: 16 bytes
    /// item        version: u8 = 1, flags: u8, rev: 16 bytes, expires: i64, created: i64, length of meta: u64, meta, body
    /// flags       1 item, 2 pinned, 4 expires, 8 has a body; instants are milliseconds since the Unix epoch
    /// ```
    ///
    /// ```
    /// use konserve_core::Rev;
    /// use konserve_core::backend::Occupant;
    ///
    /// let removed = Occupant::Tombstone(Rev::from_bytes([7; 16]));
    /// assert_eq!(Occupant::from_bytes(removed.to_bytes())?, removed);
    /// # Ok::<_, konserve_core::Error>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let Self::Item(item) = self else {
            let mut bytes = BytesMut::with_capacity(18);
            bytes.put_slice(&[VERSION, 0]);
            bytes.put_slice(&self.rev().to_bytes());
            return bytes.freeze();
        };
        let mut flags = ITEM;
        for (is_set, flag) in [
            (item.pinned, PINNED),
            (item.expires.is_some(), EXPIRES),
            (item.body.is_some(), BODY),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        let mut bytes = BytesMut::with_capacity(HEADER + item.size());
        bytes.put_slice(&[VERSION, flags]);
        bytes.put_slice(&item.rev.to_bytes());
        bytes.put_i64(item.expires.map_or(0, Instant::as_millis));
        bytes.put_i64(item.created.as_millis());
        bytes.put_u64(item.meta.len() as u64);
        bytes.put_slice(&item.meta);
        bytes.put_slice(item.body.as_deref().unwrap_or_default());
        bytes.freeze()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes). Meta and body share the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// `corrupt` for anything that [`to_bytes`](Self::to_bytes) does not give. There is no checksum: a body that was cut
    /// off is found out by the checksum of the record in it, or by the engine.
    pub fn from_bytes(bytes: Bytes) -> Result<Self> {
        decoded(bytes).ok_or_else(|| Error::new(ErrorKind::Corrupt, "these bytes are no item and no tombstone"))
    }
}

fn decoded(mut bytes: Bytes) -> Option<Occupant> {
    let (version, flags) = (bytes.try_get_u8().ok()?, bytes.try_get_u8().ok()?);
    let rev = Rev::from_bytes(bytes.try_get_u128().ok()?.to_be_bytes());
    if version != VERSION || flags > ITEM | PINNED | EXPIRES | BODY {
        return None;
    }
    if flags & ITEM == 0 {
        return (flags == 0 && bytes.is_empty()).then_some(Occupant::Tombstone(rev));
    }
    let expires = Instant::from_millis(bytes.try_get_i64().ok()?);
    let created = Instant::from_millis(bytes.try_get_i64().ok()?);
    let length = usize::try_from(bytes.try_get_u64().ok()?).ok()?;
    let meta = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    if flags & BODY == 0 && !bytes.is_empty() {
        return None;
    }
    Some(Occupant::Item(Item {
        rev,
        pinned: flags & PINNED != 0,
        expires: (flags & EXPIRES != 0).then_some(expires),
        created,
        meta,
        body: (flags & BODY != 0).then_some(bytes),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn occupants() -> impl Strategy<Value = Occupant> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
        let millis = || (-1_000_000_000_000_i64..100_000_000_000_000).prop_map(Instant::from_millis);
        let rev = any::<[u8; 16]>().prop_map(Rev::from_bytes);
        let rest = option::of((
            any::<bool>(),
            option::of(millis()),
            millis(),
            bytes(),
            option::of(bytes()),
        ));
        (rev, rest).prop_map(|(rev, rest)| match rest {
            None => Occupant::Tombstone(rev),
            Some((pinned, expires, created, meta, body)) => Occupant::Item(Item {
                rev,
                pinned,
                expires,
                created,
                meta,
                body,
            }),
        })
    }

    proptest! {
        #[test]
        fn every_occupant_comes_back(occupant in occupants()) {
            prop_assert_eq!(Occupant::from_bytes(occupant.to_bytes()).unwrap(), occupant);
        }

        #[test]
        fn what_is_cut_off_before_the_body_is_corrupt(occupant in occupants(), cut in any::<prop::sample::Index>()) {
            let bytes = occupant.to_bytes();
            let body = occupant.item().and_then(|item| item.body.as_ref()).map_or(0, Bytes::len);
            let cut = cut.index(bytes.len() - body);
            let error = Occupant::from_bytes(bytes.slice(..cut)).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::Corrupt);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let bytes = Bytes::from(bytes);
            if let Ok(occupant) = Occupant::from_bytes(bytes.clone()) {
                let again = Occupant::from_bytes(occupant.to_bytes()).unwrap();
                prop_assert_eq!(again, occupant);
            }
        }
    }
}
