//! What Pyroscope calls a profile (`pkg/ingester/pyroscope` and `pkg/og` of grafana/pyroscope).

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

/// The unit that folded stacks of a kind are in.
pub(super) fn unit_of(sample_type: &str) -> &'static str {
    match sample_type {
        "cpu" | "wall" | "itimer" | "lock_time" | "mutex_duration" | "block_duration" => "nanoseconds",
        name if name.ends_with("_space") || name.ends_with("_bytes") => "bytes",
        _ => "count",
    }
}
