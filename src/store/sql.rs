//! SQL for people and programs that are not trusted: gates, execution, formats, HTTP.
//!
//! DuckDB's own sandbox is not enough: with `enable_external_access = false` and a read-only
//! transaction, a SELECT of 2.0.0 can still delete rows, overwrite the database file and end the
//! process. So a statement passes these gates, in this order:
//!
//! | gate | where |
//! |---|---|
//! | size, UTF-8, no NUL, nesting | [`text`] |
//! | parsed by an instance without data; exactly one query | [`parse`] |
//! | a walk over the tree: only what is known to be harmless | [`validate`], [`calls`], [`functions`] |
//! | attributes compare as what they are | [`rewrite`] |
//! | a fresh connection, a read-only transaction | [`execute`] |
//! | limits on rows and time | [`service`] |
//! | a process of its own, watched from outside, ended if need be | [`crate::store::reader`], [`crate::store::front`] |
//!
//! What is run is the text that DuckDB makes of the tree that was validated, never the user's own.

use std::time::Duration;

use bytesize::ByteSize;

use crate::net;

pub mod calls;
pub mod columns;
pub mod describe;
pub mod dialect;
pub mod error;
pub mod execute;
pub mod format;
pub mod functions;
pub mod http;
pub mod metrics;
pub mod parse;
pub mod request;
pub mod rewrite;
pub mod sandbox;
pub mod service;
pub mod text;
pub mod validate;
pub mod value;
pub mod variant;

pub use error::SqlError;
pub use metrics::Metrics;
pub use service::{FilesOpened, Service, Source};

net::port_config! {
    /// `[sql]`: the SQL interface and its limits.
    pub struct Config, port 12346 {
        /// Rows of one answer; more are cut off and the answer says so.
        pub max_rows: u64 = 100_000,
        /// How long one statement may run. Then it is interrupted, and if it ignores that, its reader is ended.
        #[serde(with = "crate::duration")]
        pub time_limit: Duration = Duration::from_secs(30),
        /// Memory that statements take in all readers together; a reader has some 30 MiB for itself beside it.
        /// One statement may take three eighths of it before it has to use the disk; over it the largest is ended.
        pub memory_limit: ByteSize = ByteSize::gib(1),
        /// Bytes of one statement.
        pub max_statement: ByteSize = ByteSize::kib(256),
        /// Statements that run at the same time, each in a reader of its own; others wait. Of those that come at once
        /// as many begin as there are processors, the next ones a quarter of a second later at the latest.
        pub concurrency: usize = 32,
        /// For tests of what is behind the gates: `false` lets every statement through. Not for users.
        #[serde(skip_serializing)]
        pub gates: bool = true,
    }
}
