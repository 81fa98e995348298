#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// A table of logs as they are decoded, its attributes the Parquet encoding of these variants.
fn logs(attributes: &str) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&Table::Logs.create("decoded")).unwrap();
    let encoded = "p.metadata || p.value";
    db.execute_batch(&format!(
        "INSERT INTO decoded (attributes) SELECT {encoded} FROM (SELECT variant_to_parquet_variant(a)::STRUCT(metadata BLOB, value BLOB) AS p FROM ({attributes}) t(a))"
    ))
    .unwrap();
    db
}

fn rows(db: &Connection) -> u64 {
    db.query_row("SELECT count(*) FROM decoded", [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

fn shredding(db: &Connection) -> String {
    let option = Shredding::of(db, "decoded", Table::Logs, rows(db)).unwrap().option().to_owned();
    let at = option.find("attributes: ").unwrap();
    option.get(at..option.len() - 1).unwrap().to_owned()
}

/// Column paths of the file that the rows become, and whether what is read back is what was there.
fn sealed(db: &Connection) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.parquet");
    let option = Shredding::of(db, "decoded", Table::Logs, rows(db)).unwrap();
    let select = Table::Logs.stored_select("decoded");
    db.execute_batch(&format!("COPY ({select}) TO '{}' (FORMAT parquet {})", file.display(), option.option())).unwrap();
    let text = |from: &str| format!("SELECT attributes::JSON::VARCHAR FROM {from}");
    let (decoded, sealed) = (format!("({select})"), format!("'{}'", file.display()));
    let lost = format!("SELECT count(*) FROM ({} EXCEPT ALL {})", text(&decoded), text(&sealed));
    assert_eq!(db.query_row(&lost, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    let sql = format!(
        "SELECT DISTINCT path_in_schema FROM parquet_metadata({sealed}) WHERE path_in_schema LIKE 'attributes%'"
    );
    let mut statement = db.prepare(&sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn frequent_keys_have_columns_of_their_most_frequent_type() {
    let db = logs(
        "SELECT {'route': '/a', 'n': i::BIGINT, 'half': i + 0.5::DOUBLE, 'yes': true, 'in': {'x': 'y'}, 'list': ['a', 'b'],
                 'it''s \"odd\"': 'q', 'mixed': CASE WHEN i % 3 = 0 THEN 'text'::VARIANT ELSE i::BIGINT::VARIANT END}::VARIANT
         FROM range(300) r(i)",
    );
    let of = shredding(&db);
    for part in [
        "\"route\" VARCHAR",
        "\"n\" BIGINT",
        "\"half\" DOUBLE",
        "\"yes\" BOOLEAN",
        "\"in\" STRUCT(\"x\" VARCHAR)",
        "\"list\" VARCHAR[]",
        "\"it''s \"\"odd\"\"\" VARCHAR",
        "\"mixed\" BIGINT",
    ] {
        assert!(of.contains(part), "{part} in {of}");
    }
    assert_eq!(sealed(&db).len(), 20, "metadata and value, and two for each of nine");
}

#[test]
fn many_keys_make_a_bounded_number_of_columns() {
    let object = |keys: &str| format!("SELECT json_object({keys})::VARIANT FROM range(600) r(i)");
    for keys in [
        // Each key in one row of 60, each key in one row alone, 300 keys in every row.
        "'common', 'x', 'k' || (i % 60), 'x', 'l' || (i % 61), 'x', 'm' || (i % 59), 'x', 'n' || (i % 58), 'x'"
            .to_owned(),
        "'common', 'x', 'k' || i, 'x'".to_owned(),
        (0..300).map(|n| format!("'k{n}', 'x'")).chain(["'common', 'x'".to_owned()]).collect::<Vec<_>>().join(", "),
    ] {
        let db = logs(&object(&keys));
        let columns = sealed(&db);
        assert!(columns.len() <= 2 + 2 * MAX_COLUMNS, "{}", columns.len());
        if !keys.contains("'k299'") {
            assert!(columns.iter().any(|column| column.contains("common")), "{columns:?}");
        }
    }
}

#[test]
fn keys_that_sql_cannot_name_twice_or_at_all_stay_in_the_value() {
    let long = "x".repeat(300);
    let db = logs(&format!(
        "SELECT json('{{\"Key\": \"b\", \"key\": \"a\", \"tab\\tbed\": \"c\", \"{long}\": \"d\", \"plain\": \"e\"}}')::VARIANT FROM range(100)"
    ));
    let of = shredding(&db);
    assert!(of.contains("\"plain\"") && !of.contains("tab") && !of.contains(&long), "{of}");
    assert_eq!(of.to_lowercase().matches("\"key\"").count(), 1, "{of}");
    sealed(&db);
}

#[test]
fn nothing_of_what_is_not_understood_is_shredded() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&Table::Logs.create("decoded")).unwrap();
    db.execute_batch("INSERT INTO decoded (attributes) VALUES (''), ('\\x01'), ('\\xff\\xff\\xff'), (NULL)").unwrap();
    db.execute_batch("INSERT INTO decoded (attributes) SELECT repeat('\\x42', i)::BLOB FROM range(200) t(i)").unwrap();
    assert!(Shredding::of(&db, "decoded", Table::Logs, rows(&db)).unwrap().is_none(Table::Logs));
}

#[test]
fn a_batch_is_shredded_as_the_table_it_would_make() {
    let db = logs(
        "SELECT {'route': '/a', 'n': i::BIGINT, 'in': {'x': 0.5::DOUBLE}, 'rare': CASE WHEN i = 7 THEN 1 END}::VARIANT
                  FROM range(400) r(i)",
    );
    let mut statement = db.prepare("SELECT attributes FROM decoded").unwrap();
    let rows: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let batches = rows.chunks(150).map(|rows| {
        let column: LargeBinaryArray = rows.iter().map(Some).collect();
        RecordBatch::try_from_iter([("attributes", std::sync::Arc::new(column) as arrow::array::ArrayRef)]).unwrap()
    });
    let batches: Vec<RecordBatch> = batches.collect();
    let expected = Shredding::of(&db, "decoded", Table::Logs, 400).unwrap();
    assert!(expected.option().contains("route"), "{expected:?}");
    assert_eq!(Shredding::of_batches(Table::Logs, &batches), expected);
    assert_eq!(Shredding::of_batches(Table::Logs, []), Shredding::none(Table::Logs));
}
