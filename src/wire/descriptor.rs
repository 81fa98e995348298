//! Descriptions of protobuf messages, from which the walk and the JSON translation are driven.
//!
//! A [`Message`] is a `static`: its fields, and a table from the key of a field (number and wire
//! type, as they stand in the encoded bytes) to what the walk does there. Field numbers up to 31
//! make keys below 256, so that one lookup settles number, wire type and kind at once; everything
//! that is not in the table (unknown fields, wrong wire types, higher numbers) takes a slow path.

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// `bool`.
    Bool,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `sint32`.
    Sint32,
    /// `sint64`.
    Sint64,
    /// `fixed32`.
    Fixed32,
    /// `fixed64`.
    Fixed64,
    /// `sfixed64`.
    Sfixed64,
    /// `double`.
    Double,
    /// An enumeration: names and numbers.
    Enum(&'static [(&'static str, i32)]),
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `bytes` that OTLP/JSON writes as hex: trace, span and profile ids.
    Id,
    /// A message.
    Message(&'static Message),
}

/// Wire types (protobuf encoding, "Message Structure").
pub(crate) mod wire_type {
    pub(crate) const VARINT: u8 = 0;
    pub(crate) const FIXED64: u8 = 1;
    pub(crate) const LEN: u8 = 2;
    pub(crate) const START_GROUP: u8 = 3;
    pub(crate) const END_GROUP: u8 = 4;
    pub(crate) const FIXED32: u8 = 5;
}

impl Kind {
    /// The wire type of a single value of this kind.
    pub(crate) const fn wire_type(self) -> u8 {
        match self {
            Kind::Bool
            | Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Enum(_) => wire_type::VARINT,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => wire_type::FIXED64,
            Kind::Fixed32 => wire_type::FIXED32,
            Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_) => wire_type::LEN,
        }
    }

    /// Whether repeated fields of this kind may be packed.
    pub(crate) const fn packable(self) -> bool {
        self.wire_type() != wire_type::LEN
    }

    /// Whether decoded values take 4 bytes; 8 otherwise.
    const fn narrow(self) -> bool {
        matches!(self, Kind::Bool | Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Enum(_))
    }
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// Field number.
    pub(crate) tag: u32,
    /// Name as the `.proto` has it (snake case).
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// `repeated`.
    pub(crate) repeated: bool,
    /// Part of the message's oneof. No message here has two oneofs that matter: setting one
    /// member throws away the others.
    pub(crate) oneof: bool,
}

/// A field that holds one value.
pub(crate) const fn one(tag: u32, name: &'static str, kind: Kind) -> Field {
    Field { tag, name, kind, repeated: false, oneof: false }
}

/// A repeated field.
pub(crate) const fn many(tag: u32, name: &'static str, kind: Kind) -> Field {
    Field { tag, name, kind, repeated: true, oneof: false }
}

/// A member of the oneof.
pub(crate) const fn alternative(tag: u32, name: &'static str, kind: Kind) -> Field {
    Field { tag, name, kind, repeated: false, oneof: true }
}

/// What the walk does at a key. Numbers, so that a table of them is 256 bytes.
pub(crate) mod action {
    /// Unknown field, wrong wire type, invalid key: the slow path.
    pub(crate) const OTHER: u8 = 0;
    pub(crate) const VARINT: u8 = 1;
    pub(crate) const FIXED64: u8 = 2;
    pub(crate) const FIXED32: u8 = 3;
    pub(crate) const BYTES: u8 = 4;
    pub(crate) const STRING: u8 = 5;
    pub(crate) const STRINGS: u8 = 6;
    pub(crate) const PACKED_VARINT_NARROW: u8 = 7;
    pub(crate) const PACKED_VARINT_WIDE: u8 = 8;
    pub(crate) const PACKED_FIXED64: u8 = 9;
    pub(crate) const PACKED_FIXED32: u8 = 10;
    /// One value of a repeated number that is not packed.
    pub(crate) const VARINT_ELEMENT: u8 = 11;
    pub(crate) const FIXED64_ELEMENT: u8 = 12;
    pub(crate) const FIXED32_ELEMENT: u8 = 13;
    /// This and above: a message, the field at index `action - MESSAGE`.
    pub(crate) const MESSAGE: u8 = 16;
}

