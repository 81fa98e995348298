//! Failed syncs, and bytes that are not what was written.

use super::*;

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

/// A record whose header is damaged is no torn one, although it is the last. It is kept, whether
/// the program was killed or the cursors know that it was there, and its position is not given
/// away again.
#[test]
fn a_damaged_header_at_the_end_is_not_taken_for_a_torn_record() {
    for (at, corrupt) in [(0, 1), (6, 1), (13, 1), (20, 1), (60, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let log_dir = dir.path().join("log");
        block_on(async {
            let log = open(dir.path(), &small(), &["a"]);
            append(&log, (0..5).map(|seed| batch(300, seed))).await;
            // As a kill leaves it.
            std::fs::create_dir(dir.path().join("copy")).unwrap();
            std::fs::copy(segment::path(&log_dir, 0), segment::path(&dir.path().join("copy"), 0)).unwrap();
            std::fs::copy(log_dir.join("id"), dir.path().join("copy/id")).unwrap();
            drop(log);
            std::fs::remove_dir_all(&log_dir).unwrap();
            std::fs::rename(dir.path().join("copy"), &log_dir).unwrap();
            let path = segment::path(&log_dir, 0);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[364 * 4 + at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let log = open(dir.path(), &small(), &["a"]);
            assert_eq!((log.stats().corrupt_records, log.stats().corrupt_unkept), (corrupt, 0), "byte {at}");
            let kept = std::fs::read(log_dir.join("corrupt/00000000000000000000-0000001456.bin")).unwrap();
            assert_eq!(kept, bytes[364 * 4..], "byte {at}");
            let next = append(&log, [batch(300, 9)]).await[0].0;
            assert!(next > 4, "{next} was given before");
            drop(log);
            let log = open(dir.path(), &small(), &["a"]);
            let mut reader = log.reader("a").unwrap();
            let read = drain(&log, &mut reader, 1 << 20).await;
            assert_eq!(read.iter().map(|r| r.position.0).collect::<Vec<_>>(), [0, 1, 2, 3, next]);
            assert_eq!(log.stats().missing_records, 0, "byte {at}");
        });
    }
}

/// What a crash leaves of a record that nobody was told of is cut off without a word.
#[test]
fn a_torn_end_is_no_damage() {
    let torn = |bytes: &[u8], n: usize| match n {
        // A part of the header; the header and a part of the body.
        0 => bytes[..364 * 4 + 30].to_vec(),
        1 => bytes[..364 * 4 + 200].to_vec(),
        2 => bytes[..364 * 5 - 1].to_vec(),
        // A power cut after the file had grown and before it was written.
        _ => [&bytes[..364 * 4], &[0; 364]].concat(),
    };
    for n in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let path = segment::path(&dir.path().join("log"), 0);
        block_on(async {
            let log = open(dir.path(), &small(), &["a"]);
            append(&log, (0..4).map(|seed| batch(300, seed))).await;
            drop(log);
            let cursors = std::fs::read(dir.path().join("log/cursors")).unwrap();
            let log = open(dir.path(), &small(), &["a"]);
            append(&log, [batch(300, 4)]).await;
            drop(log);
            std::fs::remove_file(segment::index_path(&dir.path().join("log"), 0)).unwrap();
            std::fs::write(dir.path().join("log/cursors"), cursors).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, torn(&bytes, n)).unwrap();
            let log = open(dir.path(), &small(), &["a"]);
            let stats = log.stats();
            assert_eq!((stats.corrupt_records, stats.missing_records, stats.next), (0, 0, Position(4)), "{n}");
            assert!(!dir.path().join("log/corrupt").exists(), "{n}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), 364 * 4, "{n}");
        });
    }
}
