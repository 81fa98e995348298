//! From records of the log to rows of the store: decompress, decode, build columns.
//!
//! A record is decoded item by item. An item that cannot be stored costs itself alone: it is given
//! out as [`Rejected`], its neighbours become rows. What is malformed as a message, which the
//! receivers let nobody send, costs the record.
//!
//! The decoder collects the rows of many records, because DuckDB takes 20,000 rows at once for
//! half of what it asks for ten times 2,000, and gives them out as [`Chunk`]s, each of which is
//! inserted by one statement.

use std::borrow::Cow;

use duckdb::Connection;

use crate::codec::inflate::{self as codec, InflateError, inflate};
use crate::signal::{Batch, Format, Signal};
use crate::store::schema::TIME_MAX;
use crate::wal::Record;

mod any;
mod chunk;
mod dictionary;
mod logs;
mod metrics;
mod points;
mod profiles;
mod proto;
mod rejects;
mod remote_write;
mod resource;
mod rows;
mod series;
mod stored_row;
#[cfg(test)]
pub(crate) mod testing;
mod time;
mod traces;
mod variant;

pub use chunk::Chunk;
pub use rejects::Rejected;
pub use stored_row::StoredRow;

use logs::LogRows;
use points::Points;
use profiles::Profiles;
use rejects::Rejects;
use remote_write::Families;
use resource::Resources;
use rows::Rows;
use traces::SpanRows;
use variant::Encoder;

/// Bytes of text in the rows of one record, beyond its own size: they may repeat what is in it once.
const MAX_GROWTH: usize = 128 << 20;

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
    /// Items in them, as the log has counted, and items rejected out of other records.
    pub undecodable_items: u64,
}

/// Turns records into chunks. One for all signals; not shared between threads.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    counts: Counts,
    /// Rows collected.
    pending: usize,
    encoder: Encoder,
    resources: Resources,
    spans: SpanRows,
    points: Points,
    families: Families,
    logs: LogRows,
    profiles: Profiles,
    /// Rows that are ready as they are.
    stored: Vec<Chunk>,
}

impl Decoder {
    /// An empty decoder.
    pub fn new(limits: Limits) -> Self {
        Decoder {
            limits,
            counts: Counts::default(),
            pending: 0,
            encoder: Encoder::new(limits.max_attribute_depth),
            resources: Resources::default(),
            spans: SpanRows::default(),
            points: Points::default(),
            families: Families::default(),
            logs: LogRows::default(),
            profiles: Profiles::default(),
            stored: Vec::new(),
        }
    }

    /// Prepares a connection's database for [`Chunk::insert`]; once for each DuckDB instance.
    pub fn register(connection: &Connection) -> duckdb::Result<()> {
        chunk::register(connection)
    }

    /// Adds the rows of a record, and gives out the items of it that cannot be stored; or counts it
    /// as undecodable and adds none.
    ///
    /// # Errors
    /// When the record as a whole cannot be decoded.
    pub fn push(&mut self, record: &Record) -> Result<Option<Rejected>, DecodeError> {
        let before = self.marks();
        match self.decode(record) {
            Ok((items, rejected)) => {
                self.resources.emitted.keep();
                self.points.keep();
                self.profiles.keep();
                self.counts.items += items;
                self.pending = self.marks().0.iter().sum::<usize>() + self.stored.len();
                if let Some(rejected) = &rejected {
                    self.counts.undecodable_items += u64::from(rejected.batch.items);
                }
                Ok(rejected)
            }
            Err(error) => {
                self.each_rows(&mut Truncate { marks: before, next: 0 });
                self.resources.emitted.take_back();
                self.points.take_back();
                self.profiles.take_back();
                self.counts.undecodable_records += 1;
                self.counts.undecodable_items += u64::from(record.batch.items);
                Err(error)
            }
        }
    }

