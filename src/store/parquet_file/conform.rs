//! Columns as they were read become those of another shape: files that are merged have not all shredded the
//! same keys.
//!
//! Mostly it is enough to add columns of keys that a file has nowhere, and to leave out those that are
//! empty. Where not, variants are put together again and shredded anew.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StructArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet_variant_compute::{VariantArray, unshred_variant};

use super::shred::Shredder;
use crate::store::engine::shredding::{Shape, Shredding};

/// The same columns with text and bytes as views, which are moved without a copy.
pub fn views(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| view(field)).collect();
    Arc::new(Schema::new(fields))
}

fn view(field: &Field) -> Field {
    let inner = |field: &FieldRef| Arc::new(view(field));
    let of = match field.data_type() {
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::List(element) => DataType::List(inner(element)),
        other => other.clone(),
    };
    field.clone().with_data_type(of)
}

/// The rows of a file as `schema` has them, whose variants are shredded as `shredding` says. Columns that
/// the file does not have are NULL.
///
/// # Errors
/// A column is of another type, or a variant does not follow its encoding.
pub fn conform(rows: &RecordBatch, schema: &SchemaRef, shredding: &Shredding) -> Result<RecordBatch, ArrowError> {
    let arrays = schema.fields().iter().map(|field| {
        let Some(array) = rows.column_by_name(field.name()) else {
            return Ok(new_null_array(field.data_type(), rows.num_rows()));
        };
        match field.data_type() {
            DataType::Struct(fields) => variant(array, fields, shredding.shape(field.name())),
            DataType::List(element) => list(array, element),
            of => same(array, of),
        }
    });
    RecordBatch::try_new(Arc::clone(schema), arrays.collect::<Result<Vec<_>, _>>()?)
}

fn same(array: &ArrayRef, of: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == of { Ok(Arc::clone(array)) } else { cast(array, of) }
}

fn list(array: &ArrayRef, element: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let list: &ListArray = array.as_list_opt().ok_or_else(|| unfit(array, element.data_type()))?;
    let values = same(list.values(), element.data_type())?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(element), list.offsets().clone(), values, list.nulls().cloned())?))
}

fn variant(array: &ArrayRef, fields: &Fields, shape: Option<&Shape>) -> Result<ArrayRef, ArrowError> {
    let source = array.as_struct_opt().ok_or_else(|| unfit(array, &DataType::Struct(fields.clone())))?;
    let metadata = source.column_by_name("metadata").zip(fields.first());
    if let Some((metadata, field)) = metadata
        && let Some(pair) = pair(source, fields.get(1..).unwrap_or_default(), shape)
    {
        let mut arrays = vec![same(metadata, field.data_type())?];
        arrays.extend(pair);
        return Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, source.nulls().cloned())?));
    }
    anew(source, fields, shape)
}

/// Puts the variants together again and shreds them.
fn anew(source: &StructArray, fields: &Fields, shape: Option<&Shape>) -> Result<ArrayRef, ArrowError> {
    let whole = unshred_variant(&VariantArray::try_new(source)?)?;
    let whole: &StructArray = whole.inner();
    let column = |name: &str| {
        let column = whole.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no {name}")))?;
        same(column, &DataType::BinaryView)
    };
    let (metadata, value) = (column("metadata")?, column("value")?);
    let (metadata, value) = (metadata.as_binary_view(), value.as_binary_view());
    let mut shredder = Shredder::new(shape, whole.len());
    for row in 0..whole.len() {
        match whole.is_valid(row) && value.is_valid(row) {
            true => shredder.push(metadata.value(row), value.value(row)),
            false => shredder.push_null(),
        }
    }
    retype(&shredder.finish()?, &DataType::Struct(fields.clone()))
}

/// The same values with text and bytes as views.
fn retype(array: &ArrayRef, of: &DataType) -> Result<ArrayRef, ArrowError> {
    match of {
        DataType::Struct(fields) => {
            let source = array.as_struct_opt().ok_or_else(|| unfit(array, of))?;
            let arrays = source.columns().iter().zip(fields).map(|(array, field)| retype(array, field.data_type()));
            let arrays = arrays.collect::<Result<_, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, source.nulls().cloned())?))
        }
        DataType::List(element) => {
            let source: &ListArray = array.as_list_opt().ok_or_else(|| unfit(array, of))?;
            let values = retype(source.values(), element.data_type())?;
            let (offsets, nulls) = (source.offsets().clone(), source.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, nulls)?))
        }
        of => same(array, of),
    }
}

/// `value` and `typed_value` in another shape; `None` if single values have to move.
fn pair(source: &StructArray, fields: &[FieldRef], shape: Option<&Shape>) -> Option<Vec<ArrayRef>> {
    let null = |field: &FieldRef| new_null_array(field.data_type(), source.len());
    let value = match source.column_by_name("value") {
        Some(value) => same(value, fields.first()?.data_type()).ok()?,
        None => null(fields.first()?),
    };
    let typed = source.column_by_name("typed_value");
    let Some((shape, field)) = shape.zip(fields.get(1)) else {
        return typed.is_none_or(is_null).then(|| vec![value]);
    };
    let typed = match typed {
        None if is_null(&value) => null(field),
        None => return None,
        Some(typed) => match (shape, field.data_type()) {
            (Shape::Object(shapes), DataType::Struct(fields)) => {
                object(typed.as_struct_opt()?, &value, fields, shapes)?
            }
            (Shape::Array(shape), DataType::List(element)) => {
                let list: &ListArray = typed.as_list_opt()?;
                let DataType::Struct(fields) = element.data_type() else { return None };
                let values = pair(list.values().as_struct_opt()?, fields, Some(shape))?;
                let values = Arc::new(StructArray::try_new(fields.clone(), values, None).ok()?);
                let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
                Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, nulls).ok()?)
            }
            (_, of) if typed.data_type() == of => Arc::clone(typed),
            _ if is_null(typed) && is_null(&value) => null(field),
            _ => return None,
        },
    };
    Some(vec![value, typed])
}

fn object(typed: &StructArray, value: &ArrayRef, fields: &Fields, shapes: &[(String, Shape)]) -> Option<ArrayRef> {
    let is_wanted = |name: &String| shapes.binary_search_by(|(key, _)| key.cmp(name)).is_ok();
    for (field, child) in typed.fields().iter().zip(typed.columns()) {
        if !is_wanted(field.name()) && !child.as_struct_opt()?.columns().iter().all(is_null) {
            return None;
        }
    }
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(shapes.len());
    for (field, (key, shape)) in fields.iter().zip(shapes) {
        let DataType::Struct(of_field) = field.data_type() else { return None };
        let arrays_of_field = match typed.column_by_name(key) {
            Some(child) => pair(child.as_struct_opt()?, of_field, Some(shape))?,
            // What has no column is among the rest, if there is any.
            None if is_null(value) => {
                of_field.iter().map(|field| new_null_array(field.data_type(), typed.len())).collect()
            }
            None => return None,
        };
        arrays.push(Arc::new(StructArray::try_new(of_field.clone(), arrays_of_field, None).ok()?));
    }
    Some(Arc::new(StructArray::try_new(fields.clone(), arrays, typed.nulls().cloned()).ok()?))
}

fn is_null(array: &ArrayRef) -> bool {
    array.null_count() == array.len()
}

fn unfit(array: &ArrayRef, of: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("a column is {} instead of {of}", array.data_type()))
}
