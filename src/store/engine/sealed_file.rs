//! One sealed file: its name, what it says about itself, its checksum.
//!
//! A file carries `.part` behind its name until the catalog's transaction has taken it. So a file
//! without `.part` has been taken, whatever becomes of the catalog, and one with it is ours to
//! delete unless the catalog knows it. The name holds the checksum of the content, and the key-value
//! metadata of the Parquet footer tells where its rows come from: from both, a lost catalog is made
//! again.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::signal::Signal;
use crate::store::catalog::File;
use crate::store::instance::quoted;

/// Key of our entry in the key-value metadata.
const KEY: &str = "vispyr";

/// Version of that entry.
const VERSION: u32 = 1;

/// Extension of a sealed file.
pub const EXTENSION: &str = ".parquet";

/// Extension of a file of level 0, which is not synced: the logs still have its records.
pub const LEVEL0: &str = ".l0.parquet";

/// What the name of a file ends with that the catalog has not taken yet.
pub const PART: &str = ".part";

/// An identity for a file: a UUID of version 8, whose last byte is the version of the columns. So a view
/// knows from the names which files lack a column, without a look into each.
pub fn new_id() -> Uuid {
    let mut bytes = *Uuid::new_v4().as_bytes();
    bytes[15] = u8::try_from(crate::store::schema::VERSION).unwrap_or(u8::MAX);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The version of the columns of a file of this name. The first did not say it.
pub fn schema_in(name: &str) -> u32 {
    let id = name.split_at_checked(36).and_then(|(id, _)| Uuid::parse_str(id).ok());
    id.filter(|id| id.get_version_num() == 8).map_or(1, |id| u32::from(id.as_bytes()[15]))
}

/// The identity in a name, or in the last part of a path.
pub fn id_in(path: &str) -> Option<Uuid> {
    let name = path.rsplit('/').next()?;
    Uuid::parse_str(name.split_at_checked(36)?.0).ok()
}

/// Name of a file while its content is being written.
pub fn new_name(id: Uuid) -> String {
    format!("{id}{EXTENSION}{PART}")
}

/// Name of a file once its content is known, without [`PART`].
pub fn name(id: Uuid, checksum: u64) -> String {
    format!("{id}-{checksum:016x}{EXTENSION}")
}

/// The same of level 0. It has this name before the catalog knows it.
pub fn level0_name(id: Uuid, checksum: u64) -> String {
    format!("{id}-{checksum:016x}{LEVEL0}")
}

/// Whether the logs can bring the rows of a file of this name again: it is of level 0, or is being
/// written.
pub fn is_dispensable(name: &str) -> bool {
    let level0 = name.strip_suffix(LEVEL0).map(|stem| format!("{stem}{EXTENSION}"));
    level0.is_some_and(|name| checksum_in(&name).is_some()) || is_part(name)
}

/// The checksum that a name holds; older versions wrote names without.
pub fn checksum_in(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(PART).unwrap_or(name).strip_suffix(EXTENSION)?;
    let (id, checksum) = stem.split_at_checked(36)?;
    let digits = checksum.strip_prefix('-').filter(|digits| digits.len() == 16)?;
    Uuid::parse_str(id).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// Whether a flush has written a file of this name and not finished it.
pub fn is_part(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(PART).and_then(|name| name.strip_suffix(EXTENSION)) else { return false };
    checksum_in(name).is_some() || Uuid::parse_str(stem).is_ok()
}

/// What a sealed file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of this.
    version: u32,
    /// Table whose rows it holds.
    pub table: String,
    /// [`crate::store::schema::VERSION`] of that table's columns.
    pub schema: u32,
    /// The flush that wrote it, together with others.
    pub flush: Uuid,
    /// Rows in it.
    pub rows: u64,
    /// Earliest time in it, nanoseconds since the Unix epoch.
    pub min_time: Option<i64>,
    /// Latest time in it.
    pub max_time: Option<i64>,
    /// When it was written, nanoseconds since the Unix epoch.
    pub created: u64,
    /// The records whose rows are in the files of this flush.
    pub logs: Vec<LogRange>,
    /// Whether its columns have the numbers of [`crate::store::schema::Field`]: older versions wrote none.
    #[serde(default)]
    pub field_ids: bool,
    /// See [`crate::store::catalog::File`]. What older versions wrote is as that of level 1.
    #[serde(default = "level_1")]
    pub level: u8,
    /// Identities of the files that it was merged from: the rows of those are its rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<Uuid>,
}

fn level_1() -> u8 {
    1
}

/// Records of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogRange {
    /// The log.
    pub log: Uuid,
    /// Its signal.
    pub signal: Signal,
    /// Position of the first.
    pub from: u64,
    /// Position after the last.
    pub upto: u64,
}

