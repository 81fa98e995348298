//! OTLP traces: `ExportTraceServiceRequest` to rows of `spans`.

use crate::store::ingest::proto::{ProtoError, fields};
use crate::store::ingest::rejects::Rejects;
use crate::store::ingest::resource::{Resource, Resources, Scope, blocks};
use crate::store::ingest::rows::{Blob, I64, Rows, Text, Time, rows};
use crate::store::ingest::time;
use crate::store::ingest::variant::{Encoder, Value};
use crate::store::schema::Table;

rows! {
    /// Rows of `spans`.
    SpanRows of Table::Spans {
        trace_id: Blob,
        span_id: Blob,
        parent_span_id: Blob,
        trace_state: Text,
        name: Text,
        kind: Text,
        start_time: Time,
        duration_ns: I64,
        status_code: Text,
        status_message: Text,
        service_name: Text,
        resource_id: I64,
        scope_name: Text,
        scope_version: Text,
        attributes: Blob,
        events: Blob,
        links: Blob,
    }
}

/// A span, as far as it is stored.
#[derive(Debug, Default)]
struct Span<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: &'a str,
    name: &'a str,
    kind: i32,
    start: u64,
    end: u64,
    status_code: i32,
    status_message: &'a str,
    attributes: Vec<&'a [u8]>,
    events: Vec<&'a [u8]>,
    links: Vec<&'a [u8]>,
}

/// Decodes a request. Returns the number of spans, rejected ones included.
pub(crate) fn decode(
    message: &[u8],
    rows: &mut SpanRows,
    resources: &mut Resources,
    rejects: &mut Rejects,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    let mut count = 0;
    let mut span = Span::default();
    blocks(message, 1, |block| {
        let mut resource = Resource::of_block(block, encoder)?;
        blocks(block, 2, |block| {
            let scope = Scope::of_block(block)?;
            blocks(block, 2, |bytes| {
                let stored = span.read(bytes).and_then(|()| span.push(&scope, &mut resource, rows, resources, encoder));
                if let Err(error) = stored {
                    rows.truncate(rows.len());
                    rejects.add(count, error);
                }
                count += 1;
                Ok(())
            })
        })
    })?;
    Ok(count)
}

impl<'a> Span<'a> {
    /// Reads a span into this one, whose vectors are used again.
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), ProtoError> {
        let mut attributes = std::mem::take(&mut self.attributes);
        let mut events = std::mem::take(&mut self.events);
        let mut links = std::mem::take(&mut self.links);
        attributes.clear();
        events.clear();
        links.clear();
        *self = Span { attributes, events, links, ..Span::default() };
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => self.trace_id = field.bytes()?,
                2 => self.span_id = field.bytes()?,
                3 => self.trace_state = field.text()?,
                4 => self.parent_span_id = field.bytes()?,
                5 => self.name = field.text()?,
                6 => self.kind = field.int32()?,
                7 => self.start = field.fixed64()?,
                8 => self.end = field.fixed64()?,
                9 => self.attributes.push(field.bytes()?),
                11 => self.events.push(field.bytes()?),
                13 => self.links.push(field.bytes()?),
                15 => self.read_status(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_status(&mut self, bytes: &'a [u8]) -> Result<(), ProtoError> {
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                2 => self.status_message = field.text()?,
                3 => self.status_code = field.int32()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn push(
        &self,
        scope: &Scope<'_>,
        resource: &mut Resource,
        rows: &mut SpanRows,
        resources: &mut Resources,
        encoder: &mut Encoder,
    ) -> Result<(), ProtoError> {
        let (start, duration) = time::span(self.start, self.end);
        resource.used(start, resources);
        rows.trace_id.push_set(self.trace_id);
        rows.span_id.push_set(self.span_id);
        // Some libraries send zeros where the specification wants nothing.
        let is_root = self.parent_span_id.iter().all(|byte| *byte == 0);
        rows.parent_span_id.push((!is_root).then_some(self.parent_span_id));
        rows.trace_state.push_set(self.trace_state);
        rows.name.push(Some(self.name));
        push_kind(self.kind, &mut rows.kind);
        rows.start_time.push(start);
        rows.duration_ns.push(duration);
        push_status(self.status_code, &mut rows.status_code);
        rows.status_message.push_set(self.status_message);
        rows.service_name.push(resource.service_name.as_deref());
        rows.resource_id.push(Some(resource.id));
        rows.scope_name.push_set(scope.name);
        rows.scope_version.push_set(scope.version);
        rows.attributes.push(Some(encoder.attributes(&self.attributes)?));
        push_array(&self.events, read_event, encoder, &mut rows.events)?;
        push_array(&self.links, read_link, encoder, &mut rows.links)?;
        rows.row_done();
        Ok(())
    }
}

fn push_kind(kind: i32, column: &mut Text) {
    const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    match usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind)) {
        Some(kind) => column.push(Some(kind)),
        None => column.push(Some(&kind.to_string())),
    }
}

