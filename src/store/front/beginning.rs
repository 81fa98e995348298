//! When statements begin. Many that begin at once would all end late, each with a reader and its memory. So they begin
//! one after the other, as many at a time as there are processors; but none waits long for that, and one that
//! [takes long](super::reader_process::Watched::takes_long), or is there after a second, does not count any more.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a statement waits for others that have begun, at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// Places for statements that have just begun.
#[derive(Debug)]
pub struct Beginning {
    places: Arc<Semaphore>,
    patience: Duration,
}

/// A statement has begun. When the last clone is dropped, or it is [ended](Begun::end), another begins.
#[derive(Debug, Clone)]
pub struct Begun(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Beginning {
    /// So many places.
    pub fn new(places: usize) -> Self {
        Beginning { places: Arc::new(Semaphore::new(places)), patience: PATIENCE }
    }

    /// Waits for a place, or long enough.
    pub async fn wait(&self) -> Begun {
        let place = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        // They are never closed.
        Begun(Arc::new(Mutex::new(place.ok().and_then(Result::ok))))
    }
}

impl Begun {
    /// It keeps others from beginning no more.
    pub fn end(&self) {
        self.0.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    const SHORT: Duration = Duration::from_millis(5);

    /// With one place.
    fn beginning(patience: Duration) -> Beginning {
        Beginning { patience, ..Beginning::new(1) }
    }

    #[tokio::test]
    async fn one_begins_when_another_is_over() {
        let beginning = beginning(LONG);
        let first = beginning.wait().await;
        let second = beginning.wait();
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn one_that_runs_long_does_not_count_any_more() {
        let beginning = beginning(LONG);
        let first = beginning.wait().await;
        first.clone().end();
        beginning.wait().await;
    }

    #[tokio::test]
    async fn none_waits_long() {
        let beginning = beginning(SHORT);
        let _first = beginning.wait().await;
        let _others = futures_util::future::join_all((0..10).map(|_| beginning.wait())).await;
        // They took no place of their own.
        assert_eq!(beginning.places.available_permits(), 0);
    }
}
