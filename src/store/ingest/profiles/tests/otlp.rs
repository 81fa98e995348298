//! OTLP profiles.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::profiles::v1development as otlp;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;

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