fn push_status(code: i32, column: &mut Text) {
    match code {
        0 => column.push(Some("unset")),
        1 => column.push(Some("ok")),
        2 => column.push(Some("error")),
        _ => column.push(Some(&code.to_string())),
    }
}

/// An event or a link: its plain fields, and its attributes.
type Part<'a> = (Vec<(&'static str, PartValue<'a>)>, Vec<&'a [u8]>);

/// The value of a plain field.
enum PartValue<'a> {
    Value(Value<'a>),
    Hex(String),
}

/// Writes the array of events or links, NULL if there are none.
fn push_array<'a>(
    encoded: &[&'a [u8]],
    read: fn(&'a [u8]) -> Result<Part<'a>, ProtoError>,
    encoder: &mut Encoder,
    column: &mut Blob,
) -> Result<(), ProtoError> {
    if encoded.is_empty() {
        column.push(None);
        return Ok(());
    }
    let parts = encoded.iter().map(|bytes| read(bytes)).collect::<Result<Vec<_>, _>>()?;
    let objects: Vec<Vec<(&str, Value<'_>)>> = parts
        .iter()
        .map(|(plain, attributes)| {
            let plain = plain.iter().map(|(name, value)| match value {
                PartValue::Value(value) => (*name, *value),
                PartValue::Hex(hex) => (*name, Value::Text(hex)),
            });
            plain.chain([("attributes", Value::Attributes(attributes))]).collect()
        })
        .collect();
    let array: Vec<Value<'_>> = objects.iter().map(|object| Value::Object(object)).collect();
    column.push(Some(encoder.encode(Value::Array(&array))?));
    Ok(())
}

fn read_event(bytes: &[u8]) -> Result<Part<'_>, ProtoError> {
    let (mut nanos, mut name, mut attributes) = (0, "", Vec::new());
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => nanos = field.fixed64()?,
            2 => name = field.text()?,
            3 => attributes.push(field.bytes()?),
            _ => {}
        }
    }
    let time = time::stored(nanos).map_or(Value::Null, Value::Time);
    let plain = vec![("time", PartValue::Value(time)), ("name", PartValue::Value(Value::Text(name)))];
    Ok((plain, attributes))
}

fn read_link(bytes: &[u8]) -> Result<Part<'_>, ProtoError> {
    let (mut trace_id, mut span_id, mut trace_state, mut attributes) = (&[][..], &[][..], "", Vec::new());
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => trace_id = field.bytes()?,
            2 => span_id = field.bytes()?,
            3 => trace_state = field.text()?,
            4 => attributes.push(field.bytes()?),
            _ => {}
        }
    }
    let plain = vec![
        ("trace_id", PartValue::Hex(hex(trace_id))),
        ("span_id", PartValue::Hex(hex(span_id))),
        ("trace_state", PartValue::Value(Value::Text(trace_state))),
    ];
    Ok((plain, attributes))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests;
