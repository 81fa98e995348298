//! Damaged stretches are kept in `corrupt/`, for people to look at: they may hold data that was
//! acknowledged. The folder is bounded; what comes later is only counted.

use std::io::Write as _;
use std::path::Path;

use crate::quarantine::folder::{Bound, Folder};

const FOLDER: &str = "corrupt";

/// What is kept at most.
const BOUND: Bound = Bound { files: 64, bytes: 256 << 20 };

/// Bytes kept of one stretch.
const MAX_BYTES: usize = 16 << 20;

/// Keeps `bytes` that lay at `offset` of a segment. Answers whether they are kept, now or before; why
/// not is logged.
pub(super) fn keep(dir: &Path, segment: u64, offset: u64, bytes: &[u8]) -> bool {
    let folder = Folder::at(dir.join(FOLDER));
    let name = format!("{segment:020}-{offset:010}.bin");
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    let write = || {
        let held = folder.list()?;
        if held.iter().any(|(known, _)| *known == name) {
            return Ok(true);
        }
        if !BOUND.has_room(&held, bytes.len() as u64) {
            return Ok(false);
        }
        folder.create()?;
        folder.write(&name, |file| file.write_all(bytes)).map(|()| true)
    };
    let path = folder.path(&name);
    let kept: std::io::Result<bool> = write();
    match kept {
        Ok(true) => true,
        Ok(false) => {
            tracing::warn!(path = %path.display(), "there is enough in the quarantine of the log, a damaged record is not kept");
            false
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot copy a damaged record into the quarantine");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_once_and_the_rest_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        for offset in 0..BOUND.files as u64 {
            assert!(keep(dir.path(), 7, offset, b"damaged"));
        }
        assert!(!keep(dir.path(), 8, 0, b"damaged"), "there is no room");
        assert!(keep(dir.path(), 7, 3, b"damaged"), "this one is there");
        let folder = Folder::at(dir.path().join(FOLDER));
        assert_eq!(folder.list().unwrap().len(), BOUND.files);
        assert_eq!(std::fs::read(folder.path("00000000000000000007-0000000003.bin")).unwrap(), b"damaged");
    }
}
