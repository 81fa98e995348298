//! Nesting: as deep as prost goes, and millions of levels without harm.

use super::{Reason, Signal, agree, check_otlp, put_varint};

/// A payload of nested length-delimited fields: these numbers, then `cycle` again and again until
/// there are `levels`, and `inside` within. Written from the inside out, as lengths must be known.
fn nested(outer: &[u32], cycle: &[u32], levels: usize, inside: &[u8]) -> Vec<u8> {
    let tags: Vec<u32> = outer.iter().chain(cycle.iter().cycle()).copied().take(levels).collect();
    let mut reversed: Vec<u8> = inside.iter().rev().copied().collect();
    let mut header = Vec::new();
    for &tag in tags.iter().rev() {
        header.clear();
        put_varint(u64::from(tag) << 3 | 2, &mut header);
        put_varint(reversed.len() as u64, &mut header);
        reversed.extend(header.iter().rev());
    }
    reversed.reverse();
    reversed
}

/// Where attribute values begin in each signal, and how lists and maps nest in them.
const PLACES: [(Signal, &[u32]); 4] = [
    (Signal::Traces, &[1, 2, 2, 9, 2]),
    (Signal::Metrics, &[1, 2, 2, 12, 2]),
    (Signal::Logs, &[1, 2, 2, 5]),
    (Signal::Profiles, &[2, 6, 2]),
];
const LIST: &[u32] = &[5, 1];
const MAP: &[u32] = &[6, 1, 2];

#[test]
fn every_depth_as_prost() {
    let insides: [&[u8]; 6] =
        [&[], &[0x0a, 0x00], &[0x12, 0x00], &[0xa0, 0x06, 0x01], &[0xa3, 0x06, 0xa4, 0x06], &[0xff]];
    for (signal, outer) in PLACES {
        let mut accepted = 0;
        for cycle in [LIST, MAP] {
            for levels in 0..150 {
                for inside in insides {
                    accepted += u32::from(agree(signal, &nested(outer, cycle, levels, inside)));
                }
            }
            for levels in [1000, 4096, 30_000] {
                assert!(!agree(signal, &nested(outer, cycle, levels, &[])));
            }
        }
        assert!(accepted > 400, "{signal}: {accepted}");
    }
}

#[test]
fn three_million_levels_are_refused() {
    for (signal, outer) in PLACES {
        let error = check_otlp(signal, &nested(outer, LIST, 3_000_000, &[])).expect_err("refused");
        assert_eq!(error.reason, Reason::NestingTooDeep);
        assert!(error.path.matches("array_value").count() > 40, "{}", error.path);
    }
}

#[test]
fn groups_nest_as_in_prost() {
    for (signal, outer) in PLACES {
        for levels in 0..=outer.len() {
            for groups in (0..110).chain([100_000]) {
                let begun = [0xa3, 0x06].repeat(groups);
                let ended = [0xa4, 0x06].repeat(groups);
                agree(signal, &nested(&outer[..levels], &[], levels, &[begun.clone(), ended].concat()));
                agree(signal, &nested(&outer[..levels], &[], levels, &begun));
            }
        }
    }
}
