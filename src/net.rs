//! The network side of every port: TLS, authentication, and the server that all ports share; and
//! what our own clients trust and show at the ports of others.
//!
//! Each port has an [`Acceptor`], which takes a connection in (with or without TLS, with client
//! certificates where they are asked for), and an [`Authenticator`], which checks the credentials of
//! each request. Certificates, keys and secrets come from files, which [`Ports::reload`] reads again:
//! all of them or, if one is bad, none. Connections that are open stay; their next request is
//! checked against the new secrets.
//!
//! A port that other machines can reach and that nothing protects is refused before it takes its
//! first connection, unless the config says `allow_unprotected = true`.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | `[tls]` and `[auth]`, and what they are for one port |
//! | [`port_config`] | the section of a port |
//! | [`finding`] | an error or a notice about a file |
//! | [`tls`] | TLS of a port: handshakes, certificates, clients that speak the wrong protocol |
//! | [`auth`] | credentials of a request: bearer tokens and basic auth |
//! | [`ports`] | acceptors and authenticators of all ports, read from the files and reloaded |
//! | [`server`] | the HTTP server of all ports: connections, timeouts, places, stopping |
//! | [`descriptors`] | the limit on open files, and how many connections it allows |
//! | [`origin`] | telling requests of other web pages |
//! | `drain` | reading on after a refusal, so that the reply arrives |
//! | [`client_credentials`] | what a client of ours trusts and shows |
//! | [`port_descriptor`] | what a client on this machine must know of a running server |

pub mod auth;
pub mod client_credentials;
pub mod config;
pub mod descriptors;
mod drain;
pub mod finding;
pub mod origin;
pub mod port_config;
pub mod port_descriptor;
pub mod ports;
pub mod server;
pub mod tls;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

pub use auth::{Authenticator, Denied, Kinds, Login, Secret};
pub use client_credentials::{ClientCredentials, CredentialFiles};
pub use config::{Auth, Port, Tls};
pub use drain::{drain, drain_body};
pub use finding::{Finding, Findings};
pub(crate) use port_config::port_config;
pub use port_descriptor::PortDescriptor;
pub use ports::Ports;
pub use tls::{Acceptor, Stream};

/// The cryptography of all our TLS.
pub fn provider() -> Arc<CryptoProvider> {
    static RING: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    RING.clone()
}
