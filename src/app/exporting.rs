//! The exporters that run, and how they come and go while everything else goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exporters::config::{Kind, Tls};
use crate::exporters::delivery::Delivery;
use crate::exporters::destination::Destination;
use crate::exporters::outcome::Outcome;
use crate::exporters::store::{StoreDelivery, resend::Resender};
use crate::exporters::{Config, Exporters, client::BuildError, store};
use crate::quarantine::dead_letters::{DeadLetterId, DeadLetters, Head, Resend, Retried};
use crate::signal::{Batch, Signal};
use crate::telemetry::Telemetry;
use crate::wal::Logs;

/// A destination cannot be used as the config says.
#[derive(Debug, thiserror::Error)]
#[error("exporters.{name}: {source}")]
pub struct ExporterError {
    /// Which.
    pub name: String,
    /// Why.
    pub source: BuildError,
}

/// What every exporter needs of the rest.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The logs.
    pub logs: Logs,
    /// The ledger.
    pub telemetry: Telemetry,
    /// Where goes what a destination will never take.
    pub dead_letters: DeadLetters,
    /// The socket of the store of this config.
    pub store_socket: PathBuf,
    /// Told when an exporter ends that should not.
    pub ends: mpsc::UnboundedSender<&'static str>,
    /// Ends all of them.
    pub shutdown: CancellationToken,
    /// Their tasks.
    pub tasks: TaskTracker,
}

/// What a change of the config has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: Vec<String>,
    /// Those that go on otherwise.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
}

/// The exporters that run. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporting {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    around: Surroundings,
    connected: Gauge,
    running: Mutex<BTreeMap<String, Running>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Running {
    config: Config,
    /// Nothing for a store.
    destination: Option<Destination>,
    /// Sends dead letters again to a store.
    resender: Option<Resender>,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Exporting {
    /// None yet.
    pub fn new(around: Surroundings) -> Self {
        let connected = store::connected(&around.telemetry);
        let inner = Inner { around, connected, running: Mutex::default(), changing: tokio::sync::Mutex::default() };
        Exporting { inner: Arc::new(inner) }
    }

    /// Makes these the exporters that run: new ones are registered with the logs, those that are
    /// gone are stopped and forgotten there, changed ones go on where they were.
    /// Others are not touched. After an error nothing has changed.
    ///
    /// # Errors
    /// A file that one of them names is missing or not good.
    pub async fn apply(&self, exporters: &Exporters) -> Result<Changes, ExporterError> {
        let _alone = self.inner.changing.lock().await;
        let mut changes = Changes::default();
        let mut start = BTreeMap::new();
        for (name, config) in exporters {
            let known = self.inner.running.lock().get(name).map(|running| running.config.clone());
            match known {
                None => changes.added.push(name.clone()),
                // Certificates may have been renewed in the same files.
                Some(known) if known == *config && known.tls == Tls::default() => continue,
                Some(_) => changes.changed.push(name.clone()),
            }
            start.insert(name.clone(), (config.clone(), build(name, config).await?));
        }
        // First the new ones are registered: one that was given another name, or signals of
        // another, takes over what waits, which the log would delete with the last cursor. Stores first:
        // what one of another name has not had must not be dropped before the new one is known.
        let (stores, others): (Vec<_>, Vec<_>) = start.iter().partition(|(_, (config, _))| config.is_store());
        for (name, (config, _)) in stores.into_iter().chain(others) {
            self.register(name, config).await;
        }
        let gone = |name: &String| !exporters.contains_key(name);
        changes.removed = self.inner.running.lock().keys().filter(|name| gone(name)).cloned().collect();
        for name in changes.removed.iter().chain(&changes.changed) {
            self.stop(name).await;
        }
        for name in &changes.removed {
            self.forget(name, &Signal::ALL).await;
            self.inner.around.telemetry.health().forget(name);
        }
        for (name, (config, destination)) in start {
            self.start(name, config, destination).await;
        }
        Ok(changes)
    }

    /// Everything that would keep [`Self::apply`] from changing anything.
    pub async fn check(&self, exporters: &Exporters) -> Vec<ExporterError> {
        let mut wrong = Vec::new();
        for (name, config) in exporters {
            if let Err(error) = build(name, config).await {
                wrong.push(error);
            }
        }
        wrong
    }

    /// Whether a destination is a store, which shows what waits for it.
    pub fn is_store(&self, name: &str) -> bool {
        self.inner.running.lock().get(name).is_some_and(|running| running.destination.is_none())
    }

    /// The types of the destinations by their names.
    pub fn types(&self) -> BTreeMap<String, &'static str> {
        let kind = |running: &Running| running.config.kind.map_or("", Kind::name);
        self.inner.running.lock().iter().map(|(name, running)| (name.clone(), kind(running))).collect()
    }

    /// Stops one; what is in flight has a moment to end.
    async fn stop(&self, name: &str) {
        let Some(running) = self.inner.running.lock().remove(name) else { return };
        running.shutdown.cancel();
        for task in running.tasks {
            // One that panicked has said so itself.
            let _ = task.await;
        }
    }

    /// The logs keep nothing more for it.
    async fn forget(&self, name: &str, signals: &[Signal]) {
        let (logs, name, signals) = (self.inner.around.logs.clone(), name.to_owned(), signals.to_vec());
        let forget = move || {
            for signal in signals {
                if let Some(left) = logs.of(signal).remove(&name)
                    && left.lag_items > 0
                {
                    let items = left.lag_items;
                    tracing::warn!(destination = name, %signal, items, "destination removed, it never got these");
                }
            }
        };
        let _ = tokio::task::spawn_blocking(forget).await;
    }

    /// The logs keep what comes for it from now on. One that they know goes on where it is.
    async fn register(&self, name: &str, config: &Config) {
        let (logs, destination, signals) = (self.inner.around.logs.clone(), config.destination(name), config.signals());
        let register = move || {
            for signal in signals {
                logs.of(signal).add(&destination);
            }
        };
        let _ = tokio::task::spawn_blocking(register).await;
    }

    /// Starts one that is registered.
    async fn start(&self, name: String, config: Config, destination: Option<Destination>) {
        let around = &self.inner.around;
        let signals = config.signals();
        let others: Vec<Signal> = Signal::ALL.into_iter().filter(|signal| !signals.contains(signal)).collect();
        self.forget(&name, &others).await;
        let shutdown = around.shutdown.child_token();
        let mut tasks = Vec::new();
        let mut resender = None;
        match &destination {
            Some(destination) => {
                for signal in signals {
                    let delivery = Delivery {
                        name: name.clone(),
                        destination: destination.clone(),
                        log: around.logs.of(signal).clone(),
                        concurrency: config.concurrency,
                        telemetry: around.telemetry.clone(),
                        dead_letters: around.dead_letters.clone(),
                    };
                    tasks.push(self.spawn(&shutdown, delivery.run(shutdown.clone())));
                }
            }
            None => {
                let socket = config.socket.clone().unwrap_or_else(|| around.store_socket.clone());
                let (logs, telemetry) = (around.logs.clone(), around.telemetry.clone());
                let connected = self.inner.connected.clone();
                let (sends, requests) = Resender::new();
                resender = Some(sends);
                let (name, dead_letters) = (name.clone(), around.dead_letters.clone());
                let delivery = StoreDelivery { name, logs, socket, connected, telemetry, dead_letters, requests };
                tasks.push(self.spawn(&shutdown, delivery.run(shutdown.clone())));
            }
        }
        self.inner.running.lock().insert(name, Running { config, destination, resender, shutdown, tasks });
    }

    fn spawn(&self, shutdown: &CancellationToken, run: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let end = End { shutdown: shutdown.clone(), ends: self.inner.around.ends.clone() };
        self.inner.around.tasks.spawn(async move {
            run.await;
            drop(end);
        })
    }
}

