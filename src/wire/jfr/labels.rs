//! The labels that Pyroscope's Java agent sends beside a recording, by the number that its events
//! refer to (`jfr_labels.proto` of grafana/jfr-parser).

use std::collections::HashMap;

/// Labels of one moment: references to the texts of their names and values.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Context {
    /// Name to value.
    #[prost(map = "int64, int64", tag = "1")]
    pub labels: HashMap<i64, i64>,
}

/// All labels of a recording.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LabelsSnapshot {
    /// By the number in the events.
    #[prost(map = "int64, message", tag = "1")]
    pub contexts: HashMap<i64, Context>,
    /// Texts by their number.
    #[prost(map = "int64, string", tag = "2")]
    pub strings: HashMap<i64, String>,
}

impl LabelsSnapshot {
    /// Reads the encoded labels.
    ///
    /// # Errors
    /// What prost says of bytes that are no such message.
    pub fn parse(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        prost::Message::decode(bytes)
    }

    /// The labels of a context, by name; those whose texts are missing are left out.
    pub fn of(&self, context: u64) -> Vec<(&str, &str)> {
        let context = self.contexts.get(&context.cast_signed());
        let text = |id: &i64| self.strings.get(id).map(String::as_str).filter(|text| !text.is_empty());
        let labels = context.into_iter().flat_map(|context| &context.labels);
        let mut labels: Vec<_> = labels.filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        labels.sort_unstable();
        labels
    }

    /// A text by its number.
    pub fn text(&self, id: u64) -> Option<&str> {
        self.strings.get(&id.cast_signed()).map(String::as_str).filter(|text| !text.is_empty())
    }
}
