//! The readers: one or two that wait for statements, more when more are asked for. Each takes memory, so one that is
//! soon free is waited for before another is started, and those beyond need end.
//!
//! A statement has a reader for itself, from when it is sent until its answer is over, as long as there are no
//! more than [`concurrency`](crate::store::sql::Config::concurrency).

use std::collections::HashMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Readers;
use super::beginning::{Beginning, Begun};
use super::reader_process::{End, ReaderProcess, Watched};
use crate::store::sql::SqlError;

/// Readers that wait for a statement, at least, where none runs.
const WARM: usize = 2;

/// And where one runs.
const SPARE: usize = 1;

/// Readers that start at the same time; all at once would all be late.
const STARTING: usize = 2;

/// How long one more than these waits.
const IDLE: Duration = Duration::from_secs(10);

/// How long a statement waits for one of those that run before one more is started: most are over sooner, and a
/// start takes as long.
const SOON: Duration = Duration::from_millis(100);

/// How often it is looked whether one has waited for too long.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

/// How long after a reader that could not be started another is tried.
const AGAIN: Duration = Duration::from_secs(1);

/// Bytes by which a reader may have grown to take another statement. It keeps the footers of files that have gone,
/// which only its end frees; one that has just begun has read what is needed within a few statements.
const GROWN: u64 = 72 << 20;

/// Statements that wait for a reader, for each that may run.
const WAITING: usize = 8;

/// How long a reader has to stop a statement whose client has left.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// How often memory is looked at: a single call can take a gigabyte in a third of a second.
const WATCH_EVERY: Duration = Duration::from_millis(20);

/// Memory of a reader without a statement: it counts for nobody's.
const OWN: u64 = 32 << 20;

/// See the module.
#[derive(Debug)]
pub struct Pool {
    readers: Readers,
    concurrency: usize,
    processors: usize,
    /// Those that wait, the one that was used last at the end.
    idle: Mutex<Vec<ReaderProcess>>,
    /// All that there are.
    watched: Mutex<HashMap<u64, Arc<Watched>>>,
    next: AtomicU64,
    turns: Arc<Semaphore>,
    /// A place for each processor.
    beginning: Beginning,
    waiting: Arc<Semaphore>,
    /// Statements that have waited for a reader for longer than [`SOON`].
    late: AtomicUsize,
    /// One waits now, or could not be started.
    arrived: Notify,
    /// When the last one that could not be started began to start, and why it could not.
    failed: Mutex<Option<(Instant, String)>>,
    /// One was taken or has gone, a statement is late, or there is one too many.
    changed: Notify,
}

/// A reader for one statement.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    reader: Option<ReaderProcess>,
    _turn: OwnedSemaphorePermit,
    begun: Begun,
    _waiting: OwnedSemaphorePermit,
}

/// A statement that is late, as long as it is.
struct Late<'a>(&'a AtomicUsize);

impl<'a> Late<'a> {
    fn new(late: &'a AtomicUsize) -> Self {
        late.fetch_add(1, Ordering::Relaxed);
        Late(late)
    }
}

