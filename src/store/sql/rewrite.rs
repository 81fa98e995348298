//! Passes over the tree of a statement that has been let through, before the text is made from it that
//! runs.

use std::time::{SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_micros;
use serde_json::Value;

use super::SqlError;

pub mod attributes;
pub mod bounds;
pub mod dotted;
pub mod methods;
pub mod node;
pub mod times;

/// Gives the text of an expression, as DuckDB writes it: the name of its column.
pub type Print<'a> = &'a dyn Fn(&Value) -> Result<String, SqlError>;

/// Runs all passes over a statement that has been validated: one item of `statements` in DuckDB's
/// serialized form.
///
/// # Errors
/// [`SqlError::Refused`] where a pass finds no right answer.
pub fn rewrite(statement: &mut Value, print: Print<'_>) -> Result<(), SqlError> {
    let tables = dotted::tables(statement);
    let now = format_rfc3339_micros(SystemTime::now().max(UNIX_EPOCH)).to_string();
    with_names(statement, print, &|node| dotted::replaced(node, &tables).or_else(|| times::replaced(node, &now)))?;
    attributes::rewrite(statement, print)?;
    with_names(statement, print, &bounds::replaced)
}

/// Replaces nodes, from the leaves up, and keeps the names of columns whose expressions change.
fn with_names(node: &mut Value, print: Print<'_>, replaced: &dyn Fn(&Value) -> Option<Value>) -> Result<(), SqlError> {
    match node {
        Value::Array(children) => return children.iter_mut().try_for_each(|child| with_names(child, print, replaced)),
        Value::Object(fields) => {
            let query = fields.get("type").is_some_and(|kind| kind == "SELECT_NODE");
            for (key, child) in fields.iter_mut() {
                match child {
                    Value::Array(items) if query && key == "select_list" => {
                        items.iter_mut().try_for_each(|item| with_name(item, print, replaced))?;
                    }
                    child => with_names(child, print, replaced)?,
                }
            }
        }
        _ => return Ok(()),
    }
    if let Some(mut new) = replaced(node) {
        if new["class"].is_string() && !node::text(node, "alias").is_empty() {
            new["alias"] = node["alias"].take();
        }
        *node = new;
    }
    Ok(())
}

/// A column of a query without an alias is called by its text, so that becomes its alias if it changes.
fn with_name(item: &mut Value, print: Print<'_>, replaced: &dyn Fn(&Value) -> Option<Value>) -> Result<(), SqlError> {
    let before = item.clone();
    with_names(item, print, replaced)?;
    let unpacks = node::text(&before, "class") == "STAR" || node::function_name(&before) == "unnest";
    if *item != before && node::text(&before, "alias").is_empty() && !unpacks {
        item["alias"] = match node::items(&before, "column_names").last() {
            Some(name) => name.clone(),
            None => Value::String(print(&before)?),
        };
    }
    Ok(())
}
