//! Comparisons with a `VARIANT`.

use serde_json::Value;

use super::kind::{Kind, kind_of};
use super::{Pass, identity, key, number, refused, time};
use crate::store::sql::SqlError;
use crate::store::sql::rewrite::node::{
    all_of, call, case, cast, comparison, function_name, items, literal, operator, text,
};

/// The largest integer up to which every integer is a double.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// `left kind right`, one of which may be a `VARIANT`.
pub fn compare(pass: &Pass<'_>, kind: &str, left: &Value, right: &Value) -> Result<Option<Value>, SqlError> {
    match (pass.names.may_be_variant(left), pass.names.may_be_variant(right)) {
        (false, false) => Ok(None),
        (true, true) => {
            single(left)?;
            single(right)?;
            Ok(Some(among_attributes(kind, left, right)))
        }
        (true, false) => compare_with(pass, kind, left, right),
        (false, true) => compare_with(pass, mirrored(kind), right, left),
    }
}

/// `attribute kind other`, where only the first may be a `VARIANT`.
fn compare_with(pass: &Pass<'_>, kind: &str, attribute: &Value, other: &Value) -> Result<Option<Value>, SqlError> {
    single(attribute)?;
    if is_named_as_time(attribute) && !matches!(kind_of(other, pass.names), Kind::Native | Kind::Number) {
        return Ok(Some(comparison(kind, time(attribute), other.clone())));
    }
    let equality = is_equality(kind);
    if equality
        && let Some(spellings) = spellings(other)
        && spellings.len() > 1
    {
        return Ok(Some(one_of(kind, attribute, spellings)));
    }
    Ok(match kind_of(other, pass.names) {
        Kind::Native => None,
        // A double would round an integer of 64 bits to one of its neighbours.
        Kind::Number if equality || beyond_double(other) => Some(among_attributes(kind, attribute, other)),
        Kind::Number => Some(comparison(kind, number(attribute), other.clone())),
        Kind::Text => {
            Some(comparison(kind, call(&["stored", "attribute_text"], vec![attribute.clone()]), other.clone()))
        }
        Kind::Time => Some(comparison(kind, time(attribute), other.clone())),
        Kind::Unknown => Some(among_attributes(kind, attribute, other)),
    })
}

/// Both by their keys. Which of a number and a text is greater has no answer: NULL.
fn among_attributes(kind: &str, left: &Value, right: &Value) -> Value {
    if is_equality(kind) {
        return comparison(kind, identity(left), identity(right));
    }
    let is_text = |node: &Value| operator("OPERATOR_IS_NULL", vec![number(node)]);
    let compared = comparison(kind, key(left), key(right));
    case(comparison("COMPARE_EQUAL", is_text(left), is_text(right)), compared, literal("NULL_LITERAL", ""))
}

fn is_equality(kind: &str) -> bool {
    matches!(kind, "COMPARE_EQUAL" | "COMPARE_NOTEQUAL" | "COMPARE_DISTINCT_FROM" | "COMPARE_NOT_DISTINCT_FROM")
}

/// Equality with a literal, as DuckDB compares by type: with each of the values that spell it. Unlike a
/// cast of the attribute this is exact, and takes the statistics and the columns of Parquet files.
fn one_of(kind: &str, attribute: &Value, spellings: Vec<Value>) -> Value {
    let mut children = vec![attribute.clone()];
    children.extend(spellings);
    match kind {
        "COMPARE_EQUAL" => operator("COMPARE_IN", children),
        "COMPARE_NOTEQUAL" => operator("OPERATOR_NOT", vec![operator("COMPARE_IN", children)]),
        _ => {
            let known =
                operator("OPERATOR_COALESCE", vec![operator("COMPARE_IN", children), literal("BOOLEAN", "false")]);
            if kind == "COMPARE_DISTINCT_FROM" { operator("OPERATOR_NOT", vec![known]) } else { known }
        }
    }
}

/// `attribute IN (values)`; `None` if none of them may be a `VARIANT`.
pub fn is_in(pass: &Pass<'_>, node: &Value) -> Result<Option<Value>, SqlError> {
    let children = items(node, "children");
    if !children.iter().any(|child| pass.names.may_be_variant(child)) {
        return Ok(None);
    }
    children.iter().try_for_each(single)?;
    let Some((attribute, values)) = children.split_first() else { return Ok(None) };
    let mut replaced = node.clone();
    let literals: Option<Vec<Vec<Value>>> = values.iter().map(spellings).collect();
    replaced["children"] = match literals {
        Some(literals) if pass.names.may_be_variant(attribute) && literals.iter().all(|values| values.len() == 1) => {
            let attribute = call(&["stored", "attribute_text"], vec![attribute.clone()]);
            std::iter::once(attribute).chain(values.iter().cloned()).collect()
        }
        Some(literals) if pass.names.may_be_variant(attribute) => {
            std::iter::once(attribute.clone()).chain(literals.into_iter().flatten()).collect()
        }
        _ => children.iter().map(identity).collect(),
    };
    Ok(Some(replaced))
}

