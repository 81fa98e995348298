//! Opening a reader's DuckDB: in memory, with views alone.

use std::path::Path;

use duckdb::Connection;

use crate::store::instance::{self, Limits};
use crate::store::schema::Table;
use crate::store::sql::sandbox;
use crate::store::{macros, views};

/// Opens the instance. Its views are over nothing.
///
/// # Errors
/// DuckDB's.
pub fn open(sealed: &Path, spill: &Path, limits: Limits) -> Result<Connection, duckdb::Error> {
    let db = instance::open(limits, spill)?;
    instance::set_utc(&db);
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
