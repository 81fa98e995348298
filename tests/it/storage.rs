//! The catalog knows where the bytes go, by table and column.

use vispyr::store::catalog::Catalog;
use vispyr::store::catalog::storage::Storage;

use super::store::rig::{EngineProcess, Source, feed};

#[test]
fn the_columns_of_a_table_make_up_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let storage = || Catalog::open_read_only(&dir.path().join("store/catalog.sqlite")).unwrap().storage().unwrap();
    assert!(feed(&engine, &Source::new(500), 4));
    assert_eq!(engine.spans().0, 2000);
    assert_eq!(storage(), [], "not sealed yet");
    assert_eq!(engine.ask(".flush"), "flushed");
    let stats = engine.stats();
    let found = storage();
    for table in stats.tables.iter().filter(|table| table.sealed_files > 0) {
        let of: Vec<&Storage> = found.iter().filter(|one| one.table == table.table).collect();
        assert_eq!(of.iter().map(|one| one.bytes).sum::<u64>(), table.sealed_bytes, "{}", table.table);
        assert!(of.iter().all(|one| (one.rows, one.files) == (table.sealed_rows, table.sealed_files)));
    }
    let bytes = |column: &str| found.iter().find(|one| one.table == "spans" && one.column == column).unwrap().bytes;
    // Attributes are made of parts; the footer is of no column.
    assert!(bytes("span_id") > 2000 && bytes("attributes") > 200 && bytes("name") > 0 && bytes("") > 100, "{found:?}");
}
