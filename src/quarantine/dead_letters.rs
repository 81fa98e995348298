//! What a destination will never accept, kept for people: they look at it, mend the destination,
//! and send it again or let it go.
//!
//! # The decision
//!
//! One folder a destination (`DATA/dead-letters/<destination>/`), one file a letter ([`dead_letter`]):
//! a head of JSON that `head -3` shows, with its checksum, then the payload as it was. A dead letter is
//! synced before [`DeadLetters::keep`] returns, since the log forgets the record after that. The
//! folder is bounded ([`folder`]): the oldest dead letters go, and are counted. What is damaged is
//! named in the list and bothers nobody else.
//!
//! The ledger counts an item as set aside when it comes here, once. What becomes of it after that
//! has counters of its own ([`metrics`]): it is out of the ledger.

mod dead_letter;
mod folder;
mod metrics;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytesize::ByteSize;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::folder::{Folder, Index, Items, MAX_LETTERS};
use self::writer::Writers;
use crate::signal::{Batch, Signal, now_nanos};
use crate::telemetry::Telemetry;

pub use self::dead_letter::{DeadLetter, DeadLetterId, Head};
pub use self::writer::Writer;

/// Threads for what is done by hand, at most.
const TURNS: usize = 4;

/// Settings (`[dead_letters]`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What one destination's dead letters may take on disk; the oldest go first. The newest one stays
    /// whatever its size.
    pub max_size: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_size: ByteSize::mib(256) }
    }
}

/// Sends a batch to a destination as it is configured now.
pub trait Resend: Send + Sync + 'static {
    /// One try, without any repetition; what the destination said. A destination that is not
    /// configured any more cannot say: [`Retried::Later`].
    fn send<'a>(&'a self, id: &'a DeadLetterId, head: &'a Head, batch: Batch) -> BoxFuture<'a, Retried>;
}

/// What became of a dead letter that was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// The destination took it, and the dead letter is gone. It may have rejected some of the items.
    Accepted {
        /// Items that the destination rejected by its own word.
        rejected: u64,
        /// What it said about them.
        message: String,
    },
    /// The destination took it, and could lose it yet: the dead letter stays until whoever sent it says
    /// otherwise, with [`DeadLetters::resent`] or [`DeadLetters::refused_again`].
    Taken,
    /// It was refused once more; the dead letter stays, with this reason.
    Refused(String),
    /// The destination could not say; the dead letter stays, with this reason.
    Later(String),
}

/// Why something could not be done with a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// There is none of this id (any more).
    #[error("no dead letter {0}")]
    Unknown(String),
    /// Its file is not what was written.
    #[error("dead letter {id} is damaged: {reason}")]
    Damaged {
        /// Which.
        id: DeadLetterId,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else sends it again at this moment.
    #[error("dead letter {0} is being sent already")]
    Busy(DeadLetterId),
    /// A file operation failed.
    #[error("dead letter {id}: {source}")]
    Io {
        /// Which.
        id: DeadLetterId,
        /// The system's answer.
        source: io::Error,
    },
}

/// The dead letters of all destinations. Cheap to clone, one for the process.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    max_size: Mutex<u64>,
    folders: Mutex<BTreeMap<String, Arc<Folder>>>,
    /// Those that are being sent now.
    sending: Mutex<Vec<DeadLetterId>>,
    writers: Writers,
    /// Turns for those who ask by hand: a disk that hangs holds so many threads and no more.
    turns: Semaphore,
}

impl DeadLetters {
    /// Reads the heads of all dead letters in `dir`, which is made when the first dead letter comes. Blocks.
    ///
    /// # Errors
    ///
    /// The folder cannot be read. Damaged dead letters are no error.
    pub fn open(dir: PathBuf, max_size: ByteSize, telemetry: &Telemetry) -> io::Result<Self> {
        let mut folders = BTreeMap::new();
        for name in folder::list(&dir)? {
            let folder = Folder::open(&dir, &name)?;
            for letter in folder.index.lock().letters() {
                if let Err(reason) = &letter.head {
                    tracing::error!(letter = %letter.id, reason, "dead letter is damaged");
                }
            }
            folders.insert(name, Arc::new(folder));
        }
        let letters = DeadLetters {
            inner: Arc::new(Inner {
                dir,
                max_size: Mutex::new(max_size.as_u64()),
                folders: Mutex::new(folders),
                sending: Mutex::default(),
                writers: Writers::default(),
                turns: Semaphore::new(TURNS),
            }),
        };
        let collector = metrics::DeadLetterMetrics(letters.clone());
        telemetry.with_registry(|registry| registry.register_collector(Box::new(collector)));
        Ok(letters)
    }

