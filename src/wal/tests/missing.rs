//! Records that are gone without a trace are told, once.

use super::*;

/// A hundred records in eight or so segments, of which the destination has had ten.
fn filled(dir: &Path) -> Vec<u64> {
    block_on(async {
        let log = open(dir, &small(), &["a"]);
        append(&log, (0..100).map(|seed| batch(5000, seed))).await;
        log.reader("a").unwrap().commit(Position(10));
    });
    segments(dir)
}

/// What a start finds: the records that are there, how many are said to be missing, to be corrupt.
fn start(dir: &Path) -> (Vec<u64>, u64, u64) {
    block_on(async {
        let log = open(dir, &small(), &["a"]);
        let mut reader = log.reader("a").unwrap();
        let read = drain(&log, &mut reader, 1 << 20).await;
        let stats = log.stats();
        assert_eq!(append(&log, [batch(10, 0)]).await[0], stats.next, "a position is given once");
        (read.iter().map(|record| record.position.0).collect(), stats.missing_records, stats.corrupt_records)
    })
}

#[test]
fn a_segment_that_is_gone_or_empty_is_told_once() {
    for (which, emptied) in [(0, false), (0, true), (3, false), (3, true), (7, false), (7, true)] {
        let dir = tempfile::tempdir().unwrap();
        let segments = filled(dir.path());
        let path = segment::path(&dir.path().join("log"), segments[which]);
        match emptied {
            true => std::fs::write(&path, b"").unwrap(),
            false => std::fs::remove_file(&path).unwrap(),
        }
        let end = segments.get(which + 1).copied().unwrap_or(100);
        let lost = segments[which]..end;
        let there: Vec<u64> = (10..100).filter(|n| !lost.contains(n)).collect();
        // What the destination has had already is not missed.
        let missing = 90 - there.len() as u64;
        assert_eq!(start(dir.path()), (there.clone(), missing, 0), "{which} {emptied}");
        let again = [there, vec![100]].concat();
        assert_eq!(start(dir.path()), (again, 0, 0), "{which} {emptied}, not again");
    }
}

#[test]
fn a_segment_that_was_cut_short_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let segments = filled(dir.path());
    let path = segment::path(&dir.path().join("log"), segments[3]);
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5064 * 4).unwrap();
    let there: Vec<u64> = (10..100).filter(|n| !(segments[3] + 4..segments[4]).contains(n)).collect();
    let missing = 90 - there.len() as u64;
    assert_eq!(start(dir.path()), (there, missing, 0));
}

#[test]
fn nothing_is_missed_that_was_dropped_or_had() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(64 << 10, 256 << 10, WhenFull::DropOldest);
    block_on(async {
        let log = open(dir.path(), &config, &["slow", "quick"]);
        append(&log, (0..10).map(|seed| batch(5000, seed))).await;
        // As a kill leaves it: nothing is closed.
        let copy = |to: &Path| {
            std::fs::create_dir_all(to.join("log")).unwrap();
            for entry in std::fs::read_dir(dir.path().join("log")).unwrap().map(Result::unwrap) {
                std::fs::copy(entry.path(), to.join("log").join(entry.file_name())).unwrap();
            }
        };
        for seed in 10..200 {
            append(&log, [batch(5000, seed)]).await;
            log.reader("quick").unwrap().commit(log.stats().next);
            if seed % 20 == 0 {
                let killed = tempfile::tempdir().unwrap();
                copy(killed.path());
                let log = open(killed.path(), &config, &["slow", "quick"]);
                assert_eq!((log.stats().missing_records, log.stats().corrupt_records), (0, 0), "{seed}");
            }
        }
        assert!(log.stats().oldest > Position(100));
    });
}

#[test]
fn a_segment_removed_while_running_costs_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a", "b"]);
        let batches: Vec<_> = (0..100).map(|seed| batch(5000, seed)).collect();
        append(&log, batches.clone()).await;
        let segments = segments(dir.path());
        std::fs::remove_file(segment::path(&dir.path().join("log"), segments[3])).unwrap();
        let lost = segments[3] as usize..segments[4] as usize;
        for name in ["a", "b"] {
            let mut reader = log.reader(name).unwrap();
            let read = drain(&log, &mut reader, 20_000).await;
            let there: Vec<u64> = (0..100).filter(|n| !lost.contains(&(*n as usize))).collect();
            assert_eq!(read.iter().map(|record| record.position.0).collect::<Vec<_>>(), there);
        }
        let stats = log.stats();
        assert_eq!(stats.missing_records, lost.len() as u64);
        let items: u64 = batches[lost].iter().map(|batch| u64::from(batch.items)).sum();
        assert!(stats.cursors.iter().all(|cursor| cursor.dropped_items == items), "{stats:?}");
    });
    // The file of the cursors has it.
    let told = match cursor::Saved::load(&dir.path().join("log")).unwrap() {
        cursor::Loaded::Good(saved) => saved.told,
        other => panic!("{other:?}"),
    };
    assert_eq!(told.len(), 1);
}
