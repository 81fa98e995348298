//! Strings that are not UTF-8, repaired: U+FFFD takes the place of what is wrong.
//!
//! Text that is cut in the middle of a character is common (a limit in bytes, Latin-1 in a path or
//! a symbol). Decoders refuse a whole message for it, and so do many destinations. The OpenTelemetry
//! Collector takes such a request, so we take it too; what goes on to the log is repaired, so that
//! every reader behind it gets a valid message.

use super::descriptor::{Kind, Message};
use super::fields::{Fields, Value};
use super::primitive::is_utf8;
use super::{otlp, pprof, push, remote_write};
use crate::signal::Signal;

/// The same OTLP request with U+FFFD in its strings where they are not UTF-8.
///
/// All of the functions here are for payloads that the walk has accepted.
pub fn repair_otlp(signal: Signal, payload: &[u8]) -> Vec<u8> {
    repair(otlp::request(signal), payload)
}

/// The same for a `prometheus.WriteRequest`.
pub fn repair_remote_write_v1(payload: &[u8]) -> Vec<u8> {
    repair(&remote_write::V1_REQUEST, payload)
}

/// The same for an `io.prometheus.write.v2.Request`.
pub fn repair_remote_write_v2(payload: &[u8]) -> Vec<u8> {
    repair(&remote_write::V2_REQUEST, payload)
}

/// The same for a pprof profile, decompressed.
pub fn repair_pprof(payload: &[u8]) -> Vec<u8> {
    repair(&pprof::PROFILE, payload)
}

/// The same for a `push.v1.PushRequest`. The profiles in it stay as they are.
pub fn repair_push_request(payload: &[u8]) -> Vec<u8> {
    repair(&push::REQUEST, payload)
}

pub(super) fn repair(message: &'static Message, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 64);
    append(message, payload, &mut out);
    out
}

/// Messages are nested no deeper than the walk allows.
fn append(message: &'static Message, payload: &[u8], out: &mut Vec<u8>) {
    let mut fields = Fields(payload);
    loop {
        let before = fields.0;
        let Some((tag, value)) = fields.next() else { return };
        let kind = message.fields.iter().find(|field| field.tag == tag).map(|field| field.kind);
        match (kind, value) {
            (Some(Kind::String), Value::Bytes(text)) if !is_utf8(text) => {
                put(tag, String::from_utf8_lossy(text).as_bytes(), out);
            }
            (Some(Kind::Message(child)), Value::Bytes(content)) => put(tag, &repair(child, content), out),
            _ => out.extend_from_slice(&before[..before.len() - fields.0.len()]),
        }
    }
}

fn put(tag: u32, content: &[u8], out: &mut Vec<u8>) {
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    use super::*;
    use crate::wire::check_otlp;
    use crate::wire::tests::delimited;

    #[test]
    fn only_what_is_wrong_is_replaced() {
        // An unknown group and an unknown number stand beside the name.
        let span =
            [delimited(5, b"caf\xe9 \xf0\x9f"), vec![0xa3, 0x06, 0x08, 1, 0xa4, 0x06], vec![0xa8, 0x06, 5]].concat();
        let wrap = |span: &[u8]| delimited(1, &delimited(2, &delimited(2, span)));
        let payload = wrap(&span);
        let summary = check_otlp(Signal::Traces, &payload).expect("accepted");
        assert_eq!((summary.items, summary.damaged_strings, summary.unknown_fields), (1, 1, 2));
        assert!(ExportTraceServiceRequest::decode(&payload[..]).is_err());
        let repaired = repair_otlp(Signal::Traces, &payload);
        let name = "caf\u{fffd} \u{fffd}";
        assert_eq!(repaired, wrap(&[delimited(5, name.as_bytes()), span[9..].to_vec()].concat()));
        assert_eq!(check_otlp(Signal::Traces, &repaired).map(|s| s.damaged_strings), Ok(0));
        let decoded = ExportTraceServiceRequest::decode(&repaired[..]).expect("valid");
        assert_eq!(decoded.resource_spans[0].scope_spans[0].spans[0].name, name);
    }
}
