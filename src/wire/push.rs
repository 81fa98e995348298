//! Pyroscope's `push.v1.PushRequest`: well formed, each series labelled, no profile empty.
//!
//! The profiles in it are pprof, gzipped or not; the receiver unpacks each and checks it with
//! [`super::check_pprof`].

use super::Summary;
use super::descriptor::{Kind, many, message, one};
use super::error::{Reason, WireError};
use super::fields::{Fields, error};
use super::pushpb;
use super::walk::walk;

message!(REQUEST, pushpb::PushRequest, None, [many(1, "series", Kind::Message(&SERIES))]);

message!(
    SERIES,
    pushpb::RawProfileSeries,
    Series,
    [many(1, "labels", Kind::Message(&LABEL)), many(2, "samples", Kind::Message(&SAMPLE)),]
);

message!(LABEL, pushpb::LabelPair, None, [one(1, "name", Kind::String), one(2, "value", Kind::String)]);

message!(SAMPLE, pushpb::RawSample, Items, [one(1, "raw_profile", Kind::Bytes), one(2, "ID", Kind::String)]);

/// Checks a `push.v1.PushRequest` and counts the profiles in it.
///
/// # Errors
/// When prost would not decode it, when it would grow beyond [`super::Limits`] if decoded, when a
/// series has no labels or a sample no profile.
pub fn check_push_request(payload: &[u8]) -> Result<Summary, WireError> {
    let counts = walk(&REQUEST, payload)?;
    for (index, series) in series(payload).enumerate() {
        let missing = |path: String, what| Err(error(payload, series, path, Reason::Missing(what)));
        if let Some(sample) = profiles(series).position(<[u8]>::is_empty) {
            return missing(format!("series[{index}].samples[{sample}]"), "raw_profile");
        }
        if !Fields(series).any(|(tag, _)| tag == 1) {
            return missing(format!("series[{index}]"), "label");
        }
    }
    Ok(Summary::new(&counts))
}

/// The profiles of a request that [`check_push_request`] has accepted, each with the numbers of its
/// series and of its sample there.
pub fn pushed_profiles(payload: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let numbered = |(s, series)| profiles(series).enumerate().map(move |(p, profile)| (s, p, profile));
    series(payload).enumerate().flat_map(numbered)
}

fn series(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields(payload).filter(|(tag, _)| *tag == 1).map(|(_, series)| series.bytes())
}

/// The profile of each sample; an empty one where there is none.
fn profiles(series: &[u8]) -> impl Iterator<Item = &[u8]> {
    let profile = |sample| Fields(sample).filter(|(tag, _)| *tag == 1).last().map_or(&[][..], |(_, raw)| raw.bytes());
    Fields(series).filter(|(tag, _)| *tag == 2).map(move |(_, sample)| profile(sample.bytes()))
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::wire::pushpb::{LabelPair, PushRequest, RawProfileSeries, RawSample};

    fn request(labels: usize, profiles: &[&'static [u8]]) -> Vec<u8> {
        let label = LabelPair { name: "service_name".into(), value: "shop".into() };
        let samples = profiles.iter().map(|profile| RawSample { raw_profile: (*profile).into(), id: "1".into() });
        let series = RawProfileSeries { labels: vec![label; labels], samples: samples.collect() };
        PushRequest { series: vec![series.clone(), series] }.encode_to_vec()
    }

    #[test]
    fn profiles_are_counted() {
        assert_eq!(check_push_request(&request(2, &[b"a", b"b"])).map(|summary| summary.items), Ok(4));
        assert_eq!(check_push_request(&[]).map(|summary| summary.items), Ok(0));
        let payload = request(1, &[b"a", b"b"]);
        let profiles: Vec<_> = pushed_profiles(&payload).collect();
        assert_eq!(profiles, [(0, 0, &b"a"[..]), (0, 1, b"b"), (1, 0, b"a"), (1, 1, b"b")]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = check_push_request(&request(0, &[b"a"])).expect_err("refused");
        assert_eq!(error.to_string(), "series[0]: there is no label, at byte 2");
        let error = check_push_request(&request(1, &[b"a", b""])).expect_err("refused");
        assert_eq!(error.to_string(), "series[0].samples[1]: there is no raw_profile, at byte 2");
        let mut cut = request(1, &[b"abc"]);
        cut.pop();
        let error = check_push_request(&cut).expect_err("refused");
        assert!(error.to_string().starts_with("series[1]: length of "), "{error}");
    }

    #[test]
    fn json_is_read_as_protobuf_maps_it() {
        let json = br#"{"series":[{"labels":[{"name":"service_name","value":"shop"}],"future":{},
            "samples":[{"rawProfile":"_-8","ID":"7"},{"raw_profile":"/+8="},{}]},{"samples":null}]}"#;
        let translated = crate::wire::json::translate_push_request(json).expect("good");
        assert_eq!(translated.unknown.as_deref(), Some("series[0].future"));
        let got = PushRequest::decode(&translated.payload[..]).expect("good");
        let samples = &got.series[0].samples;
        let raw: Vec<&[u8]> = samples.iter().map(|sample| sample.raw_profile.as_ref()).collect();
        assert_eq!(raw, [&[0xff, 0xef][..], &[0xff, 0xef], &[]]);
        assert_eq!((samples[0].id.as_str(), got.series[0].labels[0].value.as_str()), ("7", "shop"));
        assert_eq!(got.series.len(), 2);
        assert!(
            crate::wire::json::translate_push_request(br#"{"series":[{"samples":[{"rawProfile":"?"}]}]}"#).is_err()
        );
        assert!(crate::wire::json::translate_push_request(b"[").is_err());
    }
}
