use std::io::Write as _;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::profiles::v1development as otlp;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::signal::{Format, Meta, Signal};
use crate::store::ingest::DecodeError;
use crate::store::ingest::testing::{RECEIVED, TestStore, record, some};
use crate::store::schema::Table;
use crate::wire::jfr::labels::{Context, LabelsSnapshot};
use crate::wire::jfr::testing;
use crate::wire::pprof_proto as proto;
use crate::wire::pushpb::{LabelPair, PushRequest, RawProfileSeries, RawSample};

const STRINGS: [&str; 16] = [
    "",
    "wall",
    "nanoseconds",
    "main",
    "/app/main.js",
    "work",
    "/app/work.js",
    "inlined",
    "span_id",
    "0102030405060708",
    "thread",
    "a",
    "samples",
    "count",
    "/usr/bin/node",
    "lines",
];

fn index(text: &str) -> i64 {
    i64::try_from(STRINGS.iter().position(|string| *string == text).expect("in the table")).expect("small")
}

/// main -> work -> inlined, taken twice with a span and once without; and main alone.
fn profile() -> proto::Profile {
    let function =
        |id, name, file| proto::Function { id, name: index(name), filename: index(file), ..Default::default() };
    let line = |function_id, line| proto::Line { function_id, line, ..Default::default() };
    let location =
        |id, mapping_id, line| proto::Location { id, mapping_id, line, address: 0x4f2a, ..Default::default() };
    let label = |key, text| proto::Label { key: index(key), str: index(text), ..Default::default() };
    let span = vec![label("span_id", "0102030405060708"), label("thread", "a")];
    let sample = |location_id: &[u64], value: [i64; 2], label: &[proto::Label]| proto::Sample {
        location_id: location_id.to_vec(),
        value: value.to_vec(),
        label: label.to_vec(),
    };
    let lines = [proto::Label { key: index("lines"), num: 3, ..Default::default() }];
    let wall = proto::ValueType { r#type: index("wall"), unit: index("nanoseconds") };
    proto::Profile {
        sample_type: vec![proto::ValueType { r#type: index("samples"), unit: index("count") }, wall],
        sample: vec![
            sample(&[2, 1], [1, 100], &span),
            sample(&[2, 1], [1, 150], &span),
            sample(&[2, 1], [2, 0], &[]),
            sample(&[1], [1, 7], &lines),
            sample(&[3], [0, 9], &[]),
        ],
        mapping: vec![proto::Mapping { id: 1, filename: index("/usr/bin/node"), ..Default::default() }],
        location: vec![
            location(1, 1, vec![line(1, 10)]),
            location(2, 1, vec![line(3, 5), line(2, 20)]),
            location(3, 0, vec![]),
        ],
        function: vec![
            function(1, "main", "/app/main.js"),
            function(2, "work", "/app/work.js"),
            function(3, "inlined", "/app/work.js"),
        ],
        string_table: STRINGS.map(str::to_owned).to_vec(),
        time_nanos: i64::try_from(RECEIVED).expect("fits"),
        duration_nanos: 60_000_000_000,
        period_type: Some(wall),
        period: 10_000_000,
        ..Default::default()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

fn ingest(store: &mut TestStore, query: &str, content_type: &str, body: Vec<u8>) -> Result<(), DecodeError> {
    let mut record = record(Signal::Profiles, Format::PyroscopeIngest, body);
    record.batch.meta = Meta { query: query.to_owned(), content_type: content_type.to_owned() };
    store.push(&record)
}

/// Stacks of the samples of a profile type, folded, with their values.
const FOLDED: &str = "SELECT string_agg(function, ';' ORDER BY i) AS stack, any_value(value) AS value, any_value(span_id) AS span
    FROM (SELECT *, row_number() OVER () AS n FROM profile_samples WHERE profile_type LIKE '%:nanoseconds:%:%')
    JOIN (SELECT stack_id, unnest(frame_ids) AS frame_id, generate_subscripts(frame_ids, 1) AS i FROM stacks) USING (stack_id)
    JOIN frames USING (frame_id) GROUP BY n ORDER BY n";

#[test]
fn a_node_profile_comes_back() {
    let mut store = TestStore::new();
    let pprof = gzip(&profile().encode_to_vec());
    let body = [
        b"--b\r\nContent-Disposition: form-data; name=\"profile\"; filename=\"p\"\r\n\r\n",
        &pprof[..],
        b"\r\n--b--\r\n",
    ]
    .concat();
    let query = "from=1767225600&until=1767225660&name=shop.web%7Bpod%3Dp1%7D&spyName=nodespy";
    ingest(&mut store, query, "multipart/form-data; boundary=b", body).expect("decode");
    let rows = store.rows(
        "SELECT * EXCLUDE (profile_id, labels), labels.pod, labels.__spy_name__ FROM profiles ORDER BY sample_type",
    );
    let common = ["2026-01-01 00:00:00", "60000000000"];
    let rest = ["wall", "nanoseconds", "10000000", "shop.web", "pprof"];
    let row =
        |names: [&str; 3], counts: [&str; 2]| some(&[&common[..], &names, &rest, &counts, &["p1", "nodespy"]].concat());
    assert_eq!(rows[0], row(["wall:samples:count:wall:nanoseconds", "samples", "count"], ["3", "5"]));
    assert_eq!(rows[1], row(["wall:wall:nanoseconds:wall:nanoseconds", "wall", "nanoseconds"], ["3", "266"]));
    let folded = store.rows(FOLDED);
    assert_eq!(folded[0], some(&["main;work;inlined", "250", "0102030405060708"]));
    assert_eq!(folded[1], some(&["main", "7", "NULL"]));
    assert_eq!(folded[2], some(&["0x4f2a", "9", "NULL"]));
    let frames = store.rows("SELECT function, file, line, mapping FROM frames ORDER BY ALL");
    assert_eq!(frames[0], some(&["0x4f2a", "NULL", "NULL", "NULL"]));
    assert_eq!(frames[1], some(&["inlined", "/app/work.js", "5", "/usr/bin/node"]));
    assert_eq!(frames[2], some(&["main", "/app/main.js", "10", "/usr/bin/node"]));
    assert_eq!(store.count("profile_samples WHERE labels.lines = 3"), 2);
    assert_eq!(store.count("profile_samples WHERE labels.thread = 'a'"), 2);
    assert_eq!(store.count("profile_samples JOIN profiles USING (profile_id, profile_type)"), 6);
    for table in [Table::Profiles, Table::ProfileSamples, Table::Stacks, Table::Frames] {
        assert_eq!(store.seal(table), store.count(table.name()), "{table:?}");
    }
    // The same profile again brings no new stack or frame.
    let stacks = (store.count("hot.stacks"), store.count("hot.frames"));
    ingest(&mut store, query, "", pprof.clone()).expect_err("not folded text");
    ingest(&mut store, &format!("{query}&format=pprof"), "", pprof).expect("plain pprof");
    assert_eq!((store.count("hot.stacks"), store.count("hot.frames")), stacks);
    assert_eq!(store.count("profiles"), 4);
}

#[test]
fn folded_stacks_come_back() {
    let mut store = TestStore::new();
    let query = "from=1767225600&until=1767225610&name=shop.cpu%7Bpod%3Dp1%7D&sampleRate=100";
    ingest(&mut store, query, "", b"main;work 3\nmain;work 2\r\n\nmain 1\n".to_vec()).expect("decode");
    let row = store.row("SELECT profile_type, service_name, format, total, duration_ns, period FROM profiles");
    let kind = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
    assert_eq!(row, some(&[kind, "shop", "folded", "60000000", "10000000000", "10000000"]));
    let folded = store.rows(FOLDED);
    assert_eq!(folded, [some(&["main;work", "50000000", "NULL"]), some(&["main", "10000000", "NULL"])]);
    ingest(&mut store, "name=app.alloc_objects&format=lines", "", b"a;b c\na;b c\n".to_vec()).expect("decode");
    let row = store.row("SELECT profile_type, total FROM profiles WHERE service_name = 'app'");
    assert_eq!(row, some(&["memory:alloc_objects:count::", "2"]));
}

#[test]
fn pushed_profiles_have_the_name_of_their_series() {
    let mut store = TestStore::new();
    let label = |name: &str, value: &str| LabelPair { name: name.to_owned(), value: value.to_owned() };
    let mut timeless = profile();
    timeless.time_nanos = 0;
    let series = RawProfileSeries {
        labels: vec![label("__name__", "process_cpu"), label("service_name", "py"), label("region.name", "eu")],
        samples: vec![
            RawSample { raw_profile: gzip(&profile().encode_to_vec()).into(), id: String::new() },
            RawSample { raw_profile: timeless.encode_to_vec().into(), id: String::new() },
        ],
    };
    let request = PushRequest { series: vec![series] };
    store.push(&record(Signal::Profiles, Format::PyroscopePush, request.encode_to_vec())).expect("decode");
    let row = store.row(
        r#"SELECT count(DISTINCT profile_id), list(DISTINCT profile_type ORDER BY profile_type), min(service_name),
           min(labels."region.name"::VARCHAR), min(time), max(time) FROM profiles"#,
    );
    let types = "['process_cpu:samples:count:wall:nanoseconds', 'process_cpu:wall:nanoseconds:wall:nanoseconds']";
    assert_eq!(row, some(&["2", types, "py", "eu", "2026-01-01 00:00:00", "2026-01-01 00:00:00"]));
}

/// A multipart body of parts.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, data) in parts {
        body.extend(format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes());
        body.extend(*data);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    body
}

const FORM: &str = "multipart/form-data; boundary=b";

/// Profile types with their totals and numbers of samples.
const TOTALS: &str = "SELECT profile_type, total, sample_count FROM profiles ORDER BY ALL";

/// Stacks of all samples with their values.
const ALL_FOLDED: &str = "SELECT profile_type, string_agg(function, ';' ORDER BY i) AS stack, any_value(value) AS value
    FROM (SELECT *, row_number() OVER () AS n FROM profile_samples)
    JOIN (SELECT stack_id, unnest(frame_ids) AS frame_id, generate_subscripts(frame_ids, 1) AS i FROM stacks) USING (stack_id)
    JOIN frames USING (frame_id) GROUP BY n, profile_type ORDER BY ALL";

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

#[test]
fn go_says_what_its_profiles_are_called() {
    let mut store = TestStore::new();
    let go = |types: &[(&str, &str)], config: &str| {
        let mut pprof = proto::Profile { string_table: vec![String::new(), "f".to_owned()], ..Default::default() };
        for (name, unit) in types {
            pprof.string_table.extend([(*name).to_owned(), (*unit).to_owned()]);
            let unit = i64::try_from(pprof.string_table.len() - 1).expect("small");
            pprof.sample_type.push(proto::ValueType { r#type: unit - 1, unit });
        }
        pprof.function = vec![proto::Function { id: 1, name: 1, ..Default::default() }];
        pprof.location = vec![proto::Location {
            id: 1,
            line: vec![proto::Line { function_id: 1, ..Default::default() }],
            ..Default::default()
        }];
        pprof.sample = vec![proto::Sample { location_id: vec![1], value: vec![1; types.len()], label: vec![] }];
        let pprof = gzip(&pprof.encode_to_vec());
        match config {
            "" => form(&[("profile", &pprof)]),
            config => form(&[("profile", &pprof), ("sample_type_config", config.as_bytes())]),
        }
    };
    let waits = [("contentions", "count"), ("delay", "nanoseconds")];
    let block = r#"{"contentions":{"units":"lock_samples","display-name":"block_count"},"delay":{"units":"lock_nanoseconds","display-name":"block_duration"}}"#;
    let goroutine = r#"{"goroutine":{"units":"goroutines","display-name":"goroutines","aggregation":"average"}}"#;
    for (types, config, name) in [
        (&waits[..], block, "block"),
        (&waits[..], &block.replace("block", "mutex"), "mutex"),
        (&waits[..], "", "mutex"),
        (&[("goroutine", "count")], goroutine, "goroutines"),
        (&[("goroutine", "count")], "", "goroutines"),
        (&[("samples", "count"), ("cpu", "nanoseconds")], r#"{"samples":{"display-name":"cpu"}}"#, "process_cpu"),
        (&[("alloc_objects", "count"), ("alloc_space", "bytes")], r#"{"alloc_objects":null}"#, "memory"),
        (&[("exceptions", "count")], "", "exceptions"),
    ] {
        ingest(&mut store, &format!("name=app{name}"), FORM, go(types, config)).expect("decode");
        let row = store.row(&format!(
            "SELECT min(profile_type LIKE '{name}:%'), count(*) FROM profiles WHERE service_name = 'app{name}' AND profile_type LIKE '{name}:%'"
        ));
        assert_ne!(row[1].as_deref(), Some("0"), "{name}: {:?}", store.rows("SELECT profile_type FROM profiles"));
    }
}

#[test]
fn the_application_stays_known_beside_a_service_name() {
    let mut store = TestStore::new();
    let names = "SELECT service_name, labels.app_name FROM profiles";
    ingest(&mut store, "name=checkout%7Bservice_name%3Dshop%7D", "", b"main;work 3\n".to_vec()).expect("decode");
    assert_eq!(store.row(names), some(&["shop", "checkout"]));
    let query = "name=checkout.cpu%7Bservice_name%3Dshop,app_name%3Dmine%7D";
    let mut store = TestStore::new();
    ingest(&mut store, query, "", b"main;work 3\n".to_vec()).expect("decode");
    assert_eq!(store.row(names), some(&["shop", "mine"]));
    let mut store = TestStore::new();
    ingest(&mut store, "name=checkout.cpu", "", b"main;work 3\n".to_vec()).expect("decode");
    assert_eq!(store.row(names), some(&["checkout", "NULL"]));
}

#[test]
fn a_small_record_cannot_grow_without_end() {
    let mut store = TestStore::new();
    let mut pprof = profile();
    pprof.string_table[usize::try_from(index("main")).expect("small")] = "m".repeat(1 << 20);
    let line = |line| proto::Line { function_id: 1, line, ..Default::default() };
    pprof.location[0].line = (0..1000).map(line).collect();
    let error = ingest(&mut store, "name=app&format=pprof", "", pprof.encode_to_vec()).expect_err("refused");
    assert!(error.to_string().contains("grows beyond 128 MiB"), "{error}");
    let mut pprof = profile();
    pprof.string_table[usize::try_from(index("a")).expect("small")] = "a".repeat(1 << 20);
    let label = |num| proto::Label { key: index("lines"), num, ..Default::default() };
    let sample = |n| proto::Sample {
        location_id: vec![1],
        value: vec![1, 1],
        label: vec![proto::Label { key: index("thread"), str: index("a"), ..Default::default() }, label(n)],
    };
    pprof.sample = (0..1000).map(sample).collect();
    let error = ingest(&mut store, "name=app&format=pprof", "", pprof.encode_to_vec()).expect_err("refused");
    assert!(error.to_string().contains("grows beyond 128 MiB"), "{error}");
    ingest(&mut store, "name=app&format=pprof", "", profile().encode_to_vec()).expect("good");
}

#[test]
fn dangling_references_are_refused_whole() {
    let mut store = TestStore::new();
    let spoil: [fn(&mut proto::Profile); 7] = [
        |profile| profile.sample[3].location_id = vec![99],
        |profile| profile.location[0].line[0].function_id = 99,
        |profile| profile.location[0].mapping_id = 99,
        |profile| profile.function[0].name = 99,
        |profile| profile.sample[0].label[0].key = -1,
        |profile| profile.sample[2].value.truncate(1),
        |profile| profile.sample_type[0].unit = 99,
    ];
    for (i, spoil) in spoil.iter().enumerate() {
        let mut bad = profile();
        spoil(&mut bad);
        let result = ingest(&mut store, "name=app&format=pprof", "", bad.encode_to_vec());
        assert!(result.is_err(), "{i}");
    }
    for table in Table::ALL {
        assert_eq!(store.count(table.name()), 0, "{table:?}");
    }
    ingest(&mut store, "name=app&format=pprof", "", profile().encode_to_vec()).expect("good");
    assert_eq!(store.count("frames"), 4);
}

#[test]
fn endless_stacks_are_cut() {
    let mut store = TestStore::new();
    let mut deep = profile();
    deep.sample[0].location_id = vec![1; 100_000];
    ingest(&mut store, "name=app&format=pprof", "", deep.encode_to_vec()).expect("decode");
    let row = store.row("SELECT max(len(frame_ids)), max_by(frame_ids[-1], len(frame_ids)) = (SELECT frame_id FROM frames WHERE function = '[deeper]') FROM stacks");
    assert_eq!(row, some(&["2049", "true"]));
}

#[test]
fn otlp_profiles_come_back() {
    let mut store = TestStore::new();
    let strings =
        ["", "cpu", "nanoseconds", "main", "main.go", "work", "thread", "a", "service.name", "go", "/bin/app"];
    let at =
        |text: &str| i32::try_from(strings.iter().position(|string| *string == text).expect("there")).expect("small");
    let text = |text: &str| Some(AnyValue { value: Some(Any::StringValueStrindex(at(text))) });
    let function =
        |name, file| otlp::Function { name_strindex: at(name), filename_strindex: at(file), ..Default::default() };
    let line = |function_index, line| otlp::Line { function_index, line, column: 0 };
    let dictionary = otlp::ProfilesDictionary {
        string_table: strings.map(str::to_owned).to_vec(),
        mapping_table: vec![
            otlp::Mapping::default(),
            otlp::Mapping { filename_strindex: at("/bin/app"), ..Default::default() },
        ],
        function_table: vec![otlp::Function::default(), function("main", "main.go"), function("work", "main.go")],
        location_table: vec![
            otlp::Location::default(),
            otlp::Location { mapping_index: 1, lines: vec![line(1, 7)], ..Default::default() },
            otlp::Location { lines: vec![line(2, 9)], ..Default::default() },
        ],
        stack_table: vec![otlp::Stack::default(), otlp::Stack { location_indices: vec![2, 1] }],
        link_table: vec![otlp::Link::default(), otlp::Link { trace_id: vec![1; 16], span_id: vec![2; 8] }],
        attribute_table: vec![
            otlp::KeyValueAndUnit::default(),
            otlp::KeyValueAndUnit { key_strindex: at("thread"), value: text("a"), unit_strindex: 0 },
        ],
    };
    let cpu = otlp::ValueType { type_strindex: at("cpu"), unit_strindex: at("nanoseconds") };
    let sample = |values: &[i64], timestamps: &[u64], link_index| otlp::Sample {
        stack_index: 1,
        values: values.to_vec(),
        timestamps_unix_nano: timestamps.to_vec(),
        link_index,
        attribute_indices: vec![link_index],
    };
    let profile = otlp::Profile {
        sample_type: Some(cpu),
        samples: vec![sample(&[5, 6], &[], 1), sample(&[], &[1, 2, 3], 0)],
        time_unix_nano: RECEIVED,
        duration_nano: 10,
        period_type: Some(cpu),
        period: 100,
        profile_id: vec![9; 16],
        attribute_indices: vec![1],
        ..Default::default()
    };
    let attribute = KeyValue {
        key_strindex: at("service.name"),
        value: Some(AnyValue { value: Some(Any::StringValue("go".to_owned())) }),
        ..Default::default()
    };
    let request = ExportProfilesServiceRequest {
        resource_profiles: vec![otlp::ResourceProfiles {
            resource: Some(Resource { attributes: vec![attribute], ..Default::default() }),
            scope_profiles: vec![otlp::ScopeProfiles { profiles: vec![profile], ..Default::default() }],
            ..Default::default()
        }],
        dictionary: Some(dictionary),
    };
    store.otlp(Signal::Profiles, &request).expect("decode");
    let row = store.row(r#"SELECT * EXCLUDE labels, labels."service.name", labels.thread FROM profiles"#);
    assert_eq!(
        row,
        some(&[
            &"09".repeat(16),
            "2026-01-01 00:00:00",
            "10",
            "cpu:cpu:nanoseconds:cpu:nanoseconds",
            "cpu",
            "nanoseconds",
            "cpu",
            "nanoseconds",
            "100",
            "go",
            "otlp",
            "2",
            "14",
            "go",
            "a",
        ])
    );
    assert_eq!(store.rows(FOLDED), [some(&["main;work", "11", &"02".repeat(8)]), some(&["main;work", "3", "NULL"])]);
    let samples = store.rows("SELECT trace_id, labels.thread FROM profile_samples");
    assert_eq!(samples, [some(&[&"01".repeat(16), "a"]), some(&["NULL", "NULL"])]);

    // No time, no name, a number as a name; texts by their place in lists and maps; a service of a
    // sample; a frame without a symbol.
    let by_index = |text: &str| AnyValue { value: Some(Any::StringValueStrindex(at(text))) };
    let list = Any::ArrayValue(ArrayValue { values: vec![by_index("a")] });
    let map = KeyValue { key_strindex: at("thread"), value: Some(by_index("work")), ..Default::default() };
    let map = Any::KvlistValue(KeyValueList { values: vec![map] });
    let named = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    };
    let mut odd = request.clone();
    let resource = odd.resource_profiles[0].resource.as_mut().expect("there");
    resource.attributes = vec![named("list", list), named("map", map)];
    let profile = &mut odd.resource_profiles[0].scope_profiles[0].profiles[0];
    (profile.time_unix_nano, profile.profile_id) = (0, vec![8; 16]);
    let dictionary = odd.dictionary.as_mut().expect("there");
    dictionary.attribute_table.push(otlp::KeyValueAndUnit {
        key_strindex: at("service.name"),
        value: text("go"),
        unit_strindex: 0,
    });
    profile.samples[0].attribute_indices = vec![2];
    dictionary.location_table[1] = otlp::Location { mapping_index: 1, address: 0x2a, ..Default::default() };
    store.otlp(Signal::Profiles, &odd).expect("decode");
    let rows = store.rows("SELECT service_name, total, time, labels.list[1], labels.map.thread FROM profiles WHERE profile_id = repeat('08', 16) ORDER BY 1");
    let time = "2026-01-01 00:00:00";
    assert_eq!(rows, [some(&["go", "11", time, "a", "work"]), some(&["unknown_service", "3", time, "a", "work"])]);
    assert_eq!(store.count("frames WHERE function = 'app 0x2a'"), 1);
    let mut odd = request.clone();
    let resource = odd.resource_profiles[0].resource.as_mut().expect("there");
    resource.attributes = vec![named("service.name", Any::IntValue(7))];
    store.otlp(Signal::Profiles, &odd).expect("decode");
    assert_eq!(store.count("profiles WHERE service_name = '7'"), 1);

    // A profile with an index out of its table costs itself alone.
    let mut dangling = request.clone();
    let profiles = &mut dangling.resource_profiles[0].scope_profiles[0].profiles;
    let good = profiles[0].clone();
    profiles[0].samples[0].stack_index = 7;
    profiles.push(otlp::Profile { profile_id: vec![0xaa; 16], ..good });
    store.otlp(Signal::Profiles, &dangling).expect("decode");
    assert_eq!(store.count("profiles WHERE profile_id = repeat('aa', 16)"), 1);
    assert_eq!(store.count("profiles"), 5);
    let kept = ExportProfilesServiceRequest::decode(&store.rejected[0].batch.payload[..]).expect("valid");
    assert_eq!(kept.resource_profiles[0].scope_profiles[0].profiles.len(), 1);
    assert_eq!(kept.resource_profiles[0].scope_profiles[0].profiles[0].samples[0].stack_index, 7);
    assert!(store.rejected[0].reason.contains("item 0: profiles: no such stack"), "{}", store.rejected[0].reason);
}
