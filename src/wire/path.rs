//! The path of a fault, such as `resource_spans[0].scope_spans[2].spans[17].trace_id`.

use super::descriptor::{Kind, Message};
use super::walk::Trace;

/// Keeps the path while the walk is made a second time.
pub(super) struct PathTrace {
    levels: Vec<Level>,
}

struct Level {
    message: &'static Message,
    /// How many elements of each field have begun.
    begun: [u32; 32],
    /// The field in which the level below is.
    inside: u32,
}

impl Level {
    fn new(message: &'static Message) -> Self {
        Level { message, begun: [0; 32], inside: 0 }
    }

    fn begin(&mut self, tag: u32) {
        self.inside = tag;
        self.begun[tag as usize % 32] += 1;
    }

    /// Appends `.field[index]`.
    fn describe(&self, tag: u32, path: &mut String) {
        let Some(field) = self.message.fields.iter().find(|field| field.tag == tag) else { return };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(field.name);
        if field.repeated && matches!(field.kind, Kind::Message(_) | Kind::String) {
            let index = self.begun[tag as usize % 32].saturating_sub(1);
            path.push_str(&format!("[{index}]"));
        }
    }
}

impl PathTrace {
    pub(super) fn new(message: &'static Message) -> Self {
        PathTrace { levels: vec![Level::new(message)] }
    }

    /// The path to here, and to the field with this number (0: none) of the innermost message.
    pub(super) fn path(&self, tag: u32) -> String {
        let mut path = String::new();
        for (depth, level) in self.levels.iter().enumerate() {
            let innermost = depth + 1 == self.levels.len();
            level.describe(if innermost { tag } else { level.inside }, &mut path);
        }
        path
    }
}

impl Trace for PathTrace {
    fn enter(&mut self, message: &'static Message, field: usize) {
        if let Some(level) = self.levels.last_mut() {
            level.begin(level.message.fields[field].tag);
        }
        self.levels.push(Level::new(message));
    }

    fn leave(&mut self) {
        self.levels.pop();
    }

    fn element(&mut self, tag: u32) {
        if let Some(level) = self.levels.last_mut() {
            level.begin(tag);
        }
    }
}
