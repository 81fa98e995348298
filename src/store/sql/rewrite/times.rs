//! All times are UTC, and comparable: what DuckDB gives as TIMESTAMPTZ becomes a TIMESTAMP.
//!
//! The times of the tables are `TIMESTAMP_NS`. DuckDB compares them with no `TIMESTAMPTZ`, and without its
//! ICU extension it cannot even subtract an interval from one; so `start_time > now() - INTERVAL 10 MINUTE`
//! failed. Whatever makes a `TIMESTAMPTZ` (`now()`, `to_timestamp`, a cast) is cast to `TIMESTAMP` here: the
//! zone of all sessions is UTC, whatever `TZ` says. DuckDB folds the cast, so that a filter on it still
//! leaves out files.
//!
//! `now()` and its like are written as the time at which the statement is read: so its plan, which tells the files that
//! count, is the same as long as it runs.
//!
//! `AT TIME ZONE` of such a time still means the wall clock there. A literal with an offset
//! (`'2026-01-01 00:00:00+02'`) that is cast to a time, compared with one or given to a function beside one
//! counts by its offset, which DuckDB would skip. What has a name that no table has may be a time; if it is
//! text, DuckDB refuses the comparison. A parameter beside a column of times counts by its offset, too.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::node::{arguments, call, cast, function_name, items, literal, text};
use crate::store::schema::Table;

/// Columns that hold something else than a time.
static OTHERS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let columns = Table::ALL.into_iter().flat_map(Table::columns);
    columns.filter(|column| !column.sql_type.starts_with("TIMESTAMP")).map(|column| column.name).collect()
});

/// Columns that hold a time.
static TIMES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let columns = Table::ALL.into_iter().flat_map(Table::columns);
    let times = columns.filter(|column| column.sql_type.starts_with("TIMESTAMP")).map(|column| column.name);
    times.chain(["end_time"]).filter(|name| !OTHERS.contains(name)).collect()
});

/// Functions of times that take a time as a literal, too, and our own over a range of time.
const BESIDE_TIMES: &[&str] = &["date_diff", "datediff", "date_sub", "datesub", "age", "greatest", "least", "ifnull"];
const OVER_RANGES: &[&str] = &["red", "service_graph", "flame", "exemplars_of", "telemetry_volume"];

/// Functions whose result is a time where an argument is one.
const GIVE_TIMES: &[&str] = &[
    "+",
    "-",
    "any_value",
    "arbitrary",
    "arg_max",
    "arg_min",
    "date_add",
    "date_trunc",
    "datetrunc",
    "first",
    "first_value",
    "greatest",
    "ifnull",
    "lag",
    "last",
    "last_value",
    "lead",
    "least",
    "max",
    "max_by",
    "min",
    "min_by",
    "mode",
    "nth_value",
    "time_bucket",
];

/// What comes in the place of `node` at the time `now` (RFC 3339, in UTC); what is in it has been replaced.
pub fn replaced(node: &Value, now: &str) -> Option<Value> {
    match text(node, "class") {
        "FUNCTION" => of_call(node, now),
        "COLUMN_REF" => is_current_timestamp(node).then(|| instant(now)),
        "CAST" => of_cast(node),
        "COMPARISON" => beside_times(node, &["/left", "/right"]),
        "BETWEEN" => beside_times(node, &["/input", "/lower", "/upper"]),
        "OPERATOR" if matches!(text(node, "type"), "COMPARE_IN" | "COMPARE_NOT_IN" | "OPERATOR_COALESCE") => {
            let places: Vec<String> = (0..items(node, "children").len()).map(|n| format!("/children/{n}")).collect();
            beside_times(node, &places)
        }
        _ => None,
    }
}

