//! Damaged stretches are kept in `corrupt/`, for people to look at: they may hold data that was
//! acknowledged. The folder is bounded; what comes later is only counted.

use std::fs;
use std::path::Path;

const FOLDER: &str = "corrupt";
/// Files kept at most.
const MAX_FILES: usize = 64;
/// Bytes kept of one stretch.
const MAX_BYTES: usize = 16 << 20;

/// Keeps `bytes` that lay at `offset` of a segment. Failing is logged and nothing more.
pub(super) fn keep(dir: &Path, segment: u64, offset: u64, bytes: &[u8]) {
    let folder = dir.join(FOLDER);
    let path = folder.join(format!("{segment:020}-{offset:010}.bin"));
    let write = || {
        fs::create_dir_all(&folder)?;
        if path.exists() || fs::read_dir(&folder)?.count() >= MAX_FILES {
            return Ok(());
        }
        fs::write(&path, &bytes[..bytes.len().min(MAX_BYTES)])
    };
    if let Err(error) = write() {
        tracing::warn!(path = %path.display(), %error, "cannot copy a damaged record into the quarantine");
    }
}
