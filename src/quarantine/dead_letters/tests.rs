//! Letters come back as they went in, stay within their bound, and outlive what happens to them.

use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::signal::{Compression, Format, Meta};

fn batch(size: usize, items: u32) -> Batch {
    Batch {
        signal: Signal::Profiles,
        format: Format::PyroscopeIngest,
        compression: Compression::SnappyFramed,
        items,
        decoded_size: 2 * size as u64,
        received: 1_700_000_000_000_000_000,
        meta: Meta { query: "name=app{}&from=1".to_owned(), content_type: "multipart/form-data; ü".to_owned() },
        // With lines in it, as the head has.
        payload: Bytes::from(vec![b'\n'; size]),
    }
}

fn open(dir: &Path, max_size: u64) -> (DeadLetters, Telemetry) {
    let telemetry = Telemetry::new();
    (DeadLetters::open(dir.join("dead-letters"), ByteSize(max_size), &telemetry).unwrap(), telemetry)
}

fn metric(telemetry: &Telemetry, key: &str) -> String {
    let text = telemetry.encode();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).to_owned()
}

fn ids(letters: &DeadLetters) -> Vec<String> {
    letters.list().iter().map(|letter| letter.id.to_string()).collect()
}

/// A destination with a mind of its own.
struct Always(Retried);

impl Resend for Always {
    fn send<'a>(&'a self, _: &'a DeadLetterId, _: &'a Head, _: Batch) -> BoxFuture<'a, Retried> {
        let answer = self.0.clone();
        Box::pin(async move { answer })
    }
}

fn retry(letters: &DeadLetters, id: &DeadLetterId, answer: Retried) -> Result<Retried, DeadLetterError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(letters.retry(id, &Always(answer)))
}

#[test]
fn comes_back_as_it_went_in_also_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, telemetry) = open(dir.path(), 1 << 20);
    let first = letters.keep("tempo", &batch(1000, 7), "HTTP 400: \"bad\"\nspan").unwrap();
    let second = letters.keep("tempo", &batch(0, 1), "no").unwrap();
    let other = letters.keep("b-2", &batch(10, 2), "no").unwrap();
    assert!(first < second, "they rise, also within one millisecond");
    assert_eq!(metric(&telemetry, "vispyr_dead_letters{destination=\"tempo\"}"), "2.0");
    let size: u64 = letters.list().iter().filter(|l| l.id.destination() == "tempo").map(|l| l.size).sum();
    assert_eq!(metric(&telemetry, "vispyr_dead_letters_bytes{destination=\"tempo\"}"), format!("{size}.0"));
    drop(letters);
    // Half written by a crash.
    std::fs::write(dir.path().join("dead-letters/tempo/zzz.5.tmp"), "x").unwrap();
    let (letters, _) = open(dir.path(), 1 << 20);
    assert_eq!(ids(&letters), [&other, &first, &second].map(ToString::to_string));
    assert!(!dir.path().join("dead-letters/tempo/zzz.5.tmp").exists());
    let (head, found) = letters.read(&first).unwrap();
    assert_eq!(found, batch(1000, 7));
    assert_eq!((head.reason.as_str(), head.destination.as_str(), head.items), ("HTTP 400: \"bad\"\nspan", "tempo", 7));
    let count = |name, signal| letters.count(name, signal);
    assert_eq!((count("tempo", Signal::Profiles), count("tempo", Signal::Logs), count("no", Signal::Logs)), (2, 0, 0));
}

#[test]
fn the_oldest_go_when_the_bound_is_reached_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, telemetry) = open(dir.path(), 10_000);
    letters.keep("other", &batch(5000, 100), "no").unwrap();
    let kept: Vec<_> = (0..20).map(|n| letters.keep("tempo", &batch(2000, n), "no").unwrap()).collect();
    let left: Vec<_> = letters.list().into_iter().filter(|letter| letter.id.destination() == "tempo").collect();
    let size: u64 = left.iter().map(|letter| letter.size).sum();
    assert!((5000..=10_000).contains(&size), "{size}");
    assert_eq!(left.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>(), kept[20 - left.len()..]);
    let dropped: u32 = (0..20 - left.len() as u32).sum();
    let labels = "{destination=\"tempo\",signal=\"profiles\"}";
    let key = format!("vispyr_dead_letters_dropped_items_total{labels}");
    assert_eq!(metric(&telemetry, &key), format!("{dropped}.0"));
    // The newest stays even if it is too large by itself, and the other destination is not asked.
    let large = letters.keep("tempo", &batch(20_000, 1), "no").unwrap();
    let last: Vec<_> = ids(&letters);
    assert_eq!(last.len(), 2);
    assert_eq!(last[1], large.to_string());
    // A later bound counts from the next dead letter on.
    letters.set_max_size(ByteSize(1));
    let last = letters.keep("tempo", &batch(1, 1), "no").unwrap();
    assert_eq!(ids(&letters)[1..], [last.to_string()]);
}

