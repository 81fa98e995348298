//! Values as the pages show them.
//!
//! All text of telemetry is foreign: maud escapes it, `<bdi>` keeps marks of direction from reaching the
//! text around it, and what is long is cut.

use maud::{Markup, html};
use serde_json::Value;

use super::range::{Nanos, rfc3339};

/// Foreign text, up to `most` characters of it.
pub fn foreign(text: &str, most: usize) -> Markup {
    html! { bdi { (cut(text, most)) } }
}

/// The first `most` characters, with a mark if there are more. Control characters, which a browser would
/// not show, are shown as the symbols that Unicode has for them.
pub fn cut(text: &str, most: usize) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(most).map(visible).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        c if (c as u32) < 0x20 => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        c => c,
    }
}

/// A cell of an answer as text; nothing for NULL.
pub fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

/// A moment, which the script shows in the browser's zone if that is wanted.
pub fn time(nanos: Nanos) -> Markup {
    let full = rfc3339(nanos);
    html! { time datetime=(full) title=(full) { (&full[..10]) " " (&full[11..23]) } }
}

/// A moment as an answer or a status has it.
pub fn time_of(text: &str) -> Markup {
    match humantime::parse_rfc3339(text).ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()) {
        Some(time) => self::time(Nanos::try_from(time.as_nanos()).unwrap_or(0)),
        None => html! { (text) },
    }
}

/// A moment of an answer, in nanoseconds since the Unix epoch.
pub fn nanos_of(text: &str) -> Option<Nanos> {
    let time = humantime::parse_rfc3339(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Nanos::try_from(time.as_nanos()).ok()
}

/// A number in a few digits: `1.2k`, `34M`.
pub fn number(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    if !value.is_finite() {
        return "–".to_owned();
    }
    match UNITS.into_iter().find(|(unit, _)| value.abs() >= unit * 0.9995) {
        Some((unit, name)) => format!("{}{name}", digits(value / unit)),
        None => digits(value),
    }
}

/// A rate: `12/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => trimmed(&format!("{value:.1}")),
        size if size >= 0.01 => trimmed(&format!("{value:.2}")),
        _ => "<0.01".to_owned(),
    }
}

fn trimmed(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// A whole number with its thousands apart.
pub fn whole(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if value < 0 { format!("−{text}") } else { text }
}

/// Bytes.
pub fn bytes(value: u64) -> String {
    bytesize::ByteSize(value).to_string()
}

/// A length of time given in nanoseconds: `1.2 ms`.
pub fn duration(nanos: f64) -> String {
    const UNITS: [(f64, &str); 7] =
        [(86_400e9, "d"), (3600e9, "h"), (60e9, "min"), (1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
    if !nanos.is_finite() {
        return "–".to_owned();
    }
    let found = UNITS.into_iter().find(|(unit, _)| nanos.abs() >= unit * 0.9995);
    let (unit, name) = found.unwrap_or((1.0, "ns"));
    format!("{} {name}", digits(nanos / unit))
}

/// How many of something: `1 span`, `2 spans`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", whole(i64::try_from(number).unwrap_or(i64::MAX)), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_few_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.001, "<0.01"),
            (0.5, "0.5"),
            (9.996, "10"),
            (12.34, "12.3"),
            (999.4, "999"),
            (999.6, "1k"),
            (1234.0, "1.23k"),
            (20_000.0, "20k"),
            (3_400_000.0, "3.4M"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(
            (whole(1_234_567), whole(-999), whole(0)),
            ("1\u{202f}234\u{202f}567".into(), "−999".into(), "0".into())
        );
        assert_eq!(
            (duration(1_234_567.0), duration(90e9), duration(12.0)),
            ("1.23 ms".into(), "1.5 min".into(), "12 ns".into())
        );
        assert_eq!((count(1, "row", "rows"), count(0, "row", "rows")), ("1 row".to_owned(), "0 rows".to_owned()));
    }

    #[test]
    fn foreign_text_stays_where_it_is() {
        assert_eq!(foreign("<script>\u{202e}x", 20).into_string(), "<bdi>&lt;script&gt;\u{202e}x</bdi>");
        assert_eq!(cut(&"ä".repeat(1 << 20), 3), "äää…");
        assert_eq!(cut("a\0b\x1bc\n", 9), "a␀b␛c\n");
    }
}
