//! The catalog of a store is a DuckLake that others can read while the engine runs. That DuckDB's own
//! extension reads it is shown by tests/real/ducklake.py.

use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use vispyr::store::engine::failpoint;

use super::store::rig::{EngineProcess, LOG, RETENTION, Sender, Source, feed};

/// So that what was made in 2026 stays.
const FOR_EVER: (&str, &str) = (RETENTION, "max_age = \"1000y\"");

/// The catalog as another process sees it.
fn catalog(dir: &Path) -> Connection {
    Connection::open_with_flags(dir.join("store/catalog.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn each_round_of_sealing_is_a_snapshot_with_the_bounds_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let db = catalog(dir.path());
    let snapshots = "SELECT count(*) FROM ducklake_snapshot_changes WHERE changes_made LIKE '%deleted_from_table%'";
    assert_eq!(number(&db, "SELECT max(snapshot_id) FROM ducklake_snapshot"), 1, "the tables");
    for flush in 1..=3 {
        assert!(feed(&engine, &source, flush * 10));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    assert_eq!(number(&db, snapshots), 3, "each in the place of files of level 0");
    let spans = "JOIN ducklake_table USING (table_id) WHERE table_name = 'spans'";
    let rows = format!(
        "SELECT sum(record_count) FROM ducklake_data_file {spans} AND ducklake_data_file.end_snapshot IS NULL AND mapping_id IS NULL AND footer_size > 0"
    );
    assert_eq!(number(&db, &rows), 300);
    assert_eq!(number(&db, &format!("SELECT record_count FROM ducklake_table_stats {spans}")), 300);
    let bounds = |column: &str| {
        let sql = format!(
            "SELECT min(s.min_value), max(s.max_value), sum(value_count), t.min_value, t.max_value
             FROM ducklake_file_column_stats AS s JOIN ducklake_data_file AS f ON f.data_file_id = s.data_file_id AND f.end_snapshot IS NULL
             JOIN ducklake_table_column_stats AS t ON t.table_id = s.table_id AND t.column_id = s.column_id
             JOIN ducklake_column AS c ON c.table_id = s.table_id AND c.column_id = s.column_id
             JOIN ducklake_table AS n ON n.table_id = s.table_id WHERE n.table_name = 'spans' AND column_name = '{column}'"
        );
        let text = |row: &rusqlite::Row<'_>, n| row.get::<_, String>(n).unwrap();
        db.query_row(&sql, [], |row| {
            assert_eq!(
                (text(row, 0), text(row, 1), 300),
                (text(row, 3), text(row, 4), row.get(2).unwrap()),
                "{column}"
            );
            Ok((text(row, 0), text(row, 1)))
        })
        .unwrap()
    };
    assert_eq!(bounds("trace_id"), (format!("{:032X}", 1), format!("{:032X}", 30)));
    assert_eq!(bounds("service_name"), ("test".to_owned(), "test".to_owned()));
    let (from, to) = bounds("start_time");
    let asked = format!(
        "SELECT count(*) FROM spans HAVING min(start_time) = '{from}'::TIMESTAMP_NS AND max(start_time) = '{to}'::TIMESTAMP_NS"
    );
    assert_eq!(engine.count(&asked), 300);
}

#[test]
fn a_catalog_that_is_made_again_tells_others_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    for flush in 1..=2 {
        assert!(feed(&engine, &source, flush * 10));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    engine.stop();
    let content = || {
        let db = catalog(dir.path());
        let sql = "SELECT path, column_id, record_count, mapping_id, value_count, null_count, min_value, max_value
             FROM ducklake_data_file LEFT JOIN ducklake_file_column_stats USING (data_file_id)
             WHERE end_snapshot IS NULL ORDER BY path, column_id";
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| (0..8).map(|n| Ok(format!("{:?}", row.get_ref(n)?))).collect::<Result<Vec<_>, _>>());
        rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let before = content();
    assert!(before.len() >= 8, "{before:?}");
    std::fs::remove_file(dir.path().join("store/catalog.sqlite")).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (200, 200));
    assert_eq!(content(), before);
    let shown = "SELECT max(snapshot_id) FROM ducklake_snapshot";
    assert_eq!(number(&catalog(dir.path()), shown), 2, "the tables, and all files");
}

#[test]
fn a_kill_before_a_snapshot_is_shown_delays_it_to_the_next_start() {
    for step in ["after_catalog", "in_publish", "after_publish"] {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::new(10);
        let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, step)]);
        assert!(feed(&engine, &source, 10));
        assert_eq!(engine.try_ask(".flush"), None, "{step}");
        engine.wait_for_sigkill();
        let shown = "SELECT count(*) FROM ducklake_data_file JOIN sealed_files USING (data_file_id)
            WHERE level > 0 AND begin_snapshot <= (SELECT max(snapshot_id) FROM ducklake_snapshot)";
        assert_eq!(number(&catalog(dir.path()), shown), 0, "{step}: files without their names");
        let mut engine = EngineProcess::start(dir.path(), &[]);
        assert_eq!(engine.spans(), (100, 100), "{step}");
        assert_eq!(number(&catalog(dir.path()), shown), 2, "{step}: resources and spans");
    }
}

