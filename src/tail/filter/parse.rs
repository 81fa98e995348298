//! From a text to the terms of a filter.

use super::{FilterError, Key, Operand, Order, Term};

/// Terms that a filter may have: each costs its time for each item.
const MAX_TERMS: usize = 32;

/// Characters of a filter.
const MAX_CHARS: usize = 4096;

/// The names of severities, each for four numbers from the first on (OpenTelemetry, logs data model, "Severity
/// fields").
const SEVERITIES: [(&str, u8); 8] =
    [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("warning", 13), ("error", 17), ("err", 17), ("fatal", 21)];

/// Units of a length of time, in nanoseconds.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Has,
    HasNot,
    Order(Order),
}

/// Longer ones first: `>` begins `>=`.
const OPERATORS: [(&str, Operator); 8] = [
    ("!=", Operator::IsNot),
    ("!~", Operator::HasNot),
    (">=", Operator::Order(Order::GreaterOrEqual)),
    ("<=", Operator::Order(Order::LessOrEqual)),
    ("=", Operator::Is),
    ("~", Operator::Has),
    (">", Operator::Order(Order::Greater)),
    ("<", Operator::Order(Order::Less)),
];

/// The terms of a filter.
pub fn terms(text: &str) -> Result<Vec<Term>, FilterError> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    if reader.chars.len() > MAX_CHARS {
        return Err(reader.error(0, format!("it is longer than {MAX_CHARS} characters")));
    }
    let mut terms = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.peek().is_none() {
            return Ok(terms);
        }
        if terms.len() == MAX_TERMS {
            return Err(reader.error(reader.at, format!("it has more than {MAX_TERMS} terms")));
        }
        terms.push(reader.term()?);
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn error(&self, at: usize, problem: impl Into<String>) -> FilterError {
        FilterError { at: at + 1, problem: problem.into() }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn term(&mut self) -> Result<Term, FilterError> {
        let start = self.at;
        let (word, is_quoted) = self.word(true)?;
        let end = self.at;
        self.skip_blanks();
        let Some(operator) = self.operator() else {
            // The blanks belong to what comes.
            self.at = end;
            return match word {
                word if word.is_empty() && is_quoted => Err(self.error(start, "an empty text is in everything")),
                word => Ok(Term::Anywhere(word.to_lowercase())),
            };
        };
        if word.is_empty() {
            return Err(self.error(start, "a key is missing before the sign, such as service=checkout"));
        }
        self.skip_blanks();
        let at = self.at;
        if self.peek().is_none() {
            return Err(self.error(at, format!("a value for {word:?} is missing; \"\" is the empty one")));
        }
        let (value, _) = self.word(false)?;
        let key = key(&word);
        match operator {
            Operator::Has | Operator::HasNot => {
                Ok(Term::Has { key, text: value.to_lowercase(), not: operator == Operator::HasNot })
            }
            Operator::Is | Operator::IsNot => {
                let value = operand(&key, &value).map_err(|problem| self.error(at, problem))?;
                Ok(Term::Is { key, value, not: operator == Operator::IsNot })
            }
            Operator::Order(order) => {
                let value = operand(&key, &value).map_err(|problem| self.error(at, problem))?;
                match value {
                    Operand::Text(text, None) => Err(self.error(at, format!("{text:?} is no number to compare with"))),
                    value => Ok(Term::Order { key, order, value }),
                }
            }
        }
    }

    /// A word up to a blank, or, if it is a key, up to an operator; or what is in quotes.
    fn word(&mut self, is_key: bool) -> Result<(String, bool), FilterError> {
        let start = self.at;
        if self.peek() == Some('"') {
            self.at += 1;
            let mut word = String::new();
            while let Some(c) = self.peek() {
                self.at += 1;
                match c {
                    '"' => return Ok((word, true)),
                    '\\' => {
                        word.extend(self.peek());
                        self.at += 1;
                    }
                    c => word.push(c),
                }
            }
            return Err(self.error(start, "the quotation mark is not closed"));
        }
        while self.peek().is_some_and(|c| !c.is_whitespace()) {
            let before = self.at;
            if is_key && self.operator().is_some() {
                self.at = before;
                break;
            }
            self.at += 1;
        }
        Ok((self.chars[start..self.at].iter().collect(), false))
    }

    fn operator(&mut self) -> Option<Operator> {
        let rest = &self.chars[self.at..];
        let starts = |text: &str| text.chars().zip(rest.iter().map(Some).chain([None])).all(|(a, b)| Some(&a) == b);
        let (text, operator) = OPERATORS.iter().find(|(text, _)| starts(text) && text.len() <= rest.len())?;
        self.at += text.len();
        Some(*operator)
    }
}

