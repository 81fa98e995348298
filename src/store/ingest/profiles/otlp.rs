//! OTLP profiles: `ExportProfilesServiceRequest`, whose dictionary holds strings, functions,
//! locations, stacks, attributes and links of all its profiles.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::profiles::v1development::{Profile, ProfilesDictionary, Sample, ValueType};
use prost::Message;

use crate::store::ingest::profiles::{
    Frame, Header, Profiles, SampleKey, SampleType, Samples, UNKNOWN_SERVICE, name, profile_id, unsymbolized,
};
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::rejects::Rejects;
use crate::store::ingest::time;
use crate::store::ingest::variant::Encoder;
use crate::wal::Record;

/// Decodes a request. Returns the number of profiles, rejected ones included.
pub(crate) fn decode(
    record: &Record,
    message: &[u8],
    profiles: &mut Profiles,
    rejects: &mut Rejects,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    let request =
        ExportProfilesServiceRequest::decode(message).map_err(|_| ProtoError::Meaning("malformed profiles"))?;
    let empty = ProfilesDictionary::default();
    let dictionary = Dictionary(request.dictionary.as_ref().unwrap_or(&empty));
    let mut count = 0;
    for block in &request.resource_profiles {
        let resource: &[KeyValue] = block.resource.as_ref().map_or(&[], |resource| &resource.attributes);
        let resource = resource.iter().map(|attribute| dictionary.key_value(attribute)).collect::<Result<Vec<_>, _>>();
        for profile in block.scope_profiles.iter().flat_map(|scope| &scope.profiles) {
            let stored = match &resource {
                Ok(resource) => push(record, count, profile, resource, &dictionary, profiles, encoder),
                Err(error) => Err(error.clone()),
            };
            if let Err(error) = stored {
                rejects.add(count as u64, error);
            }
            count += 1;
        }
    }
    Ok(count as u64)
}

fn push(
    record: &Record,
    number: usize,
    profile: &Profile,
    resource: &[KeyValue],
    dictionary: &Dictionary<'_>,
    profiles: &mut Profiles,
    encoder: &mut Encoder,
) -> Result<(), ProtoError> {
    let mut labels = resource.to_vec();
    labels.extend(dictionary.attributes(&profile.attribute_indices)?);
    let sample_type = dictionary.value_type(profile.sample_type.as_ref())?;
    let period = dictionary.value_type(profile.period_type.as_ref())?;
    let (name, sample_type, weight) = name::of_otlp(sample_type, &period, profile.period);
    let own_id = !profile.profile_id.is_empty();
    let header = Header {
        id: if own_id {
            profile.profile_id.clone()
        } else {
            profile_id(record.position.0, number, &record.batch.payload)
        },
        time: time::stored(profile.time_unix_nano).or_else(|| time::stored(record.batch.received)),
        duration: i64::try_from(profile.duration_nano).ok().filter(|ns| *ns > 0),
        name,
        period_type: period.name,
        period_unit: period.unit,
        period: profile.period,
        service_name: None,
        labels: variant(&labels, encoder)?,
        format: "otlp",
    };
    // One profiler for a whole machine names the service of each sample.
    let mut services: Vec<(String, Samples)> = vec![(service_of_resource(resource), Samples::default())];
    for sample in &profile.samples {
        let attributes = dictionary.attributes(&sample.attribute_indices)?;
        let at = match service_name(&attributes) {
            None => 0,
            Some(name) => services.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                services.push((name, Samples::default()));
                services.len() - 1
            }),
        };
        let key = dictionary.sample(sample, &attributes, header.time, profiles, encoder)?;
        services[at].1.add(key, &[value(sample).saturating_mul(weight)])?;
    }
    for (i, (service_name, samples)) in services.into_iter().enumerate() {
        if i == 0 || !samples.is_empty() {
            let header = Header { service_name: Some(service_name), ..header.clone() };
            profiles.profile(&header, std::slice::from_ref(&sample_type), &samples)?;
        }
    }
    Ok(())
}

/// The service that attributes name.
fn service_name(attributes: &[KeyValue]) -> Option<String> {
    text(attributes, "service.name").filter(|name| !name.is_empty())
}

/// The service of a resource; one that names none is `unknown_service`, with its program if that is
/// known (OpenTelemetry semantic conventions, `service.name`).
fn service_of_resource(resource: &[KeyValue]) -> String {
    service_name(resource).unwrap_or_else(|| match text(resource, "process.executable.name") {
        Some(program) if !program.is_empty() => format!("{UNKNOWN_SERVICE}:{program}"),
        _ => UNKNOWN_SERVICE.to_owned(),
    })
}

/// An attribute as text, if it is there and is a single value.
fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match attribute.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        Any::DoubleValue(number) => number.to_string(),
        Any::BoolValue(truth) => truth.to_string(),
        _ => return None,
    })
}

/// A sample may hold a value for each of several times, or times alone, which count one each.
fn value(sample: &Sample) -> i64 {
    if sample.values.is_empty() {
        return i64::try_from(sample.timestamps_unix_nano.len()).unwrap_or(i64::MAX);
    }
    sample.values.iter().fold(0, |sum, value| sum.saturating_add(*value))
}

fn variant(attributes: &[KeyValue], encoder: &mut Encoder) -> Result<Vec<u8>, ProtoError> {
    let encoded: Vec<Vec<u8>> = attributes.iter().map(Message::encode_to_vec).collect();
    let encoded: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
    Ok(encoder.attributes(&encoded)?.to_vec())
}

