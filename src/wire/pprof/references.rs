//! Where the indexes and ids of a profile lead.

use super::ids::Ids;
use crate::wire::error::{Reason, WireError};
use crate::wire::fields::{Fields, Value, error};

/// The path below the entry, and what is wrong there.
type Fault = (&'static str, Reason);

struct References {
    strings: usize,
    sample_types: usize,
    mappings: Ids,
    locations: Ids,
    functions: Ids,
}

/// Checks the references of a well-formed profile.
pub(super) fn check(payload: &[u8]) -> Result<(), WireError> {
    let count = |number| Fields(payload).filter(|(tag, _)| *tag == number).count();
    let references = References {
        strings: count(6),
        sample_types: count(1),
        mappings: Ids::read(payload, 3, "mapping")?,
        locations: Ids::read(payload, 4, "location")?,
        functions: Ids::read(payload, 5, "function")?,
    };
    let mut seen = [0usize; 16];
    for (tag, value) in Fields(payload) {
        let index = seen.get_mut(tag as usize).map_or(0, |seen| {
            *seen += 1;
            *seen - 1
        });
        references.check(tag, value).map_err(|(below, reason)| {
            let name =
                ["", "sample_type", "sample", "mapping", "location", "function"].get(tag as usize).unwrap_or(&"");
            let path = if name.is_empty() { below.to_owned() } else { format!("{name}[{index}].{below}") };
            error(payload, value.bytes(), path, reason)
        })?;
    }
    Ok(())
}

impl References {
    fn check(&self, tag: u32, value: Value<'_>) -> Result<(), Fault> {
        match tag {
            1 => self.strings(value, &[(1, "type"), (2, "unit")]),
            2 => self.sample(value),
            3 => self.strings(value, &[(5, "filename"), (6, "build_id")]),
            4 => self.location(value),
            5 => self.strings(value, &[(2, "name"), (3, "system_name"), (4, "filename")]),
            7 => self.string(value, "drop_frames"),
            8 => self.string(value, "keep_frames"),
            11 => self.strings(value, &[(1, "period_type.type"), (2, "period_type.unit")]),
            13 => value.numbers().try_for_each(|index| self.string(Value::Varint(index), "comment")),
            14 => self.string(value, "default_sample_type"),
            15 => self.string(value, "doc_url"),
            _ => Ok(()),
        }
    }

    /// Checks an index into the string table; 0, the empty string, is always there.
    fn string(&self, value: Value<'_>, name: &'static str) -> Result<(), Fault> {
        let index = value.number();
        if index == 0 || usize::try_from(index).is_ok_and(|index| index < self.strings) {
            return Ok(());
        }
        Err((name, Reason::StringOutOfRange { index: index as i64, strings: self.strings }))
    }

    /// Checks the fields of a message that are indexes into the string table.
    fn strings(&self, message: Value<'_>, fields: &[(u32, &'static str)]) -> Result<(), Fault> {
        for (tag, value) in Fields(message.bytes()) {
            if let Some((_, name)) = fields.iter().find(|(field, _)| *field == tag) {
                self.string(value, name)?;
            }
        }
        Ok(())
    }

    fn sample(&self, sample: Value<'_>) -> Result<(), Fault> {
        let mut values = 0;
        for (tag, value) in Fields(sample.bytes()) {
            match tag {
                1 => {
                    for id in value.numbers() {
                        self.locations.check(id).map_err(|reason| ("location_id", reason))?;
                    }
                }
                2 => values += value.numbers().count(),
                3 => self.strings(value, &[(1, "label.key"), (2, "label.str"), (4, "label.num_unit")])?,
                _ => {}
            }
        }
        if values == self.sample_types {
            return Ok(());
        }
        Err(("value", Reason::ValueCount { values, types: self.sample_types }))
    }

    fn location(&self, location: Value<'_>) -> Result<(), Fault> {
        for (tag, value) in Fields(location.bytes()) {
            match tag {
                2 if value.number() != 0 => {
                    self.mappings.check(value.number()).map_err(|reason| ("mapping_id", reason))?;
                }
                4 => {
                    let functions = Fields(value.bytes()).filter(|(tag, id)| *tag == 1 && id.number() != 0);
                    for (_, id) in functions {
                        self.functions.check(id.number()).map_err(|reason| ("line.function_id", reason))?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
