//! From records of the log to rows of the store: decompress, decode, build columns.
//!
//! The decoder collects the rows of many records, because DuckDB takes 20,000 rows at once for
//! half of what it asks for ten times 2,000, and gives them out as [`Chunk`]s, each of which is
//! inserted by one statement.

use duckdb::Connection;

use crate::store::schema::Table;
use crate::wal::Record;

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

/// Rows of one table, ready to be inserted.
#[derive(Debug)]
pub struct Chunk {
    /// Where they go.
    table: Table,
}

impl Chunk {
    /// The table that the rows are for.
    pub fn table(&self) -> Table {
        self.table
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        0
    }

    /// About how many bytes the rows take in a hot generation.
    pub fn hot_bytes(&self) -> usize {
        0
    }

    /// Inserts the rows into `target`, a table made by [`Table::create`], named as SQL needs it
    /// (qualified, quoted). Returns the number of rows. Runs in the connection's transaction.
    pub fn insert(&self, _connection: &Connection, _target: &str) -> duckdb::Result<usize> {
        Ok(0)
    }
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
    counts: Counts,
}

impl Decoder {
    /// An empty decoder.
    pub fn new(_limits: Limits) -> Self {
        Decoder { counts: Counts::default() }
    }

    /// Prepares a connection's database for [`Chunk::insert`]; once for each DuckDB instance.
    pub fn register(_connection: &Connection) -> duckdb::Result<()> {
        Ok(())
    }

    /// Adds the rows of a record, or counts it as undecodable and adds none.
    pub fn push(&mut self, _record: &Record) -> Result<(), DecodeError> {
        Ok(())
    }

    /// Rows collected since the last [`Decoder::take`].
    pub fn pending_rows(&self) -> usize {
        0
    }

    /// Gives out what was collected.
    pub fn take(&mut self) -> Vec<Chunk> {
        Vec::new()
    }

    /// A new generation begins: dictionary rows are given out again from here on. Call it after
    /// the [`Decoder::take`] that belongs to the old generation.
    pub fn new_generation(&mut self) {}

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
