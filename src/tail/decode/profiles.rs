//! Profiles: OTLP's, and those of Pyroscope's clients, of which only what is beside the profile is read.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{Profile, ProfilesDictionary, ValueType};
use prost::Message;

use super::{label, name, service};
use crate::signal::{Batch, Signal};
use crate::tail::item::{Attributes, Item, Value, attributes};
use crate::wire::ingest::Parameters;
use crate::wire::pushpb::PushRequest;

pub fn profiles(request: &ExportProfilesServiceRequest, each: &mut dyn FnMut(&Item<'_>)) {
    let none = ProfilesDictionary::default();
    let dictionary = request.dictionary.as_ref().unwrap_or(&none);
    for of_resource in &request.resource_profiles {
        let pairs = of_resource.resource.as_ref().map(|resource| &resource.attributes[..]).unwrap_or_default();
        let resource = attributes(pairs);
        for profile in of_resource.scope_profiles.iter().flat_map(|scope| &scope.profiles) {
            let (kind, unit) = value_type(dictionary, profile.sample_type.as_ref());
            each(&Item {
                time: profile.time_unix_nano,
                service: service(&resource),
                name: name(kind),
                unit,
                duration: (profile.duration_nano > 0).then_some(profile.duration_nano),
                count: Some(profile.samples.len() as u64),
                attributes: attributes_of(dictionary, profile),
                resource: &resource,
                ..Item::of(Signal::Profiles)
            });
        }
    }
}

fn string(dictionary: &ProfilesDictionary, index: i32) -> &str {
    usize::try_from(index).ok().and_then(|index| dictionary.string_table.get(index)).map_or("", String::as_str)
}

fn value_type<'a>(dictionary: &'a ProfilesDictionary, of: Option<&ValueType>) -> (&'a str, &'a str) {
    of.map_or(("", ""), |of| (string(dictionary, of.type_strindex), string(dictionary, of.unit_strindex)))
}

fn attributes_of<'a>(dictionary: &'a ProfilesDictionary, profile: &Profile) -> Attributes<'a> {
    let found = |index: &i32| {
        let pair = dictionary.attribute_table.get(usize::try_from(*index).ok()?)?;
        Some((string(dictionary, pair.key_strindex), Value::Any(pair.value.as_ref()?.value.as_ref()?)))
    };
    // A small profile can name one attribute again and again.
    profile.attribute_indices.iter().take(1024).filter_map(found).collect()
}

/// A request of Pyroscope's `/ingest` is one profile.
pub fn ingested(batch: &Batch, each: &mut dyn FnMut(&Item<'_>)) -> bool {
    let meta = &batch.meta;
    let Ok(parameters) = Parameters::parse(&meta.query, &meta.content_type, batch.received) else { return false };
    let labels: Attributes<'_> =
        parameters.labels.iter().map(|(name, value)| (name.as_str(), Value::Text(value))).collect();
    each(&Item {
        time: parameters.from,
        service: label(&labels, "service_name").unwrap_or(&parameters.app),
        name: name(&parameters.app),
        kind: &parameters.spy_name,
        duration: parameters.until.checked_sub(parameters.from).filter(|nanos| *nanos > 0),
        attributes: labels.clone(),
        ..Item::of(Signal::Profiles)
    });
    true
}

/// `push.v1`: profiles with labels.
pub fn pushed(payload: &[u8], received: u64, each: &mut dyn FnMut(&Item<'_>)) -> bool {
    let Ok(request) = PushRequest::decode(payload) else { return false };
    for series in &request.series {
        let labels: Attributes<'_> =
            series.labels.iter().map(|label| (label.name.as_str(), Value::Text(&label.value))).collect();
        for _ in &series.samples {
            each(&Item {
                // The profile has its own time, which is not read.
                time: received,
                service: label(&labels, "service_name").unwrap_or_default(),
                name: name(label(&labels, "__name__").unwrap_or_default()),
                attributes: labels.iter().filter(|(name, _)| *name != "__name__").copied().collect(),
                ..Item::of(Signal::Profiles)
            });
        }
    }
    true
}
