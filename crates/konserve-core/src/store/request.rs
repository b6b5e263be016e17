//! What all requests have in common: they own what they need, and run when they are awaited or called.

use std::time::Duration;

use super::Store;

/// The part that every request has.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) store: Store,
    pub(crate) timeout: Option<Duration>,
}

impl Common {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            timeout: None,
        }
    }
}

/// Makes a type with a field `common: Common` and a method `async fn run(self) -> $output` a request.
macro_rules! impl_request {
    ([$($generics:tt)*] $type:ty => $output:ty) => {
        impl<$($generics)*> $type {
            /// Gives up after this long: with `unknown_outcome` when a write was on its way, otherwise with `unavailable`.
            pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
                self.common.timeout = Some(timeout);
                self
            }

            /// Runs the request and blocks this thread until it is done.
            #[cfg(feature = "blocking")]
            pub fn call(self) -> $output {
                crate::blocking::wait(self.run())
            }
        }

        impl<$($generics)*> std::future::IntoFuture for $type {
            type Output = $output;
            type IntoFuture = futures::future::BoxFuture<'static, $output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run())
            }
        }
    };
}

/// Gives a request with a field `consistent: bool` its option.
macro_rules! impl_consistent {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $type {
            /// See every write that was acknowledged before.
            pub fn consistent(mut self) -> Self {
                self.consistent = true;
                self
            }
        }
    };
}

/// Gives a request with a field `condition: Condition` its options.
macro_rules! impl_conditions {
    ($type:ty) => {
        impl $type {
            /// Only if the key is absent; otherwise `conflict`.
            pub fn if_absent(mut self) -> Self {
                self.condition = $crate::store::write::Condition::Absent;
                self
            }

            /// Only if the key has exactly this revision; otherwise `conflict`.
            pub fn if_revision(mut self, revision: $crate::Revision) -> Self {
                self.condition = $crate::store::write::Condition::Revision(revision);
                self
            }
        }
    };
}

pub(crate) use {impl_conditions, impl_consistent, impl_request};
