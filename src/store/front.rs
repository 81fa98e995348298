//! The store front: the process that people ask, without DuckDB in it.
//!
//! A single SELECT can crash DuckDB, ignore its interrupt or take memory past every limit of its
//! own. So DuckDB lives in a child, the engine, and this process stands before it: it takes the
//! requests on the public port, forwards them over a unix socket, and looks at the engine from
//! outside. A statement that cannot be stopped otherwise ends with the engine; the engine is back
//! within seconds (it replays the logs), every client that waited gets a 503 that says what
//! happened, the statement goes to the journal, and a text that did this twice is refused for a
//! while.
//!
//! | module | what |
//! |---|---|
//! | [`child`] | starting the engine, again and again, and ending it |
//! | [`heartbeat`] | a sign that the front goes on, for the watchdog |
//! | [`monitor`] | time and memory, seen from outside |
//! | [`proxy`] | HTTP in, HTTP out |
//! | [`engine_client`] | one request to the engine |
//! | [`crash_statements`] | statements that ended the engine before |
//! | [`state`] | what these share |

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::net::server::Connections;
use crate::net::{Acceptor, Authenticator};
use crate::store::sql;

pub mod child;
pub mod crash_statements;
pub mod engine_client;
pub mod heartbeat;
pub mod monitor;
pub mod proxy;
pub mod state;

pub use child::EngineCommand;
pub use heartbeat::Heartbeat;

use state::State;

/// What the front needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[sql]`.
    pub sql: sql::Config,
    /// Resident memory of the engine, in bytes, over which statements are stopped:
    /// `store.memory_limit` and `sql.memory_limit` together, 1.5 GiB by default.
    pub engine_memory: u64,
    /// Where the engine answers.
    pub query_socket: PathBuf,
    /// Tells that the front goes on.
    pub heartbeat: Heartbeat,
    /// How long past the time limit a statement may go on before the engine is ended.
    pub grace: Duration,
}

impl Config {
    /// The settings of a store in `data_dir`.
    pub fn new(sql: &sql::Config, store: &crate::store::Config, data_dir: &std::path::Path) -> Self {
        Config {
            sql: sql.clone(),
            engine_memory: store.memory_limit.as_u64() + sql.memory_limit.as_u64(),
            query_socket: store.query_socket(data_dir),
            heartbeat: Heartbeat::default(),
            grace: Duration::from_secs(2),
        }
    }
}

/// The SQL port.
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

/// Runs the engine and serves SQL until `shutdown`; then the engine is told to stop and waited for.
/// Ends earlier if the engine can never start.
pub async fn run(config: Config, port: Port, engine: EngineCommand, shutdown: CancellationToken) {
    let state = Arc::new(State::new(config));
    let mut supervised = tokio::spawn(child::supervise(Arc::clone(&state), engine, shutdown.clone()));
    let monitored = tokio::spawn(monitor::run(Arc::clone(&state), shutdown.clone()));
    let ended = tokio::select! {
        () = proxy::serve(port, Arc::clone(&state), shutdown) => supervised.await,
        ended = &mut supervised => ended,
    };
    monitored.abort();
    if ended.is_err() {
        tracing::error!("the supervisor of the engine panicked");
    }
}
