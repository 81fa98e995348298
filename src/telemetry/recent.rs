//! The last warnings and errors of our own log, for `vispyr status`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many are kept.
const KEPT: usize = 20;

/// One line of the log.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// `WARN` or `ERROR`.
    pub level: &'static str,
    /// The module that said it.
    pub target: String,
    /// Message and fields.
    pub message: String,
}

/// The last warnings and errors, the newest last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<VecDeque<Entry>>>);

impl Recent {
    /// What is kept now.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().iter().cloned().collect()
    }
}

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            _ => return,
        };
        let mut text = Text::default();
        event.record(&mut text);
        let entry = Entry {
            time: crate::signal::now_nanos(),
            level,
            target: event.metadata().target().to_owned(),
            message: format!("{}{}", text.message, text.fields),
        };
        let mut kept = self.0.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(entry);
    }
}

/// Gathers an event's message and fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
