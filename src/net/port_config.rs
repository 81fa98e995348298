//! A port's section of the config: the same keys in each, and what the port has beside them.

use std::net::SocketAddr;

use super::config::{Auth, Tls};

/// What the sections of all ports say.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its own TLS.
    pub tls: &'a Tls,
    /// Its own credentials.
    pub auth: &'a Auth,
    /// Whether other machines may be let in although nothing protects it.
    pub allow_unprotected: bool,
}

/// Declares the section of a port that listens on 127.0.0.1 by default, with the keys that it has beside those of all
/// ports and their defaults: `pub struct Config, port 4317 { pub enabled: bool = true }`.
///
/// It is not one struct within the others: serde tells the keys of a struct only where none is flattened into it, and
/// what the config says of mistakes comes of that.
macro_rules! port_config {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident, port $port:literal {
            $($(#[$of_key:meta])* pub $key:ident: $type:ty = $default:expr),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Where it listens. Port 0 takes a free one.
            pub listen: std::net::SocketAddr,
            /// Its own TLS, instead of `[tls]`.
            pub tls: $crate::net::Tls,
            /// Its own credentials, instead of `[auth]`.
            pub auth: $crate::net::Auth,
            /// Lets other machines in although nothing protects the port.
            pub allow_unprotected: bool,
            $($(#[$of_key])* pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    listen: std::net::SocketAddr::from(([127, 0, 0, 1], $port)),
                    tls: $crate::net::Tls::default(),
                    auth: $crate::net::Auth::default(),
                    allow_unprotected: false,
                    $($key: $default,)*
                }
            }
        }

        impl $name {
            /// What it says as every port's section does.
            pub fn common(&self) -> $crate::net::port_config::Common<'_> {
                let $name { listen, tls, auth, allow_unprotected, .. } = self;
                $crate::net::port_config::Common {
                    listen: *listen,
                    tls,
                    auth,
                    allow_unprotected: *allow_unprotected,
                }
            }
        }
    };
}

pub(crate) use port_config;
