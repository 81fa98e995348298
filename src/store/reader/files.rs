//! The files that a reader knows, and the bounds of the values in them.
//!
//! Bounds are text, as the catalog has them (DuckLake specification, "Type Encoding for Statistics").
//! Times of one length, hex and names are in the order of their bytes; numbers are not, and are read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::catalog::ColumnStatistics;
use crate::store::catalog::statistics::timestamp;
use crate::store::catalog::storage::Storage;
use crate::store::engine::sealed_file;
use crate::store::parquet_file::footer::Footer;
use crate::store::schema::{Column, Table};

/// A file, as the front tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its number in the catalog.
    pub id: i64,
    /// Table whose rows it holds.
    pub table: String,
    /// Path below the folder of sealed files.
    pub path: String,
    /// What is known of the values in its columns, by name.
    pub bounds: Vec<(String, Bounds)>,
}

/// What is known of the values in a column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bounds {
    /// All are NULL.
    Nothing,
    /// None is less than the first or greater than the second.
    Between(String, String),
}

impl FileEntry {
    /// A file of which this is known.
    pub fn new(id: i64, table: Table, path: String, columns: &[ColumnStatistics]) -> Self {
        let fields = table.fields();
        let bounds = columns.iter().filter_map(|column| {
            let name = fields.iter().find(|field| field.id == column.field)?.name.to_owned();
            match (column.values, &column.min, &column.max) {
                (Some(0), ..) => Some((name, Bounds::Nothing)),
                (_, Some(min), Some(max)) => Some((name, Bounds::Between(min.clone(), max.clone()))),
                _ => None,
            }
        });
        FileEntry { id, table: table.name().to_owned(), path, bounds: bounds.collect() }
    }
}

/// What has changed since the last statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Forget all files first.
    pub reset: bool,
    /// Files that are new.
    pub added: Vec<FileEntry>,
    /// Numbers of files that are not there any more.
    pub gone: Vec<i64>,
    /// Threads for the next statement, if they are fewer than it may have: others run beside it.
    pub threads: Option<u32>,
    /// What answers lack, in sentences.
    pub warnings: Vec<String>,
    /// Where the bytes go, for a statement that may ask for it.
    pub storage: Option<Vec<Storage>>,
}

/// A value that is compared with bounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Of a column of numbers.
    Number(i64),
    /// Of any other column, in the form of its bounds.
    Text(String),
}

impl Value {
    /// A time, in nanoseconds since the Unix epoch. `None` of a year that is not written with four digits.
    pub fn of_time(nanos: i64) -> Option<Self> {
        whole_time(&timestamp(nanos)).map(Value::Text)
    }

    /// A bound of a column; `None` where it is in no form that can be compared.
    fn of_bound(column: &Column, text: &str) -> Option<Self> {
        match column.sql_type {
            "BIGINT" | "INTEGER" | "UINTEGER" => text.parse().ok().map(Value::Number),
            "VARCHAR" => Some(Value::Text(text.to_owned())),
            "BLOB" => {
                let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_hex.then(|| Value::Text(text.to_ascii_uppercase()))
            }
            "TIMESTAMP_NS" => whole_time(text).map(Value::Text),
            _ => None,
        }
    }
}

/// A time with all nine digits of its second, so that the order of the text is that of the time.
fn whole_time(text: &str) -> Option<String> {
    const FORM: &[u8] = b"0000-00-00 00:00:00.000000000";
    let of_form = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    let seconds = "0000-00-00 00:00:00".len();
    let is_time = text.len() <= FORM.len()
        && (text.len() == seconds || text.len() > seconds + 1)
        && text.bytes().zip(FORM).all(of_form);
    is_time.then(|| text.bytes().chain(FORM[text.len()..].iter().copied()).map(char::from).collect())
}

/// A file that is asked.
#[derive(Debug, Clone)]
pub struct File {
    /// See [`FileEntry::id`].
    pub id: i64,
    /// See [`FileEntry::path`].
    pub path: String,
    table: Table,
    /// By the column's place in the table; `None` for one without any value.
    ranges: Vec<(usize, Option<(Value, Value)>)>,
}

impl File {
    /// What the front told; `None` for a table that this version does not know.
    pub fn new(entry: FileEntry) -> Option<Self> {
        let table = Table::from_name(&entry.table)?;
        let columns = table.columns();
        let range = |(name, bounds): &(String, Bounds)| {
            let place = columns.iter().position(|column| column.name == name)?;
            let value = |text: &str| Value::of_bound(&columns[place], text);
            match bounds {
                Bounds::Nothing => Some((place, None)),
                Bounds::Between(min, max) => Some((place, Some((value(min)?, value(max)?)))),
            }
        };
        let ranges = entry.bounds.iter().filter_map(range).collect();
        Some(File { id: entry.id, path: entry.path, table, ranges })
    }

    /// The least and the greatest value of the column at this place: `None` if they are not known,
    /// `Some(None)` if there is no value.
    pub fn range(&self, column: usize) -> Option<Option<&(Value, Value)>> {
        self.ranges.iter().find(|(place, _)| *place == column).map(|(_, range)| range.as_ref())
    }
}

/// All files that a reader knows.
#[derive(Debug, Default)]
pub struct Files {
    files: BTreeMap<i64, File>,
    /// Files that could not be read for the statement that runs.
    left_out: BTreeSet<i64>,
    /// What has been read of the footers of some.
    footers: HashMap<i64, Footer>,
    /// How often all were forgotten. The numbers of files may mean others since.
    resets: u64,
}

