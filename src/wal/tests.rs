//! The log as a whole: what goes in comes out, whatever happens in between.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::signal::{Compression, Format, Meta};

fn batch(size: usize, seed: u64) -> Batch {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let payload: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(size)
    .collect();
    Batch {
        signal: Signal::Logs,
        format: Format::Otlp,
        compression: Compression::Identity,
        items: seed as u32 % 100 + 1,
        decoded_size: size as u64,
        received: 1_700_000_000_000_000_000 + seed,
        meta: Meta::default(),
        payload: payload.into(),
    }
}

fn config(segment: u64, max: u64, when_full: WhenFull) -> Config {
    Config { segment_size: bytesize::ByteSize(segment), max_size: bytesize::ByteSize(max), when_full }
}

fn small() -> Config {
    config(64 << 10, 64 << 20, WhenFull::DropOldest)
}

fn open(dir: &Path, config: &Config, destinations: &[&str]) -> Log {
    let destinations: Vec<_> = destinations.iter().map(|name| ((*name).to_owned(), Start::Oldest)).collect();
    Log::open(dir.join("log"), Signal::Logs, config, &destinations).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn append(log: &Log, batches: impl IntoIterator<Item = Batch>) -> Vec<Position> {
    let mut positions = Vec::new();
    for batch in batches {
        positions.push(log.append(batch).await.unwrap());
    }
    positions
}

/// Everything from the reader's place to the end of the log.
async fn drain(log: &Log, reader: &mut Reader, max_bytes: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let next = log.stats().next;
    while reader.position() < next {
        // The wait ends only where the last records are missing: then the reader waits for more.
        if let Ok(more) = tokio::time::timeout(Duration::from_millis(50), reader.next(max_bytes)).await {
            records.extend(more.unwrap());
        }
    }
    records
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

fn segments(dir: &Path) -> Vec<u64> {
    segment::list(&dir.join("log")).unwrap()
}

#[test]
fn comes_back_as_it_went_in_with_meta_and_over_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let mut odd = batch(10, 7);
    odd.meta =
        Meta { query: "name=app{a=\"ü\"}&from=1".to_owned(), content_type: "multipart/form-data; x".to_owned() };
    odd.format = Format::PyroscopeIngest;
    odd.compression = Compression::Gzip;
    odd.payload = Bytes::new();
    let batches = [batch(1000, 1), odd, batch(0, 2), batch(100_000, 3)];
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        let id = log.id();
        let positions = append(&log, batches.clone()).await;
        assert_eq!(positions, [0, 1, 2, 3].map(Position));
        log.close();
        assert!(matches!(log.append(batch(1, 1)).await, Err(AppendError::Closed(Signal::Logs))));
        drop(log);
        let log = open(dir.path(), &small(), &["a"]);
        assert_eq!(log.id(), id);
        assert_eq!(log.stats().next, Position(4));
        let mut reader = log.reader("a").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        assert_eq!(read.iter().map(|record| record.batch.clone()).collect::<Vec<_>>(), batches);
        assert_eq!(log.append(batch(1, 9)).await.unwrap(), Position(4));
    });
}

#[test]
fn concurrent_appends_share_syncs_and_all_get_their_own_position() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let log = open(dir.path(), &small(), &["a"]);
    let tasks: Vec<_> = (0..400)
        .map(|seed| {
            let log = log.clone();
            runtime.spawn(async move { (log.append(batch(2000, seed)).await.unwrap(), seed) })
        })
        .collect();
    let mut got: Vec<_> = runtime.block_on(async {
        let mut got = Vec::new();
        for task in tasks {
            got.push(task.await.unwrap());
        }
        got
    });
    got.sort();
    assert!(got.iter().zip(0..).all(|((position, _), n)| position.0 == n), "dense");
    assert!(log.stats().syncs < 400, "{} syncs for 400 records", log.stats().syncs);
    let mut reader = log.reader("a").unwrap();
    let read = runtime.block_on(drain(&log, &mut reader, 10_000));
    assert_eq!(read.len(), 400);
    for (record, (position, seed)) in read.iter().zip(got) {
        assert_eq!((record.position, &record.batch), (position, &batch(2000, seed)));
    }
}

