//! Folded stacks: lines of frames parted by `;`, root first. "Groups" have a count at the end of
//! the line, "lines" are one sample each.

use crate::store::ingest::profiles::{Frame, Profiles, SampleKey, Samples};
use crate::store::ingest::proto::ProtoError;

/// Reads the samples; gives out their stacks and frames. A count is multiplied by `weight`.
pub(super) fn samples(
    text: &[u8],
    counted: bool,
    weight: i64,
    time: Option<i64>,
    profiles: &mut Profiles,
) -> Result<Samples, ProtoError> {
    let mut samples = Samples::default();
    for line in text.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        if line.is_empty() {
            continue;
        }
        let (stack, count) = if counted {
            let (stack, count) = line.rsplit_once(' ').ok_or(ProtoError::Meaning("a folded stack without a count"))?;
            let count: u64 = count.parse().map_err(|_| ProtoError::Meaning("a folded stack without a count"))?;
            (stack, i64::try_from(count).unwrap_or(i64::MAX))
        } else {
            (&*line, 1)
        };
        let frames: Vec<i64> =
            stack.split(';').map(|function| profiles.frame(&Frame { function, ..Frame::default() }, time)).collect();
        let stack_id = profiles.stack(frames.into_iter(), time);
        samples.add(SampleKey { stack_id, ..SampleKey::default() }, &[count.saturating_mul(weight)])?;
    }
    Ok(samples)
}
