//! The stored tables as views over files. A view is made anew only when its files differ.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::files::Files;
use crate::store::engine::sealed_file;
use crate::store::instance::{quoted, quoted_path};
use crate::store::parquet_file::leaves::{self, Leaf, Leaves};
use crate::store::schema::Table;
use crate::store::views::{create_joined, has_resource};

/// What a view is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Numbers of its files.
    pub files: Vec<i64>,
    /// The row groups that can hold rows that count, of files of which not all can.
    pub row_groups: BTreeMap<i64, BTreeSet<usize>>,
    /// A condition on the stored columns that every row that counts fulfils.
    pub filter: Option<String>,
    /// The ids in hex that every row has that fulfils the condition, by the columns' places.
    pub fixed_ids: BTreeMap<usize, String>,
    /// Keys of variants that count, by the columns' places; of other columns all count.
    pub keys: BTreeMap<usize, BTreeSet<String>>,
    /// Whether the resources of its rows count.
    pub resources: bool,
}

/// A view as it was made.
#[derive(Debug)]
struct View {
    shown: Shown,
    /// How many files it opens: those that hold rows that may count.
    opened: usize,
    /// [`Files::resets`] then.
    resets: u64,
}

/// What the views are over.
#[derive(Debug, Default)]
pub struct Views {
    views: HashMap<Table, View>,
    /// Tables whose rows are shown without their resources.
    without_resources: HashSet<Table>,
}

impl Views {
    /// Puts the view of a table over these files; how many of them it opens. Where no row counts, the view stays over
    /// what it is over, as long as that is there.
    ///
    /// # Errors
    /// DuckDB's. The view is then as before.
    pub fn show(
        &mut self,
        db: &Connection,
        sealed: &Path,
        table: Table,
        files: &mut Files,
        shown: Option<Shown>,
    ) -> Result<usize, duckdb::Error> {
        let before = self.views.get(&table);
        let means_the_same = |view: &View| view.resets == files.resets();
        let stays = match &shown {
            Some(shown) => before.filter(|view| means_the_same(view) && view.shown == *shown).map(|view| view.opened),
            None => before
                .is_none_or(|view| means_the_same(view) && view.shown.files.iter().all(|id| files.has(*id)))
                .then_some(0),
        };
        if let Some(opened) = stays {
            return Ok(opened);
        }
        let shown = shown.unwrap_or_default();
        let (view, opened) = view(table, sealed, files, &shown);
        db.execute_batch(&view)?;
        if has_resource(table) && shown.resources == self.without_resources.contains(&table) {
            db.execute_batch(&create_joined(table, shown.resources))?;
            if shown.resources {
                self.without_resources.remove(&table);
            } else {
                self.without_resources.insert(table);
            }
        }
        self.views.insert(table, View { shown, opened, resets: files.resets() });
        Ok(opened)
    }

    /// Numbers of the files that the view of a table is over.
    pub fn files(&self, table: Table) -> impl Iterator<Item = i64> {
        self.views.get(&table).into_iter().flat_map(|view| view.shown.files.iter().copied())
    }

    /// Whether the view of a table shows every row of these files that counts.
    pub fn covers(&self, table: Table, needed: &Shown) -> bool {
        let Some(View { shown, .. }) = self.views.get(&table) else { return false };
        let all_there = needed.files.iter().all(|id| shown.files.binary_search(id).is_ok());
        // What has no entry is shown whole.
        let all_keys = shown.keys.iter().all(|(place, keys)| needed.keys.get(place).is_some_and(|n| n.is_subset(keys)));
        // A file that has no entry is shown whole.
        let all_groups = shown.row_groups.iter().all(|(id, groups)| {
            needed.files.binary_search(id).is_err() || needed.row_groups.get(id).is_some_and(|n| n.is_subset(groups))
        });
        let all_resources = shown.resources || !needed.resources;
        all_there
            && all_keys
            && all_groups
            && all_resources
            && (shown.filter.is_none() || shown.filter == needed.filter)
    }
}

