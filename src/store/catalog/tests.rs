use std::path::Path;

use super::open::PATIENCE;
use super::*;
use crate::store::protocol::Part;
use crate::store::schema::Table;

fn file(name: &str) -> File {
    let (table, path) = ("spans".to_owned(), format!("spans/{name}"));
    let (min_time, max_time) = (Some(-5), Some(7));
    File { table, path, rows: 3, min_time, max_time, bytes: 9, checksum: u64::MAX - 1, level: 1 }
}

fn new_file(name: &str) -> NewFile {
    let columns = statistics::of_times(Table::Spans, Some(-5), Some(7));
    NewFile { file: file(name), has_field_ids: true, footer: Some(4), columns, is_damaged: false }
}

fn open(path: &Path) -> Result<Catalog, CatalogError> {
    Catalog::open(path, Path::new("/sealed"), 1)
}

/// The rows of a question, each as text.
fn rows(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement
        .query_map([], |row| {
            (0..columns).map(|n| Ok(format!("{:?}", row.get_ref(n)?))).collect::<rusqlite::Result<Vec<_>>>()
        })
        .unwrap();
    rows.map(|row| row.unwrap().join(" ")).collect()
}

#[test]
fn files_and_positions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let at = |n| Positions::from([((Uuid::from_u128(1), Signal::Logs), Position(n))]);
    let mut catalog = open(&path).unwrap();
    catalog.add(&[new_file("a"), new_file("b")], &at(5), &Changes::default(), 1).unwrap();
    drop(catalog);
    let mut catalog = open(&path).unwrap();
    assert_eq!(catalog.files().unwrap(), [file("a"), file("b")]);
    assert_eq!(catalog.positions().unwrap(), at(5));
    catalog.add(&[], &at(9), &Changes::default(), 1).unwrap();
    assert_eq!(catalog.positions().unwrap(), at(9));
}

#[test]
fn notes_are_added_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let mut catalog = open(&path).unwrap();
    let part = Part::Items(vec![1, 5]);
    let note = Quarantined::of_log(Uuid::from_u128(1), Signal::Logs, Position(3), "odd".to_owned(), part);
    let added = Changes { added: vec![note.clone()], ..Changes::default() };
    catalog.add(&[], &Positions::new(), &added, 1).unwrap();
    catalog.add(&[], &Positions::new(), &added, 1).unwrap();
    assert_eq!(catalog.quarantined().unwrap(), std::slice::from_ref(&note));
    let kept = Changes { kept: vec![note.id], ..Changes::default() };
    catalog.add(&[], &Positions::new(), &kept, 1).unwrap();
    assert_eq!(catalog.quarantined().unwrap(), []);
}

#[test]
fn a_failed_addition_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalog = open(&dir.path().join("catalog.sqlite")).unwrap();
    let positions = Positions::from([((Uuid::from_u128(1), Signal::Logs), Position(1))]);
    catalog.add(&[new_file("a")], &Positions::new(), &Changes::default(), 1).unwrap();
    catalog.add(&[new_file("b"), new_file("a")], &positions, &Changes::default(), 1).unwrap_err();
    assert_eq!(catalog.files().unwrap(), [file("a")]);
    assert!(catalog.positions().unwrap().is_empty());
}

#[test]
fn a_newer_catalog_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    open(&path).unwrap().db.pragma_update(None, "user_version", 7).unwrap();
    let message = open(&path).unwrap_err().to_string();
    assert!(message.contains("version 7") && message.contains("newer vispyr"), "{message}");
}

#[test]
fn what_is_not_a_catalog_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    std::fs::write(&path, [b'x'; 4096]).unwrap();
    assert!(open(&path).unwrap_err().is_damage());
}

#[test]
fn damage_is_told_from_what_another_try_may_mend() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    Catalog::write(&path, Path::new("/sealed"), &[new_file("a")], &Positions::new(), 1).unwrap();
    let catalog = open(&path).unwrap();
    assert!(!catalog.is_empty().unwrap());
    catalog.db.execute_batch("DROP TABLE sealed_files").unwrap();
    assert!(catalog.files().unwrap_err().is_damage());
    catalog.db.pragma_update(None, "user_version", 7).unwrap();
    drop(catalog);
    assert!(!open(&path).unwrap_err().is_damage(), "a later version's");
    assert!(!open(&dir.path().join("no/such/folder")).unwrap_err().is_damage());
}

#[test]
fn one_that_names_nothing_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalog = open(&dir.path().join("catalog.sqlite")).unwrap();
    assert!(catalog.is_empty().unwrap());
    let positions = Positions::from([((Uuid::from_u128(1), Signal::Logs), Position(1))]);
    catalog.add(&[], &positions, &Changes::default(), 1).unwrap();
    assert!(!catalog.is_empty().unwrap());
}

