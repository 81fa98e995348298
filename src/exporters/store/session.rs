//! One connection to the engine, from the greeting to its end.

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

use super::ledger::Ledger;
use super::quarantine::Notes;
use super::resend::{Resends, Taken};
use super::window::Window;
use crate::signal::{Signal, monotonic_nanos};
use crate::store::protocol::{self, Frame, LENGTH_BYTES, LogState, Progress, ProtocolError, Reach};
use crate::telemetry::Telemetry;
use crate::telemetry::health::Health;
use crate::wal::{Logs, Reader, WalError};

/// Payload bytes read from a log at once.
const READ: usize = 1 << 20;

/// A connected engine that does not greet for this long is given up.
const GREETING: Duration = Duration::from_secs(30);

/// How often the engine is told how far the logs reach.
const REACH: Duration = Duration::from_millis(100);

/// Why a connection ended. It is made again.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
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

/// What outlives a connection.
pub(super) struct Exporter {
    readers: [Reader; 4],
    pub(super) ledgers: [Arc<Mutex<Ledger>>; 4],
    name: String,
    health: Health,
    pub(super) notes: Notes,
    pub(super) resends: Resends,
}

impl Exporter {
    pub(super) fn new(
        name: &str,
        logs: &Logs,
        telemetry: &Telemetry,
        notes: Notes,
        resends: Resends,
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
            notes,
            resends,
        })
    }

    /// One connection, from the greeting to its end.
    pub(super) async fn session(
        &mut self,
        logs: &Logs,
        socket: &PathBuf,
        connected: &Gauge,
    ) -> Result<std::convert::Infallible, SessionError> {
        let stream = UnixStream::connect(socket).await.map_err(SessionError::Connect)?;
        let (from, mut to) = stream.into_split();
        let mut from = BufReader::new(from);
        let states = Signal::ALL.map(|signal| {
            let log = logs.of(signal);
            let stats = log.stats();
            LogState { id: log.id(), oldest: stats.oldest, next: stats.next }
        });
        to.write_all(&Frame::Hello { version: protocol::VERSION, logs: states }.encode()).await?;
        let greeting = async {
            loop {
                match read_frame(&mut from).await? {
                    Frame::Welcome(progress) => return Ok(progress),
                    Frame::Refused(why) => return Err(SessionError::Refused(why)),
                    Frame::Quarantined(note) => self.notes.take(&self.ledgers, note),
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
        let taken = self.resends.taken.clone();
        let heard = Heard { ledgers, windows, notes: &self.notes, taken: &taken };
        let send = |reader, signal: Signal| {
            let n = signal as usize;
            send(reader, &ledgers[n], &windows[n], progress[n], &to)
        };
        tokio::select! {
            end = send(r0, Signal::ALL[0]) => end,
            end = send(r1, Signal::ALL[1]) => end,
            end = send(r2, Signal::ALL[2]) => end,
            end = send(r3, Signal::ALL[3]) => end,
            end = tell_reach(logs, ledgers, &to) => end,
            end = self.resends.run(&to) => end,
            end = heard.run(&mut from) => end,
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

/// Tells how far the logs reach, and when: also where that is as far as before. And whether one needs the room of what
/// is not sealed: it is to be sealed before the log is full of it.
async fn tell_reach(
    logs: &Logs,
    ledgers: &[Arc<Mutex<Ledger>>; 4],
    to: &tokio::sync::Mutex<OwnedWriteHalf>,
) -> Result<std::convert::Infallible, SessionError> {
    loop {
        // The time first, so that it is not too late.
        let at = monotonic_nanos();
        let stats = Signal::ALL.map(|signal| logs.of(signal).stats());
        let next = stats.each_ref().map(|stats| stats.next);
        to.lock().await.write_all(&Frame::Reach(Reach { at, next }).encode()).await?;
        if stats.iter().zip(ledgers).any(|(stats, ledger)| ledger.lock().needs_sealing(stats)) {
            to.lock().await.write_all(&Frame::SealSoon.encode()).await?;
        }
        tokio::time::sleep(REACH).await;
    }
}

/// Hears how far the engine has come.
struct Heard<'a> {
    ledgers: &'a [Arc<Mutex<Ledger>>; 4],
    windows: &'a [Window; 4],
    notes: &'a Notes,
    taken: &'a Taken,
}

impl Heard<'_> {
    async fn run(self, from: &mut BufReader<OwnedReadHalf>) -> Result<std::convert::Infallible, SessionError> {
        loop {
            match read_frame(from).await? {
                Frame::Visible(signal, position) => self.windows[signal as usize].leave(position),
                Frame::Sealed(signal, position) => self.ledgers[signal as usize].lock().sealed(position),
                Frame::Quarantined(note) => self.notes.take(self.ledgers, note),
                Frame::Resent(id, resent) => self.taken.heard(id, resent),
                _ => return Err(ProtocolError::Value("frame of an engine").into()),
            }
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
