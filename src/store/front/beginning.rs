//! When statements begin. Many that begin at once would all end late, each with memory of its own. So they begin
//! one after the other, as many at a time as there are processors; but none waits long for that, and one that runs
//! long does not count any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

/// How long a statement that runs keeps others from beginning, at most. Most are over by then.
const LASTS: Duration = Duration::from_millis(250);

/// How long a statement waits for others that have begun, at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// Places for statements that have just begun.
#[derive(Debug)]
pub struct Beginning {
    places: Arc<Semaphore>,
    lasts: Duration,
    patience: Duration,
}

/// A statement has begun. When this is dropped it is over, and another begins.
#[derive(Debug)]
pub struct Begun(#[expect(dead_code, reason = "its end is told by dropping it")] oneshot::Sender<()>);

impl Beginning {
    /// So many places.
    pub fn new(places: usize) -> Self {
        Beginning { places: Arc::new(Semaphore::new(places)), lasts: LASTS, patience: PATIENCE }
    }

    /// Waits for a place, or long enough.
    pub async fn wait(&self) -> Begun {
        let place = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        let (begun, over) = oneshot::channel();
        if let Ok(Ok(place)) = place {
            let lasts = self.lasts;
            tokio::spawn(async move {
                let _ = tokio::time::timeout(lasts, over).await;
                drop(place);
            });
        }
        Begun(begun)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    const SHORT: Duration = Duration::from_millis(5);

    /// With one place.
    fn beginning(lasts: Duration, patience: Duration) -> Beginning {
        Beginning { lasts, patience, ..Beginning::new(1) }
    }

    #[tokio::test]
    async fn one_begins_when_another_is_over() {
        let beginning = beginning(LONG, LONG);
        let first = beginning.wait().await;
        let second = beginning.wait();
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn one_that_runs_long_does_not_count_any_more() {
        let beginning = beginning(SHORT, LONG);
        let _first = beginning.wait().await;
        beginning.wait().await;
    }

    #[tokio::test]
    async fn none_waits_long() {
        let beginning = beginning(LONG, SHORT);
        let _first = beginning.wait().await;
        let _others = futures_util::future::join_all((0..10).map(|_| beginning.wait())).await;
        // They took no place of their own.
        assert_eq!(beginning.places.available_permits(), 0);
    }
}
