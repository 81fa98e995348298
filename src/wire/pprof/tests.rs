use prost::Message;

use super::*;
use crate::wire::pprof_proto::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};

fn profile() -> Profile {
    let strings = ["", "cpu", "nanoseconds", "main", "main.rs", "span_id", "a1b2", "/bin/shop"];
    Profile {
        sample_type: vec![ValueType { r#type: 1, unit: 2 }],
        sample: vec![
            Sample {
                location_id: vec![1, 7_000_000_000],
                value: vec![10],
                label: vec![Label { key: 5, str: 6, ..Default::default() }],
            },
            Sample { location_id: vec![1], value: vec![20], label: vec![] },
        ],
        mapping: vec![Mapping { id: 1, filename: 7, ..Default::default() }],
        location: vec![
            Location {
                id: 1,
                mapping_id: 1,
                line: vec![Line { function_id: 1, line: 3, column: 0 }],
                ..Default::default()
            },
            Location { id: 7_000_000_000, address: 4711, ..Default::default() },
        ],
        function: vec![Function { id: 1, name: 3, system_name: 3, filename: 4, start_line: 1 }],
        string_table: strings.map(String::from).to_vec(),
        period_type: Some(ValueType { r#type: 1, unit: 2 }),
        period: 10_000_000,
        comment: vec![3, 4],
        ..Default::default()
    }
}

/// The message with which the profile is refused once `f` has changed it.
fn refused(f: impl FnOnce(&mut Profile)) -> String {
    let mut profile = profile();
    f(&mut profile);
    let error = check_pprof(&profile.encode_to_vec()).expect_err("refused").to_string();
    error.rsplit_once(", at byte").expect("has a place").0.to_owned()
}

#[test]
fn a_good_profile_is_one_item() {
    assert_eq!(check_pprof(&profile().encode_to_vec()).map(|summary| summary.items), Ok(1));
    assert_eq!(check_pprof(&[]).map(|summary| summary.items), Ok(1));
}

#[test]
fn dangling_ids_are_named() {
    assert_eq!(refused(|p| p.sample[1].location_id.push(2)), "sample[1].location_id: there is no location with id 2");
    assert_eq!(refused(|p| p.sample[0].location_id[0] = 0), "sample[0].location_id: there is no location with id 0");
    assert_eq!(
        refused(|p| p.sample[0].location_id[0] = u64::MAX),
        format!("sample[0].location_id: there is no location with id {}", u64::MAX)
    );
    assert_eq!(refused(|p| p.location[1].mapping_id = 9), "location[1].mapping_id: there is no mapping with id 9");
    assert_eq!(
        refused(|p| p.location[0].line[0].function_id = 70),
        "location[0].line.function_id: there is no function with id 70"
    );
    assert_eq!(refused(|p| p.function.push(p.function[0])), "function[1].id: function id 1 occurs twice");
    assert_eq!(
        refused(|p| p.location.push(p.location[1].clone())),
        "location[2].id: location id 7000000000 occurs twice"
    );
}

#[test]
fn indexes_past_the_string_table_are_named() {
    let out_of_range = "index 8 is out of range, the string table has 8 strings";
    assert_eq!(refused(|p| p.sample_type[0].unit = 8), format!("sample_type[0].unit: {out_of_range}"));
    assert_eq!(refused(|p| p.sample[0].label[0].key = 8), format!("sample[0].label.key: {out_of_range}"));
    assert_eq!(refused(|p| p.mapping[0].filename = 8), format!("mapping[0].filename: {out_of_range}"));
    assert_eq!(refused(|p| p.function[0].name = 8), format!("function[0].name: {out_of_range}"));
    assert_eq!(refused(|p| p.comment.push(8)), format!("comment: {out_of_range}"));
    assert_eq!(refused(|p| p.default_sample_type = 8), format!("default_sample_type: {out_of_range}"));
    assert_eq!(
        refused(|p| p.period_type = Some(ValueType { r#type: 8, unit: 0 })),
        format!("period_type.type: {out_of_range}")
    );
    assert_eq!(refused(|p| p.doc_url = -1), "doc_url: index -1 is out of range, the string table has 8 strings");
}

#[test]
fn values_match_the_sample_types() {
    assert_eq!(
        refused(|p| p.sample[1].value.push(1)),
        "sample[1].value: sample has 2 values, the profile has 1 sample types"
    );
    assert_eq!(
        refused(|p| p.sample_type.clear()),
        "sample[0].value: sample has 1 values, the profile has 0 sample types"
    );
}

#[test]
fn what_is_not_pprof_is_refused() {
    assert!(check_pprof(b"main;work 17\nmain;idle 3\n").is_err());
    assert!(check_pprof(&[0x1f, 0x8b, 0x08, 0x00]).is_err());
}

#[test]
fn too_many_entries_are_refused() {
    let payload = [0x22, 0x02, 0x20, 0x00].repeat(1 << 20);
    assert!(check_pprof(&payload).is_err());
    let payload = [0x2a, 0x05, 0x08, 0x80, 0x80, 0x80, 0x01].repeat((1 << 20) + 1);
    let error = check_pprof(&payload).expect_err("refused");
    assert_eq!(error.to_string(), "function: 1048577 entries, more than the limit of 1048576, at byte 0");
}
