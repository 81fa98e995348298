//! Where connections come from: a TCP port with its acceptor, or a unix socket.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::net::tls::{AcceptError, Acceptor, Stream};

/// A bound socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port, with or without TLS.
    Tcp(TcpListener, Acceptor),
    /// A unix socket.
    Unix(UnixListener),
}

impl From<(TcpListener, Acceptor)> for Listener {
    fn from((listener, acceptor): (TcpListener, Acceptor)) -> Self {
        Listener::Tcp(listener, acceptor)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Listener::Unix(listener)
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Listener::Tcp(listener, acceptor) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Socket::Tcp(stream, acceptor.clone()), Some(peer)))
            }
            Listener::Unix(listener) => Ok((Socket::Unix(listener.accept().await?.0), None)),
        }
    }
}

/// A connection whose TLS is still to be agreed on.
#[derive(Debug)]
pub enum Socket {
    /// TCP, and what its port does about TLS.
    Tcp(TcpStream, Acceptor),
    /// A unix socket.
    Unix(UnixStream),
}

impl Socket {
    pub(super) async fn establish(self) -> Result<Stream, AcceptError> {
        match self {
            Socket::Tcp(stream, acceptor) => {
                stream.set_nodelay(true)?;
                acceptor.accept(stream).await
            }
            Socket::Unix(stream) => Ok(Stream::Unix(stream)),
        }
    }
}
