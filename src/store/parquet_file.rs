//! Parquet files, written and merged without DuckDB.
//!
//! DuckDB takes a `VARIANT` apart and puts it together again on each way through it: 8 us a span to
//! write one from its encoded form, 10 us to merge one. Here an encoded variant goes into its columns at
//! once, and a merge moves columns as they are. What comes out is what DuckDB reads: Parquet's
//! `VariantShredding.md`, `FIELD_IDS` for DuckLake.
//!
//! | module | what |
//! |---|---|
//! | [`encoding`] | reads the encoded form of variants |
//! | [`shred`] | encoded variants become columns |
//! | [`conform`] | columns of one shape become those of another |
//! | [`columns`] | the columns of a stored table as Arrow has them |
//! | [`order`] | the order of rows in a file |
//! | [`write`](mod@write) | a file is written |
//! | [`read`] | a file is read in the shape of another |
//! | [`merge`] | sorted files become one |
//! | [`runs`] | files in another order become sorted ones |
//! | [`copy`] | a file is written again without some rows |
//! | [`footer`] | what a footer says beyond that |
//! | [`leaves`] | shredded keys as columns of their own |
//! | [`filters`] | which row groups can hold a trace |
//! | [`statistics`] | what a footer tells of the columns |

pub mod columns;
pub mod conform;
pub mod copy;
pub mod encoding;
pub mod filters;
pub mod footer;
pub mod leaves;
pub mod merge;
pub mod order;
pub mod read;
pub mod runs;
pub mod shred;
pub mod statistics;
pub mod write;

use std::io;
use std::path::Path;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

/// Why a file was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// What is in a file is no Parquet, or not what it should be.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    /// Columns do not fit together.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// The rows of a file that was to be merged are in another order.
    #[error("{0} is not sorted")]
    Order(String),
    /// It was given up.
    #[error("it was given up")]
    Stopped,
}

impl FileError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        FileError::Io { action, path: path.display().to_string(), source }
    }

    /// Whether there was no space.
    pub fn is_full_disk(&self) -> bool {
        let kind = match self {
            FileError::Io { source, .. } => Some(source.kind()),
            FileError::Parquet(ParquetError::External(error)) => error.downcast_ref::<io::Error>().map(io::Error::kind),
            _ => None,
        };
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether the system refused, and not what is in the file.
    pub fn is_io(&self) -> bool {
        match self {
            FileError::Io { .. } => true,
            FileError::Parquet(ParquetError::External(error)) => error.is::<io::Error>(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
