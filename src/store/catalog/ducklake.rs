//! The tables of a DuckLake 1.0 (its specification, "Tables"), with SQLite's types where it has none
//! of DuckLake's: truth values are numbers, times and UUIDs are text, as DuckDB's own extension
//! writes them.
//!
//! Snapshot 0 has the schema `main`, snapshot 1 the stored tables, each later one the files of one
//! flush. The row of a snapshot is written last, once its files have their names: who reads the
//! catalog meanwhile takes the one before.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Result, params};
use uuid::Uuid;

use self::tables::TABLES;
use super::NewFile;
use super::statistics::{ColumnStatistics, TableBounds, timestamp};
use crate::store::schema::{Field, Table};

mod tables;

/// Makes an empty one: the schema, no table.
pub fn create(db: &Connection, now: u64) -> Result<()> {
    db.execute_batch(TABLES)?;
    let mut metadata = db.prepare("INSERT INTO ducklake_metadata (key, value) VALUES (?, ?)")?;
    let by = concat!("Vispyr ", env!("CARGO_PKG_VERSION"));
    // Files are the store's own to merge and to delete.
    for (key, value) in [("version", "1.0"), ("created_by", by), ("encrypted", "false"), ("auto_compact", "false")] {
        metadata.execute([key, value])?;
    }
    db.execute("INSERT INTO ducklake_schema VALUES (0, ?, 0, NULL, 'main', '', 1)", [Uuid::new_v4().to_string()])?;
    insert_snapshot(db, 0, now, 0, "created_schema:\"main\"")
}

/// Says where the files are, if it is another place than before.
pub fn set_data_path(db: &Connection, sealed: &Path) -> Result<()> {
    let sealed = std::path::absolute(sealed).unwrap_or_else(|_| sealed.to_owned());
    let path = format!("{}/", sealed.to_string_lossy().trim_end_matches('/'));
    let found: Option<String> =
        db.query_row("SELECT value FROM ducklake_metadata WHERE key = 'data_path'", [], |row| row.get(0)).optional()?;
    match found {
        Some(found) if found == path => {}
        Some(_) => {
            db.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", [&path])?;
        }
        None => {
            db.execute("INSERT INTO ducklake_metadata (key, value) VALUES ('data_path', ?)", [&path])?;
        }
    }
    Ok(())
}

