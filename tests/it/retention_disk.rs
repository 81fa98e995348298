//! A store on a small disk takes what comes for as long as it comes, and never fills the disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use vispyr::signal::now_nanos;

use super::full_disk::Small;
use super::harness::{Options, Vispyr, get, post};

const MIB: u64 = 1 << 20;

/// MiB of the disk.
const DISK: u64 = 128;

/// MiB that come altogether, which nothing makes smaller.
const SENT: u64 = 180;

/// MiB a second: slow enough for an old file to be deleted before its place is needed.
const RATE: u64 = 4;

fn free(at: &Path) -> u64 {
    let disk = rustix::fs::statvfs(at).unwrap();
    disk.f_bavail * disk.f_frsize
}

/// Text that does not compress, by xorshift.
fn noise(bytes: usize, state: &mut u64) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut next = || {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        char::from(DIGITS[(*state >> 20) as usize % DIGITS.len()])
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_disk_holds_comes_and_the_oldest_goes_early() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Small::mount_of(&folder.path().join("disk"), DISK) else {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    };
    let store: PathBuf = disk.0.join("store");
    let config = format!(
        "[store]\ndir = {store:?}\nseal_interval = \"1s\"\n[store.retention]\nmin_free_disk = \"60MiB\"\nsnapshots = \"1s\"\n\
         [sql]\ntime_limit = \"1s\"\n"
    );
    let vispyr = Vispyr::start(Options::config(&config)).await;
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut least, mut sent) = (u64::MAX, 0);
    let started = Instant::now();
    while sent < SENT {
        let lines: Vec<_> = (0..16)
            .map(|n| json!({"timeUnixNano": (now_nanos() + n).to_string(), "body": {"stringValue": noise(64 << 10, &mut state)}}))
            .collect();
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": lines}]}]}).to_string();
        let answer = post(&vispyr.url("otlp_http", "/v1/logs"), "application/json", body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        sent += 1;
        least = least.min(free(&disk.0));
        let due = Duration::from_millis(1000 * sent / RATE);
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
    }
    assert!(least > 4 * MIB, "{least} bytes were free");
    let last = now_nanos();
    let newest = format!("SELECT count(*) > 0 FROM logs WHERE epoch_ns(time) > {}", last - 5_000_000_000);
    assert_eq!(vispyr.sql(&newest).await, [[json!(true)]]);
    // Everything that came is either there or was said to be dropped.
    let early = || async {
        let status = get(&vispyr.url("web", "/api/v1/status")).await.ok()?.json();
        let early = status["store"]["kept"]["last_early_drop"].clone();
        (early["files"].as_u64()? > 0 && early["signals"] == json!(["logs"])).then_some(())
    };
    vispyr.wait("it says what went early", early).await;
    assert!(vispyr.log().contains("dropped before their time"), "{}", vispyr.log());
    assert!(vispyr.metric("vispyr_store_dropped_files_total", &["reason=\"disk\""]).await > 0.0);
    vispyr.wait("there is room again", || async { (free(&disk.0) >= 50 * MIB).then_some(()) }).await;
    drop(vispyr);
}
