//! The store as a destination: reads the four logs and sends the engine what it wants.
//!
//! The engine decides where to go on, since it knows what its sealed files hold; the cursor of
//! this destination only tells the logs what they may delete, and moves when the engine has
//! sealed. So the ledger counts a record as forwarded when it is *sealed*; until then it waits.
//!
//! | module | what |
//! |---|---|
//! | [`ledger`] | what was read and is not sealed yet |
//! | [`window`] | how much may be in flight |
//! | `quarantine` | dead letters of what the engine can never store |

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::ledger::Ledger;
use self::quarantine::{Aside, Quarantine};
use self::window::Window;
use crate::quarantine::dead_letters::DeadLetters;
use crate::signal::Signal;
use crate::store::protocol::{self, Frame, LENGTH_BYTES, LogState, Progress, ProtocolError};
use crate::telemetry::Telemetry;
use crate::telemetry::health::Health;
use crate::wal::{Logs, Reader, WalError};

pub mod ledger;
mod quarantine;
pub mod window;

/// Name of the destination in the logs and in the ledger, where the config gives no other.
pub const DESTINATION: &str = "store";

/// Payload bytes read from a log at once.
const READ: usize = 1 << 20;

/// First pause before connecting again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause: the engine is on this machine and back within a second or two, and queries see
/// old rows only until it has heard from us.
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// A connected engine that does not greet for this long is given up.
const GREETING: Duration = Duration::from_secs(30);

/// Why a connection ended. It is made again.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error("the store refused: {0}")]
    Refused(String),
    #[error("the store closed the connection")]
    Closed,
    #[error("no greeting from the store")]
    Silent,
}

/// Whether an engine takes records now, as a metric. Registered once, for whichever store there is.
pub fn connected(telemetry: &Telemetry) -> Gauge {
    let connected = Gauge::<i64>::default();
    let gauge = connected.clone();
    telemetry.with_registry(|registry| {
        registry.register("store_connected", "Whether the store's engine takes records now", gauge);
    });
    connected
}

/// Sends the logs to the engine at `socket` until `shutdown`, connecting again whenever the
/// engine comes back. `name` is the destination's in the logs.
pub async fn run(
    name: String,
    logs: Logs,
    socket: PathBuf,
    connected: Gauge,
    telemetry: Telemetry,
    dead_letters: &DeadLetters,
    shutdown: CancellationToken,
) {
    let (asides, told) = mpsc::unbounded_channel();
    let mut exporter = match Exporter::new(&name, &logs, &telemetry, asides) {
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
        writer: dead_letters.writer(&name),
    };
    let send = send_all(&name, &mut exporter, &logs, &socket, &connected, &telemetry, &shutdown);
    tokio::select! {
        () = send => {}
        () = quarantine.run(told) => {}
    }
    connected.set(0);
}

