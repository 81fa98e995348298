//! Values in the place of parameters.

use duckdb::types::Value as Bound;
use serde_json::Value;

/// Puts literals in the place of parameters. `None` if there is none for one of them.
pub fn substitute(node: &mut Value, params: &[Bound]) -> Option<()> {
    match node {
        Value::Array(items) => items.iter_mut().try_for_each(|item| substitute(item, params)),
        Value::Object(fields) if fields.get("class").is_some_and(|class| class == "PARAMETER") => {
            let number: usize = fields.get("identifier")?.as_str()?.parse().ok()?;
            let (kind, text) = match params.get(number.checked_sub(1)?)? {
                Bound::Null => ("NULL_LITERAL", String::new()),
                Bound::Boolean(value) => ("BOOLEAN", value.to_string()),
                Bound::BigInt(value) => ("INTEGER", value.to_string()),
                Bound::UBigInt(value) => ("INTEGER", value.to_string()),
                Bound::Double(value) => ("NUMERIC", format!("{value:e}")),
                Bound::Text(text) => ("STRING", text.clone()),
                _ => return None,
            };
            let literal = serde_json::json!({"kind": kind, "text": text});
            let alias = fields.get("alias").cloned().unwrap_or_default();
            *node = serde_json::json!({
                "class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": alias, "literal": literal,
                "query_location": u64::MAX, "query_location_length": 0
            });
            Some(())
        }
        Value::Object(fields) => fields.values_mut().try_for_each(|field| substitute(field, params)),
        _ => Some(()),
    }
}
