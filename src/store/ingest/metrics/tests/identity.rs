//! What makes two points belong to one series, and what the catalogue says of a metric.

use super::*;

fn one(name: &str, unit: &str, data: Data) -> Metric {
    Metric { unit: unit.to_owned(), ..metric(name, data) }
}

fn sum(temporality: i32, monotonic: bool) -> Data {
    Data::Sum(Sum { data_points: vec![number(1.0)], aggregation_temporality: temporality, is_monotonic: monotonic })
}

fn series_of(store: &TestStore, metric: &str) -> Option<String> {
    store.value(&format!("SELECT count(DISTINCT series_id) FROM metric_points WHERE metric = '{metric}'"))
}

#[test]
fn unit_type_temporality_and_monotonicity_tell_series_apart() {
    let mut store = TestStore::new();
    let metrics = vec![
        one("m", "ms", gauge(vec![number(1.0)])),
        one("m", "s", gauge(vec![number(1.0)])),
        one("m", "ms", sum(1, true)),
        one("m", "ms", sum(2, true)),
        one("m", "ms", sum(2, false)),
    ];
    for _ in 0..2 {
        store.otlp(Signal::Metrics, &request(metrics.clone())).expect("decode");
    }
    // Five streams, whichever request they come in.
    assert_eq!(series_of(&store, "m").as_deref(), Some("5"));
    assert_eq!(store.count("series"), 5);
}

#[test]
fn scopes_tell_series_apart_by_their_attributes_too() {
    let mut store = TestStore::new();
    for (version, attributes) in
        [("1", vec![]), ("2", vec![]), ("2", vec![text("pool", "read")]), ("2", vec![text("pool", "write")])]
    {
        let mut request = request(vec![one("m", "1", gauge(vec![number(1.0)]))]);
        request.resource_metrics[0].scope_metrics[0].scope = Some(InstrumentationScope {
            name: "meter".to_owned(),
            version: version.to_owned(),
            attributes,
            ..InstrumentationScope::default()
        });
        store.otlp(Signal::Metrics, &request).expect("decode");
    }
    assert_eq!(series_of(&store, "m").as_deref(), Some("4"));
    let labels = store.rows("SELECT labels.otel_scope_pool, labels.route FROM series ORDER BY 1 NULLS LAST LIMIT 3");
    assert_eq!(labels, [some(&["read", "/a"]), some(&["write", "/a"]), some(&["NULL", "/a"])]);
}

#[test]
fn the_latest_unit_wins_and_the_others_are_told() {
    let mut store = TestStore::new();
    let send = |store: &mut TestStore, unit: &str, minutes: u64| {
        let mut record = record(
            Signal::Metrics,
            Format::Otlp,
            request(vec![one("m", unit, gauge(vec![number(1.0)]))]).encode_to_vec(),
        );
        record.batch.received = RECEIVED + minutes * 60_000_000_000;
        store.push(&record).expect("decode");
        store.row("SELECT unit, other_units FROM metric_metadata")
    };
    assert_eq!(send(&mut store, "ms", 0), some(&["ms", "NULL"]));
    assert_eq!(send(&mut store, "s", 1), some(&["s", "[ms]"]));
    // Back to what it was: the day has a row of that already, but it is no longer the latest.
    assert_eq!(send(&mut store, "ms", 2), some(&["ms", "[s]"]));
    // A unit that is no longer sent is not kept.
    assert_eq!(send(&mut store, "", 3), some(&["NULL", "[ms, s]"]));
}
