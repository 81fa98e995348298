//! One thread a destination writes its dead letters: syncing takes as long as the disk takes, and
//! neither receivers nor readers of the log may wait for it behind thousands of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::DeadLetters;
use crate::signal::Batch;

/// Dead letters that wait for a destination's thread; those who bring more wait themselves.
const QUEUE: usize = 16;

/// How long to wait after one could not be written.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the same failure is said.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// Keeps dead letters of one destination. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    batch: Batch,
    reason: String,
    origin: Option<Uuid>,
    done: oneshot::Sender<()>,
}

impl Writer {
    /// Returns when the batch is kept for good, however long that takes. When it is given up before,
    /// the batch is kept all the same or not at all.
    pub async fn keep(&self, batch: &Batch, reason: &str) {
        self.keep_of(batch, reason, None).await;
    }

    /// Does the same, but keeps no second one of the same `origin`.
    pub async fn keep_of(&self, batch: &Batch, reason: &str, origin: Option<Uuid>) {
        loop {
            let (done, kept) = oneshot::channel();
            let job = Job { batch: batch.clone(), reason: reason.to_owned(), origin, done };
            if self.jobs.send(job).await.is_ok() && kept.await.is_ok() {
                return;
            }
            // The thread has ended, which it does not while somebody may ask it.
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// The writers that are in use.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<BTreeMap<String, mpsc::WeakSender<Job>>>);

impl Writers {
    /// The writer of a destination, with a thread that ends with its last user.
    pub(super) fn of(&self, letters: &DeadLetters, destination: &str) -> Writer {
        let mut writers = self.0.lock();
        if let Some(jobs) = writers.get(destination).and_then(mpsc::WeakSender::upgrade) {
            return Writer { jobs };
        }
        let (jobs, waiting) = mpsc::channel(QUEUE);
        writers.insert(destination.to_owned(), jobs.downgrade());
        let (letters, of) = (letters.clone(), destination.to_owned());
        let started =
            std::thread::Builder::new().name("dead-letters".to_owned()).spawn(move || write(&letters, &of, waiting));
        if let Err(error) = started {
            tracing::error!(destination, %error, "no thread for dead letters, none can be kept");
        }
        Writer { jobs }
    }
}

fn write(letters: &DeadLetters, destination: &str, mut jobs: mpsc::Receiver<Job>) {
    let mut said: Option<Instant> = None;
    while let Some(job) = jobs.blocking_recv() {
        // Nobody waits for it any more: the record is still in the log, and comes again.
        while !job.done.is_closed() {
            match letters.keep_of(destination, &job.batch, &job.reason, job.origin) {
                Ok(_) => {
                    let _ = job.done.send(());
                    break;
                }
                Err(error) => {
                    if said.is_none_or(|said| said.elapsed() >= SAID_AGAIN) {
                        said = Some(Instant::now());
                        tracing::error!(destination, %error, "cannot keep a dead letter, trying again");
                    }
                    pause();
                }
            }
        }
    }
}

/// A pause for the disk, on a thread that does nothing else.
#[allow(clippy::disallowed_methods, reason = "a file system tells nobody when it has room again")]
fn pause() {
    std::thread::sleep(AGAIN);
}