/// Tells when an exporter ends without being told to, also when it panics.
struct End {
    shutdown: CancellationToken,
    ends: mpsc::UnboundedSender<&'static str>,
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.shutdown.is_cancelled() {
            let _ = self.ends.send("an exporter");
        }
    }
}

/// Reads the files that the config names; nothing for a store.
async fn build(name: &str, config: &Config) -> Result<Option<Destination>, ExporterError> {
    if config.is_store() {
        return Ok(None);
    }
    let of = config.clone();
    let built = tokio::task::spawn_blocking(move || Destination::new(&of)).await;
    let built = built.unwrap_or_else(|error| Err(BuildError::Config(error.to_string())));
    built.map(Some).map_err(|source| ExporterError { name: name.to_owned(), source })
}

impl Resend for Exporting {
    fn send<'a>(&'a self, id: &'a DeadLetterId, head: &'a Head, batch: Batch) -> BoxFuture<'a, Retried> {
        let name = id.destination();
        let to = self.inner.running.lock().get(name).map(|to| (to.destination.clone(), to.resender.clone()));
        async move {
            let to = match to {
                Some((Some(destination), _)) => destination,
                Some((None, Some(store))) => return store.send(id, head, batch).await,
                _ => return Retried::Later(format!("there is no destination {name:?} in the config")),
            };
            // Its type may be another one by now, whose server may misread what was for the old one.
            if !to.takes(&batch) {
                let (format, signal) = (batch.format.name(), batch.signal);
                return Retried::Refused(format!("destination {name:?} takes no {signal} as {format} now"));
            }
            match to.send(batch.signal, std::iter::once(&batch)).await {
                Outcome::Accepted { rejected, message } => Retried::Accepted { rejected, message },
                Outcome::Refused { reason } => Retried::Refused(reason),
                Outcome::Later { reason, .. } => Retried::Later(reason),
            }
        }
        .boxed()
    }
}
