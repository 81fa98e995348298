//! What a power cut leaves of the files of a first start: names without content, content without
//! a name, half of it. Nothing was acknowledged yet, so the log opens and takes records.

use super::*;

const FILES: [&str; 3] = ["id", "cursors", "00000000000000000000.log"];

/// The states in which a file may be found, given what was written.
fn states(whole: &[u8]) -> [Option<Vec<u8>>; 5] {
    let half = whole[..whole.len() / 2].to_vec();
    [Some(whole.to_vec()), None, Some(Vec::new()), Some(vec![0; whole.len().max(4096)]), Some(half)]
}

#[test]
fn a_log_that_holds_nothing_opens_whatever_is_left_of_its_files() {
    let first = tempfile::tempdir().unwrap();
    let running = open(first.path(), &small(), &["out"]);
    let written = FILES.map(|name| std::fs::read(first.path().join("log").join(name)).unwrap());
    drop(running);
    let [ids, cursors, segments] = written.map(|content| states(&content));
    for (a, id) in ids.iter().enumerate() {
        for (b, cursors) in cursors.iter().enumerate() {
            for (c, segment) in segments.iter().enumerate() {
                let dir = tempfile::tempdir().unwrap();
                std::fs::create_dir(dir.path().join("log")).unwrap();
                for (name, content) in FILES.iter().zip([id, cursors, segment]) {
                    if let Some(content) = content {
                        std::fs::write(dir.path().join("log").join(name), content).unwrap();
                    }
                }
                let destinations = [Destination::new("out", Start::Oldest)];
                let mut identity = None;
                // The second time it is an ordinary log.
                for round in 0..2 {
                    let log = Log::open(dir.path().join("log"), Signal::Logs, &small(), &destinations);
                    let log = log.unwrap_or_else(|error| panic!("id {a}, cursors {b}, segment {c}: {error}"));
                    assert_eq!(*identity.get_or_insert(log.id()), log.id());
                    assert_eq!(log.stats().missing_records, 0, "id {a}, cursors {b}, segment {c}");
                    block_on(async {
                        assert_eq!(append(&log, [batch(100, round)]).await, [Position(round)]);
                        let mut reader = log.reader("out").unwrap();
                        let read = drain(&log, &mut reader, 1 << 20).await;
                        assert_eq!(read.len() as u64, round + 1, "id {a}, cursors {b}, segment {c}");
                    });
                }
            }
        }
    }
}