    fn decode(&mut self, record: &Record) -> Result<(u64, Option<Rejected>), DecodeError> {
        let batch = &record.batch;
        let mut rejects = Rejects::default();
        let no = &mut rejects;
        let payload = inflated(batch, self.limits.max_decoded_size)?;
        // A clock beyond 2262 is no use to anybody.
        let now = i64::try_from(batch.received).unwrap_or(TIME_MAX).min(TIME_MAX);
        let malformed = |reason: String| DecodeError::Malformed { format: batch.format.name(), reason };
        rows::begin_record(payload.len().saturating_add(MAX_GROWTH));
        let (resources, profiles, encoder) = (&mut self.resources, &mut self.profiles, &mut self.encoder);
        let decoded = match (batch.format, batch.signal) {
            (Format::Otlp, Signal::Traces) => traces::decode(&payload, &mut self.spans, resources, no, encoder),
            (Format::Otlp, Signal::Metrics) => metrics::decode(&payload, now, &mut self.points, resources, no, encoder),
            (Format::Otlp, Signal::Logs) => logs::decode(&payload, now, &mut self.logs, resources, no, encoder),
            (Format::RemoteWriteV1, _) => {
                remote_write::decode_v1(&payload, now, &mut self.points, &mut self.families, no, encoder)
            }
            (Format::RemoteWriteV2, _) => remote_write::decode_v2(&payload, now, &mut self.points, no, encoder),
            (Format::Otlp, Signal::Profiles) => profiles::decode_otlp(record, &payload, profiles, no, encoder),
            (Format::PyroscopePush, _) => {
                profiles::decode_push(record, &payload, self.limits.max_decoded_size, profiles, no, encoder)
            }
            (Format::PyroscopeIngest, _) => {
                profiles::decode_ingest(record, &payload, self.limits.max_decoded_size, profiles, encoder)
            }
            (Format::StoreRow, _) => {
                let stored = StoredRow::decode(&payload);
                let (row, table) = stored.map_err(&malformed)?;
                self.stored.push(Chunk::of_row(table, row));
                Ok(1)
            }
        };
        let items = decoded.map_err(|error| malformed(error.to_string()))?;
        if !rows::has_room() {
            return Err(malformed(rows::REPEATS.to_owned()));
        }
        Ok((items - rejects.len(), rejects.into_rejected(batch, &payload)))
    }

    /// Every table that is being filled, with what is to be done with it.
    fn each_rows(&mut self, each: &mut impl EachRows) {
        each.rows(&mut self.resources.rows);
        each.rows(&mut self.spans);
        each.rows(&mut self.points.numbers);
        each.rows(&mut self.points.distributions);
        each.rows(&mut self.points.exemplars);
        each.rows(&mut self.points.series.rows);
        each.rows(&mut self.points.metadata);
        each.rows(&mut self.logs);
        each.rows(&mut self.profiles.profiles);
        each.rows(&mut self.profiles.samples);
        each.rows(&mut self.profiles.stacks);
        each.rows(&mut self.profiles.frames);
    }

    fn marks(&mut self) -> Marks {
        let mut marks = Marks::default();
        self.each_rows(&mut marks);
        marks
    }

    /// Rows collected since the last [`Decoder::take`].
    pub fn pending_rows(&self) -> usize {
        self.pending
    }

    /// Gives out what was collected.
    pub fn take(&mut self) -> Vec<Chunk> {
        let mut taken = Take::default();
        self.each_rows(&mut taken);
        self.pending = 0;
        taken.chunks.append(&mut self.stored);
        taken.chunks
    }

    /// Dictionary rows are given out again from here on.
    pub fn forget_dictionaries(&mut self) {
        self.resources.emitted.forget();
        self.points.forget();
        self.profiles.forget();
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// The payload of a batch without its compression.
fn inflated(batch: &Batch, limit: u64) -> Result<Cow<'_, [u8]>, DecodeError> {
    inflate(&batch.payload, batch.compression, codec::Limits::size(limit), batch.decoded_size).map_err(|error| {
        match error {
            InflateError::TooLarge => DecodeError::TooLarge(limit),
            error => DecodeError::Decompress { compression: batch.compression.name(), reason: error.to_string() },
        }
    })
}

/// Something to be done with every table, whatever its columns.
trait EachRows {
    fn rows<R: Rows>(&mut self, rows: &mut R);
}

/// How many rows each table has.
#[derive(Debug, Default)]
struct Marks(Vec<usize>);

impl EachRows for Marks {
    fn rows<R: Rows>(&mut self, rows: &mut R) {
        self.0.push(rows.len());
    }
}

/// Takes rows back.
struct Truncate {
    marks: Marks,
    next: usize,
}

impl EachRows for Truncate {
    fn rows<R: Rows>(&mut self, rows: &mut R) {
        rows.truncate(self.marks.0.get(self.next).copied().unwrap_or_default());
        self.next += 1;
    }
}

/// Gives rows out.
#[derive(Default)]
struct Take {
    chunks: Vec<Chunk>,
}

impl EachRows for Take {
    fn rows<R: Rows>(&mut self, rows: &mut R) {
        match Chunk::of(rows) {
            Ok(chunk) => self.chunks.extend(chunk),
            // Only a mistake in this module leads here: the columns fit by construction.
            Err(error) => tracing::error!(%error, table = R::TABLE.name(), "cannot hand rows over"),
        }
    }
}

#[cfg(test)]
mod tests;