#[test]
fn a_reader_waits_for_the_next_record_and_is_served_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small(), &["a"]);
    block_on(async {
        let mut reader = log.reader("a").unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(5), reader.next(1));
        assert!(waiting.await.is_err());
        let (read, _) = tokio::join!(reader.next(1 << 20), append(&log, [batch(5, 1)]));
        assert_eq!(read.unwrap()[0].batch, batch(5, 1));
        append(&log, [batch(5, 2)]).await;
        // The file is gone, the record is still served: it comes from memory.
        let state = || log.handle.shared.state.lock();
        state().active.file.set_len(0).unwrap();
        assert_eq!(reader.next(1).await.unwrap()[0].batch, batch(5, 2));
        assert!(state().tail.read(1, 1).is_empty(), "let go once read");
    });
}

#[test]
fn lag_is_exact_and_passed_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a", "b"]);
        let batches: Vec<_> = (0..100).map(|seed| batch(5000, seed)).collect();
        append(&log, batches.clone()).await;
        let a = log.reader("a").unwrap();
        let lag = |log: &Log, from: usize, name: &str| {
            let stats = log.stats();
            let cursor = stats.cursors.iter().find(|cursor| cursor.destination == name).unwrap().clone();
            assert_eq!(cursor.position, Position(from as u64));
            assert_eq!(cursor.lag_records, (batches.len() - from) as u64);
            assert_eq!(cursor.lag_bytes, (batches.len() - from) as u64 * 5000);
            assert_eq!(cursor.lag_items, batches[from..].iter().map(|batch| u64::from(batch.items)).sum::<u64>());
            assert_eq!(cursor.lag_time.is_zero(), from == batches.len());
            assert_eq!(cursor.dropped_items, 0);
        };
        for from in [0, 1, 12, 13, 50, 99, 100] {
            a.commit(Position(from as u64));
            lag(&log, from, "a");
        }
        lag(&log, 0, "b");
        a.commit(Position(3));
        assert_eq!(a.cursor(), Position(100), "never back");
        assert!(segments(dir.path()).len() > 5);
        let b = log.reader("b").unwrap();
        b.commit(Position(57));
        until("passed segments deleted", || segments(dir.path()).len() == 5);
        lag(&log, 57, "b");
        drop((a, b, log));
        let log = open(dir.path(), &small(), &["a", "b"]);
        lag(&log, 57, "b");
        lag(&log, 100, "a");
        let b = log.reader("b").unwrap();
        b.commit(Position(100));
        until("all but the last deleted", || segments(dir.path()).len() == 1);
    });
}

#[test]
fn destinations_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        append(&log, (0..10).map(|seed| batch(100, seed))).await;
        log.reader("a").unwrap().commit(Position(4));
        assert!(matches!(log.reader("b"), Err(WalError::UnknownDestination(name)) if name == "b"));
        drop(log);
        let destinations =
            [("b".to_owned(), Start::Now), ("c".to_owned(), Start::Oldest), ("a".to_owned(), Start::Now)];
        let log = Log::open(dir.path().join("log"), Signal::Logs, &small(), &destinations).unwrap();
        let at = |log: &Log, name: &str| log.reader(name).unwrap().cursor().0;
        assert_eq!((at(&log, "a"), at(&log, "b"), at(&log, "c")), (4, 10, 0));
        drop(log);
        drop(open(dir.path(), &small(), &["b"]));
        let log = open(dir.path(), &small(), &["a", "b"]);
        assert_eq!((at(&log, "a"), at(&log, "b")), (0, 10), "a was forgotten");
    });
}

