//! The thread that has files merged: it looks for what there is to merge, has the merger write it,
//! and tells the catalog.
//!
//! The new file is written and synced under a name that ends in `.part`; then its folder is synced;
//! then it takes the place of the others ([`Shared::exchange`]). A crash before that leaves a file that
//! nobody knows, and the others as they were. Rows are in one or the other for whoever asks meanwhile.
//!
//! Merging rests after each merge, so that it takes no more than its share of a core.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::exchange::{Exchange, ExchangeError};
use super::quarantine::Changes;
use super::shared::Shared;
use super::verify::Verifier;
use super::{Stop, failpoint, sealed_file, sealed_files};
use crate::durable;
use crate::signal::now_nanos;
use crate::store::catalog::{File, Positions};
use crate::store::merge::client::{self, RunError};
use crate::store::merge::plan::{Group, plan};
use crate::store::merge::{Job, MergeError};
use crate::store::retention::enforce::Disk;
use crate::store::schema::Table;

/// How often it is seen whether anything was sealed.
const TICK: Duration = Duration::from_secs(1);

/// How often there is something to merge only because of the time.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long merging rests after a merge that failed for a reason that may last.
const PAUSE: Duration = Duration::from_secs(10);

/// Bytes of the disk that a merge takes for each byte that it reads, until the old files are gone: most of
/// it is what DuckDB sorts and has no memory for.
const ROOM: u64 = 10;

/// How long one merge may take. One of the largest takes about a minute where nobody else computes.
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long files are left alone whose merge has failed.
const LEFT: Duration = Duration::from_secs(10 * 60);

/// And those whose merge has ended the merger [`DEATHS`] times.
const LEFT_LONG: Duration = Duration::from_secs(60 * 60);

const DEATHS: u32 = 2;

/// Sets of files whose merge has ended the merger, of which it is known: far more than there can be.
const MOST_DEATHS: usize = 1000;

/// Why files were not merged.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("cannot {0}: {1}")]
    Io(&'static str, std::io::Error),
    /// The files that go stay for a while, and what DuckDB has no memory for is on the disk meanwhile.
    #[error("there is no room to merge {0} bytes")]
    NoRoom(u64),
}

/// The thread's own state.
pub struct Merging {
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    /// Files that are left alone, and until when.
    left: HashMap<String, Instant>,
    /// Bytes that a merge of a table may read, where memory or time has not done for more: rows differ in what
    /// they take.
    most: HashMap<Table, u64>,
    /// How often the merger ended over these files.
    deaths: HashMap<Vec<String>, u32>,
}

impl Merging {
    /// `stop` ends it.
    pub fn new(shared: Arc<Shared>, stop: Arc<Stop>) -> Self {
        Merging { shared, stop, left: HashMap::new(), most: HashMap::new(), deaths: HashMap::new() }
    }

    /// Merges what there is to merge, until it is told to stop.
    pub fn run(mut self) {
        let (mut seals, mut looked) = (None, Instant::now());
        while !self.stop.wait(TICK) {
            let sealed = self.shared.counters.seals();
            if seals == Some(sealed) && looked.elapsed() < INTERVAL {
                continue;
            }
            (seals, looked) = (Some(sealed), Instant::now());
            while let Some(group) = self.next() {
                let rest = self.merge(&group);
                if self.stop.wait(rest) {
                    return;
                }
            }
        }
    }

    fn next(&mut self) -> Option<Group> {
        let now = Instant::now();
        let before = self.left.len();
        self.left.retain(|_, until| *until > now);
        if self.left.len() < before {
            self.shared.counters.update(|stats| stats.unmerged_files = self.left.len() as u64);
        }
        let candidates = self.shared.catalog.lock().candidates();
        let mut candidates =
            candidates.inspect_err(|error| tracing::warn!(%error, "cannot see what is to merge")).ok()?;
        candidates.retain(|candidate| !self.left.contains_key(&candidate.file.path));
        let most = |group: &Group| self.most.get(&group.table).copied().unwrap_or(u64::MAX);
        plan(&candidates, now_nanos()).into_iter().find_map(|group| first_of(group.clone(), most(&group)))
    }

