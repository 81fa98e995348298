//! Sectors that the disk cannot read.

use super::*;
use crate::wal::disk::faults;

/// Bytes of a record of 3,000 bytes.
const RECORD: u64 = 3064;

/// Forty records in two segments, and where the second begins.
fn filled(dir: &Path) -> u64 {
    block_on(append(&open(dir, &small(), &["a", "b"]), (0..40).map(|seed| batch(3000, seed))));
    let segments = segments(dir);
    assert_eq!(segments.len(), 2, "{segments:?}");
    segments[1]
}

fn path(dir: &Path, segment: u64) -> std::path::PathBuf {
    segment::path(&dir.join("log"), segment)
}

/// The records that lie on the page with this byte, in a segment that begins at `first`.
fn on_page(first: u64, byte: u64) -> Vec<u64> {
    let page = byte / 4096 * 4096;
    (0..40).filter(|n| n * RECORD < page + 4096 && (n + 1) * RECORD > page).map(|n| first + n).collect()
}

/// Reads everything for a destination; how often that failed.
async fn read_on(log: &Log, name: &str) -> (Vec<u64>, u32) {
    let (mut found, mut failures, next) = (Vec::new(), 0, log.stats().next);
    let mut reader = log.reader(name).unwrap();
    while reader.position() < next {
        match tokio::time::timeout(Duration::from_millis(50), reader.next(20_000)).await {
            Ok(Ok(records)) => {
                assert!(records.iter().all(|record| record.batch == batch(3000, record.position.0)));
                found.extend(records.iter().map(|record| record.position.0));
            }
            Ok(Err(_)) => failures += 1,
            // Nothing more but what is lost.
            Err(_) => {}
        }
        assert!(failures < 20, "{found:?}");
    }
    (found, failures)
}

#[test]
fn while_running_they_cost_the_records_on_them() {
    let dir = tempfile::tempdir().unwrap();
    let active = filled(dir.path());
    block_on(async {
        let log = open(dir.path(), &small(), &["a", "b"]);
        let _broken = [0, active].map(|first| faults::break_sectors(&path(dir.path(), first), 8192..8193));
        let lost = [on_page(0, 8192), on_page(active, 8192)].concat();
        assert_eq!(lost.len(), 6);
        let good: Vec<u64> = (0..40).filter(|n| !lost.contains(n)).collect();
        let (found, failures) = read_on(&log, "a").await;
        assert_eq!(found, good);
        assert!(failures > 0, "it was tried more than once");
        let stats = log.stats();
        assert_eq!(stats.corrupt_records, 6);
        assert_eq!(stats.cursors[0].lag_records, 34);
        let items: u64 = lost.iter().map(|n| u64::from(batch(0, *n).items)).sum();
        assert!(stats.cursors.iter().all(|cursor| cursor.dropped_items == items), "{stats:?}");
        assert_eq!(read_on(&log, "b").await, (good, 0));
        assert_eq!(std::fs::read_dir(dir.path().join("log/corrupt")).unwrap().count(), 6);
    });
}

#[test]
fn what_can_be_read_again_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        let broken = faults::break_sectors(&path(dir.path(), 0), 0..4096);
        let mut reader = log.reader("a").unwrap();
        assert!(reader.next(1).await.is_err());
        assert!(reader.next(1).await.is_err());
        drop(broken);
        assert_eq!(reader.next(1).await.unwrap()[0].position, Position(0));
        assert_eq!(log.stats().corrupt_records, 0);
    });
}

/// A disk that is gone altogether takes nothing either: then nothing is given up.
#[test]
fn a_disk_that_is_gone_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        let broken = faults::break_sectors(&path(dir.path(), 0), 0..1 << 20);
        let mut reader = log.reader("a").unwrap();
        let folder = dir.path().join("log");
        std::fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
        // The file that is open goes on to fail; one that is to be opened is not there.
        for _ in 0..6 {
            assert!(reader.next(1).await.is_err());
        }
        assert_eq!(log.stats().corrupt_records, 0);
        std::fs::rename(dir.path().join("elsewhere"), &folder).unwrap();
        drop(broken);
        assert_eq!(reader.next(1).await.unwrap()[0].position, Position(0));
    });
}

/// At the start the headers are read, and of the last segment all, unless there is an index.
#[test]
fn at_the_start_they_cost_the_records_on_them() {
    for with_index in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let active = filled(dir.path());
        let _broken = [0, active].map(|first| {
            if !with_index {
                std::fs::remove_file(segment::index_path(&dir.path().join("log"), first)).unwrap();
            }
            faults::break_sectors(&path(dir.path(), first), 8192..8193)
        });
        let _cursors = faults::break_sectors(&dir.path().join("log/cursors"), 0..1);
        let lost = [on_page(0, 8192), on_page(active, 8192)].concat();
        block_on(async {
            let log = open(dir.path(), &small(), &["a", "b"]);
            assert_eq!(append(&log, [batch(3000, 40)]).await, [Position(40)]);
            let good: Vec<u64> = (0..41).filter(|n| !lost.contains(n)).collect();
            assert_eq!(read_on(&log, "a").await.0, good, "with index: {with_index}");
            let stats = log.stats();
            assert_eq!((stats.corrupt_records, stats.missing_records), (6, 0), "with index: {with_index}");
        });
    }
}

/// The end of the last segment: it is damaged, not torn, and no position is given twice.
#[test]
fn an_unreadable_end_is_not_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let active = filled(dir.path());
    std::fs::remove_file(segment::index_path(&dir.path().join("log"), active)).unwrap();
    std::fs::remove_file(dir.path().join("log/cursors")).unwrap();
    let file = path(dir.path(), active);
    let length = std::fs::metadata(&file).unwrap().len();
    let broken = faults::break_sectors(&file, length - 5000..length);
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        assert!(std::fs::metadata(&file).unwrap().len() >= length);
        let next = append(&log, [batch(3000, 99)]).await[0].0;
        assert!(next >= 40, "{next} was given before");
        drop(log);
        drop(broken);
        let log = open(dir.path(), &small(), &["a"]);
        let mut reader = log.reader("a").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        assert_eq!(read.last().map(|record| record.position), Some(Position(next)));
    });
}
