//! The log against SIGKILL and against a full disk.
//!
//! A child process (this binary again, see [`child_appends_until_killed`]) appends from eight
//! tasks and prints each acknowledgement; the parent kills it at a random moment, opens the log
//! and compares. SIGKILL leaves the page cache alone, so this proves the order of write, sync
//! and answer, recovery and torn writes; lost pages are what the property tests beside the code
//! simulate by harming files.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use vispyr::signal::{Batch, Compression, Format, Meta, Signal};
use vispyr::wal::{AppendError, Config, Destination, Log, Position, Reader, Record, Start, WhenFull};

const DIR: &str = "VISPYR_TEST_CRASH_DIR";
const KEEPS: &str = "VISPYR_TEST_CRASH_KEEPS";
const SEED: &str = "VISPYR_TEST_CRASH_SEED";
/// Kills in all, and kills a log.
const ROUNDS: u64 = 200;
const ROUNDS_A_LOG: u64 = 20;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A batch that can be made again from its first eight bytes.
fn batch(seed: u64) -> Batch {
    let mut random = SmallRng::seed_from_u64(seed);
    let size = match random.random_range(0..10) {
        0 => 8,
        1 => 150_000,
        _ => random.random_range(8..6000),
    };
    let mut payload = vec![0; size];
    random.fill_bytes(&mut payload);
    payload[..8].copy_from_slice(&seed.to_le_bytes());
    Batch {
        signal: Signal::Traces,
        format: Format::Otlp,
        compression: Compression::Zstd,
        items: random.random_range(0..1000),
        decoded_size: random.random(),
        received: seed,
        meta: Meta { query: format!("seed={seed}"), content_type: String::new() },
        payload: payload.into(),
    }
}

fn seed_of(record: &Record) -> u64 {
    u64::from_le_bytes(record.batch.payload[..8].try_into().unwrap())
}

/// With `keeps` every record stays, since that destination never commits; without it segments
/// are deleted behind `follows`.
fn open(dir: &Path, keeps: bool) -> Log {
    let config = Config { segment_size: bytesize::ByteSize::kib(256), ..Config::default() };
    let destinations = [Destination::new("follows", Start::Oldest), Destination::new("keeps", Start::Oldest)];
    Log::open(dir.join("log"), Signal::Traces, &config, &destinations[..1 + usize::from(keeps)]).unwrap()
}

/// Everything from the reader's place to the end.
async fn drain(log: &Log, reader: &mut Reader) -> Vec<Record> {
    let (mut records, next) = (Vec::new(), log.stats().next);
    while reader.position() < next {
        let more = tokio::time::timeout(Duration::from_secs(10), reader.next(1 << 20)).await;
        records.extend(more.expect("the last records are missing").unwrap());
    }
    records
}

fn say(line: std::fmt::Arguments<'_>) {
    // One write a line: a line is whole or not there.
    let line = format!("\n> {line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Not a test: what the parent starts and kills.
#[test]
#[ignore = "the child of sigkill_loses_nothing"]
fn child_appends_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let first: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let log = open(Path::new(&dir), std::env::var_os(KEEPS).is_some());
        for task in 0..8 {
            let log = log.clone();
            tokio::spawn(async move {
                for seed in (first + task..).step_by(8) {
                    let position = log.append(batch(seed)).await.unwrap();
                    say(format_args!("ack {} {seed}", position.0));
                }
            });
        }
        let mut reader = log.reader("follows").unwrap();
        loop {
            let records = reader.next(100_000).await.unwrap();
            let done = records.last().unwrap().position.0 + 1;
            say(format_args!("commit {done}"));
            reader.commit(Position(done));
        }
    });
}

/// Ends with the test, whatever happens.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What children have said about one log.
#[derive(Default)]
struct Told {
    keeps: bool,
    /// Position to seed.
    acknowledged: BTreeMap<u64, u64>,
    committed: u64,
}

