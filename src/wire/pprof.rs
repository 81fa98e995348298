//! pprof profiles: well formed, and every reference in them leads somewhere.
//!
//! Pyroscope answers 200 to a profile with dangling location ids and drops it; Go's own parser
//! (`google/pprof/profile`) refuses it, as it does repeated ids and samples whose values do not
//! match the sample types. So does this check, naming the place.

mod ids;
mod messages;
mod references;

use super::Summary;
use super::error::WireError;
use super::walk::walk;
pub(super) use messages::PROFILE;

/// Checks a pprof profile, decompressed; it counts as one item.
///
/// # Errors
/// When prost would not decode it, when it would grow beyond [`super::Limits`] if decoded, when an
/// index or id in it leads nowhere, when an id occurs twice, when a sample has not one value
/// for each sample type.
pub fn check_pprof(payload: &[u8]) -> Result<Summary, WireError> {
    let counts = walk(&messages::PROFILE, payload)?;
    references::check(payload)?;
    Ok(Summary::new(&counts))
}

#[cfg(test)]
mod tests;
