//! How many connections each group of ports may have.

use std::sync::Arc;

use crate::config::Config;
use crate::net::descriptors;
use crate::net::server::{Connections, Limits};
use crate::store::front::proxy;
use crate::web;

/// Descriptors of a connection to a port for statements: its own, and one to a reader.
const SQL_COST: u64 = 2;

/// The connections of the ports, within what the open files of this process allow.
#[derive(Debug)]
pub struct Places {
    /// The most that the receivers may have together.
    pub receivers: usize,
    /// Those of the page.
    pub web: Arc<Connections>,
    /// Those of SQL over HTTP.
    pub sql: Arc<Connections>,
    /// Those of PostgreSQL's protocol.
    pub postgres: Arc<Connections>,
}

impl Places {
    /// Raises the limit on open files and shares it out.
    pub fn new(config: &Config) -> Self {
        let open_files = descriptors::raise();
        let wanted = config.admission.max_connections;
        let statements = (proxy::MAX_CONNECTIONS, SQL_COST);
        let groups = [(wanted, 1), (web::MAX_CONNECTIONS, 1), statements, statements];
        let [receivers, web, sql, postgres] = descriptors::share(open_files, groups);
        if receivers < wanted {
            tracing::warn!(
                open_files,
                receivers,
                max_connections = wanted,
                "the limit on open files allows fewer connections than admission.max_connections; raise LimitNOFILE="
            );
        }
        let limits = Limits { max_connections: web::MAX_CONNECTIONS, ..Limits::default() };
        Places {
            receivers,
            web: Connections::new(limits, web),
            sql: Connections::new(proxy::limits(config.sql.time_limit), sql),
            postgres: Connections::new(proxy::limits(config.sql.time_limit), postgres),
        }
    }
}