impl Told {
    /// Runs a child, kills it when it has said `lines` lines and listens to its last words.
    fn run_and_kill(&mut self, dir: &Path, first: u64, lines: u64) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["wal_crash::child_appends_until_killed", "--exact", "--ignored", "--nocapture"]);
        child.env(DIR, dir).env(SEED, first.to_string()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        if self.keeps {
            child.env(KEEPS, "1");
        }
        let mut victim = Victim(child.spawn().unwrap());
        let mut said = 0;
        let mut killed = lines == 0;
        if killed {
            victim.0.kill().unwrap();
        }
        for line in BufReader::new(victim.0.stdout.take().unwrap()).lines().map_while(Result::ok) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                [">", "ack", position, seed] => {
                    let before = self.acknowledged.insert(position.parse().unwrap(), seed.parse().unwrap());
                    assert_eq!(before, None, "position {position} acknowledged twice");
                }
                [">", "commit", position] => self.committed = self.committed.max(position.parse().unwrap()),
                _ => continue,
            }
            said += 1;
            if said >= lines && !killed {
                victim.0.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "the child ended by itself");
    }

    /// Opens the log and compares.
    fn check(&self, dir: &Path, cursor_before: u64) -> u64 {
        let log = open(dir, self.keeps);
        let stats = log.stats();
        assert_eq!(stats.corrupt_records, 0);
        let oldest = stats.oldest.0;
        let may_go = if self.keeps { 0 } else { self.committed };
        assert!(oldest <= may_go, "oldest is {oldest}, committed {may_go}");
        let mut reader = log.reader("follows").unwrap();
        reader.seek(Position(0));
        let records = block_on(drain(&log, &mut reader));
        assert_eq!(log.stats().corrupt_records, 0);
        let mut seen = HashSet::new();
        for (record, position) in records.iter().zip(oldest..) {
            assert_eq!(record.position.0, position, "not dense");
            let seed = seed_of(record);
            assert_eq!(record.batch, batch(seed), "not what was sent");
            assert!(seen.insert(seed), "doubled");
            if let Some(acknowledged) = self.acknowledged.get(&position) {
                assert_eq!(*acknowledged, seed, "position {position} holds another record");
            }
        }
        let last = self.acknowledged.last_key_value().map_or(0, |(position, _)| position + 1);
        let end = oldest + records.len() as u64;
        assert!(end >= last, "{last} acknowledged, {end} there");
        assert_eq!(stats.next.0, end);
        let cursor = log.reader("follows").unwrap().cursor().0;
        assert!(cursor <= self.committed, "cursor {cursor}, committed {}", self.committed);
        assert!(cursor >= cursor_before, "cursor {cursor} was at {cursor_before}");
        cursor
    }
}

#[test]
fn sigkill_loses_nothing() {
    let seed = rand::rng().next_u64();
    eprintln!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut acknowledged, mut deleted) = (0, 0);
    for log in 0..ROUNDS / ROUNDS_A_LOG {
        let dir = tempfile::tempdir().unwrap();
        let (mut told, mut cursor) = (Told { keeps: log % 2 == 0, ..Told::default() }, 0);
        for round in 0..ROUNDS_A_LOG {
            let first = (log * ROUNDS_A_LOG + round) << 32;
            // Sometimes while it opens the log, mostly in full run.
            let lines = if random.random_ratio(1, 10) { 0 } else { random.random_range(1..200) };
            told.run_and_kill(dir.path(), first, lines);
            cursor = told.check(dir.path(), cursor);
        }
        let oldest = open(dir.path(), told.keeps).stats().oldest.0;
        acknowledged += told.acknowledged.len();
        deleted += oldest;
    }
    eprintln!("{ROUNDS} kills, {acknowledged} acknowledged records, none lost, {deleted} passed and deleted");
    assert!(acknowledged as u64 > ROUNDS && deleted > 0);
}

/// A small file system of its own.
struct SmallDisk(PathBuf, #[allow(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl SmallDisk {
    /// `None` where one may not mount.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(dir.path().to_owned(), dir)),
            other => {
                eprintln!("SKIPPED: cannot mount a small tmpfs (root needed): {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn sized(seed: u64) -> Batch {
    Batch { payload: vec![seed as u8; 50_000].into(), ..batch(seed) }
}

async fn fill(log: &Log, next: &mut u64) -> std::io::Error {
    loop {
        match log.append(sized(*next)).await {
            Ok(position) => {
                assert_eq!(position.0, *next);
                *next += 1;
            }
            Err(AppendError::Io { source, .. }) => return source,
            Err(error) => panic!("{error}"),
        }
        assert!(*next < 1000, "never full");
    }
}

#[test]
fn a_full_disk_refuses_keeps_what_it_has_and_recovers() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let config = Config { when_full: WhenFull::Reject, segment_size: bytesize::ByteSize::mib(1), ..Config::default() };
    let open =
        || Log::open(disk.0.join("log"), Signal::Traces, &config, &[Destination::new("a", Start::Oldest)]).unwrap();
    let all_there = |log: &Log, from: u64, next: u64| {
        let mut reader = log.reader("a").unwrap();
        reader.seek(Position(from));
        let records = block_on(drain(log, &mut reader));
        assert_eq!(records.len() as u64, next - from);
        assert!(records.iter().zip(from..).all(|(record, n)| record.position.0 == n && record.batch == sized(n)));
    };
    let mut next = 0;
    let log = open();
    let error = block_on(fill(&log, &mut next));
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    assert!(next > 60, "{next} records in 4 MiB");
    all_there(&log, 0, next);
    log.close();

    // It also starts on a full disk.
    let log = open();
    all_there(&log, 0, next);
    block_on(fill(&log, &mut next));

    // A destination catches up: the segments go, and there is room again without a restart.
    log.reader("a").unwrap().commit(Position(next));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let from = next;
    while block_on(log.append(sized(next))).is_err() {
        assert!(std::time::Instant::now() < deadline, "did not recover");
    }
    next += 1;
    block_on(fill(&log, &mut next));
    assert!(next - from > 40);
    all_there(&log, from, next);
    drop(log);
    let log = open();
    assert_eq!(log.stats().corrupt_records, 0);
    all_there(&log, from, next);
}
