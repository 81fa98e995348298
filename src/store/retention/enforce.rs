//! The thread that has files go: what is too old or too much leaves the latest snapshot, what no
//! statement can read any more leaves the disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::kept::{EarlyDrop, Kept, Room, summary};
use super::lease::Lease;
use super::plan::{Situation, Why, plan};
use super::{Config, dropped};
use crate::durable;
use crate::store::catalog::expiry::{self, Ended};
use crate::store::catalog::{Catalog, CatalogError};
use crate::store::engine::failpoint;

/// How often it looks.
pub const EVERY: Duration = Duration::from_secs(5);

/// The same while files are to leave the disk as soon as they can.
pub const SOON: Duration = Duration::from_secs(1);

/// Beyond the time limit of a statement: until one that ran into it has ended.
pub const GRACE: Duration = Duration::from_secs(5);

/// How far the clock may be off the monotonic one from one look to the next.
const JUMP: Duration = Duration::from_secs(60);

/// For so long nothing goes for its age when the clock has jumped.
const STEADY: Duration = Duration::from_secs(3600);

/// Under which the catalog keeps the last early drop.
const EARLY_DROP: &str = "early_drop";

/// What names of files of level 0 end with.
const LEVEL_0: &str = ".l0.parquet";

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// That only goes on.
    pub monotonic: Instant,
    /// That people read and set: nanoseconds since the Unix epoch.
    pub wall: u64,
}

/// Bytes of the store's disk.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// All.
    pub total: u64,
    /// That may be written.
    pub free: u64,
}

impl Disk {
    /// The disk of a folder.
    ///
    /// # Errors
    /// The system's.
    pub fn of(dir: &Path) -> std::io::Result<Self> {
        let disk = rustix::fs::statvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Disk { total: bytes(disk.f_blocks), free: bytes(disk.f_bavail) })
    }
}

/// What it remembers from one look to the next.
#[derive(Debug)]
pub struct Enforcer {
    config: Config,
    /// For so long a statement may read a file that the latest snapshot does not have any more.
    statements: Duration,
    lease: Lease,
    last: Option<Now>,
    unsteady_until: Option<Instant>,
    last_early_drop: Option<EarlyDrop>,
    /// Whether it was said that others fill the disk.
    others_fill_it: bool,
    /// What has to leave the disk as soon as no statement reads it.
    is_urgent: bool,
}

/// What a look did.
#[derive(Debug, Default)]
pub struct Done {
    /// Paths of the files that left the latest snapshot, and why.
    pub dropped: Vec<(String, Why)>,
    /// Files that left the disk.
    pub deleted: usize,
    /// What is kept.
    pub kept: Kept,
    /// Whether files are to leave the disk as soon as they can.
    pub look_soon: bool,
}

impl Enforcer {
    /// Of a store whose statements run no longer than `time_limit`.
    pub fn new(config: Config, time_limit: Duration) -> Self {
        Enforcer {
            config,
            statements: time_limit.saturating_add(GRACE),
            lease: Lease::default(),
            last: None,
            unsteady_until: None,
            last_early_drop: None,
            others_fill_it: false,
            is_urgent: false,
        }
    }

