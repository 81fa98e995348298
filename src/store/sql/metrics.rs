//! How many statements came, what became of them, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Since the store front started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Statements by outcome: `ok`, or one of [`super::SqlError::outcome`].
    pub statements: BTreeMap<String, u64>,
    /// Time that they took together, waiting for their turn included, in seconds.
    pub seconds: f64,
    /// Statements that run now.
    pub running: u64,
}

impl Metrics {
    /// One more has ended.
    pub fn add(&mut self, outcome: &str, took: Duration) {
        *self.statements.entry(outcome.to_owned()).or_default() += 1;
        self.seconds += took.as_secs_f64();
    }
}
