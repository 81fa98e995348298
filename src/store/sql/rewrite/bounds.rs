//! Bounds on what one call makes, since DuckDB's limit on memory does not hold inside one call.
//!
//! The length that `lpad` and `rpad` are asked for is cast to SMALLINT where it is computed; a greater one
//! is an error of the cast. `repeat` multiplies, so what it makes is bounded, however calls nest and
//! wherever the text comes from: the macro `stored.bounded_repeat` stands in its place. A literal count
//! that is too large is refused before.

use serde_json::Value;

use super::node::{arguments, call, cast, function_name, text};
use crate::store::sql::functions::{Condition, FUNCTIONS};

/// What comes in the place of `node`, if it is such a call.
pub fn replaced(node: &Value) -> Option<Value> {
    if function_name(node) == "repeat" {
        return Some(call(&["stored", "bounded_repeat"], arguments(node).cloned().collect()));
    }
    let Some(Condition::Small(place)) = FUNCTIONS.called(&function_name(node)) else { return None };
    let argument = &node["arguments"].get(place)?["expression"];
    if text(argument, "class") == "CONSTANT" {
        return None;
    }
    let mut replaced = node.clone();
    replaced["arguments"][place]["expression"] = cast(argument.clone(), "SMALLINT");
    Some(replaced)
}
