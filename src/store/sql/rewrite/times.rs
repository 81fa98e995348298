//! All times are UTC, and comparable: what DuckDB gives as TIMESTAMPTZ becomes a TIMESTAMP.
//!
//! The times of the tables are `TIMESTAMP_NS`. DuckDB compares them with no `TIMESTAMPTZ`, and without its
//! ICU extension it cannot even subtract an interval from one; so `start_time > now() - INTERVAL 10 MINUTE`
//! failed. Whatever makes a `TIMESTAMPTZ` (`now()`, `to_timestamp`, a cast) is cast to `TIMESTAMP` here: the
//! zone of all sessions is UTC, whatever `TZ` says. DuckDB folds the cast, so that a filter on it still
//! leaves out files.
//!
//! `AT TIME ZONE` of such a time still means the wall clock there. A literal with an offset
//! (`'2026-01-01 00:00:00+02'`) that is cast to or compared with a time counts by its offset, which DuckDB
//! would skip.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::node::{arguments, call, cast, function_name, items, text};
use crate::store::schema::Table;

/// Columns that hold a time.
static TIMES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let columns = Table::ALL.into_iter().flat_map(Table::columns);
    let times = columns.filter(|column| column.sql_type.starts_with("TIMESTAMP")).map(|column| column.name);
    times.chain(["end_time"]).collect()
});

/// What comes in the place of `node`; what is in it has been replaced.
pub fn replaced(node: &Value) -> Option<Value> {
    match text(node, "class") {
        "FUNCTION" => of_call(node),
        "COLUMN_REF" => is_current_timestamp(node).then(|| utc(call(&["now"], vec![]))),
        "CAST" => of_cast(node),
        "COMPARISON" => {
            let left = by_offset(&node["left"], &[&node["right"]]);
            let right = by_offset(&node["right"], &[&node["left"]]);
            with_fields(node, [("left", left), ("right", right)])
        }
        "BETWEEN" => {
            let lower = by_offset(&node["lower"], &[&node["input"]]);
            let upper = by_offset(&node["upper"], &[&node["input"]]);
            with_fields(node, [("lower", lower), ("upper", upper)])
        }
        _ => None,
    }
}

fn of_call(node: &Value) -> Option<Value> {
    match function_name(node).as_str() {
        "now" | "get_current_timestamp" | "transaction_timestamp" | "to_timestamp" | "make_timestamptz" => {
            Some(utc(node.clone()))
        }
        "ago" => {
            let interval = arguments(node).next()?.clone();
            let mut difference = call(&["-"], vec![utc(call(&["now"], vec![])), cast(interval, "INTERVAL")]);
            difference["is_operator"] = Value::Bool(true);
            Some(difference)
        }
        "strptime" | "try_strptime" => {
            let format = arguments(node).nth(1)?;
            let zoned = ["%z", "%Z"].iter().any(|zone| text(&format["literal"], "text").contains(zone));
            zoned.then(|| utc(node.clone()))
        }
        "timezone" if arguments(node).count() == 2 => {
            let mut zoned = node.clone();
            let time = arguments(node).nth(1)?;
            // Not the TIMESTAMP_NS of a column: DuckDB makes a TIMESTAMPTZ_NS of that, which it cannot cast.
            let of = if is_instant(time) { "TIMESTAMPTZ" } else { "TIMESTAMP" };
            zoned["arguments"][1]["expression"] = cast(time.clone(), of);
            Some(utc(zoned))
        }
        _ => None,
    }
}

fn of_cast(node: &Value) -> Option<Value> {
    let target = text(&node["type_expr"], "type_name").to_ascii_uppercase();
    match target.as_str() {
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => Some(utc(node.clone())),
        "TIMESTAMP"
        | "DATETIME"
        | "TIMESTAMP WITHOUT TIME ZONE"
        | "TIMESTAMP_US"
        | "TIMESTAMP_MS"
        | "TIMESTAMP_NS"
        | "TIMESTAMP_S"
            if has_offset(&node["child"]) =>
        {
            let mut of_instant = node.clone();
            of_instant["child"] = cast(node["child"].clone(), "TIMESTAMPTZ");
            of_instant["child"]["try_cast"] = node["try_cast"].clone();
            Some(of_instant)
        }
        _ => None,
    }
}

/// The TIMESTAMPTZ as a TIMESTAMP in UTC.
fn utc(mut node: Value) -> Value {
    node["alias"] = Value::String(String::new());
    cast(node, "TIMESTAMP")
}

fn is_current_timestamp(node: &Value) -> bool {
    let parts = items(node, "column_names");
    parts.len() == 1 && parts[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("current_timestamp"))
}

/// Whether the time comes from a TIMESTAMPTZ, so that `AT TIME ZONE` gives the wall clock for it.
fn is_instant(node: &Value) -> bool {
    match text(node, "class") {
        "CAST" => {
            let child = &node["child"];
            let made = function_name(child);
            // Only what this pass wrote: a cast to TIMESTAMP that the user wrote stays around that.
            text(&node["type_expr"], "type_name") == "TIMESTAMP"
                && node["query_location"].as_u64() == Some(u64::MAX)
                && made != "timezone"
                && (!made.is_empty() || text(&child["type_expr"], "type_name").to_ascii_uppercase().contains("Z"))
        }
        "FUNCTION" => arguments(node).any(is_instant),
        _ => false,
    }
}

/// The literal by its offset, if it has one and is compared with a time.
fn by_offset(literal: &Value, others: &[&Value]) -> Option<Value> {
    let is_time = |other: &&Value| {
        let name = items(other, "column_names").last().and_then(Value::as_str);
        name.is_some_and(|name| TIMES.contains(name.to_ascii_lowercase().as_str()))
    };
    (has_offset(literal) && others.iter().any(is_time)).then(|| utc(cast(literal.clone(), "TIMESTAMPTZ")))
}

/// Whether it is a literal such as `2026-01-01 00:00:00+02`.
fn has_offset(node: &Value) -> bool {
    let literal = &node["literal"];
    let time = text(literal, "text").trim_end();
    if text(node, "class") != "CONSTANT" || text(literal, "kind") != "STRING" || !time.is_ascii() {
        return false;
    }
    // The date before it has two hyphens of its own.
    let Some(clock) = time.get(10..).filter(|_| time.as_bytes()[4] == b'-' && time.contains(':')) else {
        return false;
    };
    clock.rfind(['+', '-']).is_some_and(|at| clock[at + 1..].bytes().all(|b| b.is_ascii_digit() || b == b':'))
}

fn with_fields(node: &Value, fields: [(&str, Option<Value>); 2]) -> Option<Value> {
    let mut replaced = None;
    for (field, value) in fields {
        if let Some(value) = value {
            replaced.get_or_insert_with(|| node.clone())[field] = value;
        }
    }
    replaced
}
