//! Jobs over a socket.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use super::*;
use crate::store::engine::Stop;

/// Begins to serve, and tells the socket.
fn served(sealed: &Sealed) -> PathBuf {
    let socket = sealed.dir.path().join("merge.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let db = sealed.db.try_clone().unwrap();
    std::thread::spawn(move || server::serve(&listener, db));
    socket
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn jobs_are_done_over_a_socket() {
    let mut sealed = Sealed::new(256 << 20);
    let inputs = [0, 100].map(|from| sealed.add(Table::Spans, &some_rows(Table::Spans, from, 100, schema::VERSION)));
    let socket = served(&sealed);
    let within = Duration::from_secs(20);
    for level in [1, 2] {
        let job = Job { level, ..sealed.job(Table::Spans, &inputs) };
        let merged = client::run(&socket, &job, within, &Stop::default()).unwrap();
        assert_eq!(merged.rows, 200);
        assert!(merged.cpu > Duration::ZERO);
        assert_eq!(fs::metadata(sealed.dir.path().join(&job.output)).unwrap().len(), merged.bytes);
    }
    let damaged = [Input { checksum: 1, ..inputs[0].clone() }];
    let error = client::run(&socket, &sealed.job(Table::Spans, &damaged), within, &Stop::default()).unwrap_err();
    assert!(matches!(error, client::RunError::Failed(MergeError::Damaged { .. })), "{error}");
    let odd = Job { table: "odd".to_owned(), ..sealed.job(Table::Spans, &inputs) };
    let error = client::run(&socket, &odd, within, &Stop::default()).unwrap_err().to_string();
    assert!(error.contains("no table \"odd\""), "{error}");
}

#[test]
fn a_merger_that_ends_or_hangs_is_told_from_one_that_is_away() {
    let sealed = Sealed::new(256 << 20);
    let socket = sealed.dir.path().join("merge.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let job = sealed.job(Table::Spans, &[]);
    let ends = std::thread::spawn(move || (listener.accept().unwrap().0.shutdown(std::net::Shutdown::Both), listener));
    let error = client::run(&socket, &job, Duration::from_secs(20), &Stop::default()).unwrap_err();
    assert!(matches!(error, client::RunError::Died), "{error}");
    let (_, listener) = ends.join().unwrap();
    let error = client::run(&socket, &job, Duration::from_millis(30), &Stop::default()).unwrap_err();
    assert!(matches!(error, client::RunError::Late(_)), "{error}");
    drop(listener);
    let error = client::run(&socket, &job, Duration::from_secs(20), &Stop::default()).unwrap_err();
    assert!(matches!(error, client::RunError::Away(_)), "{error}");
}

#[test]
fn a_job_that_nobody_waits_for_is_given_up() {
    let mut sealed = Sealed::new(256 << 20);
    let once = sealed.add(Table::Spans, &some_rows(Table::Spans, 0, 100_000, schema::VERSION));
    let inputs = vec![once; 20];
    let socket = served(&sealed);
    let job = sealed.job(Table::Spans, &inputs);
    let output = sealed.dir.path().join(&job.output);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(&serde_json::to_vec(&job).unwrap()).unwrap();
    stream.write_all(b"\n").unwrap();
    until("it begins", || output.parent().unwrap().exists());
    drop(stream);
    // The next of its kind would wait for it.
    let small = [sealed.add(Table::Spans, &some_rows(Table::Spans, 0, 1, schema::VERSION))];
    let started = Instant::now();
    client::run(&socket, &sealed.job(Table::Spans, &small), Duration::from_secs(20), &Stop::default()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(!output.exists());
}
