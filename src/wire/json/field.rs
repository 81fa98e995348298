//! Values: lists, and single values of every kind.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::id;
use super::message::{Step, Translation};
use super::scalar::{Number, expected};
use crate::wire::descriptor::{Field, Kind};

/// The value of a field: a list if it is repeated.
pub(super) struct FieldSeed<'a> {
    pub(super) field: &'static Field,
    pub(super) to: &'a mut Translation,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.field.repeated {
            deserializer.deserialize_any(List { field: self.field, to: self.to })
        } else {
            let shape = if self.field.oneof { Shape::Alternative } else { Shape::Single };
            deserializer.deserialize_any(Value { field: self.field, shape, to: self.to })
        }
    }
}

/// The elements of a repeated field.
struct List<'a> {
    field: &'static Field,
    to: &'a mut Translation,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list, each element {}", expected(self.field.kind))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let shape = if self.field.kind.packable() { Shape::Packed } else { Shape::Element };
        let begun = (shape == Shape::Packed).then(|| self.to.out.begin(self.field.tag));
        let mut index = 0;
        loop {
            self.to.enter(Step::Element(index));
            let element = Element(Value { field: self.field, shape, to: &mut *self.to });
            let end = list.next_element_seed(element)?.is_none();
            self.to.leave();
            if end {
                break;
            }
            index += 1;
        }
        if let Some(begun) = begun {
            self.to.out.end_list(begun);
        }
        Ok(())
    }
}

struct Element<'a>(Value<'a>);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

/// How a value stands in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A field of its own.
    Single,
    /// A member of a oneof: being there counts.
    Alternative,
    /// An element of a repeated field, with a key of its own.
    Element,
    /// An element of a packed list, without a key.
    Packed,
}

struct Value<'a> {
    field: &'static Field,
    shape: Shape,
    to: &'a mut Translation,
}

impl Value<'_> {
    fn key(&mut self) {
        if self.shape != Shape::Packed {
            self.to.out.key(self.field.tag, self.field.kind.wire_type());
        }
    }

    fn number<E: Error>(mut self, number: Number, unexpected: Unexpected<'_>) -> Result<(), E> {
        if matches!(self.field.kind.wire_type(), crate::wire::descriptor::wire_type::LEN) {
            return Err(E::invalid_type(unexpected, &self));
        }
        self.key();
        match number.write(self.field.kind, &mut self.to.out) {
            Some(()) => Ok(()),
            None => Err(E::invalid_value(unexpected, &self)),
        }
    }

    /// Bytes or a string. Empty ones are written, too: the field may have occurred before.
    fn bytes(self, bytes: &[u8]) {
        self.to.out.delimited(self.field.tag, bytes);
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(expected(self.field.kind))
    }

    /// `null`.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match (self.field.kind, self.shape) {
            (Kind::Message(_), Shape::Element) => {
                self.to.out.delimited(self.field.tag, &[]);
                Ok(())
            }
            (Kind::Double, Shape::Alternative) | (_, Shape::Element | Shape::Packed) => {
                Err(E::invalid_type(Unexpected::Other("null"), &self))
            }
            _ => Ok(()),
        }
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        }
        self.key();
        self.to.out.varint(value.into());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(Number::Unsigned(value), Unexpected::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(Number::Signed(value), Unexpected::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(Number::Float(value), Unexpected::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let unexpected = Unexpected::Str(excerpt(value));
        match self.field.kind {
            Kind::String => self.bytes(value.as_bytes()),
            Kind::Bytes => match id::base64(value) {
                Some(bytes) => self.bytes(&bytes),
                None => return Err(E::invalid_value(unexpected, &self)),
            },
            Kind::Id => match id::hex(value) {
                Some(bytes) => self.bytes(&bytes),
                None => return Err(E::invalid_value(unexpected, &self)),
            },
            Kind::Bool | Kind::Message(_) => return Err(E::invalid_type(unexpected, &self)),
            kind => {
                let named = match kind {
                    Kind::Enum(names) => names.iter().find(|(name, _)| *name == value),
                    _ => None,
                };
                let number = named.map(|(_, number)| Number::Signed(i64::from(*number)));
                match number.or_else(|| Number::parse(value, kind)) {
                    Some(number) => return self.number(number, unexpected),
                    None => return Err(E::invalid_value(unexpected, &self)),
                }
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        let begun = self.to.out.begin(self.field.tag);
        self.to.nested(message, map)?;
        self.to.out.end(begun);
        Ok(())
    }
}

/// The beginning of a text, for messages.
fn excerpt(text: &str) -> &str {
    let end = text.char_indices().nth(64).map_or(text.len(), |(end, _)| end);
    &text[..end]
}