    /// Files that were ended for another reason than merging have to leave the disk soon.
    pub fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// One look. The catalog is not held while files are deleted.
    ///
    /// # Errors
    /// The catalog's. The next look tries again.
    pub fn look(
        &mut self,
        catalog: &Mutex<Catalog>,
        sealed: &Path,
        disk: Disk,
        now: Now,
    ) -> Result<Done, CatalogError> {
        let mut done = Done::default();
        if self.last.is_none() {
            let told = catalog.lock().remembered(EARLY_DROP)?;
            self.last_early_drop = told.and_then(|told| serde_json::from_str(&told).ok());
        }
        let min_free = self.config.min_free(disk.total);
        let (files, ended) = {
            let catalog = catalog.lock();
            (catalog.kept()?, catalog.ended()?)
        };
        let wall = i64::try_from(now.wall).unwrap_or(i64::MAX);
        let coming = disk.free.saturating_add(ended.sealed);
        let stored: u64 = files.iter().map(|aged| aged.file.bytes).sum();
        // Where others have filled the disk, no drop gives it back: then the store keeps a third of what they leave.
        let most_free = stored.saturating_add(coming).saturating_add(ended.level0) / 3 * 2;
        let need = if coming < min_free.min(most_free) {
            // Some more, so that the next look need not drop again.
            (min_free + min_free / 8).min(most_free) - coming
        } else {
            0
        };
        let situation = Situation { now: wall, is_clock_steady: self.is_steady(now), need };
        let dropped = plan(&files, &self.config, situation);
        if !dropped.is_empty() {
            let paths: Vec<String> = dropped.iter().map(|dropped| dropped.aged.file.path.clone()).collect();
            catalog.lock().end(&paths, now.wall)?;
            failpoint::reach("retention_ended");
            if let Some(early) = dropped::tell(&dropped, now.wall) {
                catalog.lock().remember(EARLY_DROP, &serde_json::to_string(&early).unwrap_or_default())?;
                self.last_early_drop = Some(early);
            }
        }
        self.tell_others(min_free, most_free);
        done.dropped = dropped.iter().map(|dropped| (dropped.aged.file.path.clone(), dropped.why)).collect();

        let (left, ended) = {
            let catalog = catalog.lock();
            self.lease.note(now.monotonic, catalog.latest_snapshot()?);
            (catalog.kept()?, catalog.ended()?)
        };
        let is_pressed = disk.free < min_free || self.is_urgent;
        done.look_soon = is_pressed;
        let age = if is_pressed { self.statements } else { self.config.snapshots.max(self.statements) };
        let before = self.lease.over(now.monotonic, age);
        catalog.lock().expire(before, now.wall)?;
        failpoint::reach("expiry_scheduled");
        done.deleted = delete(catalog, sealed)?;
        let room = Room { free: disk.free, min_free, ended: ended.level0 + ended.sealed };
        if ended == Ended::default() {
            self.is_urgent = false;
        }
        done.kept = Kept { last_early_drop: self.last_early_drop.clone(), ..summary(&left, &self.config, room, wall) };
        Ok(done)
    }

    /// Whether the clock goes as the monotonic one does, and has for a while.
    fn is_steady(&mut self, now: Now) -> bool {
        if let Some(last) = self.last.replace(now) {
            let went = now.monotonic.duration_since(last.monotonic).as_nanos();
            let went = u64::try_from(went).unwrap_or(u64::MAX);
            let off = Duration::from_nanos(now.wall.abs_diff(last.wall.saturating_add(went)));
            if off > JUMP {
                tracing::warn!(
                    seconds = off.as_secs(),
                    forward = now.wall > last.wall,
                    "the clock has jumped, no rows are dropped for their age until it has been steady for an hour"
                );
                self.unsteady_until = Some(now.monotonic + STEADY);
            }
        }
        self.unsteady_until = self.unsteady_until.filter(|until| now.monotonic < *until);
        self.unsteady_until.is_none()
    }

    /// Says once that others fill the disk, so that no more than `most_free` of it can be free.
    fn tell_others(&mut self, min_free: u64, most_free: u64) {
        let others_fill_it = most_free < min_free;
        if others_fill_it && !self.others_fill_it {
            tracing::error!(
                min_free_disk = min_free,
                keeps = most_free / 2,
                "the disk has less than min_free_disk because of other files: the store keeps a third of what they leave"
            );
        }
        self.others_fill_it = others_fill_it;
    }
}

/// Deletes what is scheduled; what a crash has left scheduled, too. Answers how many files are gone.
fn delete(catalog: &Mutex<Catalog>, sealed: &Path) -> Result<usize, CatalogError> {
    let scheduled = catalog.lock().scheduled()?;
    if scheduled.is_empty() {
        return Ok(0);
    }
    let gone = expiry::unlink(sealed, scheduled);
    failpoint::reach("expiry_unlinked");
    // A power cut must not bring back what the catalog does not know any more. Level 0 would be known
    // by its name.
    let synced = gone.iter().filter(|file| !file.path.ends_with(LEVEL_0));
    let folders: BTreeSet<_> = synced.filter_map(|file| Path::new(&file.path).parent()).collect();
    for folder in folders {
        let folder = sealed.join(folder);
        if let Err(error) = durable::sync_dir(&folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, folder = %folder.display(), "cannot sync a folder of deleted files");
            return Ok(0);
        }
    }
    catalog.lock().deleted(&gone)?;
    failpoint::reach("expiry_done");
    Ok(gone.len())
}

#[cfg(test)]
mod tests;
