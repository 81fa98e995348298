//! The time range of a page: relative to now, or absolute.
//!
//! | parameter | what |
//! |---|---|
//! | `range` | so long up to now: `15m`, `6h`, `7d` |
//! | `from`, `to` | instead of it: `2026-11-29T07:00:00Z`, `2026-11-29 07:00`, `now-2h`, or nanoseconds since the Unix epoch |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::params::Params;

/// Nanoseconds since the Unix epoch.
pub type Nanos = i64;

/// The ranges to choose from.
pub const CHOICES: [(&str, &str); 8] = [
    ("5m", "last 5 minutes"),
    ("15m", "last 15 minutes"),
    ("1h", "last hour"),
    ("6h", "last 6 hours"),
    ("24h", "last 24 hours"),
    ("2d", "last 2 days"),
    ("7d", "last 7 days"),
    ("30d", "last 30 days"),
];

/// What is shown where nothing else is asked for.
pub const DEFAULT: &str = "1h";

/// A second.
pub const SECOND: Nanos = 1_000_000_000;

/// A time range: `from` is in it, `to` is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Its first moment.
    pub from: Nanos,
    /// The first moment after it.
    pub to: Nanos,
    /// The choice that it is, for one that goes up to now.
    pub last: Option<String>,
    /// What was wrong with what was asked for; the default is shown then.
    pub problem: Option<String>,
}

impl Range {
    /// The range that a page's parameters ask for at this moment.
    pub fn read(params: &Params, now: Nanos) -> Self {
        match read(params, now) {
            Ok(range) => range,
            Err(problem) => Range { problem: Some(problem), ..last(DEFAULT, now).unwrap_or_else(|_| Range::hour(now)) },
        }
    }

    /// The range between two moments as a person writes them, of which one is enough; nothing if there is none.
    ///
    /// # Errors
    /// Which of them is no moment, in words.
    pub fn between(from: Option<&str>, to: Option<&str>, now: Nanos) -> Option<Result<Self, String>> {
        (from.is_some() || to.is_some()).then(|| absolute(from, to, now))
    }

    /// All times.
    pub fn all() -> Self {
        Range { from: 0, to: Nanos::MAX, last: None, problem: None }
    }

    fn hour(now: Nanos) -> Self {
        Range { from: now - 3600 * SECOND, to: now, last: None, problem: None }
    }

    /// How long it is.
    pub fn length(&self) -> Nanos {
        self.to - self.from
    }

    /// `column >= from AND column < to`, in SQL.
    pub fn condition(&self, column: &str) -> String {
        format!("{column} >= {} AND {column} < {}", sql_time(self.from), sql_time(self.to))
    }

    /// The width of a column of a chart that has `columns` of them at most, in nanoseconds: a round one.
    pub fn bucket(&self, columns: i64) -> Nanos {
        const STEPS: [i64; 19] =
            [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800];
        let least = self.length() / columns.max(1);
        let round = STEPS.into_iter().map(|seconds| seconds * SECOND).find(|step| *step >= least);
        round.unwrap_or(least).max(1)
    }
}

/// The moment, in nanoseconds since the Unix epoch.
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
}

/// A moment as SQL has it.
pub fn sql_time(nanos: Nanos) -> String {
    format!("TIMESTAMP_NS '{}'", rfc3339(nanos).trim_end_matches('Z').replace('T', " "))
}

/// A moment as RFC 3339 has it, in UTC.
pub fn rfc3339(nanos: Nanos) -> String {
    let time = UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    humantime::format_rfc3339_nanos(time).to_string()
}

fn read(params: &Params, now: Nanos) -> Result<Range, String> {
    let between = Range::between(params.get("from"), params.get("to"), now);
    between.unwrap_or_else(|| last(params.get("range").unwrap_or(DEFAULT), now))
}

