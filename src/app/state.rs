//! How far the start has come: what `/-/ready` answers from.

use std::sync::Arc;

use parking_lot::Mutex;

/// What is still waited for. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct State(Arc<Mutex<Vec<&'static str>>>);

impl State {
    /// Waits for these.
    pub fn waiting_for(what: &[&'static str]) -> Self {
        State(Arc::new(Mutex::new(what.to_vec())))
    }

    /// One of them is there.
    pub fn done(&self, what: &'static str) {
        self.0.lock().retain(|waiting| *waiting != what);
    }

    /// It is gone, or about to go.
    pub fn gone(&self, what: &'static str) {
        self.0.lock().push(what);
    }

    /// What is missing; nothing once ready.
    pub fn missing(&self) -> Vec<String> {
        self.0.lock().iter().map(|what| (*what).to_owned()).collect()
    }
}
