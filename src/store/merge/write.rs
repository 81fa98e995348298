//! The one file is written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::Connection;
use rustix::time::{ClockId, clock_gettime};

use super::filter::{self, Filter};
use super::{Job, MergeError, Merged};
use crate::durable;
use crate::store::catalog::statistics::Copied;
use crate::store::engine::failpoint;
use crate::store::engine::sealed_file::{self, Flush, LogRange, Metadata};
use crate::store::engine::shredding::Shredding;
use crate::store::engine::verify::is_shortage;
use crate::store::parquet_file::{self, FileError};
use crate::store::schema::Table;

/// Ranges of one log that a file names. The oldest become one with what is between them: files of one
/// table alone have gaps wherever no record had a row for it.
const MAX_RANGES: usize = 64;

/// Writes the file that `job` asks for. It is on disk when this returns, and its folder's name is.
///
/// # Errors
/// See [`MergeError`]. Nothing is left of the file then.
pub fn write(db: &Connection, job: &Job) -> Result<Merged, MergeError> {
    write_while(db, job, &|| true)
}

/// The same, given up once `go_on` says no: DuckDB has to be interrupted besides.
///
/// # Errors
/// Those of [`write`].
pub(super) fn write_while(db: &Connection, job: &Job, go_on: &dyn Fn() -> bool) -> Result<Merged, MergeError> {
    let before = clock_gettime(ClockId::ThreadCPUTime);
    let path = job.sealed.join(&job.output);
    let written = write_to(db, job, &path, go_on).and_then(|merged| if go_on() { Ok(merged) } else { Err(given_up()) });
    let after = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = (after.tv_sec - before.tv_sec) * 1_000_000_000 + (after.tv_nsec - before.tv_nsec);
    let cpu = Duration::from_nanos(nanos.max(0).cast_unsigned());
    match written {
        Ok(merged) => Ok(Merged { cpu, ..merged }),
        Err(error) => {
            // It is swept at the next start if this fails.
            let _ = fs::remove_file(&path);
            Err(error)
        }
    }
}

fn given_up() -> MergeError {
    MergeError::Other("it was given up".to_owned())
}

fn write_to(db: &Connection, job: &Job, path: &Path, go_on: &dyn Fn() -> bool) -> Result<Merged, MergeError> {
    let table =
        Table::from_name(&job.table).ok_or_else(|| MergeError::Other(format!("there is no table {:?}", job.table)))?;
    check(job, go_on)?;
    let min_time = job.inputs.iter().filter_map(|input| input.min_time).min();
    let max_time = job.inputs.iter().filter_map(|input| input.max_time).max();
    let merged = Merged { min_time, max_time, ..Merged::default() };
    let (left_out, copied) = match &job.filter {
        None => (0, sorted(db, job, table, path, &merged, go_on)?),
        Some(filter) => match without(db, job, filter, table, path, &merged, go_on)? {
            (left_out, Ok(copied)) => (left_out, copied),
            (left_out, Err(kept)) => return Ok(Merged { rows: kept, left_out, ..Merged::default() }),
        },
    };
    let Copied { rows, footer, columns } = copied;
    failpoint::reach("merger_before_sync");
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(|error| io("sync", path, &error))?;
    let summed = sealed_file::checksum(path, || true).map_err(|error| io("read", path, &error))?;
    let (bytes, checksum) = summed.unwrap_or_default();
    Ok(Merged { rows, left_out, bytes, checksum, footer, columns, ..merged })
}

/// Merges files, which are sorted before if they are not.
fn sorted(
    db: &Connection,
    job: &Job,
    table: Table,
    path: &Path,
    merged: &Merged,
    go_on: &dyn Fn() -> bool,
) -> Result<Copied, MergeError> {
    create_folder(path)?;
    let expected = job.inputs.iter().map(|input| input.rows).sum();
    let metadata = metadata(job, expected, merged)?;
    failpoint::reach("merger_before_copy");
    let files = files(job);
    let shredding = Shredding::of_files(table, &files, expected).map_err(other)?;
    let merge = |files: &[PathBuf]| parquet_file::merge::merge(table, files, &shredding, path, metadata.clone(), go_on);
    let merged = match merge(&files) {
        // An earlier program has written it.
        Err(FileError::Order(_)) => {
            let spill: String = db.query_row("SELECT current_setting('temp_directory')", [], |row| row.get(0))?;
            let spill = Path::new(&spill);
            durable::create_dir(spill).map_err(|error| io("create", spill, &error))?;
            let runs = parquet_file::runs::sort(table, &files, &shredding, spill, go_on);
            runs.and_then(|runs| merge(&runs.files))
        }
        merged => merged,
    };
    let (read, copied) = merged.map_err(of_file)?;
    rows(job, expected, read)?;
    Ok(copied)
}

