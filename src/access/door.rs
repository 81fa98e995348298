//! One port: connections taken in, requests judged.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderMap;
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::credentials::{Credentials, Denied};
use super::stray;
use super::stream::Stream;

/// Wrong credentials are told of no more often: whoever tries to guess some should not fill the log.
const TELL_EVERY: Duration = Duration::from_secs(600);

/// What a port is locked with at the moment.
#[derive(Default)]
pub(super) struct Locks {
    /// TLS, if it has that.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Credentials, if it asks for some.
    pub(super) credentials: Option<Credentials>,
    /// When the certificate ends, in seconds since the Unix epoch.
    pub(super) expires: Option<i64>,
}

/// The lock of one port. Cheap to clone.
#[derive(Clone, Default)]
pub struct Door {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    port: &'static str,
    locks: RwLock<Locks>,
    denied: AtomicU64,
    told: Mutex<Option<Instant>>,
    failed_handshakes: AtomicU64,
}

/// Why a connection was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The handshake did: no or a wrong client certificate, a client that does not believe ours,
    /// no version or cipher in common.
    #[error("TLS handshake failed: {0}")]
    Handshake(io::Error),
    /// The client speaks plain text, the port TLS.
    #[error("a client without TLS at a port with TLS")]
    WithoutTls,
    /// The other way round.
    #[error("a client with TLS at a port without TLS")]
    WithTls,
}

/// What a door has seen, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Requests with wrong credentials, or without any.
    pub denied: u64,
    /// Connections that ended before TLS was agreed on, strays included.
    pub failed_handshakes: u64,
    /// When the certificate ends, in seconds since the Unix epoch; without TLS nothing.
    pub certificate_expires: Option<i64>,
}

impl Door {
    /// A door without locks: plain text, everybody may come in.
    pub fn unlocked() -> Self {
        Door::default()
    }

    pub(super) fn locked(port: &'static str, locks: Locks) -> Self {
        Door { inner: Arc::new(Inner { port, locks: RwLock::new(locks), ..Inner::default() }) }
    }

    /// From now on; connections that are open stay.
    pub(super) fn change(&self, locks: Locks) {
        *self.inner.locks.write() = locks;
    }

    /// Takes a connection in: the TLS handshake, or a look at its first byte. The caller sets the
    /// time limit.
    ///
    /// # Errors
    /// When the client cannot or must not come in. It has been told as far as the protocol allows.
    pub async fn accept(&self, stream: TcpStream) -> Result<Stream, AcceptError> {
        let mut start = [0; 1];
        let seen = stream.peek(&mut start).await?;
        let (start, tls) = (&start[..seen], self.inner.locks.read().tls.clone());
        match tls {
            None if stray::is_tls(start) => {
                self.failed();
                stray::with_tls(stream).await;
                Err(AcceptError::WithTls)
            }
            None => Ok(Stream::Plain(stream)),
            // A port scanner or a balancer's check: not a word to it.
            Some(_) if start.is_empty() => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(config) if stray::is_tls(start) => {
                let accepted = TlsAcceptor::from(config).accept(stream).await;
                let stream = accepted.inspect_err(|_| self.failed()).map_err(AcceptError::Handshake)?;
                Ok(Stream::Tls(Box::new(stream)))
            }
            Some(_) => {
                self.failed();
                stray::without_tls(stream).await;
                Err(AcceptError::WithoutTls)
            }
        }
    }

    /// Whether a request with these headers may come in.
    ///
    /// # Errors
    /// Why not, and what it should have shown.
    pub fn judge(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let judged = match &self.inner.locks.read().credentials {
            Some(credentials) => credentials.judge(headers),
            None => return Ok(()),
        };
        judged.inspect_err(|denied| self.denied(denied))
    }

    /// Counts, and now and then says so: an agent with an old token should not go unnoticed.
    fn denied(&self, denied: &Denied) {
        let count = self.inner.denied.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.inner.told.lock();
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            tracing::warn!(port = self.inner.port, %denied, count, "requests are refused for their credentials");
        }
    }

    /// Whether it has TLS now.
    pub fn has_tls(&self) -> bool {
        self.inner.locks.read().tls.is_some()
    }

    /// What it has seen.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            denied: self.inner.denied.load(Ordering::Relaxed),
            failed_handshakes: self.inner.failed_handshakes.load(Ordering::Relaxed),
            certificate_expires: self.inner.locks.read().expires,
        }
    }

    fn failed(&self) {
        self.inner.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locks = self.inner.locks.read();
        let (tls, credentials) = (locks.tls.is_some(), locks.credentials.is_some());
        f.debug_struct("Door").field("tls", &tls).field("credentials", &credentials).finish()
    }
}
