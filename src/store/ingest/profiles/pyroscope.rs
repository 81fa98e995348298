//! Profiles as Pyroscope's clients send them: `/ingest` with a query, and `push.v1` with labels.

use prost::Message;

use crate::store::ingest::profiles::pprof::{Pprof, unpack};
use crate::store::ingest::profiles::{Header, Profiles, folded, name, profile_id};
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::time;
use crate::store::ingest::variant::{Encoder, Value};
use crate::wal::Record;
use crate::wire::ingest::{Parameters, ProfileFormat, multipart};
use crate::wire::pushpb::PushRequest;

/// Decodes the body of an `/ingest` request. Returns the number of profiles, and how many of them
/// are kept undecoded.
pub(crate) fn decode_ingest(
    record: &Record,
    body: &[u8],
    limit: u64,
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<(u64, u64), ProtoError> {
    let meta = &record.batch.meta;
    let parameters = Parameters::parse(&meta.query, &meta.content_type, record.batch.received)
        .map_err(|_| ProtoError::Meaning("the query cannot be understood"))?;
    let mut labels: Vec<(&str, Value<'_>)> =
        parameters.labels.iter().map(|(name, value)| (name.as_str(), Value::Text(value))).collect();
    let own_name = parameters.labels.iter().find(|(name, _)| name == "service_name").map(|(_, value)| value.clone());
    labels.push(("__spy_name__", Value::Text(&parameters.spy_name)));
    let mut header = Header {
        id: profile_id(record.position.0, 0, body),
        time: time::stored(parameters.from),
        duration: i64::try_from(parameters.until.saturating_sub(parameters.from)).ok().filter(|ns| *ns > 0),
        service_name: Some(own_name.unwrap_or_else(|| parameters.app.clone())),
        labels: encoder.encode(Value::Object(&labels))?.to_vec(),
        ..Header::default()
    };
    match parameters.format {
        ProfileFormat::Pprof => {
            let form = multipart::is_form(&meta.content_type);
            let raw = if form { part(&meta.content_type, body, "profile")? } else { body };
            push_pprof(record, raw, limit, header, profiles, encoder)?;
        }
        ProfileFormat::Groups | ProfileFormat::Lines => {
            let (app, kind) = parameters.app.rsplit_once('.').unwrap_or((&parameters.app, "cpu"));
            if header.service_name.as_deref() == Some(parameters.app.as_str()) {
                header.service_name = Some(app.to_owned());
            }
            push_folded(body, &parameters, kind, header, profiles)?;
        }
        ProfileFormat::Jfr | ProfileFormat::Speedscope => {
            header.format = if parameters.format == ProfileFormat::Jfr { "jfr" } else { "speedscope" };
            profiles.opaque(&header);
            return Ok((1, 1));
        }
    }
    Ok((1, 0))
}

fn part<'a>(content_type: &str, body: &'a [u8], name: &str) -> Result<&'a [u8], ProtoError> {
    let parts = multipart::parts(content_type, body).map_err(|_| ProtoError::Meaning("malformed multipart body"))?;
    let part = parts.into_iter().find(|part| part.name == name);
    part.map(|part| part.data).ok_or(ProtoError::Meaning("multipart body without its profile"))
}

/// Adds a pprof under a header that says where it came from.
fn push_pprof(
    record: &Record,
    raw: &[u8],
    limit: u64,
    mut header: Header,
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<(), ProtoError> {
    let pprof = Pprof::decode(&unpack(raw, limit)?)?;
    let types = pprof.types()?;
    header.format = "pprof";
    pprof.complete(&mut header, &types)?;
    header.time = header.time.or_else(|| time::stored(record.batch.received));
    let samples = pprof.samples(types.len(), header.time, profiles, encoder)?;
    profiles.profile(&header, &types, &samples);
    Ok(())
}

/// Folded stacks of time are in samples, taken `sample_rate` times a second, and told in nanoseconds.
fn push_folded(
    body: &[u8],
    parameters: &Parameters,
    kind: &str,
    mut header: Header,
    profiles: &mut Profiles,
) -> Result<(), ProtoError> {
    let name::Folded { name, sample_type, periodic } = name::of_folded(kind);
    header.format = "folded";
    name.clone_into(&mut header.name);
    let mut weight = 1;
    if periodic && parameters.sample_rate > 0 {
        weight = 1_000_000_000 / i64::from(parameters.sample_rate);
        header.period = weight;
        "cpu".clone_into(&mut header.period_type);
        "nanoseconds".clone_into(&mut header.period_unit);
    }
    let counted = parameters.format == ProfileFormat::Groups;
    let samples = folded::samples(body, counted, weight, header.time, profiles)?;
    profiles.profile(&header, &[sample_type], &samples);
    Ok(())
}

/// Decodes a `push.v1.PushRequest`. Returns the number of profiles.
pub(crate) fn decode_push(
    record: &Record,
    message: &[u8],
    limit: u64,
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    let request = PushRequest::decode(message).map_err(|_| ProtoError::Meaning("malformed push request"))?;
    let mut count = 0;
    for series in &request.series {
        let find = |name: &str| series.labels.iter().find(|label| label.name == name).map(|label| &label.value);
        let labels: Vec<(&str, Value<'_>)> = series
            .labels
            .iter()
            .filter(|label| label.name != "__name__")
            .map(|label| (label.name.as_str(), Value::Text(&label.value)))
            .collect();
        let labels = encoder.encode(Value::Object(&labels))?.to_vec();
        for sample in &series.samples {
            let header = Header {
                id: profile_id(record.position.0, count, &sample.raw_profile),
                name: find("__name__").cloned().unwrap_or_default(),
                service_name: find("service_name").cloned(),
                labels: labels.clone(),
                ..Header::default()
            };
            push_pprof(record, &sample.raw_profile, limit, header, profiles, encoder)?;
            count += 1;
        }
    }
    Ok(count as u64)
}
