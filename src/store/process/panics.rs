//! A panic in any thread ends the process: the thread's work would be missing, and nobody would notice. The
//! process is started again, and what was in memory comes back from the logs.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{EXIT_SPOILT, exit};

/// Threads of this name report their panics themselves: they run statements, which are answered.
const STATEMENT_THREAD: &str = "sql";

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic ends the process, after the usual message.
pub fn end_the_process() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if CAUGHT.get() || std::thread::current().name() == Some(STATEMENT_THREAD) {
            return;
        }
        tracing::error!(%panic, "a thread panicked, the process ends, to be started again");
        exit(EXIT_SPOILT);
    }));
}

/// Calls `work`, whose panic is the caller's to deal with.
///
/// # Errors
/// If it panicked.
pub fn catch<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    CAUGHT.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(false);
    result
}
