//! All doors of a process, locked with what the files say, and locked anew when they have changed:
//! all or none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::config::{Auth, Port, Section, Tls};
use super::credentials::Credentials;
use super::door::{Door, Locks};
use super::finding::{Finding, Findings};
use super::material::Reader;
use super::validity::Validity;

/// The doors by the names of their ports. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Doors {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    doors: BTreeMap<&'static str, Door>,
    ports: Mutex<Vec<Port>>,
}

/// New locks that are not in use yet.
pub struct Prepared {
    doors: Doors,
    ports: Vec<Port>,
    locks: Vec<Locks>,
    notices: Vec<Finding>,
}

impl Doors {
    /// Reads the files and makes a door for each port; also what should be known of them.
    ///
    /// # Errors
    /// Everything that is wrong with the files, and every port that must not be opened as it is.
    /// `listen` has to be where the ports really are: sockets may come from the service manager.
    pub fn open(ports: Vec<Port>) -> Result<(Self, Vec<Finding>), Findings> {
        let (locks, notices) = read(&ports)?;
        let doors = ports.iter().zip(locks).map(|(port, locks)| (port.name, Door::locked(port.name, locks))).collect();
        Ok((Doors { inner: Arc::new(Inner { doors, ports: Mutex::new(ports) }) }, notices))
    }

    /// The door of a port; nothing for a name that was not opened.
    pub fn door(&self, name: &str) -> Option<Door> {
        self.inner.doors.get(name).cloned()
    }

    /// Every door with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Door)> {
        self.inner.doors.iter().map(|(name, door)| (*name, door))
    }

    /// The ports as they were opened or last changed.
    pub fn ports(&self) -> Vec<Port> {
        self.inner.ports.lock().clone()
    }

    /// Reads the files of a config that may have changed; [`Prepared::apply`] puts it into use.
    /// Ports that have no door here are left out, and where a port listens does not change. Reads
    /// files, so it blocks.
    ///
    /// # Errors
    /// As [`Self::open`]; then nothing has changed.
    pub fn prepare(&self, ports: Vec<Port>) -> Result<Prepared, Findings> {
        let now = self.ports();
        let ports: Vec<Port> = ports
            .into_iter()
            .filter_map(|port| {
                let listen = now.iter().find(|known| known.name == port.name)?.listen;
                Some(Port { listen, ..port })
            })
            .collect();
        let (locks, notices) = read(&ports)?;
        Ok(Prepared { doors: self.clone(), ports, locks, notices })
    }

    /// Reads the files again and locks all doors anew. Gives what should be known of them. Blocks.
    ///
    /// # Errors
    /// As [`Self::open`]; then nothing has changed.
    pub fn reload(&self) -> Result<Vec<Finding>, Findings> {
        Ok(self.prepare(self.ports())?.apply())
    }
}

impl Prepared {
    /// From now on. Connections that are open stay. Gives what should be known of the files.
    pub fn apply(self) -> Vec<Finding> {
        let Prepared { doors, ports, locks, notices } = self;
        let mut now = doors.inner.ports.lock();
        for (port, locks) in ports.into_iter().zip(locks) {
            if let Some(door) = doors.inner.doors.get(port.name) {
                door.change(locks);
            }
            if let Some(known) = now.iter_mut().find(|known| known.name == port.name) {
                *known = port;
            }
        }
        notices
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("ports", &self.ports).finish_non_exhaustive()
    }
}

/// The locks of these ports, in their order.
fn read(ports: &[Port]) -> Result<(Vec<Locks>, Vec<Finding>), Findings> {
    let mut files = Files::default();
    let mut all = Vec::with_capacity(ports.len());
    for port in ports {
        let key = format!("{}.listen", port.section);
        if let Some(why) = port.unprotected() {
            files.reader.fault(&key, why);
        }
        if let Some(why) = port.half_protected() {
            files.reader.notice(&key, why);
        }
        let identity = files.identity(&port.tls);
        let config = identity.as_ref().and_then(|identity| files.server_config(port, identity));
        all.push(Locks {
            tls: config.map(Arc::new),
            credentials: files.credentials(&port.auth),
            expires: identity.and_then(|identity| Some(Validity::of(identity.certified.cert.first()?)?.end)),
        });
    }
    let Reader { faults, mut notices } = files.reader;
    notices.sort();
    notices.dedup();
    if faults.is_empty() { Ok((all, notices)) } else { Err(Findings::new(faults)) }
}

