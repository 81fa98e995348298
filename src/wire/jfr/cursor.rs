//! A place in a chunk, and the encodings of single values.

use std::borrow::Cow;

use super::JfrError;

/// Steps that reading may take for each byte of a chunk: one to read the byte, some for the values
/// that it is of. Values of types without fields take no bytes, and pieces of the pools may name
/// places within each other, so that a recording could else ask for any amount of work.
const STEPS_PER_BYTE: usize = 5;

/// Steps on top of that.
const FREE_STEPS: usize = 1 << 16;

/// A text as it stands in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text<'a> {
    /// In place; null is the empty text.
    Here(Cow<'a, str>),
    /// A constant of the pool of `java.lang.String`.
    Constant(u64),
}

/// Reads a chunk.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where nothing more is read: the end of an event, or of the chunk.
    end: usize,
    /// Where the chunk begins in the recording.
    base: usize,
    steps: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of a chunk that begins at byte `base` of the recording.
    pub(super) fn new(chunk: &'a [u8], base: usize) -> Self {
        let steps = chunk.len().saturating_mul(STEPS_PER_BYTE) + FREE_STEPS;
        Cursor { bytes: chunk, at: 0, end: chunk.len(), base, steps }
    }

    pub(super) fn fail(&self, problem: &'static str) -> JfrError {
        JfrError { problem, offset: self.base + self.at }
    }

    /// Bytes from the start of the chunk.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Goes to a place in the chunk, and lets reading go on to the chunk's end.
    pub(super) fn seek(&mut self, at: usize) -> Result<(), JfrError> {
        if at > self.bytes.len() {
            return Err(self.fail("a place outside of the chunk is named"));
        }
        self.at = at;
        self.end = self.bytes.len();
        Ok(())
    }

    /// Reads no further than `length` bytes from `start`.
    pub(super) fn limit(&mut self, start: usize, length: u64) -> Result<usize, JfrError> {
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        match end.filter(|end| (self.at..=self.bytes.len()).contains(end)) {
            Some(end) => {
                self.end = end;
                Ok(end)
            }
            None => Err(self.fail("an event has a size that cannot be")),
        }
    }

    /// One of a bounded number of steps.
    pub(super) fn step(&mut self) -> Result<(), JfrError> {
        self.steps(1)
    }

    fn steps(&mut self, steps: usize) -> Result<(), JfrError> {
        self.steps = self
            .steps
            .checked_sub(steps)
            .ok_or_else(|| self.fail("the types ask for more work than the chunk is large"))?;
        Ok(())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], JfrError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end);
        let end = end.ok_or_else(|| self.fail("a value is cut off"))?;
        self.steps(length)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, JfrError> {
        Ok(self.take(1)?[0])
    }

    /// A whole number: seven bits a byte, low ones first, at most nine bytes, the last one whole.
    pub(super) fn number(&mut self) -> Result<u64, JfrError> {
        let mut value = 0;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Ok(value | u64::from(self.byte()?) << 56)
    }

    /// A count of things that follow.
    pub(super) fn count(&mut self) -> Result<u64, JfrError> {
        self.number()
    }

    /// A text in one of the format's six encodings.
    pub(super) fn text(&mut self) -> Result<Text<'a>, JfrError> {
        let here = |text| Ok(Text::Here(text));
        match self.byte()? {
            0 | 1 => here(Cow::Borrowed("")),
            2 => Ok(Text::Constant(self.number()?)),
            3 => {
                let bytes = self.sized()?;
                here(String::from_utf8_lossy(bytes))
            }
            4 => {
                let length = self.count()?;
                let mut units = Vec::new();
                for _ in 0..length {
                    let unit = self.number()?;
                    units.push(u16::try_from(unit).map_err(|_| self.fail("a character is out of range"))?);
                }
                here(Cow::Owned(String::from_utf16_lossy(&units)))
            }
            5 => {
                let bytes = self.sized()?;
                here(Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()))
            }
            _ => Err(self.fail("a text has an unknown encoding")),
        }
    }

    fn sized(&mut self) -> Result<&'a [u8], JfrError> {
        let length = self.number()?;
        let length = usize::try_from(length).map_err(|_| self.fail("a value is cut off"))?;
        self.take(length)
    }
}
