//! For fields of type [`uuid::Uuid`] that are to be UUIDs in documents, and not 16 bytes.
//!
//! ```
//! use konserve_core::{Value, value};
//! use serde::{Deserialize, Serialize};
//! use uuid::Uuid;
//!
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     #[serde(with = "konserve_core::value::as_uuid")]
//!     id: Uuid,
//! }
//!
//! let id = Uuid::from_u128(7);
//! let document = value::to_value(&User { id })?;
//! assert_eq!(document.get("id"), Some(&Value::Uuid(id)));
//! assert_eq!(value::from_value::<User>(document)?.id, id);
//! # Ok::<(), konserve_core::Error>(())
//! ```

use serde::{Deserialize, Deserializer, Serializer};
use uuid::Uuid;

use super::names;

/// Serializes a UUID as a UUID.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(uuid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(names::UUID, uuid)
}

/// Deserializes a UUID from a UUID or from 16 bytes.
///
/// # Errors
///
/// Those of the deserializer, also when there is no UUID.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    Uuid::deserialize(deserializer)
}
