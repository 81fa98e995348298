//! `name.upper()` becomes `upper(name)`.
//!
//! DuckDB reads the name before the dot as a schema, and as a column where there is no such schema. Only
//! the second is let in, so a call never names a schema afterwards.

use serde_json::{Value, json};

use super::node::{column, items, text};

/// What is never taken for a column: a call in one of these stays one, and is refused.
const SCHEMAS: &[&str] = &["main", "stored", "joined", "pg_catalog", "information_schema", "system", "temp", "memory"];

/// Rewrites the calls in `node`. It runs before the validation, which sees the plain call.
pub fn rewrite(node: &mut Value) {
    match node {
        Value::Array(children) => children.iter_mut().for_each(rewrite),
        Value::Object(fields) => {
            fields.values_mut().for_each(rewrite);
            if text(node, "class") == "FUNCTION" {
                call(node);
            }
        }
        _ => {}
    }
}

fn call(node: &mut Value) {
    let path = items(&node["qualified_name"], "path");
    let Some((name, [first, ..])) = path.split_last().map(|(name, rest)| (name.clone(), rest)) else { return };
    if first.as_str().is_none_or(|first| SCHEMAS.iter().any(|schema| first.eq_ignore_ascii_case(schema))) {
        return;
    }
    let object = column(&path[..path.len() - 1]);
    if let Some(arguments) = node["arguments"].as_array_mut() {
        arguments.insert(0, json!({"name": "", "expression": object}));
        node["qualified_name"]["path"] = json!([name]);
        node["schema"] = json!("");
        node["catalog"] = json!("");
    }
}
