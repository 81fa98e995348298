//! Reading a protobuf message field by field, borrowing from the payload.
//!
//! Ingest decodes what it needs and nothing else: no message struct, no copy of a string, no
//! allocation. Wire types and lengths are checked; a field of an unexpected wire type is an error,
//! as it is for a full decode.

/// What is wrong with a message. The receivers have checked the payload already, so this is rare,
/// and where it is in the payload matters less than that nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtoError {
    /// The message ends within a field.
    #[error("the message ends within a field")]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("a varint is longer than ten bytes")]
    Varint,
    /// A field number of 0 or beyond 2^29, or a group.
    #[error("invalid field key")]
    Key,
    /// A field has another wire type than its definition says.
    #[error("unexpected wire type")]
    WireType,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// Messages are nested too deeply.
    #[error("nested too deeply")]
    Depth,
    /// What a reader of another format says.
    #[error("{0}")]
    Text(String),
    /// A reference points nowhere, or a part that must be there is missing.
    #[error("{0}")]
    Meaning(&'static str),
}

type Result<T> = std::result::Result<T, ProtoError>;

/// The value of one field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5. No field that is stored has it.
    Fixed32,
}

impl<'a> Field<'a> {
    pub(crate) fn varint(self) -> Result<u64> {
        match self {
            Field::Varint(value) => Ok(value),
            _ => Err(ProtoError::WireType),
        }
    }

    pub(crate) fn fixed64(self) -> Result<u64> {
        match self {
            Field::Fixed64(value) => Ok(value),
            _ => Err(ProtoError::WireType),
        }
    }

    pub(crate) fn double(self) -> Result<f64> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    /// `int32` and enums, which are encoded as 64-bit varints.
    pub(crate) fn int32(self) -> Result<i32> {
        #[expect(clippy::cast_possible_truncation, reason = "protobuf's own rule for 32-bit fields")]
        Ok(self.varint()? as i32)
    }

    /// `int64`.
    pub(crate) fn int64(self) -> Result<i64> {
        Ok(self.varint()?.cast_signed())
    }

    /// `sint32`.
    pub(crate) fn sint32(self) -> Result<i32> {
        #[expect(clippy::cast_possible_truncation, reason = "protobuf's own rule for 32-bit fields")]
        let value = self.varint()? as u32;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            _ => Err(ProtoError::WireType),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ProtoError::Utf8)
    }

    /// `repeated double`, packed or not: gives each element to `each`.
    pub(crate) fn doubles(self, mut each: impl FnMut(f64)) -> Result<()> {
        self.fixed64s(|bits| each(f64::from_bits(bits)))
    }

    /// `repeated fixed64`, packed or not.
    pub(crate) fn fixed64s(self, mut each: impl FnMut(u64)) -> Result<()> {
        match self {
            Field::Fixed64(value) => each(value),
            Field::Bytes(bytes) => {
                let (words, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(ProtoError::Truncated);
                }
                words.iter().for_each(|word| each(u64::from_le_bytes(*word)));
            }
            _ => return Err(ProtoError::WireType),
        }
        Ok(())
    }

    /// `repeated` of a varint type, packed or not.
    pub(crate) fn varints(self, mut each: impl FnMut(u64)) -> Result<()> {
        match self {
            Field::Varint(value) => each(value),
            Field::Bytes(bytes) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    each(varint(&mut rest)?);
                }
            }
            _ => return Err(ProtoError::WireType),
        }
        Ok(())
    }
}

/// The fields of a message, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of the message that `bytes` encode.
pub(crate) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

impl<'a> Fields<'a> {
    /// The next field's number and value.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).map_err(|_| ProtoError::Key)?;
        if number == 0 || number >= 1 << 29 {
            return Err(ProtoError::Key);
        }
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut self.rest)?),
            1 => {
                let (word, rest) = self.rest.split_first_chunk::<8>().ok_or(ProtoError::Truncated)?;
                self.rest = rest;
                Field::Fixed64(u64::from_le_bytes(*word))
            }
            2 => {
                let len = usize::try_from(varint(&mut self.rest)?).map_err(|_| ProtoError::Truncated)?;
                let (bytes, rest) = self.rest.split_at_checked(len).ok_or(ProtoError::Truncated)?;
                self.rest = rest;
                Field::Bytes(bytes)
            }
            5 => {
                self.rest = self.rest.get(4..).ok_or(ProtoError::Truncated)?;
                Field::Fixed32
            }
            // Unknown groups are legal and skipped.
            3 => {
                self.skip_group(number, 0)?;
                return self.next();
            }
            _ => return Err(ProtoError::Key),
        };
        Ok(Some((number, field)))
    }

    /// Skips to the end of the group `number`, whose start has been read.
    fn skip_group(&mut self, number: u32, depth: u32) -> Result<()> {
        if depth > 100 {
            return Err(ProtoError::Depth);
        }
        loop {
            let key = varint(&mut self.rest)?;
            let inner = u32::try_from(key >> 3).map_err(|_| ProtoError::Key)?;
            let skip = match key & 7 {
                0 => {
                    varint(&mut self.rest)?;
                    0
                }
                1 => 8,
                2 => usize::try_from(varint(&mut self.rest)?).map_err(|_| ProtoError::Truncated)?,
                3 => {
                    self.skip_group(inner, depth + 1)?;
                    0
                }
                4 if inner == number => return Ok(()),
                5 => 4,
                _ => return Err(ProtoError::Key),
            };
            self.rest = self.rest.get(skip..).ok_or(ProtoError::Truncated)?;
        }
    }
}

#[inline]
fn varint(rest: &mut &[u8]) -> Result<u64> {
    let bytes = *rest;
    if let Some((&first, after)) = bytes.split_first()
        && first < 0x80
    {
        *rest = after;
        return Ok(u64::from(first));
    }
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            // The tenth byte holds one bit.
            if i == 9 && byte > 1 {
                return Err(ProtoError::Varint);
            }
            *rest = bytes.get(i + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { ProtoError::Truncated } else { ProtoError::Varint })
}
