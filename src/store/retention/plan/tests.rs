use proptest::collection::vec;
use proptest::prelude::*;

use super::super::SignalConfig;
use super::*;

const NOW: i64 = 20_000 * DAY + DAY / 2;

fn at(need: u64) -> Situation {
    Situation { now: NOW, is_clock_steady: true, need }
}

/// A file of an hour of `table`, so many days ago.
fn file(table: Table, days_ago: i64, bytes: u64) -> Aged {
    let max_time = NOW - days_ago * DAY;
    of(table, max_time, Some(max_time), max_time, bytes)
}

/// In the folder of `partition`.
fn of(table: Table, partition: i64, max_time: Option<i64>, created: i64, bytes: u64) -> Aged {
    let path = format!("{}/date={}/hour=01/{bytes}.parquet", table.name(), day(partition));
    let table = table.name().to_owned();
    Aged { file: File { table, path, rows: 1, min_time: max_time, max_time, bytes, checksum: 0, level: 1 }, created }
}

fn config(days: u64) -> Config {
    Config { max_age: Duration::from_secs(days * 86_400), ..Config::default() }
}

/// Table and age in days.
fn name(aged: &Aged) -> (String, i64) {
    (aged.file.table.clone(), (NOW - aged.file.max_time.unwrap_or(NOW)) / DAY)
}

/// What goes, and why.
fn dropped(files: &[Aged], config: &Config, need: u64) -> Vec<(String, i64, Why)> {
    let plan = plan(files, config, at(need));
    plan.into_iter().map(|Dropped { aged, why }| (name(aged).0, name(aged).1, why)).collect()
}

#[test]
fn what_is_too_old_goes_by_each_signal_s_own_age() {
    let files: Vec<Aged> =
        [1, 8, 31].into_iter().flat_map(|days| [file(Table::Spans, days, 1), file(Table::Logs, days, 1)]).collect();
    let mut config = config(30);
    assert_eq!(dropped(&files, &config, 0), [("spans".into(), 31, Why::Age), ("logs".into(), 31, Why::Age)]);
    config.traces.max_age = Some(Duration::from_secs(7 * 86_400));
    let expected = [("spans".into(), 8, Why::Age), ("spans".into(), 31, Why::Age), ("logs".into(), 31, Why::Age)];
    let mut found = dropped(&files, &config, 0);
    found.sort_by_key(|(table, days, _)| (std::cmp::Reverse(table.clone()), *days));
    assert_eq!(found, expected);
}

#[test]
fn rows_of_absurd_time_and_late_ones_are_kept_from_when_they_came() {
    let written = |days_ago: i64, max_time| of(Table::Logs, 0, max_time, NOW - days_ago * DAY, 1);
    let goes = |aged: Aged| !dropped(&[aged], &config(30), 0).is_empty();
    for max_time in [None, Some(0), Some(NOW + 400 * DAY)] {
        assert!(!goes(written(29, max_time)), "{max_time:?}");
        assert!(goes(written(31, max_time)), "{max_time:?}");
    }
    // Older than what is aged, when it came.
    assert!(!goes(written(0, Some(NOW - 60 * DAY))));
    assert!(goes(written(2, Some(NOW - 60 * DAY))));
}

#[test]
fn a_dictionary_outlives_the_rows_of_its_day_and_late_ones() {
    // Of three days each; resources are what logs lean on, too.
    let days = [40, 35, 1];
    let of_tables = |tables: &[Table]| -> Vec<Aged> {
        tables.iter().flat_map(|table| days.map(|day| file(*table, day, 1))).collect()
    };
    let files = of_tables(&[Table::Resources, Table::Series, Table::MetricPoints, Table::Logs]);
    let mut config = config(30);
    config.logs.max_age = Some(Duration::from_secs(36 * 86_400));
    let mut gone = dropped(&files, &config, 0);
    gone.sort();
    let age = |table: &str, days| (table.to_owned(), days, Why::Age);
    // Resources of 35 days ago are for the logs of then.
    let expected = [
        age("logs", 40),
        age("metric_points", 35),
        age("metric_points", 40),
        age("resources", 40),
        age("series", 35),
        age("series", 40),
    ];
    assert_eq!(gone, expected);

    // For want of room all rows go, and what yesterday's and today's rows could lean on stays.
    let mut config = self::config(100);
    config.max_size = Some(bytesize::ByteSize(1));
    let gone: Vec<(String, i64)> = plan(&files, &config, at(0)).iter().map(|gone| name(gone.aged)).collect();
    let left: Vec<(String, i64)> = files.iter().map(name).filter(|one| !gone.contains(one)).collect();
    assert_eq!(left, [("resources".to_owned(), 1), ("series".to_owned(), 1)]);
}

#[test]
fn the_oldest_goes_over_a_size_and_the_largest_signal_for_the_disk() {
    let files = [
        file(Table::Spans, 1, 10),
        file(Table::Spans, 2, 10),
        file(Table::Spans, 3, 10),
        file(Table::Logs, 5, 5),
        file(Table::Logs, 4, 5),
    ];
    let mut config = config(30);
    config.max_size = Some(bytesize::ByteSize(25));
    let size = |table: &str, days| (table.to_owned(), days, Why::Size);
    assert_eq!(dropped(&files, &config, 0), [size("logs", 5), size("logs", 4), size("spans", 3)]);
    config.max_size = None;
    config.traces.max_size = Some(bytesize::ByteSize(20));
    assert_eq!(dropped(&files, &config, 0), [size("spans", 3)]);
    let disk = |table: &str, days| (table.to_owned(), days, Why::Disk);
    config.traces.max_size = None;
    assert_eq!(dropped(&files, &config, 1), [disk("spans", 3)]);
    assert_eq!(dropped(&files, &config, 22), [disk("spans", 3), disk("spans", 2), disk("logs", 5)]);
    assert_eq!(dropped(&files, &config, 1000).len(), 5, "there is no more");
    // What goes for another reason makes room, too.
    config.traces.max_size = Some(bytesize::ByteSize(20));
    assert_eq!(dropped(&files, &config, 10), [size("spans", 3)]);
}

