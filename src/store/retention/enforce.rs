//! The thread that has files go: what is too old or too much leaves the latest snapshot, what no
//! statement can read any more leaves the disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Config;
use super::kept::{EarlyDrop, Kept, Room, summary};
use super::lease::Lease;
use super::plan::{Dropped, Situation, Why, plan};
use crate::durable;
use crate::store::catalog::expiry::{self, Ended};
use crate::store::catalog::{Catalog, CatalogError};
use crate::store::engine::failpoint;
use crate::store::schema::Table;

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
    /// Whether it was said that the disk is full of other things.
    is_at_its_end: bool,
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
            is_at_its_end: false,
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
            (catalog.current()?, catalog.ended()?)
        };
        let wall = i64::try_from(now.wall).unwrap_or(i64::MAX);
        let coming = disk.free.saturating_add(ended.sealed);
        // Some more, so that the next look need not drop again.
        let need = if coming < min_free { min_free + min_free / 8 - coming } else { 0 };
        let situation = Situation { now: wall, is_clock_steady: self.is_steady(now), need };
        let dropped = plan(&files, &self.config, situation);
        if !dropped.is_empty() {
            let paths: Vec<String> = dropped.iter().map(|dropped| dropped.aged.file.path.clone()).collect();
            catalog.lock().end(&paths, now.wall)?;
            failpoint::reach("retention_ended");
            if let Some(early) = self.tell(&dropped, now.wall) {
                catalog.lock().remember(EARLY_DROP, &serde_json::to_string(&early).unwrap_or_default())?;
                self.last_early_drop = Some(early);
            }
        }
        self.tell_end(need, &dropped);
        done.dropped = dropped.iter().map(|dropped| (dropped.aged.file.path.clone(), dropped.why)).collect();

        let (left, ended) = {
            let catalog = catalog.lock();
            self.lease.note(now.monotonic, catalog.latest_snapshot()?);
            (catalog.current()?, catalog.ended()?)
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

    /// Answers what went early.
    fn tell(&self, dropped: &[Dropped<'_>], now: u64) -> Option<EarlyDrop> {
        let mut went_early = None;
        for why in [Why::Age, Why::Size, Why::Disk] {
            let of: Vec<_> = dropped.iter().filter(|dropped| dropped.why == why).map(|dropped| dropped.aged).collect();
            if of.is_empty() {
                continue;
            }
            let facts =
                || of.iter().filter(|aged| !Table::from_name(&aged.file.table).is_some_and(Table::is_dictionary));
            let signals: BTreeSet<&str> =
                of.iter().filter_map(|aged| Some(Table::from_name(&aged.file.table)?.signal().name())).collect();
            let early = EarlyDrop {
                at: now,
                signals: signals.into_iter().map(str::to_owned).collect(),
                files: of.len() as u64,
                bytes: of.iter().map(|aged| aged.file.bytes).sum(),
                rows: facts().map(|aged| aged.file.rows).sum(),
                upto: of.iter().map(|aged| aged.time()).max().unwrap_or_default(),
            };
            let EarlyDrop { files, bytes, rows, upto, .. } = early;
            let signals = early.signals.join(", ");
            let upto = crate::store::catalog::statistics::timestamp(upto);
            match why {
                Why::Age => {
                    tracing::info!(signals, files, bytes, rows, upto, "rows dropped, they are older than max_age")
                }
                Why::Size => {
                    tracing::info!(
                        signals,
                        files,
                        bytes,
                        rows,
                        upto,
                        "oldest rows dropped, the files take more than max_size"
                    );
                }
                Why::Disk => {
                    tracing::warn!(
                        signals,
                        files,
                        bytes,
                        rows,
                        upto,
                        "oldest rows dropped before their time: the disk has less than min_free_disk"
                    );
                    went_early = Some(early);
                }
            }
        }
        went_early
    }

    /// Says once when there is nothing to drop any more.
    fn tell_end(&mut self, need: u64, dropped: &[Dropped<'_>]) {
        let gives: u64 = dropped.iter().map(|dropped| dropped.aged.file.bytes).sum();
        let is_at_its_end = gives < need;
        if is_at_its_end && !self.is_at_its_end {
            tracing::error!(
                missing = need - gives,
                "the disk has less than min_free_disk, and the store has nothing more to drop: other files fill it"
            );
        }
        self.is_at_its_end = is_at_its_end;
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
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use bytesize::ByteSize;

    use super::*;
    use crate::store::catalog::{File, NewFile, Positions};
    use crate::store::engine::quarantine::Changes;

    const DAY: u64 = 86_400_000_000_000;

    const NOW: u64 = 20_000 * DAY;

    const STATEMENT: Duration = Duration::from_secs(30);

    const ROOMY: Disk = Disk { total: 1 << 40, free: 1 << 39 };

    struct Store {
        dir: tempfile::TempDir,
        catalog: Mutex<Catalog>,
        enforcer: Enforcer,
        start: Instant,
    }

    impl Store {
        fn new(config: Config) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let catalog = Catalog::open(&dir.path().join("catalog.sqlite"), dir.path(), 1).unwrap();
            let enforcer = Enforcer::new(config, STATEMENT);
            Store { dir, catalog: Mutex::new(catalog), enforcer, start: Instant::now() }
        }

        /// A file of log records, of so many days ago.
        fn add(&mut self, name: &str, days_ago: u64, bytes: usize) {
            let time = NOW - days_ago * DAY;
            let path = format!("logs/{name}.parquet");
            let full = self.dir.path().join(&path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(full, vec![0; bytes]).unwrap();
            let (table, bytes, time) = ("logs".to_owned(), bytes as u64, Some(time.cast_signed()));
            let file = File { table, path, rows: 1, min_time: time, max_time: time, bytes, checksum: 0, level: 1 };
            let new = NewFile { file, has_field_ids: true, footer: None, columns: Vec::new(), is_damaged: false };
            let catalog = self.catalog.get_mut();
            let created = time.unwrap_or_default().cast_unsigned();
            catalog.add(&[new], &Positions::new(), &Changes::default(), created).unwrap();
            catalog.show(created).unwrap();
        }

        /// So many seconds after the start, by both clocks.
        fn look(&mut self, seconds: u64, disk: Disk) -> Done {
            self.look_at(seconds, NOW + seconds * 1_000_000_000, disk)
        }

        fn look_at(&mut self, seconds: u64, wall: u64, disk: Disk) -> Done {
            let now = Now { monotonic: self.start + Duration::from_secs(seconds), wall };
            self.enforcer.look(&self.catalog, self.dir.path(), disk, now).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(self.dir.path().join("logs"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn what_is_too_old_leaves_the_snapshot_at_once_and_the_disk_later() {
        let mut store = Store::new(Config::default());
        store.add("old", 31, 5);
        store.add("young", 29, 5);
        let done = store.look(0, ROOMY);
        assert_eq!(done.dropped, [("logs/old.parquet".to_owned(), Why::Age)]);
        assert_eq!(done.kept.signals[2].rows, 1);
        assert_eq!(done.kept.ended_bytes, 5);
        assert_eq!(store.look(599, ROOMY).deleted, 0);
        assert_eq!(store.names(), ["old.parquet", "young.parquet"]);
        assert_eq!(store.look(600, ROOMY).deleted, 1);
        assert_eq!(store.names(), ["young.parquet"]);
        assert_eq!(store.look(605, ROOMY).kept.ended_bytes, 0);
    }

    #[test]
    fn a_full_disk_has_the_oldest_dropped_and_deleted_as_soon_as_no_statement_reads_it() {
        let mut store = Store::new(Config { min_free_disk: Some(ByteSize(80)), ..Config::default() });
        for days_ago in 1..=5 {
            store.add(&days_ago.to_string(), days_ago, 20);
        }
        let full = Disk { total: 1000, free: 50 };
        let done = store.look(0, full);
        // 30 are lacking, and an eighth of 80.
        assert_eq!(done.dropped.len(), 2);
        let early = done.kept.last_early_drop.unwrap();
        assert_eq!((early.files, early.bytes, early.rows, early.signals), (2, 40, 2, vec!["logs".to_owned()]));
        assert_eq!(early.upto, (NOW - 4 * DAY).cast_signed());
        // What is on its way is not dropped for a second time.
        let done = store.look(34, full);
        assert!(done.dropped.is_empty() && done.deleted == 0, "{done:?}");
        let done = store.look(35, full);
        assert_eq!((done.dropped.len(), done.deleted), (0, 2));
        assert_eq!(store.names(), ["1.parquet", "2.parquet", "3.parquet"]);
        let done = store.look(40, Disk { free: 90, ..full });
        assert!(done.dropped.is_empty() && done.kept.last_early_drop.is_some(), "{done:?}");
        // And after another start.
        store.enforcer = Enforcer::new(Config::default(), STATEMENT);
        assert_eq!(store.look(45, ROOMY).kept.last_early_drop, done.kept.last_early_drop);
    }

    #[test]
    fn a_clock_that_jumps_forward_drops_nothing_for_its_age() {
        let mut store = Store::new(Config::default());
        store.add("a", 29, 5);
        assert!(store.look(0, ROOMY).dropped.is_empty());
        let wall = |seconds: u64| NOW + 3 * DAY + seconds * 1_000_000_000;
        for seconds in [5, 1000, 3604] {
            assert!(store.look_at(seconds, wall(seconds), ROOMY).dropped.is_empty(), "{seconds}");
        }
        // It was right all the same.
        assert_eq!(store.look_at(3605, wall(3605), ROOMY).dropped.len(), 1);
        // Nor do snapshots end earlier than they should.
        assert_eq!(store.look_at(3610, wall(3610) + 10 * DAY, ROOMY).deleted, 0);
        assert_eq!(store.names(), ["a.parquet"]);
    }

    #[test]
    fn what_was_scheduled_before_a_crash_is_deleted_at_the_first_look() {
        let mut store = Store::new(Config::default());
        store.add("a", 1, 5);
        store.catalog.get_mut().end(&["logs/a.parquet".to_owned()], NOW).unwrap();
        store.catalog.get_mut().expire(i64::MAX, NOW).unwrap();
        assert_eq!(store.look(0, ROOMY).deleted, 1);
        assert!(store.names().is_empty());
    }
}
