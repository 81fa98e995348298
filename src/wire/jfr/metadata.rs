//! The types that a chunk describes: what fields a class has, and how a value is skipped.

use std::collections::HashMap;
use std::sync::Arc;

use super::JfrError;
use super::cursor::{Cursor, Text};

/// Elements within elements of the description.
const MAX_ELEMENT_DEPTH: usize = 16;

/// Values within values.
const MAX_VALUE_DEPTH: usize = 16;

/// How the values of a class are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// So many bytes.
    Bytes(usize),
    Number,
    Text,
    /// Its fields, one after the other.
    Object,
}

/// A field of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// Shared with the text: a long one may be named by any number of fields of a few bytes.
    pub(super) name: Arc<str>,
    class: u64,
    /// The value is a reference to a constant.
    constant: bool,
    /// Any number of values.
    array: bool,
}

/// A class: an event, a constant or a part of one.
#[derive(Debug)]
struct Class {
    name: Arc<str>,
    shape: Shape,
    fields: Vec<Field>,
}

/// A field's value, as far as it is of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    /// A number, a reference to a constant, or a truth value.
    Number(u64),
    Text(Text<'a>),
    /// Read over.
    Other,
}

/// All classes of a chunk.
#[derive(Debug, Default)]
pub(super) struct Types {
    classes: HashMap<u64, Class>,
}