impl Drop for Late<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// Without a reader yet.
    pub fn new(readers: Readers, concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Pool {
            readers,
            concurrency,
            processors,
            idle: Mutex::default(),
            watched: Mutex::default(),
            next: AtomicU64::new(1),
            turns: Arc::new(Semaphore::new(concurrency)),
            beginning: Beginning::new(processors),
            waiting: Arc::new(Semaphore::new(concurrency * (1 + WAITING))),
            late: AtomicUsize::new(0),
            arrived: Notify::new(),
            failed: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Statements that have a reader now.
    pub fn running(&self) -> usize {
        self.concurrency.saturating_sub(self.turns.available_permits())
    }

    /// Threads for each of the statements that run now, or are about to: more of them than processors would only cost
    /// more.
    pub fn threads(&self) -> u32 {
        share(self.processors, self.running())
    }

    /// A reader for a statement, within `patience`.
    ///
    /// # Errors
    /// If too many wait already, none is free in time, or none can be started.
    pub async fn lease(self: &Arc<Self>, patience: Duration) -> Result<Lease, SqlError> {
        let all = self.concurrency * (1 + WAITING);
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| SqlError::Busy(all))?;
        let turn = tokio::time::timeout(patience, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(SqlError::Busy(self.concurrency)) };
        let begun = self.beginning.wait().await;
        let reader = self.take(patience).await.map_err(SqlError::Unavailable)?;
        Ok(Lease { pool: Arc::clone(self), reader: Some(reader), _turn: turn, begun, _waiting: waiting })
    }

    /// A reader that waits, or the next that does; [`Self::keep_enough`] starts one if that is late. A start that began
    /// before and fails is followed by another.
    async fn take(&self, patience: Duration) -> Result<ReaderProcess, String> {
        let began = Instant::now();
        let mut late = None;
        loop {
            let idle = self.idle.lock().pop();
            self.changed.notify_one();
            if let Some(reader) = idle {
                return Ok(reader);
            }
            let until = if late.is_some() { patience } else { SOON.min(patience) };
            let arrived = tokio::time::timeout(until.saturating_sub(began.elapsed()), self.arrived.notified()).await;
            let failed = self.failed.lock().as_ref().filter(|(at, _)| *at >= began).map(|(_, why)| why.clone());
            if let Some(why) = failed {
                return Err(why);
            }
            if arrived.is_err() {
                if late.is_some() {
                    return Err(format!("no reader was free within {} s", patience.as_secs()));
                }
                late = Some(Late::new(&self.late));
            }
        }
    }

    async fn start(self: Arc<Self>) {
        let began = Instant::now();
        match ReaderProcess::start(&self.readers, self.next.fetch_add(1, Ordering::Relaxed)).await {
            Ok(reader) => {
                self.watched.lock().insert(reader.watched.number, Arc::clone(&reader.watched));
                self.take_back(reader);
            }
            Err(why) => {
                tracing::error!(why, "a reader for statements could not be started");
                *self.failed.lock() = Some((began, why));
                self.arrived.notify_waiters();
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    fn take_back(&self, mut reader: ReaderProcess) {
        let grown_by = reader.watched.memory().unwrap_or_default().saturating_sub(OWN);
        if grown_by > GROWN || !reader.watched.step_forward() {
            self.forget(&reader);
            tokio::spawn(reader.end());
            return;
        }
        reader.idle_since = Instant::now();
        self.idle.lock().push(reader);
        self.arrived.notify_one();
        self.changed.notify_one();
    }

    fn forget(&self, reader: &ReaderProcess) {
        self.watched.lock().remove(&reader.watched.number);
        self.changed.notify_one();
    }

    /// Keeps some readers waiting, and watches the memory of all, until `shutdown`.
    pub async fn keep(self: Arc<Self>, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.keep_enough() => {}
            () = self.watch_memory() => {}
        }
        // Dropping them ends them.
        self.idle.lock().clear();
    }

    /// How many are to be there without a statement, or to be starting: one for each statement that is late, and one
    /// that waits for the next.
    fn wanted(&self) -> usize {
        let all = self.watched.lock().len();
        let warm = if all > self.idle.lock().len() { SPARE } else { WARM };
        warm.max(self.late.load(Ordering::Relaxed))
    }

    /// Starts those that are wanted, and ends those that nobody has needed for long. A start is not given up with the
    /// statement that it is for: the next one takes the reader.
    async fn keep_enough(self: &Arc<Self>) {
        let mut starting = JoinSet::new();
        loop {
            while starting.try_join_next().is_some() {}
            let wanted = self.wanted();
            let surplus = {
                let mut idle = self.idle.lock();
                let over = idle.len() > wanted && idle.first().is_some_and(|oldest| oldest.idle_since.elapsed() > IDLE);
                over.then(|| idle.remove(0))
            };
            if let Some(reader) = surplus {
                self.forget(&reader);
                reader.end().await;
                continue;
            }
            if starting.len() < STARTING && self.idle.lock().len() + starting.len() < wanted {
                starting.spawn(Arc::clone(self).start());
                continue;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                Some(_) = starting.join_next() => {}
                () = tokio::time::sleep(LOOKED_AT_EVERY) => {}
            }
        }
    }

    /// Ends the largest reader while all together take more memory than they may.
    async fn watch_memory(&self) {
        let limit = self.readers.memory;
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let watched: Vec<Arc<Watched>> = self.watched.lock().values().cloned().collect();
            let taken: Vec<(u64, Arc<Watched>)> =
                watched.into_iter().filter_map(|one| Some((one.memory()?, one))).collect();
            let all: u64 = taken.iter().map(|(memory, _)| memory.saturating_sub(OWN)).sum();
            if all <= limit {
                continue;
            }
            let Some((memory, largest)) = taken.into_iter().max_by_key(|(memory, _)| *memory) else { continue };
            let waits = {
                let mut idle = self.idle.lock();
                let place = idle.iter().position(|reader| reader.watched.number == largest.number);
                place.map(|place| idle.remove(place))
            };
            if let Some(reader) = waits {
                self.forget(&reader);
                reader.end().await;
                continue;
            }
            tracing::warn!(
                number = largest.number,
                memory_mib = memory >> 20,
                all_mib = all >> 20,
                limit_mib = limit >> 20,
                "memory of the readers over the limit, ending the largest"
            );
            self.watched.lock().remove(&largest.number);
            let why = format!(
                "the statement took {} MiB of memory, and all statements together more than {} MiB (sql.memory_limit); \
                 its reader was ended",
                memory >> 20,
                limit >> 20
            );
            largest.kill(End { why, by_statement: true });
        }
    }
}

/// Processors for each of some statements: one at least.
fn share(processors: usize, statements: usize) -> u32 {
    u32::try_from(processors / statements.max(1)).unwrap_or(u32::MAX).max(1)
}

impl Lease {
    /// The reader; there is one until the lease is over.
    pub fn reader(&mut self) -> Option<&mut ReaderProcess> {
        self.reader.as_mut()
    }

    /// Its place among those that have just begun.
    pub fn begun(&self) -> Begun {
        self.begun.clone()
    }

    /// What is watched of it, to end it from elsewhere.
    pub fn watched(&self) -> Option<Arc<Watched>> {
        self.reader.as_ref().map(|reader| Arc::clone(&reader.watched))
    }

    /// Where the reader listens.
    pub fn socket(&self) -> Option<PathBuf> {
        self.reader.as_ref().map(|reader| reader.socket().to_owned())
    }

    /// The answer broke off: how the reader has ended, or `None` if it has not.
    pub async fn after_break(mut self) -> Option<End> {
        let reader = self.reader.take()?;
        if reader.is_free().await {
            self.pool.take_back(reader);
            return None;
        }
        self.pool.forget(&reader);
        Some(reader.end_of_broken().await)
    }

    /// The statement is over: the reader takes the next one.
    pub fn release(mut self) {
        if let Some(reader) = self.reader.take() {
            self.pool.take_back(reader);
        }
    }

    /// The reader has ended, or does not answer any more. How it ended.
    pub async fn end_of_reader(mut self) -> End {
        match self.reader.take() {
            Some(reader) => {
                self.pool.forget(&reader);
                reader.end_of_broken().await
            }
            None => End { why: "the reader is gone".to_owned(), by_statement: false },
        }
    }
}

/// The client has left before the answer was over.
impl Drop for Lease {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        let pool = Arc::clone(&self.pool);
        // Without a runtime everything ends anyway.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let freed = async {
                while !reader.is_free().await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            if tokio::time::timeout(STOP_WITHIN, freed).await.is_ok() {
                pool.take_back(reader);
            } else {
                tracing::warn!("a statement ran on after its client had left, ending its reader");
                pool.forget(&reader);
                reader.end().await;
            }
        });
    }
}

#[cfg(test)]
mod tests;
