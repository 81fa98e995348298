//! What can be wrong with the catalog.

use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

use super::VERSION;

/// Why the catalog could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// SQLite's own answer.
    #[error("catalog {}: {source}", path.display())]
    Sqlite {
        /// The catalog's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Its own check has found damage.
    #[error("catalog {}: damaged: {reason}", path.display())]
    Damaged {
        /// The catalog's file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// Written by a later Vispyr.
    #[error("catalog {}: version {found}, this vispyr knows up to {VERSION}: use the newer vispyr", path.display())]
    Newer {
        /// The catalog's file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// Written by an earlier Vispyr, and only to be read.
    #[error("catalog {}: version {found} instead of {VERSION}: start the store once, which takes it over", path.display())]
    Older {
        /// The catalog's file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

impl CatalogError {
    /// Whether there is no space for what SQLite shares with other processes.
    pub(super) fn is_no_space(&self) -> bool {
        let CatalogError::Sqlite { source: rusqlite::Error::SqliteFailure(error, _), .. } = self else { return false };
        let shared = [ffi::SQLITE_IOERR_SHMOPEN, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_IOERR_SHMMAP];
        matches!(error.code, ErrorCode::DiskFull | ErrorCode::CannotOpen) || shared.contains(&error.extended_code)
    }

    /// Whether it is the content that is at fault: reading it again will not help.
    pub fn is_damage(&self) -> bool {
        match self {
            CatalogError::Damaged { .. } => true,
            CatalogError::Newer { .. } | CatalogError::Older { .. } => false,
            CatalogError::Sqlite { source, .. } => match source {
                // A value of another type than was written.
                rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => true,
                rusqlite::Error::SqliteFailure(error, message) => {
                    // The second: a file of this version without one of its tables.
                    matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                        || message.as_ref().is_some_and(|message| message.starts_with("no such"))
                }
                _ => false,
            },
        }
    }
}
