//! Files of level 0 are not synced: what keeps them is that the machine goes on. So they do not
//! move the positions from which a log may delete its records; how far the logs are in them is kept
//! apart, and both are thrown away together when the machine has started again.

use rusqlite::OptionalExtension;

use super::{Catalog, CatalogError, NewFile, Positions, add_files, ducklake, move_positions, note};
use crate::store::engine::quarantine::Changes;

impl Catalog {
    /// Makes files of level 0 known, which have their names already, and says up to where the logs
    /// are in them. Visible at once. The transaction survives the end of the process, and that of
    /// the machine only with a later one.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_level0(
        &mut self,
        files: &[NewFile],
        taken: &Positions,
        quarantine: &Changes,
        now: u64,
    ) -> Result<(), CatalogError> {
        self.share()?;
        self.set_synchronous("NORMAL")?;
        let added = self.change(|db| {
            if !files.is_empty() {
                add_files(db, files, ducklake::next_snapshot(db)?, now)?;
                ducklake::show(db, now)?;
            }
            move_positions(db, "taken", taken)?;
            note(db, quarantine)
        });
        self.set_synchronous("FULL")?;
        added
    }

    /// Up to where each log is in files, those of level 0 among them.
    ///
    /// # Errors
    /// SQLite's.
    pub fn taken(&self) -> Result<Positions, CatalogError> {
        let mut taken = self.positions()?;
        for (log, position) in self.positions_in("taken")? {
            let upto = taken.entry(log).or_default();
            *upto = position.max(*upto);
        }
        Ok(taken)
    }

    /// What level 0 is kept by: the machine's start that it was written in.
    ///
    /// # Errors
    /// SQLite's.
    pub fn boot(&self) -> Result<Option<String>, CatalogError> {
        self.ask(|db| db.query_row("SELECT value FROM own WHERE key = 'boot'", [], |row| row.get(0)).optional())
    }

    /// Forgets all files of level 0, current or not, and how far the logs were in them. From here on they are of
    /// this start of the machine.
    ///
    /// # Errors
    /// SQLite's.
    pub fn drop_level0(&mut self, boot: &str) -> Result<(), CatalogError> {
        self.share()?;
        self.change(|db| {
            ducklake::remove_files(db, "SELECT data_file_id FROM sealed_files WHERE level = 0")?;
            db.execute_batch(
                "DELETE FROM lost_files WHERE data_file_id IN (SELECT data_file_id FROM sealed_files WHERE level = 0)",
            )?;
            db.execute_batch("DELETE FROM sealed_files WHERE level = 0; DELETE FROM taken")?;
            db.execute("INSERT OR REPLACE INTO own VALUES ('boot', ?)", [boot])?;
            Ok(())
        })
    }

    fn set_synchronous(&self, how: &str) -> Result<(), CatalogError> {
        self.ask(|db| db.pragma_update(None, "synchronous", how))
    }
}
