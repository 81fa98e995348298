//! Resources and scopes of OTLP, of which each block of spans, metrics, logs or profiles has one.

use xxhash_rust::xxh3::xxh3_64;

use crate::store::ingest::any::{AnyValue, key_value};
use crate::store::ingest::dictionary::Emitted;
use crate::store::ingest::proto::{ProtoError, fields};
use crate::store::ingest::rows::{Blob, I64, Rows, Time, rows};
use crate::store::ingest::time;
use crate::store::ingest::variant::Encoder;
use crate::store::schema::Table;

rows! {
    /// Rows of `resources`.
    ResourceRows of Table::Resources {
        resource_id: I64,
        time: Time,
        resource: Blob,
    }
}

/// The resources given out.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) rows: ResourceRows,
    pub(crate) emitted: Emitted,
}

/// The resource of the block being decoded.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    /// Hash of its attributes, whatever their order.
    pub(crate) id: i64,
    /// Its `service.name`.
    pub(crate) service_name: Option<String>,
    /// Its attributes.
    variant: Vec<u8>,
    /// The day for which its row is known to be there.
    day: Option<i32>,
}

impl Resource {
    /// Reads the resource of a `Resource{Spans,Metrics,Logs}`, which is field 1 and may come after
    /// what it describes.
    pub(crate) fn of_block(block: &[u8], encoder: &mut Encoder) -> Result<Self, ProtoError> {
        let mut attributes = Vec::new();
        let mut message = fields(block);
        while let Some((number, field)) = message.next()? {
            if number == 1 {
                let mut resource = fields(field.bytes()?);
                while let Some((number, field)) = resource.next()? {
                    if number == 1 {
                        attributes.push(field.bytes()?);
                    }
                }
            }
        }
        Resource::new(&attributes, encoder)
    }

    /// A resource of these encoded attributes.
    pub(crate) fn new(attributes: &[&[u8]], encoder: &mut Encoder) -> Result<Self, ProtoError> {
        let mut service_name = None;
        for attribute in attributes {
            if let ("service.name", value) = key_value(attribute)? {
                service_name = Some(AnyValue::read(value)?.to_text()?);
            }
        }
        let variant = encoder.attributes(attributes)?.to_vec();
        Ok(Resource { id: xxh3_64(&variant).cast_signed(), service_name, variant, day: None })
    }

    /// Makes sure that `resources` has this one on the day of `time`, for a row that refers to it.
    #[inline]
    pub(crate) fn used(&mut self, time: Option<i64>, resources: &mut Resources) {
        let day = time::day(time);
        if self.day != Some(day) {
            self.day = Some(day);
            if resources.emitted.first(self.id, day) {
                resources.rows.resource_id.push(Some(self.id));
                resources.rows.time.push(time);
                resources.rows.resource.push(Some(&self.variant));
                resources.rows.row_done();
            }
        }
    }
}

/// An instrumentation scope. Name and version are empty where there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    /// Its attributes, encoded `KeyValue`s.
    pub(crate) attributes: Vec<&'a [u8]>,
}

impl<'a> Scope<'a> {
    /// Reads the scope of a `Scope{Spans,Metrics,Logs}`: field 1.
    pub(crate) fn of_block(block: &'a [u8]) -> Result<Self, ProtoError> {
        let mut scope = Scope::default();
        let mut message = fields(block);
        while let Some((number, field)) = message.next()? {
            if number == 1 {
                let mut inner = fields(field.bytes()?);
                while let Some((number, field)) = inner.next()? {
                    match number {
                        1 => scope.name = field.text()?,
                        2 => scope.version = field.text()?,
                        3 => scope.attributes.push(field.bytes()?),
                        _ => {}
                    }
                }
            }
        }
        Ok(scope)
    }
}

/// Walks the blocks of an `Export*ServiceRequest`: gives each `Resource*` block to `each`.
pub(crate) fn blocks<'a>(
    message: &'a [u8],
    number: u32,
    mut each: impl FnMut(&'a [u8]) -> Result<(), ProtoError>,
) -> Result<(), ProtoError> {
    let mut message = fields(message);
    while let Some((n, field)) = message.next()? {
        if n == number {
            each(field.bytes()?)?;
        }
    }
    Ok(())
}