/// What a port with TLS shows, and whose certificates it takes.
#[derive(Clone)]
struct Identity {
    certified: Arc<CertifiedKey>,
    client_roots: Option<Arc<RootCertStore>>,
}

/// Files are read once, however many ports they are for: none of them sees another version.
#[derive(Default)]
struct Files {
    reader: Reader,
    identities: BTreeMap<String, Option<Identity>>,
}

impl Files {
    fn identity(&mut self, tls: &Section<Tls>) -> Option<Identity> {
        if !tls.settings.is_on() {
            return None;
        }
        if let Some(known) = self.identities.get(&tls.name) {
            return known.clone();
        }
        let identity = self.read_identity(tls);
        self.identities.insert(tls.name.clone(), identity.clone());
        identity
    }

    fn read_identity(&mut self, tls: &Section<Tls>) -> Option<Identity> {
        let (certificate_key, key_key) = (tls.key("certificate_file"), tls.key("key_file"));
        let Tls { certificate_file, key_file, client_ca_file, .. } = &tls.settings;
        let (Some(certificate_file), Some(key_file)) = (certificate_file, key_file) else {
            self.reader.fault(&tls.name, "certificate_file and key_file go together");
            return None;
        };
        let client_roots = match client_ca_file {
            Some(file) => Some(self.reader.roots(&tls.key("client_ca_file"), file).map(Arc::new)),
            None => None,
        };
        let certified = self.reader.identity((&certificate_key, certificate_file), (&key_key, key_file))?;
        Some(Identity {
            certified,
            client_roots: match client_roots {
                Some(roots) => Some(roots?),
                None => None,
            },
        })
    }

    fn server_config(&mut self, port: &Port, identity: &Identity) -> Option<ServerConfig> {
        let provider = super::provider();
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = match builder {
            Ok(builder) => builder,
            Err(error) => {
                self.reader.fault(&port.tls.name, format!("no TLS with these settings: {error}"));
                return None;
            }
        };
        let builder = match &identity.client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => match WebPkiClientVerifier::builder_with_provider(roots.clone(), provider).build() {
                Ok(verifier) => builder.with_client_cert_verifier(verifier),
                Err(error) => {
                    self.reader.fault(&port.tls.key("client_ca_file"), format!("cannot be used: {error}"));
                    return None;
                }
            },
        };
        let resolver = Arc::new(SingleCertAndKey::from(Arc::unwrap_or_clone(identity.certified.clone())));
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = protocols(port.name);
        if identity.client_roots.is_some() {
            // Every connection shows its certificate, so that none outlives its end.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Some(config)
    }

    fn credentials(&mut self, auth: &Section<Auth>) -> Option<Credentials> {
        if !auth.settings.is_on() {
            return None;
        }
        let Auth { bearer_tokens_file, basic_users_file, .. } = &auth.settings;
        let mut credentials = Credentials::default();
        if let Some(file) = bearer_tokens_file {
            credentials.tokens = self.reader.tokens(&auth.key("bearer_tokens_file"), file).unwrap_or_default();
        }
        if let Some(file) = basic_users_file {
            credentials.users = self.reader.users(&auth.key("basic_users_file"), file).unwrap_or_default();
        }
        Some(credentials)
    }
}

/// What is offered in ALPN. The web port speaks HTTP/1 alone.
fn protocols(port: &str) -> Vec<Vec<u8>> {
    let (http2, http1) = (b"h2".to_vec(), b"http/1.1".to_vec());
    if port == "web" { vec![http1] } else { vec![http2, http1] }
}
