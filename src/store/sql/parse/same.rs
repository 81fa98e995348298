//! Whether DuckDB reads what it has written as the tree that it was given.

use serde_json::{Map, Value};

use super::super::rewrite::node::{select_of, star};

/// Whether two trees say the same. Places in the text do not count, nor whether something is missing or
/// empty, nor whether a function is written as an operator, nor names of arguments, which are nowhere used.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        // DuckDB writes VALUES by itself as a SELECT of them.
        (Value::Object(list), Value::Object(query)) if is_wrapped(list, query) => {
            let mut expected = select_of(star());
            expected["from_table"] = a.clone();
            same(&list["alias"], &query["alias"]) && same(&expected, &query["subquery"]["node"])
        }
        (Value::Object(a), Value::Object(b)) => same_fields(a, b, false),
        (a, b) => a == b || (is_empty(a) && is_empty(b)),
    }
}

/// The same for two nodes; `unnamed` ones have a name that nothing refers to.
fn same_fields(a: &Map<String, Value>, b: &Map<String, Value>, unnamed: bool) -> bool {
    let skipped = |key: &str| is_incidental(key) || unnamed && key == "alias";
    let argument = a.contains_key("expression") && b.contains_key("expression");
    let equal = a.iter().filter(|(key, _)| !skipped(key)).all(|(key, value)| {
        match (value, b.get(key).unwrap_or(&Value::Null)) {
            (Value::Object(a), Value::Object(b)) if argument && key == "expression" => same_fields(a, b, true),
            (value, other) => same(value, other),
        }
    });
    equal && b.iter().all(|(key, value)| a.contains_key(key) || skipped(key) || is_empty(value))
}

fn is_wrapped(list: &Map<String, Value>, query: &Map<String, Value>) -> bool {
    list.get("type").is_some_and(|kind| kind == "EXPRESSION_LIST")
        && query.get("type").is_some_and(|kind| kind == "SUBQUERY")
        && [list, query].iter().all(|node| node.contains_key("alias"))
        && query.contains_key("subquery")
}

fn is_incidental(key: &str) -> bool {
    matches!(key, "query_location" | "query_location_length" | "is_operator")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
