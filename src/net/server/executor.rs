//! How the requests of an HTTP/2 connection are begun.

use std::future::Future;
use std::task::{Context, Waker};

/// Takes the first step of a request at once, and the rest in a task of its own.
///
/// A client may begin a hundred requests with one packet, on each of a thousand connections. Were
/// the first step, which asks for credentials and memory, to wait for its turn behind all of them,
/// they would all be held before any could be refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstStepAtOnce;

impl<F> hyper::rt::Executor<F> for FirstStepAtOnce
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        let mut future = Box::pin(future);
        // The task asks again, with a waker that counts.
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::spawn(future);
        }
    }
}