fn key(word: &str) -> Key {
    match word {
        "service" | "service.name" => Key::Service,
        "name" => Key::Name,
        "severity" | "level" => Key::Severity,
        "status" => Key::Status,
        "error" => Key::Error,
        "duration" => Key::Duration,
        "kind" => Key::Kind,
        "trace" | "trace_id" => Key::Trace,
        "span" | "span_id" => Key::Span,
        "body" => Key::Body,
        "value" => Key::Value,
        other => Key::Attribute(other.strip_prefix("attributes.").unwrap_or(other).to_owned()),
    }
}

fn operand(key: &Key, text: &str) -> Result<Operand, String> {
    let one_of = |known: &[&str], what: &str| match known.contains(&text.to_lowercase().as_str()) {
        true => Ok(Operand::Text(text.to_lowercase(), None)),
        false => Err(format!("{text:?} is no {what}: {}", known.join(", "))),
    };
    match key {
        Key::Severity => severity(text),
        Key::Status => one_of(&["unset", "ok", "error"], "status"),
        Key::Error => one_of(&["true", "false"], "answer to whether it is an error"),
        Key::Duration => duration(text).map(|nanos| Operand::Span(nanos, nanos)),
        Key::Value => match text.parse() {
            Ok(number) => Ok(Operand::Span(number, number)),
            Err(_) => Err(format!("{text:?} is no number")),
        },
        Key::Trace | Key::Span => Ok(Operand::Text(text.to_lowercase(), None)),
        _ => Ok(Operand::Text(text.to_owned(), text.parse().ok())),
    }
}

fn severity(text: &str) -> Result<Operand, String> {
    if let Some((_, first)) = SEVERITIES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
        return Ok(Operand::Span(f64::from(*first), f64::from(*first + 3)));
    }
    match text.parse::<u8>() {
        Ok(number) if (1..=24).contains(&number) => Ok(Operand::Span(f64::from(number), f64::from(number))),
        _ => Err(format!("{text:?} is no severity: trace, debug, info, warn, error, fatal, or 1 to 24")),
    }
}

fn duration(text: &str) -> Result<f64, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = text[..text.len() - unit.len()].parse::<f64>();
    match (number, UNITS.iter().find(|(name, _)| *name == unit)) {
        (Ok(number), Some((_, nanos))) => Ok(number * nanos),
        _ => Err(format!("{text:?} is no length of time, expected such as 250ms: ns, us, ms, s, m, h")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, at, problem) in [
            ("=x", 1, "a key is missing"),
            ("a=b  >3", 6, "a key is missing"),
            ("service=", 9, "a value for \"service\" is missing"),
            ("service= ", 10, "a value for \"service\" is missing"),
            ("service=a severity>=wrn", 21, "\"wrn\" is no severity"),
            ("severity=25", 10, "no severity"),
            ("duration>5", 10, "no length of time"),
            ("duration>5xs", 10, "no length of time"),
            ("status=bad", 8, "no status"),
            ("error=yes", 7, "true, false"),
            ("ä=ö http.route>/x", 16, "\"/x\" is no number"),
            ("value~1 value=one", 15, "no number"),
            ("\"open", 1, "not closed"),
            ("a=\"open", 3, "not closed"),
            ("\"\"", 1, "an empty text"),
            (&"x ".repeat(33), 65, "more than 32 terms"),
            (&"x".repeat(4097), 1, "longer than 4096"),
        ] {
            let error = Filter::parse(text).expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
            assert!(error.to_string().contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn words_and_quotes() {
        let is = |key: &str, value: &str| Term::Is {
            key: Key::Attribute(key.to_owned()),
            value: Operand::Text(value.to_owned(), value.parse().ok()),
            not: false,
        };
        for (text, term) in [
            ("a=b=c", is("a", "b=c")),
            ("a=\"b \\\" c\\\\\"", is("a", "b \" c\\")),
            ("\"a b\"=c", is("a b", "c")),
            ("a=\"\"", is("a", "")),
            ("attributes.service=x", is("service", "x")),
            ("hello!", Term::Anywhere("hello!".to_owned())),
            ("\"A=b\"", Term::Anywhere("a=b".to_owned())),
        ] {
            assert_eq!(terms(text), Ok(vec![term]), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC{0,60}|[a-c=!~<>\" \\\\]{0,20}") {
            if let Err(error) = Filter::parse(&text) {
                assert!(error.at >= 1 && error.at <= text.chars().count() + 1, "{error}");
            }
        }
    }
}
