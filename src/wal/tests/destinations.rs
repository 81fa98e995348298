//! Cursors: how far each destination is, and how destinations come and go.

use super::*;

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
        let destinations = [
            Destination::new("b", Start::Now),
            Destination::new("c", Start::Oldest),
            Destination::new("a", Start::Now),
        ];
        let log = Log::open(dir.path().join("log"), Signal::Logs, &small(), &destinations).unwrap();
        let at = |log: &Log, name: &str| log.reader(name).unwrap().cursor().0;
        assert_eq!((at(&log, "a"), at(&log, "b"), at(&log, "c")), (4, 10, 0));
        drop(log);
        drop(open(dir.path(), &small(), &["b"]));
        let log = open(dir.path(), &small(), &["a", "b"]);
        assert_eq!((at(&log, "a"), at(&log, "b")), (0, 10), "a was forgotten");
    });
}

/// What the cursor file says, read as the next start would.
fn saved(dir: &Path) -> Vec<(String, u64)> {
    match cursor::Saved::load(&dir.join("log")).unwrap() {
        cursor::Loaded::Good(saved) => saved.cursors.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

fn cursor_of(log: &Log, name: &str) -> Option<u64> {
    log.stats().cursors.iter().find(|cursor| cursor.destination == name).map(|cursor| cursor.position.0)
}

#[test]
fn a_destination_added_while_running_begins_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["a"]);
        append(&log, (0..50).map(|seed| batch(5000, seed))).await;
        assert_eq!(log.add(&Destination::new("old", Start::Oldest)), Position(0));
        assert_eq!(log.add(&Destination::new("new", Start::Now)), Position(50));
        log.reader("old").unwrap().commit(Position(7));
        assert_eq!(log.add(&Destination::new("old", Start::Now)), Position(7), "known already: it keeps its cursor");
        // On disk, although nothing was closed.
        let saved = saved(dir.path());
        assert!(saved.contains(&("new".to_owned(), 50)), "{saved:?}");
        let mut old = log.reader("old").unwrap();
        let mut new = log.reader("new").unwrap();
        append(&log, [batch(10, 50)]).await;
        assert_eq!(drain(&log, &mut old, 1 << 20).await.len(), 44);
        assert_eq!(new.next(1).await.unwrap()[0].batch, batch(10, 50));
    });
}

#[test]
fn a_removed_destination_frees_its_segments_at_once_and_moves_nobody() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let log = open(dir.path(), &small(), &["slow", "a", "b"]);
        let batches: Vec<_> = (0..100).map(|seed| batch(5000, seed)).collect();
        append(&log, batches.clone()).await;
        let [mut slow, mut a, b] = ["slow", "a", "b"].map(|name| log.reader(name).unwrap());
        slow.commit(Position(20));
        a.commit(Position(90));
        b.commit(Position(60));
        until("what all have passed is deleted", || segments(dir.path())[0] > 0);
        let left = log.remove("slow").unwrap();
        assert_eq!((left.position, left.lag_records), (Position(20), 80));
        let items = |from: usize| batches[from..].iter().map(|batch| u64::from(batch.items)).sum::<u64>();
        assert_eq!(left.lag_items, items(20));
        // Without waiting: the segment that b stands in is the first.
        let first = segments(dir.path())[0];
        assert!(first > 40 && first <= 60, "{first}");
        assert_eq!(saved(dir.path()).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(log.remove("slow").is_none());
        assert!(matches!(log.reader("slow"), Err(WalError::UnknownDestination(_))));
        // Its reader is still there, moves nothing and is no danger to anybody.
        slow.commit(Position(100));
        assert_eq!((cursor_of(&log, "a"), cursor_of(&log, "b"), cursor_of(&log, "slow")), (Some(90), Some(60), None));
        assert!(slow.next(1 << 20).await.unwrap()[0].position.0 >= first);
        // Those of the others are as they were.
        assert_eq!((a.cursor(), b.cursor()), (Position(90), Position(60)));
        a.commit(Position(95));
        assert_eq!((cursor_of(&log, "a"), cursor_of(&log, "b")), (Some(95), Some(60)));
        let read = drain(&log, &mut a, 1 << 20).await;
        assert_eq!(read.len() as u64, 100 - first, "it has not read yet, and finds what is there");
        // Of the same name, but another: the old reader is not its.
        assert_eq!(log.add(&Destination::new("slow", Start::Oldest)), Position(first));
        slow.commit(Position(100));
        assert_eq!(cursor_of(&log, "slow"), Some(first));
        drop((slow, a, b, log));
        let log = open(dir.path(), &small(), &["a", "b", "slow"]);
        assert_eq!(
            (cursor_of(&log, "a"), cursor_of(&log, "b"), cursor_of(&log, "slow")),
            (Some(95), Some(60), Some(first))
        );
    });
}
