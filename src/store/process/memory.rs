//! What a process takes, seen from outside.

/// Memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that are resident.
    pub resident: u64,
    /// Bytes of those that are its own alone.
    pub own: u64,
}

impl Memory {
    /// Of the process of this number; nothing if it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        // proc_pid_statm(5): size, resident, shared, in pages.
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let mut pages = statm.split(' ').skip(1).map(|pages| pages.parse::<u64>().ok());
        let (resident, shared) = (pages.next()??, pages.next()??);
        let page = rustix::param::page_size() as u64;
        Some(Memory { resident: resident * page, own: resident.saturating_sub(shared) * page })
    }
}
