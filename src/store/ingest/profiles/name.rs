//! What Pyroscope calls a profile (`pkg/ingester/pyroscope` and `pkg/og` of grafana/pyroscope).

use std::collections::HashMap;

use serde::Deserialize;

use super::SampleType;
use crate::store::ingest::proto::ProtoError;

/// What the sample types of a pprof are called to people. Go's profiler says so beside each profile
/// (part `sample_type_config`), since a block and a mutex profile are alike but for that.
#[derive(Debug, Default)]
pub(super) struct DisplayNames(Option<HashMap<String, SampleTypeConfig>>);

#[derive(Debug, Default, Deserialize)]
struct SampleTypeConfig {
    #[serde(default, rename = "display-name")]
    display_name: String,
}

impl DisplayNames {
    /// Reads the part `sample_type_config`.
    pub(super) fn parse(json: &[u8]) -> Result<Self, ProtoError> {
        let config = serde_json::from_slice::<HashMap<String, Option<SampleTypeConfig>>>(json)
            .map_err(|_| ProtoError::Meaning("malformed sample_type_config"))?;
        Ok(DisplayNames(Some(config.into_iter().map(|(name, config)| (name, config.unwrap_or_default())).collect())))
    }

    fn of<'a>(&'a self, sample_type: &'a str) -> &'a str {
        let name = match &self.0 {
            Some(config) => config.get(sample_type).map_or("", |config| config.display_name.as_str()),
            None => match sample_type {
                "samples" => "cpu",
                "goroutine" => "goroutines",
                "contentions" => "mutex_count",
                "delay" => "mutex_duration",
                _ => "",
            },
        };
        if name.is_empty() { sample_type } else { name }
    }

    /// The name of a profile with these sample types, the first word in a profile type
    /// (`metricName` in `pkg/og/convert/pprof/profile.go`).
    pub(super) fn profile<'a>(&'a self, types: impl Iterator<Item = &'a str> + Clone) -> String {
        if types.clone().any(|name| name == "wall") {
            return "wall".to_owned();
        }
        let mut last = "unknown";
        for sample_type in types {
            let shown = self.of(sample_type);
            let has = |words: &[&str]| words.iter().any(|word| shown.contains(word));
            last = shown;
            if has(&["cpu", "itimer"]) {
                return "process_cpu".to_owned();
            }
            if has(&["alloc_", "inuse_"]) || matches!(shown, "space" | "objects") {
                return "memory".to_owned();
            }
            let known = [("mutex_", "mutex"), ("block_", "block"), ("goroutines", "goroutines")];
            if let Some((_, name)) = known.iter().find(|(word, _)| shown.contains(word)) {
                return (*name).to_owned();
            }
        }
        if last.is_empty() { "unknown".to_owned() } else { last.to_owned() }
    }
}

/// The name for one sample type.
pub(super) fn of_sample_type(name: &str) -> &str {
    match name {
        "cpu" | "itimer" | "samples" => "process_cpu",
        "goroutine" | "goroutines" => "goroutine",
        "contentions" | "delay" | "lock_count" | "lock_time" | "mutex_count" | "mutex_duration" => "mutex",
        "block_count" | "block_duration" => "block",
        "objects" | "space" => "memory",
        name if ["alloc_", "inuse_", "live"].iter().any(|prefix| name.starts_with(prefix)) => "memory",
        "" => "unknown",
        name => name,
    }
}

/// The name of an OTLP profile, what its values are, and what each of them is to be multiplied with
/// (`pkg/ingester/otlp/convert.go`): samples that are taken every so often of processor time are
/// told as time, everything else goes by what is counted between two samples.
pub(super) fn of_otlp(sample_type: SampleType, period_type: &SampleType, period: i64) -> (String, SampleType, i64) {
    let is = |of: &SampleType, name: &str, unit: &str| of.name == name && of.unit == unit;
    let periodic = period != 0 && !period_type.name.is_empty();
    if periodic && is(&sample_type, "samples", "count") && is(period_type, "cpu", "nanoseconds") {
        return ("process_cpu".to_owned(), period_type.clone(), period);
    }
    let name = match periodic {
        true => &period_type.name,
        false => of_sample_type(&sample_type.name),
    };
    (name.to_owned(), sample_type, 1)
}

