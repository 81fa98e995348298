//! `[tls]` and `[auth]`: at the top for every port, or in a port's own section instead.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::port_config::Common;

/// What a port shows and asks for when a connection begins (`[tls]`, `[web.tls]` and so on).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// `false`: no TLS here, whatever else is set.
    pub enabled: Option<bool>,
    /// PEM: the server's certificate, then those between it and the root.
    pub certificate_file: Option<PathBuf>,
    /// PEM: its private key, not encrypted.
    pub key_file: Option<PathBuf>,
    /// PEM: who must have signed the certificate that a client shows. Not set: none is asked for.
    pub client_ca_file: Option<PathBuf>,
}

impl Tls {
    /// Whether a port has TLS with these settings.
    pub fn is_on(&self) -> bool {
        self.enabled != Some(false) && (self.certificate_file.is_some() || self.key_file.is_some())
    }
}

/// What a request must show (`[auth]`, `[web.auth]` and so on). With both files, either will do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// `false`: no credentials are asked for here, whatever else is set.
    pub enabled: Option<bool>,
    /// One token a line; each of them is accepted (RFC 6750).
    pub bearer_tokens_file: Option<PathBuf>,
    /// One `user:password` a line (RFC 7617).
    pub basic_users_file: Option<PathBuf>,
}

impl Auth {
    /// Whether credentials are asked for with these settings.
    pub fn is_on(&self) -> bool {
        self.enabled != Some(false) && (self.bearer_tokens_file.is_some() || self.basic_users_file.is_some())
    }
}

/// Settings and the section that they are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<T> {
    /// The section's name: `tls`, `receivers.otlp_grpc.tls`.
    pub name: String,
    /// What it says.
    pub settings: T,
}

impl<T: PartialEq + Default + Clone> Section<T> {
    /// A port's own section if anything is in it, else the one at the top.
    fn nearest(port: &str, name: &str, own: &T, top: &T) -> Self {
        if *own == T::default() {
            Section { name: name.to_owned(), settings: top.clone() }
        } else {
            Section { name: format!("{port}.{name}"), settings: own.clone() }
        }
    }

    /// The full name of one of its keys.
    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }
}

/// A port and how it is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in the ledger, in `addresses.json` and for systemd's sockets.
    pub name: &'static str,
    /// Its section in the config.
    pub section: &'static str,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether it may be open to other machines without any protection.
    pub allow_unprotected: bool,
    /// TLS.
    pub tls: Section<Tls>,
    /// Credentials.
    pub auth: Section<Auth>,
}

impl Port {
    /// A port whose own sections replace the `top` ones.
    pub fn new((name, section): (&'static str, &'static str), own: Common<'_>, top: (&Tls, &Auth)) -> Self {
        let Common { listen, tls, auth, allow_unprotected } = own;
        let tls = Section::nearest(section, "tls", tls, top.0);
        let auth = Section::nearest(section, "auth", auth, top.1);
        Port { name, section, listen, allow_unprotected, tls, auth }
    }

    /// Whether others than this machine can reach it.
    pub fn is_exposed(&self) -> bool {
        !self.listen.ip().to_canonical().is_loopback()
    }

    /// Why it must not be opened as it is, if so.
    pub fn unprotected(&self) -> Option<String> {
        let protected = self.tls.settings.is_on() || self.auth.settings.is_on();
        (self.is_exposed() && !protected && !self.allow_unprotected).then(|| {
            let (listen, section) = (self.listen, self.section);
            format!(
                "{listen} can be reached from other machines and nothing protects it; set certificate_file and \
                 key_file in [tls] or [{section}.tls], or bearer_tokens_file or basic_users_file in [auth] or \
                 [{section}.auth], or listen on 127.0.0.1; if whoever can reach it may use it, say \
                 allow_unprotected = true in [{section}]"
            )
        })
    }

    /// A notice about protection that is allowed but incomplete.
    pub fn half_protected(&self) -> Option<String> {
        let (tls, auth) = (&self.tls.settings, &self.auth.settings);
        let (listen, section) = (self.listen, self.section);
        if !self.is_exposed() {
            return None;
        }
        match (tls.is_on(), auth.is_on()) {
            (false, true) => Some(format!(
                "{listen} asks for credentials but has no TLS: they and the data can be read on the way; \
                 set [{section}.tls] or [tls] unless something before it speaks TLS"
            )),
            (true, false) if tls.client_ca_file.is_none() => Some(format!(
                "{listen} has TLS but asks for no credentials and no client certificate: whoever reaches it may use it"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(listen: &str, tls: &Tls, auth: &Auth, top: (&Tls, &Auth)) -> Port {
        let own = Common { listen: listen.parse().unwrap(), tls, auth, allow_unprotected: false };
        Port::new(("web", "web"), own, top)
    }

    #[test]
    fn own_sections_replace_the_top_ones_whole() {
        let top = Tls { certificate_file: Some("/a".into()), key_file: Some("/b".into()), ..Tls::default() };
        let off = Tls { enabled: Some(false), ..Tls::default() };
        let auth = Auth::default();
        let by_top = port("127.0.0.1:1", &Tls::default(), &auth, (&top, &auth));
        assert_eq!((by_top.tls.key("key_file").as_str(), by_top.tls.settings.is_on()), ("tls.key_file", true));
        let own = port("127.0.0.1:1", &off, &auth, (&top, &auth));
        assert_eq!((own.tls.key("key_file").as_str(), own.tls.settings.is_on()), ("web.tls.key_file", false));
    }

    #[test]
    fn beyond_loopback_protection_is_due() {
        let (no_tls, no_auth) = (Tls::default(), Auth::default());
        let auth = Auth { bearer_tokens_file: Some("/t".into()), ..Auth::default() };
        for (listen, due) in [
            ("127.0.0.1:1", false),
            ("127.8.8.8:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.0.2.1:1", true),
            ("[::ffff:192.0.2.1]:1", true),
        ] {
            let mut port = port(listen, &no_tls, &no_auth, (&no_tls, &no_auth));
            assert_eq!(port.unprotected().is_some(), due, "{listen}");
            port.allow_unprotected = true;
            assert_eq!(port.unprotected(), None, "{listen}");
        }
        let protected = port("0.0.0.0:1", &no_tls, &auth, (&no_tls, &no_auth));
        assert_eq!(protected.unprotected(), None);
        assert!(protected.half_protected().is_some_and(|why| why.contains("no TLS")));
    }
}
