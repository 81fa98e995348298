//! A dead letter and its file.
//!
//! | part of the file | what |
//! |---|---|
//! | first line | `vispyr dead letter 1` |
//! | second line | the [`Head`] as JSON |
//! | third line | `crc32c ` and the checksum of the second line |
//! | the rest | the payload, whose length and checksum are in the head |

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::signal::{Batch, Compression, Format, Meta, Signal};

const MAGIC: &str = "vispyr dead letter 1";

/// The longest head that is read: reasons are cut long before.
const MAX_HEAD: u64 = 1 << 20;

/// Characters kept of what a destination said.
const MAX_REASON: usize = 2000;

/// The name of a dead letter: its destination, and a number that rises with time, in base 36.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    destination: String,
    number: u64,
}

impl DeadLetterId {
    /// The dead letter `number` of a destination.
    pub(super) fn new(destination: &str, number: u64) -> Self {
        DeadLetterId { destination: destination.to_owned(), number }
    }

    /// Whose dead letter it is.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Its number among those of its destination.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        format!("{}.letter", base36(self.number))
    }

    /// The dead letter that a file of a destination's folder is, if it is one.
    pub(super) fn of_file(destination: &str, name: &str) -> Option<Self> {
        let number = from_base36(name.strip_suffix(".letter")?)?;
        Some(DeadLetterId::new(destination, number))
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.destination, base36(self.number))
    }
}

/// The text is no dead letter's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a dead letter, which looks like tempo-mgz81k2q")]
pub struct NotADeadLetterId(String);

impl FromStr for DeadLetterId {
    type Err = NotADeadLetterId;

    fn from_str(text: &str) -> Result<Self, NotADeadLetterId> {
        let parsed = text.rsplit_once('-').and_then(|(destination, number)| {
            let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
            let good = !destination.is_empty() && destination.len() <= 64 && destination.chars().all(named);
            Some(DeadLetterId::new(good.then_some(destination)?, from_base36(number)?))
        });
        parsed.ok_or_else(|| NotADeadLetterId(text.chars().take(100).collect()))
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

fn from_base36(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let number = u64::from_str_radix(text, 36).ok().filter(|_| plain)?;
    // One name a number: no leading zeros.
    (base36(number) == text).then_some(number)
}

/// What is known about a dead letter without looking into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Who refused it.
    pub destination: String,
    /// Of which signal it is.
    pub signal: Signal,
    /// What the payload is once decompressed; see [`Format::name`].
    pub format: String,
    /// How it is compressed; see [`Compression::name`].
    pub compression: String,
    /// Spans, data points, log records or profiles.
    pub items: u32,
    /// Bytes of the payload once decompressed.
    pub decoded_bytes: u64,
    /// When it was received, nanoseconds since the Unix epoch.
    pub received: u64,
    /// When it was set aside, nanoseconds since the Unix epoch.
    pub set_aside: u64,
    /// What the destination said, the last time it was asked.
    pub reason: String,
    /// How often it was sent again by hand, and refused.
    pub retries: u32,
    /// When that was the last time, nanoseconds since the Unix epoch.
    pub last_retry: Option<u64>,
    /// The query with which it came, for Pyroscope.
    pub query: String,
    /// The content type with which it came, for Pyroscope.
    pub content_type: String,
    /// Bytes of the payload.
    pub payload_bytes: u64,
    /// Its CRC32C.
    pub payload_crc32c: u32,
    /// What it was made of, where the same may be refused again: there is one dead letter of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Uuid>,
}

impl Head {
    /// The head of a batch that is set aside now.
    pub(super) fn new(destination: &str, batch: &Batch, reason: &str, origin: Option<Uuid>, now: u64) -> Self {
        Head {
            destination: destination.to_owned(),
            signal: batch.signal,
            format: batch.format.name().to_owned(),
            compression: batch.compression.name().to_owned(),
            items: batch.items,
            decoded_bytes: batch.decoded_size,
            received: batch.received,
            set_aside: now,
            reason: cut(reason),
            retries: 0,
            last_retry: None,
            query: batch.meta.query.clone(),
            content_type: batch.meta.content_type.clone(),
            payload_bytes: batch.payload.len() as u64,
            payload_crc32c: crc32c::crc32c(&batch.payload),
            origin,
        }
    }

