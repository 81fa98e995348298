//! Profiles as Pyroscope's clients send them: `/ingest` with a query, and `push.v1` with labels.

use prost::Message;

use crate::store::ingest::profiles::name::DisplayNames;
use crate::store::ingest::profiles::pprof::{Pprof, unpack};
use crate::store::ingest::profiles::{Header, Profiles, UNKNOWN_SERVICE, folded, jfr, name, profile_id, speedscope};
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::rejects::Rejects;
use crate::store::ingest::time;
use crate::store::ingest::variant::{Encoder, Value};
use crate::wal::Record;
use crate::wire::ingest::multipart::{self, Part};
use crate::wire::ingest::{Parameters, ProfileFormat};
use crate::wire::jfr::labels::LabelsSnapshot;
use crate::wire::pushpb::PushRequest;
use crate::wire::speedscope::File;

/// Decodes the body of an `/ingest` request. Returns the number of profiles.
pub(crate) fn decode_ingest(
    record: &Record,
    body: &[u8],
    limit: u64,
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    let meta = &record.batch.meta;
    let parameters = Parameters::parse(&meta.query, &meta.content_type, record.batch.received)
        .map_err(|_| ProtoError::Meaning("the query cannot be understood"))?;
    let (app, kind) = match parameters.format {
        ProfileFormat::Pprof | ProfileFormat::Jfr => (parameters.app.as_str(), None),
        ProfileFormat::Groups | ProfileFormat::Lines | ProfileFormat::Speedscope => app_and_kind(&parameters.app),
    };
    let mut labels: Vec<(&str, Value<'_>)> =
        parameters.labels.iter().map(|(name, value)| (name.as_str(), Value::Text(value))).collect();
    labels.push(("__spy_name__", Value::Text(&parameters.spy_name)));
    let find = |wanted: &str| parameters.labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let service_name = find("service_name");
    // A service name of its own would else hide the application's.
    if service_name.is_some() && find("app_name").is_none() {
        labels.push(("app_name", Value::Text(app)));
    }
    let mut header = Header {
        id: profile_id(record.position.0, 0, body),
        time: time::stored(parameters.from),
        duration: i64::try_from(parameters.until.saturating_sub(parameters.from)).ok().filter(|ns| *ns > 0),
        service_name: Some(service_name.map_or_else(|| app.to_owned(), Clone::clone)),
        labels: encoder.encode(Value::Object(&labels))?.to_vec(),
        ..Header::default()
    };
    let form = multipart::is_form(&meta.content_type);
    match parameters.format {
        ProfileFormat::Pprof if form => {
            let parts = parts(&meta.content_type, body)?;
            let names = part(&parts, "sample_type_config").map_or(Ok(DisplayNames::default()), DisplayNames::parse)?;
            push_pprof(record, required(&parts, "profile")?, limit, &names, header, profiles, encoder)?;
        }
        ProfileFormat::Pprof => {
            push_pprof(record, body, limit, &DisplayNames::default(), header, profiles, encoder)?;
        }
        ProfileFormat::Groups | ProfileFormat::Lines => {
            push_folded(body, &parameters, kind.unwrap_or("cpu"), header, profiles)?;
        }
        ProfileFormat::Jfr => {
            header.format = "jfr";
            let (recording, snapshot) = match form {
                false => (body, LabelsSnapshot::default()),
                true => {
                    let parts = parts(&meta.content_type, body)?;
                    let snapshot = unpack(part(&parts, "labels").unwrap_or_default(), limit)?;
                    let snapshot =
                        LabelsSnapshot::parse(&snapshot).map_err(|_| ProtoError::Meaning("jfr: malformed labels"))?;
                    (required(&parts, "jfr")?, snapshot)
                }
            };
            let recording = unpack(recording, limit)?;
            jfr::push(&recording, &snapshot, period(&parameters), &header, &labels, profiles, encoder)?;
        }
        ProfileFormat::Speedscope => {
            header.format = "speedscope";
            push_speedscope(&unpack(body, limit)?, &parameters, kind, &header, &labels, profiles, encoder)?;
        }
    }
    Ok(1)
}

/// The application, and the kind of profile if that is the last word of the application's name.
fn app_and_kind(app: &str) -> (&str, Option<&str>) {
    app.rsplit_once('.').map_or((app, None), |(app, kind)| (app, Some(kind)))
}

/// Nanoseconds between two samples; 0 is not known.
fn period(parameters: &Parameters) -> i64 {
    1_000_000_000_i64.checked_div(i64::from(parameters.sample_rate)).unwrap_or_default()
}

fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, ProtoError> {
    multipart::parts(content_type, body).map_err(|_| ProtoError::Meaning("malformed multipart body"))
}

fn part<'a>(parts: &[Part<'a>], name: &str) -> Option<&'a [u8]> {
    parts.iter().find(|part| part.name == name).map(|part| part.data)
}

