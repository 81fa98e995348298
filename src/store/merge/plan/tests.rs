#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// 2026-11-29 00:00 UTC.
const DAY: u64 = 1_795_910_400 * SECOND;

fn file(table: Table, at: u64, hour: bool, name: u64, bytes: u64, rows: u64) -> File {
    let (day, hour) = (folders(at).0, if hour { format!("{}/", folders(at).1) } else { String::new() });
    let time = Some(at.cast_signed());
    File {
        table: table.name().to_owned(),
        path: format!("{}/{day}/{hour}{name}.parquet", table.name()),
        rows,
        min_time: time,
        max_time: time,
        bytes,
        checksum: 0,
        level: 1,
    }
}

/// A store whose clock and files are numbers.
#[derive(Default)]
struct Store {
    files: Vec<Candidate>,
    now: u64,
    names: u64,
    came: u64,
    written: u64,
}

impl Store {
    fn new(now: u64) -> Self {
        Store { now, ..Store::default() }
    }

    /// Rows of the time `at` are sealed.
    fn seal(&mut self, table: Table, at: u64, bytes: u64) {
        self.names += 1;
        self.came += bytes;
        let file = file(table, at, true, self.names, bytes, bytes / 40);
        self.files.push(Candidate { file, created: self.now });
    }

    /// Does what is planned until nothing is. Answers how many merges that took.
    fn merge(&mut self) -> usize {
        for merges in 0.. {
            assert!(merges < 10_000, "merging does not come to an end");
            let Some(group) = plan(&self.files, self.now).into_iter().next() else { return merges };
            assert!(group.files.len() > 1);
            let (bytes, rows) = group.files.iter().fold((0, 0), |sum, file| (sum.0 + file.bytes, sum.1 + file.rows));
            self.names += 1;
            self.written += bytes;
            let mut new = group.files[0].clone();
            new.path = format!("{}/{}.parquet", group.folder, self.names);
            (new.bytes, new.rows, new.level) = (bytes, rows, group.level);
            let old: HashSet<String> = group.files.into_iter().map(|file| file.path).collect();
            let before = self.files.len();
            self.files.retain(|candidate| !old.contains(&candidate.file.path));
            assert_eq!(self.files.len() + old.len(), before);
            self.files.push(Candidate { file: new, created: self.now });
        }
        0
    }

    fn paths(&self) -> Vec<&str> {
        self.files.iter().map(|candidate| candidate.file.path.rsplit_once('/').unwrap().0).collect()
    }
}

#[test]
fn minutes_become_hours_and_hours_a_day() {
    let mut store = Store::new(DAY);
    let mut most = 0;
    for minute in 0..24 * 60 {
        store.now = DAY + minute * MINUTE;
        store.seal(Table::Spans, store.now, 200_000);
        store.merge();
        most = most.max(store.files.len());
    }
    assert!(most <= 60 + 24 + 5, "{most} files at once");
    let of_hours = store.paths().iter().filter(|path| path.contains("hour=")).count();
    assert!((23 + 55..=24 + 66).contains(&of_hours), "{of_hours}");
    store.now = DAY + 25 * HOUR + MINUTE;
    store.merge();
    // 288 MB.
    assert_eq!(store.paths(), ["spans/date=2026-11-29"; 5]);
    assert!(store.written <= 3 * store.came, "{} bytes written of {}", store.written, store.came);
    let came: u64 = store.files.iter().map(|candidate| candidate.file.bytes).sum();
    assert_eq!(came, store.came);
    store.now += 30 * 24 * HOUR;
    assert_eq!(store.merge(), 0, "what is large is left alone");
}

#[test]
fn a_store_of_little_has_one_file_a_day_of_each_table() {
    let mut store = Store::new(DAY);
    for minute in 0..24 * 60 {
        store.now = DAY + minute * MINUTE;
        for table in Table::ALL {
            store.seal(table, store.now, 3_000);
        }
        store.merge();
    }
    store.now = DAY + 25 * HOUR + MINUTE;
    store.merge();
    assert_eq!(store.files.len(), Table::ALL.len(), "{:?}", store.paths());
    // Dictionaries are written more often, and much less than this: what they say twice is left out.
    assert!(store.written <= 8 * store.came, "{} bytes written of {}", store.written, store.came);
}

#[test]
fn dictionaries_are_few_files_all_day() {
    let mut store = Store::new(DAY);
    for minute in 0..24 * 60 {
        store.now = DAY + minute * MINUTE;
        store.seal(Table::Series, store.now, 100_000);
        store.merge();
        assert!(store.files.len() <= 40, "{} files at minute {minute}", store.files.len());
    }
    assert!(store.written <= 7 * store.came, "{} bytes written of {}", store.written, store.came);
}

