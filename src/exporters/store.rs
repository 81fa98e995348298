//! The store as a destination: reads the four logs and sends the engine what it wants.
//!
//! The engine decides where to go on, since it knows what its sealed files hold; the cursor of
//! this destination only tells the logs what they may delete, and moves when the engine has
//! sealed. So the ledger counts a record as forwarded when it is *sealed*; until then it waits.
//!
//! | module | what |
//! |---|---|
//! | `session` | one connection to the engine |
//! | [`ledger`] | what was read and is not sealed yet |
//! | [`window`] | how much may be in flight |
//! | `quarantine` | dead letters of what the engine can never store |
//! | [`resend`] | dead letters that are sent again |

use std::path::PathBuf;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

use self::quarantine::{Notes, Quarantine};
use self::resend::{Requests, Resends};
use self::session::Exporter;
use crate::quarantine::dead_letters::DeadLetters;
use crate::signal::Signal;
use crate::telemetry::Telemetry;
use crate::wal::Logs;

pub mod ledger;
mod quarantine;
pub mod resend;
mod session;
pub mod window;

/// Name of the destination in the logs and in the ledger, where the config gives no other.
pub const DESTINATION: &str = "store";

/// First pause before connecting again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause: the engine is on this machine and back within a second or two, and queries see
/// old rows only until it has heard from us.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Whether an engine takes records now, as a metric. Registered once, for whichever store there is.
pub fn connected(telemetry: &Telemetry) -> Gauge {
    let connected = Gauge::<i64>::default();
    let gauge = connected.clone();
    telemetry.with_registry(|registry| {
        registry.register("store_connected", "Whether the store's engine takes records now", gauge);
    });
    connected
}

/// The logs on their way to one engine.
#[derive(Debug)]
pub struct StoreDelivery {
    /// The destination's name in the logs and in the ledger.
    pub name: String,
    /// The logs, which know the destination.
    pub logs: Logs,
    /// Where the engine listens.
    pub socket: PathBuf,
    /// Whether it takes records now.
    pub connected: Gauge,
    /// The ledger.
    pub telemetry: Telemetry,
    /// Where goes what the engine can never store.
    pub dead_letters: DeadLetters,
    /// Dead letters that are to be sent again.
    pub requests: Requests,
}

impl StoreDelivery {
    /// Delivers until `shutdown`, connecting again whenever the engine comes back.
    pub async fn run(self, shutdown: CancellationToken) {
        let StoreDelivery { name, logs, socket, connected, telemetry, dead_letters, requests } = self;
        let (notes, told, kept) = Notes::new();
        let (resends, ended) = Resends::new(requests, kept, dead_letters.clone());
        let exporter = match Exporter::new(&name, &logs, &telemetry, notes, resends) {
            Ok(exporter) => exporter,
            Err(e) => {
                tracing::error!(error = %e, "cannot read the logs for the store");
                return;
            }
        };
        let quarantine = Quarantine {
            name: name.clone(),
            logs: logs.clone(),
            ledgers: exporter.ledgers.clone(),
            notes: exporter.notes.clone(),
            writer: dead_letters.writer(&name),
        };
        let sending = Sending { name, logs, socket, connected: connected.clone(), telemetry };
        tokio::select! {
            () = sending.run(exporter, &shutdown) => {}
            () = quarantine.run(told) => {}
            () = resend::finish(dead_letters, ended) => {}
        }
        connected.set(0);
    }
}

/// Where everything is sent.
struct Sending {
    name: String,
    logs: Logs,
    socket: PathBuf,
    connected: Gauge,
    telemetry: Telemetry,
}

impl Sending {
    async fn run(&self, mut exporter: Exporter, shutdown: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        let mut quiet = false;
        while !shutdown.is_cancelled() {
            let session = exporter.session(&self.logs, &self.socket, &self.connected);
            let ended = tokio::select! {
                ended = session => ended,
                () = shutdown.cancelled() => break,
            };
            let was_connected = self.connected.set(0) == 1;
            let Err(e) = ended;
            let reason = e.to_string();
            for signal in Signal::ALL {
                self.telemetry.health().failing(&self.name, signal, &reason, false);
            }
            if was_connected {
                (pause, quiet) = (FIRST_PAUSE, false);
            }
            // Said once, not at every try: the engine may be away for long.
            if !quiet {
                let socket = self.socket.display();
                tracing::warn!(error = %e, %socket, "store not reachable, records wait in the logs");
            }
            quiet = true;
            tokio::select! {
                () = exporter.resends.turn_away(&reason, pause) => {}
                () = shutdown.cancelled() => break,
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}
