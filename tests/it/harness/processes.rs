//! Processes and their children, by /proc.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// Sends a signal to a process; one that is gone is fine.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The first argument of a process.
pub fn subcommand_of(pid: u32) -> Option<String> {
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    arguments.split('\0').nth(1).map(str::to_owned)
}

/// The children of a process, from /proc.
pub fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let parent_of = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

/// SIGKILL to a process and its children.
pub fn kill_tree(child: &mut Child) {
    let below = children_of(child.id());
    let _ = child.kill();
    for pid in &below {
        signal(*pid, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
    // They are init's now; wait until they are gone, so that their locks are.
    let deadline = Instant::now() + Duration::from_secs(10);
    let running = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    #[allow(
        clippy::disallowed_methods,
        reason = "the condition is in /proc, which can only be polled; runs in drop, too"
    )]
    while below.iter().any(running) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}
