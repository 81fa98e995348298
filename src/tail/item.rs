//! An item as a tail sees it, and the line of JSON that is sent of it.
//!
//! Members without a value are left out. Times are RFC 3339 in UTC, ids are hexadecimal, whole numbers beyond
//! 2^53 and numbers that JSON does not have are texts, and so are bytes. Long texts are cut.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::{Map, Number, Value as Json};

use crate::signal::Signal;

/// Bytes of a text that are sent.
const MAX_TEXT: usize = 16 << 10;

/// Bytes of a name that are sent.
const MAX_NAME: usize = 1 << 10;

/// Attributes that are sent.
const MAX_ATTRIBUTES: usize = 128;

/// Elements of a list, or members of a map, that are sent.
const MAX_ELEMENTS: usize = 128;

/// Levels of lists and maps that are sent.
const MAX_LEVELS: usize = 8;

/// Largest line: of an item with more, the attributes are left out.
const MAX_LINE: usize = 64 << 10;

/// OpenTelemetry's severity number, from 1 to 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Severity(pub u8);

impl Severity {
    /// That of a log record, if it has one.
    pub fn of(number: i32) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| (1..=24).contains(number)).map(Severity)
    }

    /// Its short name (logs data model, "Displaying Severity").
    pub fn name(self) -> &'static str {
        match self.0 {
            1..=4 => "TRACE",
            5..=8 => "DEBUG",
            9..=12 => "INFO",
            13..=16 => "WARN",
            17..=20 => "ERROR",
            _ => "FATAL",
        }
    }
}

/// An attribute's value, where it lies.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// OTLP's.
    Any(&'a Any),
    /// A label's.
    Text(&'a str),
    /// A number of ours.
    Number(f64),
}

/// Attributes with their names.
pub type Attributes<'a> = Vec<(&'a str, Value<'a>)>;

/// A span, a data point, a log record or a profile.
#[derive(Debug)]
pub struct Item<'a> {
    /// Its signal.
    pub signal: Signal,
    /// When it happened, or began; nanoseconds since the Unix epoch, 0 if that is not known.
    pub time: u64,
    /// `service.name` of its resource, or what stands for it; empty if there is none.
    pub service: &'a str,
    /// Name of the span, of the metric, of the log record's event, type of the profile.
    pub name: Cow<'a, str>,
    /// The kind of span, or the type of metric; empty if there is none.
    pub kind: &'a str,
    /// Of log records.
    pub severity: Option<Severity>,
    /// Of spans: `unset`, `ok`, `error`.
    pub status: Option<&'static str>,
    /// Of spans and profiles, in nanoseconds.
    pub duration: Option<u64>,
    /// As bytes; empty if there is none.
    pub trace_id: &'a [u8],
    /// As bytes; empty if there is none.
    pub span_id: &'a [u8],
    /// As bytes; empty if there is none.
    pub parent_id: &'a [u8],
    /// The body of a log record, the message of a span's status.
    pub text: Option<Cow<'a, str>>,
    /// The number of a data point; of a histogram, its sum.
    pub value: Option<f64>,
    /// How many values a histogram has, how many samples a profile.
    pub count: Option<u64>,
    /// Unit of the value; empty if there is none.
    pub unit: &'a str,
    /// Its own attributes, or labels.
    pub attributes: Attributes<'a>,
    /// Those of its resource.
    pub resource: &'a [(&'a str, Value<'a>)],
}

