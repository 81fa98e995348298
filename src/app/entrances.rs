//! The ports of this process, bound and with their doors.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::addresses::Opened;
use super::listeners::{Listeners, Wanted};
use super::{Roles, Settings};
use crate::access::{Door, Doorplate, Doors, Finding, Port};

/// Bound ports that nobody has been let in at yet.
#[derive(Debug)]
pub struct Entrances {
    listeners: Listeners,
    doors: Doors,
}

impl Entrances {
    /// Binds the ports that these roles need and reads what they are locked with.
    pub fn open(settings: &Settings, roles: Roles) -> anyhow::Result<Self> {
        let ours = |port: &Port| if port.name == "sql" { roles.store } else { roles.collector };
        let mut ports: Vec<Port> = settings.config.ports().into_iter().filter(ours).collect();
        let wanted =
            |port: &Port| Wanted { name: port.name, key: format!("{}.listen", port.section), address: port.listen };
        let listeners = Listeners::bind(ports.iter().map(wanted).collect())?;
        let addresses = listeners.addresses();
        for port in &mut ports {
            // systemd may have passed a socket that listens elsewhere.
            port.listen = addresses.get(port.name).copied().unwrap_or(port.listen);
        }
        let (doors, notices) = Doors::open(ports)?;
        tell(&notices);
        Ok(Entrances { listeners, doors })
    }

    /// Takes one out, to hand it to its part.
    pub fn take(&mut self, name: &str) -> Option<(TcpListener, Door)> {
        Some((self.listeners.take(name)?, self.doors.door(name)?))
    }

    /// All doors, to be locked anew later.
    pub fn doors(&self) -> Doors {
        self.doors.clone()
    }

    /// Where each one is, the port filled in where 0 was asked for.
    pub fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        self.listeners.addresses()
    }
}

/// What is to be written down for others.
pub fn opened(addresses: &BTreeMap<&'static str, SocketAddr>, doors: &Doors) -> Opened {
    let doorplates = doors.ports().iter().map(|port| (port.name, Doorplate::of(port))).collect();
    Opened { addresses: addresses.clone(), doorplates }
}

/// What an operator should know although it goes on.
pub fn tell(notices: &[Finding]) {
    for notice in notices {
        tracing::warn!(key = notice.key, "{}", notice.message);
    }
}
