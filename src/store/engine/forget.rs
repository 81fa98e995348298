//! Rows are deleted by hand: the engine's side of [`crate::store::forget`].
//!
//! One request at a time. A file that has such rows is replaced in one transaction of the catalog, so a
//! crash in the middle leaves what is done done, and the request can be made again.

use std::collections::HashSet;
use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::exchange::Exchange;
use super::quarantine::Changes;
use super::{Engine, EngineError, Stop, failpoint, sealed_file, sealed_files, spawn};
use crate::durable;
use crate::signal::now_nanos;
use crate::store::catalog::{File, Positions};
use crate::store::forget::{Answer, Report, Request, TableReport};
use crate::store::merge::client::{self, RunError};
use crate::store::merge::{Filter, Job, MergeError, Merged};
use crate::store::process::{ProcessError, socket};
use crate::store::retention::enforce;
use crate::store::schema::Table;

/// Bytes of a request.
const MAX_REQUEST: u64 = 1 << 20;

/// How long one file may take.
const WITHIN: Duration = Duration::from_secs(600);

/// What the other threads know of it.
#[derive(Debug, Default)]
pub struct Forgetting {
    /// One at a time.
    turn: Mutex<()>,
    has_ended: AtomicBool,
}

impl Forgetting {
    /// Whether files were ended since this was asked last: they are to leave the disk soon.
    pub fn take_ended(&self) -> bool {
        self.has_ended.swap(false, Ordering::Relaxed)
    }
}

/// Serves `forget.sock` until the process ends.
///
/// # Errors
/// Those of the socket.
pub fn serve(engine: &Arc<Engine>, path: &Path) -> Result<(), EngineError> {
    let listener = socket::bind(path)?;
    // Whoever may feed the store may not delete from it.
    let owner = std::fs::set_permissions(path, Permissions::from_mode(0o600));
    owner.map_err(|source| ProcessError::io("restrict", path, source))?;
    let engine = Arc::downgrade(engine);
    // It ends with the process: nothing that it holds has to be written.
    spawn("forget", move || answer_all(&engine, &listener)).map(drop)
}

fn answer_all(engine: &Weak<Engine>, listener: &UnixListener) {
    for stream in listener.incoming() {
        let Some(engine) = engine.upgrade() else { return };
        let answered = stream.and_then(|stream| answer(&engine, stream));
        if let Err(error) = answered {
            tracing::warn!(%error, "who asked to forget rows is gone");
        }
    }
}