/// Which counter a message adds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Counter {
    /// Not counted.
    None = 0,
    /// Items of the signal: spans, data points, log records, profiles, samples.
    Items = 1,
    /// Native histograms of remote write.
    Histograms = 2,
    /// Exemplars of remote write.
    Exemplars = 3,
    /// Metadata of remote write.
    Metadata = 4,
    /// Series of remote write and of Pyroscope push.
    Series = 5,
    /// Strings that are not UTF-8.
    DamagedStrings = 6,
    /// Fields that the message does not have.
    UnknownFields = 7,
}

/// How many counters there are, rounded up to a power of two.
pub(crate) const COUNTERS: usize = 8;

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Name, for messages about it.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the tests of the descriptors print it"))]
    pub(crate) name: &'static str,
    /// Size of the decoded struct in bytes, what it points to left out.
    pub(crate) size: u32,
    /// What it counts as.
    pub(crate) counter: Counter,
    /// Its fields.
    pub(crate) fields: &'static [Field],
    /// From key to action.
    pub(crate) table: [u8; 256],
}

impl Message {
    pub(crate) const fn new(name: &'static str, size: usize, counter: Counter, fields: &'static [Field]) -> Self {
        assert!(size < u32::MAX as usize && fields.len() < 100);
        Message { name, size: size as u32, counter, fields, table: table(fields) }
    }
}

const fn table(fields: &[Field]) -> [u8; 256] {
    let mut table = [action::OTHER; 256];
    let mut i = 0;
    while i < fields.len() {
        let field = fields[i];
        assert!(field.tag > 0 && field.tag < 32, "a key must fit in the table");
        let kind = field.kind;
        let key = (field.tag as usize) << 3 | kind.wire_type() as usize;
        assert!(table[key] == action::OTHER, "field number used twice");
        table[key] = match (kind.wire_type(), field.repeated) {
            (wire_type::VARINT, false) => action::VARINT,
            (wire_type::VARINT, true) => action::VARINT_ELEMENT,
            (wire_type::FIXED64, false) => action::FIXED64,
            (wire_type::FIXED64, true) => action::FIXED64_ELEMENT,
            (wire_type::FIXED32, false) => action::FIXED32,
            (wire_type::FIXED32, true) => action::FIXED32_ELEMENT,
            (_, repeated) => match kind {
                Kind::String if repeated => action::STRINGS,
                Kind::String => action::STRING,
                Kind::Message(_) => action::MESSAGE + i as u8,
                _ => action::BYTES,
            },
        };
        if field.repeated && kind.packable() {
            table[(field.tag as usize) << 3 | wire_type::LEN as usize] = match kind.wire_type() {
                wire_type::VARINT if kind.narrow() => action::PACKED_VARINT_NARROW,
                wire_type::VARINT => action::PACKED_VARINT_WIDE,
                wire_type::FIXED64 => action::PACKED_FIXED64,
                _ => action::PACKED_FIXED32,
            };
        }
        i += 1;
    }
    table
}

/// Declares a [`Message`]: `message!(NAME, decoded type, counter, [fields])`.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident, $decoded:ty, $counter:ident, [$($field:expr),* $(,)?]) => {
        $(#[$doc])*
        pub(crate) static $name: $crate::wire::descriptor::Message = {
            static FIELDS: &[$crate::wire::descriptor::Field] = &[$($field),*];
            $crate::wire::descriptor::Message::new(
                stringify!($name),
                size_of::<$decoded>(),
                $crate::wire::descriptor::Counter::$counter,
                FIELDS,
            )
        };
    };
}
pub(crate) use message;
