//! Futures that are dropped before they are done.

use std::future::{IntoFuture, poll_fn};
use std::task::Poll;

/// Polls a future as often as something wakes it, but so many times at most, and then drops it at once. Says what it came
/// to, if it came to anything, and how often it was polled.
pub(crate) async fn up_to<F: IntoFuture>(most: usize, future: F) -> (Option<F::Output>, usize) {
    let mut future = Box::pin(future.into_future());
    let mut polls = 0;
    let ended = poll_fn(|context| {
        if polls == most {
            return Poll::Ready(None);
        }
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if polls == most => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    (ended, polls)
}

#[cfg(test)]
mod tests {
    use super::up_to;

    #[tokio::test]
    async fn a_future_is_polled_so_often_and_no_more() {
        for (most, expected) in [(0, (None, 0)), (1, (None, 1)), (2, (Some(7), 2)), (9, (Some(7), 2))] {
            let future = async {
                tokio::task::yield_now().await;
                7
            };
            assert_eq!(up_to(most, future).await, expected);
        }
    }
}
