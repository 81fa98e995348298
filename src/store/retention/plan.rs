//! Which files are dropped, and why. Nothing here touches the disk.
//!
//! Rows that say something themselves (spans, points, log records, samples) have an age of their own.
//! A dictionary's row says what an id stands for. It is written again in each UTC day that uses the id,
//! so a file of a dictionary goes after all rows that can lean on it: those of its day.
//!
//! Level 0 is left alone: the log would bring it again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Config;
use crate::signal::Signal;
use crate::store::catalog::File;
use crate::store::catalog::statistics::timestamp;
use crate::store::schema::Table;

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// A time that lies further back than this from the file's own is taken for none.
const ABSURD: i64 = 366 * DAY;

/// A file that the latest snapshot has, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aged {
    /// The file.
    pub file: File,
    /// When it was written, nanoseconds since the Unix epoch.
    pub created: i64,
}

/// Why a file is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its rows are older than `max_age`.
    Age,
    /// All files, or those of its signal, take more than `max_size`.
    Size,
    /// The disk has less than `min_free_disk`.
    Disk,
}

/// A file to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped<'a> {
    /// The file.
    pub aged: &'a Aged,
    /// Why.
    pub why: Why,
}

impl Aged {
    /// Whether its latest row has a time that no clock is wrong enough for: the file counts from when
    /// it was written, then.
    fn is_absurd(&self) -> bool {
        self.file.max_time.is_none_or(|time| time > self.created + DAY || time < self.created.saturating_sub(ABSURD))
    }

    /// The time by which it is older than others.
    pub fn time(&self) -> i64 {
        if self.is_absurd() { self.created } else { self.file.max_time.unwrap_or(self.created) }
    }

    /// Since when it has rows, as far as its times can be believed.
    pub fn since(&self) -> i64 {
        let plausible = self.created.saturating_sub(ABSURD)..=self.created + DAY;
        self.file.min_time.filter(|time| plausible.contains(time)).unwrap_or_else(|| self.time())
    }

    /// When its age is over. What comes late is kept for a day all the same.
    fn deadline(&self, max_age: Duration) -> i64 {
        let max_age = i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX);
        let late = self.created.saturating_add(max_age.min(DAY));
        self.time().saturating_add(max_age).max(late)
    }

    /// The UTC day that its folder names, as `2026-01-31`.
    fn day(&self) -> String {
        let named = self.file.path.split('/').find_map(|part| part.strip_prefix("date="));
        named.map_or_else(|| day(self.time()), str::to_owned)
    }

    fn table(&self) -> Option<Table> {
        Table::from_name(&self.file.table)
    }
}

/// The UTC day of a time. Days compare as their times do.
fn day(time: i64) -> String {
    let mut text = timestamp(time);
    text.truncate("2026-01-31".len());
    text
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// Nanoseconds since the Unix epoch.
    pub now: i64,
    /// Whether anything may go for its age: not while the clock jumps.
    pub is_clock_steady: bool,
    /// Bytes that the disk lacks.
    pub need: u64,
}

/// Which files of `files` go, so that all limits are kept and the disk gets what it needs.
pub fn plan<'a>(files: &'a [Aged], config: &Config, situation: Situation) -> Vec<Dropped<'a>> {
    let Situation { now, is_clock_steady, need } = situation;
    let mut plan = Plan::new(files, now);
    if is_clock_steady {
        plan.by_age(config);
    }
    for signal in Signal::ALL {
        let Some(max_size) = config.of(signal).max_size else { continue };
        while plan.bytes[signal as usize] > max_size.as_u64() && plan.drop_oldest(signal, Why::Size) {}
    }
    if let Some(max_size) = config.max_size {
        while plan.bytes.iter().sum::<u64>() > max_size.as_u64()
            && plan.oldest().is_some_and(|signal| plan.drop_oldest(signal, Why::Size))
        {}
    }
    while plan.dropped_bytes < need && plan.largest().is_some_and(|signal| plan.drop_oldest(signal, Why::Disk)) {}
    plan.dropped
}

