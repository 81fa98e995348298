//! The store: every signal in DuckDB, answered in SQL.
//!
//! The collector sends the engine the records of its logs over a unix socket ([`protocol`]). The
//! engine writes their rows into small files at once and seals those within a minute; the merger makes
//! large ones of them. The collector's log is the write-ahead log: one transaction of the [`catalog`] makes
//! files known and moves the log position with them. So a kill at any moment neither loses nor doubles a
//! row. Statements run in readers, processes of their own that the front starts, because a single one can
//! crash DuckDB.
//!
//! | module | what |
//! |---|---|
//! | [`protocol`] | what collector and engine say to each other |
//! | [`catalog`] | which sealed files there are and up to which position the logs are in them |
//! | [`engine`] | the process that stores |
//! | [`instance`] | opening DuckDB |
//! | [`merge`] | one sorted file from many |
//! | [`parquet_file`] | files, written and merged without DuckDB |
//! | [`forget`] | rows are deleted by hand: what is asked and answered |
//! | [`retention`] | what is kept and for how long |
//! | [`schema`] | the stored tables |
//! | [`ingest`] | from records to rows |
//! | [`views`] | what users see of the tables |
//! | [`macros`] | ready-made questions over them |
//! | [`reader`] | the processes that run statements over the files |
//! | [`process`] | how the processes of the store are started, confined and ended |
//! | [`front`] | the process before the others: public port, readers, supervision, watchdog |
//! | [`sql`] | statements of untrusted users: gates, limits, formats, HTTP |

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;

mod blob;
pub mod catalog;
pub mod engine;
pub mod forget;
pub mod front;
pub mod ingest;
pub mod instance;
pub mod macros;
pub mod merge;
pub mod parquet_file;
pub mod process;
pub mod protocol;
pub mod reader;
pub mod retention;
pub mod schema;
pub mod sql;
pub mod views;

/// Settings of the store (`[store]`).
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether `vispyr serve` runs a store, and the collector feeds it.
    pub enabled: bool,
    /// Folder of the catalog and the sealed files; `store` in the data directory if not given.
    pub dir: Option<PathBuf>,
    /// Folder of the sockets between collector, store front and engine; `run` in the data
    /// directory if not given.
    pub socket_dir: Option<PathBuf>,
    /// Memory of the writer's DuckDB, which takes only rows that are not written as they come, and, with a
    /// margin, of the whole process, which is started again above that.
    pub memory_limit: ByteSize,
    /// Rows are sealed when they have been visible for so long: put in order, and on disk for good. Until then
    /// the logs keep their records.
    #[serde(with = "crate::duration")]
    pub seal_interval: Duration,
    /// Memory of the merger's DuckDB, which deletes rows by hand and merges files of earlier versions. What
    /// does not fit goes to disk meanwhile.
    pub merge_memory: ByteSize,
    /// Share of one core that merging takes at most, over time. Seconds of rows become minutes
    /// however long that takes.
    pub merge_share: f64,
    /// What is kept and for how long.
    pub retention: retention::Config,
    /// Threads of the DuckDB of each reader at most; as many as there are cores if not given, 2 at most. Statements that
    /// run at the same time share the cores.
    pub threads: Option<u32>,
    /// How long rows may find no memory before the engine ends over them. No key of the config.
    #[serde(skip)]
    pub memory_patience: Duration,
    /// How long a statement may run (`sql.time_limit`): for so long a file is there that it may read. No key of
    /// the config.
    #[serde(skip)]
    pub statement_limit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            dir: None,
            socket_dir: None,
            memory_limit: ByteSize::mib(512),
            seal_interval: Duration::from_secs(60),
            merge_memory: ByteSize::mib(256),
            merge_share: 0.5,
            retention: retention::Config::default(),
            threads: None,
            memory_patience: Duration::from_secs(20),
            statement_limit: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// The store's folder.
    pub fn dir(&self, data_dir: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| data_dir.join("store"))
    }

    /// The folder of the sockets.
    pub fn socket_dir(&self, data_dir: &Path) -> PathBuf {
        self.socket_dir.clone().unwrap_or_else(|| data_dir.join("run"))
    }

    /// Where the collector reaches the engine.
    pub fn ingest_socket(&self, data_dir: &Path) -> PathBuf {
        self.socket_dir(data_dir).join("ingest.sock")
    }

    /// Where the engine reaches the merger.
    pub fn merge_socket(&self, data_dir: &Path) -> PathBuf {
        self.socket_dir(data_dir).join("merge.sock")
    }

    /// Where `vispyr forget` reaches the engine.
    pub fn forget_socket(&self, data_dir: &Path) -> PathBuf {
        self.socket_dir(data_dir).join("forget.sock")
    }

    /// Where the collector asks the store front for its metrics.
    pub fn front_socket(&self, data_dir: &Path) -> PathBuf {
        self.socket_dir(data_dir).join("front.sock")
    }

    /// Where readers put what they have no memory for.
    pub fn spill_dir(&self, data_dir: &Path) -> PathBuf {
        self.dir(data_dir).join("spill")
    }

    /// Where the store front reaches the engine.
    pub fn query_socket(&self, data_dir: &Path) -> PathBuf {
        self.socket_dir(data_dir).join("query.sock")
    }
}
