//! The acceptors and authenticators of all ports of a process, made from the config and the files that
//! it names, and changed together when those have changed: all or none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::auth::{Authenticator, Credentials};
use super::config::{Auth, Port, Section, Tls};
use super::finding::{Finding, Findings};
use super::tls::pem::Reader;
use super::tls::validity::Validity;
use super::tls::{Acceptor, Identity};

/// Acceptors and authenticators by the names of their ports. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ports {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    security: BTreeMap<&'static str, (Acceptor, Authenticator)>,
    ports: Mutex<Vec<Port>>,
}

/// Certificates and credentials that were read and are not in use yet.
pub struct Prepared {
    ports: Ports,
    configs: Vec<Port>,
    read: Read,
    notices: Vec<Finding>,
}

impl Ports {
    /// Reads the files and makes an acceptor and an authenticator for each port; also gives the
    /// notices about the files.
    ///
    /// # Errors
    /// Everything that is wrong with the files, and every port that must not be opened as it is.
    /// `listen` has to be where the ports really are: sockets may come from the service manager.
    pub fn open(ports: Vec<Port>) -> Result<(Self, Vec<Finding>), Findings> {
        let (read, notices) = read(&ports)?;
        let with_name = |(port, (identity, credentials)): (&Port, _)| {
            (port.name, (Acceptor::new(identity), Authenticator::new(port.name, credentials)))
        };
        let security = ports.iter().zip(read).map(with_name).collect();
        Ok((Ports { inner: Arc::new(Inner { security, ports: Mutex::new(ports) }) }, notices))
    }

    /// The acceptor and the authenticator of a port; nothing for a name that was not opened.
    pub fn security(&self, name: &str) -> Option<(Acceptor, Authenticator)> {
        self.inner.security.get(name).cloned()
    }

    /// The acceptor and the authenticator of every port with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Acceptor, &Authenticator)> {
        self.inner.security.iter().map(|(name, (acceptor, authenticator))| (*name, acceptor, authenticator))
    }

    /// The ports as they were opened or last changed.
    pub fn configs(&self) -> Vec<Port> {
        self.inner.ports.lock().clone()
    }

    /// Reads the files of a config that may have changed; [`Prepared::apply`] puts it into use.
    /// Ports that are not open here are left out, and where a port listens does not change. Reads
    /// files, so it blocks.
    ///
    /// # Errors
    /// As [`Self::open`]; then nothing has changed.
    pub fn prepare(&self, ports: Vec<Port>) -> Result<Prepared, Findings> {
        let now = self.configs();
        let configs: Vec<Port> = ports
            .into_iter()
            .filter_map(|port| {
                let listen = now.iter().find(|known| known.name == port.name)?.listen;
                Some(Port { listen, ..port })
            })
            .collect();
        let (read, notices) = read(&configs)?;
        Ok(Prepared { ports: self.clone(), configs, read, notices })
    }

    /// Reads the files again and puts them into use. Gives the notices about them. Blocks.
    ///
    /// # Errors
    /// As [`Self::open`]; then nothing has changed.
    pub fn reload(&self) -> Result<Vec<Finding>, Findings> {
        Ok(self.prepare(self.configs())?.apply())
    }
}

impl Prepared {
    /// Puts them into use. Connections that are open stay. Gives the notices about the files.
    pub fn apply(self) -> Vec<Finding> {
        let Prepared { ports, configs, read, notices } = self;
        let mut now = ports.inner.ports.lock();
        for (port, (identity, credentials)) in configs.into_iter().zip(read) {
            if let Some((acceptor, authenticator)) = ports.inner.security.get(port.name) {
                acceptor.change(identity);
                authenticator.change(credentials);
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
        f.debug_struct("Prepared").field("ports", &self.configs).finish_non_exhaustive()
    }
}

/// What was read for each of these ports, in their order.
type Read = Vec<(Identity, Option<Credentials>)>;

fn read(ports: &[Port]) -> Result<(Read, Vec<Finding>), Findings> {
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
        let certificate = files.certificate(&port.tls);
        let config = certificate.as_ref().and_then(|certificate| files.server_config(port, certificate));
        let expires = certificate.and_then(|certificate| Some(Validity::of(certificate.certified.cert.first()?)?.end));
        all.push((Identity { config: config.map(Arc::new), expires }, files.credentials(&port.auth)));
    }
    let Reader { faults, mut notices } = files.reader;
    notices.sort();
    notices.dedup();
    if faults.is_empty() { Ok((all, notices)) } else { Err(Findings::new(faults)) }
}

/// The certificate that a port with TLS shows, and the authorities whose certificates it takes.
#[derive(Clone)]
struct Certificate {
    certified: Arc<CertifiedKey>,
    client_roots: Option<Arc<RootCertStore>>,
}

/// Files are read once, however many ports they are for: none of them sees another version.
#[derive(Default)]
struct Files {
    reader: Reader,
    certificates: BTreeMap<String, Option<Certificate>>,
}

impl Files {
    fn certificate(&mut self, tls: &Section<Tls>) -> Option<Certificate> {
        if !tls.settings.is_on() {
            return None;
        }
        if let Some(known) = self.certificates.get(&tls.name) {
            return known.clone();
        }
        let certificate = self.read_certificate(tls);
        self.certificates.insert(tls.name.clone(), certificate.clone());
        certificate
    }

    fn read_certificate(&mut self, tls: &Section<Tls>) -> Option<Certificate> {
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
        Some(Certificate {
            certified,
            client_roots: match client_roots {
                Some(roots) => Some(roots?),
                None => None,
            },
        })
    }

    fn server_config(&mut self, port: &Port, certificate: &Certificate) -> Option<ServerConfig> {
        let provider = super::provider();
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = match builder {
            Ok(builder) => builder,
            Err(error) => {
                self.reader.fault(&port.tls.name, format!("no TLS with these settings: {error}"));
                return None;
            }
        };
        let builder = match &certificate.client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => match WebPkiClientVerifier::builder_with_provider(roots.clone(), provider).build() {
                Ok(verifier) => builder.with_client_cert_verifier(verifier),
                Err(error) => {
                    self.reader.fault(&port.tls.key("client_ca_file"), format!("cannot be used: {error}"));
                    return None;
                }
            },
        };
        let resolver = Arc::new(SingleCertAndKey::from(Arc::unwrap_or_clone(certificate.certified.clone())));
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = protocols();
        if certificate.client_roots.is_some() {
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

/// What is offered in ALPN.
fn protocols() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}
