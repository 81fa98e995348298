//! Garbage, cut bodies, and nesting without end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::JsonError;
use super::*;
use crate::wire::Reason;

#[test]
fn the_place_is_named() {
    let json = "{\"resourceSpans\": [\n {},\n {\"scopeSpans\": [{\"spans\": [{\"kind\": 1}, {\"name\": 7}]}]}]}";
    let error = translate(Signal::Traces, json.as_bytes()).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "resourceSpans[1].scopeSpans[0].spans[1].name: invalid type: integer `7`, expected a string, at line 3 column 51"
    );
    let error = translate(Signal::Traces, b"{\"resourceSpans\": [}").expect_err("refused");
    assert_eq!(error.to_string(), "resourceSpans[0]: expected value, at line 1 column 20");
    let error = translate(Signal::Traces, b"{\"resourceSpans\": {}}").expect_err("refused");
    assert_eq!(
        error.to_string(),
        "resourceSpans: invalid type: map, expected a list, each element an object, at line 1 column 20"
    );
}

#[test]
fn what_is_not_an_object_is_refused() {
    for body in [
        "",
        " ",
        "null",
        "[]",
        "1",
        "\"a\"",
        "{}{}",
        "{} x",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "\u{feff}{}",
        "{",
        "}",
        "{\"resourceSpans\":[{},]}",
    ] {
        let JsonError { line, .. } = translate(Signal::Traces, body.as_bytes()).expect_err(body);
        assert_eq!(line, 1, "{body}");
    }
}

/// Nested lists: `levels` times `{"arrayValue":{"values":[`, and closed again.
fn nested(levels: usize) -> String {
    let (open, close) = (r#"{"arrayValue":{"values":["#, "]}}");
    format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{}{}}}]}}]}}]}}"#,
        open.repeat(levels),
        close.repeat(levels)
    )
}

#[test]
fn nests_as_deep_as_protobuf_does() {
    // Four messages around the body, two for each list: 48 lists are 4 + 96 = 100.
    let mut deepest = 0;
    for levels in 0..200 {
        if let Ok(payload) = translate(Signal::Logs, nested(levels).as_bytes()) {
            assert!(check_otlp(Signal::Logs, &payload).is_ok(), "{levels}");
            assert_eq!(deepest, levels.saturating_sub(1));
            deepest = levels;
        }
    }
    assert_eq!(deepest, 48);
    for levels in [1000, 1_000_000] {
        let error = translate(Signal::Logs, nested(levels).as_bytes()).expect_err("refused");
        assert_eq!(error.message, "messages nested deeper than 100 levels");
    }
}

#[test]
fn unknown_fields_nest_without_harm() {
    let levels = 3_000_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let json = format!(r#"{{"unknown":{}1{},"resourceSpans":[]}}"#, open.repeat(levels), close.repeat(levels));
        assert_eq!(translate(Signal::Traces, json.as_bytes()), Ok(Vec::new()));
        let json = format!(r#"{{"resourceSpans":{}"#, open.repeat(levels));
        assert!(translate(Signal::Traces, json.as_bytes()).is_err());
    }
}

#[test]
fn small_json_that_decodes_to_gigabytes_is_refused_by_the_walk() {
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(1 << 20));
    let payload = translate(Signal::Traces, json.as_bytes()).expect("is good JSON");
    let error = check_otlp(Signal::Traces, &payload).expect_err("refused");
    assert!(matches!(error.reason, Reason::DecodedTooLarge { .. }), "{error}");
}

#[test]
fn the_result_is_at_most_about_four_times_as_long() {
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"explicitBounds":[{}0]}}]}}}}]}}]}}]}}"#,
        "0,".repeat(100_000)
    );
    let payload = translate(Signal::Metrics, json.as_bytes()).expect("is good JSON");
    assert!(payload.len() < 4 * json.len(), "{} of {}", payload.len(), json.len());
}

const EXAMPLE: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"é","value":{"stringValue":"a\u00e9"}}]},"scopeMetrics":[
    {"metrics":[{"name":"g","gauge":{"dataPoints":[{"asDouble":"NaN","timeUnixNano":"12","attributes":null}]}},
    {"exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"scale":-3,"positive":{"offset":1,"bucketCounts":["1",2]}}]}}]}]}],"x":[1.5e3]}"#;

#[test]
fn cut_anywhere_it_is_refused() {
    assert!(translate(Signal::Metrics, EXAMPLE.as_bytes()).is_ok());
    for length in 0..EXAMPLE.len() {
        assert!(translate(Signal::Metrics, &EXAMPLE.as_bytes()[..length]).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whatever_is_accepted_is_well_formed(
        edits in vec((any::<prop::sample::Index>(), prop::sample::select(
            &["", "\"", "{", "}", "[", "]", ",", ":", "0", "-", "1e9", "null", "true", "\\", "\"\"", "{}", "[]", "\u{e9}", " "][..],
        )), 1..4),
    ) {
        let mut body = EXAMPLE.as_bytes().to_vec();
        for (index, with) in edits {
            let at = index.index(body.len());
            body.splice(at..=at, with.bytes());
        }
        if let Ok(payload) = translate(Signal::Metrics, &body) {
            prop_assert!(check_otlp(Signal::Metrics, &payload).is_ok());
        }
    }

    #[test]
    fn random_bytes(body in vec(any::<u8>(), 0..64)) {
        prop_assert!(Signal::ALL.iter().all(|signal| translate(*signal, &body).is_err()));
    }
}
