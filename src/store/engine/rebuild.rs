//! A lost catalog is made again from the sealed files.
//!
//! Lost is one that is not there or names nothing while there are sealed files, and one that is
//! damaged. A file without `.part` has been taken by a catalog, so all of these are taken again;
//! they tell up to where each log is in them. Files of one flush have been taken together: where
//! one of them has its name, the others belong to it, with `.part` or without. Where none has, no
//! collector has been told that they are sealed, and its log brings their rows again.
//!
//! A file that was merged from others counts if it is whole, and what it was merged from goes where that is
//! still there: a crash, or questions that read it, had kept it.
//!
//! The new catalog is written under another name; then the old one goes to `lost+found`; then the
//! new one gets its name. A crash before the last step leaves no catalog, and this begins again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use duckdb::Connection;
use uuid::Uuid;

use super::failpoint;
use super::sealed_file::{self, LogRange, Metadata};
use super::sealed_files;
use super::store_dir::{self, StoreDir};
use super::{EngineError, StoreDirError};
use crate::durable;
use crate::signal::{Signal, now_nanos};
use crate::store::catalog::{Catalog, CatalogError, File, NewFile, Positions};
use crate::store::instance::quoted_path;
use crate::store::parquet_file;
use crate::store::schema::Table;
use crate::wal::Position;