#[test]
fn what_is_damaged_is_named_and_can_be_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, _) = open(dir.path(), 1 << 20);
    let [head, payload, cut, good] = [1, 2, 3, 4].map(|n| letters.keep("tempo", &batch(100, n), "no").unwrap());
    let path = |id: &DeadLetterId| letters.known(id).unwrap().path(id).unwrap();
    let harm = |id: &DeadLetterId, harm: fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(path(id)).unwrap();
        harm(&mut bytes);
        std::fs::write(path(id), bytes).unwrap();
    };
    harm(&head, |bytes| bytes[40] ^= 1);
    harm(&payload, |bytes| *bytes.last_mut().unwrap() ^= 1);
    harm(&cut, |bytes| bytes.truncate(bytes.len() - 1));
    let (letters, _) = open(dir.path(), 1 << 20);
    let damaged: Vec<bool> = letters.list().iter().map(|letter| letter.head.is_err()).collect();
    assert_eq!(damaged, [true, false, false, false], "heads are all that is read at the start");
    for id in [&head, &payload, &cut] {
        let error = letters.read(id).unwrap_err();
        assert!(
            matches!(error, DeadLetterError::Damaged { .. }) && error.to_string().contains(&id.to_string()),
            "{error}"
        );
        let error = retry(&letters, id, Retried::Later("x".to_owned())).unwrap_err();
        assert!(matches!(error, DeadLetterError::Damaged { .. }), "{error}");
    }
    letters.read(&good).unwrap();
    letters.drop_letter(&head).unwrap();
    assert_eq!(letters.list().len(), 3);
    assert!(matches!(letters.drop_letter(&head), Err(DeadLetterError::Unknown(_))));
    let never = "nobody-1".parse().unwrap();
    assert!(matches!(letters.drop_letter(&never), Err(DeadLetterError::Unknown(_))));
}

#[test]
fn sent_again_it_goes_or_stays_with_the_new_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, telemetry) = open(dir.path(), 1 << 20);
    let id = letters.keep("tempo", &batch(100, 5), "first").unwrap();
    for (n, answer) in
        [Retried::Refused("second".to_owned()), Retried::Later("third".to_owned())].into_iter().enumerate()
    {
        assert_eq!(retry(&letters, &id, answer.clone()).unwrap(), answer);
        let (head, found) = letters.read(&id).unwrap();
        assert_eq!(found, batch(100, 5));
        assert_eq!((head.reason.as_str(), head.retries), (["second", "third"][n], n as u32 + 1));
        assert!(head.last_retry.is_some_and(|at| at >= head.set_aside));
    }
    let (again, _) = open(dir.path(), 1 << 20);
    assert_eq!(again.list()[0].head.as_ref().unwrap().reason, "third", "on disk");
    let accepted = Retried::Accepted { rejected: 1, message: "one".to_owned() };
    assert_eq!(retry(&letters, &id, accepted.clone()).unwrap(), accepted);
    assert!(letters.list().is_empty());
    let key = "vispyr_dead_letters_resent_items_total{destination=\"tempo\",signal=\"profiles\"}";
    assert_eq!(metric(&telemetry, key), "5.0");
    assert!(matches!(retry(&letters, &id, accepted), Err(DeadLetterError::Unknown(_))));
}

