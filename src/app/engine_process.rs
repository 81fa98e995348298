//! `vispyr engine`: the process that holds DuckDB. The store front starts it, watches it and
//! starts it again.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Settings, parent, supervisor};
use crate::durable;
use crate::store;
use crate::store::engine::confinement::{self, Confined, Folders};
use crate::store::engine::{self, Engine, EngineError};
use crate::store::sql::service::{Interrupts, Opened, Statement};
use crate::store::sql::{self, SqlError};
use crate::telemetry::process::Usage;

/// Exit code after DuckDB has said that its instance is spoilt.
const SPOILT: i32 = 70;

/// Runs the engine until it is told to stop or its parent is gone.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    engine::panics::end_the_process();
    let mut settings = settings;
    // Asked for while it can be.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    settings.config.store.threads.get_or_insert(u32::try_from(processors).unwrap_or(1));
    confine(&settings)?;
    parent::end_with_it();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors)
        .enable_all()
        .build()
        .context("cannot start the threads for network work")?;
    runtime.block_on(serve(settings))
}

/// Before any other thread is there: the kernel confines only those that start afterwards.
fn confine(settings: &Settings) -> anyhow::Result<()> {
    let store = settings.config.store.dir(&settings.data_dir);
    let sockets = settings.config.store.socket_dir(&settings.data_dir);
    for folder in [&store, &sockets] {
        durable::create_dir(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let threads = Usage::own().threads;
    anyhow::ensure!(threads == 1, "{threads} threads run before the engine is confined");
    match confinement::confine(Folders { writes: &[&store], sockets: &[&sockets], ..Folders::default() })? {
        Confined::Fully => tracing::debug!("the kernel confines the engine to its folder"),
        Confined::Partly => tracing::info!("this kernel's Landlock is old: it confines the engine in part"),
        Confined::Not => tracing::warn!("this kernel has no Landlock: it does not confine the engine to its folder"),
    }
    Ok(())
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut signals = supervisor::Signals::new().context("cannot take over signals")?;
    let Settings { config, data_dir, .. } = settings;
    let shutdown = CancellationToken::new();
    let socket = config.store.query_socket(&data_dir);
    let crashed = std::env::var_os(engine::CRASHED).is_some();
    let store = store::Config { statement_limit: config.sql.time_limit, ..config.store };
    let options = engine::Options { store, data_dir, crashed };
    let ask = |engine: &Arc<Engine>| {
        let listener = listen(&socket)?;
        let service = sql::Service::new(Connections(engine.clone()), config.sql)?;
        let view = Arc::new(EngineView { engine: engine.clone(), service: service.clone() });
        let serve = sql::http::serve(listener, service, view, shutdown.clone());
        tokio::spawn(serve);
        Ok(())
    };
    let stop = async {
        signals.stop().await;
        shutdown.cancel();
        // The second signal means at once; the logs have everything.
        signals.stop().await;
    };
    tokio::select! {
        result = engine::run(options, ask, shutdown.clone()) => Ok(result?),
        () = stop => Ok(()),
    }
}

fn listen(socket: &Path) -> Result<tokio::net::UnixListener, EngineError> {
    let failed = |source| EngineError::Io { action: "listen on", what: socket.display().to_string(), source };
    let listener = engine::socket::bind(socket)?;
    listener.set_nonblocking(true).map_err(failed)?;
    tokio::net::UnixListener::from_std(listener).map_err(failed)
}

/// Connections of the engine, for statements.
struct Connections(Arc<Engine>);

impl sql::Source for Connections {
    fn open(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Result<Opened, SqlError> {
        self.0.wait_until_whole().map_err(|e| SqlError::Unavailable(e.to_string()))?;
        let engine = Arc::clone(&self.0);
        let connect = move || connect(&engine);
        let opened = sql::Source::open(&connect, statement, interrupts)?;
        Ok(Opened { warnings: self.0.warnings(), ..opened })
    }

    fn connect(&self) -> Result<duckdb::Connection, duckdb::Error> {
        connect(&self.0)
    }
}

fn connect(engine: &Engine) -> Result<duckdb::Connection, duckdb::Error> {
    let failed = |why: String| duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(why));
    engine.connect().map_err(|error| match error {
        EngineError::Duckdb(error) => error,
        error => failed(error.to_string()),
    })
}

/// What the query socket tells of the engine beside rows.
struct EngineView {
    engine: Arc<Engine>,
    service: sql::Service,
}

impl sql::http::Engine for EngineView {
    fn stats(&self) -> Value {
        let mut stats = serde_json::to_value(self.engine.stats()).unwrap_or_default();
        if let Value::Object(fields) = &mut stats {
            fields.insert("sql".to_owned(), serde_json::to_value(self.service.metrics()).unwrap_or_default());
            fields.insert("pid".to_owned(), json!(std::process::id()));
            fields.insert("process".to_owned(), serde_json::to_value(Usage::own()).unwrap_or_default());
        }
        stats
    }

    fn health(&self) -> Result<(), String> {
        self.engine.health()
    }

    fn fatal(&self, message: &str) {
        tracing::error!(message, "duckdb's instance is spoilt, ending; the store comes back without loss");
        engine::exit(SPOILT);
    }
}
