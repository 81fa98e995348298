//! Reading the Parquet encoding of a variant (Parquet's `VariantEncoding.md`): the metadata, which is a
//! dictionary of all keys, then the value.
//!
//! What does not follow it has no answer (`None`).

/// The keys of a variant.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    width: usize,
    offsets: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Keys<'a> {
    /// The keys in `metadata`.
    pub fn read(metadata: &'a [u8]) -> Option<Self> {
        let (first, rest) = metadata.split_first()?;
        let width = usize::from(first >> 6) + 1;
        let (count, rest) = number(rest, width)?;
        let (offsets, bytes) = rest.split_at_checked(count.checked_add(1)?.checked_mul(width)?)?;
        Some(Keys { width, offsets, bytes })
    }

    /// The key with the number `id`.
    pub fn get(&self, id: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes_of(id)?).ok()
    }

    /// The same, unchecked for UTF-8.
    pub fn bytes_of(&self, id: usize) -> Option<&'a [u8]> {
        let offsets = self.offsets.get(id * self.width..)?;
        let (from, rest) = number(offsets, self.width)?;
        let (to, _) = number(rest, self.width)?;
        self.bytes.get(from..to)
    }
}

/// A value, as far as it says itself.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Null: of a field that is there.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A floating-point number of 64 bits.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a [u8]),
    /// A time without zone, in nanoseconds since the Unix epoch.
    Time(i64),
    /// An object.
    Object(Parts<'a>),
    /// An array.
    Array(Parts<'a>),
    /// Something else, which is no column of ours.
    Other,
}

/// The parts of an object or array.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    count: usize,
    /// Numbers of the keys; none of an array.
    ids: &'a [u8],
    id_width: usize,
    offsets: &'a [u8],
    offset_width: usize,
    values: &'a [u8],
}

impl<'a> Parts<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of the key of the part at `n`, of an object.
    pub fn id(&self, n: usize) -> Option<usize> {
        Some(number(self.ids.get(n * self.id_width..)?, self.id_width)?.0)
    }

    /// The part at `n`, encoded.
    pub fn value(&self, n: usize) -> Option<&'a [u8]> {
        let (from, _) = number(self.offsets.get(n * self.offset_width..)?, self.offset_width)?;
        let value = self.values.get(from..)?;
        value.get(..len(value)?)
    }
}

impl<'a> Value<'a> {
    /// The value that `bytes` begin with.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        let header = first >> 2;
        let fixed = || rest.get(..8)?.try_into().ok().map(i64::from_le_bytes);
        let long = || {
            let (len, rest) = number(rest, 4)?;
            rest.get(..len)
        };
        Some(match (first & 3, header) {
            (0, 0) => Value::Null,
            (0, 1) => Value::Bool(true),
            (0, 2) => Value::Bool(false),
            (0, 6) => Value::Int(fixed()?),
            (0, 7) => Value::Double(f64::from_bits(fixed()?.cast_unsigned())),
            (0, 15) => Value::Bytes(long()?),
            (0, 16) => Value::Text(long()?),
            (0, 19) => Value::Time(fixed()?),
            (0, _) => Value::Other,
            (1, len) => Value::Text(rest.get(..usize::from(len))?),
            (2, _) => Value::Object(parts(rest, header, true)?),
            _ => Value::Array(parts(rest, header, false)?),
        })
    }
}

fn parts(rest: &[u8], header: u8, is_object: bool) -> Option<Parts<'_>> {
    let offset_width = usize::from(header & 3) + 1;
    let (id_width, is_large) = match is_object {
        true => (usize::from(header >> 2 & 3) + 1, header & 0x10 != 0),
        false => (0, header & 4 != 0),
    };
    let (count, rest) = number(rest, if is_large { 4 } else { 1 })?;
    let (ids, rest) = rest.split_at_checked(count.checked_mul(id_width)?)?;
    let (offsets, values) = rest.split_at_checked(count.checked_add(1)?.checked_mul(offset_width)?)?;
    Some(Parts { count, ids, id_width, offsets, offset_width, values })
}

/// Bytes of the value that `bytes` begin with.
pub fn len(bytes: &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    let header = first >> 2;
    let parts = match first & 3 {
        0 => {
            return Some(match header {
                0..=2 => 1,
                3 => 2,
                4 => 3,
                5 | 11 | 14 => 5,
                8 => 6,
                9 => 10,
                10 => 18,
                15 | 16 => 5 + number(rest, 4)?.0,
                20 => 17,
                _ => 9,
            });
        }
        1 => return Some(1 + usize::from(header)),
        2 => parts(rest, header, true)?,
        _ => parts(rest, header, false)?,
    };
    let (values, _) = number(parts.offsets.get(parts.count * parts.offset_width..)?, parts.offset_width)?;
    Some(bytes.len() - parts.values.len() + values)
}

/// The metadata, and the value after it.
pub fn split(variant: &[u8]) -> Option<(&[u8], &[u8])> {
    let width = usize::from(variant.first()? >> 6) + 1;
    let (count, rest) = number(variant.get(1..)?, width)?;
    let (keys, _) = number(rest.get(count.checked_mul(width)?..)?, width)?;
    variant.split_at_checked(1 + width + count.checked_add(1)?.checked_mul(width)? + keys)
}

/// A little-endian number of `width` bytes, and what follows it.
#[inline]
pub fn number(bytes: &[u8], width: usize) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_at_checked(width)?;
    Some((number.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest))
}

/// An object of these parts: the number of the key, and the encoded value.
pub fn object(parts: &[(usize, &[u8])], out: &mut Vec<u8>) {
    let size: usize = parts.iter().map(|(_, value)| value.len()).sum();
    let offset_width = width(size);
    let id_width = width(parts.iter().map(|(id, _)| *id).max().unwrap_or_default());
    let is_large = parts.len() > 255;
    #[expect(clippy::cast_possible_truncation, reason = "widths are 1 to 4")]
    out.push(2 | ((offset_width - 1) as u8) << 2 | ((id_width - 1) as u8) << 4 | u8::from(is_large) << 6);
    let mut push = |value: usize, width: usize| out.extend(value.to_le_bytes().iter().take(width));
    push(parts.len(), if is_large { 4 } else { 1 });
    for (id, _) in parts {
        push(*id, id_width);
    }
    let mut offset = 0;
    push(0, offset_width);
    for (_, value) in parts {
        offset += value.len();
        push(offset, offset_width);
    }
    for (_, value) in parts {
        out.extend_from_slice(value);
    }
}

/// Bytes that `value` takes: 1 to 4.
pub(crate) fn width(value: usize) -> usize {
    match value {
        0..0x100 => 1,
        0x100..0x1_0000 => 2,
        0x1_0000..0x100_0000 => 3,
        _ => 4,
    }
}
