//! Lengths of time as the config takes them, such as `30s`, `2h 30m` and `30d`: in the config in force, in the status
//! and in messages. humantime reads them all, and writes days as `30days` and `1month 13h 26m 24s`.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use humantime_serde::deserialize;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A length of time that is written so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written(pub Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.as_secs() / DAY;
        let rest = self.0 - Duration::from_secs(days * DAY);
        match (days, rest.is_zero()) {
            (0, _) => humantime::format_duration(rest).fmt(f),
            (_, true) => write!(f, "{days}d"),
            (_, false) => write!(f, "{days}d {}", humantime::format_duration(rest)),
        }
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a key of the config may be.
pub trait Key {
    /// The length, if one is given.
    fn written(&self) -> Option<Written>;
}

impl Key for Duration {
    fn written(&self) -> Option<Written> {
        Some(Written(*self))
    }
}

impl Key for Option<Duration> {
    fn written(&self) -> Option<Written> {
        self.map(Written)
    }
}

/// For `#[serde(with = "crate::duration")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(key: &impl Key, serializer: S) -> Result<S::Ok, S::Error> {
    key.written().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_people_write_them() {
        let written = |seconds| Written(Duration::from_secs(seconds)).to_string();
        assert_eq!(
            [0, 30, 300, 9_000, DAY, 30 * DAY, 31 * DAY, 400 * DAY, DAY + 3_600].map(written),
            ["0s", "30s", "5m", "2h 30m", "1d", "30d", "31d", "400d", "1d 1h"]
        );
        assert_eq!(Written(Duration::from_millis(86_400_250)).to_string(), "1d 250ms");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0_u64..100_000_000_000, nanos in 0_u32..1_000_000_000) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(humantime::parse_duration(&Written(duration).to_string()).unwrap(), duration);
        }
    }
}