fn required<'a>(parts: &[Part<'a>], name: &str) -> Result<&'a [u8], ProtoError> {
    part(parts, name).ok_or(ProtoError::Meaning("multipart body without its profile"))
}

/// Adds a pprof under a header that says where it came from.
fn push_pprof(
    record: &Record,
    raw: &[u8],
    limit: u64,
    names: &DisplayNames,
    mut header: Header,
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<(), ProtoError> {
    let pprof = Pprof::decode(&unpack(raw, limit)?)?;
    let types = pprof.types()?;
    header.format = "pprof";
    pprof.complete(&mut header, &types, names)?;
    header.time = header.time.or_else(|| time::stored(record.batch.received));
    let samples = pprof.samples(types.len(), header.time, profiles, encoder)?;
    profiles.profile(&header, &types, &samples)
}

/// Adds the profiles of a speedscope file. Several are told apart by the label `profile_name`.
fn push_speedscope(
    body: &[u8],
    parameters: &Parameters,
    kind: Option<&str>,
    header: &Header,
    labels: &[(&str, Value<'_>)],
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<(), ProtoError> {
    let file = File::parse(body).map_err(|error| ProtoError::Text(error.to_string()))?;
    let frames = speedscope::frames(&file, header.time, profiles);
    for profile in file.profiles() {
        // The application's name has a kind for one profile; several have one each, by their unit.
        let kind = match file.profiles().len() {
            1 => kind.or(speedscope::kind(profile).filter(|kind| *kind == "bytes")),
            _ => speedscope::kind(profile).or(kind),
        };
        let name::Folded { name, sample_type, periodic } = name::of_folded(kind.unwrap_or("cpu"));
        let mut labels = labels.to_vec();
        labels.push(("profile_name", Value::Text(&profile.name)));
        let mut header = Header {
            name: name.to_owned(),
            labels: encoder.encode(Value::Object(&labels))?.to_vec(),
            ..header.clone()
        };
        if periodic {
            header.periodic(period(parameters));
        }
        let samples = speedscope::samples(profile, &frames, period(parameters), header.time, profiles)?;
        profiles.profile(&header, &[sample_type], &samples)?;
    }
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
        weight = period(parameters);
        header.periodic(weight);
    }
    let counted = parameters.format == ProfileFormat::Groups;
    let samples = folded::samples(body, counted, weight, header.time, profiles)?;
    profiles.profile(&header, &[sample_type], &samples)
}

/// Decodes a `push.v1.PushRequest`. Returns the number of profiles, rejected ones included.
pub(crate) fn decode_push(
    record: &Record,
    message: &[u8],
    limit: u64,
    profiles: &mut Profiles,
    rejects: &mut Rejects,
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
                service_name: Some(find("service_name").map_or(UNKNOWN_SERVICE, String::as_str).to_owned()),
                labels: labels.clone(),
                ..Header::default()
            };
            let names = DisplayNames::default();
            if let Err(error) = push_pprof(record, &sample.raw_profile, limit, &names, header, profiles, encoder) {
                rejects.add(count as u64, error);
            }
            count += 1;
        }
    }
    Ok(count as u64)
}