fn absolute(from: Option<&str>, to: Option<&str>, now: Nanos) -> Result<Range, String> {
    let to = to.map_or(Ok(now), |to| moment(to, now))?;
    let from = from.map_or(Ok(to.saturating_sub(3600 * SECOND)), |from| moment(from, now))?;
    if from >= to {
        return Err("the time range begins at its end or after it".to_owned());
    }
    Ok(Range { from, to, last: None, problem: None })
}

fn last(text: &str, now: Nanos) -> Result<Range, String> {
    let length = length(text)?;
    // Negative times are none that SQL could compare.
    Ok(Range { from: now.saturating_sub(length).max(0), to: now, last: Some(text.to_owned()), problem: None })
}

fn length(text: &str) -> Result<Nanos, String> {
    let length = humantime::parse_duration(text).ok().and_then(|length| Nanos::try_from(length.as_nanos()).ok());
    length
        .filter(|length| *length > 0)
        .ok_or_else(|| format!("{text:?} is no length of time, expected such as 15m or 6h"))
}

/// A moment as a person writes it.
fn moment(text: &str, now: Nanos) -> Result<Nanos, String> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(back) = text.strip_prefix("now-") {
        return Ok(now.saturating_sub(length(back)?).max(0));
    }
    if let Ok(nanos) = text.parse::<Nanos>()
        && nanos >= 0
    {
        return Ok(nanos);
    }
    // 2026-11-29 07:00 has no seconds.
    let seconds =
        if text.matches(':').count() == 1 { format!("{}:00", text.trim_end_matches('Z')) } else { text.to_owned() };
    let seconds = if seconds.contains(':') { seconds } else { format!("{seconds} 00:00:00") };
    let time = humantime::parse_rfc3339_weak(&seconds).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanos = time.and_then(|time| Nanos::try_from(time.as_nanos()).ok());
    nanos.ok_or_else(|| format!("{text:?} is no time, expected such as 2026-11-29 07:00 (UTC) or now-2h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Nanos = 1_780_000_000 * SECOND;

    fn range(query: &str) -> Range {
        Range::read(&Params::parse(query), NOW)
    }

    #[test]
    fn relative_and_absolute_ranges() {
        assert_eq!((range("").from, range("").to), (NOW - 3600 * SECOND, NOW));
        assert_eq!(range("range=15m").length(), 900 * SECOND);
        assert_eq!(range("range=15m").last.as_deref(), Some("15m"));
        let day = range("from=2026-05-01&to=2026-05-02");
        assert_eq!((day.length(), day.last), (86_400 * SECOND, None));
        assert_eq!(range("from=2026-05-01+07:00&to=2026-05-01T07:00:01.5Z").length(), 1_500_000_000);
        assert_eq!(range("from=now-2h").from, NOW - 7200 * SECOND);
        assert_eq!(range("from=1000000000&to=2000000001").length(), 1_000_000_001);
        // The range up to now gives way to the absolute one.
        assert_eq!(range("range=15m&from=now-2h&to=now").length(), 7200 * SECOND);
    }

    #[test]
    fn what_is_no_range_says_so_and_shows_the_default() {
        for query in ["range=x", "range=0s", "from=now&to=now-1h", "from=yesterday", "to=-5", "range=99999999999999y"] {
            let range = range(query);
            assert!(range.problem.is_some(), "{query}");
            assert_eq!(range.length(), 3600 * SECOND, "{query}");
        }
        assert!(range("range=29999999d").from >= 0);
    }

    #[test]
    fn columns_of_charts_are_round() {
        assert_eq!(range("range=1h").bucket(60), 60 * SECOND);
        assert_eq!(range("range=1h").bucket(50), 120 * SECOND);
        assert_eq!(range("range=5m").bucket(60), 5 * SECOND);
        assert!(range("from=0&to=1").bucket(60) >= 1);
    }

    #[test]
    fn times_in_sql_have_all_their_digits() {
        assert_eq!(sql_time(1_780_000_000_123_456_789), "TIMESTAMP_NS '2026-05-28 20:26:40.123456789'");
    }
}
