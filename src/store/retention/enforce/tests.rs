#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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
        self.add_as(name, days_ago, bytes, false);
    }

    fn add_as(&mut self, name: &str, days_ago: u64, bytes: usize, is_damaged: bool) {
        let time = NOW - days_ago * DAY;
        let path = format!("logs/{name}.parquet");
        let full = self.dir.path().join(&path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, vec![0; bytes]).unwrap();
        let (table, bytes, time) = ("logs".to_owned(), bytes as u64, Some(time.cast_signed()));
        let file = File { table, path, rows: 1, min_time: time, max_time: time, bytes, checksum: 0, level: 1 };
        let new = NewFile { file, has_field_ids: true, footer: None, columns: Vec::new(), is_damaged };
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
fn where_others_fill_the_disk_the_store_keeps_a_third_of_what_they_leave() {
    let mut store = Store::new(Config { min_free_disk: Some(ByteSize(80)), ..Config::default() });
    for days_ago in 1..=10 {
        store.add(&days_ago.to_string(), days_ago, 5);
    }
    assert_eq!(store.look(0, Disk { total: 1000, free: 10 }).dropped.len(), 6);
    assert_eq!(store.look(35, Disk { total: 1000, free: 40 }).dropped.len(), 0);
    assert_eq!(store.names().len(), 4);
    // Others have taken what was given back.
    assert_eq!(store.look(40, Disk { total: 1000, free: 4 }).dropped.len(), 3);
    assert_eq!(store.look(75, Disk { total: 1000, free: 19 }).dropped.len(), 0);
    assert_eq!(store.names(), ["1.parquet"]);
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

#[test]
fn a_damaged_file_that_no_snapshot_has_goes_for_its_age_and_for_the_disk() {
    let mut store = Store::new(Config { min_free_disk: Some(ByteSize(80)), ..Config::default() });
    store.add_as("old", 31, 5, true);
    store.add_as("young", 3, 100, true);
    store.add("whole", 2, 100);
    // No statement reads it, so nothing is waited for.
    let done = store.look(0, ROOMY);
    assert_eq!(done.dropped, [("logs/old.parquet".to_owned(), Why::Age)]);
    assert_eq!((done.deleted, store.names()), (1, vec!["whole.parquet".to_owned(), "young.parquet".to_owned()]));
    let done = store.look(5, Disk { total: 1 << 40, free: 79 });
    assert_eq!(done.dropped.first(), Some(&("logs/young.parquet".to_owned(), Why::Disk)));
    assert!(!store.names().contains(&"young.parquet".to_owned()));
    let left = store.catalog.lock().files().unwrap();
    assert!(left.iter().all(|file| file.path == "logs/whole.parquet"), "{left:?}");
}
