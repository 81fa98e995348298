mod otlp;
mod recordings;

use std::io::Write as _;

use prost::Message;

use crate::signal::{Format, Meta, Signal};
use crate::store::ingest::DecodeError;
use crate::store::ingest::testing::{RECEIVED, TestStore, record, some};
use crate::store::schema::Table;
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
    let stacks = (store.count("decoded.stacks"), store.count("decoded.frames"));
    ingest(&mut store, query, "", pprof.clone()).expect_err("not folded text");
    ingest(&mut store, &format!("{query}&format=pprof"), "", pprof).expect("plain pprof");
    assert_eq!((store.count("decoded.stacks"), store.count("decoded.frames")), stacks);
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
