//! The filter of a tail: terms with blanks between them, all of which must hold, such as
//! `service=checkout severity>=warn http.route=/cart "timed out"`.
//!
//! | term | holds for |
//! |---|---|
//! | `key=value`, `key!=value` | the value, or another or none |
//! | `key~text`, `key!~text` | a value in which the text is, in any case, or is not |
//! | `key>number`, `>=`, `<`, `<=` | numbers, and `severity` and `duration` |
//! | `text` | items in whose name or text it is, in any case |
//!
//! Keys: `service`, `name`, `severity` (`trace` to `fatal`, or 1 to 24), `status` (`unset`, `ok`, `error`),
//! `error` (`true`: a span whose status is an error, a log record of severity error or more), `duration`
//! (`250ms`), `kind`, `trace`, `span`, `body`, `value`; all others are attributes of the item, or else of its
//! resource. `attributes.name` is the attribute even where the key is one of these. Keys and values with blanks
//! or signs stand in `"`, in which `\` makes the next character one of the text.

mod parse;

use super::item::{Item, Severity};

/// A filter that can be compared with items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {at} of the filter: {problem}")]
pub struct FilterError {
    /// The character at which it goes wrong, from 1.
    pub at: usize,
    /// What is wrong there.
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// Somewhere in the name or the text; lower case.
    Anywhere(String),
    /// `=` and `!=`.
    Is { key: Key, value: Operand, not: bool },
    /// `~` and `!~`; lower case.
    Has { key: Key, text: String, not: bool },
    /// Greater, less.
    Order { key: Key, order: Order, value: Operand },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Service,
    Name,
    Severity,
    Status,
    Error,
    Duration,
    Kind,
    Trace,
    Span,
    Body,
    Value,
    Attribute(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    /// A text, and the number that it is, if it is one.
    Text(String, Option<f64>),
    /// Numbers from the one to the other, which are equal here: a severity's name stands for four.
    Span(f64, f64),
}

/// What an item has under a key.
enum Found<'a> {
    Nothing,
    Text(&'a str),
    Number(f64),
    Owned(String),
}

impl Filter {
    /// Reads a filter; the empty text lets everything pass.
    ///
    /// # Errors
    /// Where it goes wrong, and why.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(Filter { terms: parse::terms(text)? })
    }

    /// With the terms of another one besides.
    #[must_use]
    pub fn and(mut self, other: Filter) -> Self {
        self.terms.extend(other.terms);
        self
    }

    /// Whether an item is wanted.
    pub fn matches(&self, item: &Item<'_>) -> bool {
        self.terms.iter().all(|term| term.matches(item))
    }
}

impl Term {
    fn matches(&self, item: &Item<'_>) -> bool {
        match self {
            Term::Anywhere(text) => {
                contains(&item.name, text) || item.text.as_deref().is_some_and(|of| contains(of, text))
            }
            Term::Is { key, value, not } => key.of(item).is(value) != *not,
            Term::Has { key, text, not } => key.of(item).has(text) != *not,
            Term::Order { key, order, value } => {
                key.of(item).number().is_some_and(|number| value.holds(*order, number))
            }
        }
    }
}

impl Key {
    fn of<'a>(&self, item: &'a Item<'_>) -> Found<'a> {
        let number = |number: Option<f64>| number.map_or(Found::Nothing, Found::Number);
        match self {
            Key::Service => Found::Text(item.service),
            Key::Name => Found::Text(&item.name),
            Key::Severity => number(item.severity.map(|Severity(number)| f64::from(number))),
            Key::Status => item.status.map_or(Found::Nothing, Found::Text),
            Key::Error => Found::Text(if item.is_error() { "true" } else { "false" }),
            Key::Duration => number(item.duration.map(|nanos| nanos as f64)),
            Key::Kind => Found::Text(item.kind),
            Key::Trace => Found::Owned(super::item::hex(item.trace_id)),
            Key::Span => Found::Owned(super::item::hex(item.span_id)),
            Key::Body => item.text.as_deref().map_or(Found::Nothing, Found::Text),
            Key::Value => number(item.value),
            Key::Attribute(name) => match item.attribute(name) {
                None => Found::Nothing,
                Some(value) => match value.as_text() {
                    Some(text) => Found::Text(text),
                    None => value.number().map_or_else(|| Found::Owned(value.to_text()), Found::Number),
                },
            },
        }
    }
}

