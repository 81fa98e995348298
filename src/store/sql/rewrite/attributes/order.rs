//! Orders over a `VARIANT`: of queries, of aggregates, of windows.

use serde_json::Value;

use super::{Pass, key, key_of_variant};
use crate::store::sql::rewrite::node::{column_at, columns, function_name, items, select_from, star, text};

/// How one expression of an ORDER BY is written.
enum Order {
    /// As it is.
    Kept,
    /// This instead of it.
    Replaced(Value),
    /// This instead of it, around the query: it names columns by their place in the answer.
    Outside(Value),
}

/// The ORDER BY of a query.
pub fn query(pass: &Pass<'_>, node: &Value) -> Option<Value> {
    let modifiers = items(node, "modifiers");
    let at = modifiers.iter().position(|modifier| text(modifier, "type") == "ORDER_MODIFIER")?;
    let mut orders = modifiers[at].clone();
    let mut outside = false;
    let mut changed = false;
    for order in orders["orders"].as_array_mut().into_iter().flatten() {
        match of_query(pass, node, &order["expression"]) {
            Order::Kept => {}
            Order::Replaced(expression) => {
                order["expression"] = expression;
                changed = true;
            }
            Order::Outside(expression) => {
                order["expression"] = expression;
                outside = true;
            }
        }
    }
    if outside {
        return Some(around(node, orders));
    }
    if !changed {
        return None;
    }
    let mut replaced = node.clone();
    replaced["modifiers"][at] = orders;
    Some(replaced)
}

fn of_query(pass: &Pass<'_>, node: &Value, expression: &Value) -> Order {
    let list = items(node, "select_list");
    if let Some(item) = item_of_alias(list, expression) {
        return if pass.names.may_be_variant(item) { Order::Replaced(key(&unnamed(item))) } else { Order::Kept };
    }
    match text(expression, "class") {
        // ORDER BY ALL.
        "STAR" => {
            if pass.names.output_may_be_variant(node) {
                Order::Outside(key_of_variant(&columns()))
            } else {
                Order::Kept
            }
        }
        "CONSTANT" => {
            let Ok(place) = text(&expression["literal"], "text").parse::<usize>() else { return Order::Kept };
            if text(&expression["literal"], "kind") != "INTEGER"
                || place == 0
                || !pass.names.output_may_be_variant(node)
            {
                return Order::Kept;
            }
            let hidden = list.is_empty() || list.iter().take(place).any(|item| text(item, "class") == "STAR");
            match list.get(place - 1) {
                _ if hidden => Order::Outside(key_of_variant(&column_at(place))),
                Some(item) if pass.names.may_be_variant(item) => Order::Replaced(key(&unnamed(item))),
                _ => Order::Kept,
            }
        }
        "POSITIONAL_REFERENCE" => Order::Replaced(key_of_variant(expression)),
        _ if pass.names.may_be_variant(expression) => Order::Replaced(key(expression)),
        _ => Order::Kept,
    }
}

/// The select item that a bare name in ORDER BY stands for: an alias comes before a column of the name
/// there. Inside of a call it is the other way round, so the name must not be left in one.
fn item_of_alias<'v>(list: &'v [Value], expression: &Value) -> Option<&'v Value> {
    let [name] = items(expression, "column_names") else { return None };
    let name = name.as_str()?;
    // An UNNEST cannot be repeated. Its alias can stay where no column has the name.
    list.iter().find(|item| text(item, "alias").eq_ignore_ascii_case(name)).filter(|item| !unnests(item))
}

fn unnests(node: &Value) -> bool {
    match node {
        Value::Array(children) => children.iter().any(unnests),
        Value::Object(fields) => function_name(node) == "unnest" || fields.values().any(unnests),
        _ => false,
    }
}

fn unnamed(item: &Value) -> Value {
    let mut item = item.clone();
    item["alias"] = Value::String(String::new());
    item
}

/// `SELECT * FROM (query) ORDER BY orders LIMIT ...`, with the limit that the query had.
fn around(node: &Value, orders: Value) -> Value {
    let is_distinct = |modifier: &&Value| text(modifier, "type") == "DISTINCT_MODIFIER";
    let modifiers = items(node, "modifiers");
    let mut inner = node.clone();
    inner["modifiers"] = Value::Array(modifiers.iter().filter(is_distinct).cloned().collect());
    let mut outer = select_from(vec![star()], inner);
    let limits = modifiers.iter().filter(|modifier| text(modifier, "type").starts_with("LIMIT")).cloned();
    outer["modifiers"] = std::iter::once(orders).chain(limits).collect();
    outer
}

/// The ORDER BY inside of an aggregate or of a window.
pub fn inside(pass: &Pass<'_>, node: &Value) -> Option<Value> {
    let mut replaced = node.clone();
    let mut changed = false;
    for pointer in ["/order_bys/orders", "/orders", "/arg_orders"] {
        let Some(orders) = replaced.pointer_mut(pointer).and_then(Value::as_array_mut) else { continue };
        for order in orders {
            if pass.names.may_be_variant(&order["expression"]) {
                order["expression"] = key(&order["expression"]);
                changed = true;
            }
        }
    }
    changed.then_some(replaced)
}