#[test]
fn drop_oldest_counts_what_each_destination_loses() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(64 << 10, 256 << 10, WhenFull::DropOldest);
    block_on(async {
        let log = open(dir.path(), &config, &["slow", "quick"]);
        let batches: Vec<_> = (0..200).map(|seed| batch(5000, seed)).collect();
        let items =
            |range: std::ops::Range<usize>| -> u64 { batches[range].iter().map(|batch| u64::from(batch.items)).sum() };
        append(&log, batches[..20].to_vec()).await;
        let quick = log.reader("quick").unwrap();
        let slow = log.reader("slow").unwrap();
        // In the middle of the first segment.
        slow.commit(Position(5));
        let mut idle = log.reader("slow").unwrap();
        for batch in &batches[20..] {
            append(&log, [batch.clone()]).await;
            quick.commit(log.stats().next);
        }
        let stats = log.stats();
        assert!(stats.size <= 256 << 10, "{}", stats.size);
        let oldest = stats.oldest.0 as usize;
        assert!(oldest > 100);
        let of = |name: &str| stats.cursors.iter().find(|c| c.destination == name).unwrap().clone();
        assert_eq!(of("quick").dropped_items, 0);
        assert_eq!(of("slow").dropped_items, items(5..oldest));
        assert_eq!(of("slow").dropped_bytes, (oldest as u64 - 5) * 5000);
        assert_eq!(of("slow").lag_items, items(oldest..200));
        // A reader that stood in a dropped segment goes on at the oldest record.
        let read = idle.next(1).await.unwrap();
        assert_eq!((read[0].position, &read[0].batch), (Position(oldest as u64), &batches[oldest]));
    });
}

#[test]
fn reject_refuses_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(64 << 10, 256 << 10, WhenFull::Reject);
    block_on(async {
        let log = open(dir.path(), &config, &["a"]);
        let mut taken = 0;
        let refused = loop {
            match log.append(batch(5000, taken)).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 100);
        };
        assert!(matches!(refused, AppendError::Full(Signal::Logs)));
        assert!(taken > 40);
        assert!(log.stats().size <= 256 << 10);
        log.reader("a").unwrap().commit(Position(20));
        append(&log, [batch(5000, taken)]).await;
        log.reader("a").unwrap().commit(Position(u64::MAX));
        append(&log, (0..40).map(|seed| batch(5000, seed))).await;
        assert!(matches!(log.append(batch(300_000, 1)).await, Err(AppendError::Full(_))), "larger than the budget");
        append(&log, [batch(1000, 1)]).await;
        assert_eq!(log.stats().cursors[0].dropped_items, 0);
    });
}

#[test]
fn without_destinations_only_the_budget_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(64 << 10, 256 << 10, WhenFull::Reject);
    block_on(async {
        let log = open(dir.path(), &config, &[]);
        append(&log, (0..100).map(|seed| batch(5000, seed))).await;
        let stats = log.stats();
        assert!(stats.size <= 256 << 10 && stats.size > 128 << 10, "{}", stats.size);
        assert_eq!(stats.next, Position(100));
    });
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        append(&log, [batch(3000, 0)]).await;
        log.handle.shared.faults.writes.store(2, Ordering::SeqCst);
        for _ in 0..2 {
            let error = log.append(batch(3000, 99)).await.unwrap_err();
            assert!(
                matches!(error, AppendError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
            );
        }
        assert_eq!(append(&log, [batch(3000, 1)]).await, [Position(1)]);
        drop(log);
        let log = open(dir.path(), &small(), &["a"]);
        assert_eq!(log.stats().corrupt_records, 0);
        let mut reader = log.reader("a").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        assert_eq!(read.iter().map(|r| r.batch.clone()).collect::<Vec<_>>(), [batch(3000, 0), batch(3000, 1)]);
    });
}

