//! Opening DuckDB: the right version, its settings, its memory.
//!
//! It keeps nothing: one instance writes files of level 0, one asks. There the tables as a whole are
//! views in schema `stored`, and what users see is in `main`.

use std::path::Path;

use duckdb::{Config as Settings, Connection};

use super::store_dir::StoreDir;
use crate::store::Config;
use crate::store::ingest::Decoder;
use crate::store::sql::sandbox;

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
    let db = Connection::open_in_memory_with_flags(settings(config, store_dir, 1)?)?;
    check_version(&version(&db)?)?;
    Decoder::register(&db)?;
    Ok(db)
}

/// Opens the instance that is asked. Later connections are clones of this one and share its limits.
///
/// # Errors
/// See [`InstanceError`].
pub fn open(config: &Config, store_dir: &StoreDir) -> Result<Connection, InstanceError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = config.threads.map_or(cores, |n| n as usize).max(1);
    let db = Connection::open_in_memory_with_flags(settings(config, store_dir, threads)?)?;
    check_version(&version(&db)?)?;
    db.execute_batch("CREATE SCHEMA stored;")?;
    // Wall clocks are UTC whatever the machine says. Only where the library has ICU is there a
    // zone at all; without it times are UTC anyway.
    if let Err(e) = db.execute_batch("SET GLOBAL TimeZone = 'UTC'") {
        tracing::debug!(error = %e, "no time zones in this DuckDB library");
    }
    // Footers of sealed files never change, and every query needs them.
    db.execute_batch("SET GLOBAL parquet_metadata_cache = true")?;
    sandbox::enter(&db, &[&store_dir.sealed()])?;
    Ok(db)
}

fn settings(config: &Config, store_dir: &StoreDir, threads: usize) -> Result<Settings, duckdb::Error> {
    Settings::default()
        .with("memory_limit", format!("{}B", config.memory_limit.as_u64()))?
        .with("threads", threads.to_string())?
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

    #[test]
    fn files_outside_the_store_are_out_of_reach() {
        let dir = tempfile::tempdir().unwrap();
        let store_dir = StoreDir::open(&dir.path().join("it's a store")).unwrap();
        let db = open(&Config::default(), &store_dir).unwrap();
        let other = db.try_clone().unwrap();
        let inside = quoted_path(&store_dir.sealed().join("x.parquet"));
        other.execute_batch(&format!("COPY (SELECT 1 AS n) TO {inside} (FORMAT parquet)")).unwrap();
        other.execute_batch(&format!("FROM read_parquet([{inside}])")).unwrap();
        for refused in [
            "FROM read_text('/etc/passwd')",
            "COPY (SELECT 1) TO '/tmp/vispyr-no'",
            "INSTALL httpfs",
            "SET threads = 1",
        ] {
            assert!(other.execute_batch(refused).is_err(), "{refused}");
        }
        let zone: String = other.query_row("SELECT current_setting('TimeZone')", [], |row| row.get(0)).unwrap();
        assert_eq!(zone, "UTC");
    }
}