    /// Another bound, from the next dead letter on.
    pub fn set_max_size(&self, max_size: ByteSize) {
        *self.inner.max_size.lock() = max_size.as_u64();
    }

    /// Keeps a batch that `destination` refused for `reason`. Durable when it returns; blocks.
    /// Counting it as set aside is the caller's.
    ///
    /// # Errors
    ///
    /// It could not be written (a full disk, mostly): the caller still has it.
    pub fn keep(&self, destination: &str, batch: &Batch, reason: &str) -> io::Result<DeadLetterId> {
        self.keep_of(destination, batch, reason, None)
    }

    /// Does the same, but not if there is a dead letter of the same `origin` already.
    ///
    /// # Errors
    ///
    /// As of [`Self::keep`].
    pub fn keep_of(
        &self,
        destination: &str,
        batch: &Batch,
        reason: &str,
        origin: Option<Uuid>,
    ) -> io::Result<DeadLetterId> {
        let max_size = *self.inner.max_size.lock();
        let folder = self.folder(destination)?;
        let id = folder.add(batch, reason, origin, now_nanos())?;
        for letter in folder.bound(max_size, MAX_LETTERS) {
            tracing::warn!(destination, letter = %letter.id, "dead letters take too much room, the oldest is dropped");
        }
        Ok(id)
    }

    /// What keeps a destination's dead letters, all of them from one thread.
    pub fn writer(&self, destination: &str) -> Writer {
        self.inner.writers.of(self, destination)
    }

    /// All dead letters, of each destination the oldest first.
    pub fn list(&self) -> Vec<DeadLetter> {
        let folders: Vec<_> = self.inner.folders.lock().values().cloned().collect();
        folders.iter().flat_map(|folder| folder.index.lock().letters().cloned().collect::<Vec<_>>()).collect()
    }

    /// Number of dead letters of a destination and signal.
    pub fn count(&self, destination: &str, signal: Signal) -> u64 {
        let folder = self.inner.folders.lock().get(destination).cloned();
        let of_signal = |letter: &&DeadLetter| letter.head.as_ref().is_ok_and(|head| head.signal == signal);
        folder.map_or(0, |folder| folder.index.lock().letters().filter(of_signal).count() as u64)
    }

