//! Named steps at which a test can have the engine die, as a power cut or `kill -9` would:
//! `VISPYR_CRASH_AT=after_rename`, or `after_rename:3` for the third time. Without the variable a
//! step costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Variable that names the step.
pub const VARIABLE: &str = "VISPYR_CRASH_AT";

/// Every step, in the order that a batch of records goes.
pub const STEPS: &[&str] = &[
    "received",
    "before_insert",
    "before_copy",
    "after_copy",
    "after_rename",
    "in_insert",
    "after_insert",
    "before_seal",
    "in_seal",
    "after_dir_sync",
    "before_catalog",
    "after_catalog",
    "in_publish",
    "after_publish",
    "after_show",
];

/// Every step of making a lost catalog again, in their order.
pub const REBUILD_STEPS: &[&str] =
    &["rebuild_begin", "rebuild_read", "rebuild_written", "rebuild_set_aside", "rebuild_done"];

enum Action {
    Die,
    Panic,
    Hang,
    Grow,
}

/// What [`Action::Grow`] takes, in bytes.
const GROWN: usize = 256 << 20;

struct Armed {
    action: Action,
    step: String,
    left: AtomicU32,
}

/// Every step of merging in the engine, before the files are exchanged.
pub const MERGE_STEPS: &[&str] = &["merge_begin", "merge_written", "merge_renamed"];

/// Every step of the merger with one job, in their order.
pub const MERGER_STEPS: &[&str] = &["merger_before_copy", "merger_before_sync", "merger_before_answer"];

/// Every step of a reader with one statement, in their order.
pub const READER_STEPS: &[&str] = &["reader_planned", "reader_opened", "reader_streams"];

/// Every step of the store front with one statement, in their order.
pub const FRONT_STEPS: &[&str] = &["front_waits", "front_leased", "front_streams"];

/// Ends the process with SIGKILL if this step was asked for; panics if it was with `panic ` before
/// it, stops the thread for good with `hang `, and takes memory for good with `grow `.
pub fn reach(step: &str) {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let Some(armed) = ARMED.get_or_init(|| parse(&std::env::var(VARIABLE).ok()?)) else { return };
    if armed.step != step || armed.left.fetch_sub(1, Ordering::Relaxed) != 1 {
        return;
    }
    match armed.action {
        Action::Die => die(),
        Action::Panic => panic!("{VARIABLE} asks for it"),
        Action::Hang => loop {
            std::thread::park();
        },
        Action::Grow => std::mem::forget(std::hint::black_box(vec![1_u8; GROWN])),
    }
}

/// The same for a test that has one record crash the process: `VISPYR_CRASH_AT=insert_position:7`
/// aborts whenever that record is inserted.
pub fn reach_position(first: u64, after: u64) {
    static POSITION: OnceLock<Option<u64>> = OnceLock::new();
    let parse = || std::env::var(VARIABLE).ok()?.strip_prefix("insert_position:")?.parse().ok();
    if POSITION.get_or_init(parse).is_some_and(|position| (first..after).contains(&position)) {
        std::process::abort();
    }
}

/// The same for a test that has a record find no memory: with `VISPYR_CRASH_AT=no_memory_position:7` DuckDB
/// is asked for more than there is whenever that record is inserted.
///
/// # Errors
/// DuckDB's.
pub fn exhaust_memory(db: &duckdb::Connection, first: u64, after: u64) -> duckdb::Result<()> {
    static POSITION: OnceLock<Option<u64>> = OnceLock::new();
    let parse = || std::env::var(VARIABLE).ok()?.strip_prefix("no_memory_position:")?.parse().ok();
    if POSITION.get_or_init(parse).is_some_and(|position| (first..after).contains(&position)) {
        db.execute_batch("SELECT len(list(range)) FROM range(100000000)")?;
    }
    Ok(())
}

/// The same for a test that has a row which no file takes: with `VISPYR_CRASH_AT=spoilt_span:17` the attributes
/// of the span in that row of each batch are no variant.
pub fn spoil(relation: &str, table: crate::store::schema::Table) -> Option<String> {
    static ROW: OnceLock<Option<u32>> = OnceLock::new();
    let parse = || std::env::var(VARIABLE).ok()?.strip_prefix("spoilt_span:")?.parse().ok();
    let row = (*ROW.get_or_init(parse))?;
    let spoilt = format!("CASE WHEN row_number() OVER () = {row} THEN '\\xff\\xff'::BLOB ELSE attributes END");
    (table == crate::store::schema::Table::Spans)
        .then(|| format!("(SELECT * REPLACE ({spoilt} AS attributes) FROM {relation})"))
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal is on its way; nothing more may happen here.
    loop {
        std::thread::park();
    }
}

fn parse(value: &str) -> Option<Armed> {
    let (action, value) = match value.split_once(' ') {
        Some(("panic", rest)) => (Action::Panic, rest),
        Some(("hang", rest)) => (Action::Hang, rest),
        Some(("grow", rest)) => (Action::Grow, rest),
        _ => (Action::Die, value),
    };
    let (step, times) = value.split_once(':').unwrap_or((value, "1"));
    if step.is_empty() {
        return None;
    }
    Some(Armed { action, step: step.to_owned(), left: AtomicU32::new(times.parse().unwrap_or(1)) })
}
