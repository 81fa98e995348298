//! Bounds on what one call makes, since DuckDB's limit on memory does not hold inside one call.
//!
//! The length that `lpad` and `rpad` are asked for is cast to SMALLINT where it is computed; a greater one
//! is an error of the cast. `repeat`, `replace` and `regexp_replace` multiply, so what they make is bounded,
//! however calls nest and wherever the text comes from: macros such as `stored.bounded_repeat` stand in
//! their place. A literal count that is too large is refused before, and what cannot make a text longer
//! stays as it is.

use serde_json::Value;

use super::node::{arguments, call, cast, function_name, literal, text};
use crate::store::sql::functions::{Condition, FUNCTIONS};

/// What comes in the place of `node`, if it is such a call.
pub fn replaced(node: &Value) -> Option<Value> {
    let name = function_name(node);
    let all: Vec<Value> = arguments(node).cloned().collect();
    match (name.as_str(), all.as_slice()) {
        ("repeat", _) => return Some(call(&["stored", "bounded_repeat"], all)),
        ("replace", [_, from, to]) => {
            return (!shortens(from, to)).then(|| call(&["stored", "bounded_replace"], all));
        }
        ("regexp_replace", [_, _, to, ..]) if string(to) == Some("") => return None,
        ("regexp_replace", [text, pattern, to, options @ ..]) => {
            // A literal pattern is compiled once, and may stand several times.
            let bounded = match string(pattern) {
                Some(_) => "bounded_regexp_replace",
                None => "bounded_regexp_replace_by",
            };
            let options = options.first().cloned().unwrap_or_else(|| literal("STRING", ""));
            return Some(call(&["stored", bounded], vec![text.clone(), to.clone(), pattern.clone(), options]));
        }
        _ => {}
    }
    let Some(Condition::Small(place)) = FUNCTIONS.called(&name) else { return None };
    let argument = &node["arguments"].get(place)?["expression"];
    if text(argument, "class") == "CONSTANT" {
        return None;
    }
    let mut replaced = node.clone();
    replaced["arguments"][place]["expression"] = cast(argument.clone(), "SMALLINT");
    Some(replaced)
}

/// Whether the one literal is no longer than the other.
fn shortens(from: &Value, to: &Value) -> bool {
    string(from).zip(string(to)).is_some_and(|(from, to)| to.len() <= from.len())
}

/// A literal text.
fn string(node: &Value) -> Option<&str> {
    let literal = &node["literal"];
    (text(node, "class") == "CONSTANT" && text(literal, "kind") == "STRING").then(|| text(literal, "text"))
}
