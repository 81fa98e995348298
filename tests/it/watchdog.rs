//! The service manager's watchdog and an engine that does not stay.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use vispyr::signal::Signal;
use vispyr::store::engine::failpoint;

use crate::harness::{Options, Vispyr, get, post};
use crate::receivers::rig::payload;

/// What the service manager allows between two pings.
const WATCHDOG: Duration = Duration::from_secs(3);

/// The longest time without a ping, until the program says that it stops.
fn longest_silence(socket: &UnixDatagram) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut buffer = [0; 1024];
    while let Ok(n) = socket.recv(&mut buffer) {
        let message = String::from_utf8_lossy(&buffer[..n]).into_owned();
        if message.contains("STOPPING=1") {
            break;
        }
        if message.contains("WATCHDOG=1") {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
    }
    longest.max(last.elapsed())
}

/// The engine ends each time that it gets the record. The receivers go on, and so do the pings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_ends_at_every_start_is_no_reason_to_end_the_receivers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let microseconds = WATCHDOG.as_micros().to_string();
    let env = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", microseconds.as_str()),
        (failpoint::VARIABLE, "received"),
    ];
    let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    // As systemd does: the pid tells whom the watchdog is for.
    let wrap = ["bash", "-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    let mut vispyr = Vispyr::start(Options { env, wrap, ..Options::default() }).await;
    let listening = std::thread::spawn(move || longest_silence(&socket));
    let send = async |vispyr: &Vispyr| {
        let url = vispyr.url("otlp_http", "/v1/traces");
        post(&url, "application/x-protobuf", payload::three(Signal::Traces)).await.unwrap().status
    };
    assert_eq!(send(&vispyr).await, 200);
    let seen = RefCell::new(BTreeSet::new());
    let five_engines = async || {
        seen.borrow_mut().extend(vispyr.engine_pid());
        (seen.borrow().len() > 5).then_some(())
    };
    vispyr.wait("five engines have come and gone", five_engines).await;
    assert_eq!(send(&vispyr).await, 200);
    assert_eq!(get(&vispyr.url("web", "/-/healthy")).await.unwrap().status, 200);
    vispyr.stop().await;
    let silence = listening.join().unwrap();
    assert!(silence < WATCHDOG, "no ping for {silence:?}");
}
