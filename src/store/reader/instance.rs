//! Opening a reader's DuckDB: in memory, with views alone.

use std::path::Path;

use duckdb::{Config, Connection};

use crate::store::schema::Table;
use crate::store::sql::sandbox;
use crate::store::{macros, views};

/// What a reader may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory of its DuckDB in bytes; what does not fit goes to disk.
    pub memory: u64,
    /// Threads of its DuckDB.
    pub threads: u32,
}

/// Opens the instance. Its views are over nothing.
///
/// # Errors
/// DuckDB's.
pub fn open(sealed: &Path, spill: &Path, limits: &Limits) -> Result<Connection, duckdb::Error> {
    let settings = Config::default()
        .with("memory_limit", format!("{}B", limits.memory))?
        .with("threads", limits.threads.max(1).to_string())?
        .with("temp_directory", spill.to_string_lossy())?
        .with("preserve_insertion_order", "false")?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("allow_community_extensions", "false")?;
    let db = Connection::open_in_memory_with_flags(settings)?;
    // Wall clocks are UTC whatever the machine says. Only where the library has ICU is there a
    // zone at all; without it times are UTC anyway.
    if let Err(e) = db.execute_batch("SET GLOBAL TimeZone = 'UTC'") {
        tracing::debug!(error = %e, "no time zones in this DuckDB library");
    }
    // Footers of files never change, and every question needs them.
    db.execute_batch("SET GLOBAL parquet_metadata_cache = true; CREATE SCHEMA stored")?;
    for table in Table::ALL {
        let nothing = table.empty_relation();
        db.execute_batch(&format!("CREATE VIEW stored.{} AS SELECT * FROM {nothing}", table.name()))?;
    }
    views::create(&db)?;
    macros::create(&db)?;
    sandbox::enter(&db, &[sealed])?;
    Ok(db)
}
