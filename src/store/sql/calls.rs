//! Gate 3, for calls and casts: which functions with which arguments, which types.

use serde_json::Value;

use super::error::SqlError;
use super::functions::{Condition, FUNCTIONS};

/// Types that a cast may name. Not among them: fixed-size `ARRAY` (`SELECT DISTINCT
/// row([range]::INTEGER[1])` crashes DuckDB 2.0), `VARIANT` (so does one made of deep JSON),
/// `TIMETZ` (some values are FATAL), `ENUM` and `UNION` (no use for them here).
const TYPES: &[&str] = &[
    "bool",
    "boolean",
    "logical",
    "tinyint",
    "int1",
    "smallint",
    "int2",
    "short",
    "integer",
    "int",
    "int4",
    "signed",
    "bigint",
    "int8",
    "long",
    "hugeint",
    "int128",
    "utinyint",
    "uint8",
    "usmallint",
    "uint16",
    "uinteger",
    "uint32",
    "ubigint",
    "uint64",
    "uhugeint",
    "uint128",
    "int16",
    "int32",
    "int64",
    "real",
    "float",
    "float4",
    "double",
    "float8",
    "double precision",
    "decimal",
    "numeric",
    "dec",
    "varchar",
    "text",
    "string",
    "char",
    "bpchar",
    "nvarchar",
    "character varying",
    "character",
    "blob",
    "bytea",
    "binary",
    "varbinary",
    "date",
    "time",
    "time without time zone",
    "timestamp",
    "datetime",
    "timestamp without time zone",
    "timestamp_us",
    "timestamp_ms",
    "timestamp_ns",
    "timestamp_s",
    "timestamptz",
    "timestamp with time zone",
    "interval",
    "uuid",
    "guid",
    "json",
    "list",
    "struct",
    "row",
    "map",
];

/// Collations that a statement may name; they may be joined by dots.
const COLLATIONS: &[&str] = &["nocase", "noaccent", "nfc", "binary", "c", "posix"];

/// The widest field that a format string may ask for.
const MAX_FORMAT_WIDTH: u64 = 1000;

/// Validates a call of a scalar function, aggregate or operator (class FUNCTION).
pub fn validate_function(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    let name = name_of(node, at)?;
    if node["is_operator"].as_bool() == Some(true) {
        return match FUNCTIONS.operators.get(&name) {
            Some(_) => Ok(()),
            None => Err(SqlError::refused(format!("the operator {name} is not allowed"), at)),
        };
    }
    let Some(condition) = FUNCTIONS.called(&name) else {
        return Err(not_allowed("function", &name, at));
    };
    validate_arguments(node, &name, condition, at)
}

/// Validates a call over a window (class WINDOW).
pub fn validate_window(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    let name = name_of(node, at)?;
    let list = if node["type"] == "WINDOW_AGGREGATE" { &FUNCTIONS.aggregates } else { &FUNCTIONS.windows };
    match list.get(&name) {
        Some(condition) => validate_arguments(node, &name, *condition, at),
        None => Err(not_allowed("window function", &name, at)),
    }
}

/// Validates the call inside a TABLE_FUNCTION.
pub fn validate_table_function(call: &Value, at: Option<usize>) -> Result<(), SqlError> {
    if call["class"] != "FUNCTION" {
        return Err(SqlError::refused("this kind of table function is not allowed", at));
    }
    let name = name_of(call, at)?;
    match FUNCTIONS.tables.get(&name) {
        Some(condition) => validate_arguments(call, &name, *condition, at),
        None => Err(not_allowed("table function", &name, at)),
    }
}

/// Validates one type name of a cast (class TYPE); the types inside it are validated by the walk.
pub fn validate_type(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    let name = node["type_name"].as_str().unwrap_or_default().to_ascii_lowercase();
    if !TYPES.contains(&name.as_str()) || path_length(node) != 1 {
        return Err(SqlError::refused(format!("a cast to the type {name} is not allowed"), at));
    }
    let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
    if children.iter().any(|c| c["class"] != "TYPE" && c["class"] != "CONSTANT") {
        return Err(SqlError::refused("a type may not be computed", at));
    }
    Ok(())
}

/// Validates a collation (class COLLATE).
pub fn validate_collation(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    let name = node["collation"].as_str().unwrap_or_default().to_ascii_lowercase();
    if name.split('.').all(|part| COLLATIONS.contains(&part)) {
        Ok(())
    } else {
        Err(SqlError::refused(format!("the collation {name} is not allowed"), at))
    }
}

/// The lower-case name of a call that names no schema: functions live in one place, and a path
/// would be a way around the lists.
fn name_of(node: &Value, at: Option<usize>) -> Result<String, SqlError> {
    let name = node["function_name"].as_str().unwrap_or_default().to_ascii_lowercase();
    let bare = |key: &str| node[key].as_str().unwrap_or_default().is_empty();
    if path_length(node) != 1 || !bare("schema") || !bare("catalog") {
        return Err(SqlError::refused(format!("call {name} without a schema"), at));
    }
    Ok(name)
}

