//! Random payloads written as JSON in every way that is allowed, and translated back.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::descriptor::{Field, Kind, Message as Descriptor, wire_type};
use crate::wire::otlp;
use crate::wire::primitive::{delimited, varint};
use crate::wire::tests::generate::{self, Entropy};

/// Writes an encoded message as JSON; `style` makes the choices.
fn message(descriptor: &'static Descriptor, mut bytes: &[u8], style: &mut Entropy<'_>, out: &mut String) {
    out.push('{');
    let mut first = true;
    while let Some((key, body)) = varint(bytes) {
        let (wire, tag) = ((key & 7) as u8, (key >> 3) as u32);
        let (value, rest) = split(wire, body);
        bytes = rest;
        let Some(field) = descriptor.fields.iter().find(|field| field.tag == tag) else {
            separate(&mut first, out);
            out.push_str(
                ["\"unknown\":{\"a\":[1,{}]}", "\"\":null", "\"x y\":\"\\u0000\""][usize::from(style.next() % 3)],
            );
            continue;
        };
        separate(&mut first, out);
        name(field.name, style, out);
        out.push(':');
        if !field.repeated {
            single(field, value, style, out);
        } else if wire == wire_type::LEN && field.kind.packable() {
            list(field, value, style, out);
        } else {
            out.push('[');
            single(field, value, style, out);
            out.push(']');
        }
        if style.next() % 7 == 3 {
            out.push_str(",\n \"later\" : null");
        }
    }
    out.push('}');
}

fn separate(first: &mut bool, out: &mut String) {
    if !std::mem::replace(first, false) {
        out.push(',');
    }
}

/// The bytes of a value, and what follows it.
fn split(wire: u8, body: &[u8]) -> (&[u8], &[u8]) {
    match wire {
        wire_type::VARINT => {
            let (_, rest) = varint(body).expect("well formed");
            (&body[..body.len() - rest.len()], rest)
        }
        wire_type::FIXED64 => body.split_at(8),
        wire_type::FIXED32 => body.split_at(4),
        wire_type::LEN => delimited(body).expect("well formed"),
        _ => {
            let mut rest = body;
            let mut open = 1;
            while open > 0 {
                let (key, body) = varint(rest).expect("well formed");
                rest = body;
                match (key & 7) as u8 {
                    wire_type::START_GROUP => open += 1,
                    wire_type::END_GROUP => open -= 1,
                    wire => rest = split(wire, body).1,
                }
            }
            (&[], rest)
        }
    }
}

fn name(snake: &str, style: &mut Entropy<'_>, out: &mut String) {
    let mut camel = String::new();
    for (n, word) in snake.split('_').enumerate() {
        let (head, tail) = word.split_at(1);
        camel.push_str(&if n == 0 { head.to_owned() } else { head.to_uppercase() });
        camel.push_str(tail);
    }
    let _ = write!(out, "\"{}\"", if style.next() % 4 == 1 { snake } else { &camel });
}

fn list(field: &Field, mut values: &[u8], style: &mut Entropy<'_>, out: &mut String) {
    out.push('[');
    let mut first = true;
    while !values.is_empty() {
        let (value, rest) = split(field.kind.wire_type(), values);
        separate(&mut first, out);
        single(field, value, style, out);
        values = rest;
    }
    out.push(']');
}

fn single(field: &Field, value: &[u8], style: &mut Entropy<'_>, out: &mut String) {
    let number = || varint(value).expect("well formed").0;
    let fixed = || u64::from_le_bytes(value.try_into().expect("eight bytes"));
    let unzigzag = |n: u64| (n >> 1) as i64 ^ -((n & 1) as i64);
    match field.kind {
        Kind::Message(child) => message(child, value, style, out),
        Kind::String => out.push_str(&serde_json::to_string(std::str::from_utf8(value).expect("text")).expect("text")),
        Kind::Id => {
            out.push('"');
            for byte in value {
                let _ =
                    if style.next().is_multiple_of(2) { write!(out, "{byte:02x}") } else { write!(out, "{byte:02X}") };
            }
            out.push('"');
        }
        Kind::Bytes => {
            let engine = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD][usize::from(style.next() % 4)].clone();
            let _ = write!(out, "\"{}\"", engine.encode(value));
        }
        Kind::Bool => out.push_str(if number() == 0 { "false" } else { "true" }),
        Kind::Double => double(f64::from_bits(fixed()), style, out),
        Kind::Enum(names) => {
            let number = number() as i32;
            match names.iter().find(|(_, value)| *value == number) {
                Some((name, _)) if style.next().is_multiple_of(2) => drop(write!(out, "\"{name}\"")),
                _ => integer(number, style, out),
            }
        }
        Kind::Int32 => integer(number() as i32, style, out),
        Kind::Int64 => integer(number() as i64, style, out),
        Kind::Uint32 => integer(number() as u32, style, out),
        Kind::Uint64 => integer(number(), style, out),
        Kind::Sint32 => integer(unzigzag(u64::from(number() as u32)), style, out),
        Kind::Sint64 => integer(unzigzag(number()), style, out),
        Kind::Fixed32 => integer(u32::from_le_bytes(value.try_into().expect("four bytes")), style, out),
        Kind::Fixed64 => integer(fixed(), style, out),
        Kind::Sfixed64 => integer(fixed() as i64, style, out),
    }
}

fn integer(number: impl std::fmt::Display, style: &mut Entropy<'_>, out: &mut String) {
    let _ = if style.next().is_multiple_of(2) { write!(out, "{number}") } else { write!(out, "\"{number}\"") };
}

fn double(number: f64, style: &mut Entropy<'_>, out: &mut String) {
    let _ = match number {
        n if n.is_nan() => write!(out, "\"NaN\""),
        n if n.is_infinite() => write!(out, "\"{}Infinity\"", if n < 0.0 { "-" } else { "" }),
        n if style.next().is_multiple_of(3) => write!(out, "\"{n:e}\""),
        n if style.next().is_multiple_of(2) => write!(out, "{n:?}"),
        n => write!(out, "{n:e}"),
    };
}

/// Every NaN as the one that JSON can say: compares what was decoded, written out.
fn same(signal: Signal, a: &[u8], b: &[u8]) -> bool {
    fn text<M: Message + Default + std::fmt::Debug>(bytes: &[u8]) -> String {
        format!("{:?}", M::decode(bytes).expect("decodes"))
    }
    match signal {
        Signal::Traces => text::<ExportTraceServiceRequest>(a) == text::<ExportTraceServiceRequest>(b),
        Signal::Metrics => text::<ExportMetricsServiceRequest>(a) == text::<ExportMetricsServiceRequest>(b),
        Signal::Logs => text::<ExportLogsServiceRequest>(a) == text::<ExportLogsServiceRequest>(b),
        Signal::Profiles => text::<ExportProfilesServiceRequest>(a) == text::<ExportProfilesServiceRequest>(b),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_written_is_read(
        signal in prop::sample::select(&Signal::ALL[..]),
        entropy in vec(any::<u8>(), 0..500),
        style in vec(any::<u8>(), 0..300),
    ) {
        let payload = generate::message(otlp::request(signal), &mut Entropy(&entropy), 10);
        let mut json = String::new();
        message(otlp::request(signal), &payload, &mut Entropy(&style), &mut json);
        let translated = translate(signal, json.as_bytes());
        let translated = translated.unwrap_or_else(|error| panic!("{error}: {json}"));
        prop_assert!(check_otlp(signal, &translated).is_ok());
        prop_assert!(same(signal, &payload, &translated), "{json}");
    }
}
