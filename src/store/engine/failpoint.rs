//! Named steps at which a test can have the engine die, as a power cut or `kill -9` would:
//! `VISPYR_CRASH_AT=after_rename`, or `after_rename:3` for the third time. Without the variable a
//! step costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Variable that names the step.
pub const VARIABLE: &str = "VISPYR_CRASH_AT";

/// Every step, in the order of a flush.
pub const STEPS: &[&str] = &[
    "before_switch",
    "after_switch",
    "before_copy",
    "after_copy",
    "after_sync",
    "after_rename",
    "after_dir_sync",
    "before_catalog",
    "after_catalog",
    "in_publish",
    "after_publish",
    "in_swap",
    "after_swap",
    "received",
    "before_insert",
    "in_insert",
    "after_insert",
];

/// Every step of making a lost catalog again, in their order.
pub const REBUILD_STEPS: &[&str] =
    &["rebuild_begin", "rebuild_read", "rebuild_written", "rebuild_set_aside", "rebuild_done"];

enum Action {
    Die,
    Panic,
    Hang,
}

struct Armed {
    action: Action,
    step: String,
    left: AtomicU32,
}

/// Every step of the merger with one job, in their order.
pub const MERGER_STEPS: &[&str] = &["merger_before_copy", "merger_before_sync", "merger_before_answer"];

/// Ends the process with SIGKILL if this step was asked for; panics if it was with `panic ` before
/// it, and stops the thread for good with `hang `.
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

/// The same for a test that has a transaction fail: `VISPYR_CRASH_AT=commit_fails:3` ends the third
/// transaction before its `COMMIT`, which then fails.
pub fn end_transaction(db: &duckdb::Connection) {
    static LEFT: OnceLock<Option<AtomicU32>> = OnceLock::new();
    let parse = || Some(AtomicU32::new(std::env::var(VARIABLE).ok()?.strip_prefix("commit_fails:")?.parse().ok()?));
    if let Some(left) = LEFT.get_or_init(parse)
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        let _ = db.execute_batch("ROLLBACK");
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
        _ => (Action::Die, value),
    };
    let (step, times) = value.split_once(':').unwrap_or((value, "1"));
    if step.is_empty() {
        return None;
    }
    Some(Armed { action, step: step.to_owned(), left: AtomicU32::new(times.parse().unwrap_or(1)) })
}
