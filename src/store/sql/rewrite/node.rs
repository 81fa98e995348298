//! Makes nodes of DuckDB's serialized tree, and reads the few things that passes ask of one.

use serde_json::{Value, json};

/// What DuckDB writes where a node comes from no place in the text.
const NOWHERE: u64 = u64::MAX;

/// A call of `path`, such as `["stored", "attribute_key"]`.
pub fn call(path: &[&str], arguments: Vec<Value>) -> Value {
    let arguments: Vec<Value> = arguments.into_iter().map(|node| json!({"name": "", "expression": node})).collect();
    json!({
        "class": "FUNCTION", "type": "FUNCTION", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0,
        "function_name": path.last().copied().unwrap_or_default(),
        "schema": if path.len() > 1 { path[0] } else { "" },
        "filter": null,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": false, "is_operator": false, "export_state": false, "catalog": "",
        "arguments": arguments,
        "qualified_name": {"path": path},
    })
}

/// `CAST(node AS type_name)`.
pub fn cast(node: Value, type_name: &str) -> Value {
    json!({
        "class": "CAST", "type": "OPERATOR_CAST", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0,
        "child": node, "try_cast": false,
        "type_expr": {
            "class": "TYPE", "type": "TYPE", "alias": "",
            "query_location": NOWHERE, "query_location_length": 0,
            "catalog": "", "schema": "", "type_name": type_name, "children": [],
            "qualified_name": {"path": [type_name]},
        },
    })
}

/// A literal; `kind` is `INTEGER`, `NUMERIC`, `STRING`, `BOOLEAN` or `NULL_LITERAL`.
pub fn literal(kind: &str, text: &str) -> Value {
    json!({
        "class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0,
        "literal": {"kind": kind, "text": text},
    })
}

/// An operator such as `COMPARE_IN`, `OPERATOR_NOT`, `OPERATOR_COALESCE`.
pub fn operator(kind: &str, children: Vec<Value>) -> Value {
    json!({
        "class": "OPERATOR", "type": kind, "alias": "",
        "query_location": NOWHERE, "query_location_length": 0, "children": children,
    })
}

/// A comparison such as `COMPARE_EQUAL`.
pub fn comparison(kind: &str, left: Value, right: Value) -> Value {
    json!({
        "class": "COMPARISON", "type": kind, "alias": "",
        "query_location": NOWHERE, "query_location_length": 0, "left": left, "right": right,
    })
}

/// All of `children`.
pub fn all_of(children: Vec<Value>) -> Value {
    json!({
        "class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0, "children": children,
    })
}

/// `CASE WHEN when THEN then ELSE otherwise END`.
pub fn case(when: Value, then: Value, otherwise: Value) -> Value {
    json!({
        "class": "CASE", "type": "CASE_EXPR", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0,
        "case_checks": [{"when_expr": when, "then_expr": then}], "else_expr": otherwise,
    })
}

/// A column by the parts of its name.
pub fn column(parts: &[Value]) -> Value {
    json!({
        "class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0, "column_names": parts,
    })
}

/// The column at `place` (from 1) of what FROM gives.
pub fn column_at(place: usize) -> Value {
    json!({
        "class": "POSITIONAL_REFERENCE", "type": "POSITIONAL_REFERENCE", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0, "index": place,
    })
}

/// `SELECT select_list FROM (query) AS ...`, without anything else.
pub fn select_from(select_list: Vec<Value>, query: Value) -> Value {
    json!({
        "type": "SELECT_NODE", "modifiers": [], "cte_map": {"map": []},
        "select_list": select_list,
        "from_table": {
            "type": "SUBQUERY", "alias": "", "sample": null,
            "query_location": NOWHERE, "query_location_length": 0,
            "subquery": {"node": query, "named_param_map": []},
            "column_name_alias": [],
        },
        "where_clause": null, "group_expressions": [], "group_sets": [],
        "aggregate_handling": "STANDARD_HANDLING", "having": null, "sample": null, "qualify": null,
    })
}

/// `SELECT expression`, to be printed.
pub fn select_of(expression: Value) -> Value {
    json!({
        "type": "SELECT_NODE", "modifiers": [], "cte_map": {"map": []},
        "select_list": [expression],
        "from_table": {
            "type": "EMPTY", "alias": "", "sample": null, "query_location": NOWHERE, "query_location_length": 0,
        },
        "where_clause": null, "group_expressions": [], "group_sets": [],
        "aggregate_handling": "STANDARD_HANDLING", "having": null, "sample": null, "qualify": null,
    })
}

/// `*`.
pub fn star() -> Value {
    star_of(false)
}

/// `COLUMNS(*)`, which stands for an expression a column.
pub fn columns() -> Value {
    star_of(true)
}

fn star_of(columns: bool) -> Value {
    json!({
        "class": "STAR", "type": "STAR", "alias": "",
        "query_location": NOWHERE, "query_location_length": 0,
        "relation_name": "", "exclude_list": [], "replace_list": [], "columns": columns, "expr": null,
        "qualified_exclude_list": [], "rename_list": [],
    })
}

/// The text of a field, empty if it is none.
pub fn text<'a>(node: &'a Value, key: &str) -> &'a str {
    node[key].as_str().unwrap_or_default()
}

/// The items of a field, none if it is no array.
pub fn items<'a>(node: &'a Value, key: &str) -> &'a [Value] {
    node[key].as_array().map_or(&[], Vec::as_slice)
}

/// The name of a function, in lower case; empty for what is none.
pub fn function_name(node: &Value) -> String {
    if matches!(text(node, "class"), "FUNCTION" | "WINDOW") {
        text(node, "function_name").to_ascii_lowercase()
    } else {
        String::new()
    }
}

/// The arguments of a call.
pub fn arguments(node: &Value) -> impl Iterator<Item = &Value> {
    items(node, "arguments").iter().map(|argument| &argument["expression"])
}