#[test]
fn after_a_failed_sync_the_group_goes_into_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        // The first segment, still empty, and then one with records.
        for seed in 0..3 {
            log.handle.shared.faults.syncs.store(1, Ordering::SeqCst);
            assert_eq!(append(&log, [batch(3000, seed)]).await, [Position(seed)]);
        }
        assert_eq!(segments(dir.path()), [0, 1, 2]);
        log.handle.shared.faults.syncs.store(2, Ordering::SeqCst);
        assert!(matches!(log.append(batch(3000, 99)).await, Err(AppendError::Io { .. })));
        assert_eq!(append(&log, [batch(3000, 3)]).await, [Position(3)]);
        drop(log);
        let log = open(dir.path(), &small(), &["a"]);
        let mut reader = log.reader("a").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        assert_eq!(
            read.iter().map(|r| r.batch.clone()).collect::<Vec<_>>(),
            (0..4).map(|n| batch(3000, n)).collect::<Vec<_>>()
        );
    });
}

/// What is left in a segment after a failed sync, when even cutting it back failed.
#[test]
fn stale_records_behind_a_failed_sync_are_not_read_twice() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        append(&log, [batch(3000, 0), batch(3000, 1)]).await;
        drop(log);
        let first = segment::path(&dir.path().join("log"), 0);
        let whole = std::fs::read(&first).unwrap();
        let log = open(dir.path(), &small(), &["a"]);
        append(&log, [batch(3000, 50)]).await;
        drop(log);
        // As if position 1 had failed, and had then been written into a segment of its own.
        let log_dir = dir.path().join("log");
        let record = whole.len() / 2;
        let second = std::fs::read(&first).unwrap();
        std::fs::write(segment::path(&log_dir, 1), &second[record..]).unwrap();
        std::fs::write(&first, &whole).unwrap();
        let log = open(dir.path(), &small(), &["a"]);
        assert_eq!(log.stats().corrupt_records, 0);
        let mut reader = log.reader("a").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        assert_eq!(read.iter().map(|r| r.position.0).collect::<Vec<_>>(), [0, 1, 2]);
    });
}

#[test]
fn a_body_damaged_while_running_is_skipped_counted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a", "b"]);
        append(&log, (0..40).map(|seed| batch(3000, seed))).await;
        // One in a closed segment, one in the active one.
        let active = log.handle.shared.state.lock().active.first;
        for (segment, at) in [(0, 3064 * 5 + 200), (active, 3064 * 2 + 200)] {
            let path = segment::path(&dir.path().join("log"), segment);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        let lost = [5, active + 2];
        for name in ["a", "b"] {
            let mut reader = log.reader(name).unwrap();
            let read = drain(&log, &mut reader, 7000).await;
            let expected: Vec<_> = (0..40).filter(|n| !lost.contains(n)).collect();
            assert_eq!(read.iter().map(|r| r.position.0).collect::<Vec<_>>(), expected);
            assert!(read.iter().all(|r| r.batch == batch(3000, r.position.0)));
        }
        let stats = log.stats();
        assert_eq!(stats.corrupt_records, 2);
        let items: u64 = lost.iter().map(|n| u64::from(batch(0, *n).items)).sum();
        assert_eq!(stats.cursors[0].dropped_items, items);
        assert_eq!(stats.cursors[0].lag_records, 38);
        assert_eq!(std::fs::read_dir(dir.path().join("log/corrupt")).unwrap().count(), 2);
    });
}

#[test]
fn a_log_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), &small(), &[]));
    std::fs::write(dir.path().join("log/id"), "vispyr log 2 whatever\n").unwrap();
    let error = Log::open(dir.path().join("log"), Signal::Logs, &small(), &[]).unwrap_err();
    assert!(matches!(error, WalError::Format { .. }), "{error}");
}

#[test]
fn a_position_is_not_given_twice_even_when_the_end_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        append(&log, (0..10).map(|seed| batch(100, seed))).await;
        log.reader("a").unwrap().commit(Position(9));
        drop(log);
        let path = segment::path(&dir.path().join("log"), 0);
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(164 * 5 + 3).unwrap();
        let log = open(dir.path(), &small(), &["a", "b"]);
        assert_eq!(append(&log, [batch(100, 10)]).await, [Position(10)]);
        let mut reader = log.reader("b").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        assert_eq!(read.iter().map(|r| r.position.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 10]);
    });
}

