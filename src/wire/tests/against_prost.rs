//! Valid, truncated, bit-flipped and random payloads.

use proptest::collection::vec;
use proptest::prelude::*;

use super::generate::{self, Entropy};
use super::{OTHERS, Signal, agree, delimited, others_agree};
use crate::wire::descriptor::Kind;
use crate::wire::otlp;
use crate::wire::{check_pprof, check_push_request, check_remote_write_v1, check_remote_write_v2};

fn signal() -> impl Strategy<Value = Signal> {
    prop::sample::select(&Signal::ALL[..])
}

/// A well-formed request and its signal.
fn request() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    (signal(), vec(any::<u8>(), 0..600)).prop_map(|(signal, entropy)| {
        let mut entropy = Entropy(&entropy);
        (signal, generate::message(otlp::request(signal), &mut entropy, 12))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn well_formed_is_accepted((signal, payload) in request()) {
        prop_assert!(agree(signal, &payload));
    }

    #[test]
    fn items_are_counted(signal in signal(), entropy in vec(any::<u8>(), 100..600)) {
        let mut entropy = Entropy(&entropy);
        let mut scope = Vec::new();
        while !entropy.0.is_empty() {
            // Resource, scope, item: fields 1, 2 and 2, which stand at these indexes.
            let item = [0, 1, 1].iter().fold(otlp::request(signal), |message, &field| match message.fields[field].kind {
                Kind::Message(child) => child,
                _ => unreachable!(),
            });
            scope.extend(delimited(2, &generate::message(item, &mut entropy, 12)));
        }
        prop_assert!(agree(signal, &delimited(1, &delimited(2, &scope))));
    }

    #[test]
    fn truncated((signal, payload) in request()) {
        for length in 0..payload.len() {
            agree(signal, &payload[..length]);
        }
    }

    #[test]
    fn flipped((signal, mut payload) in request(), flips in vec((any::<prop::sample::Index>(), 0u8..8), 1..4)) {
        if !payload.is_empty() {
            for (index, bit) in flips {
                let index = index.index(payload.len());
                payload[index] ^= 1 << bit;
            }
        }
        agree(signal, &payload);
    }

    #[test]
    fn replaced((signal, payload) in request(), index in any::<prop::sample::Index>(), with in vec(any::<u8>(), 0..12)) {
        let mut payload = payload;
        if !payload.is_empty() {
            let index = index.index(payload.len());
            payload.splice(index..=index, with);
        }
        agree(signal, &payload);
    }

    #[test]
    fn remote_write_and_profiles(
        which in 0usize..4,
        entropy in vec(any::<u8>(), 0..400),
        index in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (root, prost) = OTHERS[which];
        let mut payload = generate::message(root, &mut Entropy(&entropy), 6);
        prop_assert!(others_agree(root, prost, &payload));
        for length in 0..payload.len() {
            others_agree(root, prost, &payload[..length]);
        }
        if !payload.is_empty() {
            let index = index.index(payload.len());
            payload[index] ^= 1 << bit;
        }
        // Whatever it is by now, the checks come to an end.
        let _ = (check_remote_write_v1(&payload), check_remote_write_v2(&payload));
        let _ = (check_pprof(&payload), check_push_request(&payload));
        others_agree(root, prost, &payload);
    }

    #[test]
    fn another_signal((_, payload) in request(), signal in signal()) {
        agree(signal, &payload);
    }

    #[test]
    fn random(signal in signal(), payload in vec(any::<u8>(), 0..64)) {
        agree(signal, &payload);
    }

    #[test]
    fn random_of_likely_bytes(signal in signal(), payload in vec(prop::sample::select(
        &[0x00u8, 0x01, 0x02, 0x03, 0x04, 0x08, 0x0a, 0x0b, 0x0c, 0x10, 0x12, 0x1a, 0x2a, 0x3a, 0x7f, 0x80, 0xff][..],
    ), 0..40)) {
        agree(signal, &payload);
    }
}

#[test]
fn varints_at_their_limits() {
    let tail = |byte: u8| [vec![0x08], vec![0xff; 9], vec![byte]].concat();
    // Unknown field 20 of the request, as a varint: 64 bits at most.
    for last in [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81] {
        let mut payload = tail(last);
        payload.splice(0..1, [0xa0, 0x01]);
        assert_eq!(agree(Signal::Traces, &payload), last < 2, "{payload:02x?}");
    }
}

#[test]
fn setting_another_kind_of_data_throws_the_points_away() {
    let gauge = delimited(5, &[delimited(1, &[]), delimited(1, &[])].concat());
    let sum = delimited(7, &delimited(1, &[]));
    let wrap = |metric: Vec<u8>| delimited(1, &delimited(2, &delimited(2, &metric)));
    for (metric, points) in [
        ([gauge.clone(), gauge.clone()].concat(), 4),
        ([gauge.clone(), sum.clone()].concat(), 1),
        ([gauge.clone(), sum.clone(), gauge.clone()].concat(), 2),
        ([sum.clone(), gauge.clone(), vec![0x42, 0x00]].concat(), 2),
    ] {
        let payload = [wrap(metric), wrap(sum.clone())].concat();
        assert!(agree(Signal::Metrics, &payload));
        assert_eq!(crate::wire::check_otlp(Signal::Metrics, &payload).map(|s| s.items), Ok(points + 1));
    }
}
