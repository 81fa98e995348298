//! Encoded variants become columns: `metadata` (all keys), `value` (what has no column of its own) and
//! `typed_value` (a scalar, a list, or the fields of an object, each of which has both again). See
//! Parquet's `VariantShredding.md`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListArray, NullBufferBuilder, StringBuilder,
    StructArray, TimestampNanosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use arrow::error::ArrowError;

use super::encoding::{self, Keys, Parts, Value};
use crate::store::engine::shredding::{Scalar, Shape};

/// Metadata without a key, of rows that are NULL.
const NO_KEYS: &[u8] = &[1, 0, 0];

/// The columns of a variant of this shape, as Arrow types them.
pub fn data_type(shape: Option<&Shape>) -> DataType {
    let metadata = Field::new("metadata", DataType::Binary, false);
    DataType::Struct([Arc::new(metadata)].into_iter().chain(pair(shape).iter().cloned()).collect())
}

/// `value`, and `typed_value` where there is one.
fn pair(shape: Option<&Shape>) -> Fields {
    let value = Field::new("value", DataType::Binary, true);
    let typed = shape.map(|shape| Arc::new(Field::new("typed_value", typed(shape), true)));
    [Arc::new(value)].into_iter().chain(typed).collect()
}

fn typed(shape: &Shape) -> DataType {
    match shape {
        Shape::Scalar(Scalar::Boolean) => DataType::Boolean,
        Shape::Scalar(Scalar::BigInt) => DataType::Int64,
        Shape::Scalar(Scalar::Double) => DataType::Float64,
        Shape::Scalar(Scalar::Blob) => DataType::Binary,
        Shape::Scalar(Scalar::Varchar) => DataType::Utf8,
        Shape::Scalar(Scalar::TimestampNs) => DataType::Timestamp(TimeUnit::Nanosecond, None),
        Shape::Array(element) => DataType::List(element_field(element)),
        Shape::Object(fields) => {
            let field = |(key, shape): &(String, Shape)| Field::new(key, DataType::Struct(pair(Some(shape))), false);
            DataType::Struct(fields.iter().map(field).collect())
        }
    }
}

fn element_field(element: &Shape) -> FieldRef {
    Arc::new(Field::new("element", DataType::Struct(pair(Some(element))), false))
}

/// Takes variants of one column, row by row.
pub struct Shredder {
    metadata: BinaryBuilder,
    place: Place,
    nulls: NullBufferBuilder,
    data_type: DataType,
}

impl Shredder {
    /// With columns for `shape`.
    pub fn new(shape: Option<&Shape>, rows: usize) -> Self {
        Shredder {
            metadata: BinaryBuilder::with_capacity(rows, rows * 64),
            place: Place::new(shape),
            nulls: NullBufferBuilder::new(rows),
            data_type: data_type(shape),
        }
    }

    /// NULL.
    pub fn push_null(&mut self) {
        self.metadata.append_value(NO_KEYS);
        self.place.push_missing();
        self.nulls.append_null();
    }

    /// A variant in its two parts. What does not follow the encoding is taken as a value without columns.
    pub fn push(&mut self, metadata: &[u8], value: &[u8]) {
        self.metadata.append_value(metadata);
        match Keys::read(metadata) {
            Some(keys) => self.place.push(&keys, value),
            None => self.place.push_value(value),
        }
        self.nulls.append_non_null();
    }

    /// All of the rows.
    ///
    /// # Errors
    /// None is known.
    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let DataType::Struct(fields) = self.data_type else {
            return Err(ArrowError::SchemaError("a variant is a struct".to_owned()));
        };
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.metadata.finish())];
        arrays.extend(self.place.finish()?);
        Ok(Arc::new(StructArray::try_new(fields, arrays, self.nulls.finish())?))
    }
}

/// `value` and `typed_value` of one place in a variant.
struct Place {
    value: BinaryBuilder,
    typed: Option<Typed>,
}

enum Typed {
    Boolean(BooleanBuilder),
    BigInt(Int64Builder),
    Double(Float64Builder),
    Blob(BinaryBuilder),
    Varchar(StringBuilder),
    Time(TimestampNanosecondBuilder),
    Array { field: FieldRef, ends: Vec<i32>, nulls: NullBufferBuilder, element: Box<Place> },
    Object { fields: Fields, nulls: NullBufferBuilder, places: Vec<(String, Place)> },
}

