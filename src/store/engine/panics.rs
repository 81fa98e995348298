//! A panic in any thread ends the engine's process: the thread's work would be missing, and nobody
//! would notice. The process is started again, and the log brings back what was in memory.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::shared::EXIT_FATAL;

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
        tracing::error!(%panic, "a thread of the engine panicked, the engine ends, to be started again");
        super::exit(EXIT_FATAL);
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
