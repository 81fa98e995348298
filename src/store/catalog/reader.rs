//! The files of the newest snapshot for other processes of the store, and what has changed since the last look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{Catalog, CatalogError, ColumnStatistics, statistics};
use crate::store::engine::sealed_files::LostFile;
use crate::store::reader::FileEntry;
use crate::store::schema::Table;

/// The files that the snapshot `?1` has, of `ducklake_data_file AS f`.
const CURRENT: &str = "f.begin_snapshot <= ?1 AND (f.end_snapshot IS NULL OR f.end_snapshot > ?1)";

/// What has changed since the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// `added` are all files that there are.
    pub reset: bool,
    /// Files that are new.
    pub added: Vec<FileEntry>,
    /// Numbers of files that are not in the snapshot any more.
    pub gone: Vec<i64>,
    /// Files of the snapshot that are lost. They are none of `added`.
    pub lost: Vec<LostFile>,
}

/// Reads the catalog of a store.
#[derive(Debug)]
pub struct CatalogReader {
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    catalog: Catalog,
    /// The file itself: a catalog that was made again is another one.
    inode: u64,
    seen: Option<Seen>,
}

/// The last look.
#[derive(Debug, Clone)]
struct Seen {
    version: i64,
    snapshot: i64,
    /// Which files the snapshot had: how many, and the sum of their numbers.
    count: i64,
    sum: i64,
    lost: BTreeSet<i64>,
}

impl CatalogReader {
    /// Of the catalog in this file, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        CatalogReader { path: path.to_owned(), open: None }
    }

    /// What has changed since the last look; `None` if nothing has. Blocks.
    ///
    /// # Errors
    /// SQLite's. The next look tells everything then.
    pub fn look(&mut self) -> Result<Option<Difference>, CatalogError> {
        let inode = fs::metadata(&self.path).map(|file| file.ino()).unwrap_or_default();
        let mut open = match self.open.take().filter(|open| open.inode == inode) {
            Some(open) => open,
            None => Open { catalog: Catalog::open_beside_writer(&self.path)?, inode, seen: None },
        };
        // Put back only when it went well.
        let Open { catalog, seen, .. } = &mut open;
        let difference = catalog.ask(|db| look(db, seen))?;
        self.open = Some(open);
        Ok(difference)
    }
}

fn look(db: &Connection, last: &mut Option<Seen>) -> Result<Option<Difference>> {
    // One view of the file for all that follows.
    let db = db.unchecked_transaction()?;
    db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
    let version: i64 = db.pragma_query_value(None, "data_version", |row| row.get(0))?;
    if last.as_ref().is_some_and(|seen| seen.version == version) {
        return Ok(None);
    }
    let snapshot: i64 =
        db.query_row("SELECT coalesce(max(snapshot_id), 0) FROM ducklake_snapshot", [], |row| row.get(0))?;
    let lost = lost(&db, snapshot)?;
    let (count, sum) = db.query_row(
        &format!("SELECT count(*), coalesce(sum(data_file_id), 0) FROM ducklake_data_file AS f WHERE {CURRENT}"),
        [snapshot],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let now = Seen { version, snapshot, count, sum, lost: lost.keys().copied().collect() };
    let since = last.as_ref().filter(|seen| seen.lost == now.lost && seen.snapshot <= snapshot);
    let changes = match since {
        Some(seen) => changes_since(&db, seen, &now)?,
        None => None,
    };
    let difference = match changes {
        Some((added, gone)) => Difference { reset: false, added, gone, lost: lost.into_values().collect() },
        None => {
            let added = files(&db, -1, &now)?;
            Difference { reset: true, added, gone: Vec::new(), lost: lost.into_values().collect() }
        }
    };
    drop(db);
    *last = Some(now);
    Ok(Some(difference))
}

/// The files that are new in a snapshot and those that are gone. `None` where that cannot be told any more:
/// what an old snapshot had is deleted with it, and files may be taken out without a snapshot.
fn changes_since(db: &Connection, before: &Seen, now: &Seen) -> Result<Option<(Vec<FileEntry>, Vec<i64>)>> {
    let is_kept: Option<i64> = db
        .query_row("SELECT 1 FROM ducklake_snapshot WHERE snapshot_id = ?", [before.snapshot], |row| row.get(0))
        .optional()?;
    if is_kept.is_none() {
        return Ok(None);
    }
    let added = files(db, before.snapshot, now)?;
    let mut statement = db.prepare_cached(
        "SELECT data_file_id FROM ducklake_data_file
         WHERE end_snapshot > ?1 AND end_snapshot <= ?2 AND begin_snapshot <= ?1",
    )?;
    let gone: Vec<i64> =
        statement.query_map([before.snapshot, now.snapshot], |row| row.get(0))?.collect::<Result<_>>()?;
    let numbers = |files: &[FileEntry]| files.iter().map(|file| file.id).sum::<i64>();
    let (new, old) = (i64::try_from(added.len()).unwrap_or(-1), i64::try_from(gone.len()).unwrap_or(-1));
    let is_whole =
        before.count + new - old == now.count && before.sum + numbers(&added) - gone.iter().sum::<i64>() == now.sum;
    Ok(is_whole.then_some((added, gone)))
}

/// The files of a snapshot that came after another one, without those that are lost.
fn files(db: &Connection, after: i64, now: &Seen) -> Result<Vec<FileEntry>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT data_file_id, table_name, t.path || f.path, min_time, max_time
         FROM ducklake_data_file AS f JOIN ducklake_table AS t USING (table_id) JOIN sealed_files USING (data_file_id)
         WHERE f.begin_snapshot > ?2 AND {CURRENT}"
    ))?;
    let mut rows = statement.query(params![now.snapshot, after])?;
    let mut columns = db.prepare_cached(
        "SELECT column_id, value_count, null_count, min_value, max_value FROM ducklake_file_column_stats
         WHERE data_file_id = ?",
    )?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, table): (i64, String) = (row.get(0)?, row.get(1)?);
        // A table of a later version is nothing that anybody asks here.
        let Some(table) = Table::from_name(&table) else { continue };
        if now.lost.contains(&id) {
            continue;
        }
        let known = columns.query_map([id], |row| {
            let count = |n| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(n)?.map(i64::cast_unsigned));
            Ok(ColumnStatistics {
                field: row.get(0)?,
                bytes: None,
                values: count(1)?,
                nulls: count(2)?,
                min: row.get(3)?,
                max: row.get(4)?,
            })
        })?;
        let mut known = known.collect::<Result<Vec<_>>>()?;
        if table.is_dictionary() {
            // A row stands for those that merging has left out, too.
            let time = statistics::of_times(table, row.get(3)?, row.get(4)?);
            known.retain(|column| time.iter().all(|time| time.field != column.field));
            known.extend(time);
        }
        files.push(FileEntry::new(id, table, row.get(2)?, &known));
    }
    Ok(files)
}

