//! The columns of a stored table as Arrow has them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, LargeBinaryArray, LargeListArray, ListArray, RecordBatch, new_null_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet_variant_compute::VariantType;

use super::shred::{self, shred};
use crate::store::engine::shredding::Shredding;
use crate::store::schema::{self, Table};

/// The schema of a file of `table` whose variants are shredded so. Fields have the numbers that a DuckLake
/// knows them by.
pub fn schema(table: Table, shredding: &Shredding) -> SchemaRef {
    let all = table.fields();
    let fields = all.iter().filter(|field| field.parent.is_none()).map(|field| {
        let element = all.iter().find(|element| element.parent == Some(field.id));
        let data_type = data_type(field, element, shredding);
        let numbered = Field::new(field.name, data_type, true).with_metadata(number(field.id));
        match field.sql_type {
            "VARIANT" => numbered.with_extension_type(VariantType),
            _ => numbered,
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn number(id: i64) -> HashMap<String, String> {
    HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())])
}

fn data_type(field: &schema::Field, element: Option<&schema::Field>, shredding: &Shredding) -> DataType {
    match (field.sql_type, element) {
        ("VARIANT", _) => shred::data_type(shredding.shape(field.name)),
        (_, Some(element)) => {
            let of = scalar(element.sql_type);
            DataType::List(Arc::new(Field::new("element", of, true).with_metadata(number(element.id))))
        }
        (sql_type, None) => scalar(sql_type),
    }
}

fn scalar(sql_type: &str) -> DataType {
    match sql_type {
        "BOOLEAN" => DataType::Boolean,
        "INTEGER" => DataType::Int32,
        "UINTEGER" => DataType::UInt32,
        "BIGINT" => DataType::Int64,
        "DOUBLE" => DataType::Float64,
        "TIMESTAMP_NS" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "BLOB" => DataType::LargeBinary,
        _ => DataType::LargeUtf8,
    }
}

/// Decoded rows as a file holds them. Columns that they do not have are NULL.
///
/// # Errors
/// A variant does not follow its encoding.
pub fn stored(table: Table, shredding: &Shredding, decoded: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = schema(table, shredding);
    let arrays = table.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let Some(array) = decoded.column_by_name(column.name) else {
            return Ok(new_null_array(field.data_type(), decoded.num_rows()));
        };
        match field.data_type() {
            DataType::Struct(_) => {
                let encoded: Option<&LargeBinaryArray> = array.as_binary_opt();
                let encoded = encoded.ok_or_else(|| unfit(field, array))?;
                shred(encoded.iter(), shredding.shape(column.name))
            }
            DataType::List(element) => list(array, element),
            of if of == array.data_type() => Ok(Arc::clone(array)),
            _ => Err(unfit(field, array)),
        }
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, arrays)
}

/// A list as files have it.
fn list(array: &ArrayRef, element: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let unfit = || ArrowError::SchemaError(format!("a list of {element} is {}", array.data_type()));
    let large: &LargeListArray = array.as_list_opt().ok_or_else(unfit)?;
    let ends = large.value_offsets().iter().map(|end| i32::try_from(*end)).collect::<Result<Vec<i32>, _>>();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends.map_err(|_| unfit())?));
    let values = Arc::clone(large.values());
    Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, large.nulls().cloned())?))
}

fn unfit(field: &Field, array: &ArrayRef) -> ArrowError {
    ArrowError::SchemaError(format!("column {} is {}", field.name(), array.data_type()))
}
