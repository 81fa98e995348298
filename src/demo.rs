//! A make-believe shop of four services that sends what real applications send, over the real
//! protocols: a first look at the product, and a source of known counts for tests.
//!
//! | module | what |
//! |---|---|
//! | `load` | how many requests come when, what goes wrong when |
//! | `shop`, `request_trace` | the services, and what a request does on its way through them |
//! | `traces`, `metrics`, `instruments`, `span_metrics`, `logs`, `logs_json` | the same in OpenTelemetry's words |
//! | `host`, `database` | remote write 1.0 and 2.0 |
//! | `stacks`, `profiler`, `pprof`, `otlp_profiles` | profiles |
//! | `world` | all of them at one point of time |
//! | `payload`, `attempt`, `send`, [`report`] | handing over, trying again, keeping account |
//!
//! The shop has a clock of its own that runs a few seconds behind, so that every span has ended
//! when it is sent. History is the same clock set back and run as fast as the receivers take it.

mod attempt;
mod attributes;
mod database;
mod host;
mod instruments;
mod load;
mod logs;
mod logs_json;
mod metrics;
mod otlp_profiles;
mod payload;
mod pprof;
mod profiler;
pub mod report;
mod request_trace;
mod send;
mod shop;
mod span_metrics;
mod stacks;
mod traces;
mod world;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::net::CredentialFiles;

use self::attempt::Clients;
use self::report::Report;
use self::send::Sender;
use self::world::{Due, World};

/// How far the shop's clock is behind, in seconds: longer than its slowest request.
const BEHIND: u64 = 5;
/// Between two collections of metrics, in seconds, as the agent does.
const METRICS_EVERY: u64 = 15;
/// Between two profiles, in seconds; of history, fewer are enough.
const PROFILES_EVERY: u64 = 15;
const PROFILES_OF_HISTORY_EVERY: u64 = 60;
/// While history is sent, so many spans go into one request, as in the agent's batches.
const BATCH: u64 = 2_000;
/// What is under way at the end has this long to arrive.
const GRACE: Duration = Duration::from_secs(10);

/// A receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub address: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// What it is trusted by, and shown.
    pub files: CredentialFiles,
}

impl Endpoint {
    /// A receiver without TLS that asks for nothing.
    pub fn plain(address: impl Into<String>) -> Endpoint {
        Endpoint { address: address.into(), ..Endpoint::default() }
    }
}

/// Where the receivers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// OTLP over gRPC.
    pub otlp_grpc: Endpoint,
    /// OTLP over HTTP.
    pub otlp_http: Endpoint,
    /// Prometheus remote write.
    pub remote_write: Endpoint,
    /// Pyroscope.
    pub pyroscope: Endpoint,
}

impl Endpoints {
    /// The default ports of a host.
    pub fn on(host: &str) -> Endpoints {
        let at = |port: u16| {
            Endpoint::plain(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
        };
        Endpoints { otlp_grpc: at(4317), otlp_http: at(4318), remote_write: at(9090), pyroscope: at(9999) }
    }
}

/// What the demo does.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where to send.
    pub endpoints: Endpoints,
    /// Requests a second, the mean of a day: evenings have more, early mornings less.
    pub rate: f64,
    /// How long to send live data; without it until shutdown.
    pub duration: Option<Duration>,
    /// How much of the past is sent first.
    pub history: Duration,
    /// Of all dice: the same seed at the same time of day gives the same telemetry.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config { endpoints: Endpoints::on("127.0.0.1"), rate: 10.0, duration: None, history: Duration::ZERO, seed: 1 }
    }
}

/// Why the demo cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An endpoint is no `HOST:PORT`.
    #[error("not an address to send to: {0}")]
    Endpoint(#[from] http::uri::InvalidUri),
    /// Certificates or credentials that are to be shown cannot be read.
    #[error("{0}")]
    Credentials(#[from] crate::net::Findings),
    /// The rate is negative, not a number, or beyond what one second can hold.
    #[error("the rate must be between 0 and 100000 requests a second, not {0}")]
    Rate(f64),
}

/// Sends until the duration is over or `shutdown` is set, waits for the last answers and gives
/// the account. Receivers that are away are waited for.
///
/// # Errors
/// When the config makes no sense. What receivers say is in the report.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<Report, Error> {
    if !(0.0..=100_000.0).contains(&config.rate) {
        return Err(Error::Rate(config.rate));
    }
    let begin = Instant::now();
    let clients = Clients::new(&config.endpoints)?;
    let mut sender = Sender::new(&clients, shutdown.clone());

    let live_from = now() - BEHIND;
    let first = live_from - config.history.as_secs();
    let end = config.duration.map(|duration| live_from + duration.as_secs_f64().ceil() as u64);
    let mut world = World::new(config.seed, config.rate, first);
    let mut agenda = Agenda { metrics: first + 2, profiles: first + 5, metadata: first };
    let mut told = Instant::now();

    let mut second = first;
    while end.is_none_or(|end| second < end) {
        if !reached(second + BEHIND + 1, &shutdown).await {
            break;
        }
        world.live(second);
        second += 1;
        let catching_up = second + BEHIND + 2 < now();
        for (lane, payload) in agenda.due(&mut world, second, catching_up) {
            sender.send(lane, payload).await;
        }
        if catching_up && told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            tracing::info!(minutes_to_go = (live_from.saturating_sub(second)) / 60, "sending history");
        }
        tokio::task::yield_now().await;
    }
    for (lane, payload) in agenda.rest(&mut world, second) {
        sender.send(lane, payload).await;
    }
    let mut report = sender.finish(GRACE).await;
    report.seed = config.seed;
    report.elapsed_seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// When which requests are due next, in the shop's seconds.
struct Agenda {
    metrics: u64,
    profiles: u64,
    metadata: u64,
}

impl Agenda {
    fn due(&mut self, world: &mut World, second: u64, catching_up: bool) -> Vec<Due> {
        let mut due = Vec::new();
        if !catching_up || world.waiting_spans() >= BATCH {
            due.extend(world.spans_and_logs());
        }
        if second >= self.metadata {
            self.metadata = second + 60;
            due.push(world.metadata());
        }
        if second >= self.metrics {
            self.metrics = second + METRICS_EVERY;
            due.extend(world.metrics(second));
        }
        if second >= self.profiles {
            self.profiles = second + if catching_up { PROFILES_OF_HISTORY_EVERY } else { PROFILES_EVERY };
            due.extend(world.profiles(second));
        }
        due
    }

    /// What would be due later, since the demo ends now.
    fn rest(&mut self, world: &mut World, second: u64) -> Vec<Due> {
        let mut due = world.spans_and_logs();
        if second + METRICS_EVERY != self.metrics {
            due.extend(world.metrics(second));
        }
        due.extend(world.profiles(second));
        due.extend(world.farewell(second));
        due
    }
}

/// Waits until a time (unix seconds); false when it is to end before.
async fn reached(second: u64, shutdown: &CancellationToken) -> bool {
    if shutdown.is_cancelled() {
        return false;
    }
    let due = UNIX_EPOCH + Duration::from_secs(second);
    let Ok(wait) = due.duration_since(SystemTime::now()) else { return true };
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = shutdown.cancelled() => false,
    }
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
