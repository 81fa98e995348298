//! `attributes.http.route` is what most people write for `attributes."http.route"`, and was NULL without a
//! word. It becomes the attribute of the whole name, and where there is none, the value inside of `http`.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::node::{column, items, operator, text};
use crate::store::schema::Table;

/// The columns that hold attributes.
static VARIANTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let columns = Table::ALL.into_iter().flat_map(Table::columns);
    columns.filter(|column| column.sql_type == "VARIANT").map(|column| column.name).collect()
});

/// What comes in the place of `node`, if it is a name of several parts inside of attributes.
pub fn replaced(node: &Value) -> Option<Value> {
    if text(node, "class") != "COLUMN_REF" {
        return None;
    }
    let parts = items(node, "column_names");
    let names: Vec<&str> = parts.iter().map(|part| part.as_str().unwrap_or_default()).collect();
    let at = names.iter().position(|name| VARIANTS.contains(name.to_ascii_lowercase().as_str()))?;
    let inner = &names[at + 1..];
    // A schema or table of that name is no reason: those have a column after them.
    if inner.len() < 2 || inner.iter().any(|name| name.contains('.')) {
        return None;
    }
    let mut whole = parts[..=at].to_vec();
    whole.push(Value::String(inner.join(".")));
    let mut whole = column(&whole);
    whole["query_location"] = node["query_location"].clone();
    let mut as_written = node.clone();
    as_written["alias"] = Value::String(String::new());
    Some(operator("OPERATOR_COALESCE", vec![whole, as_written]))
}
