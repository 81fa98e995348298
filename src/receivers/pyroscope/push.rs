//! `push.v1.PusherService/Push`: profiles with their labels, as a unary call of the Connect
//! protocol in protobuf or JSON (connectrpc.com/docs/protocol, "Unary-Request").

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use prost::Message as _;

use super::{NAME, profile, refused};
use crate::receivers::Pipeline;
use crate::receivers::admission::Reservation;
use crate::receivers::ingest::{self, Check, Checked, Deadline, Ingest, Tally};
use crate::receivers::otlp_http::{content_encoding, media_type};
use crate::receivers::refusal::Refusal;
use crate::receivers::reply::{self, Reply};
use crate::signal::{Format, Meta, Signal};
use crate::wire;
use crate::wire::pushpb::{LabelPair, PushRequest, RawProfileSeries, RawSample};

/// The path of the call.
pub(super) const PATH: &str = "/push.v1.PusherService/Push";

/// Answers one call.
pub(super) async fn handle(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    let tally = Tally::new(&pipeline.telemetry, NAME, Signal::Profiles).of(&request);
    let json = is_json(request.headers());
    let wants_json = matches!(json, Ok(true));
    match accept(request, json, pipeline, tally).await {
        Ok(()) if wants_json => reply::typed(StatusCode::OK, "application/json", "{}"),
        Ok(()) => reply::typed(StatusCode::OK, "application/proto", ""),
        Err(refusal @ Refusal::UnknownMediaType(_)) => {
            let mut response = refused(&refusal, refusal.http());
            let accept = HeaderValue::from_static("application/proto, application/json");
            response.headers_mut().insert("accept-post", accept);
            response
        }
        // Connect, "Error Codes": unimplemented is 501.
        Err(refusal @ Refusal::UnknownEncoding(_)) => refused(&refusal, StatusCode::NOT_IMPLEMENTED),
        Err(refusal) => refused(&refusal, refusal.http()),
    }
}

fn is_json(headers: &HeaderMap) -> Result<bool, Refusal> {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let value = String::from_utf8_lossy(value);
    match media_type(&value).to_ascii_lowercase().as_str() {
        "application/proto" => Ok(false),
        "application/json" => Ok(true),
        _ => Err(Refusal::UnknownMediaType(format!(
            "content type {value:?} is not application/proto or application/json"
        ))),
    }
}

async fn accept(
    request: Request<Incoming>,
    json: Result<bool, Refusal>,
    pipeline: &Pipeline,
    tally: Tally,
) -> Result<(), Refusal> {
    let deadline = Deadline::ours(pipeline);
    let limit = ingest::limit(pipeline);
    let known = json.and_then(|json| Ok((json, content_encoding(request.headers())?)));
    let ((json, compression), received, tally) =
        ingest::receive(known, request.into_body(), limit, deadline, pipeline, tally).await?;
    let check: Check = Box::new(move |decoded, room| {
        if !json {
            return check(decoded, limit, room);
        }
        // Base64 shrinks, and the strings are held once more on the way.
        if !room.grow(2 * decoded.len()) {
            return Err(Refusal::Busy("memory"));
        }
        let payload = translate(decoded)?;
        room.shrink((2 * decoded.len()).saturating_sub(payload.len()));
        let mut checked = check(&payload, limit, room)?;
        checked.translated.get_or_insert(payload);
        Ok(checked)
    });
    let meta = Meta::default();
    let ingest = Ingest { signal: Signal::Profiles, format: Format::PyroscopePush, compression, limit, meta, check };
    ingest::take(pipeline, received, ingest, deadline, tally).await.map(|_| ())
}

/// Checks a request and every profile in it.
fn check(payload: &[u8], limit: usize, room: &mut Reservation) -> Result<Checked, Refusal> {
    let summary = wire::check_push_request(payload)?;
    let mut checked = Checked {
        items: summary.items,
        empty: summary.items == 0,
        replaced: summary.damaged_strings,
        ..Checked::default()
    };
    if summary.damaged_strings > 0 {
        checked.translate(wire::repair_push_request(payload), limit, room)?;
    }
    let payload = checked.translated.as_deref().unwrap_or(payload);
    // Cheap, once checked: the profiles are slices of a copy of the payload.
    if !room.grow(payload.len()) {
        return Err(Refusal::Busy("memory"));
    }
    let decoded = PushRequest::decode(Bytes::copy_from_slice(payload));
    let request = decoded.map_err(|error| Refusal::Malformed(error.to_string()))?;
    for (s, series) in request.series.iter().enumerate() {
        for (p, sample) in series.samples.iter().enumerate() {
            profile::pprof(&sample.raw_profile, limit, room).map_err(|refusal| match refusal {
                Refusal::Malformed(problem) => Refusal::Malformed(format!("series[{s}].samples[{p}]: {problem}")),
                other => other,
            })?;
        }
    }
    drop(request);
    room.shrink(payload.len());
    Ok(checked)
}

/// The JSON mapping of the request (protobuf's JSON: both spellings of a field, null for absent).
fn translate(json: &[u8]) -> Result<Bytes, Refusal> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Json {
        series: Option<Vec<Series>>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Series {
        labels: Option<Vec<Label>>,
        samples: Option<Vec<Sample>>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Label {
        name: Option<String>,
        value: Option<String>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Sample {
        #[serde(alias = "raw_profile", rename = "rawProfile")]
        raw_profile: Option<String>,
        #[serde(rename = "ID", alias = "id")]
        id: Option<String>,
    }
    /// Protobuf's JSON takes the standard and the URL alphabet, padded or not.
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let json: Json = serde_json::from_slice(json).map_err(|error| Refusal::Malformed(format!("bad JSON: {error}")))?;
    let sample = |sample: Sample| {
        let text = sample.raw_profile.unwrap_or_default().replace('-', "+").replace('_', "/");
        let raw = BASE64.decode(text).map_err(|error| Refusal::Malformed(format!("rawProfile: {error}")))?;
        Ok(RawSample { raw_profile: raw.into(), id: sample.id.unwrap_or_default() })
    };
    let label =
        |label: Label| LabelPair { name: label.name.unwrap_or_default(), value: label.value.unwrap_or_default() };
    let mut request = PushRequest::default();
    for series in json.series.unwrap_or_default() {
        let samples: Result<Vec<_>, Refusal> = series.samples.unwrap_or_default().into_iter().map(sample).collect();
        let labels = series.labels.unwrap_or_default().into_iter().map(label).collect();
        request.series.push(RawProfileSeries { labels, samples: samples? });
    }
    Ok(request.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_protobuf_maps_it() {
        let json = br#"{"series":[{"labels":[{"name":"service_name","value":"shop"}],"future":{},
            "samples":[{"rawProfile":"_-8","ID":"7"},{"raw_profile":"/+8="},{}]},{"samples":null}]}"#;
        let got = PushRequest::decode(translate(json).expect("good")).expect("good");
        let raw: Vec<&[u8]> = got.series[0].samples.iter().map(|sample| sample.raw_profile.as_ref()).collect();
        assert_eq!(raw, [&[0xff, 0xef][..], &[0xff, 0xef], &[]]);
        assert_eq!(got.series[0].labels[0].value, "shop");
        assert_eq!(got.series.len(), 2);
        assert!(translate(br#"{"series":[{"samples":[{"rawProfile":"?"}]}]}"#).is_err());
        assert!(translate(b"[").is_err());
    }
}
