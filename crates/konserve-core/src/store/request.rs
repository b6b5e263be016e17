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

/// Gives a request that replaces a key as a whole, with a field `expiry: Result<Expiry>`, its option.
macro_rules! impl_ttl {
    ($type:ty) => {
        impl $type {
            /// Lets the key be absent from this long after it is written on, for every read, condition, listing and update, by the
            /// clock of the store that asks. At most a hundred years; zero is `invalid_input`.
            pub fn ttl(mut self, ttl: std::time::Duration) -> Self {
                self.expiry = $crate::placement::Expiry::after(ttl);
                self
            }
        }
    };
}

/// Gives a request that changes a document, with a field `expiry: Option<Result<Expiry>>`, its options.
macro_rules! impl_new_ttl {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $type {
            /// Lets the document be absent from this long after it is written on, whatever its expiry was; otherwise as
            /// [`Assoc::ttl`](crate::store::Assoc::ttl).
            pub fn ttl(mut self, ttl: std::time::Duration) -> Self {
                self.expiry = Some($crate::placement::Expiry::after(ttl));
                self
            }

            /// Takes the expiry from the document, if it has one: it then stays for good.
            pub fn permanent(mut self) -> Self {
                self.expiry = Some(Ok($crate::placement::Expiry::Never));
                self
            }
        }
    };
}

pub(crate) use {impl_conditions, impl_consistent, impl_new_ttl, impl_request, impl_ttl};
