//! The running services: started in one order, stopped in the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::addresses::Opened;
use super::admission_metrics::AdmissionMetrics;
use super::dead_letters::DeadLetterService;
#[cfg(feature = "demo")]
use super::demo;
use super::destination_metrics::DestinationMetrics;
use super::exporting::{Exporting, Surroundings};
use super::lag::Lag;
use super::log_metrics::LogMetrics;
use super::open_ports::{self, OpenPorts};
use super::places::Places;
use super::port_metrics::PortMetrics;
use super::reload::{Collector, Reload};
use super::state::State;
use super::store_client::StoreClient;
use super::store_metrics::StoreMetrics;
use super::view::AppView;
use super::{Roles, Settings, storage, store_start, watch, watchdog};
use crate::config::Config;
use crate::durable;
use crate::exporters;
use crate::net::Ports;
use crate::net::origin::Hosts;
use crate::receivers::{self, Admission, Pipeline};
use crate::signal::Signal;
use crate::store::{front, merge};
use crate::tail::Tap;
use crate::telemetry::Telemetry;
use crate::wal::Logs;
use crate::web::{self, View};

/// How long the receivers wait for the store at the start, and how long readiness waits after that.
const STORE_PATIENCE: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(7)];

/// By which part of the time for a stop each stage has to be over.
const DEMO_SHARE: f64 = 0.1;
const RECEIVERS_SHARE: f64 = 0.5;
const EXPORTERS_SHARE: f64 = 0.6;
const STORE_SHARE: f64 = 0.95;

/// Services that are stopped together.
#[derive(Debug, Default)]
struct Stage {
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Stage {
    async fn stop(&self, name: &str, until: Instant) {
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout_at(until.into(), self.tasks.wait()).await.is_err() {
            tracing::warn!(stage = name, "does not stop in time, going on without it");
        }
    }
}

/// Everything that runs.
#[derive(Debug)]
pub struct Services {
    /// What listens where.
    pub addresses: BTreeMap<&'static str, SocketAddr>,
    /// Acceptors and authenticators of the ports.
    pub ports: Ports,
    data_dir: std::path::PathBuf,
    state: State,
    demo: Stage,
    receivers: Stage,
    exporters: Stage,
    store: Stage,
    web: Stage,
    logs: Option<Logs>,
    tap: Tap,
    front: Option<front::Heartbeat>,
    /// For a change of the config.
    reload: Option<Reload>,
    ends: mpsc::UnboundedSender<&'static str>,
    ended: mpsc::UnboundedReceiver<&'static str>,
}

impl Services {
    /// Starts everything, in order. An error here is one that a person has to see to.
    pub async fn start(settings: &Settings, roles: Roles) -> anyhow::Result<Self> {
        let Settings { config, data_dir, .. } = settings;
        if roles.store {
            // The collector connects there when the store has made it: under systemd it is another user.
            let run_dir = config.store.socket_dir(data_dir);
            durable::create_dir(&run_dir).with_context(|| format!("cannot make the folder {}", run_dir.display()))?;
        }
        let with_store = config.store.enabled;
        let mut open = OpenPorts::open(settings, roles)?;
        let (ends, ended) = mpsc::unbounded_channel();
        let mut services = Services {
            addresses: open.addresses(),
            ports: open.ports(),
            data_dir: data_dir.clone(),
            state: State::waiting_for(&["logs", "store", "receivers"]),
            demo: Stage::default(),
            receivers: Stage::default(),
            exporters: Stage::default(),
            store: Stage::default(),
            web: Stage::default(),
            logs: None,
            tap: Tap::default(),
            front: None,
            reload: None,
            ends,
            ended,
        };
        if let Err(error) = services.opened().write(data_dir) {
            // Only commands on this machine miss it. A full disk must not prevent the start, which
            // is what would empty it.
            tracing::warn!(%error, "cannot write run/addresses.json, commands have to be told the ports");
        }

        let telemetry = Telemetry::new();
        let client = with_store.then(|| Arc::new(StoreClient::new(config.store.front_socket(data_dir))));
        let view = Arc::new(AppView {
            state: services.state.clone(),
            telemetry: telemetry.clone(),
            tap: services.tap.clone(),
            logs: Mutex::new(None),
            letters: Mutex::new(None),
            exporting: OnceLock::new(),
            store: client.clone(),
            addresses: services.addresses.clone(),
            data_dir: data_dir.clone(),
            recent: settings.recent.clone(),
            started: Instant::now(),
            history: Mutex::default(),
            running: OnceLock::new(),
        });
        let places = Places::new(config);
        if let Some((listener, security)) = open.take("web") {
            let shutdown = services.web.shutdown.clone();
            let shown = (view.clone() as Arc<dyn View>, Hosts::new(&config.web.hosts));
            let serve = web::serve(listener, security, places.web.clone(), shown, shutdown);
            services.spawn(&services.web, "web", serve);
        }
        let storage = if roles.collector {
            let logs = storage::open_logs(settings).await?;
            telemetry.with_registry(|registry| {
                registry.register_collector(Box::new(LogMetrics {
                    logs: logs.clone(),
                    health: telemetry.health().clone(),
                    data_dir: data_dir.clone(),
                }));
                registry.register_collector(Box::new(PortMetrics(services.ports.clone())));
                if let Some(client) = &client {
                    registry.register_collector(Box::new(StoreMetrics(client.clone())));
                }
            });
            *view.logs.lock() = Some(logs.clone());
            let letters = storage::open_letters(settings, &telemetry).await?;
            let letters = DeadLetterService::new(letters);
            *view.letters.lock() = Some(letters.clone());
            services.logs = Some(logs.clone());
            Some((logs, letters))
        } else {
            None
        };
        services.state.done("logs");
        if roles.store && with_store {
            store_start::check(settings).await?;
            services.start_store(settings, &mut open, &places)?;
        }
        let store_is_up = match &client {
            Some(client) => tokio::select! {
                up = store_start::wait_for(client, STORE_PATIENCE[0]) => up,
                part = services.ended() => anyhow::bail!("{part} ended by itself"),
            },
            None => true,
        };
        let mut collector = None;
        if let Some((logs, letters)) = storage {
            let exporting = services.start_exporters(settings, &logs, &telemetry, &letters).await?;
            view.set_exporting(exporting.clone());
            let admission = services.start_receivers(config, &mut open, places.receivers, logs.clone(), &telemetry);
            collector = Some(Collector { exporting, admission, letters: letters.letters().clone() });
            #[cfg(feature = "demo")]
            if settings.demo {
                services.demo.tasks.spawn(demo::open(&services.opened(), services.demo.shutdown.clone())?);
            }
            let shutdown = services.web.shutdown.clone();
            let view = view.clone();
            let lag = Lag::new(logs, telemetry.health().clone());
            tokio::spawn(async move { shutdown.run_until_cancelled(watch::run(view, lag)).await });
        }
        let reload = Reload::new(settings, roles, services.ports.clone(), collector);
        view.set_running(reload.running());
        services.reload = Some(reload);
        services.state.done("receivers");
        if !store_is_up
            && let Some(client) = &client
            && !store_start::wait_for(client, STORE_PATIENCE[1]).await
        {
            tracing::warn!("the store does not answer yet; what arrives is kept in the logs");
        }
        services.state.done("store");
        let parts = watchdog::Parts { logs: services.logs.clone(), front: services.front.clone() };
        tokio::spawn(watchdog::run(parts, services.web.shutdown.clone()));
        Ok(services)
    }

