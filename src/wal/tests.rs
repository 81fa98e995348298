//! The log as a whole: what goes in comes out, whatever happens in between.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::signal::{Compression, Format, Meta};

mod appending;
mod damage;
mod destinations;
mod first_start;
mod folder;
mod identity;
mod ledger;
mod missing;
mod quota;
mod sectors;

fn batch(size: usize, seed: u64) -> Batch {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let payload: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(size)
    .collect();
    Batch {
        signal: Signal::Logs,
        format: Format::Otlp,
        compression: Compression::Identity,
        items: seed as u32 % 100 + 1,
        decoded_size: size as u64,
        received: 1_700_000_000_000_000_000 + seed,
        meta: Meta::default(),
        payload: payload.into(),
    }
}

fn config(segment: u64, max: u64, when_full: WhenFull) -> Config {
    Config { segment_size: bytesize::ByteSize(segment), max_size: bytesize::ByteSize(max), when_full }
}

fn small() -> Config {
    config(64 << 10, 64 << 20, WhenFull::DropOldest)
}

fn open(dir: &Path, config: &Config, destinations: &[&str]) -> Log {
    let destinations: Vec<_> = destinations.iter().map(|name| Destination::new(*name, Start::Oldest)).collect();
    open_for(dir, config, &destinations)
}

fn open_for(dir: &Path, config: &Config, destinations: &[Destination]) -> Log {
    Log::open(dir.join("log"), Signal::Logs, config, destinations).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn append(log: &Log, batches: impl IntoIterator<Item = Batch>) -> Vec<Position> {
    let mut positions = Vec::new();
    for batch in batches {
        positions.push(log.append(batch).await.unwrap());
    }
    positions
}

/// Everything from the reader's place to the end of the log.
async fn drain(log: &Log, reader: &mut Reader, max_bytes: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let next = log.stats().next;
    while reader.position() < next {
        // The wait ends only where the last records are missing: then the reader waits for more.
        if let Ok(more) = tokio::time::timeout(Duration::from_millis(50), reader.next(max_bytes)).await {
            records.extend(more.unwrap());
        }
    }
    records
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

fn segments(dir: &Path) -> Vec<u64> {
    segment::list(&dir.join("log")).unwrap()
}