fn path_length(node: &Value) -> usize {
    node["qualified_name"]["path"].as_array().map_or(1, Vec::len)
}

fn not_allowed(what: &str, name: &str, at: Option<usize>) -> SqlError {
    SqlError::refused(format!("the {what} {name} is not allowed"), at)
}

fn validate_arguments(node: &Value, name: &str, condition: Condition, at: Option<usize>) -> Result<(), SqlError> {
    let arguments = node["arguments"].as_array().map_or(&[][..], Vec::as_slice);
    // `f(b := 1, a := 2)` changes the order, and with it which argument a condition looks at.
    let named = arguments.iter().any(|a| !a["name"].as_str().unwrap_or_default().is_empty());
    if condition != Condition::None && named {
        return Err(SqlError::refused(format!("the arguments of {name} may not be named"), at));
    }
    let literal = |n: usize, kind: &str| {
        let expression = &arguments.get(n)?["expression"];
        (expression["class"] == "CONSTANT" && expression["literal"]["kind"] == kind)
            .then(|| expression["literal"]["text"].as_str())
            .flatten()
    };
    match condition {
        Condition::None => Ok(()),
        // Left out, it has a default.
        Condition::AtMost(n, _) if n >= arguments.len() => Ok(()),
        Condition::AtMost(n, limit) => match literal(n, "INTEGER").and_then(|text| text.parse::<u64>().ok()) {
            Some(value) if value <= limit => Ok(()),
            _ => {
                let why = format!("argument {} of {name} must be a plain number of at most {limit}", n + 1);
                Err(SqlError::refused(why, at))
            }
        },
        Condition::Small(n) => match literal(n, "INTEGER") {
            Some(text) if text.parse::<i16>().is_err() => {
                let why = format!("argument {} of {name} must be at most {}", n + 1, i16::MAX);
                Err(SqlError::refused(why, at))
            }
            _ => Ok(()),
        },
        Condition::Format(n) => match literal(n, "STRING") {
            Some(format) if is_tame_format(format) => Ok(()),
            _ => {
                let why = format!("{name} takes a literal format with widths of at most {MAX_FORMAT_WIDTH}");
                Err(SqlError::refused(why, at))
            }
        },
        Condition::Structure(n) => match literal(n, "STRING") {
            Some(structure) if is_tame_structure(structure) => Ok(()),
            _ => Err(SqlError::refused(format!("{name} takes a literal structure of ordinary types"), at)),
        },
        Condition::Literal(n) => match arguments.get(n) {
            Some(argument) if argument["expression"]["class"] != "CONSTANT" => {
                Err(SqlError::refused(format!("argument {} of {name} must be a literal", n + 1), at))
            }
            _ => Ok(()),
        },
        Condition::Aggregate(n) => match literal(n, "STRING") {
            Some(aggregate) if FUNCTIONS.aggregates.get(&aggregate.to_ascii_lowercase()) == Some(&Condition::None) => {
                Ok(())
            }
            _ => Err(SqlError::refused(format!("{name} takes the literal name of an ordinary aggregate"), at)),
        },
    }
}

/// No number in it is large, and no width comes from an argument (`%*d`, `{:{}}`).
fn is_tame_format(format: &str) -> bool {
    let numbers_small = format
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .all(|digits| digits.parse::<u64>().is_ok_and(|n| n <= MAX_FORMAT_WIDTH));
    let nested = format.match_indices('{').any(|(i, _)| {
        let rest = &format[i + 1..];
        let close = rest.find('}').unwrap_or(rest.len());
        rest.find('{').is_some_and(|open| open > 0 && open < close)
    });
    numbers_small && !nested && !format.contains('*')
}

/// The type names in a JSON structure are ones that a cast may name.
fn is_tame_structure(structure: &str) -> bool {
    fn tame(value: &Value) -> bool {
        match value {
            Value::String(name) => {
                let name = name.trim().to_ascii_lowercase();
                match name.split_once('(') {
                    None => TYPES.contains(&name.as_str()),
                    Some((bare, digits)) => {
                        matches!(bare.trim(), "decimal" | "numeric")
                            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | ' ' | ')'))
                    }
                }
            }
            Value::Array(items) => items.iter().all(tame),
            Value::Object(fields) => fields.values().all(tame),
            _ => false,
        }
    }
    serde_json::from_str::<Value>(structure).is_ok_and(|value| tame(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_structures() {
        for (format, tame) in [
            ("%5d %s", true),
            ("{:08.3f} {}", true),
            ("{{}}", true),
            ("%99999999d", false),
            ("%*d", false),
            ("{:{}}", false),
        ] {
            assert_eq!(is_tame_format(format), tame, "{format}");
        }
        for (structure, tame) in [
            (r#"{"a":"INTEGER","b":["VARCHAR"]}"#, true),
            (r#""DECIMAL(10,2)""#, true),
            (r#"{"a":"INTEGER[1]"}"#, false),
            (r#"["VARIANT"]"#, false),
            (r#""STRUCT(a VARIANT)""#, false),
            ("x", false),
        ] {
            assert_eq!(is_tame_structure(structure), tame, "{structure}");
        }
    }
}
