//! Java Flight Recorder: the samples of a recording, read within bounds.
//!
//! A recording is a row of chunks. Each holds a header, events, a description of all types
//! ([`metadata`]) and pools of constants that events refer to ([`constants`]). Types are described
//! by the recording itself, so events are read by that description, whoever wrote them: the JDK,
//! async-profiler or Pyroscope's agent.
//!
//! The format has no public specification. The rules here are those of the JDK's own parser
//! (`jdk.jfr.internal.consumer`) and of grafana/jfr-parser, which Pyroscope uses. A recording is
//! input like any other: work and memory are bounded by its size, whatever its types and counts
//! say.

mod constants;
mod cursor;
mod event;
pub mod labels;
mod metadata;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use constants::{Constants, StackFrame};
pub use event::{Event, Kind, Sample};

use cursor::Cursor;
use event::Events;
use metadata::Types;

/// Bytes of a chunk's header.
const HEADER: usize = 68;

/// Why a recording cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct JfrError {
    /// What is wrong.
    pub problem: &'static str,
    /// Where, in bytes from the start of the recording.
    pub offset: usize,
}

/// One chunk of a recording, with what its events refer to.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// Number of the chunk, from 0.
    pub number: usize,
    /// Ticks of its clock in a second.
    ticks_per_second: u64,
    /// What its events refer to.
    pub constants: Constants<'a>,
}

impl Chunk<'_> {
    /// Nanoseconds that a number of ticks lasts.
    pub fn nanoseconds(&self, ticks: u64) -> i64 {
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(self.ticks_per_second);
        i64::try_from(nanoseconds).unwrap_or(i64::MAX)
    }
}

/// Whether every chunk and every event of interest can be read.
///
/// # Errors
/// What is wrong and where.
pub fn check(recording: &[u8]) -> Result<(), JfrError> {
    read(recording, |_, _| Ok(()))
}

/// Reads a recording, which is not compressed, and hands over its events of interest in order.
///
/// # Errors
/// What is wrong and where; or what `each` has answered.
pub fn read<E: From<JfrError>>(
    recording: &[u8],
    mut each: impl FnMut(&Chunk<'_>, &Event<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if recording.is_empty() {
        return Err(JfrError { problem: "there is no chunk", offset: 0 }.into());
    }
    let (mut at, mut number) = (0, 0);
    while at < recording.len() {
        at += chunk(recording, at, number, &mut each)?;
        number += 1;
    }
    Ok(())
}

/// Reads the chunk that begins at `at`. Returns its size in bytes.
fn chunk<E: From<JfrError>>(
    recording: &[u8],
    at: usize,
    number: usize,
    each: &mut impl FnMut(&Chunk<'_>, &Event<'_>) -> Result<(), E>,
) -> Result<usize, E> {
    let fail = |problem, offset| JfrError { problem, offset };
    if !recording[at..].starts_with(b"FLR\0") {
        return Err(fail("no chunk begins", at).into());
    }
    let word = |offset: usize| {
        let bytes = recording.get(at + offset..at + offset + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_be_bytes).ok_or_else(|| fail("the header of the chunk is cut off", at))
    };
    let size = usize::try_from(word(8)?).ok().filter(|size| (HEADER..=recording.len() - at).contains(size));
    let size = size.ok_or_else(|| fail("the chunk is cut off", at))?;
    let major = u16::from_be_bytes([recording[at + 4], recording[at + 5]]);
    if !matches!(major, 1 | 2) {
        return Err(fail("the chunk is of an unknown version", at + 4).into());
    }
    let bytes = &recording[at..at + size];
    let inside = |offset: u64| usize::try_from(offset).ok().filter(|offset| (HEADER..size).contains(offset));
    let constants_at = inside(word(16)?).ok_or_else(|| fail("the constants are outside of the chunk", at + 16))?;
    let metadata_at = inside(word(24)?).ok_or_else(|| fail("the metadata is outside of the chunk", at + 24))?;
    let ticks_per_second = word(56)?.max(1);

    let mut cursor = Cursor::new(bytes, at);
    cursor.seek(metadata_at)?;
    let types = Types::read(&mut cursor)?;
    let constants = Constants::read(&mut cursor, constants_at, &types)?;
    let chunk = Chunk { number, ticks_per_second, constants };
    cursor.seek(HEADER)?;
    let events = Events::new(&types);
    while !cursor.is_at_end() {
        if let Some(event) = events.next(&mut cursor, &types, &chunk.constants)? {
            each(&chunk, &event)?;
        }
    }
    Ok(size)
}
