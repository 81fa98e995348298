//! What goes in comes out, in order, once, over restarts.

use super::*;

#[test]
fn a_log_whose_thread_has_panicked_takes_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small(), &["a"]);
    block_on(append(&log, [batch(100, 0)]));
    log.handle.shared.faults.panics.store(true, Ordering::SeqCst);
    assert!(matches!(block_on(log.append(batch(100, 1))), Err(AppendError::Closed(_))));
    assert!(!block_on(log.alive()));
    let says = |failing: Option<String>| failing.is_some_and(|why| why.contains("thread has ended"));
    assert!(says(log.failing()) && says(log.check().err()) && says(log.stats().failing));
    // One that was closed is no such log.
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &small(), &["a"]);
    log.close();
    assert_eq!((log.failing(), log.check()), (None, Ok(())));
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
}
