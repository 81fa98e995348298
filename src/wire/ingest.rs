//! Pyroscope's `/ingest`: what its query says ([`Parameters`]) and how its body is put together
//! ([`multipart`]). Receiver and store read both here, so that the one refuses what the other
//! could not read.
//!
//! The rules are those of grafana/pyroscope `pkg/ingester/pyroscope/ingest_handler.go` and
//! `pkg/og/storage/segment/key.go`; where they guess (an unknown format is read as folded stacks,
//! an unreadable time as now), we refuse.

pub mod multipart;

use std::borrow::Cow;

use url::form_urlencoded;

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {problem}")]
pub struct BadParameter {
    /// Which parameter.
    pub parameter: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

fn bad(parameter: &'static str, problem: impl Into<String>) -> BadParameter {
    BadParameter { parameter, problem: problem.into() }
}

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileFormat {
    /// pprof, gzipped or not, alone or as part `profile` of a multipart body.
    Pprof,
    /// Java Flight Recorder, gzipped or not, alone or as part `jfr` of a multipart body.
    Jfr,
    /// Folded stacks, each line `frame;frame count`.
    Groups,
    /// Folded stacks, each line one sample.
    Lines,
    /// speedscope's JSON.
    Speedscope,
}

impl ProfileFormat {
    fn of(format: &str, content_type: &str) -> Result<Self, BadParameter> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let media_type = media_type.to_ascii_lowercase();
        match (format, media_type.as_str()) {
            ("trie" | "tree", _) => Err(refused_format(format)),
            ("", "binary/octet-stream+trie") => Err(refused_format("trie")),
            ("", "binary/octet-stream+tree") => Err(refused_format("tree")),
            ("pprof", _) | ("", "multipart/form-data") => Ok(ProfileFormat::Pprof),
            ("jfr", _) => Ok(ProfileFormat::Jfr),
            ("lines", _) => Ok(ProfileFormat::Lines),
            ("speedscope", _) => Ok(ProfileFormat::Speedscope),
            ("groups" | "", _) => Ok(ProfileFormat::Groups),
            (other, _) => {
                Err(bad("format", format!("unknown format {other:?}, known are pprof, jfr, groups, lines, speedscope")))
            }
        }
    }
}

fn refused_format(format: &str) -> BadParameter {
    bad(
        "format",
        format!(
            "format {format:?} is not taken, a small body of it can fill the memory of whoever reads it; use pprof"
        ),
    )
}

/// The query of an `/ingest` request.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// The application, without labels; folded formats have the profile type as its suffix
    /// (`app.cpu`).
    pub app: String,
    /// Labels in the order given. Names that begin with two underscores are dropped, but for
    /// `__session_id__`.
    pub labels: Vec<(String, String)>,
    /// Start, nanoseconds since the Unix epoch.
    pub from: u64,
    /// End, nanoseconds since the Unix epoch.
    pub until: u64,
    /// Samples a second; 100 if not given.
    pub sample_rate: u32,
    /// Who took the profile; `unknown` if not given.
    pub spy_name: String,
    /// Unit of folded values; `samples` if not given.
    pub units: String,
    /// How folded values are joined; `sum` if not given.
    pub aggregation_type: String,
    /// What the body is.
    pub format: ProfileFormat,
}

impl Parameters {
    /// Reads a query string (without the `?`) and content type of a request received at `now`
    /// (nanoseconds since the Unix epoch).
    ///
    /// # Errors
    /// Names the parameter and what is wrong with it.
    pub fn parse(query: &str, content_type: &str, now: u64) -> Result<Self, BadParameter> {
        let get = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, value)| key == name && !value.is_empty())
                .map(|(_, v)| v)
        };
        let text = |name: &str, default: &str| get(name).map_or_else(|| default.to_owned(), Cow::into_owned);
        let time = |name: &'static str| get(name).map_or(Ok(now), |value| parse_time(name, &value, now));
        let name = get("name").ok_or_else(|| bad("name", "missing, expected app{label=value,...}"))?;
        let (app, labels) = parse_name(&name)?;
        let sample_rate = match get("sampleRate") {
            None => 100,
            Some(rate) => rate.parse().map_err(|_| bad("sampleRate", format!("{rate:?} is not a whole number")))?,
        };
        Ok(Parameters {
            app,
            labels,
            from: time("from")?,
            until: time("until")?,
            sample_rate,
            spy_name: text("spyName", "unknown"),
            units: text("units", "samples"),
            aggregation_type: text("aggregationType", "sum"),
            format: ProfileFormat::of(get("format").as_deref().unwrap_or_default(), content_type)?,
        })
    }
}

