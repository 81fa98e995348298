//! Level 0: the rows of one batch of records become files at once, one by table and hour.
//!
//! The files are not synced; [`super::seal`] makes better ones of them within a minute.
//! Rows go from the columns that were decoded straight into a [file](crate::store::parquet_file), in the
//! order that merges want. Only rows that cannot be written so are put into a table of DuckDB first, from
//! which they are written in [`pieces`](super::pieces).

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::take_record_batch;
use duckdb::Connection;

use super::failpoint;
use super::partition::{self, Partition};
use super::pieces::{Piece, Shape};
use super::sealed_file::{self, Flush, Metadata};
use super::shredding::Shredding;
use crate::signal::now_nanos;
use crate::store::catalog::statistics::{self, Copied};
use crate::store::catalog::{File, NewFile};
use crate::store::ingest::{Chunk, StoredRow};
use crate::store::instance::{is_fatal, is_out_of_memory};
use crate::store::parquet_file::{self, FileError, columns, order};
use crate::store::protocol::Quarantined;
use crate::store::schema::Table;

/// How files are written. Version 2's encodings halve the bytes of a sample and cost less
/// CPU than they save zstd. A row group is also closed by its size, since a `VARIANT` takes
/// kilobytes while it is shredded and each of DuckDB's threads holds one: without it, sealing
/// 340 k spans took 318 MiB. Level 1 of zstd saves 0.6 us a span and costs 0.2 % of the bytes of spans,
/// 1 to 4 % of those of points.
pub const PARQUET: &str =
    "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION v2, ROW_GROUP_SIZE_BYTES '24MB'";

