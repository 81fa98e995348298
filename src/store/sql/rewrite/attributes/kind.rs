//! What a plain expression is, as far as its form tells: it decides how an attribute is read that is
//! compared with it.

use serde_json::Value;

use super::functions::is_numeric;
use super::names::Names;
use crate::store::schema::Table;
use crate::store::sql::rewrite::node::{arguments, function_name, items, text};

/// What is on the other side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// Text.
    Text,
    /// A time.
    Time,
    /// A truth value, or NULL: DuckDB's own comparison is right.
    Native,
    /// Nothing that its form tells.
    Unknown,
}

/// The kind of an expression that is no `VARIANT`.
pub fn kind_of(node: &Value, names: &Names) -> Kind {
    match text(node, "class") {
        "CONSTANT" => match text(&node["literal"], "kind") {
            "INTEGER" | "NUMERIC" => Kind::Number,
            "STRING" => Kind::Text,
            "BOOLEAN" | "NULL_LITERAL" => Kind::Native,
            _ => Kind::Unknown,
        },
        "CAST" => kind_of_type(text(&node["type_expr"], "type_name")),
        "COMPARISON" | "CONJUNCTION" | "BETWEEN" => Kind::Native,
        "OPERATOR" if text(node, "type").starts_with("COMPARE") || text(node, "type").starts_with("OPERATOR_IS") => {
            Kind::Native
        }
        "COLUMN_REF" => {
            let name = items(node, "column_names").last().and_then(Value::as_str).unwrap_or_default();
            kind_of_column(name)
        }
        "FUNCTION" | "WINDOW" => kind_of_call(node, names),
        _ => Kind::Unknown,
    }
}

fn kind_of_call(node: &Value, names: &Names) -> Kind {
    let name = function_name(node);
    match name.as_str() {
        "+" | "-" if arguments(node).any(|argument| is_time(argument, names)) => Kind::Time,
        "now"
        | "current_timestamp"
        | "get_current_timestamp"
        | "date_trunc"
        | "time_bucket"
        | "make_timestamp"
        | "make_timestamp_ns"
        | "to_timestamp"
        | "ago" => Kind::Time,
        "count" | "count_star" | "length" | "len" | "epoch" | "epoch_ms" | "epoch_ns" | "epoch_us" | "rank"
        | "row_number" | "dense_rank" | "strlen" => Kind::Number,
        "lower" | "upper" | "concat" | "||" | "substring" | "substr" | "trim" | "replace" | "regexp_extract"
        | "regexp_replace" | "split_part" | "->>" | "string_agg" | "hex" => Kind::Text,
        name if is_numeric(name) => Kind::Number,
        _ => Kind::Unknown,
    }
}

/// Whether it is a time, or what is added to one.
pub fn is_time(node: &Value, names: &Names) -> bool {
    let interval = matches!(
        function_name(node).as_str(),
        "to_years"
            | "to_months"
            | "to_weeks"
            | "to_days"
            | "to_hours"
            | "to_minutes"
            | "to_seconds"
            | "to_milliseconds"
            | "to_microseconds"
    );
    // The time of an event is one inside of a VARIANT.
    let of_event = text(node, "class") == "OPERATOR"
        && items(node, "children").get(1).is_some_and(|field| text(&field["literal"], "text") == "time");
    interval || of_event || kind_of(node, names) == Kind::Time
}

fn kind_of_type(name: &str) -> Kind {
    let name = name.to_ascii_uppercase();
    match name.as_str() {
        "TINYINT" | "SMALLINT" | "INTEGER" | "INT" | "BIGINT" | "HUGEINT" | "UTINYINT" | "USMALLINT" | "UINTEGER"
        | "UBIGINT" | "UHUGEINT" | "INT1" | "INT2" | "INT4" | "INT8" | "LONG" | "SHORT" | "FLOAT" | "REAL"
        | "DOUBLE" | "FLOAT4" | "FLOAT8" | "DECIMAL" | "NUMERIC" | "DEC" | "SIGNED" => Kind::Number,
        "VARCHAR" | "TEXT" | "STRING" | "CHAR" | "BPCHAR" => Kind::Text,
        "BOOLEAN" | "BOOL" | "LOGICAL" => Kind::Native,
        "DATE" => Kind::Time,
        name if name.starts_with("TIMESTAMP") || name.starts_with("DATETIME") => Kind::Time,
        _ => Kind::Unknown,
    }
}

fn kind_of_column(name: &str) -> Kind {
    if name == "end_time" {
        return Kind::Time;
    }
    let stored = Table::ALL.into_iter().flat_map(Table::columns).find(|column| column.name == name);
    match stored.map(|column| column.sql_type) {
        // Ids are text for users.
        Some("BLOB") => Kind::Text,
        Some(sql_type) if !sql_type.ends_with(']') => kind_of_type(sql_type),
        _ => Kind::Unknown,
    }
}