/// The statement that makes the view, and how many files it opens.
fn view(table: Table, sealed: &Path, files: &mut Files, shown: &Shown) -> (String, usize) {
    // The files of one scan have the same columns, so that the first one tells them. With
    // `union_by_name` every query would put the schemas of all files together again: four times as
    // long for one trace in 28 files.
    let mut groups: BTreeMap<(String, String), Vec<PathBuf>> = BTreeMap::new();
    for id in &files.newest_first(table, &shown.files) {
        let Some(path) = files.path(*id).map(str::to_owned) else { continue };
        let full = sealed.join(&path);
        let mut filters: Vec<String> = shown.filter.iter().cloned().collect();
        filters.extend(shown.row_groups.get(id).map(in_row_groups));
        let filter = if filters.is_empty() { String::new() } else { format!(" WHERE {}", filters.join(" AND ")) };
        let columns = columns(table, sealed, files, (*id, &path), shown);
        groups.entry((columns, filter)).or_default().push(full);
    }
    let opened = groups.values().map(Vec::len).sum();
    let mut parts: Vec<String> = groups
        .into_iter()
        .map(|((columns, filter), files)| {
            // DuckDB asks for statistics where there is one file.
            let statistics = match &files[..] {
                [one] => without_statistics(table, &one.to_string_lossy()),
                _ => String::new(),
            };
            let files = files.iter().map(|path| quoted_path(path)).collect::<Vec<_>>().join(", ");
            format!("SELECT {columns} FROM read_parquet([{files}], hive_partitioning = false{statistics}){filter}")
        })
        .collect();
    if parts.is_empty() {
        parts.push(format!("SELECT {} FROM {}", table.column_list(), table.empty_relation()));
    }
    (format!("CREATE OR REPLACE VIEW stored.{} AS {}", table.name(), parts.join(" UNION ALL ")), opened)
}

/// A condition on the row group of a row. DuckDB reads no other.
fn in_row_groups(groups: &BTreeSet<usize>) -> String {
    let groups = groups.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    format!("file_row_group_number IN ({groups})")
}

/// The columns of a file: an id that all rows have that count stands for itself, and in the place of variants of which
/// keys count that have columns of their own are objects of those.
fn columns(table: Table, sealed: &Path, files: &mut Files, (id, path): (i64, &str), shown: &Shown) -> String {
    let version = version(path);
    let columns = table.columns().iter().enumerate().map(|(place, column)| {
        if column.since > version {
            return format!("NULL::{} AS {}", column.sql_type, column.name);
        }
        // So the user's condition on its hex is one of constants. DuckDB would make the hex of all ids in the dictionaries
        // of the pages that it reads.
        if let Some(hex) = shown.fixed_ids.get(&place) {
            return format!("unhex('{hex}') AS {}", column.name);
        }
        let object =
            shown.keys.get(&place).and_then(|keys| object(column.name, keys, &files.footer(sealed, id).leaves));
        object.map_or_else(|| column.name.to_owned(), |object| format!("{object} AS {}", column.name))
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// The option by which DuckDB takes nothing to be known of the variants in a file. Else it puts their statistics
/// together, those of each key in each row group: a third of the planning of a trace by id, and no plan is better for
/// it.
fn without_statistics(table: Table, path: &str) -> String {
    let version = version(path);
    let variants = table.columns().iter().filter(|column| column.is_variant() && column.since <= version);
    let unknown: Vec<String> = variants.map(|column| format!("'\"{}\"': MAP {{'': ''}}", column.name)).collect();
    if unknown.is_empty() { String::new() } else { format!(", column_statistics = MAP {{{}}}", unknown.join(", ")) }
}

/// The version of the schema of a file.
fn version(path: &str) -> u32 {
    sealed_file::schema_in(path.rsplit('/').next().unwrap_or_default())
}

/// An object with these keys of a column of variants; `None` if some are nowhere but in the variants.
fn object(column: &str, keys: &BTreeSet<String>, leaves: &Leaves) -> Option<String> {
    let mut there = Vec::new();
    for key in keys {
        match leaves.of(column, key) {
            Leaf::Column(sql_type) => there.push((key, sql_type)),
            Leaf::Nowhere => {}
            Leaf::Inside => return None,
        }
    }
    let Some((first, _)) = there.first() else { return Some("NULL::VARIANT".to_owned()) };
    let fields = there.iter().map(|(key, of)| format!("{}: {}", quoted(key), leaves::values(column, key, of)));
    let fields = fields.collect::<Vec<_>>().join(", ");
    Some(format!("CASE WHEN {} IS NOT NULL THEN {{{fields}}}::VARIANT END", leaves::variant(column, first)))
}