#[test]
fn nobody_sends_a_letter_twice_at_once() {
    struct Meddles(DeadLetters, DeadLetterId);
    impl Resend for Meddles {
        fn send<'a>(&'a self, _: &'a DeadLetterId, _: &'a Head, _: Batch) -> BoxFuture<'a, Retried> {
            Box::pin(async move {
                let never = Always(Retried::Later(String::new()));
                assert!(matches!(self.0.retry(&self.1, &never).await, Err(DeadLetterError::Busy(_))));
                assert!(matches!(self.0.drop_letter(&self.1), Err(DeadLetterError::Busy(_))));
                // It has to go for room meanwhile.
                self.0.set_max_size(ByteSize(1));
                self.0.keep("tempo", &batch(1, 1), "no").unwrap();
                Retried::Accepted { rejected: 0, message: String::new() }
            })
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (letters, _) = open(dir.path(), 1 << 20);
    let id = letters.keep("tempo", &batch(1, 1), "no").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let retried = runtime.block_on(letters.retry(&id, &Meddles(letters.clone(), id.clone()))).unwrap();
    assert!(matches!(retried, Retried::Accepted { .. }));
    assert_eq!(letters.list().len(), 1);
}

#[test]
fn a_full_disk_says_so_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, _) = open(dir.path(), 1 << 20);
    letters.keep("tempo", &batch(1, 1), "no").unwrap();
    let folder = dir.path().join("dead-letters/tempo");
    // Anything in the way will do: the next dead letter's file cannot be made.
    std::fs::rename(&folder, dir.path().join("away")).unwrap();
    std::fs::write(&folder, "").unwrap();
    letters.keep("tempo", &batch(1, 1), "no").unwrap_err();
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(dir.path().join("away"), &folder).unwrap();
    assert_eq!(letters.list().len(), 1);
    letters.keep("tempo", &batch(1, 1), "no").unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
}

/// Many small dead letters would take more memory than disk.
#[test]
fn their_number_is_bounded_too() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, _) = open(dir.path(), 1 << 20);
    let kept: Vec<_> = (0..5).map(|n| letters.keep("tempo", &batch(1, n), "no").unwrap()).collect();
    assert_eq!(letters.known(&kept[0]).unwrap().bound(1 << 20, 2).len(), 3);
    assert_eq!(ids(&letters), [kept[3].to_string(), kept[4].to_string()]);
}

/// What refuses something may refuse it again before it hears that it is kept.
#[test]
fn of_one_origin_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, _) = open(dir.path(), 1 << 20);
    let origin = |n| Some(Uuid::from_u128(n));
    let first = letters.keep_of("store", &batch(1, 1), "no", origin(1)).unwrap();
    let (letters, _) = open(dir.path(), 1 << 20);
    assert_eq!(letters.keep_of("store", &batch(1, 1), "no", origin(1)).unwrap(), first);
    let second = letters.keep_of("store", &batch(1, 1), "no", origin(2)).unwrap();
    let third = letters.keep("store", &batch(1, 1), "no").unwrap();
    assert_eq!(ids(&letters), [&first, &second, &third].map(ToString::to_string));
    let identity = |id: &DeadLetterId| letters.read(id).unwrap().0.identity(id);
    assert_eq!((Some(identity(&first)), Some(identity(&second))), (origin(1), origin(2)));
    assert_ne!(identity(&third), identity(&letters.keep("store", &batch(1, 1), "no").unwrap()));
}

#[test]
fn one_that_is_taken_stays_until_it_is_so_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (letters, telemetry) = open(dir.path(), 1 << 20);
    let id = letters.keep("store", &batch(1, 3), "no").unwrap();
    assert_eq!(retry(&letters, &id, Retried::Taken).unwrap(), Retried::Taken);
    assert!(letters.list()[0].taken);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(letters.refused_again(&id, "after all not")).unwrap();
    let (head, taken) = (letters.read(&id).unwrap().0, letters.list()[0].taken);
    assert_eq!((head.reason.as_str(), head.retries, taken), ("after all not", 1, false));
    assert_eq!(retry(&letters, &id, Retried::Taken).unwrap(), Retried::Taken);
    runtime.block_on(letters.resent(&id)).unwrap();
    assert!(letters.list().is_empty());
    let key = "vispyr_dead_letters_resent_items_total{destination=\"store\",signal=\"profiles\"}";
    assert_eq!(metric(&telemetry, key), "3.0");
}
