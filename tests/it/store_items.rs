//! What one item that cannot be stored costs: itself, and nothing beside it.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use vispyr::store::protocol::Part;

use crate::store::rig::{EngineProcess, LOG, Sender, traces};

/// A span; its attribute is nested in so many lists.
pub fn span(name: &str, depth: usize) -> Span {
    let leaf = AnyValue { value: Some(Value::IntValue(1)) };
    let value = (0..depth)
        .fold(leaf, |inner, _| AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![inner] })) });
    Span {
        name: name.to_owned(),
        start_time_unix_nano: 1_767_225_600_000_000_000,
        attributes: vec![KeyValue { key: "deep".to_owned(), value: Some(value), ..KeyValue::default() }],
        ..Span::default()
    }
}

#[test]
fn an_item_that_cannot_be_stored_is_set_aside_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut sender = Sender::connect(&engine, LOG, 1);
    // The receivers refuse what is nested so deeply; a log may hold it all the same.
    let spans = vec![span("before", 1), span("odd", 300), span("after", 1)];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    assert!(sender.send(traces(0, 3, request.encode_to_vec().into())));
    assert!(sender.wait(|h| h.visible == 1), "{:?}", sender.heard());
    assert_eq!(engine.count("SELECT count(*) FROM spans WHERE name IN ('before', 'after')"), 2);
    assert_eq!(engine.count("SELECT count(*) FROM spans"), 2);
    let stats = engine.stats().signals.remove(0);
    assert_eq!((stats.records, stats.items, stats.undecodable_records, stats.undecodable_items), (1, 2, 0, 1));
    assert!(stats.last_undecodable.unwrap().ends_with("item 1: nested too deeply"));
    let heard = sender.heard();
    let [note] = &heard.aside[..] else { panic!("{heard:?}") };
    assert_eq!((note.log, note.position.0, &note.part), (LOG, 0, &Part::Items(vec![1])));
}