#[test]
fn level_0_is_left_alone() {
    let mut files = [file(Table::Spans, 60, 10), file(Table::Resources, 60, 10)];
    for aged in &mut files {
        aged.file.level = 0;
    }
    let config = Config { max_size: Some(bytesize::ByteSize(1)), ..config(30) };
    assert_eq!(dropped(&files, &config, 100), []);
    // And what it leans on.
    files[1].file.level = 1;
    assert_eq!(dropped(&files, &config, 100), []);
}

fn some_file() -> impl Strategy<Value = Aged> {
    let table = (0..Table::ALL.len()).prop_map(|place| Table::ALL[place]);
    let time = prop_oneof![8 => (0i64..60 * 24).prop_map(|hours| Some(NOW - hours * DAY / 24)), 1 => Just(None), 1 => any::<i64>().prop_map(Some)];
    (table, time, 0i64..60 * 24, 0i64..40, 1u64..100, 0u8..4).prop_map(
        |(table, max_time, hours, late, bytes, level)| {
            let created = max_time.filter(|time| (0..NOW).contains(time)).unwrap_or(NOW - hours * DAY / 24);
            let created = (created + if late < 35 { 0 } else { late * DAY }).min(NOW);
            let mut aged = of(table, max_time.unwrap_or(created), max_time, created, bytes);
            aged.file.level = level;
            aged
        },
    )
}

fn some_config() -> impl Strategy<Value = Config> {
    let size = || proptest::option::of((1u64..2000).prop_map(bytesize::ByteSize));
    let age = || (1u64..50).prop_map(|days| Duration::from_secs(days * 86_400));
    (age(), size(), vec((proptest::option::of(age()), size()), 4)).prop_map(|(max_age, max_size, signals)| {
        let mut signals = signals.into_iter().map(|(max_age, max_size)| SignalConfig { max_age, max_size });
        let mut next = || signals.next().unwrap_or_default();
        let (traces, metrics, logs, profiles) = (next(), next(), next(), next());
        Config { max_age, max_size, traces, metrics, logs, profiles, ..Config::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_for_all_stores(files in vec(some_file(), 0..60), config in some_config(), need in prop_oneof![Just(0), 1u64..3000]) {
        let plan = plan(&files, &config, at(need));
        let is_gone = |aged: &Aged| plan.iter().any(|dropped| std::ptr::eq(dropped.aged, aged));
        let table = |aged: &Aged| aged.table().unwrap();
        let left: Vec<&Aged> = files.iter().filter(|aged| !is_gone(aged)).collect();

        for (n, Dropped { aged, why }) in plan.iter().enumerate() {
            prop_assert!(aged.file.level > 0);
            prop_assert!(!plan[..n].iter().any(|other| std::ptr::eq(other.aged, *aged)), "twice");
            let max_age = config.max_age(table(aged).signal());
            // Nothing goes for its age that has not reached it, by its time or else by its arrival.
            if *why == Why::Age {
                let age = i64::try_from(max_age.as_nanos()).unwrap();
                let came = NOW - aged.created;
                let is_plausible = aged.file.max_time.is_some_and(|time| (aged.created - ABSURD..=aged.created + DAY).contains(&time));
                prop_assert!(came >= DAY.min(age));
                let is_over = if is_plausible { NOW - aged.file.max_time.unwrap() > age } else { came > age };
                prop_assert!(is_over, "{:?}", aged);
            }
            if need == 0 {
                prop_assert!(*why != Why::Disk);
            }
        }
        // Dictionaries of a aged day stay.
        for Dropped { aged, .. } in plan.iter().filter(|dropped| table(dropped.aged).is_dictionary()) {
            let leans = |fact: &Aged| {
                !table(fact).is_dictionary() && fact.day() == aged.day() && signals(table(aged)).any(|signal| signal == table(fact).signal())
            };
            prop_assert!(!left.iter().any(|fact| leans(fact)), "{aged:?}");
            prop_assert!(aged.day() < day(NOW - DAY));
        }
        // Whole rows: each limit is aged, or nothing is left that could go.
        let bytes = |signal: Option<Signal>| -> u64 {
            left.iter().filter(|aged| signal.is_none_or(|signal| table(aged).signal() == signal)).map(|aged| aged.file.bytes).sum()
        };
        let has_facts = |signal: Option<Signal>| left.iter().any(|aged| {
            aged.file.level > 0 && !table(aged).is_dictionary() && signal.is_none_or(|signal| table(aged).signal() == signal)
        });
        for signal in Signal::ALL {
            if let Some(max_size) = config.of(signal).max_size {
                prop_assert!(bytes(Some(signal)) <= max_size.as_u64() || !has_facts(Some(signal)));
            }
        }
        if let Some(max_size) = config.max_size {
            prop_assert!(bytes(None) <= max_size.as_u64() || !has_facts(None));
        }
        let freed: u64 = plan.iter().map(|dropped| dropped.aged.file.bytes).sum();
        prop_assert!(freed >= need || !has_facts(None));
        // The oldest first.
        for gone in plan.iter().filter(|dropped| dropped.why != Why::Age && !table(dropped.aged).is_dictionary()) {
            for fact in &left {
                if fact.file.level > 0 && !table(fact).is_dictionary() && table(fact).signal() == table(gone.aged).signal() {
                    prop_assert!(fact.time() >= gone.aged.time());
                }
            }
        }
    }
}
