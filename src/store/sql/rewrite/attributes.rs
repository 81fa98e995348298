//! Attributes compare as what they are: numbers as numbers, text as text.
//!
//! DuckDB orders `VARIANT` values by their type first and their value second: all integers come before
//! all doubles, those before all texts. Senders mix them under one key (JavaScript sends 5 as an integer
//! and 7.5 as a double; a status code is a number here and a text there), so `> 100` gave 7.5 and `'20'`,
//! `max` the greatest type and `sum` rounded integers. This pass says in the tree what is meant:
//!
//! | an attribute | reads as |
//! |---|---|
//! | compared with a number, or given to a function over numbers | a number: itself, or what its text spells; 1 or 0 for a truth value, as DuckDB has it; else NULL |
//! | compared with text, or given to a function over text | text; a number as it is written |
//! | compared with a time | a time |
//! | compared with an attribute, a parameter or what has no known type | number with number, text with text; else NULL, or not equal. For `=` a text is the number that is written so, and no other: `'1.0'` is not `'1'` |
//! | ordered, or given to `min`, `max`, `arg_min`, `arg_max` | numbers first, by their value, then text |
//!
//! `=` and `IN` with literals become DuckDB's own comparison with each value that spells the literal
//! (503, 503.0, `'503'`): exact for any integer, and as fast as without this pass. GROUP BY, DISTINCT and
//! set operations keep values apart that differ in type. What has no right answer is refused with a hint.
//!
//! Which expressions are a `VARIANT` is known by names ([`names`]), and possibly too many; so what is
//! written here is also right for plain values: the macros (`store/macros/attributes.sql`) cast to `VARIANT` first,
//! which changes nothing of what is one. They are not overloaded by type, although DuckDB has that: it
//! binds the arguments twice then, which fails for columns of an outer query (2.0.0: in LATERAL, and by
//! an internal error that ends the instance).

use serde_json::Value;

use self::names::Names;
use super::Print;
use super::node::{arguments, call, case, column_at, function_name, items, literal, select_from, text};
use crate::store::sql::SqlError;

mod comparison;
mod functions;
mod kind;
mod names;
mod order;
mod weight;

#[cfg(test)]
mod tests;

/// What is written around an attribute repeats it, so each level multiplies the statement.
const MAX_LEVELS: usize = 4;

/// Rewrites a statement: one item of `statements` in DuckDB's serialized form.
///
/// # Errors
/// [`SqlError::Refused`] with a hint where attributes are compared in a way that has no right answer.
pub fn rewrite(statement: &mut Value, print: Print<'_>) -> Result<(), SqlError> {
    name_items(statement, print)?;
    let Some(names) = Names::of(statement) else {
        return Err(refused("attributes go through too many aliases: cast them first", statement));
    };
    Pass { names: &names }.visit(statement)?;
    weight::check(statement)
}

/// Columns without an alias are called by their text. It is made an alias where it is the name of a
/// `VARIANT`, for what is around to know it, and before the text changes.
fn name_items(node: &mut Value, print: Print<'_>) -> Result<(), SqlError> {
    match node {
        Value::Array(children) => children.iter_mut().try_for_each(|child| name_items(child, print)),
        Value::Object(_) => {
            if text(node, "type") == "SELECT_NODE"
                && let Some(list) = node["select_list"].as_array_mut()
            {
                for item in list.iter_mut().filter(|item| is_nameless(item)) {
                    item["alias"] = Value::String(print(item)?);
                }
            }
            let fields = node.as_object_mut();
            fields.into_iter().flatten().try_for_each(|(_, child)| name_items(child, print))
        }
        _ => Ok(()),
    }
}

/// Whether a select item has no name but its text, and has columns in it that may be attributes. A
/// struct that is unpacked has the names of its fields.
fn is_nameless(item: &Value) -> bool {
    let named = !text(item, "alias").is_empty()
        || matches!(text(item, "class"), "COLUMN_REF" | "STAR" | "CONSTANT" | "PARAMETER" | "POSITIONAL_REFERENCE")
        || function_name(item) == "unnest";
    !named && has_class(item, "COLUMN_REF") && !has_class(item, "STAR")
}

