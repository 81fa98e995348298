//! Opening DuckDB: the right version, its settings, its memory; and what its errors mean.
//!
//! Every instance is in memory and loads nothing by itself.

use std::path::Path;

use duckdb::{Config, Connection};

/// The versions of the library that this program is made for.
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

/// What an instance may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory in bytes; what does not fit goes to disk.
    pub memory: u64,
    /// Threads.
    pub threads: u32,
}

/// Opens an instance that writes what it has no memory for into the folder `spill`.
///
/// # Errors
/// DuckDB's.
pub fn open(limits: Limits, spill: &Path) -> Result<Connection, duckdb::Error> {
    let settings = settings(limits)?
        .with("temp_directory", spill.to_string_lossy())?
        .with("preserve_insertion_order", "false")?
        // Memory that is not used goes back to the system, even if nothing is asked any more.
        .with("allocator_background_threads", "true")?;
    Connection::open_in_memory_with_flags(settings)
}

/// Opens an instance that has no data, reaches no file and only parses or plans: whatever a text does to it, it
/// does it to nothing of value.
///
/// # Errors
/// DuckDB's.
pub fn open_without_data() -> Result<Connection, duckdb::Error> {
    let limits = Limits { memory: 256_000_000, threads: 1 };
    Connection::open_in_memory_with_flags(settings(limits)?.enable_external_access(false)?)
}

fn settings(Limits { memory, threads }: Limits) -> Result<Config, duckdb::Error> {
    Config::default()
        .with("memory_limit", format!("{memory}B"))?
        .with("threads", threads.max(1).to_string())?
        // They read ahead. By itself DuckDB starts eight and more, and the allocator keeps memory for each.
        .with("async_threads", threads.max(1).to_string())?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("allow_community_extensions", "false")
}

/// Sets wall clocks to UTC whatever the machine says. Only where the library has ICU is there a zone at all;
/// without it times are UTC anyway.
pub fn set_utc(db: &Connection) {
    if let Err(error) = db.execute_batch("SET GLOBAL TimeZone = 'UTC'") {
        tracing::debug!(%error, "no time zones in this DuckDB library");
    }
}

/// The library's version.
///
/// # Errors
/// DuckDB's.
pub fn version(db: &Connection) -> Result<String, duckdb::Error> {
    db.query_row("SELECT version()", [], |row| row.get(0))
}

/// Looks whether the library is one of those that this program is made for.
///
/// # Errors
/// [`InstanceError::Version`] if not.
pub fn check_version(version: &str) -> Result<(), InstanceError> {
    if version.starts_with(LIBRARY) { Ok(()) } else { Err(InstanceError::Version(version.to_owned())) }
}

/// A string literal of SQL.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name of SQL, whatever is in it.
pub fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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
