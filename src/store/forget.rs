//! `vispyr forget`: rows are deleted by hand, out of the files, for privacy law.
//!
//! A running store is asked over `forget.sock`: a line of JSON each way. It seals what came until now,
//! then has each file that holds such rows written again without them. The old files leave the snapshot
//! at once, and the disk when no statement can read them any more. The condition runs in the merger's
//! process, like every text that people write and the engine does not: see
//! [`crate::store::merge::Filter`].

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// A condition on the columns that users see.
    pub condition: String,
    /// Names of the tables; all that have the columns if there are none.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Nothing is deleted.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was found and deleted of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// Files that were looked at.
    pub files: u64,
    /// Files that have such rows.
    pub with_rows: u64,
    /// Those rows.
    pub rows: u64,
    /// Bytes of the files with such rows.
    pub bytes: u64,
}

/// What was found and deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// By table; those without the columns are not named.
    pub tables: Vec<TableReport>,
    /// Files that could not be looked at, and why.
    pub damaged: Vec<String>,
    /// Seconds after which the old files are gone from the disk, at most.
    pub gone_after_seconds: u64,
}

/// The answer to a request.
pub type Answer = Result<Report, String>;

/// Asks the store at `socket`. Blocks until it is done.
///
/// # Errors
/// If there is no store, or it ended meanwhile.
pub fn ask(socket: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if !answer.ends_with('\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the store ended meanwhile"));
    }
    Ok(serde_json::from_str(&answer)?)
}