#[test]
fn late_rows_wait_until_they_are_many_or_no_more_come() {
    let mut store = Store::new(DAY + 12 * HOUR);
    for _ in 0..60 {
        store.seal(Table::Logs, DAY + 10 * HOUR, 300_000);
    }
    assert_eq!(store.merge(), 1);
    for late in 1..8 {
        store.now += MINUTE;
        store.seal(Table::Logs, DAY + 10 * HOUR, 1_000);
        assert_eq!(store.merge(), 0, "{late} files");
    }
    store.now += MINUTE;
    store.seal(Table::Logs, DAY + 10 * HOUR, 1_000);
    assert_eq!((store.merge(), store.files.len()), (1, 2), "they alone, not their large neighbour");
    store.now += QUIET;
    assert_eq!(store.merge(), 0);
    store.now += LONG_QUIET;
    assert_eq!((store.merge(), store.files.len()), (1, 1));
}

#[test]
fn a_running_hour_is_merged_when_its_files_are_too_many() {
    let mut store = Store::new(DAY + 30 * MINUTE);
    for n in 1..=1000 {
        store.seal(Table::MetricPoints, store.now, 10_000);
        store.merge();
        assert!(store.files.len() <= TOO_MANY, "{} files after {n}", store.files.len());
    }
    assert!(store.written <= 3 * store.came, "{} bytes written of {}", store.written, store.came);
    assert!(store.paths().iter().all(|path| path.ends_with("hour=00")));
}

#[test]
fn a_clock_that_jumps_a_day_costs_no_row_and_no_end() {
    let mut store = Store::new(DAY);
    for minute in 0..36 * 60 {
        let jump = match minute / 360 {
            1 => 24 * HOUR,
            3 => 0,
            _ => 12 * HOUR,
        };
        store.now = DAY - 12 * HOUR + minute * MINUTE + jump;
        store.seal(Table::Spans, store.now, 200_000);
        store.merge();
        assert!(store.files.len() < 500);
    }
    let bytes: u64 = store.files.iter().map(|candidate| candidate.file.bytes).sum();
    assert_eq!(bytes, store.came);
}

fn any_files() -> impl Strategy<Value = Vec<Candidate>> {
    let table = prop::sample::select(Table::ALL.to_vec());
    let one = (table, 0_u64..72, any::<bool>(), 0_u64..40 << 20, 0_u64..6_000_000, 0_u64..80 * 60);
    prop::collection::vec(one, 0..300).prop_map(|files| {
        let candidate = |(n, (table, hour, of_hour, bytes, rows, created))| Candidate {
            file: file(table, DAY + hour * HOUR, of_hour, n, bytes, rows),
            created: DAY + created * MINUTE,
        };
        (0..).zip(files).map(candidate).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_group_is_of_one_window_and_no_file_in_two(files in any_files(), now in 0_u64..90) {
        let now = DAY + now * HOUR;
        let mut seen = HashSet::new();
        for group in plan(&files, now) {
            prop_assert!(group.files.len() > 1);
            prop_assert!(group.files.len() <= MOST_FILES);
            prop_assert!(group.files.iter().map(|file| file.bytes).sum::<u64>() <= MOST_BYTES);
            prop_assert!(group.files.iter().map(|file| file.rows).sum::<u64>() <= MOST_ROWS);
            for file in &group.files {
                prop_assert!(seen.insert(file.path.clone()), "{} twice", file.path);
                prop_assert!(file.path.starts_with(&group.folder), "{} in {}", file.path, group.folder);
                prop_assert!(file.bytes < LARGE && file.rows < LARGE_ROWS);
                prop_assert_eq!(&file.table, group.table.name());
                prop_assert!(files.iter().any(|candidate| candidate.file == *file));
            }
        }
    }

    #[test]
    fn merging_comes_to_an_end_and_keeps_all_rows(files in any_files(), now in 0_u64..90) {
        let rows = |files: &[Candidate]| files.iter().map(|candidate| candidate.file.rows).sum::<u64>();
        let before = rows(&files);
        let mut store = Store { files, now: DAY + now * HOUR, ..Store::default() };
        store.names = 1_000_000;
        store.merge();
        prop_assert_eq!(rows(&store.files), before);
        // A month later there is soon nothing left that two files of a window could do together. What a merge made
        // may wait an hour for the next.
        store.now = DAY + 30 * 24 * HOUR;
        store.merge();
        let more = (0..10).take_while(|_| {
            store.now += 2 * HOUR;
            store.merge() > 0
        });
        prop_assert!(more.count() < 10);
        for (n, one) in store.files.iter().enumerate() {
            for other in &store.files[..n] {
                let same = |f: &File| f.path.split('/').take(2).map(str::to_owned).collect::<Vec<_>>();
                let small = |f: &File| f.bytes < LARGE && f.rows < LARGE_ROWS;
                let both = same(&one.file) == same(&other.file) && small(&one.file) && small(&other.file);
                prop_assert!(!both, "{} and {}", one.file.path, other.file.path);
            }
        }
    }

    #[test]
    fn no_time_and_no_path_is_too_odd(now in any::<u64>(), created in any::<u64>(), path in "[a-z=/0-9-]{0,40}") {
        let odd = File { path, ..file(Table::Logs, DAY, true, 1, 1, 1) };
        let files = [odd, file(Table::Logs, DAY, true, 2, 1, 1), file(Table::Logs, DAY, true, 3, 1, 1)];
        let files = files.map(|file| Candidate { file, created });
        for group in plan(&files, now) {
            prop_assert!(group.files.len() > 1);
        }
    }
}
