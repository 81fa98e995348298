//! The engine behind its real socket, in a process of its own (this test binary, started again),
//! fed by a sender that speaks the ingest protocol for a log that is a function of the position.

pub mod rig;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vispyr::exporters;
use vispyr::exporters::store::{StoreDelivery, resend::Resender};
use vispyr::quarantine::dead_letters::DeadLetters;
use vispyr::signal::{Signal, now_nanos};
use vispyr::store::engine::failpoint;
use vispyr::telemetry::Telemetry;
use vispyr::wal::{self, Destination, Log, Logs, Position, Start};

use rig::{DEADLINE, EngineProcess, LOG, SEAL_INTERVAL, Sender, Source, feed, traces};

#[test]
fn rows_are_visible_at_once_sealed_by_hour_and_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert!(feed(&engine, &source, 1));
    assert!(feed(&engine, &source, 100));
    assert_eq!(engine.spans(), (1000, 1000));
    let by_route = "SELECT attributes.\"http.route\"::VARCHAR AS route, count(*), sum(attributes.n::INT)::BIGINT,
         min(resource.\"service.name\"::VARCHAR) FROM spans GROUP BY 1 ORDER BY 1"
        .replace('\n', " ");
    let fresh = engine.ask(&by_route);
    assert_eq!(engine.files(), [""; 0]);
    assert!(engine.level0_files().iter().any(|f| f.starts_with("spans/date=20")), "{:?}", engine.level0_files());

    assert_eq!(engine.ask(".flush"), "flushed");
    let files = engine.files();
    assert!(files.iter().any(|f| f.starts_with("spans/date=20") && f.ends_with(".parquet")), "{files:?}");
    assert!(files.iter().all(|f| f.contains("/hour=") && !f.ends_with(".part")), "{files:?}");
    assert_eq!(engine.spans(), (1000, 1000));
    assert_eq!(engine.ask(&by_route), fresh, "the same, sealed");
    let stats = engine.stats();
    let spans = stats.tables.iter().find(|t| t.table == "spans").unwrap();
    assert_eq!((spans.level0_rows, spans.sealed_rows, spans.sealed_files), (0, 1000, 1));
    assert_eq!(stats.signals[0].items, 1000);

    engine.kill();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (1000, 1000));
    assert_eq!(engine.ask(&by_route), fresh);
    let sender = Sender::connect(&engine, LOG, 100);
    assert_eq!((sender.progress.wanted, sender.progress.sealed), (Position(100), Position(100)));
    engine.stop();
}

#[test]
fn gaps_are_taken_duplicates_ignored_and_another_log_has_its_own_positions() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(1);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut sender = Sender::connect(&engine, LOG, 50);
    for position in [0, 1, 1, 0, 10, 5, 11] {
        assert!(sender.send(source.record(position)));
    }
    assert!(sender.wait(|h| h.visible == 12));
    assert_eq!(engine.spans(), (4, 4));

    let other = Source { log: Uuid::from_u128(7), ..source };
    let mut sender = Sender::connect(&engine, other.log, 50);
    assert_eq!(sender.progress.wanted, Position(0));
    assert!(sender.send(other.record(20)));
    assert!(sender.wait(|h| h.visible == 21));
    engine.ask(".flush");
    assert!(sender.wait(|h| h.sealed == 21));
    let again = Sender::connect(&engine, LOG, 50);
    assert_eq!(again.progress.wanted, Position(12), "the first log is where it was");
    assert_eq!(engine.spans(), (5, 5));
}

