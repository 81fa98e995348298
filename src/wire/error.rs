//! Why a payload was refused, and where.

use std::fmt;

use super::descriptor::wire_type;

/// A payload that is refused: what is wrong, at which byte, in which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{reason}, at byte {offset}", .path, if .path.is_empty() { "" } else { ": " })]
pub struct WireError {
    /// Offset into the payload of the byte at which the fault was found.
    pub offset: usize,
    /// The field, such as `resource_spans[0].scope_spans[2].spans[17].trace_id`; empty for the
    /// request itself.
    pub path: String,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A varint that is cut, longer than ten bytes, or greater than 64 bits.
    InvalidVarint,
    /// A field key greater than 32 bits.
    InvalidKey(u64),
    /// Field number 0.
    InvalidTag,
    /// Wire type 6 or 7.
    InvalidWireType(u8),
    /// A known field with the wrong wire type.
    UnexpectedWireType {
        /// The wire type found.
        actual: u8,
        /// The wire type that the field has.
        expected: u8,
    },
    /// A length that runs past the end of the message around it.
    Overrun {
        /// Bytes announced.
        length: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// An end-group key that ends no group.
    UnexpectedEndGroup,
    /// Messages nested deeper than [`super::Limits::NESTING`].
    NestingTooDeep,
    /// A small body that a decoder would turn into a huge one.
    DecodedTooLarge {
        /// Bytes that a full decode would take, roughly.
        cost: u64,
        /// Bytes that are allowed for a body of this size.
        limit: u64,
    },
    /// Remote write 2.0: the first symbol is not the empty string.
    FirstSymbolNotEmpty,
    /// Remote write 2.0: an odd number of label references.
    OddLabelReferences(usize),
    /// Remote write 2.0: a reference past the end of the symbols.
    SymbolOutOfRange {
        /// The reference.
        reference: u32,
        /// How many symbols there are.
        symbols: usize,
    },
    /// Remote write 2.0: a series with both samples and histograms.
    SamplesAndHistograms,
    /// Remote write: a native histogram whose buckets do not fit together.
    Histogram(&'static str),
    /// Remote write: a label with an empty name.
    EmptyLabelName,
    /// Remote write: the same label name twice in a series.
    DuplicateLabel(String),
    /// Remote write: a series without `__name__`, or with an empty one.
    NoMetricName,
    /// pprof: an index past the end of the string table.
    StringOutOfRange {
        /// The index.
        index: i64,
        /// How many strings there are.
        strings: usize,
    },
    /// pprof: an id that no mapping, location or function has.
    Dangling {
        /// `mapping`, `location` or `function`.
        what: &'static str,
        /// The id.
        id: u64,
    },
    /// pprof: an id that two of a kind have.
    DuplicateId {
        /// `mapping`, `location` or `function`.
        what: &'static str,
        /// The id.
        id: u64,
    },
    /// pprof: a sample whose values do not match the sample types one to one.
    ValueCount {
        /// Values in the sample.
        values: usize,
        /// Sample types in the profile.
        types: usize,
    },
    /// More entries in a table than are worth checking.
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Pyroscope push: a series without labels, a sample without a profile.
    Missing(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::InvalidVarint => f.write_str("invalid varint (cut short or longer than 64 bits)"),
            Reason::InvalidKey(key) => write!(f, "invalid field key {key}"),
            Reason::InvalidTag => f.write_str("invalid field number 0"),
            Reason::InvalidWireType(n) => write!(f, "invalid wire type {n}"),
            Reason::UnexpectedWireType { actual, expected } => {
                write!(f, "wrong wire type {}, expected {}", wire_type_name(*actual), wire_type_name(*expected))
            }
            Reason::Overrun { length, left } => {
                write!(f, "length of {length} bytes runs past the end, {left} bytes are left")
            }
            Reason::UnexpectedEndGroup => f.write_str("end of a group that was not begun"),
            Reason::NestingTooDeep => write!(f, "messages nested deeper than {} levels", super::Limits::NESTING),
            Reason::DecodedTooLarge { cost, limit } => {
                write!(f, "body would take about {cost} bytes decoded, more than the limit of {limit} for its size")
            }
            Reason::FirstSymbolNotEmpty => f.write_str("first symbol is not the empty string"),
            Reason::OddLabelReferences(n) => write!(f, "odd number of label references ({n})"),
            Reason::SymbolOutOfRange { reference, symbols } => {
                write!(f, "reference {reference} is out of range, there are {symbols} symbols")
            }
            Reason::SamplesAndHistograms => f.write_str("series has both samples and histograms"),
            Reason::Histogram(what) => f.write_str(what),
            Reason::EmptyLabelName => f.write_str("label name is empty"),
            Reason::DuplicateLabel(name) => write!(f, "label name {name:?} occurs twice"),
            Reason::NoMetricName => f.write_str("series has no metric name (label __name__)"),
            Reason::StringOutOfRange { index, strings } => {
                write!(f, "index {index} is out of range, the string table has {strings} strings")
            }
            Reason::Dangling { what, id } => write!(f, "there is no {what} with id {id}"),
            Reason::DuplicateId { what, id } => write!(f, "{what} id {id} occurs twice"),
            Reason::ValueCount { values, types } => {
                write!(f, "sample has {values} values, the profile has {types} sample types")
            }
            Reason::TooMany { what, count, limit } => write!(f, "{count} {what}, more than the limit of {limit}"),
            Reason::Missing(what) => write!(f, "there is no {what}"),
        }
    }
}

fn wire_type_name(wire_type: u8) -> &'static str {
    match wire_type {
        wire_type::VARINT => "varint",
        wire_type::FIXED64 => "64-bit",
        wire_type::LEN => "length-delimited",
        wire_type::START_GROUP => "start-group",
        wire_type::END_GROUP => "end-group",
        wire_type::FIXED32 => "32-bit",
        _ => "unknown",
    }
}