fn has_class(node: &Value, class: &str) -> bool {
    match node {
        Value::Array(children) => children.iter().any(|child| has_class(child, class)),
        Value::Object(fields) => text(node, "class") == class || fields.values().any(|child| has_class(child, class)),
        _ => false,
    }
}

/// The walk over the tree, from the leaves up.
#[derive(Clone, Copy)]
struct Pass<'a> {
    names: &'a Names,
}

impl Pass<'_> {
    /// Rewrites what is in `node`, then `node` itself. Returns how many levels were written around each
    /// other.
    fn visit(&self, node: &mut Value) -> Result<usize, SqlError> {
        let mut levels = 0;
        match node {
            Value::Array(children) => {
                for child in children {
                    levels = levels.max(self.visit(child)?);
                }
                return Ok(levels);
            }
            Value::Object(fields) => {
                for child in fields.values_mut() {
                    levels = levels.max(self.visit(child)?);
                }
            }
            _ => return Ok(0),
        }
        let Some(mut replaced) = self.replaced(node)? else { return Ok(levels) };
        if levels >= MAX_LEVELS {
            return Err(refused("comparisons of attributes are nested too deeply: cast the attributes", node));
        }
        if !text(node, "alias").is_empty() && replaced["class"].is_string() {
            replaced["alias"] = node["alias"].take();
        }
        *node = replaced;
        Ok(levels + 1)
    }

    /// What comes in the place of `node`.
    fn replaced(&self, node: &Value) -> Result<Option<Value>, SqlError> {
        match (text(node, "class"), text(node, "type")) {
            ("COMPARISON", kind) => comparison::compare(self, kind, &node["left"], &node["right"]),
            ("BETWEEN", _) => comparison::between(self, node),
            ("OPERATOR", "COMPARE_IN" | "COMPARE_NOT_IN") => comparison::is_in(self, node),
            ("OPERATOR", "OPERATOR_NULLIF") => self.nullif(node, items(node, "children").iter()),
            ("SUBQUERY", _) if text(node, "subquery_type") == "ANY" => self.any_of(node),
            ("FUNCTION", _) if functions::takes_json(&function_name(node)) => Ok(self.json_of_first(node)),
            // `column -> 'field'`; with anything else on the right it is a lambda.
            ("LAMBDA", _) if text(node, "syntax_type") == "SINGLE_ARROW" && is_path(&node["expr"]) => {
                Ok(self.json_at(&node["lhs"], &node["expr"]).map(|(json, path)| {
                    let mut replaced = node.clone();
                    replaced["lhs"] = json;
                    replaced["expr"] = path;
                    replaced
                }))
            }
            ("FUNCTION" | "WINDOW", _) => self.call(node),
            ("", "SELECT_NODE" | "SET_OPERATION_NODE" | "RECURSIVE_CTE_NODE" | "CTE_NODE") => {
                Ok(order::query(self, node))
            }
            ("", "JOIN") => self.join(node),
            ("", "PIVOT") => self.pivot(node),
            _ => Ok(None),
        }
    }

    /// A function over JSON.
    fn json_of_first(&self, node: &Value) -> Option<Value> {
        let mut given = arguments(node);
        let (first, second) = (given.next()?, given.next());
        let mut replaced = node.clone();
        match second.filter(|_| functions::takes_path(&function_name(node))) {
            Some(path) => {
                let (json, path) = self.json_at(first, path)?;
                replaced["arguments"][0]["expression"] = json;
                replaced["arguments"][1]["expression"] = path;
            }
            None => replaced["arguments"][0]["expression"] = self.json(first)?,
        }
        Some(replaced)
    }

    /// A column as JSON, and the path to what is asked of it. Where that is a key of attributes, only what is under
    /// it becomes JSON: all the rest need not be read.
    fn json_at(&self, node: &Value, path: &Value) -> Option<(Value, Value)> {
        let is_member = self.names.may_be_variant(node) && text(node, "class") == "COLUMN_REF" && is_key(path);
        if is_member {
            let member = call(&["stored", "attribute_member"], vec![node.clone(), path.clone()]);
            return Some((member, literal("STRING", "$")));
        }
        Some((self.json(node)?, path.clone()))
    }

    /// A column as JSON, whatever is in it: the bodies of logs are JSON in some lines and not in others.
    fn json(&self, node: &Value) -> Option<Value> {
        if self.names.may_be_variant(node) && text(node, "class") != "LAMBDA" {
            return Some(call(&["stored", "attribute_json"], vec![node.clone()]));
        }
        (text(node, "class") == "COLUMN_REF").then(|| call(&["stored", "json_or_null"], vec![node.clone()]))
    }

    /// `x = ANY (query)` and `x IN (query)`.
    fn any_of(&self, node: &Value) -> Result<Option<Value>, SqlError> {
        let query = &node["subquery"]["node"];
        if !self.names.may_be_variant(&node["child"]) && !self.names.output_may_be_variant(query) {
            return Ok(None);
        }
        comparison::single(&node["child"])?;
        if text(node, "comparison_type") != "COMPARE_EQUAL" {
            return Err(refused(
                "cast attributes that are compared with ANY or ALL of a query: attributes.x::DOUBLE",
                node,
            ));
        }
        let mut replaced = node.clone();
        replaced["child"] = identity(&node["child"]);
        let of_first = identity(&column_at(1));
        replaced["subquery"]["node"] = select_from(vec![of_first], query.clone());
        Ok(Some(replaced))
    }

    fn call(&self, node: &Value) -> Result<Option<Value>, SqlError> {
        let name = function_name(node);
        let variant: Vec<bool> = arguments(node).map(|argument| self.names.may_be_variant(argument)).collect();
        let orders = order::inside(self, node);
        let node = orders.as_ref().unwrap_or(node);
        if text(node, "schema") == "stored" || !variant.contains(&true) {
            return Ok(orders);
        }
        if functions::is_comparing(&name) {
            let hint =
                format!("{name} compares attributes by their type first: cast them, such as attributes.x::DOUBLE");
            return Err(refused(hint, node));
        }
        let mut replaced = node.clone();
        match name.as_str() {
            "min" | "max" => {
                // The greatest by its key, and itself as it is.
                let by = format!("arg_{name}");
                replaced["function_name"] = Value::String(by.clone());
                replaced["qualified_name"]["path"] = Value::Array(vec![Value::String(by)]);
                if let Some(list) = replaced["arguments"].as_array_mut() {
                    let mut second = list[0].clone();
                    let first = &list[0]["expression"];
                    second["expression"] =
                        if text(first, "class") == "STAR" { key_of_variant(first) } else { key(first) };
                    list.insert(1, second);
                }
                replaced["distinct"] = Value::Bool(false);
            }
            "arg_min" | "arg_max" | "min_by" | "max_by" | "argmin" | "argmax" | "arg_min_null" | "arg_max_null"
            | "arg_min_nulls_last" | "arg_max_nulls_last" => {
                if variant.get(1) != Some(&true) {
                    return Ok(orders);
                }
                replaced["arguments"][1]["expression"] = key(&node["arguments"][1]["expression"]);
            }
            "nullif" => return self.nullif(node, arguments(node)),
            _ if functions::is_length(&name) => {
                return Ok(arguments(node).next().map(|of| call(&["stored", "attribute_length"], vec![of.clone()])));
            }
            _ if functions::takes_text(&name) && variant[0] => {
                let text = call(&["stored", "attribute_text"], vec![node["arguments"][0]["expression"].clone()]);
                replaced["arguments"][0]["expression"] = text;
            }
            _ if functions::is_numeric(&name) => {
                let of_time = matches!(name.as_str(), "+" | "-")
                    && arguments(node).any(|argument| kind::is_time(argument, self.names));
                for place in (0..variant.len()).filter(|place| variant[*place]) {
                    let argument = &node["arguments"][place]["expression"];
                    replaced["arguments"][place]["expression"] = match text(argument, "class") {
                        "STAR" => number_of_variant(argument),
                        _ if of_time => time(argument),
                        _ => number(argument),
                    };
                }
            }
            _ => return Ok(orders),
        }
        Ok(Some(replaced))
    }

    /// `nullif(x, y)` is a comparison.
    fn nullif<'v>(&self, node: &Value, mut parts: impl Iterator<Item = &'v Value>) -> Result<Option<Value>, SqlError> {
        let (Some(value), Some(other)) = (parts.next(), parts.next()) else { return Ok(None) };
        let mut replaced = comparison::compare(self, "COMPARE_EQUAL", value, other)?
            .map(|equal| case(equal, literal("NULL_LITERAL", ""), value.clone()));
        if let Some(replaced) = &mut replaced {
            replaced["query_location"] = node["query_location"].clone();
        }
        Ok(replaced)
    }

    /// Columns of the same name are compared where nothing can be written.
    fn join(&self, node: &Value) -> Result<Option<Value>, SqlError> {
        let using = items(node, "using_columns").iter().filter_map(Value::as_str).any(|name| self.names.contains(name));
        if using || (text(node, "ref_type") == "NATURAL" && self.names.travels()) {
            return Err(refused("attributes are joined by ON, not by USING or NATURAL", node));
        }
        Ok(None)
    }

    fn pivot(&self, node: &Value) -> Result<Option<Value>, SqlError> {
        let by = items(node, "pivots").iter().flat_map(|pivot| items(pivot, "pivot_expressions"));
        // Names of the columns that come of it are made by DuckDB out of values.
        if by.chain(items(node, "aggregates")).any(|part| self.names.may_be_variant(part)) {
            return Err(refused("cast attributes that a PIVOT works with, such as attributes.x::VARCHAR", node));
        }
        Ok(None)
    }
}

