//! The queue before the writer. It takes rows from the decoding threads, which wait while the
//! writer is busy, and commands, which never wait.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::crash_records::Range;
use crate::signal::Signal;
use crate::store::catalog::Positions;
use crate::store::ingest::{Chunk, Rejected};
use crate::wal::{Position, Record};

/// Batches of decoded rows that may wait for the writer: one, since the decoders hold another each,
/// and every one takes some 10 MiB.
const MAX_WAITING: usize = 1;

/// Decoded records of one log.
#[derive(Debug)]
pub struct Rows {
    /// Generation whose dictionaries they lean on.
    pub generation: u64,
    /// Their log.
    pub log: Uuid,
    /// The log's signal.
    pub signal: Signal,
    /// Cursor after the last of them.
    pub upto: Position,
    /// The records themselves, in case a chunk is refused.
    pub records: Vec<Record>,
    /// Their rows.
    pub chunks: Vec<Chunk>,
    /// Those among them that cannot be decoded, and why.
    pub undecodable: Vec<(Position, String)>,
    /// Items of others among them that cannot be stored.
    pub rejected: Vec<(Position, Rejected)>,
}

impl Rows {
    /// Records of which every item was rejected.
    pub fn rejected_whole(&self) -> impl Iterator<Item = (Position, String)> {
        let is_whole = |(position, rejected): &&(Position, Rejected)| {
            let record = self.records.iter().find(|record| record.position == *position);
            record.is_some_and(|record| rejected.items.len() as u64 >= u64::from(record.batch.items))
        };
        self.rejected.iter().filter(is_whole).map(|(position, rejected)| (*position, rejected.reason.clone()))
    }

    /// Which records they are of.
    pub fn range(&self) -> Range {
        let from = self.records.first().map_or(self.upto, |r| r.position);
        Range { log: self.log, signal: self.signal, from, upto: self.upto }
    }
}

/// What a decoding thread says.
#[derive(Debug)]
pub enum DecoderOutput {
    /// These are to be inserted.
    Rows(Box<Rows>),
    /// All that comes from this signal from now on belongs to the generation.
    Switched(Signal, u64),
}

/// Answers a request to flush, with the reason if it failed.
pub type FlushReply = std::sync::mpsc::Sender<Result<(), String>>;

/// What else the writer hears.
#[derive(Debug)]
pub enum Command {
    /// Seal what is there now.
    Flush(FlushReply),
    /// The sealing of a generation is done.
    Sealed(Positions),
    /// It failed and will be tried again.
    SealFailed(String),
    /// End.
    Stop,
}

/// One thing for the writer to do.
#[derive(Debug)]
pub enum Event {
    /// From a decoding thread.
    Decoded(DecoderOutput),
    /// From elsewhere.
    Command(Command),
    /// Nothing came for as long as it was willing to wait.
    Nothing,
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub struct WriterQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    outputs: VecDeque<DecoderOutput>,
    commands: VecDeque<Command>,
    closed: bool,
}

impl WriterQueue {
    /// Hands over what a decoding thread has; waits while there is enough. Answers whether it was taken.
    pub fn push(&self, output: DecoderOutput) -> bool {
        let mut state = self.state.lock();
        while state.outputs.len() >= MAX_WAITING && !state.closed {
            self.changed.wait(&mut state);
        }
        if state.closed {
            return false;
        }
        state.outputs.push_back(output);
        self.changed.notify_all();
        true
    }

    /// Hands over a command. Answers whether there is still a writer.
    pub fn command(&self, command: Command) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.commands.push_back(command);
        self.changed.notify_all();
        true
    }

    /// The writer ends: nobody waits for it any more.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.commands.clear();
        state.outputs.clear();
        self.changed.notify_all();
    }

    /// The next event, commands first; decoded rows only if they are `welcome`.
    pub fn next(&self, welcome: bool, patience: Duration) -> Event {
        let mut state = self.state.lock();
        for waited in [false, true] {
            if let Some(command) = state.commands.pop_front() {
                return Event::Command(command);
            }
            if welcome && let Some(output) = state.outputs.pop_front() {
                self.changed.notify_all();
                return Event::Decoded(output);
            }
            if !waited {
                self.changed.wait_for(&mut state, patience);
            }
        }
        Event::Nothing
    }
}
