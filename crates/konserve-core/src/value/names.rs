//! The names by which values that serde knows nothing of recognise each other.
//!
//! `serde` has no keywords, sets, tags or instants. They serialize as newtype structs of these names around a plain form.
//! A serializer or deserializer of this crate recognises the name; any other format sees the plain form alone.
//!
//! | name | plain form |
//! |---|---|
//! | [`KEYWORD`] | text, `:name` or `:namespace/name` |
//! | [`INSTANT`] | text, RFC 3339 |
//! | [`UUID`] | 16 bytes; hyphenated text in human-readable formats |
//! | [`SET`] | a sequence, in order and without duplicates |
//! | [`TAGGED`] | a tuple of the tag, as text, and the value |
//!
//! A [`Value`](super::Value) asks for `deserialize_newtype_struct` of the name [`VALUE`]. A deserializer of this crate then
//! gives it the whole value by [`hand_over`](super::hand_over), and has checked the depth. Any other calls
//! `visit_newtype_struct`, and its `deserialize_any` is taken for what it is.

/// A keyword.
pub(crate) const KEYWORD: &str = "konserve::Keyword";
/// A point in time.
pub(crate) const INSTANT: &str = "konserve::Instant";
/// A UUID that is to stay one; `uuid::Uuid` itself serializes as bytes.
pub(crate) const UUID: &str = "konserve::Uuid";
/// A set.
pub(crate) const SET: &str = "konserve::Set";
/// A tag with its value.
pub(crate) const TAGGED: &str = "konserve::Tagged";
/// Any value, exactly. Only deserialized.
pub(crate) const VALUE: &str = "konserve::Value";
/// The name of the struct, and of its one field, as which a `serde_json` number serializes when that crate is built with
/// `arbitrary_precision`: the field is the number as text.
pub(crate) const JSON_NUMBER: &str = "$serde_json::private::Number";