/// Adds the tables and columns that this version has and the catalog has not, in one snapshot.
pub fn declare(db: &Connection, now: u64) -> Result<()> {
    let mut missing = Vec::new();
    for table in Table::ALL {
        let id = id_of(db, table)?;
        let last: i64 =
            db.query_row("SELECT coalesce(max(column_id), 0) FROM ducklake_column WHERE table_id = ?", [id], |row| {
                row.get(0)
            })?;
        let fields: Vec<Field> = table.fields().into_iter().filter(|field| field.id > last).collect();
        if !fields.is_empty() {
            missing.push((table, id, fields));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    show(db, now)?;
    let (snapshot, version) = (next_snapshot(db)?, schema_version(db)? + 1);
    let mut changes = Vec::new();
    for (table, id, fields) in missing {
        let id = match id {
            Some(id) => {
                changes.push(format!("altered_table:{id}"));
                id
            }
            None => {
                let id = next_catalog_id(db)?;
                let (uuid, name) = (Uuid::new_v4().to_string(), table.name());
                db.execute(
                    "INSERT INTO ducklake_table VALUES (?, ?, ?, NULL, 0, ?, ?, 1)",
                    params![id, uuid, snapshot, name, format!("{name}/")],
                )?;
                changes.push(format!("created_table:\"main\".\"{name}\""));
                id
            }
        };
        for field in fields {
            db.execute(
                "INSERT INTO ducklake_column VALUES (?1, ?2, NULL, ?3, ?1, ?4, ?5, NULL, 'NULL', 1, ?6, 'literal', 'duckdb')",
                params![field.id, snapshot, id, field.name, field.lake_type(), field.parent],
            )?;
        }
        db.execute("INSERT INTO ducklake_schema_versions VALUES (?, ?, ?)", params![snapshot, version, id])?;
    }
    insert_snapshot(db, snapshot, now, version, &changes.join(","))
}

/// Adds files to a snapshot that is not shown yet. Answers the identities they get.
pub fn add_files(db: &Connection, files: &[NewFile], snapshot: i64) -> Result<Vec<i64>> {
    let mut ids = Vec::new();
    for new in files {
        let file = &new.file;
        let table = Table::from_name(&file.table);
        let (Some(table), Some(path)) = (table, file.path.strip_prefix(&format!("{}/", file.table))) else {
            return Err(rusqlite::Error::InvalidPath(file.path.clone().into()));
        };
        let table_id = id_of(db, table)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let mapping = if new.has_field_ids { None } else { Some(name_mapping(db, table, table_id)?) };
        let (rows, bytes) = (file.rows.cast_signed(), file.bytes.cast_signed());
        let before = add_to_table(db, table_id, rows, bytes)?;
        let id = next_file_id(db)?;
        db.execute(
            "INSERT INTO ducklake_data_file (data_file_id, table_id, begin_snapshot, end_snapshot, path,
                path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start, mapping_id)
             VALUES (?, ?, ?, ?, ?, 1, 'parquet', ?, ?, ?, ?, ?)",
            params![
                id,
                table_id,
                snapshot,
                new.is_damaged.then_some(snapshot),
                path,
                rows,
                bytes,
                new.footer.map(u64::cast_signed),
                before,
                mapping
            ],
        )?;
        add_statistics(db, table, table_id, id, new, before > 0)?;
        ids.push(id);
    }
    Ok(ids)
}

/// Ends files, by their paths with the table's folder in front, in a snapshot that is not shown yet.
///
/// # Errors
/// Also if one of them is not current.
pub fn end_files(db: &Connection, paths: &[String], snapshot: i64) -> Result<()> {
    let mut end = db.prepare_cached(
        "UPDATE ducklake_data_file SET end_snapshot = ?1 WHERE path = ?3 AND end_snapshot IS NULL
            AND table_id = (SELECT table_id FROM ducklake_table WHERE table_name = ?2 AND end_snapshot IS NULL)
         RETURNING table_id, record_count, file_size_bytes",
    )?;
    for path in paths {
        let Some((table, below)) = path.split_once('/') else {
            return Err(rusqlite::Error::InvalidPath(path.into()));
        };
        let ended: Option<(i64, i64, i64)> = end
            .query_row(params![snapshot, table, below], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let (table_id, rows, bytes) = ended.ok_or_else(|| rusqlite::Error::InvalidPath(path.into()))?;
        take_from_table(db, table_id, rows, bytes)?;
    }
    Ok(())
}

/// Removes files as if they had never been, by a question for their identities.
pub fn remove_files(db: &Connection, ids: &str) -> Result<()> {
    let mut current = db.prepare(&format!(
        "SELECT table_id, record_count, file_size_bytes FROM ducklake_data_file
         WHERE end_snapshot IS NULL AND data_file_id IN ({ids})"
    ))?;
    let current: Vec<(i64, i64, i64)> =
        current.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_>>()?;
    for (table_id, rows, bytes) in current {
        take_from_table(db, table_id, rows, bytes)?;
    }
    for table in ["ducklake_file_column_stats", "ducklake_data_file"] {
        db.execute(&format!("DELETE FROM {table} WHERE data_file_id IN ({ids})"), [])?;
    }
    Ok(())
}

/// Shows the files that were added, and hides those that were ended: writes the rows of their
/// snapshots.
pub fn show(db: &Connection, now: u64) -> Result<()> {
    let mut statement = db.prepare_cached(
        "WITH shown AS (SELECT max(snapshot_id) AS last FROM ducklake_snapshot)
         SELECT begin_snapshot FROM ducklake_data_file, shown WHERE begin_snapshot > last
         UNION SELECT end_snapshot FROM ducklake_data_file, shown WHERE end_snapshot > last ORDER BY 1",
    )?;
    let snapshots: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
    for snapshot in snapshots {
        let changes: String = db.query_row(
            "SELECT group_concat(change) FROM (
                SELECT DISTINCT 'inserted_into_table:' || table_id AS change FROM ducklake_data_file WHERE begin_snapshot = ?1
                UNION SELECT 'deleted_from_table:' || table_id FROM ducklake_data_file WHERE end_snapshot = ?1 ORDER BY 1 DESC)",
            [snapshot],
            |row| row.get(0),
        )?;
        insert_snapshot(db, snapshot, now, schema_version(db)?, &changes)?;
    }
    Ok(())
}

/// Whether there is anything that [`show`] would show.
pub fn has_hidden(db: &Connection) -> Result<bool> {
    db.query_row(
        "WITH shown AS (SELECT max(snapshot_id) AS last FROM ducklake_snapshot)
         SELECT EXISTS (SELECT 1 FROM ducklake_data_file, shown WHERE begin_snapshot > last OR end_snapshot > last)",
        [],
        |row| row.get(0),
    )
}

fn insert_snapshot(db: &Connection, id: i64, now: u64, schema_version: i64, changes: &str) -> Result<()> {
    db.execute(
        "INSERT INTO ducklake_snapshot VALUES (?, ?, ?, ?, ?)",
        params![id, snapshot_time(now), schema_version, next_catalog_id(db)?, next_file_id(db)?],
    )?;
    db.execute("INSERT INTO ducklake_snapshot_changes VALUES (?, ?, NULL, NULL, NULL)", params![id, changes])?;
    Ok(())
}

/// As it stands in a snapshot: microseconds, in UTC.
pub fn snapshot_time(now: u64) -> String {
    let time = timestamp(i64::try_from(now).unwrap_or(i64::MAX));
    format!("{}+00", &time[..time.len() - 3])
}

fn id_of(db: &Connection, table: Table) -> Result<Option<i64>> {
    let sql = "SELECT table_id FROM ducklake_table WHERE table_name = ? AND end_snapshot IS NULL";
    db.query_row(sql, [table.name()], |row| row.get(0)).optional()
}

fn number(db: &Connection, sql: &str) -> Result<i64> {
    db.query_row(sql, [], |row| row.get(0))
}

fn schema_version(db: &Connection) -> Result<i64> {
    number(db, "SELECT max(schema_version) FROM ducklake_snapshot")
}

/// The number of the snapshot that is not shown yet, or would be the next.
pub fn next_snapshot(db: &Connection) -> Result<i64> {
    number(
        db,
        "SELECT 1 + max((SELECT max(snapshot_id) FROM ducklake_snapshot),
            (SELECT coalesce(max(begin_snapshot), 0) FROM ducklake_data_file),
            (SELECT coalesce(max(end_snapshot), 0) FROM ducklake_data_file))",
    )
}