/// The directory was made by the last version whose catalog was no DuckLake (catalog version 1): two
/// flushes of traces, logs and metrics.
#[test]
fn a_directory_of_before_is_taken_over_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    unpack("store-catalog-1.tar.gz", dir.path());
    let earlier = number(&catalog(dir.path()), "SELECT count(*) FROM files");
    assert_eq!(earlier, 14);

    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[FOR_EVER]);
    for round in 0..2 {
        assert_eq!(engine.ask(".warnings"), "");
        assert_eq!(engine.count("SELECT count(*) FROM spans WHERE service_name = 'shop'"), 100);
        assert_eq!(engine.count("SELECT count(*) FROM logs"), 40);
        assert_eq!(engine.count("SELECT sum(list_sum(bucket_counts))::BIGINT FROM metric_points"), 60);
        let db = catalog(dir.path());
        assert_eq!(number(&db, "SELECT count(*) FROM ducklake_data_file WHERE mapping_id IS NOT NULL"), earlier);
        assert_eq!(number(&db, "SELECT count(*) FROM positions WHERE position = 2"), 3);
        let sealed = "SELECT count(*) FROM ducklake_snapshot_changes WHERE changes_made LIKE '%deleted_from_table%'";
        assert_eq!(number(&db, sealed), round);
        // It takes more, and is the same after another start.
        assert!(feed(&engine, &source, 10));
        assert_eq!(engine.ask(".flush"), "flushed");
        engine.stop();
        engine = EngineProcess::start(dir.path(), &[FOR_EVER]);
        assert_eq!(engine.spans().0, 200);
        assert_eq!(Sender::connect(&engine, LOG, 10).progress.sealed.0, 10);
    }
}

/// The directory was made by a program whose catalog was a DuckLake without levels (catalog version 2), of three
/// seconds of the demo shop. The numbers are its own answers.
#[test]
fn a_directory_without_levels_is_taken_over_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    unpack("store-catalog-2.tar.gz", dir.path());
    let version = "SELECT user_version FROM pragma_user_version";
    assert_eq!(number(&catalog(dir.path()), version), 2);
    let source = Source::new(10);
    for (round, version_then) in [(0, 3), (1, 3)] {
        let mut engine = EngineProcess::start(dir.path(), &[FOR_EVER]);
        let db = catalog(dir.path());
        assert_eq!(number(&db, version), version_then);
        assert_eq!(engine.ask(".warnings"), "");
        let shop = "WHERE service_name <> 'test'";
        for (statement, expected) in [
            (format!("SELECT count(*) FROM spans {shop}"), 30),
            (format!("SELECT sum(duration_ns)::BIGINT FROM spans {shop}"), 91_011_914),
            ("SELECT count(*) FROM logs".to_owned(), 6),
            ("SELECT sum(length(body))::BIGINT FROM logs".to_owned(), 118),
            ("SELECT count(*) FROM metric_points".to_owned(), 187),
            ("SELECT sum(list_sum(bucket_counts))::BIGINT FROM metric_points".to_owned(), 80),
            ("SELECT count(*) FROM profiles".to_owned(), 9),
            ("SELECT count(*) FROM exemplars".to_owned(), 10),
            ("SELECT count(*) FROM series".to_owned(), 95),
        ] {
            assert_eq!(engine.count(&statement), expected, "{statement}, start {round}");
        }
        assert_eq!(
            number(&db, "SELECT sum(position) FROM positions WHERE log_id NOT LIKE '%5e'"),
            21,
            "logs go on there"
        );
        assert_eq!(number(&db, "SELECT count(*) FROM sealed_files WHERE level = 1") - 2 * round, 31);
        assert_eq!(engine.stats().missing_files, 0);
        // It takes more.
        assert_eq!(engine.spans().0, 30 + 100 * round as u64);
        assert!(feed(&engine, &source, 10 * (round as u64 + 1)));
        assert_eq!(engine.ask(".flush"), "flushed");
        engine.stop();
    }
}

/// Makes the store of an earlier program.
fn unpack(fixture: &str, dir: &Path) {
    let store = dir.join("store");
    std::fs::create_dir(&store).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(fixture);
    assert!(Command::new("tar").arg("-xzf").arg(fixture).arg("-C").arg(&store).status().unwrap().success());
}