/// What Pyroscope makes of folded stacks, whose kind is the last word of the application's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folded {
    /// The profile's name.
    pub(super) name: &'static str,
    /// What the values are.
    pub(super) sample_type: SampleType,
    /// Whether they count samples that were taken every so often, and are told as time.
    pub(super) periodic: bool,
}

/// Folded stacks of a kind (`convertMetadata` in `pkg/ingester/pyroscope/ingest_adapter.go`).
/// Pyroscope refuses a kind that it does not know; here it keeps its own name.
pub(super) fn of_folded(kind: &str) -> Folded {
    let (name, sample_type, unit) = match kind {
        "wall" | "seconds" | "milliseconds" | "microseconds" | "nanoseconds" => ("wall", "wall", "nanoseconds"),
        "cpu" | "itimer" => ("process_cpu", "cpu", "nanoseconds"),
        "inuse_space" | "alloc_space" => ("memory", kind, "bytes"),
        "bytes" => ("memory", "samples", "bytes"),
        "goroutines" => ("goroutine", kind, "count"),
        "mutex_count" => ("mutex", "contentions", "count"),
        "mutex_duration" => ("mutex", "delay", "nanoseconds"),
        "block_count" | "lock_count" => ("block", "contentions", "count"),
        "block_duration" | "lock_duration" => ("block", "delay", "nanoseconds"),
        "exceptions" => ("exceptions", "samples", "count"),
        // inuse_objects, alloc_in_new_tlab_bytes, live, ...
        _ if of_sample_type(kind) == "memory" => ("memory", kind, "count"),
        _ => ("unknown", kind, "count"),
    };
    let sample_type = SampleType { name: sample_type.to_owned(), unit: unit.to_owned() };
    Folded { periodic: matches!(name, "wall" | "process_cpu"), name, sample_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otlp_profiles_are_called_as_pyroscope_calls_them() {
        let kind = |name: &str, unit: &str| SampleType { name: name.to_owned(), unit: unit.to_owned() };
        let cpu = kind("cpu", "nanoseconds");
        // OpenTelemetry's eBPF profiler, 20 times a second.
        let found = of_otlp(kind("samples", "count"), &cpu, 50_000_000);
        assert_eq!(found, ("process_cpu".to_owned(), cpu.clone(), 50_000_000));
        assert_eq!(of_otlp(cpu.clone(), &cpu, 100), ("cpu".to_owned(), cpu.clone(), 1));
        let wall = kind("wall", "nanoseconds");
        assert_eq!(of_otlp(wall.clone(), &wall, 100), ("wall".to_owned(), wall, 1));
        let off = kind("off_cpu", "nanoseconds");
        assert_eq!(
            of_otlp(off.clone(), &SampleType { name: String::new(), unit: String::new() }, 0),
            ("off_cpu".to_owned(), off, 1)
        );
    }

    #[test]
    fn folded_stacks_are_called_as_pyroscope_calls_them() {
        let called = |kind| {
            let Folded { name, sample_type, periodic } = of_folded(kind);
            (format!("{name}:{}:{}", sample_type.name, sample_type.unit), periodic)
        };
        assert_eq!(called("cpu"), ("process_cpu:cpu:nanoseconds".to_owned(), true));
        assert_eq!(called("itimer"), ("process_cpu:cpu:nanoseconds".to_owned(), true));
        assert_eq!(called("wall"), ("wall:wall:nanoseconds".to_owned(), true));
        assert_eq!(called("alloc_space"), ("memory:alloc_space:bytes".to_owned(), false));
        assert_eq!(called("inuse_objects"), ("memory:inuse_objects:count".to_owned(), false));
        assert_eq!(called("mutex_count"), ("mutex:contentions:count".to_owned(), false));
        assert_eq!(called("block_duration"), ("block:delay:nanoseconds".to_owned(), false));
    }
}
