//! How much DuckDB has to bind of what was written around attributes.
//!
//! The macros repeat their argument, and a comparison of two attributes has several of them, so each
//! level of nesting makes some ten times as much of a short statement. DuckDB takes about 0.1 ms a node,
//! and looks at no interrupt meanwhile: 280 bytes took it longer than the time limit, and ended the engine.

use serde_json::Value;

use super::refused;
use crate::store::sql::SqlError;
use crate::store::sql::rewrite::node::text;

/// Nodes at most, which take a few seconds. Three levels of comparisons of attributes are 5,000, and so
/// are 450 numbers in an IN list.
const MAX_WEIGHT: u64 = 40_000;

/// How often each macro (`store/macros/attributes.sql`) repeats its argument.
const MACROS: &[(&str, u64)] = &[
    ("attribute_identity", 16),
    ("attribute_json", 1),
    ("attribute_member", 1),
    ("attribute_key", 6),
    ("attribute_key_of_variant", 7),
    ("attribute_length", 3),
    ("attribute_number", 3),
    ("attribute_number_of_variant", 4),
    ("attribute_text", 1),
    ("attribute_time", 1),
    ("json_or_null", 2),
];

/// Checks a statement that has been rewritten.
///
/// # Errors
/// [`SqlError::Refused`] with a hint if it has become too large.
pub(super) fn check(statement: &Value) -> Result<(), SqlError> {
    if weight(statement, false) > MAX_WEIGHT {
        let hint = "attributes are compared too often, with too long a list or in each other: cast them first, such as \
                    attributes.x::DOUBLE";
        return Err(refused(hint, statement));
    }
    Ok(())
}

/// The nodes of what was written; `inside` of it all count.
fn weight(node: &Value, inside: bool) -> u64 {
    let sum = |children: &mut dyn Iterator<Item = &Value>, inside| {
        children.fold(0, |sum: u64, child| sum.saturating_add(weight(child, inside)))
    };
    match node {
        Value::Array(children) => sum(&mut children.iter(), inside),
        Value::Object(fields) => {
            let made = text(node, "schema") == "stored";
            let inside = inside || made || text(&node["type_expr"], "type_name") == "VARIANT";
            let repeated = MACROS.iter().find(|(name, _)| made && text(node, "function_name") == *name);
            let below = sum(&mut fields.values(), inside);
            match repeated {
                Some((_, times)) => below.saturating_add(2).saturating_mul(*times),
                None => below.saturating_add(u64::from(inside && node["class"].is_string())),
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Store;

    #[test]
    fn what_takes_duckdb_too_long_is_refused() {
        let store = Store::new(None);
        let nested = |levels: usize| {
            let larger = |of: String| format!("CASE WHEN {of} > attributes.b THEN attributes.a ELSE attributes.b END");
            format!("SELECT {} AS x FROM spans", (0..levels).fold("attributes.a".to_owned(), |of, _| larger(of)))
        };
        let listed = |values: usize| {
            let values: Vec<String> = (0..values).map(|value| value.to_string()).collect();
            format!("SELECT name FROM spans WHERE attributes.k IN ({})", values.join(", "))
        };
        for (statement, taken) in [(nested(2), true), (nested(4), false), (listed(2000), true), (listed(9000), false)] {
            let answer = store.rewritten(&statement);
            assert_eq!(answer.is_ok(), taken, "{} ...: {:?}", &statement[..60], answer.err());
        }
    }
}
