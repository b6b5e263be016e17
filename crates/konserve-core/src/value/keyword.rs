//! Keywords.

use std::sync::Arc;

/// An identifier, `:name` or `:namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyword(Arc<str>);
