//! The port that speaks PostgreSQL's protocol (version 3.0), for psql, drivers and BI programs.
//!
//! Statements run as over HTTP ([`super::statement`]): the same gates, turns, limits, readers. Their rows come
//! as Arrow and leave as PostgreSQL's. Nothing can be changed here: of what is not a query, the port knows
//! what clients send beside queries (`SET`, `BEGIN`, `COPY ... TO STDOUT`).
//!
//! `pgwire` gives the messages and SCRAM. Its own server does not fit here: it gathers an answer as a whole
//! before it sends the first row of a portal, takes messages of a gigabyte, and panics in some that are cut
//! short. So the connection is ours.
//!
//! | module | what |
//! |---|---|
//! | [`frame`] | messages as they come, checked |
//! | [`wire`] | a connection as a stream of messages |
//! | [`startup`] | TLS, the first message, requests to cancel |
//! | [`login`] | passwords: SCRAM-SHA-256, or a token |
//! | [`cancel`] | who may cancel which statement |
//! | [`session`] | a connection after its login |
//! | [`simple`] | the simple protocol |
//! | [`extended`] | the extended protocol: prepared statements and portals |
//! | [`cursor`] | cursors |
//! | [`utility`] | statements that are no queries |
//! | [`running`] | a statement that runs: its rows, and what stops it |
//! | [`lexer`] | statements in one text, and their words |
//! | [`command`] | which statements are no queries |
//! | [`settings`] | `SET` and `SHOW` |
//! | [`answer`] | the rows of a statement as they come from its reader |
//! | [`types`] | PostgreSQL's types for DuckDB's |
//! | [`rows`] | rows as PostgreSQL writes them |
//! | [`interval`] | intervals |
//! | [`parameters`] | values of parameters |
//! | [`copy`] | `COPY ... TO STDOUT` |
//! | [`error`] | errors with their codes |

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Port;
use super::state::State;
use crate::net;
use crate::net::server::{self, Listener, Socket};

pub mod answer;
pub mod cancel;
pub mod command;
pub mod copy;
pub mod cursor;
pub mod error;
pub mod extended;
pub mod frame;
#[cfg(test)]
mod fuzz;
pub mod interval;
pub mod lexer;
pub mod login;
pub mod parameters;
pub mod rows;
pub mod running;
pub mod session;
pub mod settings;
pub mod simple;
pub mod startup;
pub mod types;
pub mod utility;
pub mod wire;

net::port_config! {
    /// `[postgres]`: SQL over PostgreSQL's protocol. Its limits are those of `[sql]`.
    pub struct Config, port 5433 {
        /// Whether the port is opened, where there is a store.
        pub enabled: bool = true,
    }
}

/// What connections share.
pub struct Shared {
    /// The front.
    pub state: Arc<State>,
    /// Who may cancel which statement.
    pub cancel: cancel::Registry,
    /// The logins.
    pub logins: login::Logins,
}

/// Serves the port until `shutdown`.
pub async fn serve(port: Port, state: Arc<State>, shutdown: CancellationToken) {
    let Port { listener, acceptor, authenticator, connections } = port;
    let shared =
        Arc::new(Shared { state, cancel: cancel::Registry::default(), logins: login::Logins::new(authenticator) });
    let end = shutdown.clone();
    server::accept("postgres", Listener::Tcp(listener, acceptor), connections, end, move |socket, _, place, limits| {
        let (shared, shutdown) = (Arc::clone(&shared), shutdown.clone());
        async move {
            match socket {
                Socket::Tcp(stream, acceptor) => {
                    let begun = startup::begin(stream, &acceptor, &shared, &place, &limits, &shutdown).await?;
                    match begun {
                        Some(session) => session.run(&place, &shutdown).await,
                        None => Ok(()),
                    }
                }
                Socket::Unix(_) => Ok(()),
            }
        }
    })
    .await;
}