/// A plan in the making.
struct Plan<'a> {
    now: i64,
    /// By signal, the oldest first: files of level 1 and more with rows of their own.
    facts: [VecDeque<&'a Aged>; 4],
    /// Files of dictionaries, of level 1 and more.
    dictionaries: Vec<(Table, &'a Aged)>,
    /// By signal: files with rows of their own that are left, by day.
    days: [BTreeMap<String, usize>; 4],
    bytes: [u64; 4],
    dropped: Vec<Dropped<'a>>,
    dropped_bytes: u64,
}

impl<'a> Plan<'a> {
    fn new(files: &'a [Aged], now: i64) -> Self {
        let mut plan = Plan {
            now,
            facts: Default::default(),
            dictionaries: Vec::new(),
            days: Default::default(),
            bytes: [0; 4],
            dropped: Vec::new(),
            dropped_bytes: 0,
        };
        for aged in files {
            let Some(table) = aged.table() else { continue };
            let signal = table.signal() as usize;
            plan.bytes[signal] += aged.file.bytes;
            if !table.is_dictionary() {
                *plan.days[signal].entry(aged.day()).or_default() += 1;
            }
            match (aged.file.level, table.is_dictionary()) {
                (0, _) => {}
                (_, true) => plan.dictionaries.push((table, aged)),
                (_, false) => plan.facts[signal].push_back(aged),
            }
        }
        for facts in &mut plan.facts {
            facts.make_contiguous().sort_by_key(|aged| (aged.time(), aged.created));
        }
        plan
    }

    fn by_age(&mut self, config: &Config) {
        for signal in Signal::ALL {
            let max_age = config.max_age(signal);
            let facts = std::mem::take(&mut self.facts[signal as usize]);
            let (old, young): (Vec<_>, Vec<_>) = facts.into_iter().partition(|aged| aged.deadline(max_age) < self.now);
            self.facts[signal as usize] = young.into();
            old.into_iter().for_each(|aged| self.drop_fact(signal, aged, Why::Age));
        }
        let ages = Signal::ALL.map(|signal| config.max_age(signal));
        let longest = |table| signals(table).map(|signal| ages[signal as usize]).max().unwrap_or(config.max_age);
        let now = self.now;
        self.drop_dictionaries(Why::Age, |plan, table, aged| {
            aged.deadline(longest(table)) < now
                && signals(table).all(|signal| !plan.days[signal as usize].contains_key(&aged.day()))
        });
    }

    /// The signal whose oldest file is the oldest of all.
    fn oldest(&self) -> Option<Signal> {
        let time = |signal: Signal| self.facts[signal as usize].front().map(|aged| aged.time());
        Signal::ALL.into_iter().filter(|signal| time(*signal).is_some()).min_by_key(|signal| time(*signal))
    }

    /// The signal that takes most, of those that have anything to drop.
    fn largest(&self) -> Option<Signal> {
        let has_any = |signal: &Signal| !self.facts[*signal as usize].is_empty();
        Signal::ALL.into_iter().filter(has_any).max_by_key(|signal| self.bytes[*signal as usize])
    }

    /// Answers whether there was any.
    fn drop_oldest(&mut self, signal: Signal, why: Why) -> bool {
        let Some(aged) = self.facts[signal as usize].pop_front() else { return false };
        self.drop_fact(signal, aged, why);
        // What this and earlier days have said lies behind all that is left.
        self.drop_dictionaries(why, |plan, table, aged| {
            signals(table)
                .all(|signal| plan.days[signal as usize].first_key_value().is_none_or(|(first, _)| *first > aged.day()))
        });
        true
    }

    fn drop_fact(&mut self, signal: Signal, aged: &'a Aged, why: Why) {
        let day = aged.day();
        if let Some(files) = self.days[signal as usize].get_mut(&day) {
            *files -= 1;
            if *files == 0 {
                self.days[signal as usize].remove(&day);
            }
        }
        self.drop(signal, aged, why);
    }

    /// Rows may still come late for the day before today, and lean on what is there.
    fn drop_dictionaries(&mut self, why: Why, is_free: impl Fn(&Self, Table, &Aged) -> bool) {
        let yesterday = day(self.now.saturating_sub(DAY));
        let (free, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.dictionaries)
            .into_iter()
            .partition(|(table, aged)| aged.day() < yesterday && is_free(self, *table, aged));
        self.dictionaries = rest;
        for (table, aged) in free {
            self.drop(table.signal(), aged, why);
        }
    }

    fn drop(&mut self, signal: Signal, aged: &'a Aged, why: Why) {
        self.bytes[signal as usize] = self.bytes[signal as usize].saturating_sub(aged.file.bytes);
        self.dropped_bytes += aged.file.bytes;
        self.dropped.push(Dropped { aged, why });
    }
}

/// The signals whose rows lean on a dictionary.
fn signals(dictionary: Table) -> impl Iterator<Item = Signal> {
    Signal::ALL.into_iter().filter(move |signal| dictionary == Table::Resources || dictionary.signal() == *signal)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