/// Writes a file again without the rows that a filter names. Answers how many those are, and what was written; or, if
/// that is nothing, how many rows are kept.
fn without(
    db: &Connection,
    job: &Job,
    filter: &Filter,
    table: Table,
    path: &Path,
    merged: &Merged,
    go_on: &dyn Fn() -> bool,
) -> Result<(u64, Result<Copied, u64>), MergeError> {
    let numbers = filter::left_out(db, job, table, filter)?;
    let expected: u64 = job.inputs.iter().map(|input| input.rows).sum();
    let left_out = numbers.len() as u64;
    let kept = expected.saturating_sub(left_out);
    let [input] = &files(job)[..] else { return Ok((left_out, Err(kept))) };
    if filter.dry_run || left_out == 0 || kept == 0 {
        return Ok((left_out, Err(kept)));
    }
    create_folder(path)?;
    let output = (path, metadata(job, kept, merged)?);
    failpoint::reach("merger_before_copy");
    let shredding = Shredding::of_files(table, std::slice::from_ref(input), expected).map_err(other)?;
    let copied = parquet_file::copy::without(table, input, &numbers, &shredding, output, go_on);
    let (read, copied) = copied.map_err(of_file)?;
    rows(job, expected, read)?;
    rows(job, kept, copied.rows)?;
    Ok((left_out, Ok(copied)))
}

fn of_file(error: FileError) -> MergeError {
    match error {
        FileError::Stopped => given_up(),
        error if error.is_full_disk() => MergeError::NoSpace(error.to_string()),
        error => other(error),
    }
}

fn files(job: &Job) -> Vec<PathBuf> {
    job.inputs.iter().map(|input| job.sealed.join(&input.path)).collect()
}

fn create_folder(path: &Path) -> Result<(), MergeError> {
    path.parent().map_or(Ok(()), |folder| durable::create_dir(folder).map_err(|error| io("create", folder, &error)))
}

/// Whether as many rows were there as should be.
fn rows(job: &Job, expected: u64, written: u64) -> Result<(), MergeError> {
    match expected == written {
        true => Ok(()),
        false => Err(MergeError::Rows { table: job.table.clone(), expected, written }),
    }
}

fn other(error: impl std::fmt::Display) -> MergeError {
    MergeError::Other(error.to_string())
}

/// Whether all inputs are what was sealed.
fn check(job: &Job, go_on: &dyn Fn() -> bool) -> Result<(), MergeError> {
    for input in &job.inputs {
        let damaged = |reason| MergeError::Damaged { path: input.path.clone(), reason };
        let summed = sealed_file::checksum(&job.sealed.join(&input.path), go_on);
        let summed = summed.map_err(|error| match is_shortage(&error) {
            true => io("read", Path::new(&input.path), &error),
            false => damaged(error.to_string()),
        });
        let (bytes, checksum) = summed?.ok_or_else(given_up)?;
        if bytes != input.bytes {
            return Err(damaged(format!("it has {bytes} bytes instead of {}", input.bytes)));
        }
        if checksum != input.checksum {
            return Err(damaged("its checksum is wrong".to_owned()));
        }
    }
    Ok(())
}

/// What the file says about itself: all that its inputs said.
fn metadata(job: &Job, rows: u64, merged: &Merged) -> Result<Metadata, MergeError> {
    let mut logs = job.logs.clone();
    for path in files(job) {
        logs.extend(Metadata::read(&path).map_err(other)?.into_iter().flat_map(|metadata| metadata.logs));
    }
    let flush = Flush { id: job.flush, created: job.created, logs: union(logs) };
    let from = job.inputs.iter().filter_map(|input| sealed_file::id_in(&input.path)).collect();
    let mut metadata = Metadata::new(&flush, &job.table, rows, (merged.min_time, merged.max_time));
    (metadata.level, metadata.merged_from) = (job.level, from);
    Ok(metadata)
}

/// The same records in few ranges.
pub(super) fn union(mut logs: Vec<LogRange>) -> Vec<LogRange> {
    logs.sort_unstable();
    let mut of_log: BTreeMap<_, Vec<LogRange>> = BTreeMap::new();
    for range in logs {
        let ranges = of_log.entry((range.log, range.signal)).or_default();
        match ranges.last_mut() {
            Some(last) if range.from <= last.upto => last.upto = last.upto.max(range.upto),
            _ => ranges.push(range),
        }
    }
    for ranges in of_log.values_mut().filter(|ranges| ranges.len() > MAX_RANGES) {
        let newest = ranges.split_off(ranges.len() - MAX_RANGES + 1);
        if let [first, .., last] = ranges[..] {
            *ranges = vec![LogRange { upto: last.upto, ..first }];
        }
        ranges.extend(newest);
    }
    of_log.into_values().flatten().collect()
}

fn io(action: &str, path: &Path, error: &io::Error) -> MergeError {
    let text = format!("cannot {action} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => MergeError::NoSpace(text),
        _ => MergeError::Other(text),
    }
}
