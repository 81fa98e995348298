//! `vispyr reader`: the process that runs the statements of users, one at a time. The store front starts it
//! and ends it.

use std::num::NonZero;

use super::Settings;
use crate::store::instance::Limits;
use crate::store::reader::process;

/// Threads of a reader's DuckDB: one statement must not take all of a large machine.
const THREADS: usize = 2;

/// Runs a reader until its parent is gone. It has this number among those of its parent.
pub fn run(settings: Settings, number: u64) -> anyhow::Result<()> {
    let Settings { config, data_dir, .. } = settings;
    // Asked for while it can be.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = config.store.threads.map_or(processors, |threads| threads as usize).min(THREADS);
    let name = format!("reader-{number}");
    let options = process::Options {
        sealed: config.store.dir(&data_dir).join("sealed"),
        spill: config.store.spill_dir(&data_dir).join(&name),
        socket: config.store.socket_dir(&data_dir).join(format!("{name}.sock")),
        limits: Limits {
            // Two that take all they can leave room for the others.
            memory: config.sql.memory_limit.as_u64() / 8 * 3,
            threads: u32::try_from(threads).unwrap_or(1),
        },
        sql: config.sql,
    };
    Ok(process::run(&options)?)
}