impl Item<'_> {
    /// Nothing but its signal.
    pub fn of(signal: Signal) -> Self {
        Item {
            signal,
            time: 0,
            service: "",
            name: Cow::Borrowed(""),
            kind: "",
            severity: None,
            status: None,
            duration: None,
            trace_id: &[],
            span_id: &[],
            parent_id: &[],
            text: None,
            value: None,
            count: None,
            unit: "",
            attributes: Vec::new(),
            resource: &[],
        }
    }

    /// Whether it says that something failed.
    pub fn is_error(&self) -> bool {
        self.status == Some("error") || self.severity.is_some_and(|severity| severity.0 >= 17)
    }

    /// An attribute of the item, or else of its resource.
    pub fn attribute(&self, name: &str) -> Option<Value<'_>> {
        let find = |of: &(&str, _)| of.0 == name;
        let found = self.attributes.iter().find(|of| find(of)).or_else(|| self.resource.iter().find(|of| find(of)));
        found.map(|(_, value)| *value)
    }

    /// Its line, without the end of line.
    pub fn to_line(&self) -> String {
        let mut line = self.members(true).to_string();
        if line.len() > MAX_LINE {
            line = self.members(false).to_string();
        }
        line
    }

    fn members(&self, with_attributes: bool) -> Json {
        let mut members = Map::new();
        let mut set = |name: &str, value: Json| members.insert(name.to_owned(), value);
        set("signal", self.signal.name().into());
        if self.time > 0 {
            let time = UNIX_EPOCH + Duration::from_nanos(self.time);
            set("time", humantime::format_rfc3339_nanos(time).to_string().into());
        }
        for (name, text) in [("service", self.service), ("name", &*self.name), ("kind", self.kind), ("unit", self.unit)]
        {
            if !text.is_empty() {
                set(name, cut_to(text, MAX_NAME).into());
            }
        }
        if let Some(severity) = self.severity {
            set("severity", severity.name().into());
            set("severity_number", severity.0.into());
        }
        if let Some(status) = self.status {
            set("status", status.into());
        }
        if let Some(nanos) = self.duration {
            set("duration_ns", whole(i128::from(nanos)));
        }
        for (name, id) in [("trace_id", self.trace_id), ("span_id", self.span_id), ("parent_span_id", self.parent_id)] {
            if !id.is_empty() {
                set(name, hex(&id[..id.len().min(MAX_ELEMENTS)]).into());
            }
        }
        if let Some(text) = &self.text {
            set("body", cut(text).into());
        }
        if let Some(value) = self.value {
            set("value", number(value));
        }
        if let Some(count) = self.count {
            set("count", whole(i128::from(count)));
        }
        for (name, attributes) in [("attributes", &self.attributes[..]), ("resource", self.resource)] {
            if !attributes.is_empty() {
                let shown = if with_attributes { object(attributes) } else { Json::Object(Map::new()) };
                set(name, shown);
            }
        }
        if !with_attributes {
            set("cut", true.into());
        }
        Json::Object(members)
    }
}

impl<'a> Value<'a> {
    /// A text as it is, without taking it along.
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Any(Any::StringValue(text)) => Some(text),
            _ => None,
        }
    }

    /// A number.
    pub fn number(self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(number),
            Value::Any(Any::DoubleValue(number)) => Some(*number),
            Value::Any(Any::IntValue(number)) => Some(*number as f64),
            _ => None,
        }
    }

    /// As text: lists and maps as JSON.
    pub fn to_text(self) -> String {
        match self.json() {
            Json::String(text) => text,
            other => other.to_string(),
        }
    }

    fn json(self) -> Json {
        match self {
            Value::Text(text) => cut(text).into(),
            Value::Number(value) => number(value),
            Value::Any(value) => any(value, 0),
        }
    }
}

/// OTLP's attributes with their names.
pub fn attributes(pairs: &[KeyValue]) -> Attributes<'_> {
    pairs
        .iter()
        .filter_map(|pair| Some((pair.key.as_str(), Value::Any(pair.value.as_ref()?.value.as_ref()?))))
        .collect()
}

