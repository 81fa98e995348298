//! The engine's DuckDB. It keeps nothing: all it does is write files of level 0.

use duckdb::Connection;

use super::store_dir::StoreDir;
use crate::store::Config;
use crate::store::ingest::Decoder;
use crate::store::instance::{self, InstanceError, Limits};

/// Opens it, if the library is of a version that this program is made for.
///
/// # Errors
/// See [`InstanceError`].
pub fn open(config: &Config, store_dir: &StoreDir) -> Result<Connection, InstanceError> {
    let db = instance::open(Limits { memory: config.memory_limit.as_u64(), threads: 1 }, &store_dir.tmp())?;
    instance::check_version(&instance::version(&db)?)?;
    Decoder::register(&db)?;
    Ok(db)
}
