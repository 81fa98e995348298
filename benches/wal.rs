//! What the log costs: 8 senders append batches of 143 KB (512 spans, uncompressed), each waiting
//! for its acknowledgement, as the receivers do. Beside it, in the same run and for the same
//! bytes: a bare loop that writes and syncs (the disk's limit), once with and once without
//! preallocated files; and reading back against reading the bare files and checking their CRC.
//!
//! On a shared machine only the ratios mean something, and the CPU time.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its purpose")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::FallocateFlags;
use rustix::time::{ClockId, clock_gettime};
use vispyr::signal::{Batch, Compression, Format, Meta, Signal, now_nanos};
use vispyr::wal::{Config, Destination, Log, Position, Start, WhenFull};

const PAYLOAD: usize = 143_000;
const SENDERS: usize = 8;
const RECORDS: usize = 2000;
const ROUNDS: usize = 3;
const SEGMENT: u64 = 64 << 20;

/// What a stretch of work took.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    cpu: Duration,
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn measure(work: impl FnOnce()) -> Took {
    let (wall, before) = (Instant::now(), cpu());
    work();
    Took { wall: wall.elapsed(), cpu: cpu() - before }
}

fn report(name: &str, bytes: usize, took: Took) {
    let mb = bytes as f64 / 1e6;
    let (wall, cpu) = (took.wall.as_secs_f64(), took.cpu.as_secs_f64());
    let records = bytes as f64 / PAYLOAD as f64;
    println!("{name:<44} {:7.0} MB/s {:9.0} records/CPU-s  CPU {:4.0} %", mb / wall, records / cpu, 100.0 * cpu / wall);
}

fn ratio(name: &str, ours: Took, raw: Took) {
    println!(
        "{name:<44} {:6.2} x wall, {:5.2} x CPU",
        ours.wall.as_secs_f64() / raw.wall.as_secs_f64(),
        ours.cpu.as_secs_f64() / raw.cpu.as_secs_f64()
    );
}

fn payload() -> Bytes {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(PAYLOAD).collect()
}

fn open(dir: &Path, when_full: WhenFull) -> Log {
    let config = Config { segment_size: bytesize::ByteSize(SEGMENT), when_full, ..Config::default() };
    Log::open(dir.to_owned(), Signal::Traces, &config, &[Destination::new("a", Start::Oldest)]).unwrap()
}

/// The log: (time, syncs).
fn append(runtime: &tokio::runtime::Runtime, log: &Log, payload: &Bytes, reading: bool) -> (Took, u64) {
    let syncs = log.stats().syncs;
    let took = measure(|| {
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for _ in 0..SENDERS {
                let (log, payload) = (log.clone(), payload.clone());
                tasks.push(tokio::spawn(async move {
                    for _ in 0..RECORDS / SENDERS {
                        let batch = Batch {
                            signal: Signal::Traces,
                            format: Format::Otlp,
                            compression: Compression::Identity,
                            items: 512,
                            decoded_size: PAYLOAD as u64,
                            received: now_nanos(),
                            meta: Meta::default(),
                            payload: payload.clone(),
                        };
                        log.append(batch).await.unwrap();
                    }
                }));
            }
            if reading {
                let mut reader = log.reader("a").unwrap();
                let end = log.stats().next.0 + RECORDS as u64;
                reader.seek(log.stats().next);
                while reader.position() < Position(end) {
                    reader.next(1 << 20).await.unwrap();
                    reader.commit(reader.position());
                }
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    (took, log.stats().syncs - syncs)
}

/// The limit: the same bytes, with one write and one sync for as many records as the log had.
fn raw(dir: &Path, payload: &Bytes, group: usize, preallocate: bool) -> Took {
    std::fs::create_dir_all(dir).unwrap();
    let buffer = payload.repeat(group);
    measure(|| {
        let (mut left, mut number) = (RECORDS, 0);
        while left > 0 {
            let file =
                OpenOptions::new().create(true).truncate(true).write(true).open(dir.join(number.to_string())).unwrap();
            if preallocate {
                rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, SEGMENT).unwrap();
            }
            let mut offset = 0;
            while left > 0 && offset < SEGMENT {
                let take = group.min(left);
                file.write_all_at(&buffer[..take * PAYLOAD], offset).unwrap();
                file.sync_data().unwrap();
                offset += (take * PAYLOAD) as u64;
                left -= take;
            }
            number += 1;
        }
    })
}

fn read_raw(dir: &Path) -> Took {
    measure(|| {
        let mut buffer = vec![0; 1 << 20];
        for number in 0.. {
            let Ok(file) = File::open(dir.join(number.to_string())) else { break };
            let mut offset = 0;
            loop {
                let read = file.read_at(&mut buffer, offset).unwrap();
                if read == 0 {
                    break;
                }
                std::hint::black_box(crc32c::crc32c(&buffer[..read]));
                offset += read as u64;
            }
        }
    })
}

fn read_log(runtime: &tokio::runtime::Runtime, log: &Log) -> Took {
    measure(|| {
        runtime.block_on(async {
            let mut reader = log.reader("a").unwrap();
            reader.seek(Position(0));
            let (mut read, end) = (0, log.stats().next.0);
            while read < end {
                read += std::hint::black_box(reader.next(1 << 20).await.unwrap()).len() as u64;
            }
        });
    })
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim().to_owned()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let payload = payload();
    let bytes = RECORDS / SENDERS * SENDERS * PAYLOAD;
    for round in 1..=ROUNDS {
        // On the disk of the target folder: /tmp may be in memory.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        println!("-- round {round} of {ROUNDS}: {RECORDS} records of {PAYLOAD} bytes, {SENDERS} senders");
        let log = open(&dir.path().join("log"), WhenFull::DropOldest);
        let (ours, syncs) = append(&runtime, &log, &payload, false);
        let group = (RECORDS as u64).div_ceil(syncs) as usize;
        let plain = raw(&dir.path().join("raw"), &payload, group, false);
        let preallocated = raw(&dir.path().join("allocated"), &payload, group, true);
        report("append and sync", bytes, ours);
        report("bare write and sync", bytes, plain);
        report("bare write and sync, preallocated", bytes, preallocated);
        println!("{:<44} {:6.2}", "records a sync", RECORDS as f64 / syncs as f64);
        ratio("append / bare", ours, plain);
        ratio("bare, preallocated / bare", preallocated, plain);
        let read = read_log(&runtime, &log);
        let read_bare = read_raw(&dir.path().join("raw"));
        report("read back, checked", bytes, read);
        report("bare read and CRC", bytes, read_bare);
        ratio("read back / bare", read, read_bare);
        let (followed, _) = append(&runtime, &log, &payload, true);
        report("append while a destination follows", bytes, followed);
        ratio("append while followed / append", followed, ours);
        let opened = Instant::now();
        drop(log);
        let log = open(&dir.path().join("log"), WhenFull::DropOldest);
        println!("{:<44} {:?} for {} MB", "close and open", opened.elapsed(), log.stats().size / 1_000_000);
    }
    println!("{:<44} {}", "peak memory", peak_memory());
}