impl Found<'_> {
    fn is(&self, operand: &Operand) -> bool {
        match (self, operand) {
            (Found::Text(of), Operand::Text(text, _)) => of == text,
            (Found::Owned(of), Operand::Text(text, _)) => of == text,
            (Found::Number(of), Operand::Text(_, Some(number))) => of == number,
            (Found::Number(of), Operand::Span(first, last)) => (*first..=*last).contains(of),
            _ => false,
        }
    }

    fn has(&self, text: &str) -> bool {
        match self {
            Found::Nothing => false,
            Found::Text(of) => contains(of, text),
            Found::Owned(of) => contains(of, text),
            Found::Number(of) => of.to_string().contains(text),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Found::Number(number) => Some(*number),
            Found::Text(text) => text.parse().ok(),
            Found::Nothing | Found::Owned(_) => None,
        }
    }
}

impl Operand {
    fn holds(&self, order: Order, number: f64) -> bool {
        let (first, last) = match self {
            Operand::Span(first, last) => (*first, *last),
            Operand::Text(_, Some(number)) => (*number, *number),
            Operand::Text(_, None) => return false,
        };
        match order {
            Order::Greater => number > last,
            Order::GreaterOrEqual => number >= first,
            Order::Less => number < first,
            Order::LessOrEqual => number <= last,
        }
    }
}

/// Whether `text`, which is in lower case, is in `of` in any case.
fn contains(of: &str, text: &str) -> bool {
    if text.is_ascii() && of.len() >= text.len() {
        let Some(first) = text.bytes().next() else { return true };
        let starts = memchr::memchr2_iter(first, first.to_ascii_uppercase(), of.as_bytes());
        return starts
            .into_iter()
            .filter_map(|at| of.as_bytes().get(at..at + text.len()))
            .any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    }
    of.to_lowercase().contains(text)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::item::Value;
    use super::*;
    use crate::signal::Signal;

    fn item() -> Item<'static> {
        Item {
            name: Cow::Borrowed("POST /Cart"),
            service: "checkout",
            kind: "server",
            severity: Some(Severity(17)),
            status: Some("error"),
            duration: Some(250_000_000),
            trace_id: &[0xab; 16],
            span_id: &[1; 8],
            text: Some(Cow::Borrowed("Payment TIMED out after 3 tries")),
            value: Some(1.5),
            attributes: vec![
                ("http.route", Value::Text("/cart")),
                ("status", Value::Text("x")),
                ("n", Value::Number(12.0)),
            ],
            resource: &[("host", Value::Text("a b"))],
            ..Item::of(Signal::Logs)
        }
    }

    #[test]
    fn each_kind_of_term() {
        for (text, holds) in [
            ("", true),
            ("service=checkout", true),
            ("service = checkout", true),
            ("service=cart", false),
            ("service!=cart", true),
            ("service~OUT", true),
            ("service!~out", false),
            ("name~cart", true),
            ("severity>=warn", true),
            ("severity>=error", true),
            ("severity=error", true),
            ("severity>error", false),
            ("severity>warn", true),
            ("severity<=warn", false),
            ("severity<fatal", true),
            ("severity=17", true),
            ("severity=18", false),
            ("severity>=18", false),
            ("error=true", true),
            ("error=false", false),
            ("status=error", true),
            ("status!=error", false),
            ("attributes.status=x", true),
            ("duration>=250ms", true),
            ("duration>0.25s", false),
            ("duration<1m", true),
            ("kind=server", true),
            ("trace=abababababababababababababababab", true),
            ("span=0101010101010101", true),
            ("body~\"timed out\"", true),
            ("value>1", true),
            ("value<=1", false),
            ("http.route=/cart", true),
            ("http.route~CAR", true),
            ("http.route!=/", true),
            ("n=12", true),
            ("n=12.0", true),
            ("n>11", true),
            ("n>=13", false),
            ("n~2", true),
            ("host=\"a b\"", true),
            ("nobody=x", false),
            ("nobody!=x", true),
            ("nobody!~x", true),
            ("nobody>1", false),
            ("\"http.route\"=\"/cart\"", true),
            ("timed", true),
            ("\"TIMED out\"", true),
            ("\"3 tries\" post", true),
            ("refused", false),
            ("service=checkout severity>=warn http.route=/cart timed", true),
            ("service=checkout severity>=warn http.route=/x", false),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.matches(&item()), holds, "{text}");
        }
    }

    #[test]
    fn what_an_item_does_not_have_is_not_compared() {
        let bare = Item::of(Signal::Metrics);
        for text in ["severity<fatal", "severity=info", "duration<1h", "value>0", "body~a", "trace=ab", "error=true"] {
            assert!(!Filter::parse(text).unwrap().matches(&bare), "{text}");
        }
        assert!(Filter::parse("error=false severity!=info").unwrap().matches(&bare));
    }

    #[test]
    fn text_is_found_in_any_case() {
        for (of, text, is) in [
            ("", "", true),
            ("a", "", true),
            ("xÄy", "ä", true),
            ("Straße", "straße", true),
            ("aAb", "ab", true),
            ("a", "ab", false),
        ] {
            assert_eq!(contains(of, text), is, "{of} {text}");
        }
    }
}
