//! The ports. All are bound before anything else starts, so that a taken one is reported at once,
//! together with all other taken ones; sockets that systemd passes are used as they are, so that
//! a restart refuses no connection.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A port that a part wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, also as systemd's `FileDescriptorName`.
    pub name: &'static str,
    /// The config key that moves it.
    pub key: String,
    /// Where.
    pub address: SocketAddr,
}

/// A port that could not be bound.
#[derive(Debug)]
pub struct Refused {
    wanted: Wanted,
    error: io::Error,
}

/// All ports that could not be bound.
#[derive(Debug, thiserror::Error)]
pub struct BindError(Vec<Refused>);

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Refused { wanted: Wanted { key, address, .. }, error }) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            let port = address.port();
            match error.kind() {
                io::ErrorKind::AddrInUse => {
                    write!(f, "port {port} on {} is taken by another program", address.ip())?;
                }
                _ => write!(f, "cannot listen on port {port} on {}: {error}", address.ip())?,
            }
            write!(f, "; {key} in the config moves it")?;
        }
        Ok(())
    }
}

/// Bound ports by name.
#[derive(Debug, Default)]
pub struct Listeners(BTreeMap<&'static str, (SocketAddr, TcpListener)>);

impl Listeners {
    /// Binds all, or says which ones cannot be.
    pub fn bind(wanted: Vec<Wanted>) -> Result<Self, BindError> {
        let mut passed = passed_by_systemd();
        let mut bound = BTreeMap::new();
        let mut refused = Vec::new();
        for wanted in wanted {
            let result = match take_passed(&mut passed, &wanted) {
                Some(listener) => {
                    TcpListener::from_std(listener).inspect(|listener| tell_of_difference(&wanted, listener))
                }
                None => bind(wanted.address),
            };
            match result.and_then(|listener| Ok((listener.local_addr()?, listener))) {
                Ok(listener) => {
                    bound.insert(wanted.name, listener);
                }
                Err(error) => refused.push(Refused { wanted, error }),
            }
        }
        for (name, listener) in passed {
            let address = listener.local_addr().map_or_else(|e| e.to_string(), |address| address.to_string());
            tracing::warn!(name, address, "a socket passed by systemd is for no part of ours");
        }
        if refused.is_empty() { Ok(Listeners(bound)) } else { Err(BindError(refused)) }
    }

    /// Takes one out, to hand it to its part.
    pub fn take(&mut self, name: &str) -> Option<TcpListener> {
        self.0.remove(name).map(|(_, listener)| listener)
    }

    /// Where each one is, the port filled in where 0 was asked for.
    pub fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        self.0.iter().map(|(name, (address, _))| (*name, *address)).collect()
    }
}

/// systemd's sockets are bound already: what the config says of their addresses does nothing.
fn tell_of_difference(wanted: &Wanted, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr()
        && address != wanted.address
    {
        let Wanted { name, key, address: configured } = wanted;
        tracing::warn!(
            name,
            %address,
            "the address is that of systemd's socket, not the {configured} of {key}; change the socket unit, too"
        );
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The sockets of `LISTEN_FDS` with their names (sd_listen_fds(3)).
fn passed_by_systemd() -> Vec<(String, std::net::TcpListener)> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let mut passed = ListenFd::from_env();
    let mut found = Vec::new();
    for n in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        match passed.take_tcp_listener(n) {
            Ok(Some(listener)) => match listener.set_nonblocking(true) {
                Ok(()) => found.push((name, listener)),
                Err(error) => tracing::warn!(name, %error, "cannot use a socket passed by systemd"),
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(name, %error, "systemd passed something that is no listening TCP socket"),
        }
    }
    found
}

/// By name, or by port where the unit gives no names of ours.
fn take_passed(passed: &mut Vec<(String, std::net::TcpListener)>, wanted: &Wanted) -> Option<std::net::TcpListener> {
    let port_of = |listener: &std::net::TcpListener| listener.local_addr().map_or(0, |address| address.port());
    let by_name = passed.iter().position(|(name, _)| name == wanted.name);
    let at = by_name.or_else(|| passed.iter().position(|(_, listener)| port_of(listener) == wanted.address.port()))?;
    Some(passed.swap_remove(at).1)
}
