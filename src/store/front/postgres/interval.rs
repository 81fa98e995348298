//! Intervals: from DuckDB's text to PostgreSQL's text and binary.

use std::fmt::Write;

/// Months, days and microseconds, which do not become each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// Reads `1 year 2 months -3 days 04:05:06.7`. `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut interval = Interval::default();
        let mut words = text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if word.contains(':') {
                interval.micros = time(word)?;
                continue;
            }
            let number: i32 = word.parse().ok()?;
            match words.next()?.trim_end_matches('s') {
                "year" => interval.months = interval.months.checked_add(number.checked_mul(12)?)?,
                "month" => interval.months = interval.months.checked_add(number)?,
                "day" => interval.days = number,
                _ => return None,
            }
        }
        Some(interval)
    }

    /// Writes it as PostgreSQL does (`IntervalStyle` postgres).
    pub fn write(self, out: &mut String) {
        let before = out.len();
        let mut was_negative = false;
        let mut part = |out: &mut String, number: i32, unit: &str| {
            if number != 0 {
                let space = if out.len() > before { " " } else { "" };
                let sign = if was_negative && number > 0 { "+" } else { "" };
                let plural = if number == 1 { "" } else { "s" };
                // Writing to a String cannot fail.
                let _ = write!(out, "{space}{sign}{number} {unit}{plural}");
                was_negative = number < 0;
            }
        };
        part(out, self.months / 12, "year");
        part(out, self.months % 12, "mon");
        part(out, self.days, "day");
        if self.micros == 0 && out.len() > before {
            return;
        }
        let space = if out.len() > before { " " } else { "" };
        let sign = match (self.micros < 0, was_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let micros = self.micros.unsigned_abs();
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let _ = write!(out, "{space}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if fraction > 0 {
            let digits = format!("{fraction:06}");
            let _ = write!(out, ".{}", digits.trim_end_matches('0'));
        }
    }
}

fn time(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.split(':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (seconds, fraction) = match parts.next()? {
        whole if !whole.contains('.') => (whole.parse::<i64>().ok()?, 0),
        split => {
            let (whole, fraction) = split.split_once('.')?;
            let digits = format!("{fraction:0<6}");
            (whole.parse().ok()?, digits.get(..6)?.parse::<i64>().ok()?)
        }
    };
    let seconds = hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?;
    let micros = seconds.checked_mul(1_000_000)?.checked_add(fraction)?;
    Some(if negative { -micros } else { micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_duckdb_are_read_and_written_as_postgresqls() {
        for (duckdb, postgres) in [
            ("00:00:00", "00:00:00"),
            ("00:30:00", "00:30:00"),
            ("1 year 2 months 3 days 04:05:06.789", "1 year 2 mons 3 days 04:05:06.789"),
            ("-1 years -1 months", "-1 years -1 mons"),
            ("1 month -1 days", "1 mon -1 days"),
            ("-1 days 02:00:00", "-1 days +02:00:00"),
            ("-100:00:00.5", "-100:00:00.5"),
            ("3 days", "3 days"),
        ] {
            let mut text = String::new();
            Interval::parse(duckdb).unwrap_or_else(|| panic!("{duckdb}")).write(&mut text);
            assert_eq!(text, postgres, "{duckdb}");
        }
        for bad in ["soon", "1 fortnight", "1", "1:2"] {
            assert_eq!(Interval::parse(bad), None, "{bad}");
        }
        let one = Interval { months: 14, days: 3, micros: 14_706_789_000 };
        assert_eq!(Interval::parse("1 year 2 months 3 days 04:05:06.789"), Some(one));
    }
}
