//! Series: what the points of one metric with one set of labels have in common, found again by
//! `series_id`. The id is a hash of what OTLP's data model says identifies a stream (metric, unit,
//! type, temporality, labels, resource, scope), the same in every process.
//!
//! Points come with their labels encoded, mostly byte for byte as the time before. So the encoded
//! bytes are hashed first and looked up; only what is not known is sorted and hashed for its id.

use hashbrown::HashMap;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::store::ingest::dictionary::Emitted;
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::rows::{self, Blob, I64, Rows, Text, Time, rows};
use crate::store::ingest::time;
use crate::store::ingest::variant::{Encoder, Value};
use crate::store::schema::Table;

/// The lookup is emptied when it has this many entries, about 64 MiB.
const MAX_KNOWN: usize = 1 << 20;

rows! {
    /// Rows of `series`.
    SeriesRows of Table::Series {
        series_id: I64,
        time: Time,
        metric: Text,
        service_name: Text,
        labels: Blob,
        resource_id: I64,
        scope_name: Text,
        scope_version: Text,
    }
}

/// What a series has besides its labels.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Identity<'a> {
    pub(crate) metric: &'a str,
    pub(crate) service_name: Option<&'a str>,
    /// `None` for remote write.
    pub(crate) resource_id: Option<i64>,
    pub(crate) scope_name: &'a str,
    pub(crate) scope_version: &'a str,
    /// What else tells streams apart. Remote write has labels only: a type that is learnt later
    /// must not make another series.
    pub(crate) stream: Option<Stream<'a>>,
}

/// What tells streams of one name and scope apart (OTLP metrics data model, "Timeseries Model").
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stream<'a> {
    pub(crate) unit: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) temporality: Option<&'a str>,
    pub(crate) monotonic: Option<bool>,
}

impl Identity<'_> {
    /// A hash of all of it. Start of the hashes of its series.
    pub(crate) fn seed(&self) -> u64 {
        let hash = |seed, part: &str| xxh3_64_with_seed(part.as_bytes(), seed);
        let start = self.resource_id.unwrap_or_default().cast_unsigned();
        let seed = [self.metric, self.scope_name, self.scope_version].into_iter().fold(start, hash);
        let Some(stream) = self.stream else { return seed };
        let monotonic = if stream.monotonic == Some(true) { "monotonic" } else { "" };
        [stream.unit, stream.kind, stream.temporality.unwrap_or_default(), monotonic].into_iter().fold(seed, hash)
    }
}

/// A series that was met before.
#[derive(Debug, Clone, Copy)]
struct Known {
    id: i64,
    /// Its row was given out in this round and for this day.
    round: u32,
    day: i32,
}

/// The series given out, and the lookup of those met before.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) rows: SeriesRows,
    emitted: Emitted,
    known: HashMap<u128, Known>,
    /// Goes up when rows that were given out no longer count.
    round: u32,
    /// The encoded labels of the series asked for.
    raw: Vec<u8>,
}

impl Series {
    /// The id of the series whose labels are `parts`, encoded in any way that is a function of
    /// them; `labels` says what they are. Gives its row out if need be.
    #[inline]
    pub(crate) fn id<'a, 'l>(
        &mut self,
        identity: &Identity<'_>,
        seed: u64,
        parts: impl Iterator<Item = &'a [u8]>,
        labels: impl FnOnce() -> Value<'l>,
        time: Option<i64>,
        encoder: &mut Encoder,
    ) -> Result<i64, ProtoError> {
        // The labels of each point would be read for nothing.
        if !rows::has_room() {
            return Err(ProtoError::Meaning(rows::REPEATS));
        }
        self.raw.clear();
        for part in parts {
            self.raw.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            self.raw.extend_from_slice(part);
        }
        let raw = xxh3_128_with_seed(&self.raw, seed);
        let day = time::day(time);
        if let Some(known) = self.known.get(&raw)
            && known.round == self.round
            && known.day == day
        {
            return Ok(known.id);
        }
        let labels = encoder.encode(labels())?;
        let id = xxh3_64_with_seed(labels, seed).cast_signed();
        if self.emitted.first(id, day) {
            self.rows.series_id.push(Some(id));
            self.rows.time.push(time);
            self.rows.metric.push(Some(identity.metric));
            self.rows.service_name.push(identity.service_name);
            self.rows.labels.push(Some(labels));
            self.rows.resource_id.push(identity.resource_id);
            self.rows.scope_name.push_set(identity.scope_name);
            self.rows.scope_version.push_set(identity.scope_version);
            self.rows.row_done();
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(raw, Known { id, round: self.round, day });
        Ok(id)
    }

    /// The record was good.
    pub(crate) fn keep(&mut self) {
        self.emitted.keep();
    }

    /// The record was malformed.
    pub(crate) fn take_back(&mut self) {
        self.emitted.take_back();
        self.round = self.round.wrapping_add(1);
    }

    /// Everything is given out again from here on.
    pub(crate) fn forget(&mut self) {
        self.emitted.forget();
        self.round = self.round.wrapping_add(1);
    }
}