impl Files {
    /// Takes what has changed. What was left out of the last statement is there again.
    pub fn change(&mut self, Changes { reset, added, gone, .. }: Changes) {
        self.left_out.clear();
        if reset {
            self.files.clear();
            self.footers.clear();
            self.resets += 1;
        }
        for id in gone {
            self.files.remove(&id);
            self.footers.remove(&id);
        }
        self.files.extend(added.into_iter().filter_map(File::new).map(|file| (file.id, file)));
    }

    /// How often all were forgotten: a number of a file means the same as long as this does.
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Whether a file is there, and not left out of the statement that runs.
    pub fn has(&self, id: i64) -> bool {
        self.files.contains_key(&id) && !self.left_out.contains(&id)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Those of a table, in the order of their numbers.
    pub fn of(&self, table: Table) -> impl Iterator<Item = &File> {
        self.files.values().filter(move |file| file.table == table && !self.left_out.contains(&file.id))
    }

    /// These of a table, those first that go on the longest: with the last rows in hand DuckDB leaves out files that hold
    /// only earlier ones.
    pub fn newest_first(&self, table: Table, ids: &[i64]) -> Vec<i64> {
        let time = table.columns().iter().position(|column| column.name == table.time_column());
        let ends = |id: &i64| Some(&self.files.get(id)?.range(time?)??.1);
        let mut ids = ids.to_vec();
        ids.sort_by_key(|id| std::cmp::Reverse(ends(id)));
        ids
    }

    /// The path of one.
    pub fn path(&self, id: i64) -> Option<&str> {
        self.files.get(&id).map(|file| file.path.as_str())
    }

    /// The footer of a file below `sealed`. That of one that cannot be read tells nothing: whoever reads its rows
    /// will say so.
    pub fn footer(&mut self, sealed: &Path, id: i64) -> &Footer {
        self.footers.entry(id).or_insert_with(|| {
            let file = self.files.get(&id);
            file.and_then(|file| Footer::read(file.table, &sealed.join(&file.path)).ok()).unwrap_or_default()
        })
    }

    /// The file that a message names and that is not left out yet.
    pub fn named_in(&self, message: &str) -> Option<i64> {
        let named = |file: &&File| !self.left_out.contains(&file.id) && message.contains(&file.path);
        self.files.values().find(named).map(|file| file.id)
    }

    /// Whether a file below `sealed` is there and is not as it was written, which takes reading it until `go_on` says
    /// no. Not known of those of earlier versions, which have no checksum in their names.
    pub fn is_damaged(&self, sealed: &Path, id: i64, go_on: &dyn Fn() -> bool) -> bool {
        let Some(path) = self.path(id).filter(|_| self.has(id)) else { return false };
        let Some(written) = path.rsplit('/').next().and_then(sealed_file::checksum_in) else { return false };
        match sealed_file::checksum(&sealed.join(path), go_on) {
            Ok(Some((_, now))) => written != now,
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Leaves a file out of the statement that runs; its path.
    pub fn leave_out(&mut self, id: i64) -> Option<String> {
        let path = self.path(id)?.to_owned();
        self.left_out.insert(id).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_compared_in_one_form() {
        assert_eq!(whole_time("2026-01-02 03:04:05").as_deref(), Some("2026-01-02 03:04:05.000000000"));
        assert_eq!(whole_time("2026-01-02 03:04:05.6").as_deref(), Some("2026-01-02 03:04:05.600000000"));
        assert_eq!(whole_time("2026-01-02 03:04:05.123456789").as_deref(), Some("2026-01-02 03:04:05.123456789"));
        for other in
            ["", "2026-01-02", "2026-01-02 03:04:05.", "12026-01-02 03:04:05", "infinity", "0044-03-15 (BC) 00:00:00"]
        {
            assert_eq!(whole_time(other), None, "{other}");
        }
    }

    #[test]
    fn files_that_go_on_the_longest_come_first() {
        let entry = |id, upto: Option<&str>| {
            let bounds = upto.map(|upto| ("time".into(), Bounds::Between("2026-01-01 00:00:00".into(), upto.into())));
            FileEntry { id, table: "logs".into(), path: String::new(), bounds: bounds.into_iter().collect() }
        };
        let entries = vec![
            entry(1, Some("2026-01-01 10:00:00.5")),
            entry(2, None),
            entry(3, Some("2026-01-02 00:00:00")),
            entry(4, Some("2026-01-01 10:00:00.25")),
        ];
        let mut files = Files::default();
        files.change(Changes { added: entries, ..Changes::default() });
        assert_eq!(files.newest_first(Table::Logs, &[1, 2, 3, 4]), [3, 1, 4, 2]);
        assert_eq!(files.newest_first(Table::Logs, &[4, 1]), [1, 4]);
    }

    #[test]
    fn changes_are_taken_in_order() {
        let entry = |id, path: &str| FileEntry { id, table: "logs".into(), path: path.into(), bounds: vec![] };
        let mut files = Files::default();
        files.change(Changes { added: vec![entry(1, "a"), entry(2, "b")], ..Changes::default() });
        files.change(Changes { added: vec![entry(3, "c")], gone: vec![1, 7], ..Changes::default() });
        let ids = |files: &Files| files.of(Table::Logs).map(|file| file.id).collect::<Vec<_>>();
        assert_eq!(ids(&files), [2, 3]);
        files.change(Changes { reset: true, added: vec![entry(4, "d")], ..Changes::default() });
        assert_eq!(ids(&files), [4]);
        assert_eq!(files.named_in("no such file x"), None);
        assert_eq!(files.named_in("cannot open d"), Some(4));
        assert_eq!(files.leave_out(4).as_deref(), Some("d"));
        assert_eq!((ids(&files), files.named_in("cannot open d"), files.leave_out(4)), (vec![], None, None));
        files.change(Changes::default());
        assert_eq!(ids(&files), [4], "another statement may be luckier");
    }
}
