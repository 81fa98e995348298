//! The merger's side of `merge.sock`: one job a connection, a line of JSON each way.
//!
//! Jobs of level 1 are what the log waits for; they do not wait for a day that is being merged. So
//! there are two at a time at most, one of each kind, in one DuckDB: its memory is for both. Those of
//! higher levels run when nobody else wants the processor.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duckdb::Connection;
use parking_lot::Mutex;

use super::{Job, MergeError, Merged, write};
use crate::store::engine::{Stop, failpoint};

/// Bytes of a job: more than the names of all files that it may have.
const MAX_JOB: u64 = 16 << 20;

/// Stack of the threads that call DuckDB.
const STACK: usize = 16 << 20;

/// `nice` of jobs that nobody waits for.
const NICE: i32 = 10;

/// How often a statement of a job that nobody waits for is interrupted.
const AGAIN: Duration = Duration::from_millis(20);

/// How long to wait after a connection could not be taken: for file descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// Does jobs as they come, for as long as the process lives.
pub fn serve(listener: &UnixListener, db: Connection) {
    let merger = Arc::new(Merger { db: Mutex::new(db), urgent: Mutex::default(), background: Mutex::default() });
    for stream in listener.incoming() {
        let merger = merger.clone();
        let work = move |stream| {
            if let Err(error) = merger.answer(&stream) {
                tracing::debug!(%error, "who asked for a merge is gone");
            }
            // Ends the thread that watches it.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        };
        let spawn =
            |stream| std::thread::Builder::new().name("merge".to_owned()).stack_size(STACK).spawn(move || work(stream));
        if let Err(error) = stream.and_then(spawn) {
            tracing::warn!(%error, "cannot take a connection for a merge");
            pause();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "there is no condition to wait for")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Tells when it is dropped: the job is over.
#[derive(Default)]
struct Done(Arc<Stop>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Merger {
    db: Mutex<Connection>,
    /// Held by the job that runs.
    urgent: Mutex<()>,
    background: Mutex<()>,
}

impl Merger {
    fn answer(&self, stream: &UnixStream) -> io::Result<()> {
        let mut line = String::new();
        BufReader::new(stream).take(MAX_JOB).read_line(&mut line)?;
        let job = serde_json::from_str::<Job>(&line);
        let result = match &job {
            Ok(job) => self.merge(job, stream),
            Err(error) => Err(MergeError::Other(format!("the job cannot be read: {error}"))),
        };
        failpoint::reach("merger_before_answer");
        let mut answer = serde_json::to_vec(&result)?;
        answer.push(b'\n');
        let mut stream = stream;
        stream.write_all(&answer).inspect_err(|_| {
            if let Ok(job) = &job {
                // Nobody knows of it.
                let _ = fs::remove_file(job.sealed.join(&job.output));
            }
        })
    }

    fn merge(&self, job: &Job, stream: &UnixStream) -> Result<Merged, MergeError> {
        let db = self.db.lock().try_clone()?;
        let gone = Arc::new(AtomicBool::new(false));
        let done = Done::default();
        let (watched, interrupt) = (stream.try_clone(), db.interrupt_handle());
        let (flag, end) = (gone.clone(), done.0.clone());
        let watch = move || {
            // Nothing more comes; this returns when the other side is gone.
            let _ = watched.and_then(|mut watched| watched.read(&mut [0]));
            flag.store(true, Ordering::Release);
            // A statement that begins only then does not know of it.
            while !end.wait(AGAIN) {
                interrupt.interrupt();
            }
        };
        let spawned = std::thread::Builder::new().name("merge-client".to_owned()).spawn(watch);
        spawned.map_err(|error| MergeError::Other(format!("cannot start a thread: {error}")))?;
        let is_urgent = job.level <= 1 && job.filter.is_none();
        let _turn = if is_urgent { self.urgent.lock() } else { self.background.lock() };
        if !is_urgent {
            // Of this thread alone. A system that refuses it merges all the same.
            let _ = rustix::process::setpriority_process(None, NICE);
        }
        write::write_while(&db, job, &|| !gone.load(Ordering::Acquire))
    }
}
