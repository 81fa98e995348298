//! PostgreSQL's types for what DuckDB gives: all that its Arrow says, and the name of the SQL type where that
//! says more (`VARIANT` and `JSON` are text in Arrow).

use arrow::datatypes::{DataType, Field, TimeUnit};
use pgwire::api::Type;
use pgwire::messages::data::FieldDescription;

/// A column of an answer, as PostgreSQL has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// What the type is told beside it: the digits of a `numeric`.
    pub modifier: i32,
}

impl Column {
    /// Of a column in Arrow. DuckDB's name of its type is in the metadata.
    pub fn of_arrow(field: &Field) -> Self {
        let sql = field.metadata().get("duckdb_type").map_or("", String::as_str);
        let kind = of_arrow(field.data_type(), sql);
        Column { name: field.name().clone(), modifier: modifier(field.data_type(), &kind), kind }
    }

    /// Of a column with DuckDB's name of its type.
    pub fn of_sql(name: &str, sql: &str) -> Self {
        let kind = of_sql(sql);
        let digits = sql.strip_prefix("DECIMAL(").and_then(|rest| rest.strip_suffix(')')?.split_once(','));
        let modifier = digits
            .filter(|_| kind == Type::NUMERIC)
            .and_then(|(width, scale)| Some(digits_of(width.trim().parse().ok()?, scale.trim().parse().ok()?)));
        Column { name: name.to_owned(), kind, modifier: modifier.unwrap_or(-1) }
    }

    /// The description of it in this format.
    pub fn describe(&self, format: i16) -> FieldDescription {
        FieldDescription::new(
            self.name.replace('\0', ""),
            0,
            0,
            self.kind.oid(),
            size(&self.kind),
            self.modifier,
            format,
        )
    }
}

fn digits_of(width: i32, scale: i32) -> i32 {
    (width << 16 | scale) + 4
}

fn modifier(arrow: &DataType, kind: &Type) -> i32 {
    match arrow {
        DataType::Decimal128(width, scale) if *scale > 0 && *kind == Type::NUMERIC => {
            digits_of(i32::from(*width), i32::from(*scale))
        }
        _ => -1,
    }
}

/// Bytes of a value in binary; -1 if that differs.
fn size(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMPTZ | Type::TIME => 8,
        Type::INTERVAL | Type::UUID => 16,
        Type::NAME => 64,
        _ => -1,
    }
}

fn of_arrow(arrow: &DataType, sql: &str) -> Type {
    match arrow {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Type::INT2,
        DataType::UInt16 | DataType::Int32 => Type::INT4,
        DataType::UInt32 | DataType::Int64 => Type::INT8,
        DataType::UInt64 | DataType::Decimal128(..) => Type::NUMERIC,
        DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Type::BYTEA,
        DataType::Date32 => Type::DATE,
        DataType::Time64(_) => Type::TIME,
        DataType::Timestamp(..) => Type::TIMESTAMPTZ,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match of_sql(sql) {
            // What is none of these types any more as text.
            kind if [Type::UUID, Type::INTERVAL, Type::NUMERIC, Type::JSON, Type::JSONB].contains(&kind) => kind,
            // A list of what Arrow cannot carry.
            _ if sql.ends_with(']') => Type::JSONB,
            _ => Type::TEXT,
        },
        DataType::List(item) | DataType::LargeList(item) => {
            let sql = sql.strip_suffix("[]").unwrap_or("");
            array_of(&of_arrow(item.data_type(), sql)).unwrap_or(Type::JSONB)
        }
        DataType::Struct(_) | DataType::Map(..) | DataType::FixedSizeList(..) => Type::JSONB,
        _ => Type::TEXT,
    }
}

/// The type for a name of DuckDB's.
pub fn of_sql(sql: &str) -> Type {
    if let Some(item) = sql.strip_suffix("[]") {
        // Arrow has them as lists only if it can carry the items.
        let carried = !matches!(of_sql(item), Type::UUID | Type::INTERVAL | Type::JSON | Type::JSONB);
        return array_of(&of_sql(item)).filter(|_| carried && item != "UHUGEINT").unwrap_or(Type::JSONB);
    }
    if sql.ends_with(']') {
        return Type::JSONB;
    }
    match sql.split('(').next().unwrap_or_default() {
        "BOOLEAN" => Type::BOOL,
        "TINYINT" | "UTINYINT" | "SMALLINT" => Type::INT2,
        "USMALLINT" | "INTEGER" => Type::INT4,
        "UINTEGER" | "BIGINT" => Type::INT8,
        "UBIGINT" | "HUGEINT" | "UHUGEINT" | "BIGNUM" | "DECIMAL" => Type::NUMERIC,
        "FLOAT" => Type::FLOAT4,
        "DOUBLE" => Type::FLOAT8,
        "BLOB" => Type::BYTEA,
        "DATE" => Type::DATE,
        "TIME" => Type::TIME,
        "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS" | "TIMESTAMP WITH TIME ZONE" => Type::TIMESTAMPTZ,
        "UUID" => Type::UUID,
        "INTERVAL" => Type::INTERVAL,
        "JSON" => Type::JSON,
        "VARIANT" | "STRUCT" | "MAP" | "UNION" => Type::JSONB,
        _ => Type::TEXT,
    }
}

