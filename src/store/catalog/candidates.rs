//! Which files may be merged.

use super::files::{FILE, FILES};
use super::{Catalog, CatalogError, File};
use crate::store::merge::plan::Candidate;

impl Catalog {
    /// Current files of level 1 and higher, but for those that are lost.
    ///
    /// # Errors
    /// SQLite's.
    pub fn candidates(&self) -> Result<Vec<Candidate>, CatalogError> {
        let sql = format!(
            "SELECT {FILE}, created FROM {FILES} WHERE f.end_snapshot IS NULL AND level > 0
                AND data_file_id NOT IN (SELECT data_file_id FROM lost_files)"
        );
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Candidate { file: File::from_row(row)?, created: row.get::<_, i64>(8)?.cast_unsigned() })
        };
        self.ask(|db| db.prepare_cached(&sql)?.query_map([], read)?.collect())
    }
}
