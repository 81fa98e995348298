//! The decoding thread of one signal: records in, chunks of rows out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::ingest_queue::IngestQueue;
use super::writer_queue::{Rows, WriterQueue};
use crate::signal::Signal;
use crate::store::ingest::{Decoder, Limits};
use crate::store::process::panics;
use crate::wal::{Position, Record};

/// Dictionary rows are given out again after this time, so that what remembers them stays small.
const DICTIONARIES: Duration = Duration::from_secs(3600);

/// Works until one of the two queues is closed.
pub fn run(signal: Signal, records: &IngestQueue, writer: &Arc<WriterQueue>) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut last, mut begun) = (None, Instant::now());
    while let Some((log, records)) = records.take(last) {
        if begun.elapsed() > DICTIONARIES {
            decoder.forget_dictionaries();
            begun = Instant::now();
        }
        last = Some(Instant::now());
        if !writer.push(Box::new(decode(&mut decoder, signal, log, records))) {
            return;
        }
    }
}

fn decode(decoder: &mut Decoder, signal: Signal, log: Uuid, records: Vec<Record>) -> Rows {
    let (mut undecodable, mut rejected) = (Vec::new(), Vec::new());
    let mut panicked: Option<Position> = None;
    'again: loop {
        rejected.clear();
        let chosen = records.iter().filter(|r| !undecodable.iter().any(|(p, _)| *p == r.position));
        for record in chosen.collect::<Vec<_>>() {
            match panics::catch(|| decoder.push(record)) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(items))) => rejected.push((record.position, items)),
                Ok(Err(e)) => undecodable.push((record.position, e.to_string())),
                // No record may end the engine. What the decoder had is in doubt: begin anew
                // without this record.
                Err(_) => {
                    panicked = Some(record.position);
                    undecodable.push((record.position, "the decoder panicked".to_owned()));
                    *decoder = Decoder::new(Limits::default());
                    continue 'again;
                }
            }
        }
        break;
    }
    if let Some(position) = panicked {
        tracing::error!(%signal, position = position.0, "the decoder panicked on a record");
    }
    let upto = records.last().map_or(Position(0), |r| Position(r.position.0 + 1));
    Rows { log, signal, upto, chunks: decoder.take(), records, undecodable, rejected }
}
