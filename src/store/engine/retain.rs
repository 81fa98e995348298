//! The thread that keeps to the retention: see [`crate::store::retention`].

use std::sync::Arc;
use std::time::Instant;

use super::Stop;
use super::shared::Shared;
use crate::signal::now_nanos;
use crate::store::catalog::CatalogError;
use crate::store::retention::enforce::{Disk, EVERY, Enforcer, Now, SOON};

/// Its own state.
pub struct Retainer {
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    enforcer: Enforcer,
}

impl Retainer {
    /// `stop` ends it.
    pub fn new(shared: Arc<Shared>, stop: Arc<Stop>) -> Self {
        let enforcer = Enforcer::new(shared.config.retention.clone(), shared.config.statement_limit);
        Retainer { shared, stop, enforcer }
    }

    /// Looks from time to time, until it is stopped.
    pub fn run(mut self) {
        loop {
            let soon = self.look().unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot see to what is kept");
                false
            });
            if self.stop.wait(if soon { SOON } else { EVERY }) {
                return;
            }
        }
    }

    /// Answers whether to look again soon.
    fn look(&mut self) -> Result<bool, CatalogError> {
        let disk = match Disk::of(&self.shared.sealed_dir) {
            Ok(disk) => disk,
            Err(error) => {
                tracing::warn!(%error, "cannot see how much of the disk is free");
                return Ok(false);
            }
        };
        if self.shared.forgetting.take_ended() {
            self.enforcer.hurry();
        }
        let now = Now { monotonic: Instant::now(), wall: now_nanos() };
        let done = self.enforcer.look(&self.shared.catalog, &self.shared.sealed_dir, disk, now)?;
        self.shared.counters.update(|stats| {
            for (_, why) in &done.dropped {
                *stats.dropped_files.entry(*why).or_default() += 1;
            }
            stats.deleted_files += done.deleted as u64;
            stats.kept = done.kept;
        });
        Ok(done.look_soon)
    }
}
