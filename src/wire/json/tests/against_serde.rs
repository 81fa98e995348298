//! Held against the JSON of `opentelemetry-proto` where that is right: what it writes is read as
//! it was meant. It writes NaN and the infinities as `null`, and its profiles do not follow
//! OTLP/JSON, so doubles are finite here and profiles left out.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;

use super::*;
use crate::wire::otlp;
use crate::wire::tests::generate::{self, Entropy};

fn round_trip<M: Message + Default + Serialize + std::fmt::Debug>(signal: Signal, entropy: &[u8]) -> bool {
    let payload = generate::message(otlp::request(signal), &mut Entropy(entropy), 10);
    let message = M::decode(&payload[..]).expect("decodes");
    let json = serde_json::to_string(&message).expect("is written");
    let doubles =
        ["\"asDouble\":null", "\"doubleValue\":null", "\"sum\":null", "\"min\":null", "\"max\":null", "[null", ",null"];
    if doubles.iter().any(|double| json.contains(double)) || json.contains("\"zeroThreshold\":null") {
        return true;
    }
    let read: M = decode(signal, &json);
    // Not compared as such: NaN differs from itself.
    assert_eq!(format!("{read:?}"), format!("{message:?}"), "{json}");
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_serde_writes_is_read(entropy in vec(any::<u8>(), 0..500)) {
        prop_assert!(round_trip::<ExportTraceServiceRequest>(Signal::Traces, &entropy));
        prop_assert!(round_trip::<ExportMetricsServiceRequest>(Signal::Metrics, &entropy));
        prop_assert!(round_trip::<ExportLogsServiceRequest>(Signal::Logs, &entropy));
    }
}
