//! Work that hangs in tokio's pool of threads holds back neither receivers nor readers of the log.

use prost::Message as _;
use tokio::runtime::Builder;
use vispyr::signal::Signal;
use vispyr::wal::{Config, Destination, Log, Start};

use crate::receivers::rig::{DEADLINE, Rig, payload, post};

/// Runs a test where every thread for blocking work is taken: a name lookup that gets no answer, say.
fn with_a_full_pool<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap();
    let (release, hold) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || hold.recv());
    let result = runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await });
    drop(release);
    result.expect("in time")
}

#[test]
fn large_bodies_are_checked() {
    with_a_full_pool(async {
        let rig = Rig::start().await;
        let mut request = payload::traces(1);
        request.resource_spans[0].scope_spans[0].spans[0].name = "a".repeat(2 << 20);
        let answer =
            post(rig.http, "/v1/traces", &[("content-type", "application/x-protobuf")], request.encode_to_vec());
        assert_eq!(answer.await.status.as_u16(), 200);
    });
}

#[test]
fn the_log_is_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let destinations = [Destination::new("test", Start::Oldest)];
        Log::open(dir.path().join("traces"), Signal::Traces, &Config::default(), &destinations).unwrap()
    };
    with_a_full_pool(async {
        let rig = Rig::start().await;
        let request = payload::three(Signal::Traces);
        let answer = post(rig.http, "/v1/traces", &[("content-type", "application/x-protobuf")], request);
        assert_eq!(answer.await.status.as_u16(), 200);
        let log = open();
        log.append(rig.only(Signal::Traces).await).await.unwrap();
        log.close();
        // What is not in memory.
        let log = open();
        let mut reader = log.reader("test").unwrap();
        assert_eq!(reader.next(1 << 20).await.unwrap().len(), 1);
    });
}