/// The files of the catalog. The database goes first: without its log it could be read as an
/// earlier catalog, but what is left of a log without its database SQLite deletes.
const SQLITE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Opens the catalog, after making it again if it is lost. `db` reads the sealed files.
///
/// # Errors
/// That of the catalog if it may be whole (no permission, a later version), and what else prevents
/// making it again.
pub fn open_catalog(dir: &StoreDir, db: &Connection) -> Result<Catalog, EngineError> {
    let why = match open(dir) {
        Ok(catalog) => {
            let (taken, _) = sealed_files::list(&dir.sealed()).map_err(io("list", &dir.sealed()))?;
            if taken.is_empty() || !catalog.is_empty()? {
                return Ok(catalog);
            }
            format!("it names none of {} sealed files", taken.len())
        }
        Err(error) if error.is_damage() => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    tracing::error!(why, "the catalog of the store is lost, it is made again from the sealed files");
    rebuild(dir, db)?.log();
    Ok(open(dir)?)
}

/// Opens it and reads all of it, so that damage shows now.
fn open(dir: &StoreDir) -> Result<Catalog, CatalogError> {
    let catalog = Catalog::open(&dir.catalog(), &dir.sealed(), now_nanos())?;
    catalog.files()?;
    catalog.positions()?;
    catalog.quarantined()?;
    Ok(catalog)
}

/// Whether the catalog in the store's folder has to be made again, and why. It is not touched.
///
/// # Errors
/// That of a catalog that may be whole (no permission, another version).
pub fn damage(store: &Path) -> Result<Option<String>, CatalogError> {
    let path = store.join(store_dir::CATALOG);
    if !path.exists() {
        return Ok(Some(format!("{} is not there", path.display())));
    }
    let look = || {
        let catalog = Catalog::open_read_only(&path)?;
        catalog.check()?;
        catalog.files()?;
        catalog.positions()?;
        catalog.is_empty()
    };
    match look() {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some("it names no file".to_owned())),
        Err(error) if error.is_damage() => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// What a catalog can be made of, and what cannot be proved then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Whole files.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that cannot be used, and what is wrong with them.
    pub damaged: Vec<(String, String)>,
    /// Files whose rows are in others, too: they go.
    pub superseded: Vec<String>,
    /// Up to where the logs are in the files.
    pub positions: Vec<String>,
    /// What is not known, in sentences.
    pub unproved: Vec<String>,
}

/// What the sealed files tell. Nothing is changed.
///
/// # Errors
/// If the files cannot be listed.
pub fn look(sealed: &Path, db: &Connection) -> std::io::Result<Report> {
    let (taken, _) = sealed_files::list(sealed)?;
    Ok(Contents::of(&taken, sealed, db).report())
}

/// What the sealed files tell.
#[derive(Debug, Default)]
struct Contents {
    files: Vec<NewFile>,
    /// The records that are in files, by log.
    logs: BTreeSet<LogRange>,
    /// Flushes that were taken.
    flushes: BTreeSet<Uuid>,
    /// Files that do not say which records are in them: older versions wrote them.
    silent: usize,
    /// Files that cannot be used, and what is wrong with them.
    damaged: Vec<(String, String)>,
    /// Of whole files: what they were merged from.
    sources: HashSet<Uuid>,
    /// Files that others were merged from.
    superseded: Vec<String>,
}

/// Makes the catalog again from the sealed files, whatever it is. `db` reads them.
///
/// # Errors
/// What prevents it. The catalog is as it was then, or not there.
pub fn rebuild(dir: &StoreDir, db: &Connection) -> Result<Report, EngineError> {
    failpoint::reach("rebuild_begin");
    let sealed = dir.sealed();
    let (taken, parts) = sealed_files::list(&sealed).map_err(io("list", &sealed))?;
    let mut contents = Contents::of(&taken, &sealed, db);
    for path in parts {
        // Its flush was taken, and a crash has kept it from its name.
        let path = path.trim_end_matches(sealed_file::PART);
        let part = sealed_files::part_of(&sealed.join(path));
        let of_taken = Metadata::read(&part)
            .is_ok_and(|found| found.is_some_and(|metadata| contents.flushes.contains(&metadata.flush)));
        if of_taken {
            sealed_files::publish(&sealed, [path]).map_err(io("rename", &part))?;
            contents.read(db, &sealed, path);
        }
    }
    contents.drop_sources();
    for path in contents.superseded.iter().map(|path| sealed.join(path)) {
        fs::remove_file(&path).map_err(io("remove", &path))?;
    }
    let positions = contents.positions();
    failpoint::reach("rebuild_read");

    let new = with_suffix(&dir.catalog(), ".new");
    for suffix in SQLITE_FILES {
        let leftover = with_suffix(&new, suffix);
        if leftover.exists() {
            fs::remove_file(&leftover).map_err(io("remove", &leftover))?;
        }
    }
    Catalog::write(&new, &sealed, &contents.files, &positions, now_nanos())?;
    failpoint::reach("rebuild_written");
    for suffix in SQLITE_FILES {
        let old = with_suffix(&dir.catalog(), suffix);
        if old.exists() {
            let kept = dir.lost_and_found().join(old.file_name().unwrap_or_default());
            sealed_files::set_aside(&old, &kept).map_err(io("move to lost+found", &old))?;
        }
    }
    failpoint::reach("rebuild_set_aside");
    durable::rename(&new, &dir.catalog()).map_err(io("rename", &new))?;
    failpoint::reach("rebuild_done");
    Ok(contents.report())
}

impl Contents {
    /// Of files that have been taken.
    fn of(taken: &[String], sealed: &Path, db: &Connection) -> Self {
        let mut contents = Contents::default();
        for path in taken {
            contents.read(db, sealed, path);
        }
        contents.drop_sources();
        contents
    }

    /// Leaves out what whole files were merged from.
    fn drop_sources(&mut self) {
        let Contents { files, sources, superseded, .. } = self;
        let is_source = |new: &NewFile| sealed_file::id_in(&new.file.path).is_some_and(|id| sources.contains(&id));
        let (gone, left): (Vec<NewFile>, Vec<NewFile>) = std::mem::take(files).into_iter().partition(is_source);
        *files = left;
        superseded.extend(gone.into_iter().map(|new| new.file.path));
        self.damaged.retain(|(path, _)| !self.superseded.contains(path));
    }

    /// Reads a file that has been taken.
    fn read(&mut self, db: &Connection, sealed: &Path, path: &str) {
        match inspect(db, sealed, path) {
            Ok((file, metadata)) => {
                let has_field_ids = metadata.as_ref().is_some_and(|metadata| metadata.field_ids);
                match metadata {
                    Some(metadata) => {
                        self.flushes.insert(metadata.flush);
                        self.logs.extend(metadata.logs);
                        self.sources.extend(metadata.merged_from);
                    }
                    None => self.silent += 1,
                }
                let columns = Table::from_name(&file.table).and_then(|table| {
                    let told = parquet_file::statistics::of_file(table, &sealed.join(path));
                    told.inspect_err(|error| tracing::warn!(file = path, %error, "a sealed file tells no bounds")).ok()
                });
                let columns = columns.unwrap_or_default();
                self.files.push(NewFile { file, has_field_ids, footer: None, columns, is_damaged: false });
            }
            Err(reason) => {
                tracing::error!(file = path, reason, "sealed file damaged, its rows are missing from answers");
                self.damaged.push((path.to_owned(), reason));
                // Named in the catalog it is named in answers, too, as long as it is there.
                self.files.extend(damaged(sealed, path).map(|file| {
                    let (has_field_ids, footer, columns) = (false, None, Vec::new());
                    NewFile { file, has_field_ids, footer, columns, is_damaged: true }
                }));
            }
        }
    }

    /// Up to where each log is in the files.
    fn positions(&self) -> Positions {
        let mut positions = Positions::new();
        for range in &self.logs {
            let upto = positions.entry((range.log, range.signal)).or_default();
            *upto = (*upto).max(Position(range.upto));
        }
        positions
    }

    /// What is known now, and what is not.
    fn report(&self) -> Report {
        let mut unproved = Vec::new();
        for ((log, signal), gaps) in gaps(&self.logs) {
            for (from, before) in gaps {
                unproved.push(format!(
                    "no file has the records {from} to {before} of log {log} ({signal}): their rows are lost, if they had any"
                ));
            }
        }
        if self.silent > 0 {
            unproved.push(format!(
                "{} files of an older version do not say which records are in them: records that the logs still have may \
                 be in the store twice",
                self.silent
            ));
        }
        let whole = || self.files.iter().filter(|new| !new.is_damaged).map(|new| &new.file);
        let position =
            |((log, signal), upto): (&(Uuid, Signal), &Position)| format!("{signal} of log {log} up to {}", upto.0);
        Report {
            files: whole().count(),
            rows: whole().map(|file| file.rows).sum(),
            bytes: whole().map(|file| file.bytes).sum(),
            damaged: self.damaged.clone(),
            superseded: self.superseded.clone(),
            positions: self.positions().iter().map(position).collect(),
            unproved,
        }
    }
}

impl Report {
    /// Into the journal.
    fn log(&self) {
        for unproved in &self.unproved {
            tracing::warn!("{unproved}");
        }
        tracing::warn!(
            files = self.files,
            damaged = self.damaged.len(),
            superseded = self.superseded.len(),
            rows = self.rows,
            sealed = self.positions.join(", "),
            "catalog made again; later records come from the logs"
        );
    }
}

/// What a file tells, or what is wrong with it.
fn inspect(db: &Connection, sealed: &Path, path: &str) -> Result<(File, Option<Metadata>), String> {
    let full = sealed.join(path);
    let folder = path.split('/').next().unwrap_or_default();
    let table = Table::from_name(folder).ok_or_else(|| format!("there is no table {folder:?}"))?;
    // Before DuckDB reads it: what is damaged can do more to it than make it fail.
    let summed = sealed_file::checksum(&full, || true).map_err(|error| error.to_string())?;
    let (bytes, checksum) = summed.unwrap_or_default();
    let expected = sealed_file::checksum_in(full.file_name().and_then(|name| name.to_str()).unwrap_or_default());
    if expected.is_some_and(|expected| expected != checksum) {
        return Err("its checksum is wrong".to_owned());
    }
    let metadata = Metadata::read(&full).map_err(|error| error.to_string())?;
    let (rows, min_time, max_time) = match &metadata {
        Some(metadata) if metadata.table != table.name() => {
            return Err(format!("it holds rows of {}", metadata.table));
        }
        Some(metadata) => (metadata.rows, metadata.min_time, metadata.max_time),
        None => {
            let time = table.time_column();
            let sql = format!(
                "SELECT count(*), min(epoch_ns({time})), max(epoch_ns({time})) FROM read_parquet({})",
                quoted_path(&full)
            );
            let read = db.query_row(&sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)));
            let (rows, min_time, max_time) = read.map_err(|error| error.to_string())?;
            (rows.cast_unsigned(), min_time, max_time)
        }
    };
    let (table, path) = (table.name().to_owned(), path.to_owned());
    let level = metadata.as_ref().map_or(1, |metadata| metadata.level.max(1));
    Ok((File { table, path, rows, min_time, max_time, bytes, checksum, level }, metadata))
}