/// Types with the arrays of them.
const ARRAYS: &[(Type, Type)] = &[
    (Type::BOOL, Type::BOOL_ARRAY),
    (Type::INT2, Type::INT2_ARRAY),
    (Type::INT4, Type::INT4_ARRAY),
    (Type::INT8, Type::INT8_ARRAY),
    (Type::NUMERIC, Type::NUMERIC_ARRAY),
    (Type::FLOAT4, Type::FLOAT4_ARRAY),
    (Type::FLOAT8, Type::FLOAT8_ARRAY),
    (Type::TEXT, Type::TEXT_ARRAY),
    (Type::BYTEA, Type::BYTEA_ARRAY),
    (Type::DATE, Type::DATE_ARRAY),
    (Type::TIME, Type::TIME_ARRAY),
    (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
];

fn array_of(item: &Type) -> Option<Type> {
    ARRAYS.iter().find(|(of, _)| of == item).map(|(_, array)| array.clone())
}

/// The type of the items of an array; nothing for another type.
pub fn item_of(array: &Type) -> Option<Type> {
    ARRAYS.iter().find(|(_, of)| of == array).map(|(item, _)| item.clone())
}

/// DuckDB's name of a type of a parameter, where it has to be told: text is turned into most of them by itself.
pub fn duckdb_name(kind: &Type) -> Option<&'static str> {
    Some(match *kind {
        Type::INTERVAL => "INTERVAL",
        Type::TIMESTAMPTZ | Type::TIMESTAMP => "TIMESTAMP",
        Type::DATE => "DATE",
        Type::TIME => "TIME",
        Type::BYTEA => "BLOB",
        Type::FLOAT4 | Type::FLOAT8 => "DOUBLE",
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => "VARCHAR[]",
        Type::INT2_ARRAY | Type::INT4_ARRAY | Type::INT8_ARRAY | Type::OID_ARRAY => "BIGINT[]",
        Type::FLOAT4_ARRAY | Type::FLOAT8_ARRAY => "DOUBLE[]",
        Type::BOOL_ARRAY => "BOOLEAN[]",
        Type::TIMESTAMPTZ_ARRAY | Type::TIMESTAMP_ARRAY => "TIMESTAMP[]",
        _ => return None,
    })
}

/// Units in a second.
pub fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn types_by_name_and_by_arrow_are_the_same() {
        let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
        for (sql, arrow, kind) in [
            ("TIMESTAMP_NS", DataType::Timestamp(TimeUnit::Nanosecond, None), Type::TIMESTAMPTZ),
            ("UBIGINT", DataType::UInt64, Type::NUMERIC),
            ("HUGEINT", DataType::Decimal128(38, 0), Type::NUMERIC),
            ("UHUGEINT", DataType::Utf8, Type::NUMERIC),
            ("UTINYINT", DataType::UInt8, Type::INT2),
            ("UINTEGER", DataType::UInt32, Type::INT8),
            ("VARIANT", DataType::Utf8, Type::JSONB),
            ("JSON", DataType::Utf8, Type::JSON),
            ("VARCHAR", DataType::Utf8, Type::TEXT),
            ("ENUM('a', 'b')", DataType::Utf8, Type::TEXT),
            ("UUID", DataType::Utf8, Type::UUID),
            ("INTERVAL", DataType::Utf8, Type::INTERVAL),
            ("BLOB", DataType::Binary, Type::BYTEA),
            ("DOUBLE[]", list(DataType::Float64), Type::FLOAT8_ARRAY),
            ("VARCHAR[]", list(DataType::Utf8), Type::TEXT_ARRAY),
            ("UUID[]", DataType::Utf8, Type::JSONB),
            ("VARIANT[]", DataType::Utf8, Type::JSONB),
            ("BIGINT[][]", list(list(DataType::Int64)), Type::JSONB),
            ("STRUCT(a INTEGER)", DataType::Struct(vec![Field::new("a", DataType::Int32, true)].into()), Type::JSONB),
        ] {
            let metadata = HashMap::from([("duckdb_type".to_owned(), sql.to_owned())]);
            let field = Field::new("x", arrow, true).with_metadata(metadata);
            assert_eq!(Column::of_arrow(&field).kind, kind, "{sql} in arrow");
            assert_eq!(of_sql(sql), kind, "{sql}");
        }
    }

    #[test]
    fn the_digits_of_a_decimal_are_told() {
        let metadata = HashMap::from([("duckdb_type".to_owned(), "DECIMAL(10,2)".to_owned())]);
        let field = Field::new("x", DataType::Decimal128(10, 2), true).with_metadata(metadata);
        assert_eq!(
            (Column::of_arrow(&field).modifier, Column::of_sql("x", "DECIMAL(10,2)").modifier),
            (655_366, 655_366)
        );
    }
}
