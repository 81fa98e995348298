//! Profiles as pprof, and the ways in which the Pyroscope clients of three languages send them.

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use crate::wire::pprof_proto::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};

use super::logs_json::hex;
use super::profiler::{Active, Allocated, PERIOD, Seen};
use super::stacks::Frame;

/// Type and unit of a value.
type Kind = (&'static str, &'static str);

/// A profile in pprof's tables.
#[derive(Debug)]
pub struct Builder {
    profile: Profile,
    strings: HashMap<String, i64>,
    locations: HashMap<Frame, u64>,
}

impl Builder {
    fn new(kinds: &[Kind], period: (Kind, i64), from: u64, to: u64) -> Builder {
        let mut builder = Builder {
            profile: Profile { string_table: vec![String::new()], ..Profile::default() },
            strings: HashMap::from([(String::new(), 0)]),
            locations: HashMap::new(),
        };
        builder.profile.sample_type = kinds.iter().map(|kind| builder.kind(*kind)).collect();
        builder.profile.period_type = Some(builder.kind(period.0));
        builder.profile.period = period.1;
        builder.profile.time_nanos = from as i64;
        builder.profile.duration_nanos = to.saturating_sub(from) as i64;
        builder.profile.mapping = vec![Mapping { id: 1, has_functions: true, ..Mapping::default() }];
        builder
    }

    /// Samples of a wall clock, as @pyroscope/nodejs makes them.
    pub fn wall(seen: &[Seen], from: u64, to: u64) -> Profile {
        Builder::samples(&[("samples", "count"), ("wall", "nanoseconds")], ("wall", "nanoseconds"), seen, from, to)
    }

    /// Samples of processor time, as Go and Python make them.
    pub fn cpu(seen: &[Seen], from: u64, to: u64) -> Profile {
        Builder::samples(&[("samples", "count"), ("cpu", "nanoseconds")], ("cpu", "nanoseconds"), seen, from, to)
    }

    fn samples(kinds: &[Kind], period: Kind, seen: &[Seen], from: u64, to: u64) -> Profile {
        let mut builder = Builder::new(kinds, (period, PERIOD), from, to);
        for seen in seen {
            builder.add(seen.stack, seen.span.as_ref(), vec![seen.count, seen.count * PERIOD]);
        }
        builder.profile
    }

    /// What is alive, as @pyroscope/nodejs makes it.
    pub fn heap(allocated: &[Allocated], from: u64, to: u64) -> Profile {
        let space = ("inuse_space", "bytes");
        let mut builder = Builder::new(&[("inuse_objects", "count"), space], (space, 512 * 1024), from, to);
        for allocated in allocated {
            builder.add(allocated.stack, None, vec![allocated.objects, allocated.bytes]);
        }
        builder.profile
    }

    fn add(&mut self, stack: &[Frame], span: Option<&Active>, value: Vec<i64>) {
        let location_id = stack.iter().map(|frame| self.location(*frame)).collect();
        let mut label = Vec::new();
        if let Some(span) = span {
            for (key, value) in [("span_id", hex(&span.span_id.to_be_bytes())), ("span_name", span.name.clone())] {
                label.push(Label { key: self.string(key), str: self.string(&value), ..Label::default() });
            }
        }
        self.profile.sample.push(Sample { location_id, value, label });
    }

    fn location(&mut self, frame: Frame) -> u64 {
        if let Some(known) = self.locations.get(&frame) {
            return *known;
        }
        let (function, file, line) = frame;
        let id = self.locations.len() as u64 + 1;
        let (name, filename) = (self.string(function), self.string(file));
        self.profile.function.push(Function { id, name, system_name: name, filename, start_line: line });
        let line = vec![Line { function_id: id, line, ..Line::default() }];
        self.profile.location.push(Location { id, mapping_id: 1, line, ..Location::default() });
        self.locations.insert(frame, id);
        id
    }

    fn kind(&mut self, (kind, unit): Kind) -> ValueType {
        ValueType { r#type: self.string(kind), unit: self.string(unit) }
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(known) = self.strings.get(text) {
            return *known;
        }
        let next = self.profile.string_table.len() as i64;
        self.profile.string_table.push(text.into());
        self.strings.insert(text.into(), next);
        next
    }
}

/// A profile's bytes, gzipped as pprof files are.
pub fn encode(profile: &Profile) -> Vec<u8> {
    gzip(&profile.encode_to_vec())
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// `multipart/form-data` of some fields: its content type and body.
pub fn multipart(fields: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "----vispyr-demo-7f3a91c5e2d84b06";
    let mut body = Vec::new();
    for (name, content) in fields {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