#[test]
fn an_undecodable_record_costs_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(3);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut sender = Sender::connect(&engine, LOG, 10);
    assert!(sender.send(source.record(0)));
    assert!(sender.send(traces(1, 3, Bytes::from_static(b"\x0a\xff\xff"))));
    assert!(sender.send(source.record(2)));
    assert!(sender.wait(|h| h.visible == 3 && h.is_aside(1)), "{:?}", sender.heard());
    assert_eq!(engine.spans(), (6, 6));
    let stats = engine.stats().signals.remove(0);
    assert_eq!((stats.records, stats.items, stats.undecodable_records, stats.undecodable_items), (2, 6, 1, 3));
    engine.ask(".flush");
    assert!(sender.wait(|h| h.sealed == 3));
    // A collector that ended before it had a dead letter hears of it again, before any cursor moves.
    engine.kill();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut again = Sender::connect(&engine, LOG, 10);
    assert_eq!(again.progress.sealed, Position(3));
    assert!(again.heard().is_aside(1), "{:?}", again.heard());
    assert!(Sender::connect(&engine, Uuid::from_u128(77), 10).heard().aside.is_empty(), "another log");
    // One that has a dead letter says so, and hears of it no more.
    again = Sender::connect(&engine, LOG, 10);
    let note = again.heard().aside.remove(0);
    again.keep(&note);
    assert!(again.send(source.record(3)));
    assert!(again.wait(|h| h.visible == 4));
    engine.ask(".flush");
    engine.kill();
    let engine = EngineProcess::start(dir.path(), &[]);
    assert!(Sender::connect(&engine, LOG, 10).heard().aside.is_empty());
}

#[test]
fn hostile_times_make_few_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut sender = Sender::connect(&engine, LOG, 3000);
    let day = 86_400_000_000_000;
    let starts = [0, 1, u64::MAX, i64::MAX.cast_unsigned(), i64::MAX.cast_unsigned() + 1];
    let far = (1..1000).flat_map(|d| [now_nanos() - (d + 8) * day, now_nanos() + d * day]);
    let mut sent = 0;
    for start in starts.into_iter().chain(far) {
        let source = Source { log: LOG, spans: 1, start };
        let mut record = source.record(0);
        record.position = Position(sent);
        assert!(sender.send(record));
        sent += 1;
    }
    assert!(sender.wait(|h| h.visible == sent));
    let before = engine.count("SELECT count(*) FROM spans");
    assert_eq!(before, sent);
    engine.ask(".flush");
    assert_eq!(engine.count("SELECT count(*) FROM spans"), sent);
    let files = engine.files().iter().filter(|f| f.starts_with("spans/")).count();
    assert!(files <= 2, "{files}");
}

#[test]
fn counts_stay_right_while_one_round_of_sealing_follows_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(200);
    let mut engine = EngineProcess::start(dir.path(), &[(SEAL_INTERVAL, "300ms")]);
    assert!(feed(&engine, &source, 20));
    let sealing = {
        let mut sender = Sender::connect(&engine, LOG, 2000);
        std::thread::spawn(move || {
            for position in 20..2000 {
                assert!(position % 64 != 0 || sender.wait(|h| h.visible + 256 >= position));
                assert!(sender.send(source.record(position)));
            }
            assert!(sender.wait(|h| h.visible == 2000));
        })
    };
    let mut last = 0;
    let mut asked = 0;
    while !sealing.is_finished() {
        let (all, different) = engine.spans();
        assert_eq!(all, different, "a row is seen twice");
        assert!(all >= last && all % 200 == 0, "rows went away, or half a record is visible: {last} {all}");
        (last, asked) = (all, asked + 1);
    }
    sealing.join().unwrap();
    assert!(asked > 3);
    assert_eq!(engine.spans(), (400_000, 400_000));
    let stats = engine.stats();
    assert!(stats.seals.count >= 2, "{stats:?}");
}

#[test]
fn a_count_never_changes_while_the_same_rows_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(500);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    for round in 1..=3 {
        assert!(feed(&engine, &source, round * 100));
        let before = engine.stats().seals.count;
        assert_eq!(engine.ask(".start_flush"), "asked");
        let mut counted = 0;
        loop {
            assert_eq!(engine.spans(), (round * 50_000, round * 50_000));
            counted += 1;
            if engine.stats().seals.count > before {
                break;
            }
        }
        assert!(counted > 0);
        assert_eq!(engine.spans(), (round * 50_000, round * 50_000));
    }
}

