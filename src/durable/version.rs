//! The file `VERSION`: which version of a layout a folder has, as a decimal number.

use std::io;
use std::path::Path;

/// What a version file says, where that is not a version that is known.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// A later version.
    #[error("version {0}")]
    Newer(u32),
    /// No number.
    #[error("{0:?}")]
    NoVersion(String),
    /// The system's answer.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Checks that the file says `known` or less, and writes `known` if there is none.
///
/// An empty file, or one of zero bytes, counts as none: a power cut at the first start left that
/// behind in earlier versions, which did not sync it.
///
/// # Errors
/// [`VersionError::Newer`] for a later version, [`VersionError::NoVersion`] for what is no version.
pub fn check(file: &Path, known: u32) -> Result<(), VersionError> {
    let text = match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    if text.bytes().all(|byte| byte == 0) {
        return Ok(super::replace(file, format!("{known}\n").as_bytes())?);
    }
    match text.trim().parse::<u32>() {
        Ok(0) | Err(_) => Err(VersionError::NoVersion(text.trim().chars().take(40).collect())),
        Ok(found) if found > known => Err(VersionError::Newer(found)),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_once_and_compared_later() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("VERSION");
        check(&file, 2).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "2\n");
        check(&file, 3).unwrap();
        assert!(matches!(check(&file, 1), Err(VersionError::Newer(2))));
        for nonsense in ["one", "0", "-1", "\0\x001"] {
            std::fs::write(&file, nonsense).unwrap();
            assert!(matches!(check(&file, 1), Err(VersionError::NoVersion(_))), "{nonsense:?}");
        }
    }

    #[test]
    fn what_a_power_cut_left_of_it_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("VERSION");
        for torn in ["", "\0\0"] {
            std::fs::write(&file, torn).unwrap();
            check(&file, 1).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "1\n");
        }
    }
}
