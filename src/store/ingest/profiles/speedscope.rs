//! speedscope's profiles, named as Pyroscope names them (`pkg/og/convert/speedscope` of
//! grafana/pyroscope). Values are told in nanoseconds or bytes, without its loss of precision.

use crate::store::ingest::profiles::{Frame, Profiles, SampleKey, Samples};
use crate::store::ingest::proto::ProtoError;
use crate::wire::speedscope::{File, Profile};

/// The ids of the shared frames, in their order.
pub(super) fn frames(file: &File, time: Option<i64>, profiles: &mut Profiles) -> Vec<i64> {
    let frames = file.frames().iter().map(|frame| {
        let file = frame.file.as_deref().unwrap_or_default();
        let line = frame.line.map_or(0, |line| line as i64);
        profiles.frame(&Frame { function: &frame.name, file, line, ..Frame::default() }, time)
    });
    frames.collect()
}

/// The kind of a profile by the unit of its values, as folded stacks name it.
pub(super) fn kind(profile: &Profile) -> Option<&'static str> {
    match profile.unit.as_str() {
        "bytes" => Some("bytes"),
        "nanoseconds" | "microseconds" | "milliseconds" | "seconds" => Some("wall"),
        _ => None,
    }
}

/// The samples of a profile; gives out their stacks. Without a unit a value is a number of samples,
/// which are `period` nanoseconds apart.
pub(super) fn samples(
    profile: &Profile,
    frames: &[i64],
    period: i64,
    time: Option<i64>,
    profiles: &mut Profiles,
) -> Result<Samples, ProtoError> {
    let scale = match profile.unit.as_str() {
        "microseconds" => 1e3,
        "milliseconds" => 1e6,
        "seconds" => 1e9,
        "nanoseconds" | "bytes" => 1.0,
        _ => period as f64,
    };
    let mut samples = Samples::default();
    profile.stacks(|stack, value| {
        let stack_id = profiles.stack(stack.iter().filter_map(|place| frames.get(*place as usize)).copied(), time);
        // Saturates: a value beyond the range of i64 is its end.
        samples.add(SampleKey { stack_id, ..SampleKey::default() }, &[(value * scale).round() as i64])
    })?;
    Ok(samples)
}