fn of_call(node: &Value, now: &str) -> Option<Value> {
    match function_name(node).as_str() {
        "now" | "get_current_timestamp" | "transaction_timestamp" if arguments(node).next().is_none() => {
            Some(instant(now))
        }
        "to_timestamp" | "make_timestamptz" => Some(utc(node.clone())),
        "ago" => {
            let interval = arguments(node).next()?.clone();
            let mut difference = call(&["-"], vec![instant(now), cast(interval, "INTERVAL")]);
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
        name if BESIDE_TIMES.contains(&name) => beside_times(node, &places_of_arguments(node)),
        name if OVER_RANGES.contains(&name) => {
            let places = places_of_arguments(node);
            let range = &places[places.len().saturating_sub(2)..];
            by_offset(node, &places, range)
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

/// A time with its offset as a TIMESTAMP in UTC.
fn instant(time: &str) -> Value {
    utc(cast(literal("STRING", time), "TIMESTAMPTZ"))
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

/// The node with the literals at these places by their offset, if any has one and stands beside a time.
fn beside_times(node: &Value, places: &[impl AsRef<str>]) -> Option<Value> {
    let is_time = places.iter().any(|place| node.pointer(place.as_ref()).is_some_and(may_be_time));
    let is_sure = places.iter().any(|place| node.pointer(place.as_ref()).is_some_and(is_time_of_table));
    if is_time { by_offset(node, places, if is_sure { places } else { &[] }) } else { None }
}

/// The node with the literals at these places by their offset, and the parameters at those that are times
/// for sure; `None` if there is none.
fn by_offset<P: AsRef<str>>(node: &Value, places: &[P], sure: &[P]) -> Option<Value> {
    let mut replaced = None;
    let mut put = |place: &P, new: Value| {
        if let Some(part) = replaced.get_or_insert_with(|| node.clone()).pointer_mut(place.as_ref()) {
            *part = new;
        }
    };
    for place in places {
        match node.pointer(place.as_ref()) {
            Some(literal) if has_offset(literal) => put(place, utc(cast(literal.clone(), "TIMESTAMPTZ"))),
            _ => {}
        }
    }
    for place in sure {
        match node.pointer(place.as_ref()) {
            Some(parameter) if text(parameter, "class") == "PARAMETER" => {
                put(place, call(&["stored", "time_of_parameter"], vec![parameter.clone()]));
            }
            _ => {}
        }
    }
    replaced
}

/// Whether it is a column that holds a time in a table, or made of one by a function that gives a time.
fn is_time_of_table(node: &Value) -> bool {
    match text(node, "class") {
        "COLUMN_REF" => {
            let name = items(node, "column_names").last().and_then(Value::as_str);
            name.is_some_and(|name| TIMES.contains(name.to_ascii_lowercase().as_str()))
        }
        "FUNCTION" => GIVE_TIMES.contains(&function_name(node).as_str()) && arguments(node).any(is_time_of_table),
        _ => false,
    }
}

fn places_of_arguments(node: &Value) -> Vec<String> {
    (0..items(node, "arguments").len()).map(|n| format!("/arguments/{n}/expression")).collect()
}

/// Whether it is a time, as far as its form tells, or may be one by a name that no table has.
fn may_be_time(node: &Value) -> bool {
    match text(node, "class") {
        "COLUMN_REF" => {
            let names = items(node, "column_names").iter().filter_map(Value::as_str);
            !names.map(str::to_ascii_lowercase).any(|name| OTHERS.contains(name.as_str()))
        }
        "POSITIONAL_REFERENCE" => true,
        "CAST" => {
            let target = text(&node["type_expr"], "type_name").to_ascii_uppercase();
            target.starts_with("TIMESTAMP") || matches!(target.as_str(), "DATE" | "DATETIME")
        }
        "FUNCTION" | "WINDOW" => {
            let name = function_name(node);
            let of_window = items(node, "children").iter().any(may_be_time);
            name.starts_with("make_timestamp")
                || GIVE_TIMES.contains(&name.as_str()) && (of_window || arguments(node).any(may_be_time))
        }
        "OPERATOR" => match text(node, "type") {
            "OPERATOR_COALESCE" | "OPERATOR_NULLIF" => items(node, "children").iter().any(may_be_time),
            // The time of an event.
            "STRUCT_EXTRACT" | "ARRAY_EXTRACT" => {
                items(node, "children").get(1).is_some_and(|field| text(&field["literal"], "text") == "time")
            }
            _ => false,
        },
        "CASE" => {
            items(node, "case_checks").iter().any(|check| may_be_time(&check["then_expr"]))
                || may_be_time(&node["else_expr"])
        }
        "SUBQUERY" => {
            let query = &node["subquery"]["node"];
            text(node, "subquery_type") == "SCALAR" && items(query, "select_list").first().is_some_and(may_be_time)
        }
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use crate::store::sql::parse::Parser;

    #[test]
    fn a_literal_counts_by_its_offset_beside_what_may_be_a_time() {
        let parser = Parser::new().expect("parser");
        let offset = "'2026-01-01 02:00:00+02'";
        let instant = format!("CAST(CAST({offset} AS TIMESTAMPTZ) AS TIMESTAMP)");
        for (beside, counts) in [
            ("SELECT 1 FROM red(OFFSET, '2026-01-02')", true),
            ("SELECT (x > OFFSET)", true),
            ("SELECT (events[1].time > OFFSET)", true),
            ("SELECT (service_name > OFFSET)", false),
            ("SELECT lower(OFFSET)", false),
        ] {
            let written = parser.validate(&beside.replace("OFFSET", offset)).expect(beside);
            assert_eq!(written.contains(&instant), counts, "{written}");
        }
    }
}
