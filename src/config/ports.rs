//! Every port that the config opens, with its TLS and credentials.

use std::net::SocketAddr;

use super::Config;
use crate::net::{Auth, Port, Tls};

impl Config {
    /// The ports that are enabled: those of the receivers, `sql` and `postgres` if there is a store, `web`.
    pub fn ports(&self) -> Vec<Port> {
        let receivers = &self.receivers;
        let mut ports = Vec::with_capacity(7);
        let mut add = |yes, names, listen: SocketAddr, allow_unprotected, own: (&Tls, &Auth)| {
            if yes {
                ports.push(Port::new(names, listen, allow_unprotected, own, (&self.tls, &self.auth)));
            }
        };
        let port = &receivers.otlp_grpc;
        let names = ("otlp_grpc", "receivers.otlp_grpc");
        add(port.enabled, names, port.listen, port.allow_unprotected, (&port.tls, &port.auth));
        let port = &receivers.otlp_http;
        let names = ("otlp_http", "receivers.otlp_http");
        add(port.enabled, names, port.listen, port.allow_unprotected, (&port.tls, &port.auth));
        let port = &receivers.remote_write;
        let names = ("remote_write", "receivers.remote_write");
        add(port.enabled, names, port.listen, port.allow_unprotected, (&port.tls, &port.auth));
        let port = &receivers.pyroscope;
        let names = ("pyroscope", "receivers.pyroscope");
        add(port.enabled, names, port.listen, port.allow_unprotected, (&port.tls, &port.auth));
        let port = &self.sql;
        add(self.store.enabled, ("sql", "sql"), port.listen, port.allow_unprotected, (&port.tls, &port.auth));
        let (port, is_on) = (&self.postgres, self.store.enabled && self.postgres.enabled);
        add(is_on, ("postgres", "postgres"), port.listen, port.allow_unprotected, (&port.tls, &port.auth));
        let port = &self.web;
        add(true, ("web", "web"), port.listen, port.allow_unprotected, (&port.tls, &port.auth));
        ports
    }

    /// Every `[tls]` and `[auth]` section with the name of the port's section before it, the top
    /// ones without.
    pub(super) fn security_sections(&self) -> [(&'static str, &Tls, &Auth); 8] {
        let receivers = &self.receivers;
        [
            ("", &self.tls, &self.auth),
            ("receivers.otlp_grpc.", &receivers.otlp_grpc.tls, &receivers.otlp_grpc.auth),
            ("receivers.otlp_http.", &receivers.otlp_http.tls, &receivers.otlp_http.auth),
            ("receivers.remote_write.", &receivers.remote_write.tls, &receivers.remote_write.auth),
            ("receivers.pyroscope.", &receivers.pyroscope.tls, &receivers.pyroscope.auth),
            ("sql.", &self.sql.tls, &self.sql.auth),
            ("postgres.", &self.postgres.tls, &self.postgres.auth),
            ("web.", &self.web.tls, &self.web.auth),
        ]
    }
}
