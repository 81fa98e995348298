//! `prometheus.WriteRequest`: labels as text, metadata beside the series.

use crate::store::ingest::points::Points;
use crate::store::ingest::proto::{Field, ProtoError, fields};
use crate::store::ingest::rejects::Rejects;
use crate::store::ingest::remote_write::{Families, Family, FamilyKind, SeriesWriter};
use crate::store::ingest::variant::Encoder;

/// Decodes a request received at `now`. Returns the number of samples and histograms, rejected ones
/// included.
pub(crate) fn decode(
    message: &[u8],
    now: i64,
    points: &mut Points,
    families: &mut Families,
    rejects: &mut Rejects,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    // Metadata first: it may be about the series before it.
    let mut request = fields(message);
    while let Some((number, field)) = request.next()? {
        if number == 3 {
            learn(field.bytes()?, now, points, families)?;
        }
    }
    let mut count = 0;
    let mut request = fields(message);
    while let Some((number, field)) = request.next()? {
        if number == 1 {
            series(field.bytes()?, points, families, (&mut count, &mut *rejects), encoder)?;
        }
    }
    Ok(count)
}

fn learn(bytes: &[u8], now: i64, points: &mut Points, families: &mut Families) -> Result<(), ProtoError> {
    let (mut number_of_kind, mut name, mut help, mut unit) = (0, "", "", "");
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => number_of_kind = field.int32()?,
            2 => name = field.text()?,
            4 => help = field.text()?,
            5 => unit = field.text()?,
            _ => {}
        }
    }
    let kind = FamilyKind::of(number_of_kind);
    points.describe(name, kind.name(), unit, help, now);
    families.learn(name, Family { kind, unit: unit.to_owned() });
    Ok(())
}

fn series(
    bytes: &[u8],
    points: &mut Points,
    families: &Families,
    (count, rejects): (&mut u64, &mut Rejects),
    encoder: &mut Encoder,
) -> Result<(), ProtoError> {
    let (mut labels, mut parts) = (Vec::with_capacity(16), Vec::with_capacity(16));
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        if number == 1 {
            let part = field.bytes()?;
            parts.push(part);
            labels.push(label(part)?);
        }
    }
    let metric = labels.iter().find(|label| label.0 == "__name__").map_or("", |label| label.1);
    let family = families.of_metric(metric).map(|family| (family.kind, family.unit.as_str()));
    let writer = SeriesWriter::new(labels, parts, family);

    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            2 => {
                let (value, time) = value_and_time(field.bytes()?, [1, 2])?;
                writer.sample((value, time, 0), points, encoder)?;
                *count += 1;
            }
            3 => {
                let bytes = field.bytes()?;
                let mut labels = Vec::new();
                let mut exemplar = fields(bytes);
                while let Some((number, field)) = exemplar.next()? {
                    if number == 1 {
                        labels.push(label(field.bytes()?)?);
                    }
                }
                writer.exemplar(&labels, value_and_time(bytes, [2, 3])?, points, encoder)?;
            }
            4 => {
                if let Err(error) = writer.histogram(field.bytes()?, points, encoder) {
                    rejects.add(*count, error);
                }
                *count += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

fn label(bytes: &[u8]) -> Result<(&str, &str), ProtoError> {
    let (mut name, mut value) = ("", "");
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// The value and the time in milliseconds of a sample or an exemplar, by their field numbers.
pub(super) fn value_and_time(bytes: &[u8], numbers: [u32; 2]) -> Result<(f64, i64), ProtoError> {
    let (mut value, mut time) = (0.0, 0);
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match (number, field) {
            (number, Field::Fixed64(_)) if number == numbers[0] => value = field.double()?,
            (number, Field::Varint(_)) if number == numbers[1] => time = field.int64()?,
            (number, _) if numbers.contains(&number) => return Err(ProtoError::WireType),
            _ => {}
        }
    }
    Ok((value, time))
}