    /// What is written down for those who look for us.
    pub fn opened(&self) -> Opened {
        open_ports::opened(&self.addresses, &self.ports)
    }

    /// Reads the config again, and what it names. False if all stays as it was.
    pub async fn reload(&mut self) -> bool {
        let Some(reload) = &mut self.reload else { return false };
        if !reload.run().await {
            return false;
        }
        // Those who look for us may have to show something else now.
        if let Err(error) = self.opened().write(&self.data_dir) {
            tracing::warn!(%error, "cannot write run/addresses.json");
        }
        true
    }

    fn start_store(&mut self, settings: &Settings, open: &mut OpenPorts, places: &Places) -> anyhow::Result<()> {
        let Some((listener, (acceptor, authenticator))) = open.take("sql") else { return Ok(()) };
        let http = front::Port { listener, acceptor, authenticator, connections: places.sql.clone() };
        let postgres = open.take("postgres").map(|(listener, (acceptor, authenticator))| {
            let connections = places.postgres.clone();
            front::Port { listener, acceptor, authenticator, connections }
        });
        let ports = front::Ports { http, postgres };
        let config = front::Config::new(&settings.config.sql, &settings.config.store, &settings.data_dir);
        self.front = Some(config.heartbeat.clone());
        let engine = store_start::engine_command(settings)?;
        let reader = store_start::command(settings, "reader")?;
        let readers = front::Readers::new(reader, &settings.config.sql, &settings.config.store, &settings.data_dir);
        let run = front::run(config, ports, engine, readers, self.store.shutdown.clone());
        self.spawn(&self.store, "the store front", run);
        let merger = store_start::command(settings, "merger")?;
        let merger = merge::process::supervise(merger, self.store.shutdown.clone());
        self.spawn(&self.store, "the supervisor of the merger", merger);
        Ok(())
    }

