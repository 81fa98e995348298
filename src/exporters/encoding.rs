//! When payloads cannot go as they came: they are compressed and decompressed off the async threads, and
//! large ones one at a time.

use parking_lot::{Mutex, MutexGuard};

pub use crate::codec::compress::{compress, transcode};
pub use crate::codec::decoder::{ZSTD_ANY_WINDOW, beginning, decoder};
pub use crate::codec::inflate::inflate_checked as inflate;

/// Payloads larger than this once decompressed are not decompressed as a whole where that can be
/// helped, and else one at a time: a body of some KiB may become 64 MiB, for every destination.
pub const LARGE: u64 = 1 << 20;

/// One large payload at a time is decompressed as a whole.
static LARGE_TURN: Mutex<()> = Mutex::new(());

/// A turn for work that holds a payload of this size decompressed. Blocks while others have it.
pub fn turn(decoded_size: u64) -> Option<MutexGuard<'static, ()>> {
    (decoded_size > LARGE).then(|| LARGE_TURN.lock())
}