impl Place {
    fn new(shape: Option<&Shape>) -> Self {
        Place { value: BinaryBuilder::new(), typed: shape.map(Typed::new) }
    }

    /// Neither: the field is not there.
    fn push_missing(&mut self) {
        self.value.append_null();
        if let Some(typed) = &mut self.typed {
            typed.push_null();
        }
    }

    /// The value as it is.
    fn push_value(&mut self, value: &[u8]) {
        self.value.append_value(value);
        if let Some(typed) = &mut self.typed {
            typed.push_null();
        }
    }

    fn push(&mut self, keys: &Keys<'_>, value: &[u8]) {
        let taken =
            self.typed.as_mut().zip(Value::read(value)).map(|(typed, read)| typed.push(keys, read, &mut self.value));
        if taken != Some(true) {
            self.push_value(value);
        }
    }

    fn finish(mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        let value: ArrayRef = Arc::new(self.value.finish());
        [Ok(value)].into_iter().chain(self.typed.map(Typed::finish)).collect()
    }
}

impl Typed {
    fn new(shape: &Shape) -> Self {
        match shape {
            Shape::Scalar(Scalar::Boolean) => Typed::Boolean(BooleanBuilder::new()),
            Shape::Scalar(Scalar::BigInt) => Typed::BigInt(Int64Builder::new()),
            Shape::Scalar(Scalar::Double) => Typed::Double(Float64Builder::new()),
            Shape::Scalar(Scalar::Blob) => Typed::Blob(BinaryBuilder::new()),
            Shape::Scalar(Scalar::Varchar) => Typed::Varchar(StringBuilder::new()),
            Shape::Scalar(Scalar::TimestampNs) => Typed::Time(TimestampNanosecondBuilder::new()),
            Shape::Array(element) => Typed::Array {
                field: element_field(element),
                ends: vec![0],
                nulls: NullBufferBuilder::new(0),
                element: Box::new(Place::new(Some(element))),
            },
            Shape::Object(shapes) => {
                let DataType::Struct(fields) = typed(shape) else { unreachable!("an object is a struct") };
                let places = shapes.iter().map(|(key, shape)| (key.clone(), Place::new(Some(shape)))).collect();
                Typed::Object { fields, nulls: NullBufferBuilder::new(0), places }
            }
        }
    }

    fn push_null(&mut self) {
        match self {
            Typed::Boolean(column) => column.append_null(),
            Typed::BigInt(column) => column.append_null(),
            Typed::Double(column) => column.append_null(),
            Typed::Blob(column) => column.append_null(),
            Typed::Varchar(column) => column.append_null(),
            Typed::Time(column) => column.append_null(),
            Typed::Array { ends, nulls, .. } => {
                ends.push(ends.last().copied().unwrap_or_default());
                nulls.append_null();
            }
            Typed::Object { nulls, places, .. } => {
                nulls.append_null();
                for (_, place) in places {
                    place.push_missing();
                }
            }
        }
    }

