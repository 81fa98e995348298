//! The server of `ingest.sock`. One collector at a time: a new connection ends the one before,
//! which a collector that was killed may have left half open.

use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::failpoint;
use super::shared::Shared;
use super::{EngineError, spawn};
use crate::signal::Signal;
use crate::store::protocol::{Frame, LogState, Progress, ProtocolError, VERSION, read_frame};
use crate::wal::Position;

/// How often a connection without news looks whether it has ended.
const PATIENCE: Duration = Duration::from_millis(500);

/// A socket that does not take a few bytes for this long is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The running server.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    accept: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    shared: Arc<Shared>,
    stopping: AtomicBool,
    current: Mutex<Option<Connected>>,
}

#[derive(Debug)]
struct Connected {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

impl Server {
    /// Begins to accept.
    pub fn start(listener: UnixListener, shared: Arc<Shared>) -> Result<Self, EngineError> {
        let state = Arc::new(State { shared, stopping: AtomicBool::new(false), current: Mutex::new(None) });
        let (acceptor, socket) = (state.clone(), listener);
        let accept = spawn("ingest-accept", move || acceptor.accept(&socket))?;
        Ok(Server { state, accept: Some(accept) })
    }

    /// Ends the connection and accepts no other. The accepting thread ends with the process, or
    /// with the next connection.
    pub fn stop(mut self) {
        self.state.stopping.store(true, Ordering::Release);
        self.state.end_current();
        drop(self.accept.take());
    }
}

impl State {
    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else {
                // Out of file descriptors, mostly.
                super::pause(PATIENCE);
                continue;
            };
            // Its queue must be still before a new one is told where to go on.
            self.end_current();
            let Ok(handle) = stream.try_clone() else { continue };
            let shared = self.shared.clone();
            let work = move || {
                if let Err(e) = serve(&shared, &stream) {
                    tracing::warn!(error = %e, "the collector's connection failed");
                }
                let _ = stream.shutdown(Shutdown::Both);
            };
            match spawn("ingest-read", work) {
                Ok(thread) => *self.current.lock() = Some(Connected { stream: handle, thread }),
                Err(e) => tracing::error!(error = %e, "cannot serve the collector"),
            }
        }
    }

    fn end_current(&self) {
        if let Some(old) = self.current.lock().take() {
            let _ = old.stream.shutdown(Shutdown::Both);
            let _ = old.thread.join();
        }
    }
}

/// Serves one connection until it ends.
fn serve(shared: &Arc<Shared>, stream: &UnixStream) -> Result<(), ProtocolError> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut from = BufReader::with_capacity(1 << 18, stream);
    let mut to = stream;
    let logs = match read_frame(&mut from)? {
        Some(Frame::Hello { version: VERSION, logs }) => logs,
        Some(Frame::Hello { version, .. }) => {
            let why = format!("the collector speaks version {version}, the store {VERSION}: restart the older one");
            tracing::error!("{why}");
            to.write_all(&Frame::Refused(why).encode())?;
            return Ok(());
        }
        Some(_) => return Err(ProtocolError::Value("opening")),
        None => return Ok(()),
    };
    let _session = shared.progress.session();
    let cursors = shared.progress.attach(&logs);
    for (signal, (log, (visible, _))) in Signal::ALL.into_iter().zip(logs.iter().zip(cursors)) {
        if visible > Position::default() && visible < log.oldest {
            tracing::warn!(%signal, log = %log.id, from = visible.0, before = log.oldest.0,
                "the log does not have these records any more, and no file has them: they are lost");
        }
    }
    let progress = Signal::ALL.map(|signal| {
        let n = signal as usize;
        let (visible, sealed) = cursors[n];
        Progress { wanted: shared.ingest_queues[n].attach(logs[n], visible), sealed }
    });
    // Before the greeting, which moves the collector's cursors: the log may forget nothing of which
    // there is no dead letter yet.
    for note in shared.quarantine.tell_all(&logs) {
        to.write_all(&Frame::Quarantined(note).encode())?;
    }
    to.write_all(&Frame::Welcome(progress).encode())?;
    tracing::info!(wanted = ?progress.map(|p| p.wanted.0), "collector connected");

    let over = Arc::new(AtomicBool::new(false));
    let teller = {
        let (shared, over, stream) = (shared.clone(), over.clone(), stream.try_clone()?);
        let work = move || {
            if tell(&shared, &stream, &logs, progress, &over).is_err() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        };
        spawn("ingest-tell", work).map_err(|e| ProtocolError::Io(std::io::Error::other(e.to_string())))?
    };
    let result = receive(shared, &mut from, &logs);
    over.store(true, Ordering::Release);
    let _ = stream.shutdown(Shutdown::Both);
    let _ = teller.join();
    result
}

fn receive(shared: &Shared, from: &mut impl std::io::Read, logs: &[LogState; 4]) -> Result<(), ProtocolError> {
    while let Some(frame) = read_frame(from)? {
        match frame {
            Frame::Record(record) => {
                failpoint::reach("received");
                let signal = record.batch.signal as usize;
                shared.ingest_queues[signal].push(logs[signal].id, record);
            }
            Frame::Reach(reach) => shared.progress.reach(logs, reach),
            Frame::SealSoon => shared.unsealed.hurry(),
            Frame::Kept(id) => shared.quarantine.kept(id),
            Frame::Released(id) => shared.resends.released(id),
            Frame::Resend(letter) => {
                failpoint::reach("received");
                shared.resends.take(letter, &shared.ingest_queues, &shared.progress, &shared.quarantine);
            }
            _ => return Err(ProtocolError::Value("frame of a collector")),
        }
    }
    Ok(())
}

/// Tells the collector of every change until the connection is over.
fn tell(
    shared: &Shared,
    mut to: &UnixStream,
    logs: &[LogState; 4],
    progress: [Progress; 4],
    over: &AtomicBool,
) -> std::io::Result<()> {
    // What is visible but not sealed was sent by an earlier connection and needs no telling; what
    // is sealed the collector has from the greeting.
    let mut told: [(Position, Position); 4] = progress.map(|p| (p.sealed, p.sealed));
    let mut version = 0;
    while !over.load(Ordering::Acquire) {
        version = shared.progress.wait(version, PATIENCE);
        let mut news = Vec::new();
        for note in shared.quarantine.tell_new(logs) {
            news.extend_from_slice(&Frame::Quarantined(note).encode());
        }
        for (signal, told) in Signal::ALL.into_iter().zip(&mut told) {
            let now = shared.progress.cursors(logs[signal as usize].id, signal);
            if now.0 != told.0 {
                news.extend_from_slice(&Frame::Visible(signal, now.0).encode());
            }
            if now.1 != told.1 {
                news.extend_from_slice(&Frame::Sealed(signal, now.1).encode());
            }
            *told = now;
        }
        for (id, resent) in shared.resends.news(&shared.progress) {
            news.extend_from_slice(&Frame::Resent(id, resent).encode());
        }
        if !news.is_empty() {
            to.write_all(&news)?;
        }
    }
    Ok(())
}
