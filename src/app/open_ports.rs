//! The ports of this process: their listeners, acceptors and authenticators.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::addresses::Opened;
use super::listeners::{Listeners, Wanted};
use super::{Roles, Settings};
use crate::net::{Acceptor, Authenticator, Finding, Port, PortDescriptor, Ports};

/// Ports that are bound and accept nothing yet.
#[derive(Debug)]
pub struct OpenPorts {
    listeners: Listeners,
    ports: Ports,
}

impl OpenPorts {
    /// Binds the ports that these roles need and reads their certificates and credentials.
    pub fn open(settings: &Settings, roles: Roles) -> anyhow::Result<Self> {
        let of_store = ["sql", "postgres"];
        let ours = |port: &Port| if of_store.contains(&port.name) { roles.store } else { roles.collector };
        let mut configs: Vec<Port> = settings.config.ports().into_iter().filter(ours).collect();
        let wanted =
            |port: &Port| Wanted { name: port.name, key: format!("{}.listen", port.section), address: port.listen };
        let listeners = Listeners::bind(configs.iter().map(wanted).collect())?;
        let addresses = listeners.addresses();
        for port in &mut configs {
            // systemd may have passed a socket that listens elsewhere.
            port.listen = addresses.get(port.name).copied().unwrap_or(port.listen);
        }
        let (ports, notices) = Ports::open(configs)?;
        tell(&notices);
        Ok(OpenPorts { listeners, ports })
    }

    /// Takes one out, to hand it to its part.
    pub fn take(&mut self, name: &str) -> Option<(TcpListener, (Acceptor, Authenticator))> {
        Some((self.listeners.take(name)?, self.ports.security(name)?))
    }

    /// The acceptors and authenticators of all, to be reloaded later.
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// Where each one is, the port filled in where 0 was asked for.
    pub fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        self.listeners.addresses()
    }
}

/// What is to be written down for others.
pub fn opened(addresses: &BTreeMap<&'static str, SocketAddr>, ports: &Ports) -> Opened {
    let descriptors = ports.configs().iter().map(|port| (port.name, PortDescriptor::of(port))).collect();
    Opened { addresses: addresses.clone(), descriptors }
}

/// What an operator should know although it goes on.
pub fn tell(notices: &[Finding]) {
    for notice in notices {
        tracing::warn!(key = notice.key, "{}", notice.message);
    }
}
