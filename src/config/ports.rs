//! Every port that the config opens, with its TLS and credentials.

use super::Config;
use crate::net::port_config::Common;
use crate::net::{Auth, Port, Tls};

impl Config {
    /// The ports that are enabled: those of the receivers, `sql` and `postgres` if there is a store, `web`.
    pub fn ports(&self) -> Vec<Port> {
        let port = |section: &'static str, own| {
            let name = section.strip_prefix("receivers.").unwrap_or(section);
            Port::new((name, section), own, (&self.tls, &self.auth))
        };
        let sections = self.port_sections().into_iter();
        sections.filter(|(_, is_open, _)| *is_open).map(|(section, _, own)| port(section, own)).collect()
    }

    /// Every `[tls]` and `[auth]` section with the name of the port's section before it, the top
    /// ones without.
    pub(super) fn security_sections(&self) -> Vec<(String, &Tls, &Auth)> {
        let of_ports = self.port_sections().map(|(section, _, own)| (format!("{section}."), own.tls, own.auth));
        std::iter::once((String::new(), &self.tls, &self.auth)).chain(of_ports).collect()
    }

    /// The section of each port, and whether the port is opened.
    fn port_sections(&self) -> [(&'static str, bool, Common<'_>); 7] {
        let (receivers, has_store) = (&self.receivers, self.store.enabled);
        let (grpc, http) = (&receivers.otlp_grpc, &receivers.otlp_http);
        let (remote_write, pyroscope) = (&receivers.remote_write, &receivers.pyroscope);
        [
            ("receivers.otlp_grpc", grpc.enabled, grpc.common()),
            ("receivers.otlp_http", http.enabled, http.common()),
            ("receivers.remote_write", remote_write.enabled, remote_write.common()),
            ("receivers.pyroscope", pyroscope.enabled, pyroscope.common()),
            ("sql", has_store, self.sql.common()),
            ("postgres", has_store && self.postgres.enabled, self.postgres.common()),
            ("web", true, self.web.common()),
        ]
    }
}
