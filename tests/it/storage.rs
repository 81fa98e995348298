//! The catalog knows where the bytes go, by table and column.

use vispyr::store::catalog::Catalog;
use vispyr::store::catalog::storage::Storage;

use vispyr::signal::Signal;

use super::harness::{Vispyr, post, signal};
use super::receivers::rig::payload;
use super::store::rig::{EngineProcess, Source, feed};

#[tokio::test(flavor = "multi_thread")]
async fn people_ask_for_it() {
    let vispyr = Vispyr::serve().await;
    assert_eq!(vispyr.count("SELECT count(*) FROM storage").await, 0);
    let body = payload::three(Signal::Traces);
    let answer = post(&vispyr.url("otlp_http", "/v1/traces"), "application/x-protobuf", body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    vispyr.wait_count("SELECT count(*) FROM spans", 3).await;
    signal(vispyr.engine_pid().unwrap(), rustix::process::Signal::USR1);
    let columns = "SELECT count(*) FROM STORAGE WHERE table_name = 'spans' AND column_name = 'attributes' AND rows = 3 AND bytes > 0";
    vispyr.wait_count(columns, 1).await;
    vispyr
        .wait_count(
            "SELECT count(*) FROM storage JOIN spans ON storage.table_name = 'spans' WHERE column_name = 'name'",
            3,
        )
        .await;
}

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