impl Types {
    /// Reads the metadata event at the cursor.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, JfrError> {
        let start = cursor.position();
        let size = cursor.number()?;
        cursor.limit(start, size)?;
        // Type of the event, start, duration, id.
        for _ in 0..4 {
            cursor.number()?;
        }
        let mut strings = Vec::new();
        for _ in 0..cursor.count()? {
            match cursor.text()? {
                Text::Here(text) => strings.push(Arc::from(text)),
                Text::Constant(_) => return Err(cursor.fail("the metadata refers to a constant")),
            }
        }
        let mut types = Types::default();
        types.element(cursor, &strings, None, 0)?;
        Ok(types)
    }

    /// Reads an element of the description with all that is in it. `within` is the class that it
    /// belongs to.
    fn element(
        &mut self,
        cursor: &mut Cursor<'_>,
        strings: &[Arc<str>],
        within: Option<u64>,
        depth: usize,
    ) -> Result<(), JfrError> {
        if depth > MAX_ELEMENT_DEPTH {
            return Err(cursor.fail("the metadata is nested too deeply"));
        }
        let text = |cursor: &mut Cursor<'_>| {
            let index = usize::try_from(cursor.number()?).ok();
            let text = index.and_then(|index| strings.get(index));
            text.ok_or_else(|| cursor.fail("the metadata names a text that it does not have"))
        };
        let name = text(cursor)?;
        let mut attributes = Vec::new();
        for _ in 0..cursor.count()? {
            attributes.push((text(cursor)?, text(cursor)?));
        }
        let find = |wanted: &str| attributes.iter().find(|(name, _)| &***name == wanted).map(|(_, value)| *value);
        let named = || find("name").cloned().unwrap_or_default();
        let number = |wanted: &str| find(wanted).and_then(|value| value.parse::<u64>().ok());
        let mut inside = within;
        match (&**name, within) {
            ("class", _) => {
                let id = number("id").ok_or_else(|| cursor.fail("a class has no id"))?;
                let name = named();
                let shape = shape(&name);
                self.classes.insert(id, Class { name, shape, fields: Vec::new() });
                inside = Some(id);
            }
            ("field", Some(class)) => {
                let field = Field {
                    name: named(),
                    class: number("class").ok_or_else(|| cursor.fail("a field has no class"))?,
                    constant: find("constantPool").is_some_and(|value| &**value == "true"),
                    array: number("dimension").is_some_and(|dimension| dimension > 0),
                };
                if let Some(class) = self.classes.get_mut(&class) {
                    class.fields.push(field);
                }
            }
            _ => {}
        }
        for _ in 0..cursor.count()? {
            self.element(cursor, strings, inside, depth + 1)?;
        }
        Ok(())
    }

    /// The name of a class, if there is such a class.
    pub(super) fn name(&self, class: u64) -> Option<&str> {
        self.classes.get(&class).map(|class| &*class.name)
    }

    /// The ids and names of all classes.
    pub(super) fn names(&self) -> impl Iterator<Item = (u64, &str)> {
        self.classes.iter().map(|(id, class)| (*id, &*class.name))
    }

    fn class(&self, cursor: &Cursor<'_>, class: u64) -> Result<&Class, JfrError> {
        self.classes.get(&class).ok_or_else(|| cursor.fail("a value is of a type that is not described"))
    }

    /// The fields of a class, in the order in which their values are written.
    pub(super) fn fields(&self, cursor: &Cursor<'_>, class: u64) -> Result<&[Field], JfrError> {
        Ok(&self.class(cursor, class)?.fields)
    }

    /// Reads the fields of an object and hands each over by its name.
    pub(super) fn object<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        class: u64,
        mut each: impl FnMut(&str, Scalar<'a>),
    ) -> Result<(), JfrError> {
        let found = self.class(cursor, class)?;
        if found.shape != Shape::Object {
            let value = self.single(cursor, class, 0)?;
            each("", value);
            return Ok(());
        }
        for field in &found.fields {
            let value = self.value(cursor, field)?;
            each(&field.name, value);
        }
        Ok(())
    }

    /// Reads the value of a field.
    pub(super) fn value<'a>(&self, cursor: &mut Cursor<'a>, field: &Field) -> Result<Scalar<'a>, JfrError> {
        self.field(cursor, field, 0)
    }

    /// Reads the elements of an array of objects with `element`, or skips what is anything else.
    pub(super) fn elements<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        field: &Field,
        mut element: impl FnMut(&mut Cursor<'a>, u64) -> Result<(), JfrError>,
    ) -> Result<(), JfrError> {
        if !field.array || field.constant {
            self.value(cursor, field)?;
            return Ok(());
        }
        for _ in 0..cursor.count()? {
            cursor.step()?;
            element(cursor, field.class)?;
        }
        Ok(())
    }

    fn field<'a>(&self, cursor: &mut Cursor<'a>, field: &Field, depth: usize) -> Result<Scalar<'a>, JfrError> {
        let one = |cursor: &mut Cursor<'a>| match field.constant {
            true => cursor.number().map(Scalar::Number),
            false => self.single(cursor, field.class, depth),
        };
        if !field.array {
            return one(cursor);
        }
        for _ in 0..cursor.count()? {
            cursor.step()?;
            one(cursor)?;
        }
        Ok(Scalar::Other)
    }

    fn single<'a>(&self, cursor: &mut Cursor<'a>, class: u64, depth: usize) -> Result<Scalar<'a>, JfrError> {
        cursor.step()?;
        if depth > MAX_VALUE_DEPTH {
            return Err(cursor.fail("a value is nested too deeply"));
        }
        let class = self.class(cursor, class)?;
        match class.shape {
            Shape::Number => cursor.number().map(Scalar::Number),
            Shape::Text => cursor.text().map(Scalar::Text),
            Shape::Bytes(1) => Ok(Scalar::Number(u64::from(cursor.take(1)?[0]))),
            Shape::Bytes(length) => cursor.take(length).map(|_| Scalar::Other),
            Shape::Object => {
                for field in &class.fields {
                    self.field(cursor, field, depth + 1)?;
                }
                Ok(Scalar::Other)
            }
        }
    }
}

fn shape(class: &str) -> Shape {
    match class {
        "boolean" | "byte" => Shape::Bytes(1),
        "float" => Shape::Bytes(4),
        "double" => Shape::Bytes(8),
        "char" | "short" | "int" | "long" => Shape::Number,
        "java.lang.String" => Shape::Text,
        _ => Shape::Object,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{INT, Writer};
    use super::*;

    #[test]
    fn a_name_takes_its_memory_once_however_many_have_it() {
        let mut writer = Writer::new();
        writer.class(100, "some.Event", &[("value", INT, false, false); 3]).class(101, "some.Event", &[]);
        let recording = writer.finish();
        let mut cursor = Cursor::new(&recording, 0);
        let metadata = usize::from_be_bytes(*recording[24..].first_chunk().expect("a header"));
        cursor.seek(metadata).expect("inside");
        let types = Types::read(&mut cursor).expect("good");
        let [first, second, third] = &types.classes[&100].fields[..] else { panic!("three fields") };
        assert_eq!(&*first.name, "value");
        assert!(Arc::ptr_eq(&first.name, &second.name) && Arc::ptr_eq(&first.name, &third.name));
        assert!(Arc::ptr_eq(&types.classes[&100].name, &types.classes[&101].name));
    }
}
