//! A profile in OTLP's messages, whose tables begin with a zero value each
//! (opentelemetry-proto, `profiles/v1development/profiles.proto`).

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesDictionary, ResourceProfiles, Sample,
    ScopeProfiles, Stack, ValueType,
};

use super::attributes::{SCHEMA_URL, any, resource, scope};
use super::profiler::{PERIOD, Seen};
use super::shop::Service;
use super::stacks::Frame;

/// One profile of processor time.
pub fn request(service: Service, id: [u8; 16], seen: &[Seen], from: u64, to: u64) -> ExportProfilesServiceRequest {
    let mut tables = Tables::new();
    // As OpenTelemetry's eBPF profiler has it.
    let kind = ValueType { type_strindex: tables.string("samples"), unit_strindex: tables.string("count") };
    let between = ValueType { type_strindex: tables.string("cpu"), unit_strindex: tables.string("nanoseconds") };
    let thread = tables.attribute("thread.name", "grpc-default-executor-0");
    let samples = seen
        .iter()
        .map(|seen| Sample {
            stack_index: tables.stack(seen.stack),
            attribute_indices: vec![thread],
            link_index: seen.span.as_ref().map_or(0, |span| tables.link(&span.trace_id, span.span_id)),
            values: vec![seen.count],
            timestamps_unix_nano: Vec::new(),
        })
        .collect();
    let profile = Profile {
        sample_type: Some(kind),
        samples,
        time_unix_nano: from,
        duration_nano: to.saturating_sub(from),
        period_type: Some(between),
        period: PERIOD,
        profile_id: id.into(),
        ..Profile::default()
    };
    let scope_profiles = ScopeProfiles {
        scope: scope("shop.profiler", "1.4.2"),
        profiles: vec![profile],
        schema_url: SCHEMA_URL.into(),
    };
    let resource_profiles = ResourceProfiles {
        resource: Some(resource(service)),
        scope_profiles: vec![scope_profiles],
        schema_url: SCHEMA_URL.into(),
    };
    ExportProfilesServiceRequest { resource_profiles: vec![resource_profiles], dictionary: Some(tables.dictionary) }
}

struct Tables {
    dictionary: ProfilesDictionary,
    strings: HashMap<String, i32>,
    locations: HashMap<Frame, i32>,
}

impl Tables {
    fn new() -> Tables {
        let dictionary = ProfilesDictionary {
            mapping_table: vec![Mapping::default()],
            location_table: vec![Location::default()],
            function_table: vec![Function::default()],
            link_table: vec![Link::default()],
            string_table: vec![String::new()],
            attribute_table: vec![KeyValueAndUnit::default()],
            stack_table: vec![Stack::default()],
        };
        Tables { dictionary, strings: HashMap::from([(String::new(), 0)]), locations: HashMap::new() }
    }

    fn string(&mut self, text: &str) -> i32 {
        if let Some(known) = self.strings.get(text) {
            return *known;
        }
        self.strings.insert(text.into(), self.dictionary.string_table.len() as i32);
        push(&mut self.dictionary.string_table, text.into())
    }

    fn attribute(&mut self, key: &str, value: &str) -> i32 {
        let key_strindex = self.string(key);
        let attribute = KeyValueAndUnit { key_strindex, value: Some(any(value)), unit_strindex: 0 };
        push(&mut self.dictionary.attribute_table, attribute)
    }

    fn link(&mut self, trace_id: &[u8], span_id: u64) -> i32 {
        let link = Link { trace_id: trace_id.into(), span_id: span_id.to_be_bytes().into() };
        push(&mut self.dictionary.link_table, link)
    }

    fn stack(&mut self, stack: &[Frame]) -> i32 {
        let stack = Stack { location_indices: stack.iter().map(|frame| self.location(*frame)).collect() };
        match self.dictionary.stack_table.iter().position(|known| *known == stack) {
            Some(known) => known as i32,
            None => push(&mut self.dictionary.stack_table, stack),
        }
    }

    fn location(&mut self, frame: Frame) -> i32 {
        if let Some(known) = self.locations.get(&frame) {
            return *known;
        }
        let (function, file, line) = frame;
        let name_strindex = self.string(function);
        let filename_strindex = self.string(file);
        let function =
            Function { name_strindex, system_name_strindex: name_strindex, filename_strindex, start_line: line };
        let function_index = push(&mut self.dictionary.function_table, function);
        let lines = vec![Line { function_index, line, column: 0 }];
        let index = push(&mut self.dictionary.location_table, Location { lines, ..Location::default() });
        self.locations.insert(frame, index);
        index
    }
}

/// Appends, and says where.
fn push<T>(table: &mut Vec<T>, entry: T) -> i32 {
    table.push(entry);
    table.len() as i32 - 1
}
