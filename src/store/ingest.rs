//! From records of the log to rows of the store: decompress, decode, build columns.
//!
//! The decoder collects the rows of many records, because DuckDB takes 20,000 rows at once for
//! half of what it asks for ten times 2,000, and gives them out as [`Chunk`]s, each of which is
//! inserted by one statement.

use arrow::error::ArrowError;
use duckdb::Connection;

use crate::signal::{Format, Signal};
use crate::wal::Record;

mod any;
mod chunk;
mod dictionary;
mod inflate;
mod proto;
mod resource;
mod rows;
#[cfg(test)]
mod testing;
mod time;
mod traces;
mod variant;

pub use chunk::Chunk;

use proto::ProtoError;
use resource::Resources;
use rows::Rows;
use traces::SpanRows;
use variant::Encoder;

/// Bounds of what one record may turn into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one record once decompressed.
    pub max_decoded_size: u64,
    /// Levels of arrays and maps in an attribute; what is deeper becomes JSON text.
    pub max_attribute_depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_decoded_size: 256 << 20, max_attribute_depth: 64 }
    }
}

/// Why a record has no rows. It is skipped whole.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Decompression failed.
    #[error("cannot decompress ({compression}): {reason}")]
    Decompress {
        /// Which compression the record has.
        compression: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// It grows beyond [`Limits::max_decoded_size`].
    #[error("more than {0} bytes once decompressed")]
    TooLarge(u64),
    /// The message cannot be decoded.
    #[error("cannot decode {format}: {reason}")]
    Malformed {
        /// The record's format.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// What the decoder has met since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans, points, log records, profiles turned into rows.
    pub items: u64,
    /// Records skipped whole.
    pub undecodable_records: u64,
    /// Items in them, as the log has counted.
    pub undecodable_items: u64,
    /// Profiles in a format that is kept but not decoded (JFR, speedscope, trie, tree).
    pub opaque_profiles: u64,
}

/// Turns records into chunks. One for all signals; not shared between threads.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    counts: Counts,
    encoder: Encoder,
    resources: Resources,
    spans: SpanRows,
}

impl Decoder {
    /// An empty decoder.
    pub fn new(limits: Limits) -> Self {
        Decoder {
            limits,
            counts: Counts::default(),
            encoder: Encoder::new(limits.max_attribute_depth),
            resources: Resources::default(),
            spans: SpanRows::default(),
        }
    }

    /// Prepares a connection's database for [`Chunk::insert`]; once for each DuckDB instance.
    pub fn register(connection: &Connection) -> duckdb::Result<()> {
        chunk::register(connection)
    }

    /// Adds the rows of a record, or counts it as undecodable and adds none.
    pub fn push(&mut self, record: &Record) -> Result<(), DecodeError> {
        let marks = self.lengths();
        let result = self.decode(record);
        match &result {
            Ok(items) => {
                self.resources.emitted.keep();
                self.counts.items += items;
            }
            Err(_) => {
                self.truncate(marks);
                self.resources.emitted.take_back();
                self.counts.undecodable_records += 1;
                self.counts.undecodable_items += u64::from(record.batch.items);
            }
        }
        result.map(|_| ())
    }

    fn decode(&mut self, record: &Record) -> Result<u64, DecodeError> {
        let batch = &record.batch;
        let payload = inflate::inflate(&batch.payload, batch.compression, self.limits.max_decoded_size)?;
        let malformed =
            |error: ProtoError| DecodeError::Malformed { format: batch.format.name(), reason: error.to_string() };
        match (batch.format, batch.signal) {
            (Format::Otlp, Signal::Traces) => {
                traces::decode(&payload, &mut self.spans, &mut self.resources, &mut self.encoder).map_err(malformed)
            }
            _ => Ok(0),
        }
    }

    fn lengths(&self) -> [usize; 2] {
        [self.resources.rows.len(), self.spans.len()]
    }

    fn truncate(&mut self, lengths: [usize; 2]) {
        self.resources.rows.truncate(lengths[0]);
        self.spans.truncate(lengths[1]);
    }

    /// Rows collected since the last [`Decoder::take`].
    pub fn pending_rows(&self) -> usize {
        self.lengths().iter().sum()
    }

    /// Gives out what was collected.
    pub fn take(&mut self) -> Vec<Chunk> {
        let chunks = [Chunk::of(&mut self.resources.rows), Chunk::of(&mut self.spans)];
        let given = |chunk: Result<Option<Chunk>, ArrowError>| match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                // Only a mistake in this module leads here: the columns fit by construction.
                tracing::error!(%error, "cannot hand rows over");
                None
            }
        };
        chunks.into_iter().filter_map(given).collect()
    }

    /// A new generation begins: dictionary rows are given out again from here on. Call it after
    /// the [`Decoder::take`] that belongs to the old generation.
    pub fn new_generation(&mut self) {
        self.resources.emitted.forget();
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