#[test]
fn each_addition_is_a_snapshot_that_others_see_once_it_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let mut catalog = open(&path).unwrap();
    let other = Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let snapshots = "SELECT snapshot_id, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot";
    let first = ["Integer(0) Integer(0) Integer(1) Integer(0)", "Integer(1) Integer(1) Integer(13) Integer(0)"];
    assert_eq!(rows(&other, snapshots), first);
    catalog.add(&[new_file("a")], &Positions::new(), &Changes::default(), 1).unwrap();
    assert_eq!(rows(&other, snapshots), first, "a file without its name");
    catalog.show(1).unwrap();
    catalog.show(1).unwrap();
    catalog.add(&[], &Positions::new(), &Changes::default(), 1).unwrap();
    catalog.show(1).unwrap();
    assert_eq!(rows(&other, snapshots)[2..], ["Integer(2) Integer(1) Integer(13) Integer(1)"]);
    // Two that were not shown, for a crash.
    catalog.add(&[new_file("b")], &Positions::new(), &Changes::default(), 1).unwrap();
    drop(catalog);
    let mut catalog = open(&path).unwrap();
    catalog.add(&[new_file("c")], &Positions::new(), &Changes::default(), 1).unwrap();
    catalog.show(1).unwrap();
    let changes = "SELECT snapshot_id, changes_made FROM ducklake_snapshot_changes WHERE snapshot_id > 1";
    assert_eq!(rows(&other, changes).len(), 3);
    let files = "SELECT data_file_id, begin_snapshot, row_id_start FROM ducklake_data_file";
    let expected =
        ["Integer(0) Integer(2) Integer(0)", "Integer(1) Integer(3) Integer(3)", "Integer(2) Integer(4) Integer(6)"];
    assert_eq!(rows(&other, files), expected);
}

#[test]
fn a_reader_of_another_process_holds_nobody_and_sees_no_half_of_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let mut catalog = open(&path).unwrap();
    let other = Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    other.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM ducklake_data_file";
    assert_eq!(rows(&other, count), ["Integer(0)"]);
    let started = std::time::Instant::now();
    for n in 0..20 {
        catalog.add(&[new_file(&n.to_string())], &Positions::new(), &Changes::default(), 1).unwrap();
        catalog.show(1).unwrap();
    }
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    assert_eq!(rows(&other, count), ["Integer(0)"]);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&other, count), ["Integer(20)"]);
}

#[test]
fn a_folder_that_has_moved_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let told = "SELECT value FROM ducklake_metadata WHERE key = 'data_path'";
    for sealed in ["/one", "/other/"] {
        let catalog = Catalog::open(&path, Path::new(sealed), 1).unwrap();
        assert_eq!(
            catalog.db.query_row(told, [], |row| row.get::<_, String>(0)).unwrap(),
            format!("{}/", sealed.trim_end_matches('/'))
        );
    }
}

#[test]
fn a_catalog_of_version_1_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    let earlier = Connection::open(&path).unwrap();
    let log = Uuid::from_u128(1);
    earlier
        .execute_batch(&format!(
            "CREATE TABLE files (path TEXT PRIMARY KEY, table_name TEXT NOT NULL, rows INTEGER NOT NULL,
                min_time INTEGER, max_time INTEGER, bytes INTEGER NOT NULL, checksum INTEGER NOT NULL,
                created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE positions (log_id TEXT NOT NULL, signal TEXT NOT NULL, position INTEGER NOT NULL,
                PRIMARY KEY (log_id, signal)) STRICT, WITHOUT ROWID;
             INSERT INTO files VALUES ('spans/a', 'spans', 3, -5, 7, 9, -2, 1);
             INSERT INTO positions VALUES ('{log}', 'logs', 5);
             PRAGMA user_version = 1"
        ))
        .unwrap();
    drop(earlier);
    let mut catalog = open(&path).unwrap();
    catalog.show(1).unwrap();
    assert_eq!(catalog.files().unwrap(), [file("a")]);
    assert_eq!(catalog.positions().unwrap(), Positions::from([((log, Signal::Logs), Position(5))]));
    catalog.add(&[new_file("b")], &Positions::new(), &Changes::default(), 1).unwrap();
    drop(catalog);
    let catalog = open(&path).unwrap();
    assert_eq!(catalog.files().unwrap(), [file("a"), file("b")]);
    let mapped = "SELECT f.path, source_name, target_field_id FROM ducklake_data_file AS f
        JOIN ducklake_name_mapping USING (mapping_id) WHERE source_name = 'links'";
    assert_eq!(rows(&catalog.db, mapped), ["Text([97]) Text([108, 105, 110, 107, 115]) Integer(17)"]);
}

#[test]
fn another_process_that_writes_is_waited_for_and_holds_no_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    drop(open(&path).unwrap());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut catalog = open(&path).unwrap();
    let started = std::time::Instant::now();
    let error = catalog.add(&[new_file("a")], &Positions::new(), &Changes::default(), 1).unwrap_err();
    assert!(!error.is_damage() && started.elapsed() < 2 * PATIENCE, "{error} after {:?}", started.elapsed());
    assert_eq!(catalog.files().unwrap(), []);
    other.execute_batch("ROLLBACK").unwrap();
    catalog.add(&[new_file("a")], &Positions::new(), &Changes::default(), 1).unwrap();
    assert_eq!(catalog.files().unwrap(), [file("a")]);
}

