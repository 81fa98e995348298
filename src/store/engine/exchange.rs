//! Files take the place of others.

use super::failpoint;
use super::quarantine::Changes;
use super::sealed_files;
use super::shared::Shared;
use crate::signal::now_nanos;
use crate::store::catalog::{CatalogError, NewFile, Positions};

/// What is to change together.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// Paths of files that go, all current.
    pub old: &'a [String],
    /// Files that come. They are on disk, with `.part` behind their names.
    pub new: &'a [NewFile],
    /// Up to where logs are in files now.
    pub positions: &'a Positions,
    /// Notes.
    pub changes: &'a Changes,
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ExchangeError(#[from] CatalogError);

impl Shared {
    /// Makes an exchange. From the moment that the catalog has it, it is done, whatever happens: if the
    /// files cannot get their names, the process ends and its next start tries again.
    ///
    /// # Errors
    /// The catalog's: nothing has changed then.
    pub fn exchange(&self, exchange: &Exchange<'_>) -> Result<(), ExchangeError> {
        let Exchange { old, new, positions, changes } = *exchange;
        // To the end: nobody may show a snapshot meanwhile whose files have no names.
        let mut catalog = self.catalog.lock();
        let commit = std::time::Instant::now();
        if let Err(error) = catalog.replace(old, new, positions, changes, now_nanos()) {
            // Should it have reached the disk all the same, the files must stay: a new start sorts that out.
            let is_known = |known: &[_]| new.iter().any(|new| known.contains(&new.file));
            match catalog.files() {
                Ok(known) if !is_known(&known) => return Err(error.into()),
                _ => self.fatal("it is not known whether the catalog has taken new files"),
            }
        }
        self.counters.catalog_committed(commit.elapsed());
        failpoint::reach("after_catalog");
        if let Err(error) = sealed_files::publish(&self.sealed_dir, new.iter().map(|new| new.file.path.as_str())) {
            tracing::error!(%error, "cannot rename sealed files");
            self.fatal("the sealed files cannot get their names");
        }
        failpoint::reach("after_publish");
        // The next one or a start shows them then.
        if let Err(error) = catalog.show(now_nanos()) {
            tracing::warn!(%error, "the newest sealed files are not shown yet");
        }
        failpoint::reach("after_show");
        Ok(())
    }
}