/// Whether this is what stands behind `->`: a constant, or one with more behind it. DuckDB reads `a -> 0 ->> 'b'` as
/// `a -> (0 ->> 'b')`, and means the other.
fn is_path(node: &Value) -> bool {
    match text(node, "class") {
        "CONSTANT" => true,
        "LAMBDA" => is_path(&node["lhs"]),
        "FUNCTION" if function_name(node) == "->>" => arguments(node).next().is_some_and(is_path),
        _ => false,
    }
}

/// Whether a path is a text that DuckDB takes for one key: others begin with `$` or `/`.
fn is_key(path: &Value) -> bool {
    let key = &path["literal"];
    text(key, "kind") == "STRING" && !text(key, "text").is_empty() && !text(key, "text").starts_with(['$', '/'])
}

/// The attribute as a number.
fn number(node: &Value) -> Value {
    call(&["stored", "attribute_number"], vec![node.clone()])
}

/// The attribute as a time.
fn time(node: &Value) -> Value {
    call(&["stored", "attribute_time"], vec![node.clone()])
}

/// What attributes are equal by.
fn identity(node: &Value) -> Value {
    call(&["stored", "attribute_identity"], vec![node.clone()])
}

/// What attributes sort by, and which is the greater.
fn key(node: &Value) -> Value {
    call(&["stored", "attribute_key"], vec![node.clone()])
}

/// The key of what turns out to be a `VARIANT`, and anything else as it is: for columns whose names do
/// not stand in the statement.
fn key_of_variant(node: &Value) -> Value {
    call(&["stored", "attribute_key_of_variant"], vec![node.clone()])
}

/// The number of what turns out to be a `VARIANT`, and anything else as it is.
fn number_of_variant(node: &Value) -> Value {
    call(&["stored", "attribute_number_of_variant"], vec![node.clone()])
}

fn refused(hint: impl Into<String>, node: &Value) -> SqlError {
    SqlError::refused(hint, crate::store::sql::validate::location(node))
}
