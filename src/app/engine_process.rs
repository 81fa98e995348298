//! `vispyr engine`: the process that takes rows in and owns the store's files. The store front starts it,
//! watches it and starts it again.
//!
//! On `query.sock` it tells of itself, and runs nobody's SQL:
//!
//! | request | answer |
//! |---|---|
//! | `GET /whole` | 200 once the files have what was acknowledged before; 503 if that takes long |
//! | `GET /-/healthy` | 200 if it gets on |
//! | `GET /stats` | its metrics as JSON |

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Settings, supervisor};
use crate::net::server::{self, Connections, Limits};
use crate::store;
use crate::store::engine::{self, Engine};
use crate::store::process::confinement::{Confined, Folders};
use crate::store::process::{self, ProcessError, parent, socket};
use crate::store::sql::http::{Body, json, plain};
use crate::telemetry::process::Usage;

/// Runs the engine until it is told to stop or its parent is gone.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    let mut settings = settings;
    // Asked for while it can be.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    settings.config.store.threads.get_or_insert(u32::try_from(processors).unwrap_or(1));
    let store = settings.config.store.dir(&settings.data_dir);
    let sockets = settings.config.store.socket_dir(&settings.data_dir);
    match process::confine(Folders { reads: &[], writes: &[&store], sockets: &[&sockets] })? {
        Confined::Fully => {}
        Confined::Partly => tracing::info!("this kernel's Landlock is old: it confines the engine in part"),
        Confined::Not => tracing::warn!("this kernel has no Landlock: it does not confine the engine to its folder"),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors)
        .enable_all()
        .build()
        .context("cannot start the threads for network work")?;
    runtime.block_on(serve(settings))
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
        let engine = Arc::clone(engine);
        let connections = Connections::new(Limits::default(), usize::MAX);
        let handler = move |request| answer(request, Arc::clone(&engine));
        tokio::spawn(server::serve("query.sock", listener, connections, shutdown.clone(), handler));
        parent::tell_ready();
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

fn listen(socket: &Path) -> Result<tokio::net::UnixListener, ProcessError> {
    let failed = |source| ProcessError::io("listen on", socket, source);
    let listener = socket::bind(socket)?;
    listener.set_nonblocking(true).map_err(failed)?;
    tokio::net::UnixListener::from_std(listener).map_err(failed)
}

async fn answer(request: Request<Incoming>, engine: Arc<Engine>) -> Response<Body> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = tokio::task::spawn_blocking(move || match (&method, path.as_str()) {
        (&Method::GET, "/whole") => well(engine.wait_until_whole()),
        (&Method::GET, "/-/healthy") => well(engine.health()),
        (&Method::GET, "/stats") => json(StatusCode::OK, &stats(&engine)),
        _ => plain(StatusCode::NOT_FOUND, "no such path\n"),
    });
    let stopping = |_| plain(StatusCode::SERVICE_UNAVAILABLE, "the engine is stopping\n");
    answered.await.unwrap_or_else(stopping)
}

fn well(well: Result<(), String>) -> Response<Body> {
    match well {
        Ok(()) => plain(StatusCode::OK, "ok\n"),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
    }
}

fn stats(engine: &Engine) -> Value {
    let mut stats = serde_json::to_value(engine.stats()).unwrap_or_default();
    if let Value::Object(fields) = &mut stats {
        fields.insert("pid".to_owned(), serde_json::json!(std::process::id()));
        fields.insert("process".to_owned(), serde_json::to_value(Usage::own()).unwrap_or_default());
    }
    stats
}
