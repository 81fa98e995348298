//! `io.prometheus.write.v2.Request`: labels are references into a table of strings, and each
//! series carries its metadata. The start time is the series' (until 2.0-rc.3) or the sample's.

use crate::store::ingest::points::Points;
use crate::store::ingest::proto::{ProtoError, fields};
use crate::store::ingest::rejects::Rejects;
use crate::store::ingest::remote_write::v1::value_and_time;
use crate::store::ingest::remote_write::{FamilyKind, SeriesWriter};
use crate::store::ingest::variant::Encoder;

/// Decodes a request received at `now`. Returns the number of samples and histograms, rejected ones
/// included.
pub(crate) fn decode(
    message: &[u8],
    now: i64,
    points: &mut Points,
    rejects: &mut Rejects,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    let mut symbols = Vec::new();
    let mut request = fields(message);
    while let Some((number, field)) = request.next()? {
        if number == 4 {
            symbols.push(field.text()?);
        }
    }
    let mut count = 0;
    let mut request = fields(message);
    while let Some((number, field)) = request.next()? {
        if number == 5 {
            series(field.bytes()?, &symbols, now, points, (&mut count, &mut *rejects), encoder)?;
        }
    }
    Ok(count)
}

fn symbol<'a>(symbols: &[&'a str], reference: u64) -> Result<&'a str, ProtoError> {
    let index = usize::try_from(reference).ok();
    index.and_then(|index| symbols.get(index)).copied().ok_or(ProtoError::Meaning("symbol reference out of range"))
}

/// Bytes of the labels of one series: a short list of references can name a long text again and again.
const MAX_LABELS: usize = 16 << 20;

/// Names and values by their references, which come in pairs.
fn labels<'a>(references: &[u64], symbols: &[&'a str]) -> Result<Vec<(&'a str, &'a str)>, ProtoError> {
    let (pairs, rest) = references.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ProtoError::Meaning("odd number of label references"));
    }
    let mut size = 0;
    let label = |[name, value]: &[u64; 2]| {
        let label = (symbol(symbols, *name)?, symbol(symbols, *value)?);
        size += label.0.len() + label.1.len();
        if size > MAX_LABELS { Err(ProtoError::Meaning("more than 16 MiB of labels in one series")) } else { Ok(label) }
    };
    pairs.iter().map(label).collect()
}

fn series(
    bytes: &[u8],
    symbols: &[&str],
    now: i64,
    points: &mut Points,
    (count, rejects): (&mut u64, &mut Rejects),
    encoder: &mut Encoder,
) -> Result<(), ProtoError> {
    let mut references = Vec::with_capacity(32);
    let (mut kind, mut help, mut unit, mut created) = (FamilyKind::Unknown, "", "", 0);
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => field.varints(|reference| references.push(reference))?,
            5 => {
                let mut metadata = fields(field.bytes()?);
                while let Some((number, field)) = metadata.next()? {
                    match number {
                        1 => kind = FamilyKind::of(field.int32()?),
                        3 => help = symbol(symbols, field.varint()?)?,
                        4 => unit = symbol(symbols, field.varint()?)?,
                        _ => {}
                    }
                }
            }
            6 => created = field.int64()?,
            _ => {}
        }
    }
    let labels_of_series = labels(&references, symbols)?;
    let parts = labels_of_series.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).collect();
    let writer = SeriesWriter::new(labels_of_series, parts, Some((kind, unit)));
    if kind != FamilyKind::Unknown || !help.is_empty() || !unit.is_empty() {
        points.describe(writer.metric, kind.name(), unit, help, now);
    }

    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            2 => {
                let bytes = field.bytes()?;
                let (value, time) = value_and_time(bytes, [1, 2])?;
                let mut start = created;
                let mut sample = fields(bytes);
                while let Some((number, field)) = sample.next()? {
                    if number == 3 {
                        start = field.int64()?;
                    }
                }
                writer.sample((value, time, start), points, encoder)?;
                *count += 1;
            }
            3 => {
                if let Err(error) = writer.histogram(field.bytes()?, points, encoder) {
                    rejects.add(*count, error);
                }
                *count += 1;
            }
            4 => {
                let bytes = field.bytes()?;
                let mut references = Vec::new();
                let mut exemplar = fields(bytes);
                while let Some((number, field)) = exemplar.next()? {
                    if number == 1 {
                        field.varints(|reference| references.push(reference))?;
                    }
                }
                let labels = labels(&references, symbols)?;
                writer.exemplar(&labels, value_and_time(bytes, [2, 3])?, points, encoder)?;
            }
            _ => {}
        }
    }
    Ok(())
}