    /// A dead letter and what is in it. Blocks.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be read.
    pub fn read(&self, id: &DeadLetterId) -> Result<(Head, Batch), DeadLetterError> {
        let folder = self.known(id)?;
        // Nothing is locked while it reads: a dead letter's file is replaced, never changed.
        let path = folder.path(id).ok_or_else(|| DeadLetterError::Unknown(id.to_string()))?;
        match dead_letter::read(&path) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(reason)) => Err(DeadLetterError::Damaged { id: id.clone(), reason }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DeadLetterError::Unknown(id.to_string())),
            Err(source) => Err(DeadLetterError::Io { id: id.clone(), source }),
        }
    }

    /// Deletes a dead letter that nobody wants any more. Blocks.
    ///
    /// # Errors
    ///
    /// There is none, it is being sent, or it cannot be deleted.
    pub fn drop_letter(&self, id: &DeadLetterId) -> Result<DeadLetter, DeadLetterError> {
        let _sending = self.send_alone(id)?;
        let letter = self.remove(id, |index| &mut index.deleted)?;
        let letter = letter.ok_or_else(|| DeadLetterError::Unknown(id.to_string()))?;
        tracing::info!(letter = %id, items = letter.items(), "dead letter dropped by hand");
        Ok(letter)
    }

    /// Sends a dead letter once more. It goes when the destination takes it, else it stays with the
    /// new reason.
    ///
    /// # Errors
    ///
    /// There is none, it is damaged, being sent already, or its file cannot be changed.
    pub async fn retry(&self, id: &DeadLetterId, through: &dyn Resend) -> Result<Retried, DeadLetterError> {
        let _sending = self.send_alone(id)?;
        let (head, batch) = self.blocking(id, |letters, id| letters.read(&id)).await?;
        let retried = through.send(id, &head, batch).await;
        match &retried {
            Retried::Taken => self.known(id)?.note_taken(id),
            Retried::Accepted { .. } => {
                // If it had to go for room meanwhile, that is just as well.
                self.blocking(id, |letters, id| letters.remove(&id, |index| &mut index.resent)).await?;
                tracing::info!(letter = %id, items = head.items, "dead letter accepted by the destination");
            }
            Retried::Refused(reason) | Retried::Later(reason) => self.refused_again(id, reason).await?,
        }
        Ok(retried)
    }

    /// A dead letter that was taken is so for good: it goes.
    ///
    /// # Errors
    ///
    /// Its file cannot be deleted.
    pub async fn resent(&self, id: &DeadLetterId) -> Result<(), DeadLetterError> {
        self.blocking(id, |letters, id| letters.remove(&id, |index| &mut index.resent)).await?;
        tracing::info!(letter = %id, "dead letter accepted by the destination for good");
        Ok(())
    }

    /// A dead letter was sent again and stays, for this reason.
    ///
    /// # Errors
    ///
    /// There is none, or its file cannot be changed.
    pub async fn refused_again(&self, id: &DeadLetterId, reason: &str) -> Result<(), DeadLetterError> {
        let reason = reason.to_owned();
        let note = move |letters: DeadLetters, id: DeadLetterId| {
            let folder = letters.known(&id)?;
            let noted = folder.note_retry(&id, &reason, now_nanos());
            noted.map_err(|source| DeadLetterError::Io { id, source })
        };
        self.blocking(id, note).await
    }

    fn remove(
        &self,
        id: &DeadLetterId,
        count: fn(&mut Index) -> &mut Items,
    ) -> Result<Option<DeadLetter>, DeadLetterError> {
        self.known(id)?.remove(id, count).map_err(|source| DeadLetterError::Io { id: id.clone(), source })
    }

    /// Does something with a dead letter where that may block.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub async fn blocking<T: Send + 'static>(
        &self,
        id: &DeadLetterId,
        work: impl FnOnce(DeadLetters, DeadLetterId) -> Result<T, DeadLetterError> + Send + 'static,
    ) -> Result<T, DeadLetterError> {
        let _turn = self.inner.turns.acquire().await;
        let (letters, of) = (self.clone(), id.clone());
        match tokio::task::spawn_blocking(move || work(letters, of)).await {
            Ok(result) => result,
            Err(error) => Err(DeadLetterError::Io { id: id.clone(), source: io::Error::other(error) }),
        }
    }

    /// The folder of a destination, made if it is not there.
    fn folder(&self, destination: &str) -> io::Result<Arc<Folder>> {
        if let Some(folder) = self.inner.folders.lock().get(destination) {
            return Ok(folder.clone());
        }
        let folder = Arc::new(Folder::create(&self.inner.dir, destination)?);
        // Somebody else may have been quicker.
        Ok(self.inner.folders.lock().entry(destination.to_owned()).or_insert(folder).clone())
    }

    fn known(&self, id: &DeadLetterId) -> Result<Arc<Folder>, DeadLetterError> {
        let folder = self.inner.folders.lock().get(id.destination()).cloned();
        folder.ok_or_else(|| DeadLetterError::Unknown(id.to_string()))
    }

    /// Nobody else sends or drops it meanwhile.
    fn send_alone(&self, id: &DeadLetterId) -> Result<Sending, DeadLetterError> {
        let mut sending = self.inner.sending.lock();
        if sending.contains(id) {
            return Err(DeadLetterError::Busy(id.clone()));
        }
        sending.push(id.clone());
        Ok(Sending { letters: self.clone(), id: id.clone() })
    }
}

/// Marks a dead letter as being sent until it is dropped.
struct Sending {
    letters: DeadLetters,
    id: DeadLetterId,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.letters.inner.sending.lock().retain(|id| *id != self.id);
    }
}