    /// Takes `read` if it is of this type, and with it what goes into `value` beside it.
    fn push(&mut self, keys: &Keys<'_>, read: Value<'_>, value: &mut BinaryBuilder) -> bool {
        match (self, read) {
            (Typed::Boolean(column), Value::Bool(bool)) => column.append_value(bool),
            (Typed::BigInt(column), Value::Int(int)) => column.append_value(int),
            (Typed::Double(column), Value::Double(double)) => column.append_value(double),
            (Typed::Blob(column), Value::Bytes(bytes)) => column.append_value(bytes),
            (Typed::Time(column), Value::Time(nanos)) => column.append_value(nanos),
            (Typed::Varchar(column), Value::Text(text)) => match std::str::from_utf8(text) {
                Ok(text) => column.append_value(text),
                Err(_) => return false,
            },
            (Typed::Array { ends, nulls, element, .. }, Value::Array(parts)) => {
                let values: Option<Vec<&[u8]>> = (0..parts.len()).map(|n| parts.value(n)).collect();
                let end = ends.last().copied().unwrap_or_default();
                let next = i32::try_from(parts.len()).ok().and_then(|len| end.checked_add(len));
                let (Some(values), Some(next)) = (values, next) else { return false };
                for part in values {
                    element.push(keys, part);
                }
                ends.push(next);
                nulls.append_non_null();
            }
            (Typed::Object { nulls, places, .. }, Value::Object(parts)) => {
                let Some(fields) = fields(keys, &parts) else { return false };
                let rest = push_fields(places, &fields, keys);
                nulls.append_non_null();
                if !rest.is_empty() {
                    let mut object = Vec::new();
                    encoding::object(&rest, &mut object);
                    value.append_value(object);
                    return true;
                }
            }
            _ => return false,
        }
        value.append_null();
        true
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Typed::Boolean(mut column) => Arc::new(column.finish()),
            Typed::BigInt(mut column) => Arc::new(column.finish()),
            Typed::Double(mut column) => Arc::new(column.finish()),
            Typed::Blob(mut column) => Arc::new(column.finish()),
            Typed::Varchar(mut column) => Arc::new(column.finish()),
            Typed::Time(mut column) => Arc::new(column.finish()),
            Typed::Array { field, ends, mut nulls, element } => {
                let element = struct_of(field.data_type(), element.finish()?, None)?;
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(ListArray::try_new(field, offsets, element, nulls.finish())?)
            }
            Typed::Object { fields, mut nulls, places } => {
                let mut arrays: Vec<ArrayRef> = Vec::with_capacity(places.len());
                for (field, (_, place)) in fields.iter().zip(places) {
                    arrays.push(struct_of(field.data_type(), place.finish()?, None)?);
                }
                Arc::new(StructArray::try_new(fields, arrays, nulls.finish())?)
            }
        })
    }
}

/// A field of an object: key, its number, encoded value.
type EncodedField<'a> = (&'a [u8], usize, &'a [u8]);

/// An object's fields in the order of their keys.
fn fields<'a>(keys: &Keys<'a>, parts: &Parts<'a>) -> Option<Vec<EncodedField<'a>>> {
    let mut fields = Vec::with_capacity(parts.len());
    for n in 0..parts.len() {
        let id = parts.id(n)?;
        fields.push((keys.bytes_of(id)?, id, parts.value(n)?));
    }
    // The encoding asks for it.
    fields.is_sorted_by_key(|(key, ..)| *key).then_some(fields)
}

/// Gives the fields to their columns, which are in the same order; what has none is left.
fn push_fields<'a>(
    places: &mut [(String, Place)],
    fields: &[EncodedField<'a>],
    keys: &Keys<'_>,
) -> Vec<(usize, &'a [u8])> {
    let mut rest = Vec::new();
    let mut fields = fields.iter().peekable();
    for (key, place) in places {
        while let Some((_, id, value)) = fields.next_if(|(field, ..)| *field < key.as_bytes()) {
            rest.push((*id, *value));
        }
        match fields.next_if(|(field, ..)| *field == key.as_bytes()) {
            Some((_, _, value)) => place.push(keys, value),
            None => place.push_missing(),
        }
    }
    rest.extend(fields.map(|(_, id, value)| (*id, *value)));
    rest
}

fn struct_of(of: &DataType, arrays: Vec<ArrayRef>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = of else {
        return Err(ArrowError::SchemaError(format!("{of} is no struct")));
    };
    Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, nulls)?))
}

/// The columns of variants in their encoded form, metadata and value one after the other.
///
/// # Errors
/// None is known.
pub fn shred<'a>(
    variants: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
    shape: Option<&Shape>,
) -> Result<ArrayRef, ArrowError> {
    let mut shredder = Shredder::new(shape, variants.len());
    for variant in variants {
        match variant {
            None => shredder.push_null(),
            // What cannot be told apart was written by nobody of ours.
            Some(variant) => match encoding::split(variant) {
                Some((metadata, value)) => shredder.push(metadata, value),
                None => return Err(ArrowError::ParseError("a variant does not follow its encoding".to_owned())),
            },
        }
    }
    shredder.finish()
}
