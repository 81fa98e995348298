//! Threads for work that blocks: what receivers and readers of the log need has pools of its own.
//!
//! Tokio has one pool of 512 threads for everything: name lookups, compression for exporters, dead
//! letters. Lookups that hang or work that waits for its turn can fill it. A request or a read of the
//! log that also goes there then waits for work that has nothing to do with it.

use std::io;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// The checks of large bodies in receivers. Admission lets as many in at a time as there are cores.
pub static RECEIVERS: Pool = Pool::new("receivers", 64);

/// Reads of the log, one at a time for each destination and signal, and looks at its folder.
pub static LOG: Pool = Pool::new("log-readers", 256);

/// Threads for one purpose. They start when there is work and end after some seconds without.
#[derive(Debug)]
pub struct Pool {
    name: &'static str,
    /// So many at most; what is more waits.
    threads: usize,
    /// Only the blocking threads of this runtime are used; it never runs a task.
    runtime: Mutex<Option<Runtime>>,
}

impl Pool {
    const fn new(name: &'static str, threads: usize) -> Self {
        Pool { name, threads, runtime: Mutex::new(None) }
    }

    /// Runs `work` on one of the threads.
    ///
    /// # Errors
    /// It panicked, or the system has no thread for it.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        self.start(work)?.await.map_err(io::Error::other)
    }

    fn start<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
        let mut runtime = self.runtime.lock();
        if let Some(runtime) = &*runtime {
            return Ok(runtime.spawn_blocking(work));
        }
        let new = Builder::new_current_thread().thread_name(self.name).max_blocking_threads(self.threads).build()?;
        Ok(runtime.insert(new).spawn_blocking(work))
    }
}
