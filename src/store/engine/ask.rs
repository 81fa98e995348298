//! The DuckDB that is asked: views over the files that are current when a question comes.

use std::path::PathBuf;

use duckdb::Connection;
use parking_lot::Mutex;

use super::EngineError;
use super::relations;
use crate::store::catalog::{Catalog, File};

/// The instance, and what its views are over.
#[derive(Debug)]
pub struct Ask {
    sealed: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    root: Connection,
    files: Vec<File>,
}

impl Ask {
    /// With the first connection of an instance. `sealed` is the folder of all files.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn new(root: Connection, sealed: PathBuf) -> Result<Self, EngineError> {
        relations::set(&root, &[], &sealed)?;
        relations::create_user_views(&root)?;
        Ok(Ask { sealed, state: Mutex::new(State { root, files: Vec::new() }) })
    }

    /// A fresh connection that sees what the catalog names now and is not lost.
    ///
    /// # Errors
    /// DuckDB's and the catalog's.
    pub fn connect(&self, catalog: &Mutex<Catalog>) -> Result<Connection, EngineError> {
        let mut state = self.state.lock();
        let files = {
            let catalog = catalog.lock();
            let lost: Vec<String> = catalog.lost()?.into_iter().map(|(file, _)| file.path).collect();
            let mut files = catalog.files()?;
            files.retain(|file| !lost.contains(&file.path));
            files
        };
        if state.files != files {
            relations::set(&state.root, &files, &self.sealed)?;
            state.files = files;
        }
        Ok(state.root.try_clone()?)
    }
}
