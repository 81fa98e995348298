//! Rows for which the writer finds no memory: the engine ends over them, and in the end the record is set
//! aside alone.

use vispyr::store::engine::{CRASHED, EXIT_INSERT, failpoint};

use crate::store::rig::{EngineProcess, LOG, MEMORY_LIMIT, MEMORY_PATIENCE, Sender, Source, feed};

const SPANS: u32 = 20;

const ALL: (u64, u64) = (10 * SPANS as u64, 10 * SPANS as u64);

/// DuckDB has no memory for the fourth record.
const SHORT: [(&str, &str); 3] =
    [(failpoint::VARIABLE, "no_memory_position:3"), (MEMORY_LIMIT, "64MiB"), (MEMORY_PATIENCE, "300ms")];

fn wait_for_its_end(engine: &mut EngineProcess) {
    let status = engine.wait_for_end();
    assert_eq!(status.code(), Some(EXIT_INSERT.into()), "{status}");
}

#[test]
fn a_record_that_finds_no_memory_is_set_aside_alone() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    let alone = [SHORT[0], SHORT[1], SHORT[2], (CRASHED, "1")];
    let mut ends = 0;
    let mut engine = loop {
        let mut engine = EngineProcess::start(dir.path(), &alone);
        if feed(&engine, &source, 10) {
            break engine;
        }
        wait_for_its_end(&mut engine);
        ends += 1;
        assert!(ends < 10);
    };
    assert!(ends >= 3, "after {ends}");
    assert_eq!(engine.spans(), (ALL.0 - u64::from(SPANS), ALL.1 - u64::from(SPANS)));
    let heard = Sender::connect(&engine, LOG, 10).heard();
    assert!(heard.is_aside(3) && heard.aside.len() == 1, "{:?}", heard.aside);
}
