//! Walking encoded payloads without decoding them.
//!
//! A gateway's time goes into decoding and encoding again. Here a payload is walked once: is it
//! well formed, and how many items does it hold. What the walk accepts is what prost's decode
//! accepts once damaged strings are repaired (property tests hold the two against each other), so that everything that comes
//! after may rely on it; it costs a fraction of a decode (`benches/wire.rs`) and allocates nothing.
//!
//! Being well formed is all that OTLP is asked for: ids that are zero or of another length, times
//! of 0 or far ahead, NaN and histograms of any scale pass, as does an empty request. What they
//! mean is the store's business, and nothing that was acknowledged is lost for it.
//!
//! | module | what |
//! |---|---|
//! | `descriptor`, `otlp` | the messages, as tables |
//! | `walk`, `path`, `primitive` | the walk, the path of a fault, varints and UTF-8 |
//! | `repair` | U+FFFD in strings that are not UTF-8 |
//! | `likely` | which other request a body looks like |
//! | `remote_write`, `pprof`, `push` | what these formats ask beyond being well formed |
//! | `split`, `select` | splitting a payload that a destination refuses; some of its items |
//! | `downgrade` | remote write 2.0 as 1.0 |
//! | `ids` | spans with ids that are kept, but counted |
//! | [`ingest`] | the query and the body of Pyroscope's `/ingest` |
//! | [`json`] | OTLP/JSON and Pyroscope's push in JSON to protobuf |
//! | [`prompb`], [`pprof_proto`], [`pushpb`] | the prost messages that no crate has |

mod descriptor;
mod downgrade;
mod error;
mod fields;
mod ids;
mod likely;
mod otlp;
mod path;
mod pprof;
mod primitive;
mod push;
mod remote_write;
mod repair;
mod select;
mod split;
mod walk;

pub mod ingest;
pub mod jfr;
pub mod json;
pub mod pprof_proto;
pub mod prompb;
pub mod pushpb;
pub mod speedscope;

#[cfg(test)]
pub(crate) mod tests;

use crate::signal::Signal;
use descriptor::Counter;
pub use downgrade::{DowngradeError, remote_write_v2_to_v1, size_of_strings};
pub use error::{Reason, WireError};
pub use ids::spans_with_invalid_ids;
pub use likely::{has_required, likely_otlp, likely_remote_write};
pub use pprof::check_pprof;
pub use push::{check_push_request, pushed_profiles};
pub use remote_write::{RemoteWriteSummary, check_remote_write_v1, check_remote_write_v2};
pub use repair::{repair_otlp, repair_pprof, repair_push_request, repair_remote_write_v1, repair_remote_write_v2};
pub use select::select;
pub use split::split;

/// What a payload may not exceed.
#[derive(Debug)]
pub struct Limits;

impl Limits {
    /// Levels of nested messages: prost's own limit (`RECURSION_LIMIT`).
    pub const NESTING: u32 = 100;

    /// Bytes that a payload of any size may take when decoded: 1 GiB.
    ///
    /// The largest request is 64 MiB, and real ones take 3 to 8 times their size when decoded.
    pub const DECODED: u64 = 1 << 30;

    /// How many times its size a payload may take when decoded.
    ///
    /// Real payloads stay below 10; a body of empty messages, two bytes each, reaches 60 to 170.
    pub const DECODED_RATIO: u64 = 32;

    /// Bytes that even the smallest payload may take when decoded: below 1 MiB the ratio harms
    /// nobody.
    pub const DECODED_FLOOR: u64 = 1 << 20;

    /// Entries of a table whose references are checked, such as the symbols of remote write 2.0 or
    /// the locations of a pprof profile: 1 Mi. Real ones have thousands; the check takes 16 bytes
    /// for each.
    pub const ENTRIES: usize = 1 << 20;

    /// Bytes that a payload of `size` bytes may take when decoded.
    pub fn decoded_cost(size: u64) -> u64 {
        (size * Self::DECODED_RATIO).clamp(Self::DECODED_FLOOR, Self::DECODED)
    }
}

/// What a payload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Spans, data points, log records or profiles.
    pub items: u64,
    /// Bytes that a full decode would take, roughly: the structs, the strings, the numbers.
    pub decoded_cost: u64,
    /// Strings that are not UTF-8. Decoders refuse the payload until they are repaired.
    pub damaged_strings: u64,
    /// Fields that no message of the format has.
    pub unknown_fields: u64,
}

impl Summary {
    fn new(counts: &walk::Counts) -> Self {
        Summary {
            items: counts.of(Counter::Items),
            decoded_cost: counts.cost,
            damaged_strings: counts.of(Counter::DamagedStrings),
            unknown_fields: counts.of(Counter::UnknownFields),
        }
    }
}

/// Checks an OTLP export request of this signal and counts its items: spans, data points of all
/// kinds, log records, profiles.
///
/// # Errors
/// When prost would not decode it once repaired, or when it would grow beyond [`Limits`] if decoded.
pub fn check_otlp(signal: Signal, payload: &[u8]) -> Result<Summary, WireError> {
    let counts = walk::walk(otlp::request(signal), payload)?;
    Ok(Summary::new(&counts))
}