/// Schemas, tables and mappings are numbered together.
fn next_catalog_id(db: &Connection) -> Result<i64> {
    number(
        db,
        "SELECT 1 + max((SELECT max(schema_id) FROM ducklake_schema),
            (SELECT coalesce(max(table_id), 0) FROM ducklake_table),
            (SELECT coalesce(max(mapping_id), 0) FROM ducklake_column_mapping))",
    )
}

/// No identity is given twice: that of a file which is gone is below the latest snapshot's next one.
fn next_file_id(db: &Connection) -> Result<i64> {
    number(
        db,
        "SELECT max((SELECT coalesce(max(data_file_id) + 1, 0) FROM ducklake_data_file),
            (SELECT coalesce(max(next_file_id), 0) FROM ducklake_snapshot))",
    )
}

/// Counts the rows of a new file. Answers the number of its first row.
fn add_to_table(db: &Connection, table_id: i64, rows: i64, bytes: i64) -> Result<i64> {
    let sql = "SELECT next_row_id FROM ducklake_table_stats WHERE table_id = ?";
    let before: Option<i64> = db.query_row(sql, [table_id], |row| row.get(0)).optional()?;
    if before.is_none() {
        db.execute("INSERT INTO ducklake_table_stats VALUES (?, 0, 0, 0)", [table_id])?;
    }
    db.execute(
        "UPDATE ducklake_table_stats SET record_count = record_count + ?2, next_row_id = next_row_id + ?2,
            file_size_bytes = file_size_bytes + ?3 WHERE table_id = ?1",
        params![table_id, rows, bytes],
    )?;
    Ok(before.unwrap_or_default())
}

