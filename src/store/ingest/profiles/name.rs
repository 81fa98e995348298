//! What Pyroscope calls a profile (`pkg/ingester/pyroscope` and `pkg/og` of grafana/pyroscope).

use super::SampleType;

/// The name of a profile with these sample types: its first word in a profile type.
pub(super) fn of_sample_types<'a>(types: impl Iterator<Item = &'a str> + Clone) -> String {
    let any = |found: fn(&str) -> bool| types.clone().any(found);
    if any(|name| name == "wall") {
        return "wall".to_owned();
    }
    if any(|name| name == "cpu" || name == "itimer") {
        return "process_cpu".to_owned();
    }
    types.clone().next().map_or("unknown", of_sample_type).to_owned()
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

/// The unit that folded stacks of a kind are in.
pub(super) fn unit_of(sample_type: &str) -> &'static str {
    match sample_type {
        "cpu" | "wall" | "itimer" | "lock_time" | "mutex_duration" | "block_duration" => "nanoseconds",
        name if name.ends_with("_space") || name.ends_with("_bytes") => "bytes",
        _ => "count",
    }
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
}
