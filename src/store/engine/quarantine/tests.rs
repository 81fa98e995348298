//! Notes come and go with the catalog and the collector.

use super::*;
use crate::signal::{Batch, Compression, Format, Meta, Signal};
use crate::store::protocol::Part;
use crate::wal::Position;

fn logs(oldest: u64) -> [LogState; 4] {
    [1, 2, 3, 4].map(|n| LogState { id: Uuid::from_u128(n), oldest: Position(oldest), next: Position(100) })
}

fn note(log: u128, position: u64) -> Quarantined {
    let part = Part::Items(vec![3]);
    Quarantined::of_log(Uuid::from_u128(log), Signal::Logs, Position(position), "odd".to_owned(), part)
}

fn row() -> Quarantined {
    let batch = Batch {
        signal: Signal::Traces,
        format: Format::StoreRow,
        compression: Compression::Identity,
        items: 1,
        decoded_size: 2,
        received: 0,
        meta: Meta::default(),
        payload: "{}".into(),
    };
    Quarantined::of_none(batch, "odd".to_owned())
}

fn none() -> Quarantine {
    Quarantine::new(Vec::new(), Path::new("/nowhere"))
}

#[test]
fn a_note_is_told_once_a_connection_until_it_is_kept() {
    let quarantine = none();
    quarantine.add(note(1, 5));
    quarantine.add(note(1, 5));
    quarantine.add(note(9, 5));
    assert_eq!(quarantine.tell_all(&logs(0)), [note(1, 5)], "the other log is not there");
    assert_eq!(quarantine.tell_new(&logs(0)), []);
    quarantine.add(note(2, 6));
    assert_eq!(quarantine.tell_new(&logs(0)), [note(2, 6)]);
    quarantine.kept(note(1, 5).id);
    assert_eq!(quarantine.tell_all(&logs(0)), [note(2, 6)]);
    assert_eq!(quarantine.tell_all(&logs(7)), [], "the log does not have it any more");
}

#[test]
fn the_catalog_takes_them_and_forgets_those_that_are_kept() {
    let quarantine = none();
    quarantine.add(note(1, 5));
    quarantine.add(note(1, 6));
    let mut changes = quarantine.changes();
    assert_eq!((changes.added.len(), changes.kept.len()), (2, 0));
    let row = row();
    changes.added.push(row.clone());
    // A dead letter of one is made while the transaction runs.
    quarantine.kept(note(1, 6).id);
    quarantine.saved(&changes, vec![row.clone()]);
    assert_eq!(quarantine.tell_all(&logs(0)), [note(1, 5), row.clone()]);
    assert_eq!(quarantine.changes(), Changes { kept: vec![note(1, 6).id], ..Changes::default() });

    let again = Quarantine::new(vec![note(1, 5), row], Path::new("/nowhere"));
    assert_eq!(again.changes(), Changes::default());
    again.kept(note(1, 5).id);
    assert_eq!(again.changes().kept, [note(1, 5).id]);
}

#[test]
fn their_number_is_bounded_and_the_surplus_counted() {
    let quarantine = none();
    for position in 0..MAX as u64 + 3 {
        quarantine.add(note(1, position));
    }
    assert_eq!(quarantine.counts(), (MAX as u64, 3));
    assert_eq!(quarantine.tell_all(&logs(0))[0], note(1, 3));
}

#[test]
fn records_of_an_earlier_version_are_told_and_its_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let log = Uuid::from_u128(1);
    let head =
        format!("{{\"signal\":\"logs\",\"position\":7,\"log\":\"{log}\",\"reason\":\"odd\",\"items\":1}}\npayload");
    std::fs::write(dir.path().join("logs-7.record"), head).unwrap();
    std::fs::write(dir.path().join("logs-8.items"), "{}\n").unwrap();
    std::fs::write(dir.path().join("logs-9.record"), "nonsense").unwrap();
    let quarantine = Quarantine::new(Vec::new(), dir.path());
    let expected = Quarantined::of_log(log, Signal::Logs, Position(7), "odd".to_owned(), Part::Record);
    assert_eq!(quarantine.tell_all(&logs(0)), [expected]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
}
