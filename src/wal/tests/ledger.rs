//! Whatever happens, each destination's account adds up.

use std::collections::BTreeMap;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// Of which destination, by how much of its lag.
    Commit(usize, prop::sample::Index),
    Read(usize),
    Add(usize, Start),
    Remove(usize),
    Reopen,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..NAMES.len();
    let start = prop_oneof![Just(Start::Oldest), Just(Start::Now)];
    prop_oneof![
        12 => (0..4000usize).prop_map(Step::Append),
        5 => (who(), any::<prop::sample::Index>()).prop_map(|(who, by)| Step::Commit(who, by)),
        4 => who().prop_map(Step::Read),
        2 => (who(), start).prop_map(|(who, start)| Step::Add(who, start)),
        2 => who().prop_map(Step::Remove),
        1 => Just(Step::Reopen),
    ]
}

/// What a destination has to account for, in items.
#[derive(Debug)]
struct Account {
    /// What came before it did, or was passed, or was dropped in an earlier life of the log.
    done: u64,
    /// Items that were there, and not its business any more, when the log was opened or it came.
    before: u64,
    /// The reader that was opened when it came, however many others have come and gone since.
    reader: Reader,
}

impl Account {
    fn new(before: u64, reader: Reader) -> Self {
        Account { done: before, before, reader }
    }

    /// What it had to get since then.
    fn due(&self, all: u64) -> u64 {
        all - self.before
    }
}

fn items(batches: &[Batch]) -> u64 {
    batches.iter().map(|batch| u64::from(batch.items)).sum()
}

proptest! {
    // Few: every step syncs.
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// For every destination: appended = before it came + passed + waiting + dropped.
    #[test]
    fn the_ledger_adds_up(
        steps in prop::collection::vec(step(), 1..80),
        segment in 4096..20_000u64,
        drops in any::<bool>(),
        b_is_lossless in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let when_full = if drops { WhenFull::DropOldest } else { WhenFull::Reject };
        let config = config(segment, 64 << 10, when_full);
        let destination = |name: &str, start| {
            let destination = Destination::new(name, start);
            if name == "b" && b_is_lossless { destination.lossless() } else { destination }
        };
        let open = |names: &[&str]| {
            let destinations: Vec<_> = names.iter().map(|name| destination(name, Start::Oldest)).collect();
            open_for(dir.path(), &config, &destinations)
        };
        let mut sent: Vec<Batch> = Vec::new();
        block_on(async {
            let mut log = open(&NAMES[..2]);
            let mut accounts: BTreeMap<&str, Account> = BTreeMap::new();
            // Readers of destinations that are gone: they must move nobody.
            let mut strays = Vec::new();
            for name in &NAMES[..2] {
                accounts.insert(name, Account::new(0, log.reader(name).unwrap()));
            }
            for step in steps {
                match step {
                    Step::Append(size) => match log.append(batch(size, sent.len() as u64)).await {
                        Ok(position) => {
                            assert_eq!(position.0, sent.len() as u64);
                            sent.push(batch(size, position.0));
                        }
                        Err(AppendError::Full { behind, .. }) => {
                            assert!(!drops || b_is_lossless && behind == ["b"], "{behind:?}");
                            // They have not had all of the oldest segment.
                            let oldest = log.stats().oldest.0;
                            let end = segments(dir.path()).into_iter().find(|first| *first > oldest);
                            let end = end.unwrap_or(sent.len() as u64);
                            let waits = |name: &String| accounts[name.as_str()].reader.cursor() < Position(end);
                            assert!(!behind.is_empty() && behind.iter().all(waits), "{behind:?}");
                        }
                        Err(error) => panic!("{error}"),
                    },
                    Step::Commit(who, by) => if let Some(account) = accounts.get_mut(NAMES[who]) {
                        let from = account.reader.cursor().0 as usize;
                        let to = from + by.index(sent.len() - from + 1);
                        account.done += items(&sent[from..to]);
                        account.reader.commit(Position(to as u64));
                        for stray in &strays {
                            Reader::commit(stray, Position(to as u64));
                        }
                    },
                    Step::Read(who) => if accounts.contains_key(NAMES[who]) {
                        let mut reader = log.reader(NAMES[who]).unwrap();
                        if reader.cursor() < log.stats().next {
                            let read = reader.next(5000).await.unwrap();
                            assert_eq!(read[0].position, reader.cursor());
                            assert!(read.iter().all(|r| r.batch == sent[r.position.0 as usize]));
                        }
                    },
                    Step::Add(who, start) => {
                        let name = NAMES[who];
                        let at = log.add(&destination(name, start));
                        if !accounts.contains_key(name) {
                            let expected = if start == Start::Now { log.stats().next } else { log.stats().oldest };
                            assert_eq!(at, expected);
                            let done = items(&sent[..at.0 as usize]);
                            accounts.insert(name, Account::new(done, log.reader(name).unwrap()));
                        }
                    }
                    Step::Remove(who) => {
                        let left = log.remove(NAMES[who]);
                        assert_eq!(left.is_some(), accounts.contains_key(NAMES[who]));
                        if let (Some(left), Some(account)) = (left, accounts.remove(NAMES[who])) {
                            assert_eq!(account.done + left.lag_items + left.dropped_items, items(&sent));
                            strays.push(account.reader);
                            // At once: nothing is there that nobody waits for.
                            let needed = accounts.values().map(|account| account.reader.cursor()).min();
                            let segments = segments(dir.path());
                            if let (Some(needed), Some(second)) = (needed, segments.get(1)) {
                                assert!(*second > needed.0, "{segments:?} are there, {needed:?} is needed");
                            }
                        }
                    }
                    Step::Reopen => {
                        for cursor in log.stats().cursors {
                            accounts.get_mut(cursor.destination.as_str()).unwrap().done += cursor.dropped_items;
                        }
                        strays.clear();
                        let names: Vec<&str> = accounts.keys().copied().collect();
                        let done: Vec<u64> = accounts.into_values().map(|account| account.done).collect();
                        drop(log);
                        log = open(&names);
                        let account = |(name, done)| (name, Account::new(done, log.reader(name).unwrap()));
                        accounts = names.into_iter().zip(done).map(account).collect();
                    }
                }
                let stats = log.stats();
                assert!(stats.size <= 64 << 10);
                assert_eq!(stats.next.0, sent.len() as u64);
                assert_eq!(stats.cursors.len(), accounts.len());
                for cursor in &stats.cursors {
                    let account = &accounts[cursor.destination.as_str()];
                    assert_eq!(account.done + cursor.lag_items + cursor.dropped_items, items(&sent), "{cursor:?}");
                    assert!(cursor.dropped_items == 0 || drops && !(b_is_lossless && cursor.destination == "b"));
                    assert_eq!(account.due(items(&sent)), cursor.due_items, "{cursor:?}");
                    assert_eq!(cursor.lag_records, sent.len() as u64 - cursor.position.0);
                    assert_eq!(account.reader.cursor(), cursor.position);
                }
            }
        });
    }
}