/// `app{label=value,label=value}`: values are not quoted.
fn parse_name(name: &str) -> Result<(String, Vec<(String, String)>), BadParameter> {
    let fail = |problem: String| Err(bad("name", problem));
    let (app, rest) = match name.split_once('{') {
        Some((app, rest)) => (app.trim(), Some(rest)),
        None => (name.trim(), None),
    };
    if app.is_empty() {
        return fail(format!("{name:?} has no application before its labels"));
    }
    if let Some(c) = app.chars().find(|&c| !is_label_char(c) && c != '-' && c != '/') {
        return fail(format!("{c:?} in application {app:?}, allowed are letters, digits and _ . - /"));
    }
    let mut labels = Vec::new();
    let Some(rest) = rest else { return Ok((app.to_owned(), labels)) };
    let Some((inner, after)) = rest.split_once('}') else {
        return fail(format!("the labels of {name:?} lack their closing brace"));
    };
    if !after.trim().is_empty() {
        return fail(format!("{after:?} after the labels"));
    }
    for pair in inner.split(',').filter(|pair| !pair.trim().is_empty()) {
        let Some((label, value)) = pair.split_once('=') else {
            return fail(format!("label {pair:?} has no value, expected label=value"));
        };
        let (label, value) = (label.trim(), value.trim());
        if label.is_empty() {
            return fail(format!("a label without a name, of value {value:?}"));
        }
        if let Some(c) = label.chars().find(|&c| !is_label_char(c)) {
            return fail(format!("{c:?} in label name {label:?}, allowed are letters, digits, _ and ."));
        }
        if label == "__name__" {
            return fail("label name \"__name__\" is reserved".to_owned());
        }
        if !label.starts_with("__") || label == "__session_id__" {
            labels.push((label.to_owned(), value.to_owned()));
        }
    }
    Ok((app.to_owned(), labels))
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// A date (`20260102`), an epoch in seconds, milli-, micro- or nanoseconds by its digits (10, 13,
/// 16, 19), `now`, or `now-` with a number and s, m, h or d.
fn parse_time(parameter: &'static str, text: &str, now: u64) -> Result<u64, BadParameter> {
    let unreadable = || bad(parameter, format!("{text:?} is not a time: expected 10, 13, 16 or 19 digits of epoch"));
    if let Some(ago) = text.strip_prefix("now") {
        if ago.is_empty() {
            return Ok(now);
        }
        let ago = ago.strip_prefix('-').ok_or_else(unreadable)?;
        let unit = ago.trim_start_matches(|c: char| c.is_ascii_digit());
        let n: u64 = ago[..ago.len() - unit.len()].parse().map_err(|_| unreadable())?;
        let seconds = match unit {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(unreadable()),
        };
        return Ok(now.saturating_sub(n.saturating_mul(seconds * 1_000_000_000)));
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(unreadable());
    }
    let n: u64 = text.parse().map_err(|_| unreadable())?;
    match text.len() {
        8 => date(n).ok_or_else(unreadable),
        10 => Ok(n.saturating_mul(1_000_000_000)),
        13 => Ok(n.saturating_mul(1_000_000)),
        16 => Ok(n.saturating_mul(1_000)),
        19 => Ok(n),
        _ => Err(unreadable()),
    }
}

/// Midnight of a date given as the number YYYYMMDD, from 1970 on.
fn date(n: u64) -> Option<u64> {
    let (year, month, day) = (n / 10_000, n / 100 % 100, n % 100);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days from civil, after Howard Hinnant: years begin in March, so that the leap day is last.
    let y = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * y + y / 4 - y / 100 + y / 400 + of_year - 719_468;
    days.checked_mul(86_400_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000_000;

    fn parse(query: &str) -> Result<Parameters, String> {
        Parameters::parse(query, "", NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_node_sends() {
        let query =
            "from=1790000000&until=1790000060&name=shop.web%7Bpod%3Da-1%2Cservice.version%3D1.2%7D&spyName=nodespy";
        let got = Parameters::parse(query, "multipart/form-data; boundary=x", NOW).expect("good");
        assert_eq!(got.app, "shop.web");
        let labels = [("pod", "a-1"), ("service.version", "1.2")];
        assert_eq!(got.labels, labels.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!((got.from, got.until), (1_790_000_000_000_000_000, 1_790_000_060_000_000_000));
        assert_eq!((got.sample_rate, got.spy_name.as_str()), (100, "nodespy"));
        assert_eq!(got.format, ProfileFormat::Pprof);
    }

    #[test]
    fn the_rest_has_defaults() {
        let got = parse("name=app").expect("good");
        assert_eq!((got.from, got.until, got.format), (NOW, NOW, ProfileFormat::Groups));
        assert_eq!((got.units.as_str(), got.aggregation_type.as_str()), ("samples", "sum"));
        assert_eq!(parse("name=app{__a=1,__session_id__=2}").expect("good").labels.len(), 1);
    }

    #[test]
    fn times_have_their_unit_in_their_digits() {
        for (text, want) in [
            ("1790000000", 1_790_000_000_000_000_000),
            ("1790000000123", 1_790_000_000_123_000_000),
            ("1790000000123456", 1_790_000_000_123_456_000),
            ("1790000000123456789", 1_790_000_000_123_456_789),
            ("20240229", 1_709_164_800_000_000_000),
            ("19700101", 0),
            ("now", NOW),
            ("now-1h", NOW - 3_600_000_000_000),
        ] {
            assert_eq!(parse_time("from", text, NOW), Ok(want), "{text}");
        }
    }

    #[test]
    fn names_what_is_wrong() {
        for (query, want) in [
            ("", "name: missing"),
            ("name=", "name: missing"),
            ("name={a=b}", "no application"),
            ("name=a b", "' ' in application"),
            ("name=app{a=b", "closing brace"),
            ("name=app{a=b}x", "\"x\" after the labels"),
            ("name=app{a}", "label \"a\" has no value"),
            ("name=app{=b}", "a label without a name"),
            ("name=app{a-b=c}", "'-' in label name \"a-b\""),
            ("name=app{__name__=c}", "reserved"),
            ("name=app&format=perf", "unknown format \"perf\""),
            ("name=app&format=trie", "format \"trie\" is not taken"),
            ("name=app&sampleRate=fast", "sampleRate: \"fast\""),
            ("name=app&from=yesterday", "from: \"yesterday\" is not a time"),
            ("name=app&until=123", "until: \"123\""),
            ("name=app&until=20241301", "until: \"20241301\""),
        ] {
            let got = parse(query).expect_err(query);
            assert!(got.contains(want), "{query}: {got}");
        }
    }
}