/// Looks references up.
struct Dictionary<'a>(&'a ProfilesDictionary);

impl<'a> Dictionary<'a> {
    /// The entry of a table. Index 0 is "none" and may be missing.
    fn get<T>(table: &'a [T], index: i32, what: &'static str) -> Result<Option<&'a T>, ProtoError> {
        let entry = usize::try_from(index).ok().and_then(|index| table.get(index));
        if entry.is_none() && index != 0 { Err(ProtoError::Meaning(what)) } else { Ok(entry) }
    }

    fn text(&self, index: i32) -> Result<&'a str, ProtoError> {
        Ok(Self::get(&self.0.string_table, index, "profiles: no such string")?.map_or("", String::as_str))
    }

    fn value_type(&self, value: Option<&ValueType>) -> Result<SampleType, ProtoError> {
        let value = value.copied().unwrap_or_default();
        Ok(SampleType {
            name: self.text(value.type_strindex)?.to_owned(),
            unit: self.text(value.unit_strindex)?.to_owned(),
        })
    }

    /// The attribute with its references to strings replaced by them.
    fn key_value(&self, attribute: &KeyValue) -> Result<KeyValue, ProtoError> {
        let key = match attribute.key_strindex {
            0 => attribute.key.clone(),
            index => self.text(index)?.to_owned(),
        };
        let value = attribute.value.as_ref().map(|value| self.any(value)).transpose()?;
        Ok(KeyValue { key, value, ..KeyValue::default() })
    }

    /// Recursion is bounded: the receiver takes no body that is nested deeper than
    /// [`crate::wire::Limits`] says.
    fn any(&self, value: &AnyValue) -> Result<AnyValue, ProtoError> {
        let value = match &value.value {
            Some(Any::StringValueStrindex(index)) => Some(Any::StringValue(self.text(*index)?.to_owned())),
            Some(Any::ArrayValue(list)) => {
                let values = list.values.iter().map(|value| self.any(value)).collect::<Result<_, _>>()?;
                Some(Any::ArrayValue(ArrayValue { values }))
            }
            Some(Any::KvlistValue(map)) => {
                let values = map.values.iter().map(|entry| self.key_value(entry)).collect::<Result<_, _>>()?;
                Some(Any::KvlistValue(KeyValueList { values }))
            }
            other => other.clone(),
        };
        Ok(AnyValue { value })
    }

    fn attributes(&self, indices: &[i32]) -> Result<Vec<KeyValue>, ProtoError> {
        let mut attributes = Vec::new();
        for index in indices {
            let entry = Self::get(&self.0.attribute_table, *index, "profiles: no such attribute")?;
            if let Some(entry) = entry {
                let key = self.text(entry.key_strindex)?.to_owned();
                let value = entry.value.as_ref().map(|value| self.any(value)).transpose()?;
                attributes.push(KeyValue { key, value, ..KeyValue::default() });
            }
        }
        Ok(attributes)
    }

    fn sample(
        &self,
        sample: &Sample,
        attributes: &[KeyValue],
        time: Option<i64>,
        profiles: &mut Profiles,
        encoder: &mut Encoder,
    ) -> Result<SampleKey, ProtoError> {
        let link = Self::get(&self.0.link_table, sample.link_index, "profiles: no such link")?;
        let is_set = |id: &[u8]| id.iter().any(|byte| *byte != 0);
        let stack = Self::get(&self.0.stack_table, sample.stack_index, "profiles: no such stack")?;
        let mut frames = Vec::new();
        // Leaf first there, root first here; likewise the lines of what was inlined.
        for index in stack.map_or(&[][..], |stack| &stack.location_indices).iter().rev() {
            self.location(*index, time, profiles, &mut frames)?;
            if frames.len() > super::MAX_FRAMES {
                break;
            }
        }
        Ok(SampleKey {
            stack_id: profiles.stack(frames.into_iter(), time),
            trace_id: link.map(|link| link.trace_id.clone()).filter(|id| is_set(id)).unwrap_or_default(),
            span_id: link.map(|link| link.span_id.clone()).filter(|id| is_set(id)).unwrap_or_default(),
            labels: if attributes.is_empty() { Vec::new() } else { variant(attributes, encoder)? },
        })
    }

    fn location(
        &self,
        index: i32,
        time: Option<i64>,
        profiles: &mut Profiles,
        frames: &mut Vec<i64>,
    ) -> Result<(), ProtoError> {
        let Some(location) = Self::get(&self.0.location_table, index, "profiles: no such location")? else {
            return Ok(());
        };
        let mapping = Self::get(&self.0.mapping_table, location.mapping_index, "profiles: no such mapping")?;
        let mapping = mapping.map_or(Ok(""), |mapping| self.text(mapping.filename_strindex))?;
        if location.lines.is_empty() {
            let address = unsymbolized(mapping, location.address);
            frames.push(profiles.frame(&Frame { function: &address, mapping, ..Frame::default() }, time));
        }
        for line in location.lines.iter().rev().take(super::MAX_FRAMES) {
            let function = Self::get(&self.0.function_table, line.function_index, "profiles: no such function")?;
            let frame = Frame {
                function: function.map_or(Ok(""), |function| self.text(function.name_strindex))?,
                file: function.map_or(Ok(""), |function| self.text(function.filename_strindex))?,
                line: line.line,
                mapping,
            };
            frames.push(profiles.frame(&frame, time));
        }
        Ok(())
    }
}
