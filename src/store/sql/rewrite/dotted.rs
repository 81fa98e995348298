//! `attributes.http.route` is what most people write for `attributes."http.route"`, and was NULL without a
//! word. It becomes the attribute of the whole name, and where there is none, the value inside of `http`.
//! A table may have such a name, too (`unnest(...) AS events(event)`): then it is left as it is.

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

/// The names and aliases of what stands in FROM anywhere in a statement, in lower case.
pub fn tables(statement: &Value) -> HashSet<String> {
    let mut names = HashSet::new();
    collect(statement, &mut names);
    names
}

fn collect(node: &Value, names: &mut HashSet<String>) {
    match node {
        Value::Array(children) => children.iter().for_each(|child| collect(child, names)),
        Value::Object(fields) => {
            if node["class"].is_null() && node["type"].is_string() {
                let found = ["alias", "table_name"].map(|key| text(node, key).to_lowercase());
                names.extend(found.into_iter().filter(|name| !name.is_empty()));
            }
            fields.values().for_each(|child| collect(child, names));
        }
        _ => {}
    }
}

/// What comes in the place of `node`, if it is a name of several parts inside of attributes. `tables`
/// are those of the statement.
pub fn replaced(node: &Value, tables: &HashSet<String>) -> Option<Value> {
    if text(node, "class") != "COLUMN_REF" {
        return None;
    }
    let parts = items(node, "column_names");
    let names: Vec<&str> = parts.iter().map(|part| part.as_str().unwrap_or_default()).collect();
    let at = names.iter().position(|name| VARIANTS.contains(name.to_ascii_lowercase().as_str()))?;
    let inner = &names[at + 1..];
    if at == 0 && tables.contains(&names[0].to_lowercase()) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use crate::store::sql::parse::Parser;

    #[test]
    fn a_dotted_name_is_an_attribute_unless_a_table_has_its_first_part() {
        let parser = Parser::new().expect("parser");
        for (statement, runs) in [
            (
                "SELECT attributes.http.route AS r FROM spans",
                "SELECT COALESCE(attributes.\"http.route\", attributes.http.route) AS r FROM spans",
            ),
            (
                "SELECT s.attributes.http.route AS r FROM spans AS s",
                "SELECT COALESCE(s.attributes.\"http.route\", s.attributes.http.route) AS r FROM spans AS s",
            ),
            (
                "SELECT events.e.\"name\" AS n FROM (SELECT {'name': 1} AS e) AS Events",
                "SELECT events.e.\"name\" AS n FROM (SELECT struct_pack(\"name\" := 1) AS e) AS Events",
            ),
        ] {
            assert_eq!(parser.validate(statement).as_deref(), Ok(runs), "{statement}");
        }
    }
}
