use super::*;

#[test]
fn statements_share_the_processors() {
    assert_eq!((share(2, 0), share(2, 1), share(2, 2), share(2, 9)), (2, 2, 1, 1));
    assert_eq!((share(8, 1), share(8, 3), share(8, 4), share(8, 9)), (8, 2, 2, 1));
}

#[test]
fn a_reader_is_wanted_for_each_statement_that_is_late() {
    let pool = Pool::new(Readers::nowhere(), 8);
    assert_eq!(pool.wanted(), WARM);
    let late: Vec<Late<'_>> = (0..5).map(|_| Late::new(&pool.late)).collect();
    assert_eq!(pool.wanted(), 5);
    drop(late);
    assert_eq!(pool.wanted(), WARM);
}

#[tokio::test]
async fn a_statement_is_late_while_it_waits_for_a_reader() {
    let pool = Arc::new(Pool::new(Readers::nowhere(), 8));
    let wait = futures_util::future::join_all((0..3).map(|_| pool.lease(Duration::from_secs(3600))));
    let all_late = async {
        while pool.late.load(Ordering::Relaxed) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (pool.wanted(), pool.running())
    };
    tokio::select! {
        _ = wait => unreachable!("there is no reader"),
        meanwhile = all_late => assert_eq!(meanwhile, (3, 3)),
    }
    assert_eq!((pool.wanted(), pool.running()), (WARM, 0));
}

#[tokio::test]
async fn a_start_that_fails_counts_for_statements_that_waited_when_it_began() {
    let pool = Arc::new(Pool::new(Readers::nowhere(), 8));
    let fails = async || {
        Arc::clone(&pool).start().await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        error = pool.take(Duration::from_secs(3600)) => assert!(error.is_err_and(|why| why.contains("cannot be started"))),
        () = fails() => {}
    }
    let error = pool.take(Duration::from_millis(20)).await;
    assert!(error.is_err_and(|why| why.contains("no reader was free")));
}
