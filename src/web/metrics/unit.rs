//! Values with their units as people read them (UCUM, as OpenTelemetry has it; Prometheus' base units).

use crate::web::text::{bytes, duration, number};

/// A value of a unit, or so much of it a second.
pub fn text(value: f64, unit: &str, is_rate: bool) -> String {
    let per_second = if is_rate { "/s" } else { "" };
    let nanos = match unit {
        "s" | "seconds" => Some(1e9),
        "ms" | "milliseconds" => Some(1e6),
        "us" | "microseconds" => Some(1e3),
        "ns" | "nanoseconds" => Some(1.0),
        "min" => Some(60e9),
        "h" => Some(3600e9),
        _ => None,
    };
    if let Some(nanos) = nanos {
        let length = if value == 0.0 { "0".to_owned() } else { duration(value * nanos) };
        return format!("{length}{per_second}");
    }
    if matches!(unit, "By" | "bytes") && value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}{per_second}", bytes(value.abs() as u64));
    }
    let shown = small(value);
    // {request} is a remark, 1 is none.
    match unit {
        "" | "1" | "ratio" => format!("{shown}{per_second}"),
        unit if unit.starts_with('{') => format!("{shown}{per_second}"),
        "%" | "percent" => format!("{shown} %{per_second}"),
        unit => format!("{shown} {}{per_second}", crate::web::text::cut(unit, 20)),
    }
}

/// A number, with digits where [`number`] has none for it.
fn small(value: f64) -> String {
    match value.abs() {
        size if size > 0.0 && size < 0.01 => format!("{value:.2e}"),
        _ => number(value),
    }
}

/// The unit that a name of Prometheus ends with.
pub fn of_name(metric: &str) -> &'static str {
    let name = ["_total", "_bucket", "_sum"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric);
    ["seconds", "milliseconds", "bytes", "ratio"]
        .into_iter()
        .find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with(['_', '.'])))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_units() {
        for (value, unit, is_rate, shown) in [
            (0.0123, "s", false, "12.3 ms"),
            (0.5, "seconds", true, "500 ms/s"),
            (250.0, "ms", false, "250 ms"),
            (1536.0, "By", false, "1.5 KiB"),
            (-7.0, "By", false, "-7 B"),
            (12.0, "{request}", true, "12/s"),
            (12.0, "1", false, "12"),
            (12.0, "EUR", false, "12 EUR"),
            (0.001, "", false, "1.00e-3"),
            (0.0, "s", false, "0"),
            (-0.5, "s", false, "-500 ms"),
        ] {
            assert_eq!(text(value, unit, is_rate), shown, "{value} {unit}");
        }
        assert_eq!(
            (of_name("node_cpu_seconds_total"), of_name("x_bytes"), of_name("seconds")),
            ("seconds", "bytes", "")
        );
    }
}
