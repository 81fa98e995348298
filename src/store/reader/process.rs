//! The process of a reader: a socket, the kernel's walls, its DuckDB, and its end with its parent.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use super::{Changes, Limits, Planner, Reader};
use crate::durable;
use crate::store::engine::confinement::{self, Confined, ConfinementError, Folders};
use crate::store::engine::{self, EngineError, socket};
use crate::store::sql::http::{Body, Host, plain};
use crate::store::sql::{self, Service};

/// Exit code after DuckDB has said that its instance is spoilt.
pub const SPOILT: i32 = 70;

/// Memory that a reader may ask the kernel for, beyond twice what all readers may hold: stacks, and what is
/// reserved and never used.
const BESIDE: u64 = 2 << 30;

/// Threads for the socket.
const NETWORK_THREADS: usize = 1;

/// Why a reader could not start.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// A folder.
    #[error("cannot create {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A limit or a thread.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The kernel.
    #[error(transparent)]
    Confinement(#[from] ConfinementError),
    /// Its socket.
    #[error(transparent)]
    Socket(#[from] EngineError),
    /// DuckDB.
    #[error("duckdb: {0}")]
    Duckdb(#[from] duckdb::Error),
}

/// Where a reader runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// `[sql]`.
    pub sql: sql::Config,
    /// Folder of the sealed files.
    pub sealed: PathBuf,
    /// Its own folder, for what its DuckDB has no memory for.
    pub spill: PathBuf,
    /// Where it listens.
    pub socket: PathBuf,
    /// Of its DuckDB.
    pub limits: Limits,
}

/// Runs a reader until the process ends. Once the kernel confines it, `confined` is called, which may start
/// threads.
///
/// # Errors
/// Why it cannot start.
pub fn run(options: &Options, confined: impl FnOnce()) -> Result<(), ReaderError> {
    let Options { sql, sealed, spill, socket, limits } = options;
    for folder in [sealed, spill] {
        let failed = |source| ReaderError::Folder { path: folder.clone(), source };
        durable::create_dir(folder).map_err(failed)?;
    }
    let listener = socket::bind(socket)?;
    bound_memory(2 * sql.memory_limit.as_u64() + BESIDE)?;
    confine(sealed, spill)?;
    confined();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(NETWORK_THREADS)
        .enable_all()
        .build()
        .map_err(|source| ReaderError::System { what: "cannot start the threads for network work", source })?;
    let planner = Planner::start().map_err(|source| ReaderError::System { what: "cannot start a thread", source })?;
    let reader = Reader::open(sealed, spill, limits, planner)?;
    let service = Service::new(reader.clone(), sql.clone())?;
    runtime.block_on(serve(listener, service, reader))
}

async fn serve(listener: UnixListener, service: Service, reader: Reader) -> Result<(), ReaderError> {
    let failed = |source| ReaderError::System { what: "cannot listen", source };
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
    // It has nothing to save: whoever started it ends it.
    sql::http::serve(listener, service, reader, CancellationToken::new()).await;
    Ok(())
}

/// What the kernel gives at most, whatever a single function call asks for.
fn bound_memory(bytes: u64) -> Result<(), ReaderError> {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    let failed = |source: rustix::io::Errno| ReaderError::System { what: "cannot bound memory", source: source.into() };
    setrlimit(Resource::Data, limit).map_err(failed)
}

fn confine(sealed: &Path, spill: &Path) -> Result<(), ReaderError> {
    match confinement::confine(Folders { reads: &[sealed], writes: &[spill], sockets: &[] })? {
        Confined::Fully => tracing::debug!("the kernel confines the reader to its folders"),
        Confined::Partly => tracing::debug!("this kernel's Landlock is old: it confines the reader in part"),
        Confined::Not => tracing::debug!("this kernel has no Landlock: it does not confine the reader"),
    }
    Ok(())
}

impl Host for Reader {
    fn answer(&self, method: &Method, path: &str, body: Bytes) -> Response<Body> {
        if (method, path) != (&Method::PUT, "/files") {
            return plain(StatusCode::NOT_FOUND, "no such path\n");
        }
        match serde_json::from_slice::<Changes>(&body) {
            Ok(changes) => {
                self.change(changes);
                plain(StatusCode::NO_CONTENT, "")
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, &format!("{error}\n")),
        }
    }

    fn fatal(&self, message: &str) {
        tracing::error!(message, "duckdb's instance is spoilt, the reader ends");
        engine::exit(SPOILT);
    }
}
