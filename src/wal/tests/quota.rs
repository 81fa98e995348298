//! The budget and a full disk.

use super::*;

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
        assert_eq!(refused.to_string(), "the logs log is full of what a has not had");
        assert!(taken > 40);
        assert!(log.stats().size <= 256 << 10);
        log.reader("a").unwrap().commit(Position(20));
        append(&log, [batch(5000, taken)]).await;
        log.reader("a").unwrap().commit(Position(u64::MAX));
        append(&log, (0..40).map(|seed| batch(5000, seed))).await;
        let never = log.append(batch(300_000, 1)).await;
        assert!(matches!(never, Err(AppendError::TooLarge { size: 300_064, limit: 262_144, .. })), "{never:?}");
        append(&log, [batch(1000, 1)]).await;
        assert_eq!(log.stats().cursors[0].dropped_items, 0);
    });
}

#[test]
fn nothing_is_dropped_for_a_lossless_destination() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(64 << 10, 256 << 10, WhenFull::DropOldest);
    let destinations = ["store", "elsewhere"].map(|name| Destination::new(name, Start::Oldest));
    let [store, elsewhere] = &destinations;
    let (mut taken, mut stored) = (0, Vec::new());
    let dropped = |log: &Log, name: &str| {
        log.stats().cursors.iter().find(|cursor| cursor.destination == name).unwrap().dropped_items
    };
    block_on(async {
        // It is that from the start, and becomes it while the log runs.
        for round in 0..2 {
            let store = if round == 0 { store.clone().lossless() } else { store.clone() };
            let log = open_for(dir.path(), &config, &[store.clone(), elsewhere.clone()]);
            log.add(&store.clone().lossless());
            let refused = loop {
                match log.append(batch(5000, taken)).await {
                    Ok(_) => taken += 1,
                    Err(error) => break error,
                }
                assert!(taken < 1000);
            };
            assert!(matches!(&refused, AppendError::Full { behind, .. } if behind == &["store"]), "{refused:?}");
            assert_eq!(log.stats().full_of, ["store"]);
            // Also when nobody has tried for long.
            let long_ago = || {
                let mut state = log.handle.shared.state.lock();
                let refused = state.overfull.as_mut().unwrap();
                refused.at = refused.at.checked_sub(Duration::from_secs(11)).unwrap();
            };
            long_ago();
            assert_eq!(log.stats().full_of, ["store"]);
            // As soon as it has had a segment there is room, whatever the other has had.
            let mut reader = log.reader("store").unwrap();
            stored.extend(drain(&log, &mut reader, 1 << 20).await);
            reader.commit(reader.position());
            until("there is room", || log.stats().full_of.is_empty());
            assert!(log.handle.shared.state.lock().overfull.is_some());
            for _ in 0..10 {
                append(&log, [batch(5000, taken)]).await;
                taken += 1;
            }
            assert!(log.handle.shared.state.lock().overfull.is_none());
            assert_eq!((dropped(&log, "store"), dropped(&log, "elsewhere") > 0), (0, true), "round {round}");
            // Nor for longer than it is that.
            if round == 1 {
                log.add(&store);
                append(&log, (taken..taken + 100).map(|seed| batch(5000, seed))).await;
                assert!(dropped(&log, "store") > 0);
            }
        }
        let expected: Vec<_> = (0..stored.len() as u64).map(|seed| batch(5000, seed)).collect();
        assert!(stored.len() > 80, "{}", stored.len());
        assert!(stored.into_iter().map(|record| record.batch).eq(expected));
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
