//! Which files are merged next.
//!
//! A window is a table's hour, or its day once that is over; a dictionary's is its day from the
//! beginning, since each question about it reads the whole day. The small files of a window become
//! one when it is over. Late rows come in files of their own, which wait until they are many or none
//! has come for a while; a large neighbour is not written again for their sake before that. Large
//! files are left alone: merged with others they would be no faster to ask.
//!
//! A clock that jumps makes merges come early or late, which costs work and no row.

use std::collections::BTreeMap;

use crate::store::catalog::File;
use crate::store::engine::partition::date;
use crate::store::schema::Table;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Bytes from which on a file is large.
const LARGE: u64 = 32 << 20;

/// And rows: sorting them again takes as much space as their bytes uncompressed.
const LARGE_ROWS: u64 = 4_000_000;

/// What goes into one file at most. Two small files always do. Those that become one are read at the same time, which
/// takes memory: 22 hours of logs of 10 million records a day 147 MiB in one of 134 MB, 99 MiB in two.
const MOST_BYTES: u64 = 2 * LARGE;
const MOST_ROWS: u64 = 2 * LARGE_ROWS;
const MOST_FILES: usize = 200;

/// How long after its end a window is over, for rows that are on their way.
const HOUR_OVER: u64 = 5 * MINUTE;
const DAY_OVER: u64 = HOUR;

/// So many small files of a window that is over are merged at once.
const MANY: usize = 8;

/// Fewer are merged once none has come for this long.
const QUIET: u64 = 10 * MINUTE;

/// A file so many times as large as all others of its window together is written again only ...
const LOPSIDED: u64 = 4;

/// ... once none has come for this long.
const LONG_QUIET: u64 = HOUR;

/// More small files than this are too many for a window that is not over yet.
const TOO_MANY: usize = 60;

/// So many of them, the smallest, are merged then.
const SMALLEST: usize = 48;

/// A file that may be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file: current, whole as far as is known, of level 1 or higher.
    pub file: File,
    /// When the catalog took it, nanoseconds since the Unix epoch.
    pub created: u64,
}

/// Files to be merged into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their table.
    pub table: Table,
    /// They themselves: two at least.
    pub files: Vec<File>,
    /// Folder of the one, below that of the sealed files.
    pub folder: String,
    /// Its level.
    pub level: u8,
}

/// What is to be merged now, the most files first.
pub fn plan(candidates: &[Candidate], now: u64) -> Vec<Group> {
    let mut windows: BTreeMap<Window<'_>, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let small = candidate.file.bytes < LARGE && candidate.file.rows < LARGE_ROWS;
        if let Some(window) = Window::of(&candidate.file, now).filter(|_| small) {
            windows.entry(window).or_default().push(candidate);
        }
    }
    let mut groups: Vec<Group> = windows
        .into_iter()
        .flat_map(|(window, files)| {
            let chosen = match window.is_over(now) || window.table.is_dictionary() {
                true => due(files, now),
                false => too_many(files),
            };
            window.groups(chosen)
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.files.len()));
    groups
}

/// What is merged into one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Window<'a> {
    table: Table,
    /// Folder of its day, which compares as days do.
    day: &'a str,
    /// Folder of its hour, if that is by itself.
    hour: Option<&'a str>,
}

impl<'a> Window<'a> {
    /// The one that a file belongs to; none for a file that is no longer to be merged.
    fn of(file: &'a File, now: u64) -> Option<Self> {
        let table = Table::from_name(&file.table)?;
        let mut folders = file.path.split('/').skip(1);
        let day = folders.next().filter(|folder| folder.starts_with("date="))?;
        let hour = folders.next().filter(|folder| folder.starts_with("hour="));
        let of_day = Window { table, day, hour: None };
        match hour {
            _ if table.is_dictionary() || of_day.is_over(now) => Some(of_day),
            Some(_) => Some(Window { table, day, hour }),
            // The clock has gone back.
            None => None,
        }
    }

    fn is_over(&self, now: u64) -> bool {
        match self.hour {
            Some(hour) => {
                let (running_day, running_hour) = folders(now.saturating_sub(HOUR_OVER));
                (self.day, hour) < (running_day.as_str(), running_hour.as_str())
            }
            None => self.day < folders(now.saturating_sub(DAY_OVER)).0.as_str(),
        }
    }

    /// Files in the order of time, as many in each group as one file takes.
    fn groups(self, mut files: Vec<&Candidate>) -> Vec<Group> {
        files.sort_by_key(|candidate| (candidate.file.min_time, &candidate.file.path));
        let Window { table, day, hour } = self;
        let folder = match hour {
            Some(hour) => format!("{}/{day}/{hour}", table.name()),
            None => format!("{}/{day}", table.name()),
        };
        let level = if hour.is_some() { 2 } else { 3 };
        let mut groups: Vec<Group> = Vec::new();
        let (mut bytes, mut rows) = (0, 0);
        for Candidate { file, .. } in files {
            bytes += file.bytes;
            rows += file.rows;
            match groups.last_mut() {
                Some(group) if bytes <= MOST_BYTES && rows <= MOST_ROWS && group.files.len() < MOST_FILES => {
                    group.files.push(file.clone());
                }
                _ => {
                    (bytes, rows) = (file.bytes, file.rows);
                    groups.push(Group { table, files: vec![file.clone()], folder: folder.clone(), level });
                }
            }
        }
        groups.retain(|group| group.files.len() > 1);
        groups
    }
}

/// The folders of the day and the hour of a time.
fn folders(nanos: u64) -> (String, String) {
    let hours = (nanos / HOUR).cast_signed();
    let (year, month, day) = date(hours.div_euclid(24));
    (format!("date={year:04}-{month:02}-{day:02}"), format!("hour={:02}", hours.rem_euclid(24)))
}

/// Small files of a window that is over: all, all but a large neighbour, or none yet.
fn due(mut files: Vec<&Candidate>, now: u64) -> Vec<&Candidate> {
    let quiet = files.iter().map(|candidate| now.abs_diff(candidate.created)).min().unwrap_or_default();
    files.sort_by_key(|candidate| candidate.file.bytes);
    let Some((largest, others)) = files.split_last() else { return Vec::new() };
    let sum: u64 = others.iter().map(|candidate| candidate.file.bytes).sum();
    if largest.file.bytes > LOPSIDED * sum && quiet < LONG_QUIET {
        return if others.len() >= MANY { others.to_vec() } else { Vec::new() };
    }
    if files.len() >= MANY || quiet >= QUIET { files } else { Vec::new() }
}

/// Of a window that is not over.
fn too_many(mut files: Vec<&Candidate>) -> Vec<&Candidate> {
    if files.len() <= TOO_MANY {
        return Vec::new();
    }
    files.sort_by_key(|candidate| candidate.file.bytes);
    files.truncate(SMALLEST);
    files
}

#[cfg(test)]
mod tests;
