//! The store front: the process that people ask, without DuckDB in it.
//!
//! Two kinds of children do the work. The engine takes in rows and owns the files and their catalog. Readers
//! run statements over the files, one at a time each: a single SELECT can crash DuckDB, ignore its interrupt
//! or take memory past every limit of its own, and it costs its own reader then. Its client gets a 503
//! that says what happened, the statement goes to the journal, and a text that did this twice is refused for
//! a while. The front reads the catalog to know the files, and waits for the engine before a statement, so
//! that an answer has what was acknowledged before.
//!
//! | module | what |
//! |---|---|
//! | [`engine_process`] | starting the engine, again and again, and ending it |
//! | [`heartbeat`] | a sign that the front goes on, for the watchdog |
//! | [`monitor`] | the engine's memory and health, seen from outside |
//! | [`proxy`] | the port for HTTP |
//! | [`postgres`] | the port for PostgreSQL's protocol |
//! | [`statement`] | one statement, from its request to its answer |
//! | [`pool`], [`reader_process`] | the readers |
//! | [`beginning`] | when statements that come at once begin |
//! | [`file_list`] | the files that they read |
//! | [`client`] | one request to the engine or to a reader |
//! | [`crash_statements`] | statements that ended a reader before |
//! | [`state`] | what these share |

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::net::server::Connections;
use crate::net::{Acceptor, Authenticator};
use crate::store::process::{Command, socket};
use crate::store::sql;

pub mod beginning;
pub mod client;
pub mod crash_statements;
pub mod engine_process;
pub mod file_list;
pub mod heartbeat;
pub mod monitor;
pub mod pool;
pub mod postgres;
pub mod proxy;
pub mod reader_process;
pub mod state;
pub mod statement;

pub use heartbeat::Heartbeat;

use state::State;

/// What the front needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[sql]`.
    pub sql: sql::Config,
    /// Resident memory of the engine, in bytes, over which it is started again: `store.memory_limit`, and
    /// what it has beside DuckDB.
    pub engine_memory: u64,
    /// Where the engine answers.
    pub query_socket: PathBuf,
    /// Where the front answers other processes of ours.
    pub own_socket: PathBuf,
    /// The catalog's file.
    pub catalog: PathBuf,
    /// Tells that the front goes on.
    pub heartbeat: Heartbeat,
    /// How long past the time limit a statement may go on before its reader is ended.
    pub grace: Duration,
}

/// Memory that an engine has beside its DuckDB: records on their way, the program itself.
const BESIDE_DUCKDB: u64 = 512 << 20;

impl Config {
    /// The settings of a store in `data_dir`.
    pub fn new(sql: &sql::Config, store: &crate::store::Config, data_dir: &Path) -> Self {
        Config {
            sql: sql.clone(),
            engine_memory: store.memory_limit.as_u64() + BESIDE_DUCKDB,
            query_socket: store.query_socket(data_dir),
            own_socket: store.front_socket(data_dir),
            catalog: store.dir(data_dir).join("catalog.sqlite"),
            heartbeat: Heartbeat::default(),
            grace: Duration::from_secs(2),
        }
    }
}

/// How readers are started, and what they may take.
#[derive(Debug, Clone)]
pub struct Readers {
    /// A reader's program; its number is an argument more.
    pub command: Command,
    /// Folder of their sockets.
    pub sockets: PathBuf,
    /// Folder of the folders for what their DuckDB has no memory for. All in it is theirs.
    pub spill: PathBuf,
    /// Memory of all of them together, in bytes.
    pub memory: u64,
}

impl Readers {
    /// The readers of a store in `data_dir`.
    pub fn new(command: Command, sql: &sql::Config, store: &crate::store::Config, data_dir: &Path) -> Self {
        Readers {
            command,
            sockets: store.socket_dir(data_dir),
            spill: store.spill_dir(data_dir),
            memory: sql.memory_limit.as_u64(),
        }
    }

    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        let nowhere = PathBuf::from("/nowhere");
        let command = Command { program: nowhere.clone(), args: Vec::new(), env: Vec::new() };
        Readers { command, sockets: nowhere.clone(), spill: nowhere, memory: 0 }
    }

    /// What earlier readers have left: nothing of it is anybody's any more.
    fn clear(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.spill)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, dir = %self.spill.display(), "cannot remove what earlier readers have left");
        }
        let entries = std::fs::read_dir(&self.sockets).into_iter().flatten().flatten();
        for socket in entries.filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with("reader-") && name.ends_with(".sock"))
        }) {
            let _ = std::fs::remove_file(socket.path());
        }
    }
}

/// The ports for statements.
#[derive(Debug)]
pub struct Ports {
    /// SQL over HTTP.
    pub http: Port,
    /// PostgreSQL's protocol, if it is wanted.
    pub postgres: Option<Port>,
}

/// A port for statements.
#[derive(Debug)]
pub struct Port {
    /// Its bound socket.
    pub listener: TcpListener,
    /// Its TLS.
    pub acceptor: Acceptor,
    /// Its credentials.
    pub authenticator: Authenticator,
    /// Its places.
    pub connections: Arc<Connections>,
}

/// Runs the engine and the readers and serves SQL until `shutdown`; then the engine is told to stop and
/// waited for. Ends earlier if the engine can never start.
pub async fn run(config: Config, ports: Ports, engine: Command, readers: Readers, shutdown: CancellationToken) {
    let own = listen(&config.own_socket);
    let cleared = readers.clone();
    if tokio::task::spawn_blocking(move || cleared.clear()).await.is_err() {
        tracing::error!("what earlier readers have left could not be removed");
    }
    let state = Arc::new(State::new(config, readers));
    let mut supervised = tokio::spawn(engine_process::supervise(Arc::clone(&state), engine, shutdown.clone()));
    let monitored = tokio::spawn(monitor::run(Arc::clone(&state), shutdown.clone()));
    let kept = tokio::spawn(Arc::clone(&state.pool).keep(shutdown.clone()));
    let asked = own.map(|own| tokio::spawn(proxy::serve_own(own, Arc::clone(&state), shutdown.clone())));
    let postgres = async {
        if let Some(port) = ports.postgres {
            postgres::serve(port, Arc::clone(&state), shutdown.clone()).await;
        }
    };
    let served = async { tokio::join!(proxy::serve(ports.http, Arc::clone(&state), shutdown.clone()), postgres) };
    let ended = tokio::select! {
        _ = served => supervised.await,
        ended = &mut supervised => ended,
    };
    monitored.abort();
    kept.abort();
    if let Some(asked) = asked {
        asked.abort();
        let _ = std::fs::remove_file(&state.config.own_socket);
    }
    if ended.is_err() {
        tracing::error!("the supervisor of the engine panicked");
    }
}

/// Only metrics come over this socket: without it everything else goes on.
fn listen(path: &Path) -> Option<UnixListener> {
    let bound = socket::bind(path).map_err(|error| error.to_string()).and_then(|listener| {
        let listener = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        listener.map_err(|error| error.to_string())
    });
    match bound {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::error!(error, "the collector cannot ask the store for its metrics");
            None
        }
    }
}