/// `attribute BETWEEN lower AND upper`.
pub fn between(pass: &Pass<'_>, node: &Value) -> Result<Option<Value>, SqlError> {
    let (input, lower, upper) = (&node["input"], &node["lower"], &node["upper"]);
    if ![input, lower, upper].into_iter().any(|part| pass.names.may_be_variant(part)) {
        return Ok(None);
    }
    let part = |kind, bound: &Value| -> Result<Value, SqlError> {
        Ok(compare(pass, kind, input, bound)?.unwrap_or_else(|| comparison(kind, input.clone(), bound.clone())))
    };
    Ok(Some(all_of(vec![part("COMPARE_GREATERTHANOREQUALTO", lower)?, part("COMPARE_LESSTHANOREQUALTO", upper)?])))
}

/// The values of a `VARIANT` that equal a literal: a number and its text are equal, whatever type the
/// number has. `None` for what is no literal of a number or a text.
fn spellings(node: &Value) -> Option<Vec<Value>> {
    if text(node, "class") != "CONSTANT" {
        return None;
    }
    let spelt = text(&node["literal"], "text");
    let variant = |node: Value| cast(node, "VARIANT");
    match text(&node["literal"], "kind") {
        // `1_000` is a number, too.
        "INTEGER" | "NUMERIC" => Some(of_number(&spelt.replace('_', ""))),
        "STRING" => {
            // Only the text that a number would be written as is that number: `0503` is not 503.
            let number = spelt.parse::<f64>().ok().filter(|n| n.is_finite());
            if spelt.parse::<i128>().is_ok_and(|n| n.to_string() == spelt) {
                Some(of_number(spelt))
            } else if let Some(number) = number.filter(|n| plain(*n) == spelt) {
                if number.fract() == 0.0 {
                    // `1.0` is the double that is written so, but neither the integer 1 nor the text `1`.
                    return Some(vec![variant(cast(literal("NUMERIC", spelt), "DOUBLE")), variant(node.clone())]);
                }
                Some(of_number(spelt))
            } else if matches!(spelt, "true" | "false") {
                Some(vec![variant(literal("STRING", spelt)), variant(literal("BOOLEAN", spelt))])
            } else {
                Some(vec![variant(literal("STRING", spelt))])
            }
        }
        _ => None,
    }
}

fn of_number(spelt: &str) -> Vec<Value> {
    let variant = |node: Value| cast(node, "VARIANT");
    let double = spelt.parse::<f64>().unwrap_or(f64::NAN);
    let mut values = Vec::new();
    if let Ok(integer) = spelt.parse::<i128>() {
        values.push(variant(literal("INTEGER", spelt)));
        values.push(variant(literal("STRING", &integer.to_string())));
        #[expect(clippy::cast_possible_truncation, reason = "only an integer that is a double is compared as one")]
        let exact = double as i128 == integer;
        if exact {
            values.push(variant(cast(literal("INTEGER", spelt), "DOUBLE")));
        }
        return values;
    }
    values.push(variant(cast(literal("NUMERIC", spelt), "DOUBLE")));
    values.push(variant(literal("STRING", &plain(double))));
    // A decimal, and the integer that 5.0 is.
    if double.abs() < MAX_EXACT {
        if double.fract() == 0.0 {
            values.push(variant(literal("INTEGER", &format!("{double:.0}"))));
            values.push(variant(literal("STRING", &format!("{double:.0}"))));
        } else {
            values.push(variant(literal("NUMERIC", spelt)));
        }
    }
    values
}

/// A double as DuckDB writes it, and as people do.
fn plain(number: f64) -> String {
    format!("{number:?}")
}

/// An integer literal that no double holds for certain.
fn beyond_double(node: &Value) -> bool {
    text(&node["literal"], "kind") == "INTEGER"
        && text(&node["literal"], "text").replace('_', "").parse::<f64>().is_ok_and(|number| number.abs() >= MAX_EXACT)
}

/// The comparison with its sides exchanged.
fn mirrored(kind: &str) -> &str {
    match kind {
        "COMPARE_GREATERTHAN" => "COMPARE_LESSTHAN",
        "COMPARE_LESSTHAN" => "COMPARE_GREATERTHAN",
        "COMPARE_GREATERTHANOREQUALTO" => "COMPARE_LESSTHANOREQUALTO",
        "COMPARE_LESSTHANOREQUALTO" => "COMPARE_GREATERTHANOREQUALTO",
        same => same,
    }
}

/// The time of an event, or a column of times where an alias of an attribute has its name.
fn is_named_as_time(node: &Value) -> bool {
    let name = match text(node, "class") {
        "COLUMN_REF" => items(node, "column_names").last().and_then(Value::as_str).unwrap_or_default(),
        "OPERATOR" => items(node, "children").get(1).map(|field| text(&field["literal"], "text")).unwrap_or_default(),
        _ => "",
    };
    matches!(name.to_ascii_lowercase().as_str(), "time" | "start_time" | "end_time" | "observed_time")
}

/// Rows, lists, structs and `COLUMNS(...)` hide which of their values are attributes.
pub fn single(node: &Value) -> Result<(), SqlError> {
    let name = function_name(node);
    if matches!(name.as_str(), "row" | "struct_pack" | "list_value" | "list" | "array_agg" | "map") {
        return Err(refused(
            "rows, lists and structs that hold attributes cannot be compared: compare attribute by attribute",
            node,
        ));
    }
    if text(node, "class") == "STAR" {
        return Err(refused(
            "COLUMNS(...) may stand for attributes, which compare by their cast: name the columns",
            node,
        ));
    }
    Ok(())
}