    async fn start_exporters(
        &self,
        settings: &Settings,
        logs: &Logs,
        telemetry: &Telemetry,
        letters: &DeadLetterService,
    ) -> anyhow::Result<Exporting> {
        let config = &settings.config;
        let exporting = Exporting::new(Surroundings {
            logs: logs.clone(),
            telemetry: telemetry.clone(),
            dead_letters: letters.letters().clone(),
            store_socket: config.store.ingest_socket(&settings.data_dir),
            ends: self.ends.clone(),
            shutdown: self.exporters.shutdown.clone(),
            tasks: self.exporters.tasks.clone(),
        });
        let exporters = exporters::with_store(&config.exporters, config.store.enabled);
        exporting.apply(&exporters).await.context("cannot start the exporters")?;
        let metrics = Box::new(DestinationMetrics(exporting.clone()));
        telemetry.with_registry(|registry| registry.register_collector(metrics));
        letters.send_through(Arc::new(exporting.clone()));
        Ok(exporting)
    }

    fn start_receivers(
        &self,
        config: &Config,
        open: &mut OpenPorts,
        connections: usize,
        logs: Logs,
        telemetry: &Telemetry,
    ) -> Arc<Admission> {
        let admission = Arc::new(Admission::with_cap(config.admission.clone(), connections));
        let metrics = Box::new(AdmissionMetrics(admission.clone()));
        telemetry.with_registry(|registry| registry.register_collector(metrics));
        let pipeline = |(acceptor, authenticator)| {
            let (logs, admission, telemetry) = (logs.clone(), admission.clone(), telemetry.clone());
            Pipeline { logs, admission, telemetry, tap: self.tap.clone(), acceptor, authenticator }
        };
        let shutdown = || self.receivers.shutdown.clone();
        if let Some((listener, security)) = open.take("otlp_grpc") {
            let serve = receivers::otlp_grpc::serve(listener, pipeline(security), shutdown());
            self.spawn(&self.receivers, "the otlp_grpc receiver", serve);
        }
        if let Some((listener, security)) = open.take("otlp_http") {
            let serve = receivers::otlp_http::serve(
                listener,
                config.receivers.otlp_http.clone(),
                pipeline(security),
                shutdown(),
            );
            self.spawn(&self.receivers, "the otlp_http receiver", serve);
        }
        if let Some((listener, security)) = open.take("remote_write") {
            let serve = receivers::remote_write::serve(listener, pipeline(security), shutdown());
            self.spawn(&self.receivers, "the remote_write receiver", serve);
        }
        if let Some((listener, security)) = open.take("pyroscope") {
            let serve = receivers::pyroscope::serve(listener, pipeline(security), shutdown());
            self.spawn(&self.receivers, "the pyroscope receiver", serve);
        }
        admission
    }

    fn spawn(&self, stage: &Stage, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let end = End { name, ends: self.ends.clone() };
        stage.tasks.spawn(async move {
            part.await;
            drop(end);
        });
    }

    /// Waits until one of them ends, which none should before it is told to; its name.
    pub async fn ended(&mut self) -> &'static str {
        // Never none: we hold a sender ourselves.
        self.ended.recv().await.unwrap_or("a part")
    }

    /// Stops everything, in order, within about this time.
    pub async fn stop(&self, within: Duration) {
        let begin = Instant::now();
        let until = |part: f64| begin + within.mul_f64(part);
        self.state.gone("the end: it is stopping");
        // The demo may send the rest of what it has while the receivers are there, and a little longer
        // than that it is not waited for.
        self.demo.shutdown.cancel();
        self.demo.tasks.close();
        let _ = tokio::time::timeout_at(until(DEMO_SHARE).into(), self.demo.tasks.wait()).await;
        self.receivers.stop("receivers", until(RECEIVERS_SHARE)).await;
        self.tap.close();
        self.exporters.stop("exporters", until(EXPORTERS_SHARE)).await;
        self.store.stop("store", until(STORE_SHARE)).await;
        if let Some(logs) = self.logs.clone() {
            let closed = tokio::task::spawn_blocking(move || {
                std::thread::scope(|threads| {
                    for signal in Signal::ALL {
                        let log = logs.of(signal);
                        threads.spawn(|| log.close());
                    }
                });
            });
            if let Err(error) = closed.await {
                tracing::error!(%error, "cannot close the logs");
            }
        }
        self.opened().forget(&self.data_dir);
        self.web.stop("web", until(1.0)).await;
    }
}

/// Tells when a part ends, also when it panics.
struct End {
    name: &'static str,
    ends: mpsc::UnboundedSender<&'static str>,
}

impl Drop for End {
    fn drop(&mut self) {
        // Nobody listens any more once we stop.
        let _ = self.ends.send(self.name);
    }
}
