//! What the store remembers of dead letters goes once they are stored and deleted.

use std::path::Path;

use uuid::Uuid;
use vispyr::quarantine::dead_letters::Retried;
use vispyr::store::catalog::Catalog;
use vispyr::wal::Position;

use crate::store::rig::{EngineProcess, Source};
use crate::store_letters::{Collector, wait};

const LETTERS: u64 = 3;

/// Letters that are sent again, stored and deleted. Their identities.
fn resent(collector: &Collector, engine: &mut EngineProcess) -> Vec<Uuid> {
    let source = Source::new(5);
    let mut identities = Vec::new();
    for n in 0..LETTERS {
        let id = collector.letters.keep("store", &source.record(n).batch, "by hand").unwrap();
        identities.push(collector.letters.read(&id).unwrap().0.identity(&id));
        assert_eq!(collector.retry_until_answered(&id), Retried::Taken);
    }
    engine.ask(".flush");
    wait("sealed", || collector.letters.list().is_empty());
    identities
}

/// A record of the log, sealed.
fn seal_another(collector: &Collector, engine: &mut EngineProcess, spans: u64) {
    collector.append(Source::new(5).record(9).batch);
    wait("visible", || engine.spans() == (spans, spans));
    engine.ask(".flush");
}

/// Which of these letters the catalog remembers. The engine must have ended.
fn remembered(dir: &Path, letters: &[Uuid]) -> usize {
    let positions =
        Catalog::open(&dir.join("store/catalog.sqlite"), &dir.join("store/sealed"), 0).unwrap().positions().unwrap();
    assert!(positions.values().any(|position| *position > Position(0)), "{positions:?}");
    positions.keys().filter(|(log, _)| letters.contains(log)).count()
}

#[test]
fn the_next_flush_forgets_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let collector = Collector::start(dir.path());
    let letters = resent(&collector, &mut engine);
    seal_another(&collector, &mut engine, 5 * LETTERS + 5);
    engine.kill();
    assert_eq!(remembered(dir.path(), &letters), 0);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (5 * LETTERS + 5, 5 * LETTERS + 5));
    collector.end();
}

#[test]
fn an_engine_that_stops_forgets_them_without_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let collector = Collector::start(dir.path());
    seal_another(&collector, &mut engine, 5);
    let letters = resent(&collector, &mut engine);
    engine.stop();
    // It may have been stopped before it was told: then it is, when it is back.
    wait("forgotten", || {
        let forgotten = remembered(dir.path(), &letters) == 0;
        if !forgotten {
            let mut engine = EngineProcess::start(dir.path(), &[]);
            assert_eq!(engine.spans(), (5 * LETTERS + 5, 5 * LETTERS + 5));
            engine.stop();
        }
        forgotten
    });
    collector.end();
}

#[test]
fn an_engine_that_was_killed_is_told_of_them_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let collector = Collector::start(dir.path());
    let letters = resent(&collector, &mut engine);
    engine.kill();
    assert_eq!(remembered(dir.path(), &letters), letters.len(), "they are sealed, and may come again");
    let mut engine = EngineProcess::start(dir.path(), &[]);
    seal_another(&collector, &mut engine, 5 * LETTERS + 5);
    engine.kill();
    assert_eq!(remembered(dir.path(), &letters), 0);
    collector.end();
}
