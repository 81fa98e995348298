//! Objects: the request, and where the translation is in it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::field::FieldSeed;
use super::output::Output;
use crate::wire::Limits;
use crate::wire::descriptor::{Field, Message};

/// A translation under way.
pub(super) struct Translation {
    pub(super) out: Output,
    /// Where it is. Only what has been read without fault is left again, so that this is the path
    /// of the fault when there is one.
    path: Vec<Step>,
    /// How many messages may still open.
    left: u32,
    /// The first name that is no field of its message, with the path to it.
    unknown: Option<String>,
}

/// A step of the path.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Field(&'static Field),
    Element(usize),
}

impl Translation {
    pub(super) fn new(json: usize) -> Self {
        Translation {
            out: Output::with_capacity(json / 2),
            path: Vec::with_capacity(16),
            left: Limits::NESTING,
            unknown: None,
        }
    }

    /// The protobuf, and the first unknown name.
    pub(super) fn into_output(self) -> (Vec<u8>, Option<String>) {
        (self.out.into_bytes(), self.unknown)
    }

    pub(super) fn enter(&mut self, step: Step) {
        self.path.push(step);
    }

    pub(super) fn leave(&mut self) {
        self.path.pop();
    }

    /// The path as JSON names it.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(field) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.extend(camel(field.name));
                }
                Step::Element(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// Reads the fields of an object as those of a message that stands within another one.
    pub(super) fn nested<'de, A: MapAccess<'de>>(&mut self, message: &'static Message, map: A) -> Result<(), A::Error> {
        if self.left == 0 {
            return Err(A::Error::custom(format_args!("messages nested deeper than {} levels", Limits::NESTING)));
        }
        self.left -= 1;
        self.fields(message, map)?;
        self.left += 1;
        Ok(())
    }

    fn fields<'de, A: MapAccess<'de>>(&mut self, message: &'static Message, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(message))? {
            let field = match field {
                Ok(field) => field,
                Err(name) => {
                    if self.unknown.is_none() {
                        let path = self.path();
                        let dot = if path.is_empty() { "" } else { "." };
                        self.unknown = Some(format!("{path}{dot}{name}"));
                    }
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            self.enter(Step::Field(field));
            map.next_value_seed(FieldSeed { field, to: self })?;
            self.leave();
        }
        Ok(())
    }
}

/// The letters of a snake-case name in lowerCamelCase.
fn camel(name: &str) -> impl Iterator<Item = char> {
    let mut upper = false;
    name.chars().filter_map(move |letter| match letter {
        '_' => {
            upper = true;
            None
        }
        letter if std::mem::take(&mut upper) => Some(letter.to_ascii_uppercase()),
        letter => Some(letter),
    })
}

/// The request itself.
pub(super) struct Root<'a> {
    pub(super) message: &'static Message,
    pub(super) to: &'a mut Translation,
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.to.fields(self.message, map)
    }
}

/// The name of a field of this message; the beginning of the name where it has none such.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Result<&'static Field, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Result<&'static Field, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let is = |field: &&Field| name == field.name || name.chars().eq(camel(field.name));
        Ok(self.0.fields.iter().find(is).ok_or_else(|| name.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_camel_case() {
        let camel = |name| camel(name).collect::<String>();
        assert_eq!(camel("start_time_unix_nano"), "startTimeUnixNano");
        assert_eq!(camel("string_value_strindex"), "stringValueStrindex");
        assert_eq!(camel("name"), "name");
    }
}
