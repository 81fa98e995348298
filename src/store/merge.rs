//! Merging: one sorted file from many.
//!
//! Rows come in files of a second each, which questions would have to open by the thousand. A merge
//! writes the rows of some files of one table into one, in the order that questions want, and what a
//! dictionary says twice only once. It changes nothing else: who asked for it tells the catalog.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | which files are merged next |
//! | [`process`] | the process that does it, and how it is kept running |
//! | [`server`], [`client`] | its socket, from both sides |
//! | [`mod@write`] | the one file is written |
//! | [`filter`] | rows that are left out by a person's condition |

use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::Connection;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::catalog::{ColumnStatistics, File, NewFile};
use crate::store::engine::sealed_file::LogRange;
use crate::store::instance::{self, Limits, is_out_of_memory};

pub use self::filter::Filter;
pub use self::write::write;

pub mod client;
mod filter;
pub mod plan;
pub mod process;
pub mod server;
mod write;

/// A file to be merged with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Path below the folder of sealed files; its name tells the version of its columns.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Earliest time in it, nanoseconds since the Unix epoch.
    pub min_time: Option<i64>,
    /// Latest time in it.
    pub max_time: Option<i64>,
    /// Its size.
    pub bytes: u64,
    /// XXH3 of its content.
    pub checksum: u64,
}

impl From<&File> for Input {
    fn from(file: &File) -> Self {
        let &File { rows, min_time, max_time, bytes, checksum, .. } = file;
        Input { path: file.path.clone(), rows, min_time, max_time, bytes, checksum }
    }
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Folder of the sealed files.
    pub sealed: PathBuf,
    /// Name of the table.
    pub table: String,
    /// The files whose rows it gets.
    pub inputs: Vec<Input>,
    /// Path of the new file below the folder of sealed files. Its folder is made if need be.
    pub output: PathBuf,
    /// Level of the new file.
    pub level: u8,
    /// What one transaction of the catalog makes known together.
    pub flush: Uuid,
    /// When: nanoseconds since the Unix epoch.
    pub created: u64,
    /// Records whose rows are in the inputs, beside those that the inputs name themselves.
    pub logs: Vec<LogRange>,
    /// Rows that are left out. Nothing is written if there are none, or no others.
    #[serde(default)]
    pub filter: Option<Filter>,
}

/// What was written, and is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Rows.
    pub rows: u64,
    /// Rows that a filter left out.
    pub left_out: u64,
    /// Earliest time of all inputs. A dictionary's row stands for all those that were left out, too.
    pub min_time: Option<i64>,
    /// Latest time.
    pub max_time: Option<i64>,
    /// Size of the file.
    pub bytes: u64,
    /// XXH3 of its content.
    pub checksum: u64,
    /// Size of its footer in bytes, where it is known.
    pub footer: Option<u64>,
    /// What is known of its columns.
    pub columns: Vec<ColumnStatistics>,
    /// Processor time that it took.
    pub cpu: Duration,
}

impl Merged {
    /// What the catalog gets to know of it, once it is called `path`.
    pub fn into_file(self, table: &str, path: &Path, level: u8) -> NewFile {
        let Merged { rows, min_time, max_time, bytes, checksum, footer, columns, .. } = self;
        let path = path.to_string_lossy().into_owned();
        let file = File { table: table.to_owned(), path, rows, min_time, max_time, bytes, checksum, level };
        NewFile { file, has_field_ids: true, footer, columns, is_damaged: false }
    }
}

/// Why there is no merged file. Whatever was written of it is removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum MergeError {
    /// An input is not what was sealed. Its rows must not get a new checksum.
    #[error("{path} cannot be merged: {reason}")]
    Damaged {
        /// Its path below the folder of sealed files.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is full.
    #[error("no space for a merged file: {0}")]
    NoSpace(String),
    /// DuckDB's memory does not do for its filter.
    #[error("no memory for a merge: {0}")]
    NoMemory(String),
    /// The new file does not hold what it should.
    #[error("merging {table} gave {written} rows instead of {expected}")]
    Rows {
        /// The table.
        table: String,
        /// Rows of the inputs.
        expected: u64,
        /// Rows of the new file.
        written: u64,
    },
    /// A filter has no condition that may run.
    #[error("{0}")]
    Condition(String),
    /// A filter names columns that the table has not.
    #[error("{0}")]
    Columns(String),
    /// Something else.
    #[error("cannot merge: {0}")]
    Other(String),
}

impl From<duckdb::Error> for MergeError {
    fn from(error: duckdb::Error) -> Self {
        let text = error.to_string();
        match () {
            () if text.contains("No space left on device") => MergeError::NoSpace(text),
            () if is_out_of_memory(&error) => MergeError::NoMemory(text),
            () => MergeError::Other(text),
        }
    }
}

/// Opens the DuckDB that finds rows by a condition, with this much memory in bytes and one thread. What it
/// has no memory for it writes into the folder `spill`, where files are sorted, too.
///
/// # Errors
/// DuckDB's.
pub fn open(memory: u64, spill: &Path) -> Result<Connection, duckdb::Error> {
    instance::open(Limits { memory, threads: 1 }, spill)
}

#[cfg(test)]
mod tests;
