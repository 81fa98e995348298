//! Where the data is.

use std::path::{Path, PathBuf};

use super::Config;

/// The data directory: `given` on the command line, else the config's, else `$STATE_DIRECTORY`
/// (systemd), else `$XDG_DATA_HOME/vispyr`, else `~/.local/share/vispyr`. Nothing if not even
/// a home directory is known.
pub fn data_dir(given: Option<&Path>, config: &Config) -> Option<PathBuf> {
    let dir = given
        .map(Path::to_owned)
        .or_else(|| config.data_dir.clone())
        // systemd gives a list where a unit has several; ours has one.
        .or_else(|| std::env::split_paths(&variable("STATE_DIRECTORY")?).next())
        // The XDG specification: a path that is not absolute is to be ignored.
        .or_else(|| Some(variable("XDG_DATA_HOME").filter(|path| path.is_absolute())?.join("vispyr")))
        .or_else(|| {
            Some(std::env::home_dir().filter(|home| !home.as_os_str().is_empty())?.join(".local/share/vispyr"))
        })?;
    // The engine is another process; the path must mean the same to it.
    std::path::absolute(&dir).ok()
}

/// systemd's `RUNTIME_DIRECTORY`: where the sockets between our processes are under systemd.
pub fn runtime_dir() -> Option<PathBuf> {
    std::env::split_paths(&variable("RUNTIME_DIRECTORY")?).next()
}

pub(super) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where `addresses.json` is.
pub fn run_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run")
}
