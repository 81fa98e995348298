//! What the kernel keeps a process of the store from (landlock(7)): whatever a statement gets past the
//! gates before DuckDB, and past DuckDB's own sandbox, it can read and write the folders that this
//! process is for and nothing else, opens no connection and sends nobody a signal.
//!
//! The rules hold for the thread that sets them and for those that it starts later, so they are
//! set first of all. They cannot be taken back.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::telemetry::process::Usage;

/// The version of Landlock that the rules are written for. An older kernel takes those that it has.
const LANDLOCK: ABI = ABI::V7;

/// Where DuckDB and the standard library ask how much memory and how many processors there are for
/// us: DuckDB 2.0.0 ends with an internal error if such a file is there and cannot be opened. And which start of
/// the machine this is.
const RESOURCES: [&str; 5] =
    ["/sys/fs/cgroup", "/proc/meminfo", "/proc/self/cgroup", "/proc/self/mountinfo", "/proc/sys/kernel/random/boot_id"];

/// Why the rules could not be set, on a kernel that has Landlock.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    /// A folder that the process needs.
    #[error("cannot open {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The answer.
        source: landlock::PathFdError,
    },
    /// The kernel's answer.
    #[error("landlock: {0}")]
    Landlock(#[from] RulesetError),
}

/// How much of it the kernel holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confined {
    /// All of it.
    Fully,
    /// What a kernel of this age has.
    Partly,
    /// Nothing: it has no Landlock.
    Not,
}

/// The folders that a process is for. All of them must be there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Folders<'a> {
    /// It reads what is in them.
    pub reads: &'a [&'a Path],
    /// It reads, writes and removes what is in them.
    pub writes: &'a [&'a Path],
    /// It may make sockets in them and remove what is in their way.
    pub sockets: &'a [&'a Path],
}

/// From here on this thread, and those that it starts, reach what is in `folders` and read the
/// libraries that are loaded. There are no new privileges, on any kernel.
///
/// # Errors
/// See [`ConfinementError`]: nothing is confined then.
pub fn confine(folders: Folders<'_>) -> Result<Confined, ConfinementError> {
    // Opened once: what /proc has of us is not ours to open afterwards.
    let _ = Usage::own();
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // No device is made, and nothing is executed.
    let no_devices = AccessFs::Execute | AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev;
    let all_but_devices = AccessFs::from_all(LANDLOCK) & !no_devices;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?;
    let Folders { reads, writes, sockets } = folders;
    for (folders, access) in
        [(reads, read), (writes, all_but_devices), (sockets, AccessFs::MakeSock | AccessFs::RemoveFile)]
    {
        for folder in folders {
            rules = rules.add_rule(beneath(folder, access)?)?;
        }
    }
    for library in libraries() {
        // One that was replaced since is not there any more.
        if let Ok(rule) = beneath(&library, AccessFs::ReadFile | AccessFs::Execute) {
            rules = rules.add_rule(rule)?;
        }
    }
    for path in RESOURCES.map(Path::new) {
        let access = if path.is_dir() { read } else { AccessFs::ReadFile.into() };
        if let Ok(file) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(&file, access))?;
            // It stays open: a rule is of an inode, and /proc makes another one for the same name once the kernel
            // has let go of a file that nobody has open.
            std::mem::forget(file);
        }
    }
    let RestrictionStatus { ruleset, .. } = rules.restrict_self()?;
    Ok(match ruleset {
        RulesetStatus::FullyEnforced => Confined::Fully,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

fn beneath(path: &Path, access: impl Into<BitFlags<AccessFs>>) -> Result<PathBeneath<PathFd>, ConfinementError> {
    let folder = PathFd::new(path).map_err(|source| ConfinementError::Folder { path: path.to_owned(), source })?;
    Ok(PathBeneath::new(folder, access))
}

/// The files that are mapped into this process: the program and its libraries.
fn libraries() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    // proc_pid_maps(5): address, permissions, offset, device, inode, path.
    let paths = maps.lines().filter_map(|line| line.splitn(6, ' ').nth(5)).map(str::trim_start);
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.starts_with('/')).map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    paths
}