/// What the catalog can say of a damaged file: enough to name it. Nothing of one whose name holds
/// no checksum, which could not be told from a whole one.
fn damaged(sealed: &Path, path: &str) -> Option<File> {
    let checksum = sealed_file::checksum_in(path.rsplit('/').next()?)?;
    let table = Table::from_name(path.split('/').next()?)?.name().to_owned();
    let bytes = fs::metadata(sealed.join(path)).ok()?.len();
    Some(File { table, path: path.to_owned(), rows: 0, min_time: None, max_time: None, bytes, checksum, level: 1 })
}

/// Positions, from the first and before the second.
type Gaps = Vec<(u64, u64)>;

/// The records of each log that are in no file, though later ones are.
fn gaps(logs: &BTreeSet<LogRange>) -> BTreeMap<(Uuid, Signal), Gaps> {
    let mut gaps: BTreeMap<(Uuid, Signal), (u64, Gaps)> = BTreeMap::new();
    // In the order of their first records.
    for range in logs {
        let (upto, gaps) = gaps.entry((range.log, range.signal)).or_insert((range.from, Vec::new()));
        if range.from > *upto {
            gaps.push((*upto, range.from));
        }
        *upto = (*upto).max(range.upto);
    }
    gaps.into_iter().map(|(log, (_, gaps))| (log, gaps)).filter(|(_, gaps)| !gaps.is_empty()).collect()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EngineError {
    let path = path.to_owned();
    move |source| StoreDirError::Io { action, path, source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: u64, upto: u64) -> LogRange {
        LogRange { log: Uuid::from_u128(1), signal: Signal::Logs, from, upto }
    }

    #[test]
    fn records_that_no_file_has_are_told() {
        let of = |ranges: &[(u64, u64)]| {
            let logs = ranges.iter().map(|(from, upto)| range(*from, *upto)).collect();
            gaps(&logs).into_values().flatten().collect::<Vec<_>>()
        };
        assert_eq!(of(&[(5, 10), (10, 20), (10, 20)]), []);
        assert_eq!(of(&[(20, 30), (0, 10), (35, 40)]), [(10, 20), (30, 35)]);
        assert_eq!(of(&[(0, 30), (10, 20), (30, 31)]), []);
    }

    #[test]
    fn a_log_is_in_the_files_up_to_its_last_record_there() {
        let logs = BTreeSet::from([range(0, 10), range(10, 20)]);
        let contents = Contents { logs, ..Contents::default() };
        assert_eq!(contents.positions(), Positions::from([((Uuid::from_u128(1), Signal::Logs), Position(20))]));
    }
}
