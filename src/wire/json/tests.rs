//! What real senders write, what the specification says, and everything else that may come.

mod against_serde;
mod faults;
mod quirks;
mod write;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::JsonError;
use crate::signal::Signal;
use crate::wire::check_otlp;

/// The protobuf of a translation.
fn translate(signal: Signal, json: &[u8]) -> Result<Vec<u8>, JsonError> {
    super::translate(signal, json).map(|translated| translated.payload)
}

/// Translates, checks that the result is well formed, and decodes it.
fn decode<M: Message + Default>(signal: Signal, json: &str) -> M {
    let payload = translate(signal, json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"));
    check_otlp(signal, &payload).unwrap_or_else(|error| panic!("{error}: {json}"));
    M::decode(&payload[..]).expect("decodes")
}

/// The one span with these fields.
fn span(fields: &str) -> Span {
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
    let mut request: ExportTraceServiceRequest = decode(Signal::Traces, &json);
    request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

/// The attribute value that is written so.
fn value(json: &str) -> Option<Value> {
    let mut span = span(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#));
    span.attributes.remove(0).value.and_then(|value| value.value)
}

/// The message with which the span with these fields is refused.
fn refused(fields: &str) -> String {
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
    let error = translate(Signal::Traces, json.as_bytes()).expect_err("refused").to_string();
    assert!(error.contains(", at line 1 column "), "{error}");
    error
}

#[test]
fn the_example_of_the_specification() {
    let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
        "scopeSpans":[{"scope":{"name":"my.library","version":"1.0.0","attributes":[{"key":"my.scope.attribute",
        "value":{"stringValue":"some scope attribute"}}]},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173","name":"I'm a server span",
        "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","kind":2,
        "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}]}]}]}]}"#;
    let request: ExportTraceServiceRequest = decode(Signal::Traces, json);
    let theirs: ExportTraceServiceRequest = serde_json::from_str(json).expect("good");
    assert_eq!(request, theirs);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.trace_id[..3], [0x5b, 0x8e, 0xff]);
    assert_eq!((span.start_time_unix_nano, span.kind), (1_544_712_660_000_000_000, 2));
}

#[test]
fn metrics() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"g","gauge":{"dataPoints":[{"asDouble":"NaN"},{"asDouble":"1.5"},{"asInt":"-7","timeUnixNano":12,"flags":1}]}},
        {"name":"h","histogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[
            {"count":"3","sum":0,"min":null,"bucketCounts":["1",2],"explicitBounds":[0.1],"exemplars":[{"asInt":3,"spanId":"0102030405060708"}]}]}},
        {"name":"e","exponentialHistogram":{"dataPoints":[{"scale":-3,"zeroCount":"1","positive":{"offset":-2,"bucketCounts":["18446744073709551615",0]}}]}},
        {"name":"s","summary":{"dataPoints":[{"count":2,"sum":3,"quantileValues":[{"quantile":0.5,"value":"Infinity"}]}]}},
        {"name":"c","sum":{"isMonotonic":true,"dataPoints":[]}}]}]}]}"#;
    let request: ExportMetricsServiceRequest = decode(Signal::Metrics, json);
    let text = format!("{:?}", request.resource_metrics[0].scope_metrics[0].metrics);
    for expected in [
        "AsDouble(NaN)",
        "AsDouble(1.5)",
        "AsInt(-7)",
        "sum: Some(0.0), bucket_counts: [1, 2], explicit_bounds: [0.1]",
        "min: None",
        "aggregation_temporality: Delta",
        "scale: -3",
        "offset: -2, bucket_counts: [18446744073709551615, 0]",
        "ValueAtQuantile { quantile: 0.5, value: inf }",
        "is_monotonic: true",
        "span_id: [1, 2, 3, 4, 5, 6, 7, 8]",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(check_otlp(Signal::Metrics, &request.encode_to_vec()).map(|summary| summary.items), Ok(6));
}