    /// What a destination may know it by that must not take it twice.
    pub fn identity(&self, id: &DeadLetterId) -> Uuid {
        self.origin.unwrap_or_else(|| {
            let text = format!("{id} {} {:08x}", self.received, self.payload_crc32c);
            let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
            uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
        })
    }

    /// It was sent again, and this is why it stays.
    pub(super) fn note_retry(&mut self, reason: &str, now: u64) {
        self.reason = cut(reason);
        self.retries += 1;
        self.last_retry = Some(now);
    }

    fn batch(&self, payload: Vec<u8>) -> Option<Batch> {
        let format = (0..=u8::MAX).filter_map(Format::from_u8).find(|format| format.name() == self.format)?;
        let compressions = (0..=u8::MAX).filter_map(Compression::from_u8);
        let compression = compressions.into_iter().find(|one| one.name() == self.compression)?;
        Some(Batch {
            signal: self.signal,
            format,
            compression,
            items: self.items,
            decoded_size: self.decoded_bytes,
            received: self.received,
            meta: Meta { query: self.query.clone(), content_type: self.content_type.clone() },
            payload: payload.into(),
        })
    }
}

fn cut(reason: &str) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// A dead letter in the list.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its name.
    pub id: DeadLetterId,
    /// Bytes of its file.
    pub size: u64,
    /// Its head, or why that cannot be read.
    pub head: Result<Head, String>,
    /// It was sent again and taken, and goes once that is for good.
    pub taken: bool,
}

impl DeadLetter {
    /// Items in it; 0 if its head is damaged.
    pub fn items(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| u64::from(head.items))
    }
}

/// Writes what is in a dead letter's file; its length.
pub(super) fn write(file: &mut File, head: &Head, payload: &[u8]) -> io::Result<u64> {
    let json = serde_json::to_string(head)?;
    let text = format!("{MAGIC}\n{json}\ncrc32c {:08x}\n", crc32c::crc32c(json.as_bytes()));
    file.write_all(text.as_bytes())?;
    file.write_all(payload)?;
    Ok((text.len() + payload.len()) as u64)
}

/// Reads the head of a file; the inner error is what is wrong with its content.
pub(super) fn read_head(path: &Path) -> io::Result<Result<Head, String>> {
    head_of(&mut BufReader::new(File::open(path)?))
}

/// Reads a dead letter whole; the inner error is what is wrong with its content.
pub(super) fn read(path: &Path) -> io::Result<Result<(Head, Batch), String>> {
    let mut reader = BufReader::new(File::open(path)?);
    let head = match head_of(&mut reader)? {
        Ok(head) => head,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut payload = Vec::new();
    reader.take(head.payload_bytes.saturating_add(1)).read_to_end(&mut payload)?;
    if payload.len() as u64 != head.payload_bytes || crc32c::crc32c(&payload) != head.payload_crc32c {
        return Ok(Err("its payload is not what was written".to_owned()));
    }
    Ok(match head.batch(payload) {
        Some(batch) => Ok((head, batch)),
        None => Err(format!("its format {:?} or compression {:?} is not known", head.format, head.compression)),
    })
}

fn head_of(reader: &mut impl BufRead) -> io::Result<Result<Head, String>> {
    let mut text = Vec::new();
    let mut head = reader.take(MAX_HEAD);
    for _ in 0..3 {
        head.read_until(b'\n', &mut text)?;
    }
    let parsed = std::str::from_utf8(&text).ok().and_then(|text| {
        let mut lines = text.split('\n');
        let (magic, json, crc) = (lines.next()?, lines.next()?, lines.next()?);
        let crc = u32::from_str_radix(crc.strip_prefix("crc32c ")?, 16).ok()?;
        (magic == MAGIC && crc == crc32c::crc32c(json.as_bytes())).then(|| serde_json::from_str(json).ok())?
    });
    Ok(parsed.ok_or_else(|| "its head is not what was written".to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_come_back(destination in "[a-z0-9_-]{1,40}", number in any::<u64>()) {
            let id = DeadLetterId::new(&destination, number);
            prop_assert_eq!(id.to_string().parse::<DeadLetterId>().unwrap(), id.clone());
            prop_assert_eq!(DeadLetterId::of_file(&destination, &id.file_name()).unwrap(), id);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "-", "a-", "-1", "tempo", "../../etc/passwd-1", "a/b-1", "a-01", "a-+1", "A-1", "a-1.letter"] {
            assert!(text.parse::<DeadLetterId>().is_err(), "{text:?}");
        }
    }
}
