//! Bounds on what one call makes: the count of `repeat`, `lpad` and `rpad` is cast to SMALLINT where it is
//! computed, such as `repeat('  ', depth)`. A greater one is an error of the cast. DuckDB's limit on memory
//! does not hold inside one call.

use serde_json::Value;

use super::node::{cast, function_name, text};
use crate::store::sql::functions::{Condition, FUNCTIONS};

/// What comes in the place of `node`, if it is such a call.
pub fn replaced(node: &Value) -> Option<Value> {
    let Some(Condition::Small(place)) = FUNCTIONS.called(&function_name(node)) else { return None };
    let argument = &node["arguments"].get(place)?["expression"];
    if text(argument, "class") == "CONSTANT" {
        return None;
    }
    let mut replaced = node.clone();
    replaced["arguments"][place]["expression"] = cast(argument.clone(), "SMALLINT");
    Some(replaced)
}