#[test]
fn logs() {
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","observedTimeUnixNano":2,
        "severityNumber":"SEVERITY_NUMBER_WARN2","severityText":"WARN","body":{"kvlistValue":{"values":[{"key":"a","value":{"bytesValue":"AQID"}}]}},
        "flags":1,"traceId":"","spanId":"0A","eventName":"order"}]}]}]}"#;
    let request: ExportLogsServiceRequest = decode(Signal::Logs, json);
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano, record.severity_number), (1, 2, 14));
    assert_eq!((&record.trace_id[..], &record.span_id[..], &record.event_name[..]), (&[][..], &[10][..], "order"));
    assert!(format!("{:?}", record.body).contains("BytesValue([1, 2, 3])"));
}

#[test]
fn profiles() {
    let json = r#"{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"sampleType":{"typeStrindex":1,"unitStrindex":2},
        "samples":[{"stackIndex":1,"attributeIndices":[1,2],"linkIndex":1,"values":["5",6],"timestampsUnixNano":["7",8]}],
        "timeUnixNano":"9","durationNano":"10","period":"11","profileId":"0102","originalPayload":"_-8","attributeIndices":[]}]}]}],
        "dictionary":{"stringTable":["","cpu","nanoseconds"],"linkTable":[{},{"traceId":"ff","spanId":"00"}],
        "locationTable":[{"address":"18446744073709551615","lines":[{"functionIndex":1,"line":"-1"}]}],
        "stackTable":[{"locationIndices":[0]}],"attributeTable":[{"keyStrindex":1,"value":{"intValue":"3"},"unitStrindex":2}],
        "mappingTable":[{"memoryStart":"1"}],"functionTable":[{"nameStrindex":1}]}}"#;
    let request: ExportProfilesServiceRequest = decode(Signal::Profiles, json);
    let profile = &request.resource_profiles[0].scope_profiles[0].profiles[0];
    let sample = &profile.samples[0];
    assert_eq!((sample.stack_index, sample.link_index), (1, 1));
    assert_eq!((&sample.values[..], &sample.timestamps_unix_nano[..]), (&[5, 6][..], &[7, 8][..]));
    assert_eq!((&profile.profile_id[..], &profile.original_payload[..]), (&[1, 2][..], &[0xff, 0xef][..]));
    let dictionary = request.dictionary.expect("is there");
    assert_eq!(dictionary.string_table, ["", "cpu", "nanoseconds"]);
    assert_eq!((dictionary.link_table.len(), &dictionary.link_table[1].trace_id[..]), (2, &[0xff][..]));
    assert_eq!(dictionary.location_table[0].address, u64::MAX);
    assert_eq!(dictionary.location_table[0].lines[0].line, -1);
}

#[test]
fn broken_text_is_replaced_wherever_it_is() {
    for (text, read) in [
        (r"ok \ud83d\ude00", "ok \u{1f600}"),
        (r"cut \ud83d", "cut \u{fffd}"),
        (r"\ude00 cut", "\u{fffd} cut"),
        (r"\ud83dA", "\u{fffd}A"),
        (r"\ud83d\n", "\u{fffd}\n"),
    ] {
        assert_eq!(span(&format!(r#""name":"{text}""#)).name, read);
    }
    let key = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a\ud83d"}],"other":"\ud83d"}]}]}]}"#;
    let translated = super::translate(Signal::Traces, key.as_bytes()).expect("taken");
    assert_eq!(translated.replaced, 2);
    let request = ExportTraceServiceRequest::decode(&translated.payload[..]).expect("valid");
    assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].attributes[0].key, "a\u{fffd}");
    let raw = b"{\"resourceSpans\":[{\"schemaUrl\":\"\xff\"}]}";
    let translated = super::translate(Signal::Traces, raw).expect("taken");
    assert_eq!((translated.replaced, translated.unknown), (1, None));
}

#[test]
fn the_first_unknown_name_is_told_with_its_place() {
    let unknown = |json: &str| super::translate(Signal::Traces, json.as_bytes()).expect("taken").unknown;
    assert_eq!(unknown(r#"{"resourceLogs":[],"x":1}"#).as_deref(), Some("resourceLogs"));
    let nested = r#"{"resourceSpans":[{},{"scopespans":[{"spans":[{}]}]}]}"#;
    assert_eq!(unknown(nested).as_deref(), Some("resourceSpans[1].scopespans"));
    assert_eq!(unknown(r#"{"resourceSpans":[]}"#), None);
}