    /// Merges some files. Answers how long to rest then.
    fn merge(&mut self, group: &Group) -> Duration {
        let paths: Vec<String> = group.files.iter().map(|file| file.path.clone()).collect();
        let started = Instant::now();
        let error = match self.try_merge(group, &paths) {
            Ok(cpu) => {
                self.deaths.remove(&paths);
                self.shared.counters.merged(paths.len(), cpu, started.elapsed());
                return rest(cpu, self.shared.config.merge_share);
            }
            Err(error) => error,
        };
        let left = match &error {
            Error::Run(RunError::Stopped) => return Duration::ZERO,
            // Retention or a deletion was there first. What is left of the files is merged next.
            Error::Exchange(_) => Duration::ZERO,
            Error::Run(RunError::Died) => {
                if self.deaths.len() >= MOST_DEATHS {
                    self.deaths.clear();
                }
                let deaths = self.deaths.entry(paths.clone()).or_default();
                *deaths += 1;
                if *deaths < DEATHS {
                    Duration::ZERO
                } else {
                    self.deaths.remove(&paths);
                    LEFT_LONG
                }
            }
            // It comes back, or there is space again.
            Error::Run(RunError::Away(_) | RunError::Failed(MergeError::NoSpace(_)))
            | Error::Io(..)
            | Error::NoRoom(_) => Duration::ZERO,
            Error::Run(RunError::Failed(MergeError::Damaged { path, .. })) => {
                // Answers do without it from now on, if it is so.
                if let Some(file) = group.files.iter().find(|file| file.path == *path) {
                    Verifier::new(self.shared.clone(), self.stop.clone()).check(file);
                }
                LEFT
            }
            Error::Run(RunError::Late(_) | RunError::Failed(MergeError::NoMemory(_))) => {
                let bytes: u64 = group.files.iter().map(|file| file.bytes).sum();
                self.most.insert(group.table, bytes / 2);
                // Two files are the least that can be merged.
                if group.files.len() > 2 { Duration::ZERO } else { LEFT_LONG }
            }
            Error::Run(_) => LEFT,
        };
        let (table, files, left_s) = (group.table.name(), paths.len(), left.as_secs());
        tracing::error!(%error, table, files, first = paths.first(), left_s, "files cannot be merged");
        let until = Instant::now() + left;
        if !left.is_zero() {
            self.left.extend(paths.into_iter().map(|path| (path, until)));
        }
        self.shared.counters.merge_failed(error.to_string(), self.left.len());
        match error {
            Error::Run(RunError::Died) | Error::Exchange(_) => TICK,
            _ => PAUSE,
        }
    }

    /// Answers the processor time that it took.
    fn try_merge(&self, group: &Group, paths: &[String]) -> Result<Duration, Error> {
        let sealed = &self.shared.sealed_dir;
        let bytes: u64 = group.files.iter().map(|file| file.bytes).sum();
        let disk = Disk::of(sealed).map_err(|error| Error::Io("see how much room the disk has", error))?;
        if disk.free < self.shared.config.retention.min_free(disk.total) + ROOM * bytes {
            return Err(Error::NoRoom(bytes));
        }
        let folder = Path::new(&group.folder);
        let id = sealed_file::new_id();
        let job = Job {
            sealed: sealed.clone(),
            table: group.table.name().to_owned(),
            inputs: group.files.iter().map(Into::into).collect(),
            output: folder.join(sealed_file::new_name(id)),
            level: group.level,
            flush: Uuid::new_v4(),
            created: now_nanos(),
            logs: Vec::new(),
            filter: None,
        };
        failpoint::reach("merge_begin");
        let merged = client::run(&self.shared.merge_socket, &job, WITHIN, &self.stop)?;
        failpoint::reach("merge_written");
        let part = sealed.join(&job.output);
        let path = folder.join(sealed_file::name(id, merged.checksum));
        let done = sealed_files::part_of(&sealed.join(&path));
        let renamed = durable::rename(&part, &done).map_err(|error| Error::Io("rename a merged file", error));
        let cpu = merged.cpu;
        let exchanged = renamed.and_then(|()| {
            failpoint::reach("merge_renamed");
            let new = merged.into_file(&job.table, &path, group.level);
            let exchange =
                Exchange { old: paths, new: &[new], positions: &Positions::new(), changes: &Changes::default() };
            Ok(self.shared.exchange(&exchange)?)
        });
        if exchanged.is_err() {
            // What stays is swept at the next start.
            let _ = fs::remove_file(&part);
            let _ = fs::remove_file(&done);
        }
        exchanged.map(|()| cpu)
    }
}

/// The first files of a group that have no more than `most` bytes together, if they are two.
fn first_of(mut group: Group, most: u64) -> Option<Group> {
    group.files.retain(|file| file.bytes <= most / 2);
    let mut bytes = 0_u64;
    let within = |file: &File| {
        bytes = bytes.saturating_add(file.bytes);
        bytes <= most
    };
    let count = group.files.iter().map(within).take_while(|within| *within).count();
    group.files.truncate(count);
    (count > 1).then_some(group)
}

/// How long to rest after so much of a core's time, so that both together take `share` of a core.
fn rest(cpu: Duration, share: f64) -> Duration {
    let share = share.clamp(0.01, 1.0);
    cpu.mul_f64((1.0 - share) / share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_that_was_too_much_is_tried_with_fewer_files() {
        let file = |bytes| File {
            table: "logs".to_owned(),
            path: String::new(),
            rows: 1,
            min_time: None,
            max_time: None,
            bytes,
            checksum: 0,
            level: 1,
        };
        let files = [5, 5, 5, 5].map(file).to_vec();
        let group = Group { table: Table::Logs, files, folder: "logs/date=2026-11-29".to_owned(), level: 3 };
        let tried = |most| first_of(group.clone(), most).map(|group| group.files.len());
        assert_eq!((tried(u64::MAX), tried(15), tried(10)), (Some(4), Some(3), Some(2)));
        assert_eq!((tried(9), tried(0)), (None, None), "one file alone is no merge");
    }

    #[test]
    fn merging_takes_its_share_of_a_core() {
        let cpu = Duration::from_secs(3);
        for share in [0.05, 0.5, 0.75] {
            let of_all = cpu.as_secs_f64() / (cpu + rest(cpu, share)).as_secs_f64();
            assert!((of_all - share).abs() < 0.001, "{of_all} instead of {share}");
        }
        assert_eq!(rest(cpu, 1.0), Duration::ZERO);
    }
}