#[test]
fn a_sign_of_life_until_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small(), &[]);
    block_on(async {
        assert!(log.alive().await);
        log.close();
        assert!(!log.alive().await);
    });
}

#[test]
fn a_full_disk_costs_nothing_that_could_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &[]);
        append(&log, (0..50).map(|seed| batch(5000, seed))).await;
        log.handle.shared.faults.writes.store(1, Ordering::SeqCst);
        assert_eq!(append(&log, [batch(5000, 50)]).await, [Position(50)]);
        assert!(log.stats().oldest > Position(0), "the oldest segment made room");
    });
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// Of which destination, by how much of its lag.
    Commit(usize, prop::sample::Index),
    Read(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4000usize).prop_map(Step::Append),
        2 => (0..2usize, any::<prop::sample::Index>()).prop_map(|(who, by)| Step::Commit(who, by)),
        2 => (0..2usize).prop_map(Step::Read),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Zero(prop::sample::Index, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<prop::sample::Index>(), 0..8u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        any::<prop::sample::Index>().prop_map(Harm::Cut),
        (any::<prop::sample::Index>(), 1..200usize).prop_map(|(at, length)| Harm::Zero(at, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any batches, any segment size, read in any portions, before and after a reopen.
    #[test]
    fn any_batches_come_back(
        sizes in prop::collection::vec(0..6000usize, 1..40),
        segment in 4096..40_000u64,
        portion in 1..20_000usize,
        meta in "[a-z=&]{0,40}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let config = config(segment, 64 << 20, WhenFull::Reject);
        let batches: Vec<_> = sizes.iter().zip(0..).map(|(size, seed)| {
            let mut batch = batch(*size, seed);
            batch.meta.query.clone_from(&meta);
            batch
        }).collect();
        block_on(async {
            let log = open(dir.path(), &config, &["a"]);
            append(&log, batches.clone()).await;
            for log in [log, { open(dir.path(), &config, &["a"]) }] {
                let mut reader = log.reader("a").unwrap();
                let read = drain(&log, &mut reader, portion).await;
                assert_eq!(read.iter().map(|r| r.position.0).collect::<Vec<_>>(), (0..batches.len() as u64).collect::<Vec<_>>());
                assert_eq!(read.into_iter().map(|r| r.batch).collect::<Vec<_>>(), batches);
            }
        });
    }

    /// Harm costs the records it touches, and only those; nothing is invented.
    #[test]
    fn harm_costs_what_it_touches(
        sizes in prop::collection::vec(0..300usize, 1..20),
        harms in prop::collection::vec(harm(), 1..4),
        with_index in any::<bool>(),
        closed in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let log_dir = dir.path().join("log");
        let batches: Vec<_> = sizes.iter().zip(0..).map(|(size, seed)| batch(*size, seed)).collect();
        let count = batches.len() as u64;
        block_on(async {
            let log = open(dir.path(), &small(), &["a"]);
            append(&log, batches.clone()).await;
            drop(log);
            if closed {
                // A further segment, so that the first is not the last.
                std::fs::write(segment::path(&log_dir, count), b"").unwrap();
            }
            if !with_index {
                std::fs::remove_file(segment::index_path(&log_dir, 0)).unwrap();
            }
            let path = segment::path(&log_dir, 0);
            let mut bytes = std::fs::read(&path).unwrap();
            let harmless = bytes.clone();
            for harm in &harms {
                let length = bytes.len();
                match harm {
                    Harm::Flip(at, bit) if length > 0 => bytes[at.index(length)] ^= 1 << bit,
                    Harm::Cut(at) if length > 0 => bytes.truncate(at.index(length)),
                    Harm::Zero(at, count) if length > 0 => {
                        let at = at.index(length);
                        bytes[at..(at + count).min(length)].fill(0);
                    }
                    _ => {}
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            let log = open(dir.path(), &small(), &["a"]);
            let mut reader = log.reader("a").unwrap();
            let read = drain(&log, &mut reader, 1000).await;
            let mut at = 0;
            let mut kept = Vec::new();
            for (batch, n) in batches.iter().zip(0u64..) {
                let end = at + 64 + batch.payload.len();
                if bytes.get(at..end) == Some(&harmless[at..end]) {
                    kept.push(n);
                }
                at = end;
            }
            let found: Vec<_> = read.iter().map(|r| r.position.0).collect();
            assert_eq!(kept, found);
            assert!(read.iter().all(|r| r.batch == batches[r.position.0 as usize]));
            // Positions go on behind what was ever acknowledged.
            let next = append(&log, [batch(10, 1000)]).await[0].0;
            assert!(next >= found.last().map_or(0, |last| last + 1));
            drop((reader, log));
            let log = open(dir.path(), &small(), &["a"]);
            let mut reader = log.reader("a").unwrap();
            let again: Vec<_> = drain(&log, &mut reader, 1000).await.iter().map(|r| r.position.0).collect();
            assert_eq!(again, found.iter().copied().chain([next]).collect::<Vec<_>>());
        });
    }
}

proptest! {
    // Fewer: every step syncs.
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, each destination's account adds up: appended = passed + waiting + dropped.
    #[test]
    fn the_ledger_adds_up(
        steps in prop::collection::vec(step(), 1..80),
        segment in 4096..20_000u64,
        drops in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let when_full = if drops { WhenFull::DropOldest } else { WhenFull::Reject };
        let config = config(segment, 64 << 10, when_full);
        let names = ["a", "b"];
        let mut sent: Vec<Batch> = Vec::new();
        let items = |sent: &[Batch]| sent.iter().map(|batch| u64::from(batch.items)).sum::<u64>();
        let (mut passed, mut dropped) = ([0; 2], [0; 2]);
        block_on(async {
            let mut log = open(dir.path(), &config, &names);
            for step in steps {
                match step {
                    Step::Append(size) => match log.append(batch(size, sent.len() as u64)).await {
                        Ok(position) => {
                            assert_eq!(position.0, sent.len() as u64);
                            sent.push(batch(size, position.0));
                        }
                        Err(error) => assert!(!drops && matches!(error, AppendError::Full(_)), "{error}"),
                    },
                    Step::Commit(who, by) => {
                        let reader = log.reader(names[who]).unwrap();
                        let from = reader.cursor().0 as usize;
                        let to = from + by.index(sent.len() - from + 1);
                        passed[who] += items(&sent[from..to]);
                        reader.commit(Position(to as u64));
                    }
                    Step::Read(who) => {
                        let mut reader = log.reader(names[who]).unwrap();
                        if reader.cursor() < log.stats().next {
                            let read = reader.next(5000).await.unwrap();
                            assert_eq!(read[0].position, reader.cursor());
                            assert!(read.iter().all(|r| r.batch == sent[r.position.0 as usize]));
                        }
                    }
                    Step::Reopen => {
                        for (who, cursor) in log.stats().cursors.iter().enumerate() {
                            dropped[who] += cursor.dropped_items;
                        }
                        drop(log);
                        log = open(dir.path(), &config, &names);
                    }
                }
                let stats = log.stats();
                assert!(stats.size <= 64 << 10);
                assert_eq!(stats.next.0, sent.len() as u64);
                for (who, cursor) in stats.cursors.iter().enumerate() {
                    let account = passed[who] + cursor.lag_items + dropped[who] + cursor.dropped_items;
                    assert_eq!(account, items(&sent), "{cursor:?}");
                    assert_eq!(cursor.lag_records, sent.len() as u64 - cursor.position.0);
                }
            }
        });
    }
}