async fn send_all(
    name: &str,
    exporter: &mut Exporter,
    logs: &Logs,
    socket: &PathBuf,
    connected: &Gauge,
    telemetry: &Telemetry,
    shutdown: &CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    let mut quiet = false;
    while !shutdown.is_cancelled() {
        let session = exporter.session(logs, socket, connected);
        let ended = tokio::select! {
            ended = session => ended,
            () = shutdown.cancelled() => break,
        };
        let was_connected = connected.set(0) == 1;
        let Err(e) = ended;
        let reason = e.to_string();
        for signal in Signal::ALL {
            telemetry.health().failing(name, signal, &reason, false);
        }
        if was_connected {
            (pause, quiet) = (FIRST_PAUSE, false);
        }
        // Said once, not at every try: the engine may be away for long.
        if !quiet {
            tracing::warn!(error = %e, socket = %socket.display(), "store not reachable, records wait in the logs");
        }
        quiet = true;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => break,
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// What outlives a connection.
struct Exporter {
    readers: [Reader; 4],
    ledgers: [Arc<Mutex<Ledger>>; 4],
    name: String,
    health: Health,
    asides: mpsc::UnboundedSender<Aside>,
}

impl Exporter {
    fn new(
        name: &str,
        logs: &Logs,
        telemetry: &Telemetry,
        asides: mpsc::UnboundedSender<Aside>,
    ) -> Result<Self, WalError> {
        let (mut readers, mut ledgers) = (Vec::new(), Vec::new());
        for signal in Signal::ALL {
            readers.push(logs.of(signal).reader(name)?);
            // A reader of its own moves the cursor, since the other one is busy waiting.
            let committer = logs.of(signal).reader(name)?;
            ledgers.push(Arc::new(Mutex::new(Ledger::new(name.to_owned(), signal, committer, telemetry.clone()))));
        }
        let four = |_| WalError::UnknownDestination(name.to_owned());
        Ok(Exporter {
            readers: readers.try_into().map_err(|v: Vec<Reader>| four(v.len()))?,
            ledgers: ledgers.try_into().map_err(|v: Vec<_>| four(v.len()))?,
            name: name.to_owned(),
            health: telemetry.health().clone(),
            asides,
        })
    }

    /// One connection, from the greeting to its end.
    async fn session(
        &mut self,
        logs: &Logs,
        socket: &PathBuf,
        connected: &Gauge,
    ) -> Result<std::convert::Infallible, SessionError> {
        let stream = UnixStream::connect(socket).await.map_err(SessionError::Connect)?;
        let (from, mut to) = stream.into_split();
        let mut from = BufReader::new(from);
        let logs = Signal::ALL.map(|signal| {
            let log = logs.of(signal);
            let stats = log.stats();
            LogState { id: log.id(), oldest: stats.oldest, next: stats.next }
        });
        to.write_all(&Frame::Hello { version: protocol::VERSION, logs }.encode()).await?;
        let greeting = async {
            loop {
                match read_frame(&mut from).await? {
                    Frame::Welcome(progress) => return Ok(progress),
                    Frame::Refused(why) => return Err(SessionError::Refused(why)),
                    Frame::SetAside(signal, position, reason) => {
                        quarantine::set_aside(&self.ledgers, &self.asides, Aside { signal, position, reason });
                    }
                    _ => return Err(ProtocolError::Value("greeting").into()),
                }
            }
        };
        let greeting = tokio::time::timeout(GREETING, greeting).await;
        let progress = greeting.map_err(|_| SessionError::Silent)??;
        connected.set(1);
        for signal in Signal::ALL {
            self.health.well(&self.name, signal);
        }
        tracing::info!(wanted = ?progress.map(|p| p.wanted.0), "store connected");

        let windows = Signal::ALL.map(|_| Window::default());
        let to = tokio::sync::Mutex::new(to);
        let [r0, r1, r2, r3] = &mut self.readers;
        let (ledgers, windows) = (&self.ledgers, &windows);
        let set_aside = |aside| quarantine::set_aside(ledgers, &self.asides, aside);
        let send = |reader, signal: Signal| {
            let n = signal as usize;
            send(reader, &ledgers[n], &windows[n], progress[n], &to)
        };
        tokio::select! {
            end = send(r0, Signal::ALL[0]) => end,
            end = send(r1, Signal::ALL[1]) => end,
            end = send(r2, Signal::ALL[2]) => end,
            end = send(r3, Signal::ALL[3]) => end,
            end = hear(&mut from, ledgers, windows, set_aside) => end,
        }
    }
}

/// Sends the records of one signal as they come.
async fn send(
    reader: &mut Reader,
    ledger: &Mutex<Ledger>,
    window: &Window,
    progress: Progress,
    to: &tokio::sync::Mutex<OwnedWriteHalf>,
) -> Result<std::convert::Infallible, SessionError> {
    let from = ledger.lock().begin(progress);
    reader.seek(from);
    loop {
        let records = reader.next(READ).await?;
        for record in records {
            let again = ledger.lock().read(&record);
            if record.position < progress.wanted {
                continue;
            }
            window.enter(record.position, record.batch.held_bytes()).await;
            if again {
                ledger.lock().count_retried(&record);
            }
            let (head, payload) = protocol::encode_record(&record);
            let mut to = to.lock().await;
            to.write_all(&head).await?;
            to.write_all(&payload).await?;
        }
    }
}

/// Hears how far the engine has come.
async fn hear(
    from: &mut BufReader<OwnedReadHalf>,
    ledgers: &[Arc<Mutex<Ledger>>; 4],
    windows: &[Window; 4],
    set_aside: impl Fn(Aside),
) -> Result<std::convert::Infallible, SessionError> {
    loop {
        match read_frame(from).await? {
            Frame::Visible(signal, position) => windows[signal as usize].leave(position),
            Frame::Sealed(signal, position) => ledgers[signal as usize].lock().sealed(position),
            Frame::SetAside(signal, position, reason) => set_aside(Aside { signal, position, reason }),
            _ => return Err(ProtocolError::Value("frame of an engine").into()),
        }
    }
}

async fn read_frame(from: &mut BufReader<OwnedReadHalf>) -> Result<Frame, SessionError> {
    let mut length = [0; LENGTH_BYTES];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(SessionError::Closed),
        Err(e) => return Err(e.into()),
    }
    let mut body = vec![0; protocol::frame_length(length)?];
    from.read_exact(&mut body).await?;
    Ok(Frame::decode(Bytes::from(body))?)
}