fn level0(name: &str) -> NewFile {
    let new = new_file(name);
    NewFile { file: File { level: 0, ..new.file }, ..new }
}

fn paths(files: &[File]) -> Vec<String> {
    files.iter().map(|file| file.path.clone()).collect()
}

/// The files that others see.
fn seen(catalog: &Catalog) -> Option<String> {
    let sql = "SELECT group_concat(path) FROM (SELECT path FROM ducklake_snapshot LEFT JOIN ducklake_data_file
               ON begin_snapshot <= snapshot_id AND (end_snapshot IS NULL OR end_snapshot > snapshot_id)
               WHERE snapshot_id = (SELECT max(snapshot_id) FROM ducklake_snapshot) ORDER BY path)";
    catalog.db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_file_takes_the_place_of_others_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let log = (Uuid::from_u128(1), Signal::Traces);
    let at = |n| Positions::from([(log, Position(n))]);
    let mut catalog = open(&dir.path().join("catalog.sqlite")).unwrap();
    catalog.add_level0(&[level0("a")], &at(5), &Changes::default(), 1).unwrap();
    catalog.add_level0(&[level0("b")], &at(9), &Changes::default(), 2).unwrap();
    assert_eq!(seen(&catalog), Some("a,b".to_owned()));
    assert_eq!((catalog.positions().unwrap(), catalog.taken().unwrap()), (Positions::new(), at(9)));

    let old = ["spans/a".to_owned(), "spans/b".to_owned()];
    catalog.replace(&old, &[new_file("c")], &at(9), &Changes::default(), 3).unwrap();
    assert_eq!(seen(&catalog), Some("a,b".to_owned()), "not before it has its name");
    assert_eq!(paths(&catalog.files().unwrap()), ["spans/c"]);
    catalog.show(4).unwrap();
    assert_eq!(seen(&catalog), Some("c".to_owned()));
    assert_eq!(catalog.positions().unwrap(), at(9));
    let stats = rows(&catalog.db, "SELECT record_count, next_row_id, file_size_bytes FROM ducklake_table_stats");
    assert_eq!(stats, ["Integer(3) Integer(9) Integer(9)"]);

    let again = catalog.replace(&old, &[new_file("d")], &at(12), &Changes::default(), 5);
    assert!(again.is_err(), "rows would be there twice");
    assert_eq!((paths(&catalog.files().unwrap()), catalog.positions().unwrap()), (vec!["spans/c".to_owned()], at(9)));
    catalog.end(&["spans/c".to_owned()], 6).unwrap();
    assert_eq!((catalog.files().unwrap(), seen(&catalog)), (Vec::new(), None));
    let sql = "SELECT group_concat(changes_made, '; ') FROM (SELECT * FROM ducklake_snapshot_changes
               ORDER BY snapshot_id DESC LIMIT 2)";
    let changes: String = catalog.db.query_row(sql, [], |row| row.get(0)).unwrap();
    let id: i64 = catalog.db.query_row("SELECT table_id FROM ducklake_data_file", [], |row| row.get(0)).unwrap();
    assert_eq!(changes, format!("deleted_from_table:{id}; inserted_into_table:{id},deleted_from_table:{id}"));
}

#[test]
fn level_0_goes_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (traces, logs) = ((Uuid::from_u128(1), Signal::Traces), (Uuid::from_u128(2), Signal::Logs));
    let mut catalog = open(&dir.path().join("catalog.sqlite")).unwrap();
    catalog.add(&[new_file("a")], &Positions::from([(traces, Position(5))]), &Changes::default(), 1).unwrap();
    catalog.show(1).unwrap();
    let taken = Positions::from([(traces, Position(7)), (logs, Position(2))]);
    catalog.add_level0(&[level0("b")], &taken, &Changes::default(), 2).unwrap();
    assert_eq!((catalog.taken().unwrap(), catalog.boot().unwrap()), (taken, None));
    catalog.drop_level0("this").unwrap();
    assert_eq!(paths(&catalog.files().unwrap()), ["spans/a"]);
    assert_eq!(catalog.taken().unwrap(), Positions::from([(traces, Position(5))]));
    assert_eq!(catalog.boot().unwrap().as_deref(), Some("this"));
    let before = rows(&catalog.db, "SELECT max(next_file_id) FROM ducklake_snapshot");
    catalog.add_level0(&[level0("b")], &Positions::new(), &Changes::default(), 3).unwrap();
    let id = rows(&catalog.db, "SELECT max(data_file_id) FROM ducklake_data_file");
    assert_eq!(id, before, "an identity is not given twice");
}

#[test]
fn a_lost_file_stays_named_until_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalog = open(&dir.path().join("catalog.sqlite")).unwrap();
    catalog.add(&[new_file("a")], &Positions::new(), &Changes::default(), 1).unwrap();
    catalog.mark_lost("spans/a", Some("gone")).unwrap();
    assert_eq!(catalog.lost().unwrap(), [(file("a"), "gone".to_owned())]);
    catalog.mark_lost("spans/a", None).unwrap();
    assert_eq!(catalog.lost().unwrap(), []);
    assert!(catalog.mark_lost("spans/x", Some("gone")).is_err());
}
