//! From the logs to the destinations. Each destination reads at its own pace with a cursor of
//! its own, so that a dead one holds back nobody else.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | one `[exporters.NAME]` |
//! | [`delivery`] | the engine: what is sent when, again, in pieces, or set aside |
//! | [`destination`] | a destination as the engine sees it: takes a batch, gives an outcome |
//! | [`outcome`] | what an answer means |
//! | [`batch`], [`encoding`] | records joined into one body, without copying where that is possible |
//! | [`client`], [`chunks`], `tls`, `credentials`, `proxy`, `redirect` | HTTP |
//! | [`otlp`], [`prometheus`], [`pyroscope`] | the protocols |
//! | `unnameable` | what Prometheus has no name for |
//! | [`backoff`] | how long to wait |
//! | [`store`] | the store, which has a protocol of its own |

pub mod backoff;
pub mod batch;
pub mod chunks;
pub mod client;
pub mod config;
mod credentials;
pub mod delivery;
pub mod destination;
pub mod encoding;
pub mod otlp;
pub mod outcome;
pub mod prometheus;
mod proxy;
pub mod pyroscope;
mod redirect;
pub mod store;
mod tls;
mod unnameable;

use std::collections::BTreeMap;

pub use config::Config;

/// All of `[exporters]`, by name.
pub type Exporters = BTreeMap<String, Config>;

/// The exporters of a config, with the store of this machine among them if there is one that the
/// config does not name.
pub fn with_store(exporters: &Exporters, store: bool) -> Exporters {
    let mut all = exporters.clone();
    if store && !all.values().any(Config::is_store) {
        let config = Config { kind: Some(config::Kind::Store), ..Config::default() };
        all.insert(store::DESTINATION.to_owned(), config);
    }
    all
}