/// What all files of one flush have in common.
#[derive(Debug)]
pub struct Flush {
    /// Its identity.
    pub id: Uuid,
    /// See [`Metadata::created`].
    pub created: u64,
    /// See [`Metadata::logs`].
    pub logs: Vec<LogRange>,
}

impl Metadata {
    /// Of a file that a flush is about to write.
    pub fn new(flush: &Flush, table: &str, rows: u64, times: (Option<i64>, Option<i64>)) -> Self {
        Metadata {
            version: VERSION,
            table: table.to_owned(),
            schema: crate::store::schema::VERSION,
            flush: flush.id,
            rows,
            min_time: times.0,
            max_time: times.1,
            created: flush.created,
            logs: flush.logs.clone(),
            field_ids: true,
            level: level_1(),
            merged_from: Vec::new(),
        }
    }

    /// The option of `COPY` that writes it.
    pub fn option(&self) -> String {
        let (key, json) = self.key_value();
        format!("KV_METADATA {{{key}: {}}}", quoted(&json))
    }

    /// As it stands in a footer.
    pub fn key_value(&self) -> (String, String) {
        // Strings and numbers are always JSON.
        (KEY.to_owned(), serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads it from a file; `None` if the file has none that is understood.
    ///
    /// # Errors
    /// That it is no Parquet file, or cannot be read.
    pub fn read(path: &Path) -> Result<Option<Metadata>, ParquetError> {
        let footer = ParquetMetaDataReader::new().parse_and_finish(&fs::File::open(path)?)?;
        let values = footer.file_metadata().key_value_metadata().into_iter().flatten();
        let json = values.filter(|entry| entry.key == KEY).find_map(|entry| entry.value.as_deref());
        let metadata = json.and_then(|json| serde_json::from_str::<Metadata>(json).ok());
        Ok(metadata.filter(|metadata| metadata.version == VERSION))
    }
}

/// Size and XXH3 of a file. Before each piece `go_on` is asked; `None` if it says no.
///
/// # Errors
/// The system's.
pub fn checksum(path: &Path, go_on: impl Fn() -> bool) -> io::Result<Option<(u64, u64)>> {
    let mut file = fs::File::open(path)?;
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        if !go_on() {
            return Ok(None);
        }
        match file.read(&mut buffer)? {
            0 => return Ok(Some((bytes, hash.digest()))),
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// Compares a file with what it was when it was sealed.
///
/// # Errors
/// What is wrong with it, in words.
pub fn compare(path: &Path, file: &File) -> Result<(), String> {
    let summed = checksum(path, || true).map_err(|error| error.to_string())?;
    let (bytes, checksum) = summed.unwrap_or_default();
    difference(file, bytes, checksum).map_or(Ok(()), Err)
}

/// What is wrong with a file that has this size and checksum.
pub fn difference(file: &File, bytes: u64, checksum: u64) -> Option<String> {
    match (bytes == file.bytes, checksum == file.checksum) {
        (true, true) => None,
        (true, false) => Some("its checksum is wrong".to_owned()),
        (false, _) => Some(format!("it has {bytes} bytes instead of {}", file.bytes)),
    }
}

/// The hour or day whose rows a file holds, by its folders: `2026-01-31 14:00` or `2026-01-31`.
pub fn hour_in(path: &str) -> Option<String> {
    let part = |name: &str| path.split('/').find_map(|part| part.strip_prefix(name));
    let date = part("date=")?;
    Some(part("hour=").map_or_else(|| date.to_owned(), |hour| format!("{date} {hour}:00")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use duckdb::Connection;

    use super::*;
    use crate::store::instance::quoted_path;

    #[test]
    fn names_tell_the_version_of_the_columns() {
        assert_eq!(schema_in(&name(new_id(), 1)), crate::store::schema::VERSION);
        assert_eq!(schema_in(&name(Uuid::new_v4(), 1)), 1);
        assert_eq!(schema_in(&format!("{}.parquet", Uuid::new_v4())), 1);
        assert_eq!(schema_in("x"), 1);
    }

    #[test]
    fn names_tell_the_checksum_and_whose_they_are() {
        let id = Uuid::from_u128(7);
        let done = name(id, 0x2a);
        assert_eq!(checksum_in(&done), Some(0x2a));
        assert_eq!(checksum_in(&format!("{done}{PART}")), Some(0x2a));
        assert!(is_part(&new_name(id)) && is_part(&format!("{done}{PART}")));
        for other in [done.as_str(), "a.parquet.part", "x.part", ".parquet.part", "notes.txt", "äöü.parquet.part"] {
            assert!(!is_part(other), "{other}");
        }
        for other in [format!("{id}.parquet"), "x.parquet".to_owned(), format!("{id}-12.parquet")] {
            assert_eq!(checksum_in(&other), None, "{other}");
        }
    }

    #[test]
    fn what_the_logs_have_is_known_by_its_name() {
        let id = Uuid::from_u128(7);
        for name in [level0_name(id, 1), new_name(id), format!("{}{PART}", name(id, 1))] {
            assert!(is_dispensable(&name) && checksum_in(&level0_name(id, 1)).is_none(), "{name}");
        }
        for other in [name(id, 1), "x.l0.parquet".to_owned(), format!("{id}.l0.parquet"), ".l0.parquet".to_owned()] {
            assert!(!is_dispensable(&other), "{other}");
        }
    }

    #[test]
    fn metadata_comes_back_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (with, without) = (dir.path().join("it's.parquet"), dir.path().join("b.parquet"));
        let logs = vec![LogRange { log: Uuid::from_u128(9), signal: Signal::Logs, from: 3, upto: 8 }];
        let flush = Flush { id: Uuid::from_u128(1), created: 5, logs };
        let metadata = Metadata::new(&flush, "it's", 3, (Some(-1), None));
        let db = Connection::open_in_memory().unwrap();
        let copy = |path, options: &str| {
            db.execute_batch(&format!("COPY (FROM range(3)) TO {} (FORMAT parquet{options})", quoted_path(path)))
                .unwrap();
        };
        copy(&with, &format!(", {}", metadata.option()));
        copy(&without, "");
        assert_eq!(Metadata::read(&with).unwrap(), Some(metadata));
        assert_eq!(Metadata::read(&without).unwrap(), None);
        fs::write(&without, "x").unwrap();
        Metadata::read(&without).unwrap_err();
    }

    #[test]
    fn folders_tell_the_hour() {
        let hour = |path| hour_in(path).unwrap_or_default();
        assert_eq!(hour("spans/date=2026-01-31/hour=04/x.parquet"), "2026-01-31 04:00");
        assert_eq!(hour("spans/date=2026-01-31/x.parquet"), "2026-01-31");
        assert_eq!(hour_in("spans/x.parquet"), None);
    }

    #[test]
    fn a_checksum_can_be_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "abc").unwrap();
        assert_eq!(checksum(&path, || true).unwrap(), Some((3, xxhash_rust::xxh3::xxh3_64(b"abc"))));
        assert_eq!(checksum(&path, || false).unwrap(), None);
    }
}
