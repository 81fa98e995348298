//! What the tests of ingest share: a store in one DuckDB instance, without an engine.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use duckdb::Connection;
use uuid::Uuid;

use crate::signal::{Batch, Compression, Format, Meta, Signal};
use crate::store::engine::sealed_file::{Flush, Metadata};
use crate::store::engine::shredding::Shredding;
use crate::store::ingest::{DecodeError, Decoder, Limits, Rejected};
use crate::store::parquet_file::{columns, write};
use crate::store::schema::Table;
use crate::store::views;
use crate::wal::{Position, Record};

/// The time at which test records were received: 2026-01-01.
pub(crate) const RECEIVED: u64 = 1_767_225_600_000_000_000;

/// Rows as they are decoded, under their views, and the decoder that fills it.
pub(crate) struct TestStore {
    pub(crate) db: Connection,
    pub(crate) decoder: Decoder,
    /// What was rejected out of the records so far.
    pub(crate) rejected: Vec<Rejected>,
    /// The rows as they would be sealed.
    sealable: Vec<(Table, RecordBatch)>,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let db = Connection::open_in_memory().expect("open");
        Decoder::register(&db).expect("register");
        db.execute_batch("CREATE SCHEMA decoded; CREATE SCHEMA stored").expect("schemas");
        for table in Table::ALL {
            let name = table.name();
            let decoded = format!("decoded.{name}");
            db.execute_batch(&table.create(&decoded)).expect("decoded");
            db.execute_batch(&format!("CREATE VIEW stored.{name} AS {}", table.stored_select(&decoded)))
                .expect("stored");
        }
        for table in Table::ALL {
            let view = views::select(table, |table| format!("stored.{}", table.name()));
            db.execute_batch(&format!("CREATE VIEW {} AS {view}", table.name())).expect("view");
        }
        TestStore { db, decoder: Decoder::new(Limits::default()), rejected: Vec::new(), sealable: Vec::new() }
    }

    /// Decodes and inserts one record.
    pub(crate) fn push(&mut self, record: &Record) -> Result<(), DecodeError> {
        let result = self.decoder.push(record);
        for chunk in self.decoder.take() {
            if let Some(columns) = chunk.columns() {
                self.sealable.push((chunk.table(), columns.clone()));
            }
            let rows = chunk.insert(&self.db, &format!("decoded.{}", chunk.table().name())).expect("insert");
            assert_eq!(rows, chunk.rows());
        }
        self.rejected.extend(result?);
        Ok(())
    }

    /// Decodes and inserts an OTLP request.
    pub(crate) fn otlp(&mut self, signal: Signal, message: &impl prost::Message) -> Result<(), DecodeError> {
        self.push(&record(signal, Format::Otlp, message.encode_to_vec()))
    }

    /// The rows that `sql` gives, every value as text.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let sql = format!("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({sql})");
        let mut statement = self.db.prepare(&sql).expect("prepare");
        let mut rows = statement.query([]).expect("query");
        let mut all = Vec::new();
        while let Some(row) = rows.next().expect("row") {
            let columns = row.as_ref().column_count();
            all.push((0..columns).map(|i| row.get(i).expect("text")).collect());
        }
        all
    }

    /// The only row that `sql` gives.
    pub(crate) fn row(&self, sql: &str) -> Vec<Option<String>> {
        let mut rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows.remove(0)
    }

    /// The only value that `sql` gives.
    pub(crate) fn value(&self, sql: &str) -> Option<String> {
        self.row(sql).remove(0)
    }

    /// How many rows a table has.
    pub(crate) fn count(&self, table: &str) -> i64 {
        self.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("count")
    }

    /// Seals a table to Parquet as a flush would, compares what is read back, and counts it.
    pub(crate) fn seal(&self, table: Table) -> i64 {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("sealed.parquet");
        let rows: Vec<&RecordBatch> =
            self.sealable.iter().filter(|(of, _)| *of == table).map(|(_, rows)| rows).collect();
        let Some(first) = rows.first() else { return 0 };
        let rows = concat_batches(first.schema_ref(), rows.iter().copied()).expect("the same columns");
        let shredding = Shredding::of_batches(table, [&rows]);
        let stored = columns::stored(table, &shredding, &rows).expect("columns");
        let flush = Flush { id: Uuid::nil(), created: 0, logs: Vec::new() };
        let metadata = Metadata::new(&flush, table.name(), 0, (None, None));
        write::write(&file, table, &stored, metadata).expect("file");
        // An object whose keys differ in case only has no VARCHAR, but it has JSON.
        let columns = table.columns().iter().map(|column| match column.is_variant() {
            true => format!("{}::JSON::VARCHAR", column.name),
            false => format!("{}::VARCHAR", column.name),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let text = |from: &str| format!("SELECT {columns} FROM {from}");
        let (decoded, sealed) = (format!("stored.{}", table.name()), format!("'{}'", file.display()));
        let lost = format!("SELECT count(*) FROM ({} EXCEPT ALL {})", text(&decoded), text(&sealed));
        let lost: i64 = self.db.query_row(&lost, [], |row| row.get(0)).expect("compare");
        assert_eq!(lost, 0, "rows of {} that came out differently", table.name());
        self.count(&sealed)
    }
}

/// A record with this payload.
pub(crate) fn record(signal: Signal, format: Format, payload: Vec<u8>) -> Record {
    Record {
        position: Position(1),
        batch: Batch {
            signal,
            format,
            compression: Compression::Identity,
            items: 1,
            decoded_size: payload.len() as u64,
            received: RECEIVED,
            meta: Meta::default(),
            payload: Bytes::from(payload),
        },
    }
}

/// Shorthand for an expected row.
pub(crate) fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| (*value != "NULL").then(|| (*value).to_owned())).collect()
}
