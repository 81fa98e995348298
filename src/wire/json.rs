//! OTLP/JSON and Pyroscope's push in JSON to protobuf, so that everything after it has one encoding.
//!
//! Driven by the same tables as the walk, and streaming: what the parser reads is written as
//! protobuf at once, no tree of values is built. `opentelemetry-proto`'s own JSON refuses or
//! misreads what real senders and the Collector write, so the rules here are those of the OTLP
//! specification ("JSON Protobuf Encoding") and of the Collector where it is more lenient:
//!
//! * names in lowerCamelCase or as the `.proto` has them; unknown ones are ignored;
//! * trace, span and profile ids in hex, upper or lower case, of any even length;
//! * bytes in base64, either alphabet, padded or not;
//! * integers as numbers or strings, `1.0` and `1e3` too; out of range is an error;
//! * enumerations as numbers or names;
//! * doubles as numbers or strings, `"NaN"`, `"Infinity"` and `"-Infinity"` among them;
//! * `null` is a field that is not there, a `null` in a list of messages an empty message. But a
//!   `null` where a double is the value itself (`asDouble`, `doubleValue`, a list of doubles) is
//!   an error, as in the Collector: it would silently make a point without a value;
//! * a name that occurs twice: the last one wins, lists are joined (as in the Collector);
//! * messages nested deeper than 100 levels are refused, as in protobuf;
//! * U+FFFD takes the place of bytes that are no UTF-8 and of lone surrogates (as in the Collector).
//!
//! Doubles keep every bit (serde_json's `float_roundtrip`). A result is at most about four times
//! as long as its JSON (`0,` in a list of doubles); mostly it is a third of it.

mod field;
mod id;
mod message;
mod output;
mod repair;
mod scalar;

use std::fmt;

use crate::signal::Signal;
use crate::wire::descriptor::Message;
use crate::wire::{otlp, push};
use message::{Root, Translation};
use serde::de::DeserializeSeed;

/// JSON that is refused: what is wrong, in which field, at which line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct JsonError {
    /// The field, such as `resourceSpans[0].scopeSpans[2].spans[17].traceId`; empty for the
    /// request itself.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1; 0 if nothing of the line has been read.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}, at line {} column {}", self.message, self.line, self.column)
    }
}

/// What came out of a translation.
#[derive(Debug)]
pub struct Translated {
    /// The request in protobuf.
    pub payload: Vec<u8>,
    /// Places in which U+FFFD stands for broken text.
    pub replaced: u64,
    /// The first name that is no field of its message, with the path to it.
    pub unknown: Option<String>,
}

/// Translates an OTLP/JSON export request of this signal into protobuf.
///
/// What comes out is well formed ([`crate::wire::check_otlp`]); it may still decode to too much.
///
/// # Errors
/// When `body` is not JSON, or a field of it does not hold what it should.
pub fn translate(signal: Signal, body: &[u8]) -> Result<Translated, JsonError> {
    translate_message(otlp::request(signal), body)
}

/// Translates the JSON of a `push.v1.PushRequest` into protobuf.
///
/// # Errors
/// As [`translate`].
pub fn translate_push_request(body: &[u8]) -> Result<Translated, JsonError> {
    translate_message(&push::REQUEST, body)
}

fn translate_message(message: &'static Message, body: &[u8]) -> Result<Translated, JsonError> {
    translate_text(message, body).or_else(|error| {
        // Broken text is rare: only a body that was refused is searched for it.
        let (repaired, replaced) = repair::repair(body).ok_or(error)?;
        translate_text(message, &repaired).map(|translated| Translated { replaced, ..translated })
    })
}

fn translate_text(message: &'static Message, body: &[u8]) -> Result<Translated, JsonError> {
    let mut translation = Translation::new(body.len());
    let mut json = serde_json::Deserializer::from_slice(body);
    // The translation has its own limit, which counts as protobuf does. What it does not know it
    // skips, and serde_json skips without recursion.
    json.disable_recursion_limit();
    let result = Root { message, to: &mut translation }.deserialize(&mut json);
    match result.and_then(|()| json.end()) {
        Ok(()) => {
            let (payload, unknown) = translation.into_output();
            Ok(Translated { payload, replaced: 0, unknown })
        }
        Err(error) => Err(JsonError::new(&error, translation.path())),
    }
}

impl JsonError {
    #[cold]
    fn new(error: &serde_json::Error, path: String) -> Self {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let place = format!(" at line {line} column {column}");
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        JsonError { path, line, column, message }
    }
}

#[cfg(test)]
mod tests;
