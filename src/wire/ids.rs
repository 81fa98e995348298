//! Spans whose ids are not what OTLP asks for: 16 and 8 bytes, not all zero.
//!
//! The OTLP specification lets a receiver drop such spans ("trace_id", "span_id" in trace.proto).
//! We keep them as they are, and count them.

use super::likely::{items, last};

/// How many spans of a trace request that the walk has accepted have an invalid trace or span id.
pub fn spans_with_invalid_ids(payload: &[u8]) -> u64 {
    items(payload).filter(|span| !has_valid_ids(span)).count() as u64
}

/// Whether an encoded span has both ids as OTLP asks for them.
pub(super) fn has_valid_ids(span: &[u8]) -> bool {
    // As every encoder writes it: both ids first, and no second of the kind after them.
    if let [0x0a, 16, trace @ ..] = span
        && let Some((trace, [0x12, 8, id @ ..])) = trace.split_first_chunk::<16>()
        && let Some(id) = id.first_chunk::<8>()
        && u128::from_ne_bytes(*trace) != 0
        && u64::from_ne_bytes(*id) != 0
    {
        return true;
    }
    let valid = |id: &[u8], length| id.len() == length && id.iter().any(|&byte| byte != 0);
    valid(last(span, 1), 16) && valid(last(span, 2), 8)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::*;

    fn count(ids: &[(&[u8], &[u8])]) -> u64 {
        let span = |(trace_id, span_id): &(&[u8], &[u8])| Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            name: "x".to_owned(),
            ..Default::default()
        };
        let scope = ScopeSpans { spans: ids.iter().map(span).collect(), ..Default::default() };
        let resource = ResourceSpans { scope_spans: vec![scope.clone(), scope], ..Default::default() };
        spans_with_invalid_ids(&ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec())
    }

    #[test]
    fn zero_short_long_and_missing_ids_are_counted() {
        let (trace, id) = (&[7; 16][..], &[7; 8][..]);
        assert_eq!(count(&[(trace, id), (trace, id)]), 0);
        for bad in [
            (&[0; 16][..], id),
            (&[][..], id),
            (&[7; 15], id),
            (&[7; 17], id),
            (trace, &[0; 8]),
            (trace, &[]),
            (trace, trace),
        ] {
            assert_eq!(count(&[(trace, id), bad]), 2, "{bad:?}");
        }
    }

    #[test]
    fn ids_may_come_in_any_order() {
        let (mut trace, mut id) = (vec![0x0a, 16], vec![0x12, 8]);
        trace.extend([7; 16]);
        id.extend([7; 8]);
        assert!(has_valid_ids(&[id.clone(), trace.clone()].concat()));
        assert!(has_valid_ids(&[vec![0x0a, 0], trace.clone(), id.clone()].concat()));
        assert!(!has_valid_ids(&[id, trace, vec![0x12, 0]].concat()));
    }
}