#[test]
fn queries_do_not_hold_back_rows() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(200);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert!(feed(&engine, &source, 1000));
    let mut sender = Sender::connect(&engine, LOG, 2000);
    let sending = std::thread::spawn(move || {
        let mut longest = Duration::ZERO;
        for position in 1000..1020 {
            let sent = Instant::now();
            assert!(sender.send(source.record(position)));
            assert!(sender.wait(|h| h.visible > position));
            longest = longest.max(sent.elapsed());
        }
        longest
    });
    let heavy = "SELECT count(*) FROM spans a JOIN spans b USING (span_id, name) WHERE a.duration_ns < 50";
    let mut asked = 0;
    while !sending.is_finished() {
        engine.ask(heavy);
        asked += 1;
    }
    let longest = sending.join().unwrap();
    println!("{asked} heavy queries, longest wait {longest:?}, longest insert {}", engine.stats().inserts.longest);
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[test]
fn a_store_that_may_not_be_used_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let first = EngineProcess::start(dir.path(), &[]);
    let refused = EngineProcess::try_start(dir.path(), &[]).err().unwrap();
    assert!(refused.contains("in use by another vispyr"), "{refused}");
    first.stop();
    std::fs::write(dir.path().join("store/VERSION"), "9\n").unwrap();
    let refused = EngineProcess::try_start(dir.path(), &[]).err().unwrap();
    assert!(refused.contains("version 9") && refused.contains("use the newer vispyr"), "{refused}");
}

#[test]
fn a_lost_sealed_file_costs_its_rows_alone() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    for next in [5, 10] {
        assert!(feed(&engine, &source, next));
        engine.ask(".flush");
    }
    let lost = engine.files().into_iter().find(|f| f.starts_with("spans/")).unwrap();
    engine.stop();
    std::fs::remove_file(dir.path().join("store/sealed").join(lost)).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (50, 50));
    assert_eq!(engine.stats().missing_files, 1);
}

/// A small file system of its own, if the machine allows one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: &Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir).output().ok()?;
        if !mounted.status.success() {
            eprintln!("SKIPPED, no tmpfs can be mounted: {}", String::from_utf8_lossy(&mounted.stderr));
            return None;
        }
        Some(SmallDisk(dir.to_owned()))
    }

    fn remount(&self, options: &str) {
        let mut command = Command::new("mount");
        assert!(command.args(["-o", &format!("remount,{options}")]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Leaves no space in a folder; the file that takes it.
fn fill(dir: &Path) -> PathBuf {
    let ballast = dir.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    let full = loop {
        if let Err(error) = file.write_all(&[b'x'; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    ballast
}

#[test]
fn what_is_kept_back_lets_a_full_disk_store_seal_and_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let Some(_disk) = SmallDisk::mount(&store, "size=200m") else { return };
    let source = Source::new(200);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(std::fs::metadata(store.join("reserve")).unwrap().len(), 16 << 20);
    let ballast = fill(&store);
    assert!(feed(&engine, &source, 50));
    assert_eq!(engine.ask(".flush"), "flushed");
    assert!(!store.join("reserve").exists());
    assert_eq!((engine.spans(), engine.stats().seal_error), ((10_000, 10_000), None));
    engine.stop();

    // Not a byte left: it starts all the same, and answers.
    fill(&store);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (10_000, 10_000));
    engine.stop();
    std::fs::remove_file(ballast).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert!(store.join("reserve").exists(), "it is kept back again");
    assert!(feed(&engine, &source, 60));
    assert_eq!(engine.ask(".flush"), "flushed");
    assert_eq!(engine.spans(), (12_000, 12_000));
}

#[test]
fn a_full_disk_keeps_the_rows_and_is_got_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    // Too small for anything to be kept back.
    let Some(disk) = SmallDisk::mount(&store, "size=8m") else { return };
    let source = Source::new(200);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert!(feed(&engine, &source, 50));
    // What is in the way, until it is removed.
    let ballast = fill(&store);
    let refused = engine.try_ask(".flush").unwrap();
    assert!(refused.starts_with("error"), "{refused}");
    assert_eq!(engine.spans(), (10_000, 10_000), "rows stay");
    assert_eq!(engine.files(), [""; 0], "nothing half written stays");
    assert!(engine.stats().seal_error.is_some());

    // The rest waits in the log.
    let mut sender = Sender::connect(&engine, LOG, 2000);
    let sending = std::thread::spawn(move || {
        for position in 50..2000 {
            assert!(position % 64 != 0 || sender.wait(|h| h.visible + 256 >= position));
            assert!(sender.send(source.record(position)));
        }
        assert!(sender.wait(|h| h.visible == 2000));
    });
    let deadline = Instant::now() + DEADLINE;
    while engine.stats().insert_retries < 2 {
        assert!(Instant::now() < deadline, "{:?}", engine.stats());
    }
    let (all, different) = engine.spans();
    assert!(all == different && all < 400_000, "{all} {different}");
    assert_eq!(engine.ask(".health"), "well");

    std::fs::remove_file(&ballast).unwrap();
    disk.remount("size=256m");
    sending.join().unwrap();
    assert_eq!(engine.spans(), (400_000, 400_000));
    engine.ask(".flush");
    assert_eq!(engine.stats().seal_error, None);
    assert_eq!(engine.spans(), (400_000, 400_000));
}

#[test]
fn a_read_only_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let Some(_disk) = SmallDisk::mount(&store, "size=1m,ro") else { return };
    let refused = EngineProcess::try_start(dir.path(), &[]).err().unwrap();
    assert!(refused.contains("cannot lock") && refused.contains("Read-only file system"), "{refused}");
}

#[test]
fn every_step_has_a_name_once() {
    let mut steps = failpoint::STEPS.to_vec();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), failpoint::STEPS.len());
}

