//! Small bodies that would decode to gigabytes.

use opentelemetry_proto::tonic::trace::v1::Span;

use super::{Reason, Signal, check_otlp, delimited};
use crate::wire::Limits;

fn refused(signal: Signal, path: &[u32], field: &[u8], size: usize) {
    let inner = field.repeat(size / field.len());
    let payload = path.iter().rev().fold(inner, |inner, &tag| delimited(tag, &inner));
    let error = check_otlp(signal, &payload).expect_err("refused");
    let Reason::DecodedTooLarge { cost, limit } = error.reason else { panic!("{error}") };
    assert!(cost > limit);
    assert!(limit <= Limits::DECODED);
    assert!(error.to_string().starts_with("body would take about "), "{error}");
}

#[test]
fn empty_messages_are_refused() {
    const MIB: usize = 1 << 20;
    refused(Signal::Traces, &[1, 2], &[0x12, 0x00], MIB);
    refused(Signal::Traces, &[1, 2], &[0x12, 0x00], 64 * MIB);
    refused(Signal::Traces, &[1, 2, 2], &[0x4a, 0x00], 64 * MIB);
    refused(Signal::Traces, &[], &[0x0a, 0x00], 64 * MIB);
    refused(Signal::Metrics, &[1, 2, 2, 5], &[0x0a, 0x00], MIB);
    refused(Signal::Logs, &[1, 2], &[0x12, 0x00], MIB);
    refused(Signal::Profiles, &[1, 2], &[0x12, 0x00], MIB);
    refused(Signal::Profiles, &[2], &[0x12, 0x00], MIB);
}

#[test]
fn a_few_empty_messages_are_not() {
    let spans = delimited(1, &delimited(2, &[0x12, 0x00].repeat(1000)));
    let summary = check_otlp(Signal::Traces, &spans).expect("accepted");
    assert_eq!(summary.items, 1000);
    assert!(summary.decoded_cost >= 1000 * size_of::<Span>() as u64);
}

#[test]
fn strings_and_numbers_cost_about_what_they_take() {
    // 4096 bucket counts, packed: 8 bytes each.
    let point = delimited(8, &delimited(2, &[1; 4096]));
    let payload = [1, 2, 2, 10, 1].iter().rev().fold(point, |inner, &tag| delimited(tag, &inner));
    let summary = check_otlp(Signal::Metrics, &payload).expect("accepted");
    assert!((8 * 4096..8 * 4096 + 8192).contains(&summary.decoded_cost), "{summary:?}");

    // 1000 empty strings in the dictionary.
    let payload = delimited(2, &[0x2a, 0x00].repeat(1000));
    let summary = check_otlp(Signal::Profiles, &payload).expect("accepted");
    assert!((24_000..30_000).contains(&summary.decoded_cost), "{summary:?}");
}

#[test]
fn a_plain_attribute_costs_what_any_other_does() {
    let request =
        |attribute: &[u8]| [1, 2, 2, 9].iter().rev().fold(attribute.to_vec(), |inner, &tag| delimited(tag, &inner));
    let cost = |attribute: &[u8]| {
        let payload = request(attribute);
        let summary = check_otlp(Signal::Traces, &payload).expect("accepted");
        summary.decoded_cost - payload.len() as u64
    };
    let plain = b"\x0a\x01k\x12\x03\x0a\x01v";
    // The value first; a length of two bytes; not ASCII; another kind.
    for other in
        [&b"\x12\x03\x0a\x01v\x0a\x01k"[..], b"\x0a\x81\x00k\x12\x03\x0a\x01v", b"\x0a\x02\xc3\xa4\x12\x02\x18\x00"]
    {
        assert_eq!(cost(plain), cost(other), "{other:02x?}");
    }
    for number in [&b"\x0a\x01k\x12\x03\x18\x80\x01"[..], b"\x0a\x00\x12\x09\x21\x00\x00\x00\x00\x00\x00\x00\x00"] {
        assert_eq!(cost(plain), cost(number), "{number:02x?}");
    }
}
