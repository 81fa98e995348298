//! Opening DuckDB: the right version, its settings, its memory.
//!
//! It keeps nothing: all it does is write files of level 0.

use std::path::Path;

use duckdb::{Config as Settings, Connection};

use super::store_dir::StoreDir;
use crate::store::Config;
use crate::store::ingest::Decoder;

/// The versions of the library that this engine is made for.
const LIBRARY: &str = "v2.0.";

/// Why DuckDB could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Not the version that this was built for.
    #[error("the DuckDB library is {0}, but vispyr needs 2.0: point DUCKDB_LIB_DIR or the library path to DuckDB 2.0")]
    Version(String),
    /// DuckDB's own answer.
    #[error("duckdb: {0}")]
    Duckdb(#[from] duckdb::Error),
}

/// Opens an instance that writes files of level 0, and nothing else.
///
/// # Errors
/// See [`InstanceError`].
pub fn open_writer(config: &Config, store_dir: &StoreDir) -> Result<Connection, InstanceError> {
    let db = Connection::open_in_memory_with_flags(settings(config, store_dir)?)?;
    check_version(&version(&db)?)?;
    Decoder::register(&db)?;
    Ok(db)
}

fn settings(config: &Config, store_dir: &StoreDir) -> Result<Settings, duckdb::Error> {
    Settings::default()
        .with("memory_limit", format!("{}B", config.memory_limit.as_u64()))?
        .with("threads", "1")?
        .with("temp_directory", store_dir.tmp().to_string_lossy())?
        .with("preserve_insertion_order", "false")?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("allow_community_extensions", "false")
}

/// The library's version.
///
/// # Errors
/// DuckDB's.
pub fn version(db: &Connection) -> Result<String, duckdb::Error> {
    db.query_row("SELECT version()", [], |row| row.get(0))
}

fn check_version(version: &str) -> Result<(), InstanceError> {
    if version.starts_with(LIBRARY) { Ok(()) } else { Err(InstanceError::Version(version.to_owned())) }
}

/// A string literal of SQL.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A path as a string literal of SQL.
pub fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Whether DuckDB has run out of memory: worth another try later.
pub fn is_out_of_memory(error: &duckdb::Error) -> bool {
    error.to_string().contains("Out of Memory Error")
}

/// Whether space on a disk is what is missing. DuckDB and SQLite say it in words alone.
pub fn is_full_disk(why: &str) -> bool {
    why.contains("No space left on device") || why.contains("database or disk is full")
}

/// Whether the instance is beyond use, so that only a new process helps.
pub fn is_fatal(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    text.contains("database has been invalidated") || text.contains("FATAL Error")
}

/// Whether it was beyond use already, by the doing of somebody else.
pub fn was_fatal_before(error: &duckdb::Error) -> bool {
    error.to_string().contains("database has been invalidated")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_in_one_sentence() {
        check_version("v2.0.0").unwrap();
        check_version("v2.0.7").unwrap();
        for wrong in ["v1.5.1", "v2.1.0", "v20.0.0", ""] {
            let message = check_version(wrong).unwrap_err().to_string();
            assert!(message.contains("needs 2.0") && !message.contains('\n'), "{message}");
        }
    }
}