/// The exporter over real logs, an engine that is killed in between, and the ledger.
#[test]
fn the_exporter_outlives_the_engine_and_its_ledger_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let destinations = [Destination::new(exporters::store::DESTINATION, Start::Oldest).lossless()];
    let open = |signal: Signal| {
        let folder = dir.path().join("wal").join(signal.name());
        Log::open(folder, signal, &wal::Config::default(), &destinations).unwrap()
    };
    let logs = Logs::new(Signal::ALL.map(open));
    let telemetry = Telemetry::new();
    let shutdown = CancellationToken::new();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let socket = engine.socket();
    let name = exporters::store::DESTINATION.to_owned();
    let connected = exporters::store::connected(&telemetry);
    let letters = DeadLetters::open(dir.path().join("dead-letters"), bytesize::ByteSize::mib(1), &telemetry).unwrap();
    let exporter = {
        let (logs, telemetry, letters, stop) = (logs.clone(), telemetry.clone(), letters.clone(), shutdown.clone());
        runtime.spawn(async move {
            let (_resender, requests) = Resender::new();
            let dead_letters = letters;
            let delivery = StoreDelivery { name, logs, socket, connected, telemetry, dead_letters, requests };
            delivery.run(stop).await;
        })
    };
    let append = |from: u64, to: u64| {
        for position in from..to {
            let mut record = source.record(position);
            if position == 7 {
                record.batch.payload = Bytes::from_static(b"\x0a\xff");
            }
            runtime.block_on(logs.of(Signal::Traces).append(record.batch)).unwrap();
        }
    };
    let wait = |what: &str, condition: &mut dyn FnMut() -> bool| {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    };
    append(0, 50);
    wait("visible", &mut || engine.spans() == (490, 490));
    engine.ask(".flush");
    append(50, 80);
    wait("more visible", &mut || engine.spans() == (790, 790));
    engine.kill();
    append(80, 100);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    wait("all visible", &mut || engine.spans() == (990, 990));
    engine.ask(".flush");

    let log = logs.of(Signal::Traces);
    wait("all sealed", &mut || log.stats().cursors[0].position == Position(100));
    let text = telemetry.encode();
    let metric = |name: &str| {
        let line = format!("vispyr_{name}_total{{destination=\"store\",signal=\"traces\"}} ");
        text.lines().find_map(|l| l.strip_prefix(line.as_str())?.parse::<u64>().ok()).unwrap_or(0)
    };
    assert_eq!((metric("forwarded_items"), metric("set_aside_items")), (990, 10), "{text}");
    assert_eq!((metric("forwarded_requests"), metric("set_aside_requests")), (99, 1));
    let kept = letters.list();
    assert_eq!(kept.len(), 1, "a dead letter like that of any destination, once: {kept:?}");
    let (head, batch) = letters.read(&kept[0].id).unwrap();
    assert_eq!((head.destination.as_str(), head.items, &batch.payload[..]), ("store", 10, &b"\x0a\xff"[..]));
    assert!(metric("retried_requests") <= 20, "what is in files is not sent again: {text}");
    assert_eq!(log.stats().cursors[0].lag_items, 0);
    assert_eq!(engine.spans(), (990, 990));
    shutdown.cancel();
    runtime.block_on(exporter).unwrap();
    for signal in Signal::ALL {
        logs.of(signal).close();
    }
}
