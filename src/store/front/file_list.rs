//! The files of the store as the front knows them, and what of it a reader has not heard yet.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use crate::store::catalog::CatalogError;
use crate::store::catalog::reader::{CatalogReader, Difference};
use crate::store::engine::sealed_files::LostFile;
use crate::store::reader::{Changes, FileEntry};

/// Files that have gone are remembered up to so many; a reader that heard of none of them gets all.
const GONE: usize = 20_000;

/// Lost files that each answer names.
const NAMED: usize = 10;

/// See the module.
#[derive(Debug)]
pub struct FileList {
    catalog: CatalogReader,
    /// Counts the changes.
    version: u64,
    /// With the version that brought each.
    files: HashMap<i64, (u64, FileEntry)>,
    /// With the version that took each.
    gone: VecDeque<(u64, i64)>,
    /// What changed up to here cannot be told.
    forgotten: u64,
    lost: Vec<LostFile>,
}

impl FileList {
    /// Of the catalog in this file.
    pub fn new(catalog: &Path) -> Self {
        FileList {
            catalog: CatalogReader::new(catalog),
            version: 0,
            files: HashMap::new(),
            gone: VecDeque::new(),
            forgotten: 0,
            lost: Vec::new(),
        }
    }

    /// Reads what the catalog has now. Blocks.
    ///
    /// # Errors
    /// SQLite's. What was known stays known.
    pub fn refresh(&mut self) -> Result<(), CatalogError> {
        let Some(Difference { reset, added, gone, lost }) = self.catalog.look()? else { return Ok(()) };
        self.version += 1;
        self.lost = lost;
        if reset {
            self.files.clear();
            self.gone.clear();
            self.forgotten = self.version;
        }
        for id in gone {
            self.files.remove(&id);
            self.gone.push_back((self.version, id));
        }
        self.files.extend(added.into_iter().map(|file| (file.id, (self.version, file))));
        while self.gone.len() > GONE {
            self.forgotten = self.gone.pop_front().map_or(self.forgotten, |(version, _)| version);
        }
        Ok(())
    }

    /// Whether the catalog has ever been read.
    pub fn is_known(&self) -> bool {
        self.version > 0
    }

    /// What a reader has to hear that knows the files of a version, or none; and the version that it knows then.
    pub fn since(&self, known: Option<u64>) -> (u64, Changes) {
        let known = known.filter(|known| *known >= self.forgotten);
        let since = known.unwrap_or_default();
        let added = self.files.values().filter(|(version, _)| *version > since || known.is_none());
        let added = added.map(|(_, file)| file.clone()).collect();
        let gone = self.gone.iter().rev().take_while(|(version, _)| known.is_some() && *version > since);
        let gone = gone.map(|(_, id)| *id).collect();
        (self.version, Changes { reset: known.is_none(), added, gone, ..Changes::default() })
    }

    /// What answers lack, in a sentence for each lost file.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.lost.iter().take(NAMED).map(ToString::to_string).collect();
        let more = self.lost.len() - warnings.len();
        if more > 0 {
            warnings.push(format!("{more} more sealed files are lost"));
        }
        warnings
    }
}
