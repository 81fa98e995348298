//! `vispyr merger`: the process that makes one sorted file of many. The store starts it and starts it
//! again.

use super::{Settings, parent};
use crate::store::engine;
use crate::store::merge::process;
use crate::telemetry::process::Usage;

/// Runs the merger until its parent is gone.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    engine::panics::end_the_process();
    let threads = Usage::own().threads;
    anyhow::ensure!(threads == 1, "{threads} threads run before the merger is confined");
    Ok(process::run(&settings.config.store, &settings.data_dir, parent::end_with_it)?)
}
