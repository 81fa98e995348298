//! A row as it was decoded, in words: what no file takes leaves the store in this form as
//! a dead letter, and comes back in it.

use std::collections::BTreeMap;

use duckdb::Connection;
use serde::{Deserialize, Serialize};

use crate::signal::{Batch, Compression, Format, Meta, Signal, now_nanos};
use crate::store::schema::{Column, Table};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRow {
    table: String,
    /// The columns as text, binary ones as base64; nothing for NULL.
    columns: BTreeMap<String, Option<String>>,
}

impl StoredRow {
    /// Reads the row that `filter` leaves of a table of decoded rows.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn read(db: &Connection, relation: &str, filter: &str, table: Table) -> Result<Self, duckdb::Error> {
        let text = |column: &Column| match is_binary(column) {
            true => format!("base64({})", column.name),
            false => format!("{}::VARCHAR", column.name),
        };
        let columns: Vec<String> = table.columns().iter().map(text).collect();
        let sql = format!("SELECT {} FROM {relation}{filter} LIMIT 1", columns.join(", "));
        let columns = db.query_row(&sql, [], |row| {
            let column = |(n, column): (usize, &Column)| Ok((column.name.to_owned(), row.get(n)?));
            table.columns().iter().enumerate().map(column).collect()
        })?;
        Ok(StoredRow { table: table.name().to_owned(), columns })
    }

    /// Inserts it into such a table. Answers the number of rows.
    ///
    /// # Errors
    /// DuckDB's; also for a variant that is none: in the table it would fail every question.
    pub(super) fn insert(&self, db: &Connection, target: &str, table: Table) -> duckdb::Result<usize> {
        let mut names = Vec::new();
        let mut values = Vec::new();
        let mut texts = Vec::new();
        for column in table.columns() {
            if let Some(variant) = self.columns.get(column.name).cloned().flatten().filter(|_| column.is_variant()) {
                db.prepare("SELECT variant_bytes_to_variant(from_base64(?))::VARCHAR")?.execute([variant])?;
            }
            names.push(column.name);
            values.push(match is_binary(column) {
                true => "from_base64(?::VARCHAR)".to_owned(),
                false => format!("?::VARCHAR::{}", column.decoded_type()),
            });
            texts.push(self.columns.get(column.name).cloned().flatten());
        }
        let sql = format!("INSERT INTO {target} ({}) SELECT {}", names.join(", "), values.join(", "));
        db.prepare(&sql)?.execute(duckdb::params_from_iter(texts))
    }

    /// As a dead letter has it.
    pub fn into_batch(self) -> Batch {
        // Strings are always JSON.
        let payload = serde_json::to_vec(&self).unwrap_or_default();
        Batch {
            signal: self.table().map_or(Signal::Traces, Table::signal),
            format: Format::StoreRow,
            compression: Compression::Identity,
            items: 1,
            decoded_size: payload.len() as u64,
            received: now_nanos(),
            meta: Meta::default(),
            payload: payload.into(),
        }
    }

    /// Out of such a payload, with its table.
    pub(super) fn decode(payload: &[u8]) -> Result<(Self, Table), String> {
        let row: StoredRow = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        let table = row.table().ok_or_else(|| format!("there is no table {:?}", row.table))?;
        match row.columns.keys().find(|name| table.columns().iter().all(|column| column.name != name.as_str())) {
            Some(name) => Err(format!("{} has no column {name:?}", row.table)),
            None => Ok((row, table)),
        }
    }

    fn table(&self) -> Option<Table> {
        Table::from_name(&self.table)
    }
}

fn is_binary(column: &Column) -> bool {
    column.decoded_type() == "BLOB"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every type of column, NULL and what is hard to write.
    #[test]
    fn a_row_comes_back_as_it_was() {
        for table in Table::ALL {
            let db = Connection::open_in_memory().expect("open");
            db.execute_batch(&table.create("a")).expect("table");
            db.execute_batch(&table.create("b")).expect("table");
            let value = |column: &Column| match column.decoded_type() {
                "BLOB" if column.is_variant() => "'\\x01\\x00\\x00\\x0c\\x07'::BLOB",
                "BLOB" => "'\\x00\\xffx'::BLOB",
                "VARCHAR" => "'it''s \"ü\" [1, NULL]' || chr(10)",
                "TIMESTAMP_NS" => "'2026-01-02 03:04:05.123456789'::TIMESTAMP_NS",
                "DOUBLE" => "0.1::DOUBLE + 0.2::DOUBLE",
                "DOUBLE[]" => "[1e300, 0.1, 'nan'::DOUBLE, '-inf'::DOUBLE, NULL]",
                "BIGINT[]" => "[-9223372036854775808, 7, NULL]",
                "BOOLEAN" => "true",
                "BIGINT" => "-9223372036854775808",
                _ => "7",
            };
            let values: Vec<&str> = table.columns().iter().map(value).collect();
            db.execute_batch(&format!("INSERT INTO a SELECT {}", values.join(", "))).expect("row");
            db.execute_batch(&format!("INSERT INTO a ({}) VALUES (NULL)", table.columns()[0].name)).expect("nulls");
            for n in [0, 1] {
                let batch =
                    StoredRow::read(&db, "a", &format!(" WHERE rowid = {n}"), table).expect("read").into_batch();
                let (row, of) = StoredRow::decode(&batch.payload).expect("decode");
                assert_eq!((of, batch.signal), (table, table.signal()));
                assert_eq!(row.insert(&db, "b", of).expect("insert"), 1);
            }
            let differ = "SELECT count(*) FROM (FROM a EXCEPT ALL FROM b)";
            let same: i64 = db.query_row("SELECT count(*) FROM b", [], |row| row.get(0)).expect("count");
            assert_eq!((db.query_row(differ, [], |row| row.get(0)), same), (Ok(0), 2), "{}", table.name());
        }
        assert!(StoredRow::decode(b"{\"table\":\"x\",\"columns\":{}}").is_err_and(|e| e.contains("no table")));
        assert!(StoredRow::decode(b"{\"table\":\"spans\",\"columns\":{\"a) --\":null}}").is_err());
    }
}
