//! OTLP's times, unsigned nanoseconds since the epoch, as the store keeps them.

use crate::store::schema::TIME_MAX;

const NANOS_A_DAY: i64 = 86_400_000_000_000;

/// 0 means unknown; what does not fit is clamped.
pub(crate) fn stored(unix_nano: u64) -> Option<i64> {
    (unix_nano != 0).then(|| i64::try_from(unix_nano).unwrap_or(TIME_MAX).min(TIME_MAX))
}

/// Prometheus' times: signed milliseconds, where 0 is a time like any other. The bounds keep off
/// DuckDB's infinities.
pub(crate) fn from_millis(millis: i64) -> i64 {
    millis.saturating_mul(1_000_000).clamp(-TIME_MAX, TIME_MAX)
}

/// Start and duration of a span. One that has an end only is taken to start there; one that has no
/// end has no duration. The end, `start + duration`, always fits.
pub(crate) fn span(start: u64, end: u64) -> (Option<i64>, Option<i64>) {
    match (stored(start), stored(end)) {
        (Some(start), Some(end)) => (Some(start), Some(end - start)),
        (None, Some(end)) => (Some(end), Some(0)),
        (start, None) => (start, None),
    }
}

/// Which day a time belongs to, to give dictionary rows out once a day. Times that are unknown are
/// a day of their own, for they are partitioned apart.
pub(crate) fn day(time: Option<i64>) -> i32 {
    // At most 106,751 days either way.
    time.map_or(i32::MIN, |time| i32::try_from(time.div_euclid(NANOS_A_DAY)).unwrap_or(i32::MIN))
}

/// Which minute a time belongs to.
pub(crate) fn minute(time: i64) -> i32 {
    // 2262 has the minute 153,722,867.
    i32::try_from(time.div_euclid(60_000_000_000)).unwrap_or(i32::MAX)
}