/// The files of a snapshot that are lost.
fn lost(db: &Connection, snapshot: i64) -> Result<BTreeMap<i64, LostFile>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT data_file_id, table_name, t.path || f.path, record_count, reason
         FROM lost_files JOIN ducklake_data_file AS f USING (data_file_id) JOIN ducklake_table AS t USING (table_id)
         WHERE {CURRENT}"
    ))?;
    let lost = statement.query_map([snapshot], |row| {
        let rows = row.get::<_, i64>(3)?.cast_unsigned();
        Ok((row.get(0)?, LostFile { table: row.get(1)?, path: row.get(2)?, rows, reason: row.get(4)? }))
    })?;
    lost.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::super::{Changes, File, NewFile, Positions};
    use super::*;

    fn file(number: u32) -> NewFile {
        let (table, path) = ("logs".to_owned(), format!("logs/{number}"));
        let (min_time, max_time) = (Some(0), Some(i64::from(number)));
        let file = File { table, path, rows: 3, min_time, max_time, bytes: 9, checksum: 1, level: 1 };
        let columns = statistics::of_times(Table::Logs, min_time, max_time);
        NewFile { file, has_field_ids: true, footer: None, columns, is_damaged: false }
    }

    #[test]
    fn a_file_of_a_dictionary_has_the_times_of_the_rows_that_it_stands_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        let mut catalog = Catalog::open(&path, dir.path(), 1).unwrap();
        let mut merged = file(1);
        (merged.file.table, merged.file.path) = ("series".to_owned(), "series/1".to_owned());
        (merged.file.min_time, merged.file.max_time) = (Some(5), Some(90));
        merged.columns = statistics::of_times(Table::Series, Some(5), Some(5));
        catalog.add(&[merged], &Positions::new(), &Changes::default(), 1).unwrap();
        catalog.show(2).unwrap();
        let told = CatalogReader::new(&path).look().unwrap().unwrap();
        let times = [5, 90].map(statistics::timestamp);
        let expected = crate::store::reader::Bounds::Between(times[0].clone(), times[1].clone());
        assert_eq!(told.added[0].bounds, [("time".to_owned(), expected)]);
    }

    /// What a reader knows who has heard of every difference.
    #[derive(Default)]
    struct Known(BTreeMap<i64, FileEntry>);

    impl Known {
        fn take(&mut self, difference: Difference) -> Vec<String> {
            if difference.reset {
                self.0.clear();
            }
            for id in difference.gone {
                assert!(self.0.remove(&id).is_some(), "{id} was not known");
            }
            for file in difference.added {
                assert!(self.0.insert(file.id, file).is_none(), "it was known");
            }
            difference.lost.into_iter().map(|file| file.path).collect()
        }
    }

    #[test]
    fn every_look_tells_what_has_changed_since_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        let mut reader = CatalogReader::new(&path);
        assert!(reader.look().is_err(), "there is none");
        let mut catalog = Catalog::open(&path, dir.path(), 1).unwrap();
        let (none, nothing) = (Positions::new(), Changes::default());
        let (mut known, mut random) = (Known::default(), SmallRng::seed_from_u64(7));
        let (mut current, mut lost, mut next, mut resets) = (Vec::<String>::new(), Vec::<String>::new(), 0, 0);
        known.take(reader.look().unwrap().unwrap());
        for step in 0..200 {
            let new = |next: &mut u32| {
                *next += 1;
                file(*next)
            };
            match random.random_range(0..6) {
                0 | 1 => {
                    let files = [new(&mut next), new(&mut next)];
                    current.extend(files.iter().map(|file| file.file.path.clone()));
                    catalog.add(&files, &none, &nothing, 1).unwrap();
                    catalog.show(step).unwrap();
                }
                2 if current.len() > 2 => {
                    let old: Vec<String> = current.drain(..2).collect();
                    let merged = new(&mut next);
                    current.push(merged.file.path.clone());
                    catalog.replace(&old, &[merged], &none, &nothing, 1).unwrap();
                    catalog.show(step).unwrap();
                }
                3 if !current.is_empty() => {
                    catalog.end(&[current.remove(0)], step).unwrap();
                }
                4 if !current.is_empty() => {
                    let path = current[random.random_range(0..current.len())].clone();
                    match lost.iter().position(|lost| *lost == path) {
                        Some(place) => {
                            lost.remove(place);
                            catalog.mark_lost(&path, None).unwrap();
                        }
                        None => {
                            catalog.mark_lost(&path, Some("gone")).unwrap();
                            lost.push(path);
                        }
                    }
                }
                _ => {
                    if let Some(difference) = reader.look().unwrap() {
                        known.take(difference);
                    }
                    assert_eq!(reader.look().unwrap(), None);
                    continue;
                }
            }
            // Not after every change.
            if random.random_range(0..3) == 0 {
                continue;
            }
            if let Some(difference) = reader.look().unwrap() {
                resets += usize::from(difference.reset);
                let told = known.take(difference);
                let mut expected: Vec<&String> = current.iter().filter(|path| lost.contains(path)).collect();
                let mut told: Vec<&String> = told.iter().collect();
                expected.sort();
                told.sort();
                assert_eq!(told, expected, "step {step}");
            }
            let mut paths: Vec<&String> = known.0.values().map(|file| &file.path).collect();
            let mut expected: Vec<&String> = current.iter().filter(|path| !lost.contains(path)).collect();
            paths.sort();
            expected.sort();
            assert_eq!(paths, expected, "step {step}");
        }
        assert!(resets < 60, "{resets} looks told everything");
        assert_eq!(reader.look().unwrap(), None);
        let one = known.0.values().next().unwrap();
        let (name, bounds) = &one.bounds[0];
        assert!(name == "time" && matches!(bounds, crate::store::reader::Bounds::Between(..)), "{one:?}");

        // What came and went with a snapshot that is deleted, and what goes without one.
        let db = Connection::open(&path).unwrap();
        let oldest = *known.0.keys().next().unwrap();
        db.execute("DELETE FROM ducklake_data_file WHERE data_file_id = ?", [oldest]).unwrap();
        known.take(reader.look().unwrap().unwrap());
        assert!(!known.0.contains_key(&oldest));
        let path_of = known.0.values().next().unwrap().path.clone();
        catalog.end(std::slice::from_ref(&path_of), 300).unwrap();
        db.execute_batch(
            "DELETE FROM ducklake_data_file WHERE end_snapshot IS NOT NULL;
            DELETE FROM ducklake_snapshot WHERE snapshot_id < (SELECT max(snapshot_id) FROM ducklake_snapshot)",
        )
        .unwrap();
        known.take(reader.look().unwrap().unwrap());
        assert!(known.0.values().all(|file| file.path != path_of));

        // Another file in its place.
        drop((catalog, db));
        for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = fs::remove_file(dir.path().join(name));
        }
        let mut catalog = Catalog::open(&path, dir.path(), 1).unwrap();
        catalog.add(&[file(1)], &none, &nothing, 1).unwrap();
        catalog.show(2).unwrap();
        known.take(reader.look().unwrap().unwrap());
        assert_eq!(known.0.len(), 1);
    }
}
