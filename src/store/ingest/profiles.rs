//! Profiles of all formats to rows of `profiles`, `profile_samples`, `stacks` and `frames`.
//!
//! A profile gives one row of `profiles` for each of its sample types, named as Pyroscope names
//! them. Samples of value 0 say nothing and are left out; those of the same stack, labels and
//! span are added up. Frames and stacks are known by a hash of what they hold, so all profiles
//! share them.

mod folded;
mod jfr;
mod name;
mod otlp;
mod pprof;
mod pyroscope;
mod speedscope;

use std::collections::HashMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use crate::store::ingest::MAX_GROWTH;
use crate::store::ingest::dictionary::Emitted;
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::rows::{Blob, I64, I64List, Rows, Text, Time, rows};
use crate::store::ingest::time;
use crate::store::schema::Table;

pub(crate) use otlp::decode as decode_otlp;
pub(crate) use pyroscope::{decode_ingest, decode_push};

/// Frames of a stack that are kept, from the root. What is deeper is one frame, [`DEEPER`]: a
/// small profile can otherwise name a stack of any size again and again.
const MAX_FRAMES: usize = 2048;

/// Name of the frame that stands for what was cut off.
const DEEPER: &str = "[deeper]";

/// Why a record has no rows whose profiles grow beyond [`MAX_GROWTH`] of text and labels: samples and frames
/// refer to texts, so that a small record can name a long one again and again.
const GROWS: &str = "the profile grows beyond 128 MiB of text and labels";

/// The service of a profile that does not name one, as Pyroscope has it.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Samples of one profile. Pyroscope itself takes 16,000.
const MAX_SAMPLES: usize = 1 << 20;

rows! {
    /// Rows of `profiles`.
    ProfileRows of Table::Profiles {
        profile_id: Blob,
        time: Time,
        duration_ns: I64,
        profile_type: Text,
        sample_type: Text,
        sample_unit: Text,
        period_type: Text,
        period_unit: Text,
        period: I64,
        service_name: Text,
        labels: Blob,
        format: Text,
        sample_count: I64,
        total: I64,
    }
}

rows! {
    /// Rows of `profile_samples`.
    SampleRows of Table::ProfileSamples {
        profile_id: Blob,
        time: Time,
        profile_type: Text,
        service_name: Text,
        value: I64,
        stack_id: I64,
        trace_id: Blob,
        span_id: Blob,
        labels: Blob,
    }
}

rows! {
    /// Rows of `stacks`.
    StackRows of Table::Stacks {
        stack_id: I64,
        time: Time,
        frame_ids: I64List,
    }
}

rows! {
    /// Rows of `frames`.
    FrameRows of Table::Frames {
        frame_id: I64,
        time: Time,
        function: Text,
        file: Text,
        line: I64,
        mapping: Text,
    }
}

/// Everything that profiles turn into.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    pub(crate) profiles: ProfileRows,
    pub(crate) samples: SampleRows,
    pub(crate) stacks: StackRows,
    pub(crate) frames: FrameRows,
    /// Bytes of the rows that the current record has brought, about.
    grown: usize,
    stacks_emitted: Emitted,
    frames_emitted: Emitted,
}

/// Where in the code a sample was taken, one level of it. Empty text is "not known".
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Frame<'a> {
    pub(crate) function: &'a str,
    pub(crate) file: &'a str,
    pub(crate) line: i64,
    pub(crate) mapping: &'a str,
}

impl Frame<'_> {
    fn id(&self) -> i64 {
        let mut hash = Xxh3::new();
        for part in [self.function, self.file, self.mapping] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(&self.line.to_le_bytes());
        hash.digest().cast_signed()
    }
}

/// What is known of a profile as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Header {
    pub(crate) id: Vec<u8>,
    pub(crate) time: Option<i64>,
    pub(crate) duration: Option<i64>,
    /// `wall`, `process_cpu`, `memory`, ...
    pub(crate) name: String,
    pub(crate) period_type: String,
    pub(crate) period_unit: String,
    pub(crate) period: i64,
    pub(crate) service_name: Option<String>,
    /// A variant.
    pub(crate) labels: Vec<u8>,
    pub(crate) format: &'static str,
}

impl Header {
    /// Samples are taken every so many nanoseconds of processor time, as Pyroscope says it of every
    /// profile of time that does not say so itself.
    fn periodic(&mut self, period: i64) {
        self.period = period;
        "cpu".clone_into(&mut self.period_type);
        "nanoseconds".clone_into(&mut self.period_unit);
    }

    fn profile_type(&self, sample_type: &str, sample_unit: &str) -> String {
        format!("{}:{sample_type}:{sample_unit}:{}:{}", self.name, self.period_type, self.period_unit)
    }
}

/// What the values of samples are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SampleType {
    pub(crate) name: String,
    pub(crate) unit: String,
}

/// What tells samples of one profile apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct SampleKey {
    pub(crate) stack_id: i64,
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
    /// A variant; empty for none.
    pub(crate) labels: Vec<u8>,
}

/// The samples of a profile, added up, in the order in which they were met first.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    index: HashMap<SampleKey, usize>,
    /// Bytes of the labels.
    bytes: usize,
    rows: Vec<(SampleKey, Vec<i64>)>,
}

impl Samples {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a sample with one value for each sample type.
    pub(crate) fn add(&mut self, key: SampleKey, values: &[i64]) -> Result<(), ProtoError> {
        if let Some((_, sums)) = self.index.get(&key).and_then(|i| self.rows.get_mut(*i)) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = sum.saturating_add(*value);
            }
            return Ok(());
        }
        if self.rows.len() == MAX_SAMPLES {
            return Err(ProtoError::Meaning("more than a million different samples in a profile"));
        }
        self.bytes += key.labels.len();
        if self.bytes > MAX_GROWTH {
            return Err(ProtoError::Meaning(GROWS));
        }
        self.index.insert(key.clone(), self.rows.len());
        self.rows.push((key, values.to_vec()));
        Ok(())
    }
}

