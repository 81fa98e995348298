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
    for (index, (_, series)) in Fields(payload).filter(|(tag, _)| *tag == 1).enumerate() {
        let series = series.bytes();
        let missing = |path: String, what| Err(error(payload, series, path, Reason::Missing(what)));
        let (mut labelled, mut samples) = (false, 0);
        for (tag, value) in Fields(series) {
            match tag {
                1 => labelled = true,
                2 => {
                    let profile = Fields(value.bytes()).filter(|(tag, _)| *tag == 1).last();
                    if profile.is_none_or(|(_, profile)| profile.bytes().is_empty()) {
                        return missing(format!("series[{index}].samples[{samples}]"), "raw_profile");
                    }
                    samples += 1;
                }
                _ => {}
            }
        }
        if !labelled {
            return missing(format!("series[{index}]"), "label");
        }
    }
    Ok(Summary::new(&counts))
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
}
