//! Lines of the journal say in words what their fields say: `journalctl` shows the message alone.

use std::fmt::{self, Write};

use tracing::field::{Field, Value, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Passes everything on to `L`, events with their fields added to the message:
/// `destination takes no data destination="tempo" reason=HTTP 503`. The fields stay, too.
#[derive(Debug)]
pub struct FieldsInMessage<L>(pub L);

impl<S, L> Layer<S> for FieldsInMessage<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let fields = event.metadata().fields();
        let mut texts = Texts { of_fields: vec![None; fields.len()], behind_message: String::new() };
        event.record(&mut texts);
        let Some(message) = fields.field("message") else { return self.0.on_event(event, context) };
        if let Some(text) = &mut texts.of_fields[message.index()] {
            text.push_str(&texts.behind_message);
        }
        let values: Vec<_> = texts.of_fields.iter().map(|text| text.as_ref().map(|text| text as &dyn Value)).collect();
        let values = fields.value_set_all(&values);
        let event = match event.parent() {
            Some(parent) => Event::new_child_of(parent.clone(), event.metadata(), &values),
            None => Event::new(event.metadata(), &values),
        };
        self.0.on_event(&event, context);
    }
}

/// The values of an event as text, by the index of their field, and what goes behind its message.
struct Texts {
    of_fields: Vec<Option<String>>,
    behind_message: String,
}

impl Texts {
    fn add(&mut self, field: &Field, text: String, shown: &dyn fmt::Debug) {
        if field.name() != "message" {
            let _ = write!(self.behind_message, " {}={shown:?}", field.name());
        }
        if let Some(place) = self.of_fields.get_mut(field.index()) {
            *place = Some(text);
        }
    }
}

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"), value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What reaches the layer within: name and text of each field.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<(&'static str, String)>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            event.record(&mut self.clone());
        }
    }

    impl Visit for Seen {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.lock().push((field.name(), value.to_owned()));
        }

        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.lock().push((field.name(), format!("{value:?}")));
        }
    }

    fn seen(say: impl FnOnce()) -> Vec<(&'static str, String)> {
        let seen = Seen::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(FieldsInMessage(seen.clone())), say);
        Arc::try_unwrap(seen.0).map(Mutex::into_inner).unwrap_or_default()
    }

    #[test]
    fn the_message_says_what_the_fields_say_and_they_stay() {
        let absent: Option<u32> = None;
        let found =
            seen(|| tracing::warn!(destination = "tempo", items = 7, absent, reason = %"HTTP 404", "does not take it"));
        let expected = [
            ("message", r#"does not take it destination="tempo" items=7 reason=HTTP 404"#),
            ("destination", "tempo"),
            ("items", "7"),
            ("reason", "HTTP 404"),
        ];
        let mut found: Vec<_> = found.iter().map(|(name, text)| (*name, text.as_str())).collect();
        found.sort_by_key(|(name, _)| expected.iter().position(|(other, _)| other == name));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_event_without_a_message_passes_as_it_is() {
        assert_eq!(seen(|| tracing::warn!(items = 7)), [("items", "7".to_owned())]);
    }
}
