//! Constants of a plan, in the form of the bounds that files have.

use serde_json::Value as Json;

use super::super::files::Value;

/// A constant of the column's own type, in the form of the column's bounds.
pub fn value(sql_type: &str, constant: &Json) -> Option<Value> {
    if constant["is_null"] == true || constant["type"]["id"] != sql_type {
        return None;
    }
    let value = &constant["value"];
    match sql_type {
        "BIGINT" | "INTEGER" | "UINTEGER" => value.as_i64().map(Value::Number),
        "VARCHAR" => value.as_str().map(|text| Value::Text(text.to_owned())),
        // All of its digits, as bounds have them: `.5` would be before a bound of `.500000000`.
        "TIMESTAMP_NS" => value.as_i64().and_then(Value::of_time),
        "BLOB" => value.as_str().and_then(hex_of_blob).map(Value::Text),
        _ => None,
    }
}

/// Hex as users write it and the views show it. Other text equals no id.
pub fn hex_of_text(constant: &Json) -> Option<Value> {
    let text = value("VARCHAR", constant)?;
    let Value::Text(hex) = text else { return None };
    let is_shown = hex.len().is_multiple_of(2) && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_shown.then(|| Value::Text(hex.to_ascii_uppercase()))
}

/// The hex of bytes as DuckDB writes them as text: printable ones as they are, others as `\xHH`.
fn hex_of_blob(text: &str) -> Option<String> {
    let mut hex = String::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                hex.extend([*high, *low].map(|digit| char::from(digit.to_ascii_uppercase())));
                rest = after;
            }
            (b'\\', _) | (128.., _) => return None,
            _ => {
                hex.push_str(&format!("{first:02X}"));
                rest = after;
            }
        }
    }
    Some(hex)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use duckdb::Connection;

    use super::*;

    #[test]
    fn a_time_equals_a_bound_that_is_the_same() {
        for (nanos, bound) in [
            (1_795_921_038_464_634_350_i64, "2026-11-29 02:57:18.464634350"),
            (1_795_921_038_500_000_000, "2026-11-29 02:57:18.500000000"),
            (1_795_921_038_000_000_000, "2026-11-29 02:57:18.000000000"),
        ] {
            let constant = serde_json::json!({"is_null": false, "type": {"id": "TIMESTAMP_NS"}, "value": nanos});
            assert_eq!(value("TIMESTAMP_NS", &constant), Some(Value::Text(bound.to_owned())), "{nanos}");
        }
    }

    #[test]
    fn bytes_are_read_as_duckdb_writes_them() {
        let db = Connection::open_in_memory().unwrap();
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&all[..], b"", b"\\x00", b"a'b"] {
            let text: String = db.query_row("SELECT ?::BLOB::VARCHAR", [bytes], |row| row.get(0)).unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            assert_eq!(hex_of_blob(&text).as_deref(), Some(hex.as_str()), "{text}");
        }
        assert_eq!(hex_of_blob("\\x0"), None);
    }
}
