//! What is written differently by different senders.

use super::*;

#[test]
fn empty_lists_and_maps() {
    assert!(matches!(value(r#"{"arrayValue":{}}"#), Some(Value::ArrayValue(list)) if list.values.is_empty()));
    assert!(matches!(value(r#"{"kvlistValue":{}}"#), Some(Value::KvlistValue(list)) if list.values.is_empty()));
    assert!(
        matches!(value(r#"{"arrayValue":{"values":[]}}"#), Some(Value::ArrayValue(list)) if list.values.is_empty())
    );
    assert!(
        matches!(value(r#"{"arrayValue":{"values":[{},null]}}"#), Some(Value::ArrayValue(list)) if list.values.len() == 2)
    );
    assert_eq!(value("{}"), None);
    assert_eq!(value("null"), None);
}

#[test]
fn nothing_at_all() {
    for (signal, name) in
        Signal::ALL.into_iter().zip(["resourceSpans", "resourceMetrics", "resourceLogs", "resourceProfiles"])
    {
        for json in ["{}".to_owned(), format!(r#"{{"{name}":null}}"#), format!(r#"{{"{name}":[]}}"#)] {
            assert_eq!(translate(signal, json.as_bytes()), Ok(Vec::new()), "{json}");
        }
    }
}

#[test]
fn null_is_a_field_that_is_not_there() {
    let span = span(
        r#""traceId":null,"name":null,"kind":null,"startTimeUnixNano":null,"attributes":null,"events":null,"status":null,"flags":null"#,
    );
    assert_eq!(span, Span::default());
    assert_eq!(value(r#"{"stringValue":null}"#), None);
    assert_eq!(value(r#"{"arrayValue":null}"#), None);
}

#[test]
fn integers() {
    let int = |json: &str| match value(&format!(r#"{{"intValue":{json}}}"#)) {
        Some(Value::IntValue(number)) => number,
        other => panic!("{json}: {other:?}"),
    };
    for (json, number) in [
        ("7", 7),
        (r#""7""#, 7),
        (r#""-9223372036854775808""#, i64::MIN),
        ("-9223372036854775808", i64::MIN),
        ("9223372036854775807", i64::MAX),
        ("9007199254740993", 9_007_199_254_740_993),
        ("1.0", 1),
        ("-2e3", -2000),
        ("-0", 0),
    ] {
        assert_eq!(int(json), number);
    }
    for json in ["1e+21", "9223372036854775808", "1.5", r#""1.5""#, r#""""#, r#"" 7""#, "true", "[1]", "{}"] {
        refused(&format!(r#""attributes":[{{"value":{{"intValue":{json}}}}}]"#));
    }
    assert_eq!(span(r#""startTimeUnixNano":18446744073709551615"#).start_time_unix_nano, u64::MAX);
    assert_eq!(span(r#""droppedLinksCount":"4294967295","flags":257"#).flags, 257);
    refused(r#""startTimeUnixNano":-1"#);
    refused(r#""droppedLinksCount":4294967296"#);
}

#[test]
fn doubles() {
    let double = |json: &str| match value(&format!(r#"{{"doubleValue":{json}}}"#)) {
        Some(Value::DoubleValue(number)) => number,
        other => panic!("{json}: {other:?}"),
    };
    assert!(double(r#""NaN""#).is_nan());
    for (json, number) in [
        (r#""Infinity""#, f64::INFINITY),
        (r#""-Infinity""#, f64::NEG_INFINITY),
        ("3", 3.0),
        ("-3", -3.0),
        ("0.1", 0.1),
        (r#""0.1""#, 0.1),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", f64::MAX),
        ("1e+21", 1e21),
        ("122.416294033786585", 122.416_294_033_786_59),
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
    ] {
        assert_eq!(double(json).to_bits(), number.to_bits(), "{json}");
    }
    assert_eq!(double("-0.0").to_bits(), (-0.0f64).to_bits());
    for json in ["null", "1e999", r#""inf""#, r#""nan""#, r#""""#, r#""one""#, "true"] {
        refused(&format!(r#""attributes":[{{"value":{{"doubleValue":{json}}}}}]"#));
    }
}

#[test]
fn null_doubles_are_refused_only_where_they_are_the_value() {
    let point = |kind: &str, fields: &str| {
        let json = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"{kind}":{{"dataPoints":[{{{fields}}}]}}}}]}}]}}]}}"#
        );
        translate(Signal::Metrics, json.as_bytes())
    };
    let error = point("gauge", r#""asDouble":null"#).expect_err("refused");
    assert_eq!(error.path, "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].asDouble");
    assert!(point("gauge", r#""asInt":null"#).is_ok());
    assert!(point("histogram", r#""sum":null,"min":null,"max":null"#).is_ok());
    assert!(point("histogram", r#""explicitBounds":[null]"#).is_err());
    assert!(point("histogram", r#""bucketCounts":[null]"#).is_err());
}

#[test]
fn enumerations() {
    for json in ["3", r#""SPAN_KIND_CLIENT""#, r#""3""#, "3.0"] {
        assert_eq!(span(&format!(r#""kind":{json}"#)).kind, 3);
    }
    assert_eq!(span(r#""kind":99"#).kind, 99);
    assert_eq!(span(r#""status":{"code":"STATUS_CODE_ERROR"}"#).status.map(|status| status.code), Some(2));
    refused(r#""kind":"SPAN_KIND_NONE""#);
    refused(r#""kind":4294967296"#);
}

#[test]
fn ids() {
    assert_eq!(span(r#""traceId":"0aBC""#).trace_id, [0x0a, 0xbc]);
    assert_eq!(span(r#""traceId":"","links":[{"spanId":"00"}]"#).links[0].span_id, [0]);
    for id in ["abc", "zz", "W47/95gDgQPSabYzgT/GDA==", "é0"] {
        let error = refused(&format!(r#""traceId":"{id}""#));
        assert!(
            error.starts_with("resourceSpans[0].scopeSpans[0].spans[0].traceId: invalid value: string "),
            "{error}"
        );
        assert!(error.contains("expected a string of hex digits"), "{error}");
    }
}

#[test]
fn bytes() {
    let bytes = |text: &str| value(&format!(r#"{{"bytesValue":"{text}"}}"#));
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        assert_eq!(bytes(text), Some(Value::BytesValue(vec![0xfb, 0xff])), "{text}");
    }
    assert_eq!(bytes(""), Some(Value::BytesValue(vec![])));
    refused(r#""attributes":[{"value":{"bytesValue":"*"}}]"#);
}

#[test]
fn names() {
    let span = span(
        r#""span_id":"01","start_time_unix_nano":"5","dropped_events_count":2,"Name":"no","new_field":[{"a":[null,1e999999]}],"":1"#,
    );
    assert_eq!((&span.span_id[..], span.start_time_unix_nano, span.dropped_events_count), (&[1][..], 5, 2));
    assert_eq!(span.name, "");
}

#[test]
fn the_same_name_twice() {
    let span = span(r#""name":"a","attributes":[{"key":"1"}],"name":"b","attributes":[{"key":"2"}]"#);
    assert_eq!((span.name.as_str(), span.attributes.len()), ("b", 2));
    assert_eq!(self::span(r#""name":"a","name":"","traceId":"01","traceId":"""#), Span::default());
}

#[test]
fn strings() {
    assert_eq!(span(r#""name":"GET \u00e9 \ud83d\ude00 \n \"x\"""#).name, "GET é 😀 \n \"x\"");
    // Broken text is replaced, see `broken_text_is_replaced_wherever_it_is`.
    assert_eq!(span(r#""name":"\ud800""#).name, "\u{fffd}");
    refused(r#""name":7"#);
    refused(r#""name":["a"]"#);
}
