//! The processes of the store, from both sides.
//!
//! Engine, merger and readers are children of the process that people start. Whoever starts one has its exit
//! told, and ends it by a signal. Its standard input is a socket between the two: over it the child says that
//! it is ready, and it ends there when its parent is gone, however that ended.
//!
//! | module | what |
//! |---|---|
//! | [`child`] | the parent's side: started, found ready, ended |
//! | [`exit`] | how a process ended |
//! | [`restarts`] | how long it waits before it is started again |
//! | [`memory`] | what it takes, seen from outside |
//! | [`startup`] | the child's side: what it does before any thread is there |
//! | [`confinement`] | what the kernel keeps it from |
//! | [`parent`] | what it says to its parent, and its end with it |
//! | [`panics`] | a panic ends the process |
//! | [`socket`] | where it listens |

pub mod child;
pub mod confinement;
pub mod exit;
pub mod memory;
pub mod panics;
pub mod parent;
pub mod restarts;
pub mod socket;
pub mod startup;

pub use child::{Child, Command};
pub use exit::Exit;
pub use startup::{ProcessError, confine};

/// Exit code of a process whose DuckDB is beyond use. It is started again.
pub const EXIT_SPOILT: i32 = 70;

/// Ends this process at once. C++'s exit handlers would take away what DuckDB's threads still use: now and
/// then one crashed over that, and a crash was told in the place of `code`.
pub fn exit(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}
