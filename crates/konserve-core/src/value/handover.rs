//! How a deserializer of this crate gives a whole [`Value`] to a type that contains one, exactly and at once.

use std::cell::Cell;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, EnumAccess, VariantAccess, Visitor};

use super::{Value, names};

thread_local! {
    /// The value on its way, between two lines of [`hand_over`]. Visitors are generic: nothing of a type that serde does
    /// not know can be passed to them.
    static ON_ITS_WAY: Cell<Option<Value>> = const { Cell::new(None) };
}

/// Gives a value to the visitor that came with the name [`names::VALUE`].
pub(crate) fn hand_over<'de, V: Visitor<'de>, E: de::Error>(value: Value, visitor: V) -> Result<V::Value, E> {
    ON_ITS_WAY.set(Some(value));
    let result = visitor.visit_enum(BorrowedStrDeserializer::new(names::VALUE));
    // Still there when the visitor was not that of a value but of some type that goes by the same name.
    ON_ITS_WAY.take();
    result
}

/// Takes what [`hand_over`] gives; `None` when it is something else that is deserialized as an enum.
pub(super) fn take_over<'de, A: EnumAccess<'de>>(access: A) -> Result<Option<Value>, A::Error> {
    let (name, content) = access.variant::<&str>()?;
    if name != names::VALUE {
        return Ok(None);
    }
    content.unit_variant()?;
    Ok(ON_ITS_WAY.take())
}