fn answer(engine: &Engine, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    BufReader::new((&stream).take(MAX_REQUEST)).read_line(&mut line)?;
    let answer: Answer = match serde_json::from_str(&line) {
        Ok(request) => engine.forget(&request),
        Err(error) => Err(format!("the request cannot be read: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}

impl Engine {
    /// Deletes rows, or counts them. Blocks.
    ///
    /// # Errors
    /// Why it was not done, or not to the end.
    pub fn forget(&self, request: &Request) -> Answer {
        let _turn = self.shared.forgetting.turn.lock();
        let mut report = Report::default();
        if !request.dry_run {
            self.flush()?;
        }
        for name in &request.tables {
            if Table::from_name(name).is_none() {
                return Err(format!("there is no table {name:?}"));
            }
        }
        // Dictionaries last, and resources after all others: rows are found by them.
        for table in Table::ALL.into_iter().rev() {
            let is_named = request.tables.iter().any(|name| name == table.name());
            if !is_named && !request.tables.is_empty() {
                continue;
            }
            match self.forget_in(table, request, &mut report)? {
                true => {}
                false if is_named => return Err(format!("{} has not all of these columns", table.name())),
                false => {}
            }
        }
        if report.tables.is_empty() {
            return Err("no table has all of these columns".to_owned());
        }
        report.gone_after_seconds =
            (self.shared.config.statement_limit + enforce::GRACE + 2 * enforce::EVERY).as_secs();
        let (tables, rows) = (report.tables.len(), report.tables.iter().map(|table| table.rows).sum::<u64>());
        if !request.dry_run {
            // Not the condition: what is to be forgotten must not stand in the journal.
            tracing::info!(tables, rows, "rows deleted by hand");
        }
        Ok(report)
    }

    /// False if the table has not all columns.
    fn forget_in(&self, table: Table, request: &Request, report: &mut Report) -> Result<bool, String> {
        let mut of_table = TableReport { table: table.name().to_owned(), ..TableReport::default() };
        let mut seen: HashSet<String> = HashSet::new();
        // Without files, whether the columns are there.
        match self.filtered(table, &[], PathBuf::new(), request, true) {
            Ok(_) => {}
            Err(RunError::Failed(MergeError::Columns(_))) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
        // What is merged or sealed meanwhile is looked at, too.
        loop {
            let files = self.shared.catalog.lock().kept().map_err(|error| error.to_string())?;
            let mut files = files.into_iter().map(|aged| aged.file).filter(|file| {
                let is_due = request.dry_run || file.level > 0;
                file.table == table.name() && is_due && !seen.contains(&file.path)
            });
            let Some(file) = files.next() else { break };
            drop(files);
            seen.insert(file.path.clone());
            of_table.files += 1;
            match self.forget_in_file(table, &file, request) {
                Ok(0) => {}
                Ok(rows) => {
                    of_table.with_rows += 1;
                    of_table.rows += rows;
                    of_table.bytes += file.bytes;
                }
                Err(Trouble::NotCurrent) => of_table.files -= 1,
                Err(Trouble::Damaged(why)) => report.damaged.push(why),
                Err(Trouble::Other(why)) => return Err(why),
            }
        }
        report.tables.push(of_table);
        Ok(true)
    }

    /// Answers how many rows of the file are to go or are gone.
    fn forget_in_file(&self, table: Table, file: &File, request: &Request) -> Result<u64, Trouble> {
        let shared = &self.shared;
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        let id = sealed_file::new_id();
        let output = folder.join(sealed_file::new_name(id));
        let part = shared.sealed_dir.join(&output);
        let merged = match self.filtered(table, std::slice::from_ref(file), output, request, request.dry_run) {
            Ok(merged) => merged,
            Err(RunError::Failed(MergeError::Damaged { path, reason })) => {
                return Err(self.if_current(file, Trouble::Damaged(format!("{path}: {reason}"))));
            }
            Err(error) => return Err(self.if_current(file, Trouble::Other(error.to_string()))),
        };
        if merged.left_out == 0 || request.dry_run {
            return Ok(merged.left_out);
        }
        failpoint::reach("forget_written");
        let left_out = merged.left_out;
        let changed = if merged.rows == 0 {
            let mut catalog = shared.catalog.lock();
            catalog.end(std::slice::from_ref(&file.path), now_nanos()).map_err(|error| error.to_string())
        } else {
            self.replace(file, folder, id, &part, merged)
        };
        changed.map_err(|why| self.if_current(file, Trouble::Other(why)))?;
        shared.forgetting.has_ended.store(true, Ordering::Relaxed);
        failpoint::reach("forget_replaced");
        Ok(left_out)
    }

    fn replace(&self, old: &File, folder: &Path, id: Uuid, part: &Path, merged: Merged) -> Result<(), String> {
        let shared = &self.shared;
        let path = folder.join(sealed_file::name(id, merged.checksum));
        let done = sealed_files::part_of(&shared.sealed_dir.join(&path));
        let renamed = std::fs::rename(part, &done).and_then(|()| durable::sync_dir(&shared.sealed_dir.join(folder)));
        renamed.map_err(|error| format!("cannot rename {}: {error}", part.display()))?;
        let new = merged.into_file(&old.table, &path, old.level);
        let exchange = Exchange {
            old: std::slice::from_ref(&old.path),
            new: std::slice::from_ref(&new),
            positions: &Positions::new(),
            changes: &Changes::default(),
        };
        shared.exchange(&exchange).map_err(|error| {
            // Swept at the next start if this fails.
            let _ = std::fs::remove_file(&done);
            error.to_string()
        })
    }

    /// A file that was merged meanwhile is nobody's trouble: what it became is looked at.
    fn if_current(&self, file: &File, trouble: Trouble) -> Trouble {
        let files = self.shared.catalog.lock().files();
        if files.is_ok_and(|files| !files.contains(file)) { Trouble::NotCurrent } else { trouble }
    }

    /// Has the merger write a file again without the rows.
    fn filtered(
        &self,
        table: Table,
        files: &[File],
        output: PathBuf,
        request: &Request,
        dry_run: bool,
    ) -> Result<Merged, RunError> {
        let current = self.shared.catalog.lock().current().map_err(|error| MergeError::Other(error.to_string()))?;
        let resources = current.into_iter().map(|aged| aged.file).filter(|file| file.table == Table::Resources.name());
        let filter = Filter {
            condition: request.condition.clone(),
            resources: resources.map(|file| file.path).collect(),
            dry_run,
        };
        let job = Job {
            sealed: self.shared.sealed_dir.clone(),
            table: table.name().to_owned(),
            inputs: files.iter().map(Into::into).collect(),
            output,
            level: files.first().map_or(1, |file| file.level),
            flush: Uuid::new_v4(),
            created: now_nanos(),
            logs: Vec::new(),
            filter: Some(filter),
        };
        client::run(&self.shared.merge_socket, &job, WITHIN, &Stop::default())
    }
}

/// Why a file still has its rows.
enum Trouble {
    /// It has become part of another.
    NotCurrent,
    Damaged(String),
    Other(String),
}
