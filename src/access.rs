//! Who may come in: TLS and credentials of every port, and what our own clients show at others'.
//!
//! Each port has a [`Door`]. It takes a connection in (with or without TLS, client certificates
//! where they are asked for) and says for each request whether its credentials are good. What the
//! doors are locked with comes from files, which [`Doors::reload`] reads again: all of them or,
//! if one is bad, none. Connections that are open stay; their next request is judged anew.
//!
//! A port that other machines can reach and that nothing protects is refused before it takes its
//! first connection, unless the config says `allow_unprotected = true`.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | `[tls]` and `[auth]`, and what a port makes of them |
//! | [`finding`] | what is wrong with a file, or odd about it |
//! | `material` | certificates, keys and secrets out of their files |
//! | `validity` | when a certificate begins and ends |
//! | [`secret`] | a text that is never shown |
//! | [`credentials`] | whether a request's `Authorization` is good |
//! | `dismissal` | turning away, so that the reply arrives |
//! | [`door`], [`stream`], `stray` | one port: connections in, requests judged; callers at the wrong kind of port |
//! | [`doors`] | all of them, read again at once |
//! | [`pass`], `pinned` | the other side: what a client of ours trusts and shows |
//! | [`doorplate`] | what a client on this machine must know of a running server |

pub mod config;
pub mod credentials;
mod dismissal;
pub mod door;
pub mod doorplate;
pub mod doors;
pub mod finding;
mod material;
pub mod pass;
mod pinned;
pub mod secret;
mod stray;
pub mod stream;
mod validity;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

pub use config::{Auth, Port, Tls};
pub use credentials::Denied;
pub use dismissal::dismiss;
pub use door::Door;
pub use doorplate::Doorplate;
pub use doors::Doors;
pub use finding::{Finding, Findings};
pub use pass::{Pass, PassFiles};
pub use secret::Secret;
pub use stream::Stream;

/// The cryptography of all our TLS.
pub fn provider() -> Arc<CryptoProvider> {
    static RING: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    RING.clone()
}
