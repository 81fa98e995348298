//! `vispyr merger`: the process that makes one sorted file of many. The store starts it and starts it
//! again.

use super::Settings;
use crate::store::merge::process;

/// Runs the merger until its parent is gone.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    Ok(process::run(&settings.config.store, &settings.data_dir)?)
}