/// An OTLP value as text; nothing if it is not set.
pub fn text(value: Option<&AnyValue>) -> Option<Cow<'_, str>> {
    match value?.value.as_ref()? {
        Any::StringValue(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(Value::Any(other).to_text())),
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn object(attributes: &[(&str, Value<'_>)]) -> Json {
    let shown = attributes.iter().take(MAX_ATTRIBUTES);
    Json::Object(shown.map(|(name, value)| (cut_to(name, MAX_NAME).into_owned(), value.json())).collect())
}

fn any(value: &Any, level: usize) -> Json {
    if level == MAX_LEVELS {
        return "…".into();
    }
    let nested = |value: &AnyValue| value.value.as_ref().map_or(Json::Null, |value| any(value, level + 1));
    match value {
        Any::StringValue(text) => cut(text).into(),
        Any::BoolValue(is) => (*is).into(),
        Any::IntValue(value) => whole(i128::from(*value)),
        Any::DoubleValue(value) => number(*value),
        Any::ArrayValue(list) => list.values.iter().take(MAX_ELEMENTS).map(nested).collect(),
        Any::KvlistValue(map) => {
            let pairs = map.values.iter().take(MAX_ELEMENTS);
            Json::Object(
                pairs
                    .map(|pair| {
                        (cut_to(&pair.key, MAX_NAME).into_owned(), pair.value.as_ref().map_or(Json::Null, nested))
                    })
                    .collect(),
            )
        }
        Any::BytesValue(bytes) => hex(&bytes[..bytes.len().min(MAX_TEXT / 2)]).into(),
        Any::StringValueStrindex(_) => Json::Null,
    }
}

fn whole(value: i128) -> Json {
    const EXACT: i128 = 1 << 53;
    match i64::try_from(value) {
        Ok(value) if (-EXACT..=EXACT).contains(&i128::from(value)) => value.into(),
        _ => value.to_string().into(),
    }
}

fn number(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number)
}

fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, MAX_TEXT)
}

fn cut_to(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Cow::Owned(format!("{}…", &text[..end]))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::ArrayValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_has_what_the_item_has() {
        let list = Any::ArrayValue(ArrayValue {
            values: vec![AnyValue { value: Some(Any::IntValue(i64::MAX)) }, AnyValue { value: None }],
        });
        let item = Item {
            time: 1_780_000_000_000_000_001,
            service: "shop",
            severity: Severity::of(13),
            trace_id: &[0xab; 2],
            text: Some(Cow::Borrowed("a\nb")),
            value: Some(f64::NAN),
            attributes: vec![("list", Value::Any(&list)), ("label", Value::Text("x"))],
            ..Item::of(Signal::Logs)
        };
        let line = item.to_line();
        assert!(!line.contains('\n'), "{line}");
        let expected = json!({
            "signal": "logs", "time": "2026-05-28T20:26:40.000000001Z", "service": "shop",
            "severity": "WARN", "severity_number": 13, "trace_id": "abab", "body": "a\nb", "value": "NaN",
            "attributes": { "list": ["9223372036854775807", null], "label": "x" },
        });
        assert_eq!(serde_json::from_str::<Json>(&line).unwrap(), expected);
        assert_eq!(Item::of(Signal::Traces).to_line(), r#"{"signal":"traces"}"#);
    }

    #[test]
    fn a_line_is_bounded_whatever_is_in_the_item() {
        let long = "ä".repeat(1 << 20);
        let names: Vec<String> = (0..1000).map(|n| format!("key{n}")).collect();
        let item = Item {
            name: Cow::Borrowed(&long),
            text: Some(Cow::Borrowed(&long)),
            attributes: names.iter().map(|name| (name.as_str(), Value::Text(&long))).collect(),
            ..Item::of(Signal::Logs)
        };
        let line = item.to_line();
        assert!(line.len() <= MAX_LINE && line.contains("\"cut\":true"), "{} bytes", line.len());
        let mut deep = Any::BoolValue(true);
        for _ in 0..90 {
            deep = Any::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(deep) }] });
        }
        assert_eq!(Value::Any(&deep).to_text(), "[[[[[[[[\"…\"]]]]]]]]");
    }
}