impl Profiles {
    /// The id of a frame, whose row is given out if need be.
    pub(crate) fn frame(&mut self, frame: &Frame<'_>, time: Option<i64>) -> i64 {
        let id = frame.id();
        self.grown += frame.function.len() + frame.file.len() + frame.mapping.len();
        if !self.is_full() && self.frames_emitted.first(id, time::day(time)) {
            self.frames.frame_id.push(Some(id));
            self.frames.time.push(time);
            self.frames.function.push_set(frame.function);
            self.frames.file.push_set(frame.file);
            self.frames.line.push((frame.line != 0).then_some(frame.line));
            self.frames.mapping.push_set(frame.mapping);
            self.frames.row_done();
        }
        id
    }

    /// The id of a stack of frames, root first, whose row is given out if need be.
    pub(crate) fn stack(&mut self, frame_ids: impl Iterator<Item = i64>, time: Option<i64>) -> i64 {
        let mut frame_ids = frame_ids;
        let mut ids: Vec<i64> = frame_ids.by_ref().take(MAX_FRAMES).collect();
        if frame_ids.next().is_some() {
            ids.push(self.frame(&Frame { function: DEEPER, ..Frame::default() }, time));
        }
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let id = xxh3_64(&bytes).cast_signed();
        self.grown += bytes.len();
        if !self.is_full() && self.stacks_emitted.first(id, time::day(time)) {
            self.stacks.stack_id.push(Some(id));
            self.stacks.time.push(time);
            self.stacks.frame_ids.push(Some(&ids));
            self.stacks.row_done();
        }
        id
    }

    /// Whether the current record has grown beyond its bound: then its rows are not wanted any more,
    /// and [`Profiles::profile`] fails.
    fn is_full(&self) -> bool {
        self.grown > MAX_GROWTH
    }

    /// Adds a profile with its samples.
    pub(crate) fn profile(
        &mut self,
        header: &Header,
        types: &[SampleType],
        samples: &Samples,
    ) -> Result<(), ProtoError> {
        if self.is_full() {
            return Err(ProtoError::Meaning(GROWS));
        }
        for (i, sample_type) in types.iter().enumerate() {
            let profile_type = header.profile_type(&sample_type.name, &sample_type.unit);
            let (mut count, mut total) = (0i64, 0i64);
            for (key, values) in &samples.rows {
                let Some(value) = values.get(i).copied().filter(|value| *value != 0) else { continue };
                count += 1;
                total = total.saturating_add(value);
                self.sample(header, &profile_type, key, value);
            }
            self.header(header, &profile_type, sample_type, count, total);
        }
        Ok(())
    }

    fn header(&mut self, header: &Header, profile_type: &str, sample_type: &SampleType, count: i64, total: i64) {
        let rows = &mut self.profiles;
        rows.profile_id.push_set(&header.id);
        rows.time.push(header.time);
        rows.duration_ns.push(header.duration);
        rows.profile_type.push_set(profile_type);
        rows.sample_type.push_set(&sample_type.name);
        rows.sample_unit.push_set(&sample_type.unit);
        rows.period_type.push_set(&header.period_type);
        rows.period_unit.push_set(&header.period_unit);
        rows.period.push((header.period != 0).then_some(header.period));
        rows.service_name.push(header.service_name.as_deref());
        rows.labels.push(Some(&header.labels));
        rows.format.push(Some(header.format));
        rows.sample_count.push(Some(count));
        rows.total.push(Some(total));
        rows.row_done();
    }

    fn sample(&mut self, header: &Header, profile_type: &str, key: &SampleKey, value: i64) {
        let rows = &mut self.samples;
        rows.profile_id.push_set(&header.id);
        rows.time.push(header.time);
        rows.profile_type.push(Some(profile_type));
        rows.service_name.push(header.service_name.as_deref());
        rows.value.push(Some(value));
        rows.stack_id.push(Some(key.stack_id));
        rows.trace_id.push_set(&key.trace_id);
        rows.span_id.push_set(&key.span_id);
        rows.labels.push_set(&key.labels);
        rows.row_done();
    }

    /// The record was good.
    pub(crate) fn keep(&mut self) {
        self.grown = 0;
        self.stacks_emitted.keep();
        self.frames_emitted.keep();
    }

    /// The record was malformed.
    pub(crate) fn take_back(&mut self) {
        self.grown = 0;
        self.stacks_emitted.take_back();
        self.frames_emitted.take_back();
    }

    /// Everything is given out again from here on.
    pub(crate) fn forget(&mut self) {
        self.stacks_emitted.forget();
        self.frames_emitted.forget();
    }
}

/// What a frame without a symbol is called: its library, which else nobody would see in a flame
/// graph, and the address.
fn unsymbolized(mapping: &str, address: u64) -> String {
    match mapping.rsplit(['/', '\\']).next().unwrap_or_default() {
        "" => format!("0x{address:x}"),
        library => format!("{library} 0x{address:x}"),
    }
}

/// An id for a profile that came without one: the same when its record is decoded again.
pub(crate) fn profile_id(record: u64, number: usize, bytes: &[u8]) -> Vec<u8> {
    let seed = [record.to_le_bytes(), (number as u64).to_le_bytes(), xxh3_64(bytes).to_le_bytes()].concat();
    xxh3_128(&seed).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests;
