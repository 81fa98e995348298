//! What a `VARIANT` is shredded by.

use std::fmt;

/// Scalars that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `BOOLEAN`.
    Boolean,
    /// `BIGINT`.
    BigInt,
    /// `DOUBLE`.
    Double,
    /// `BLOB`.
    Blob,
    /// `VARCHAR`.
    Varchar,
    /// `TIMESTAMP_NS`.
    TimestampNs,
}

impl Scalar {
    /// All of them, each at its number.
    pub const ALL: [Scalar; 6] =
        [Scalar::Boolean, Scalar::BigInt, Scalar::Double, Scalar::Blob, Scalar::Varchar, Scalar::TimestampNs];

    /// Its name in SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Scalar::Boolean => "BOOLEAN",
            Scalar::BigInt => "BIGINT",
            Scalar::Double => "DOUBLE",
            Scalar::Blob => "BLOB",
            Scalar::Varchar => "VARCHAR",
            Scalar::TimestampNs => "TIMESTAMP_NS",
        }
    }
}

/// The columns that take a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// One column.
    Scalar(Scalar),
    /// Those of each element.
    Array(Box<Shape>),
    /// Those of each of these fields, in the order of their names.
    Object(Vec<(String, Shape)>),
}

impl fmt::Display for Shape {
    /// The type, as SQL writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Scalar(scalar) => f.write_str(scalar.sql()),
            Shape::Array(element) => write!(f, "{element}[]"),
            Shape::Object(fields) => {
                f.write_str("STRUCT(")?;
                for (n, (key, field)) in fields.iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}\"{}\" {field}", key.replace('"', "\"\""))?;
                }
                f.write_str(")")
            }
        }
    }
}
