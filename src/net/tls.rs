//! The acceptor of a port: takes a connection in, with TLS or without.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub(super) mod pem;
pub(super) mod pinned;
mod protocol_mismatch;
pub mod stream;
pub(super) mod validity;

pub use stream::Stream;

/// What a port's TLS is made of at the moment.
#[derive(Default)]
pub(super) struct Identity {
    /// The settings of TLS; nothing for a port without it.
    pub(super) config: Option<Arc<ServerConfig>>,
    /// When the certificate ends, in seconds since the Unix epoch.
    pub(super) expires: Option<i64>,
}

/// Takes the connections of a port in. Cheap to clone.
#[derive(Clone, Default)]
pub struct Acceptor {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    identity: RwLock<Identity>,
    failed_handshakes: AtomicU64,
}

/// Why a connection was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The handshake did: no or a wrong client certificate, a client that does not trust ours,
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

impl Acceptor {
    /// An acceptor without TLS.
    pub fn plain() -> Self {
        Acceptor::default()
    }

    pub(super) fn new(identity: Identity) -> Self {
        Acceptor { inner: Arc::new(Inner { identity: RwLock::new(identity), ..Inner::default() }) }
    }

    /// Shows another certificate from now on; connections that are open stay.
    pub(super) fn change(&self, identity: Identity) {
        *self.inner.identity.write() = identity;
    }

    /// Takes a connection in: the TLS handshake, or a look at its first byte. The caller sets the
    /// time limit.
    ///
    /// # Errors
    /// When the client cannot or must not come in. It has been told as far as the protocol allows.
    pub async fn accept(&self, stream: TcpStream) -> Result<Stream, AcceptError> {
        let mut start = [0; 1];
        let seen = stream.peek(&mut start).await?;
        let (start, config) = (&start[..seen], self.inner.identity.read().config.clone());
        match config {
            None if protocol_mismatch::is_tls(start) => {
                self.failed();
                protocol_mismatch::refuse_tls(stream).await;
                Err(AcceptError::WithTls)
            }
            None => Ok(Stream::Plain(stream)),
            // A port scanner or a balancer's check gets no answer.
            Some(_) if start.is_empty() => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(config) if protocol_mismatch::is_tls(start) => {
                let accepted = TlsAcceptor::from(config).accept(stream).await;
                let stream = accepted.inspect_err(|_| self.failed()).map_err(AcceptError::Handshake)?;
                Ok(Stream::Tls(Box::new(stream)))
            }
            Some(_) => {
                self.failed();
                protocol_mismatch::refuse_plain(stream).await;
                Err(AcceptError::WithoutTls)
            }
        }
    }

    /// Whether a connection begins with TLS. Waits for its first byte and leaves it there.
    ///
    /// # Errors
    /// The socket's.
    pub async fn begins_with_tls(stream: &TcpStream) -> io::Result<bool> {
        let mut start = [0; 1];
        let seen = stream.peek(&mut start).await?;
        Ok(protocol_mismatch::is_tls(&start[..seen]))
    }

    /// The TLS handshake with a client that has asked for it in a protocol of its own, whose name in TLS
    /// (ALPN) is `protocol`.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub async fn accept_tls(&self, stream: TcpStream, protocol: &[u8]) -> Result<Stream, AcceptError> {
        let config = self.inner.identity.read().config.clone();
        let Some(config) = config else {
            self.failed();
            return Err(AcceptError::WithTls);
        };
        let mut config = ServerConfig::clone(&config);
        config.alpn_protocols = vec![protocol.to_vec()];
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        let stream = accepted.inspect_err(|_| self.failed()).map_err(AcceptError::Handshake)?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Counts a client without TLS at a port with TLS.
    pub fn refused_plain(&self) -> AcceptError {
        self.failed();
        AcceptError::WithoutTls
    }

    /// Whether the port has TLS now.
    pub fn has_tls(&self) -> bool {
        self.inner.identity.read().config.is_some()
    }

    /// Connections that ended before TLS was agreed on, those with the wrong protocol included.
    pub fn failed_handshakes(&self) -> u64 {
        self.inner.failed_handshakes.load(Ordering::Relaxed)
    }

    /// When the certificate ends, in seconds since the Unix epoch; nothing without TLS.
    pub fn certificate_expires(&self) -> Option<i64> {
        self.inner.identity.read().expires
    }

    fn failed(&self) {
        self.inner.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("tls", &self.has_tls()).finish()
    }
}
