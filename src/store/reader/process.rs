//! The process of a reader: a socket, the kernel's walls, its DuckDB, and its end with its parent.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use super::{Changes, Planner, Reader};
use crate::store::instance::Limits;
use crate::store::process::confinement::Folders;
use crate::store::process::{self, EXIT_SPOILT, ProcessError, parent, socket};
use crate::store::sql::http::{Body, Host, plain};
use crate::store::sql::{self, Service};

/// Memory that a reader may ask the kernel for, beyond twice what all readers may hold: stacks, and what is
/// reserved and never used.
const BESIDE: u64 = 2 << 30;

/// Threads for the socket.
const NETWORK_THREADS: usize = 1;

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

/// Runs a reader until the process ends.
///
/// # Errors
/// Why it cannot start.
pub fn run(options: &Options) -> Result<(), ProcessError> {
    let Options { sql, sealed, spill, socket, limits } = options;
    // It makes no other one: its folders have none for sockets.
    let listener = socket::bind(socket)?;
    bound_memory(2 * sql.memory_limit.as_u64() + BESIDE)?;
    process::confine(Folders { reads: &[sealed], writes: &[spill], sockets: &[] })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(NETWORK_THREADS)
        .enable_all()
        .build()
        .map_err(|source| failed("start", "the threads for network work", source))?;
    let planner = Planner::start().map_err(|source| failed("start", "a thread", source))?;
    let reader = Reader::open(sealed, spill, *limits, planner)?;
    let service = Service::new(reader.clone(), sql.clone())?;
    runtime.block_on(serve(listener, service, reader))
}

async fn serve(listener: UnixListener, service: Service, reader: Reader) -> Result<(), ProcessError> {
    let listening = |source| failed("listen on", "the socket", source);
    listener.set_nonblocking(true).map_err(listening)?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(listening)?;
    parent::tell_ready();
    // It has nothing to save: whoever started it ends it.
    sql::http::serve(listener, service, reader, CancellationToken::new()).await;
    Ok(())
}

/// What the kernel gives at most, whatever a single function call asks for.
fn bound_memory(bytes: u64) -> Result<(), ProcessError> {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Data, limit).map_err(|source| failed("bound", "memory", source.into()))
}

fn failed(action: &'static str, what: &str, source: std::io::Error) -> ProcessError {
    ProcessError::Io { action, what: what.to_owned(), source }
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
        process::exit(EXIT_SPOILT);
    }
}
