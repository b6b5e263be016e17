//! The CBOR tags that are written or understood.

/// RFC 3339 text. Understood.
pub(super) const DATE_TIME: u64 = 0;
/// Seconds since the Unix epoch. Understood.
pub(super) const EPOCH: u64 = 1;
/// A byte string as a whole number. Written beyond 64 bits.
pub(super) const POSITIVE_BIGNUM: u64 = 2;
/// A byte string as −1 minus a whole number. Written beyond 64 bits.
pub(super) const NEGATIVE_BIGNUM: u64 = 3;
/// The name of a type and its contents. Written for tagged values.
pub(super) const OBJECT: u64 = 27;
/// 16 bytes. Written for UUIDs.
pub(super) const UUID: u64 = 37;
/// An identifier as text. Written for keywords, with the colon.
pub(super) const IDENTIFIER: u64 = 39;
/// An array without repetition. Written for sets.
pub(super) const SET: u64 = 258;
/// Extended time (RFC 9581): a map with the seconds under 1 and the nanoseconds under −9. Written for instants.
pub(super) const EXTENDED_TIME: u64 = 1001;
/// Says that CBOR follows. Understood.
pub(super) const SELF_DESCRIBED: u64 = 55799;

/// The key of the whole seconds in an extended time.
pub(super) const SECONDS: i128 = 1;
/// The key of the nanoseconds in an extended time.
pub(super) const NANOSECONDS: i128 = -9;
