//! pprof: a table of strings, functions, mappings and locations, and samples that refer to them.

use std::borrow::Cow;
use std::collections::HashMap;

use prost::Message;

use crate::codec::inflate::{Limits, inflate, size_hint};
use crate::signal::Compression;
use crate::store::ingest::profiles::name::DisplayNames;
use crate::store::ingest::profiles::{Frame, Header, Profiles, SampleKey, SampleType, Samples, unsymbolized};
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::remote_write::unhex;
use crate::store::ingest::variant::{Encoder, Value};
use crate::wire::pprof_proto as proto;
use crate::wire::repair_pprof;

/// A pprof, gzipped (as they are mostly) or not.
pub(super) fn unpack(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, ProtoError> {
    let gzip = bytes.starts_with(&[0x1f, 0x8b]);
    let compression = if gzip { Compression::Gzip } else { Compression::Identity };
    let expected = size_hint(compression, bytes) as u64;
    inflate(bytes, compression, Limits::size(limit), expected)
        .map_err(|_| ProtoError::Meaning("the profile cannot be decompressed"))
}

/// A decoded pprof with what its samples refer to.
pub(super) struct Pprof {
    profile: proto::Profile,
    functions: HashMap<u64, usize>,
    mappings: HashMap<u64, usize>,
    locations: HashMap<u64, usize>,
}

impl Pprof {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ProtoError> {
        // Symbols are not always UTF-8. The bytes that go on to Pyroscope stay as they came.
        let decoded = proto::Profile::decode(bytes).or_else(|_| proto::Profile::decode(&repair_pprof(bytes)[..]));
        let profile = decoded.map_err(|_| ProtoError::Meaning("malformed pprof"))?;
        Ok(Pprof {
            functions: profile.function.iter().enumerate().map(|(i, function)| (function.id, i)).collect(),
            mappings: profile.mapping.iter().enumerate().map(|(i, mapping)| (mapping.id, i)).collect(),
            locations: profile.location.iter().enumerate().map(|(i, location)| (location.id, i)).collect(),
            profile,
        })
    }

    fn text(&self, index: i64) -> Result<&str, ProtoError> {
        let text = usize::try_from(index).ok().and_then(|index| self.profile.string_table.get(index));
        match text {
            Some(text) => Ok(text),
            // A profile without any text has no table.
            None if index == 0 => Ok(""),
            None => Err(ProtoError::Meaning("pprof: string index out of range")),
        }
    }

    /// The sample types, in the order of the values.
    pub(super) fn types(&self) -> Result<Vec<SampleType>, ProtoError> {
        let read = |value: &proto::ValueType| {
            Ok(SampleType { name: self.text(value.r#type)?.to_owned(), unit: self.text(value.unit)?.to_owned() })
        };
        self.profile.sample_type.iter().map(read).collect()
    }

    /// Fills in what the profile itself says: period, and what is not set yet of name and times.
    pub(super) fn complete(
        &self,
        header: &mut Header,
        types: &[SampleType],
        names: &DisplayNames,
    ) -> Result<(), ProtoError> {
        if let Some(period) = &self.profile.period_type {
            header.period_type = self.text(period.r#type)?.to_owned();
            header.period_unit = self.text(period.unit)?.to_owned();
        }
        header.period = self.profile.period;
        if header.name.is_empty() {
            header.name = names.profile(types.iter().map(|sample_type| sample_type.name.as_str()));
        }
        header.time = header.time.or_else(|| (self.profile.time_nanos > 0).then_some(self.profile.time_nanos));
        if self.profile.duration_nanos > 0 {
            header.duration = Some(self.profile.duration_nanos);
        }
        Ok(())
    }

    /// The samples; gives out their stacks and frames.
    pub(super) fn samples(
        &self,
        types: usize,
        time: Option<i64>,
        profiles: &mut Profiles,
        encoder: &mut Encoder,
    ) -> Result<Samples, ProtoError> {
        let locations: Vec<Vec<i64>> = self
            .profile
            .location
            .iter()
            .map(|location| self.location(location, time, profiles))
            .collect::<Result<_, _>>()?;
        let mut samples = Samples::default();
        for sample in &self.profile.sample {
            if sample.value.len() != types {
                return Err(ProtoError::Meaning("pprof: a sample has not one value for each sample type"));
            }
            let find = |id: &u64| self.locations.get(id).and_then(|i| locations.get(*i));
            if sample.location_id.iter().any(|id| find(id).is_none()) {
                return Err(ProtoError::Meaning("pprof: no such location"));
            }
            // Leaf first there, root first here.
            let frames = sample.location_id.iter().rev().filter_map(find).flatten().copied();
            let mut key = self.labels(&sample.label, encoder)?;
            key.stack_id = profiles.stack(frames, time);
            samples.add(key, &sample.value)?;
        }
        Ok(samples)
    }

    /// The frames of a location, callers first: what was inlined is a frame of its own.
    fn location(
        &self,
        location: &proto::Location,
        time: Option<i64>,
        profiles: &mut Profiles,
    ) -> Result<Vec<i64>, ProtoError> {
        let mapping = match self.mappings.get(&location.mapping_id).and_then(|i| self.profile.mapping.get(*i)) {
            Some(mapping) => self.text(mapping.filename)?,
            None if location.mapping_id == 0 => "",
            None => return Err(ProtoError::Meaning("pprof: no such mapping")),
        };
        let address = unsymbolized(mapping, location.address);
        if location.line.is_empty() {
            return Ok(vec![profiles.frame(&Frame { function: &address, mapping, ..Frame::default() }, time)]);
        }
        let mut frames = Vec::with_capacity(location.line.len());
        for line in location.line.iter().rev() {
            // Code without symbols (stripped, JIT) is known by its address alone.
            if line.function_id == 0 {
                let frame = Frame { function: &address, line: line.line, mapping, ..Frame::default() };
                frames.push(profiles.frame(&frame, time));
                continue;
            }
            let function = self.functions.get(&line.function_id).and_then(|i| self.profile.function.get(*i));
            let function = function.ok_or(ProtoError::Meaning("pprof: no such function"))?;
            let frame = Frame {
                function: self.text(function.name)?,
                file: self.text(function.filename)?,
                line: line.line,
                mapping,
            };
            frames.push(profiles.frame(&frame, time));
        }
        Ok(frames)
    }

    /// The labels of a sample. Profilers name the span by the labels `span_id` or `profile_id`.
    fn labels(&self, labels: &[proto::Label], encoder: &mut Encoder) -> Result<SampleKey, ProtoError> {
        let mut key = SampleKey::default();
        let mut rest = Vec::new();
        for label in labels {
            let name = self.text(label.key)?;
            let text = self.text(label.str)?;
            let id = if label.str == 0 { None } else { unhex(text) };
            match (name, id) {
                ("span_id" | "profile_id", Some(id)) if key.span_id.is_empty() => key.span_id = id,
                ("trace_id", Some(id)) => key.trace_id = id,
                _ if label.str != 0 => rest.push((name, Value::Text(text))),
                _ => rest.push((name, Value::Int(label.num))),
            }
        }
        if !rest.is_empty() {
            key.labels = encoder.encode(Value::Object(&rest))?.to_vec();
        }
        Ok(key)
    }
}