/// Rows that are not current any more.
pub fn take_from_table(db: &Connection, table_id: i64, rows: i64, bytes: i64) -> Result<()> {
    db.execute(
        "UPDATE ducklake_table_stats SET record_count = record_count - ?2, file_size_bytes = file_size_bytes - ?3
         WHERE table_id = ?1",
        [table_id, rows, bytes],
    )?;
    Ok(())
}

/// Writes what is known of a file's columns, and what is known of the table's with it; whether it
/// `had_rows` before.
fn add_statistics(db: &Connection, table: Table, table_id: i64, id: i64, new: &NewFile, had_rows: bool) -> Result<()> {
    let mut insert =
        db.prepare_cached("INSERT INTO ducklake_file_column_stats VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)")?;
    let count = |count: Option<u64>| count.map(u64::cast_signed);
    // Sizes alone are for files that stay.
    let is_told = |column: &&ColumnStatistics| new.file.level > 0 || column.values.is_some() || column.max.is_some();
    for column in new.columns.iter().filter(is_told) {
        let ColumnStatistics { field, bytes, values, nulls, min, max } = column;
        insert.execute(params![id, table_id, field, count(*bytes), count(*values), count(*nulls), min, max])?;
    }
    if new.file.rows == 0 {
        return Ok(());
    }
    let mut find = db.prepare_cached(
        "SELECT contains_null, min_value, max_value FROM ducklake_table_column_stats
         WHERE table_id = ? AND column_id = ?",
    )?;
    for field in table.fields().iter().filter(|field| table.has_bounds(field)) {
        let unknown = ColumnStatistics::default();
        let column = new.columns.iter().find(|column| column.field == field.id).unwrap_or(&unknown);
        let found = find
            .query_row([table_id, field.id], |row| {
                Ok(TableBounds { contains_null: row.get(0)?, min: row.get(1)?, max: row.get(2)? })
            })
            .optional()?;
        let bounds = match (found, had_rows) {
            (Some(found), _) => found.with(field, column),
            (None, false) => TableBounds::of(column),
            (None, true) => TableBounds::default().with(field, column),
        };
        db.execute(
            "DELETE FROM ducklake_table_column_stats WHERE table_id = ? AND column_id = ?",
            [table_id, field.id],
        )?;
        db.execute(
            "INSERT INTO ducklake_table_column_stats VALUES (?, ?, ?, NULL, ?, ?, NULL)",
            params![table_id, field.id, bounds.contains_null, bounds.min, bounds.max],
        )?;
    }
    Ok(())
}

/// The mapping of a table's files that have no field ids: by name.
fn name_mapping(db: &Connection, table: Table, table_id: i64) -> Result<i64> {
    let sql = "SELECT mapping_id FROM ducklake_column_mapping WHERE table_id = ?";
    if let Some(id) = db.query_row(sql, [table_id], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let id = next_catalog_id(db)?;
    db.execute("INSERT INTO ducklake_column_mapping VALUES (?, ?, 'map_by_name')", [id, table_id])?;
    for field in table.fields() {
        db.execute(
            "INSERT INTO ducklake_name_mapping VALUES (?1, ?2, ?3, ?2, ?4, 0)",
            params![id, field.id, field.name, field.parent],
        )?;
    }
    Ok(id)
}
