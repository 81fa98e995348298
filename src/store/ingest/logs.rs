//! OTLP logs: `ExportLogsServiceRequest` to rows of `logs`.

use crate::store::ingest::any::AnyValue;
use crate::store::ingest::proto::{ProtoError, fields};
use crate::store::ingest::rejects::Rejects;
use crate::store::ingest::resource::{Resource, Resources, Scope, blocks};
use crate::store::ingest::rows::{Blob, I32, I64, Rows, Text, Time, rows};
use crate::store::ingest::time;
use crate::store::ingest::variant::Encoder;
use crate::store::schema::Table;

rows! {
    /// Rows of `logs`.
    LogRows of Table::Logs {
        time: Time,
        observed_time: Time,
        severity_number: I32,
        severity_text: Text,
        body: Text,
        service_name: Text,
        resource_id: I64,
        scope_name: Text,
        event_name: Text,
        attributes: Blob,
        trace_id: Blob,
        span_id: Blob,
        body_type: Text,
    }
}

/// Decodes a request received at `now`. Returns the number of log records, rejected ones included.
pub(crate) fn decode(
    message: &[u8],
    now: i64,
    rows: &mut LogRows,
    resources: &mut Resources,
    rejects: &mut Rejects,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    let mut count = 0;
    let mut attributes = Vec::new();
    blocks(message, 1, |block| {
        let mut resource = Resource::of_block(block, encoder)?;
        blocks(block, 2, |block| {
            let scope = Scope::of_block(block)?;
            blocks(block, 2, |bytes| {
                attributes.clear();
                let stored = LogRecord::read(bytes, &mut attributes)
                    .and_then(|record| record.push(&attributes, now, &scope, &mut resource, rows, resources, encoder));
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

/// A log record, as far as it is stored.
#[derive(Debug, Default)]
struct LogRecord<'a> {
    time: u64,
    observed_time: u64,
    severity_number: i32,
    severity_text: &'a str,
    body: Option<&'a [u8]>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a str,
}

impl<'a> LogRecord<'a> {
    fn read(bytes: &'a [u8], attributes: &mut Vec<&'a [u8]>) -> Result<Self, ProtoError> {
        let mut record = LogRecord::default();
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => record.time = field.fixed64()?,
                2 => record.severity_number = field.int32()?,
                3 => record.severity_text = field.text()?,
                5 => record.body = Some(field.bytes()?),
                6 => attributes.push(field.bytes()?),
                9 => record.trace_id = field.bytes()?,
                10 => record.span_id = field.bytes()?,
                11 => record.observed_time = field.fixed64()?,
                12 => record.event_name = field.text()?,
                _ => {}
            }
        }
        Ok(record)
    }

    #[expect(clippy::too_many_arguments, reason = "what a row is made of comes from three levels of the message")]
    fn push(
        &self,
        attributes: &[&[u8]],
        now: i64,
        scope: &Scope<'_>,
        resource: &mut Resource,
        rows: &mut LogRows,
        resources: &mut Resources,
        encoder: &mut Encoder,
    ) -> Result<(), ProtoError> {
        // OTLP: a collector sets an observed time that is missing to the time of receipt, and a
        // reader without a time takes the observed one.
        let observed = time::stored(self.observed_time).unwrap_or(now);
        let time = Some(time::stored(self.time).unwrap_or(observed));
        resource.used(time, resources);
        rows.time.push(time);
        rows.observed_time.push(Some(observed));
        rows.severity_number.push((self.severity_number != 0).then_some(self.severity_number));
        rows.severity_text.push_set(self.severity_text);
        match self.body.map(AnyValue::read).transpose()? {
            None | Some(AnyValue::Empty) => {
                rows.body.push(None);
                rows.body_type.push(None);
            }
            Some(value) => {
                match value {
                    AnyValue::Text(text) => rows.body.push(Some(text)),
                    other => rows.body.push(Some(&other.to_text()?)),
                }
                rows.body_type.push(Some(value.type_name()));
            }
        }
        rows.service_name.push(resource.service_name.as_deref());
        rows.resource_id.push(Some(resource.id));
        rows.scope_name.push_set(scope.name);
        rows.event_name.push_set(self.event_name);
        rows.attributes.push(Some(encoder.attributes(attributes)?));
        rows.trace_id.push_set(self.trace_id);
        rows.span_id.push_set(self.span_id);
        rows.row_done();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
