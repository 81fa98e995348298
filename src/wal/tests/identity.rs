//! The identity of a log, and logs of before it had a checksum.

use super::*;

/// Made by the program of before, killed: 45 records of one log record each in two segments, the
/// first with its index.
const OLD: [(&str, &[u8]); 5] = [
    ("id", include_bytes!("old-log/id")),
    ("cursors", include_bytes!("old-log/cursors")),
    ("00000000000000000000.log", include_bytes!("old-log/00000000000000000000.log")),
    ("00000000000000000000.idx", include_bytes!("old-log/00000000000000000000.idx")),
    ("00000000000000000035.log", include_bytes!("old-log/00000000000000000035.log")),
];

fn old_log(dir: &Path) {
    std::fs::create_dir(dir.join("log")).unwrap();
    for (name, content) in OLD {
        std::fs::write(dir.join("log").join(name), content).unwrap();
    }
}

fn positions(dir: &Path) -> Vec<u64> {
    block_on(async {
        let log = open(dir, &small(), &["out"]);
        let mut reader = log.reader("out").unwrap();
        drain(&log, &mut reader, 1 << 20).await.iter().map(|record| record.position.0).collect()
    })
}

#[test]
fn a_log_of_before_opens_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    old_log(dir.path());
    block_on(async {
        for round in 0..2 {
            let log = open(dir.path(), &small(), &["out"]);
            assert_eq!(log.id().to_string(), "c9e3f6e0-d6c2-475b-8952-09635808c18c");
            let mut reader = log.reader("out").unwrap();
            let read = drain(&log, &mut reader, 1 << 20).await;
            assert_eq!(
                read.iter().map(|record| record.position.0).collect::<Vec<_>>(),
                (0..45 + round).collect::<Vec<_>>()
            );
            let text = b"record 44";
            assert!(read[44].batch.payload.windows(text.len()).any(|window| window == text), "{:?}", read[44]);
            let stats = log.stats();
            assert_eq!((stats.corrupt_records, stats.missing_records), (0, 0));
            assert_eq!(append(&log, [batch(100, round)]).await, [Position(45 + round)]);
        }
    });
    let id = std::fs::read_to_string(dir.path().join("log/id")).unwrap();
    assert!(id.starts_with("vispyr log 1 c9e3f6e0-d6c2-475b-8952-09635808c18c crc32c "), "{id}");
}

#[test]
fn a_wrong_digit_in_the_identity_costs_nothing() {
    let original = {
        let dir = tempfile::tempdir().unwrap();
        block_on(append(&open(dir.path(), &small(), &["out"]), (0..20).map(|seed| batch(100, seed))));
        dir
    };
    let log = original.path().join("log");
    let id = std::fs::read(log.join("id")).unwrap();
    let whole = open(original.path(), &small(), &["out"]).id();
    // Every byte of it, also of the checksum; and a sector that cannot be read; and none at all.
    for at in 0..id.len() + 2 {
        let (mut wrong, mut broken) = (id.clone(), None);
        match wrong.get_mut(at) {
            Some(byte) => {
                *byte = if *byte == b'3' { b'4' } else { b'3' };
                std::fs::write(log.join("id"), &wrong).unwrap();
            }
            None if at == id.len() => {
                std::fs::write(log.join("id"), &id).unwrap();
                broken = Some(disk::faults::break_sectors(&log.join("id"), 0..4096));
            }
            None => std::fs::remove_file(log.join("id")).unwrap(),
        }
        let log = open(original.path(), &small(), &["out"]);
        assert_eq!(log.id(), whole, "{}", String::from_utf8_lossy(&wrong));
        assert_eq!(log.stats().corrupt_records, 0);
        drop((log, broken));
        assert_eq!(std::fs::read(original.path().join("log/id")).unwrap(), id, "it was written anew");
        assert_eq!(positions(original.path()), (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn an_identity_that_nobody_knows_is_refused_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    old_log(dir.path());
    let path = dir.path().join("log/id");
    // A wrong digit in the half that the records have, in a file without a checksum.
    let wrong = String::from_utf8(OLD[0].1.to_vec()).unwrap().replace("09635808c18c", "09635808c18d");
    std::fs::write(&path, &wrong).unwrap();
    let error = Log::open(dir.path().join("log"), Signal::Logs, &small(), &[]).unwrap_err().to_string();
    assert!(error.contains("log/id: it is damaged or missing") && error.contains("backup"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), wrong);
    for (name, content) in &OLD[1..] {
        assert_eq!(std::fs::read(dir.path().join("log").join(name)).unwrap(), *content, "{name}");
    }
    std::fs::write(&path, OLD[0].1).unwrap();
    assert_eq!(positions(dir.path()), (0..45).collect::<Vec<_>>());
}
