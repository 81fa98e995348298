//! Flight recordings and speedscope files.

use super::*;
use crate::wire::jfr::labels::{Context, LabelsSnapshot};
use crate::wire::jfr::testing;

#[test]
fn flight_recordings_are_profiles_as_pyroscope_names_them() {
    let mut store = TestStore::new();
    let context = Context { labels: [(1, 2)].into() };
    let strings = [(1, "thread"), (2, "web-1"), (3, "GET /cart")].map(|(id, text)| (id, text.to_owned()));
    let labels = LabelsSnapshot { contexts: [(4, context)].into(), strings: strings.into() };
    let body = form(&[("jfr", &gzip(&testing::shop("cpu"))), ("labels", &gzip(&labels.encode_to_vec()))]);
    let query = "name=shop%7Bpod%3Dp1%7D&format=jfr&from=1767225600&until=1767225610&sampleRate=100";
    ingest(&mut store, query, FORM, body).expect("decode");
    let totals = [
        some(&["memory:alloc_in_new_tlab_bytes:bytes:space:bytes", "64", "1"]),
        some(&["memory:alloc_in_new_tlab_objects:count:space:bytes", "1", "1"]),
        some(&["mutex:contentions:count:mutex:count", "1", "1"]),
        some(&["mutex:delay:nanoseconds:mutex:count", "5000", "1"]),
        some(&["process_cpu:cpu:nanoseconds:cpu:nanoseconds", "20000000", "1"]),
    ];
    assert_eq!(store.rows(TOTALS), totals);
    assert_eq!(
        store.row("SELECT min(service_name), min(labels.pod), min(labels.jfr_event), min(format), min(time), min(duration_ns) FROM profiles"),
        some(&["shop", "p1", "cpu", "jfr", "2026-01-01 00:00:00", "10000000000"])
    );
    let folded = store.rows(ALL_FOLDED);
    let add = "shop/Main.main;shop/Cart$$Lambda_.add";
    assert_eq!(folded[2], some(&["mutex:contentions:count:mutex:count", "shop/Main.main", "1"]));
    assert_eq!(folded[4], some(&["process_cpu:cpu:nanoseconds:cpu:nanoseconds", add, "20000000"]));
    let row = store
        .row("SELECT span_id, trace_id, labels.thread, labels.span_name FROM profile_samples WHERE value = 20000000");
    assert_eq!(row, some(&["0102030405060708", "00000000000000010000000000000002", "web-1", "GET /cart"]));
    let row = store.row("SELECT function, line FROM frames WHERE function LIKE '%add'");
    assert_eq!(row, some(&["shop/Cart$$Lambda_.add", "20"]));
}

#[test]
fn a_wall_recording_counts_threads_that_sleep() {
    let mut store = TestStore::new();
    ingest(&mut store, "name=shop&format=jfr&sampleRate=50", "", testing::shop("wall")).expect("decode");
    let totals = store.rows("SELECT profile_type, total FROM profiles WHERE profile_type LIKE '%:cpu:%' OR profile_type LIKE 'wall:%' ORDER BY ALL");
    assert_eq!(
        totals,
        [
            some(&["process_cpu:cpu:nanoseconds:cpu:nanoseconds", "40000000"]),
            some(&["wall:wall:nanoseconds:wall:nanoseconds", "60000000"])
        ]
    );
}

#[test]
fn a_recording_that_cannot_be_read_is_refused_with_its_place() {
    let mut store = TestStore::new();
    let mut body = testing::shop("cpu");
    body[16] = 1;
    let error = ingest(&mut store, "name=java&format=jfr", "", body).expect_err("refused").to_string();
    assert!(error.contains("jfr: the constants are outside of the chunk at byte 16"), "{error}");
    assert_eq!(store.count("profiles"), 0);
}

#[test]
fn speedscope_files_are_profiles() {
    let mut store = TestStore::new();
    let frames = r#""shared":{"frames":[{"name":"main","file":"a.js","line":3},{"name":"work"}]}"#;
    let file = |profiles: &str| format!(r#"{{"$schema":"x",{frames},"profiles":[{profiles}],"activeProfileIndex":0}}"#);
    let sampled = r#"{"type":"sampled","name":"s","unit":"milliseconds","startValue":0,"endValue":5,"samples":[[0,1],[0]],"weights":[2.5,1]}"#;
    let evented = r#"{"type":"evented","name":"e","unit":"seconds","startValue":1,"endValue":4,"events":[
        {"type":"O","frame":0,"at":1},{"type":"O","frame":1,"at":2},{"type":"C","frame":1,"at":3.5},{"type":"C","frame":0,"at":4}]}"#;
    let bytes = r#"{"type":"sampled","name":"b","unit":"bytes","startValue":0,"endValue":5,"samples":[[0,1]],"weights":[4096]}"#;
    ingest(&mut store, "name=js&format=speedscope", "", file(sampled).into_bytes()).expect("decode");
    let cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
    let expected = [some(&[cpu, "main", "1000000"]), some(&[cpu, "main;work", "2500000"])];
    assert_eq!(store.rows(ALL_FOLDED), expected);
    assert_eq!(store.row("SELECT file, line FROM frames WHERE function = 'main'"), some(&["a.js", "3"]));
    let many = file(&[evented, bytes].join(","));
    ingest(&mut store, "name=many&format=speedscope", "", many.into_bytes()).expect("decode");
    let rows = store
        .rows("SELECT profile_type, labels.profile_name, total FROM profiles WHERE service_name = 'many' ORDER BY ALL");
    let wall = "wall:wall:nanoseconds:cpu:nanoseconds";
    assert_eq!(rows, [some(&["memory:samples:bytes::", "b", "4096"]), some(&[wall, "e", "3000000000"])]);
    let work = format!("SELECT value FROM ({ALL_FOLDED}) WHERE profile_type LIKE 'wall:%' ORDER BY stack");
    assert_eq!(store.rows(&work), [some(&["1500000000"]), some(&["1500000000"])]);
    for (bad, why) in [
        (sampled.replace("[2.5,1]", "[2.5]"), "2 samples have 1 weights"),
        (sampled.replace("[0,1]", "[0,2]"), "frame 2 is not in the file"),
        (evented.replace("3.5", "1.5"), "is earlier than the one before"),
        (evented.replace(r#""C","frame":1"#, r#""C","frame":0"#), "not the last open one"),
        (sampled.replace("sampled", "other"), "unknown variant"),
    ] {
        let error = ingest(&mut store, "name=js&format=speedscope", "", file(&bad).into_bytes()).expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
    }
}