/// Why rows are in no file: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Level0Error {
    /// DuckDB could not write, or not read.
    #[error("duckdb: {0}")]
    Duckdb(#[from] duckdb::Error),
    /// A file was not written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The rows are none: a dead letter that somebody has written.
    #[error("{0}")]
    Refused(String),
    /// A file does not hold what it should.
    #[error("{table}: {written} rows to write of {expected}")]
    Rows {
        /// The table.
        table: &'static str,
        /// Rows of the batch.
        expected: u64,
        /// Rows that went into files.
        written: u64,
    },
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Written {
    /// The files, which have their names.
    pub files: Vec<NewFile>,
    /// Rows that no file takes.
    pub unwritable: Vec<Quarantined>,
    /// Rows by table, in the order of [`Table::ALL`].
    pub rows: [u64; Table::ALL.len()],
    /// All that was written, to be removed if the catalog does not take it.
    paths: Vec<PathBuf>,
}

impl Written {
    /// With what became of further rows.
    pub fn extend(&mut self, other: Written) {
        self.files.extend(other.files);
        self.unwritable.extend(other.unwritable);
        self.paths.extend(other.paths);
        self.rows.iter_mut().zip(other.rows).for_each(|(sum, rows)| *sum += rows);
    }

    /// Removes the files: the catalog has not taken them. What stays is swept at the next start.
    pub fn remove(&self) {
        for path in &self.paths {
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes the files.
#[derive(Debug)]
pub struct Level0 {
    db: Connection,
    sealed: PathBuf,
}

/// Rows that become files: a relation of SQL.
struct Source<'a> {
    relation: &'a str,
    table: Table,
    shredding: &'a Shredding,
    flush: &'a Flush,
}

impl Level0 {
    /// With a DuckDB that nobody else uses. `sealed` is the folder of all files.
    pub fn new(db: Connection, sealed: PathBuf) -> Self {
        Level0 { db, sealed }
    }

    /// The DuckDB, for tests that spoil it.
    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// Writes all of `chunks`, or nothing.
    ///
    /// # Errors
    /// What does not lie with the rows: no space, no file. Try again. But for [`Level0Error::Refused`].
    pub fn write(&self, chunks: &[Chunk], flush: &Flush) -> Result<Written, Level0Error> {
        let mut written = Written::default();
        for chunk in chunks {
            let done = self.write_chunk(chunk, flush, &mut written);
            done.inspect_err(|_| written.remove())?;
            written.rows[chunk.table() as usize] += chunk.rows() as u64;
        }
        Ok(written)
    }

    fn write_chunk(&self, chunk: &Chunk, flush: &Flush, written: &mut Written) -> Result<(), Level0Error> {
        let table = chunk.table();
        if let Some(rows) = chunk.columns()
            && failpoint::spoil("", table).is_none()
        {
            let before = written.files.len();
            match self.write_columns(table, rows, flush, written) {
                Err(Level0Error::File(error)) if !error.is_io() => {
                    tracing::warn!(table = table.name(), rows = chunk.rows(), %error, "rows cannot be written as they are");
                    // Those of other hours are written again.
                    written.files.truncate(before);
                }
                done => return done,
            }
        }
        self.write_in_pieces(chunk, flush, written)
    }

    /// Writes decoded rows without DuckDB, in the order that merges want.
    fn write_columns(
        &self,
        table: Table,
        rows: &RecordBatch,
        flush: &Flush,
        written: &mut Written,
    ) -> Result<(), Level0Error> {
        let shredding = Shredding::of_batches(table, [rows]);
        let mut sum = 0;
        for (partition, numbers) in partition::of_batch(rows, table, now_nanos()) {
            let mut rows = match numbers {
                Some(numbers) => take_record_batch(rows, &numbers).map_err(FileError::from)?,
                None => rows.clone(),
            };
            if let Some(numbers) = order::sorted(&order::keys(table, &rows).map_err(FileError::from)?) {
                rows = take_record_batch(&rows, &numbers).map_err(FileError::from)?;
            }
            let rows = columns::stored(table, &shredding, &rows).map_err(FileError::from)?;
            let metadata = Metadata::new(flush, table.name(), partition.rows, (partition.min_time, partition.max_time));
            let file = self.write_file(table, &partition, written, |path| {
                Ok(parquet_file::write::write(path, table, &rows, metadata)?)
            })?;
            sum += file.file.rows;
            written.files.push(file);
        }
        check(table, rows.num_rows() as u64, sum)
    }

    fn write_in_pieces(&self, chunk: &Chunk, flush: &Flush, written: &mut Written) -> Result<(), Level0Error> {
        let table = chunk.table();
        let relation = format!("pieces_of_{}", table.name());
        self.db.execute_batch(&format!("DROP TABLE IF EXISTS {relation}; {}", table.create(&relation)))?;
        let refused = |error: duckdb::Error| match is_of_others(&error) || is_out_of_memory(&error) {
            true => Level0Error::Duckdb(error),
            false => Level0Error::Refused(error.to_string()),
        };
        let rows = chunk.insert(&self.db, &relation).map_err(refused)? as u64;
        check(table, chunk.rows() as u64, rows)?;
        if let Some(spoilt) = failpoint::spoil(&relation, table) {
            let replaced = format!(
                "CREATE TABLE spoilt AS FROM {spoilt}; DELETE FROM {relation}; INSERT INTO {relation} FROM spoilt; DROP TABLE spoilt"
            );
            self.db.execute_batch(&replaced)?;
        }
        let shredding = Shredding::of(&self.db, &relation, table, rows)?;
        let source = Source { relation: &relation, table, shredding: &shredding, flush };
        for partition in &partition::of(&self.db, &relation, table, now_nanos())? {
            let mut pieces = vec![Piece::whole(partition, table)];
            while let Some(piece) = pieces.pop() {
                match self.write_one(&source, partition, &piece, written) {
                    Ok(file) => written.files.push(file),
                    Err(Level0Error::Duckdb(error)) => pieces.extend(self.instead(&source, &piece, error, written)?),
                    Err(error) => return Err(error),
                }
            }
        }
        self.db.execute_batch(&format!("DROP TABLE {relation}"))?;
        Ok(())
    }

    /// What to write instead of rows that DuckDB refused to write. That the disk is full is no fault of
    /// a row, and so an error.
    fn instead(
        &self,
        source: &Source<'_>,
        piece: &Piece,
        error: duckdb::Error,
        written: &mut Written,
    ) -> Result<Vec<Piece>, Level0Error> {
        let table = source.table;
        if is_of_others(&error) || piece.shape == Shape::WithoutVariants && is_out_of_memory(&error) {
            return Err(error.into());
        }
        tracing::warn!(table = table.name(), rows = piece.rows, shape = ?piece.shape, %error, "rows cannot be written so");
        if piece.is_last_whole_try() {
            let row = StoredRow::read(&self.db, source.relation, &piece.filter(), table)?;
            let reason = format!("a row of {} cannot be sealed: {error}", table.name());
            written.unwritable.push(Quarantined::of_none(row.into_batch(), reason));
            // The dead letter brings it back whole. Rows that others lean on stay as they can.
            if !table.is_dictionary() {
                return Ok(Vec::new());
            }
        }
        Ok(piece.instead(&self.db, source.relation)?)
    }

    fn write_one(
        &self,
        source: &Source<'_>,
        partition: &Partition,
        piece: &Piece,
        written: &mut Written,
    ) -> Result<NewFile, Level0Error> {
        let Source { relation, table, shredding, flush } = *source;
        let plain = Shredding::none(table);
        let metadata = Metadata::new(flush, table.name(), piece.rows, (partition.min_time, partition.max_time));
        let options = format!(
            "{PARQUET}{}, {}",
            if piece.shape == Shape::Shredded { shredding } else { &plain }.option(),
            metadata.option()
        );
        let file = self.write_file(table, partition, written, |path| {
            Ok(statistics::copy(&self.db, table, &piece.select(table, relation), path, &options)?)
        })?;
        check(table, piece.rows, file.file.rows)?;
        Ok(file)
    }

    /// Has `write` make a file of a partition, and gives it its name.
    fn write_file(
        &self,
        table: Table,
        partition: &Partition,
        written: &mut Written,
        write: impl FnOnce(&Path) -> Result<Copied, Level0Error>,
    ) -> Result<NewFile, Level0Error> {
        let folder = Path::new(table.name()).join(partition.folder());
        let full = self.sealed.join(&folder);
        fs::create_dir_all(&full).map_err(|e| io("create", &full, e))?;
        let id = sealed_file::new_id();
        let part = full.join(sealed_file::new_name(id));
        written.paths.push(part.clone());
        failpoint::reach("before_copy");
        let Copied { rows, footer, columns } = write(&part)?;
        failpoint::reach("after_copy");
        let summed = sealed_file::checksum(&part, || true).map_err(|e| io("read", &part, e))?;
        let (bytes, checksum) = summed.unwrap_or_default();
        let name = sealed_file::level0_name(id, checksum);
        let done = full.join(&name);
        fs::rename(&part, &done).map_err(|e| io("rename", &part, e))?;
        written.paths.push(done);
        failpoint::reach("after_rename");
        let path = folder.join(name).to_string_lossy().into_owned();
        let (min_time, max_time) = (partition.min_time, partition.max_time);
        let file = File { table: table.name().to_owned(), path, rows, min_time, max_time, bytes, checksum, level: 0 };
        Ok(NewFile { file, has_field_ids: true, footer, columns, is_damaged: false })
    }
}

fn check(table: Table, expected: u64, written: u64) -> Result<(), Level0Error> {
    match written == expected {
        true => Ok(()),
        false => Err(Level0Error::Rows { table: table.name(), expected, written }),
    }
}

/// Whether an error does not lie with the rows.
fn is_of_others(error: &duckdb::Error) -> bool {
    error.to_string().contains("IO Error") || is_fatal(error)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Level0Error {
    Level0Error::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::signal::{Format, Signal};
    use crate::store::ingest::Decoder;
    use crate::store::ingest::Limits;
    use crate::store::ingest::testing::record;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    fn spans(count: u8) -> Vec<Chunk> {
        let value = |n: u8| Some(AnyValue { value: Some(any_value::Value::IntValue(n.into())) });
        let attribute = |n| KeyValue { key: "n".into(), value: value(n), ..KeyValue::default() };
        let span = |n| Span {
            span_id: vec![n + 1; 8],
            name: "s".into(),
            start_time_unix_nano: now_nanos() - u64::from(n % 3) * 3_600_000_000_000,
            attributes: vec![attribute(n)],
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: (0..count).map(span).collect(), ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let mut decoder = Decoder::new(Limits::default());
        decoder
            .push(&record(Signal::Traces, Format::Otlp, ExportTraceServiceRequest { resource_spans }.encode_to_vec()))
            .unwrap();
        decoder.take()
    }

    fn level0(dir: &Path) -> Level0 {
        let db = Connection::open_in_memory().unwrap();
        Decoder::register(&db).unwrap();
        db.execute_batch("SET threads = 1; SET preserve_insertion_order = false").unwrap();
        Level0::new(db, dir.to_owned())
    }

    #[test]
    fn rows_in_pieces_are_the_same_as_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let level0 = level0(dir.path());
        let flush = Flush { id: Uuid::nil(), created: 0, logs: Vec::new() };
        for chunk in spans(100) {
            let (mut whole, mut pieces) = (Written::default(), Written::default());
            level0.write_chunk(&chunk, &flush, &mut whole).unwrap();
            level0.write_in_pieces(&chunk, &flush, &mut pieces).unwrap();
            let rows = |written: &Written| {
                let files: Vec<String> = written
                    .files
                    .iter()
                    .map(|new| format!("'{}'", dir.path().join(&new.file.path).display()))
                    .collect();
                let columns = chunk.table().column_list();
                format!("SELECT {columns} FROM read_parquet([{}])", files.join(", "))
            };
            assert!(pieces.unwritable.is_empty());
            let differ = format!("SELECT count(*) FROM ({} EXCEPT ALL {})", rows(&whole), rows(&pieces));
            let count = |sql: &str| level0.db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(count(&differ), 0, "{}", chunk.table().name());
            assert_eq!(count(&format!("SELECT count(*) FROM ({})", rows(&pieces))), chunk.rows() as i64);
        }
    }
}
