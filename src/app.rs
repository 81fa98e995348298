//! Builds the parts, starts them in order, stops them in order.

use crate::cli::Settings;

/// What runs in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Receivers, logs, exporters, web.
    pub collector: bool,
    /// Store front, and the engine as its child.
    pub store: bool,
}

impl Roles {
    /// Both.
    pub const SERVE: Roles = Roles { collector: true, store: true };
    /// The collector alone.
    pub const COLLECTOR: Roles = Roles { collector: true, store: false };
    /// The store alone.
    pub const STORE: Roles = Roles { collector: false, store: true };
}

/// Runs until it is told to stop.
pub fn run(_settings: Settings, _roles: Roles) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}
