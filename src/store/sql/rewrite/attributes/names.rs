//! Which expressions of a statement may be a `VARIANT`, by the names through which one travels.
//!
//! A `VARIANT` comes out of the store under few names: `attributes`, `resource`, `labels`, `events`,
//! `links`. From there it goes on under the aliases of select items, tables, common table expressions,
//! struct fields and parameters of lambdas. All those names are collected, for the statement as a whole
//! and until nothing is added. That errs on one side: a name that stands for an attribute in one place
//! and for a plain column in another counts as an attribute in both, and what is made of it is right for
//! plain values, too ([`super`]).

use std::collections::HashSet;

use serde_json::Value;

use super::functions::is_plain;
use crate::store::schema::Table;
use crate::store::sql::rewrite::node::{arguments, function_name, items, text};

/// Rounds over a statement in search of names. Each costs as much as the statement is large.
const MAX_ROUNDS: usize = 64;

/// The names in lower case.
#[derive(Debug)]
pub struct Names {
    known: HashSet<String>,
    /// Any was added to those that the store has.
    added: bool,
}

impl Names {
    /// The names of a whole statement; `None` where they go on and on.
    pub fn of(statement: &Value) -> Option<Self> {
        let columns = Table::ALL.into_iter().flat_map(Table::columns).filter(|column| column.is_variant());
        let known = columns.map(|column| column.name.to_owned()).collect();
        let mut names = Names { known, added: false };
        // Each round follows a name by at least one step; most statements need two.
        for _ in 0..MAX_ROUNDS {
            let before = names.known.len();
            names.collect(statement);
            if names.known.len() == before {
                return Some(names);
            }
            names.added = true;
        }
        None
    }

    /// Whether the statement gives a `VARIANT` a name that the store does not have.
    pub fn travels(&self) -> bool {
        self.added
    }

    /// Whether the name may stand for a `VARIANT`.
    pub fn contains(&self, name: &str) -> bool {
        self.known.contains(&name.to_lowercase())
    }

    /// Whether the expression may be a `VARIANT`, or a list, struct or map that holds some.
    pub fn may_be_variant(&self, node: &Value) -> bool {
        let any = |children: &[Value]| children.iter().any(|child| self.may_be_variant(child));
        match text(node, "class") {
            "COLUMN_REF" => {
                items(node, "column_names").iter().filter_map(Value::as_str).any(|part| self.contains(part))
            }
            "POSITIONAL_REFERENCE" => true,
            "STAR" => true,
            // `->` gives JSON, which compares as a VARIANT does: its numbers as numbers.
            "LAMBDA" => self.may_be_variant(&node["lhs"]) || text(&node["lhs"], "schema") == "stored",
            "COLLATE" => self.may_be_variant(&node["child"]),
            "CASE" => {
                items(node, "case_checks").iter().any(|check| self.may_be_variant(&check["then_expr"]))
                    || self.may_be_variant(&node["else_expr"])
            }
            "OPERATOR" => match text(node, "type") {
                // The subscript is none of the value.
                "ARRAY_EXTRACT" | "ARRAY_SLICE" | "STRUCT_EXTRACT" => {
                    items(node, "children").first().is_some_and(|child| self.may_be_variant(child))
                }
                "OPERATOR_COALESCE" | "OPERATOR_NULLIF" | "OPERATOR_TRY" | "OPERATOR_UNPACK" | "ARRAY_CONSTRUCTOR" => {
                    any(items(node, "children"))
                }
                _ => false,
            },
            "FUNCTION" | "WINDOW" => {
                !is_plain(&function_name(node))
                    && text(node, "schema") != "stored"
                    && (arguments(node).any(|argument| self.may_be_variant(argument)) || any(items(node, "children")))
            }
            "SUBQUERY" => {
                text(node, "subquery_type") == "SCALAR" && self.output_may_be_variant(&node["subquery"]["node"])
            }
            _ => false,
        }
    }

    /// Whether any column of a query may be a `VARIANT`.
    pub fn output_may_be_variant(&self, query: &Value) -> bool {
        if text(query, "type") == "SELECT_NODE" {
            return items(query, "select_list").iter().any(|item| match text(item, "class") {
                "STAR" => self.source_may_be_variant(&query["from_table"]) || !items(item, "replace_list").is_empty(),
                _ => self.may_be_variant(item),
            });
        }
        parts(query).any(|part| self.output_may_be_variant(part))
    }

    /// Whether any column of what FROM names may be a `VARIANT`.
    fn source_may_be_variant(&self, source: &Value) -> bool {
        match text(source, "type") {
            "EMPTY" => false,
            "EXPRESSION_LIST" => items(source, "values")
                .iter()
                .any(|row| row.as_array().is_some_and(|values| values.iter().any(|value| self.may_be_variant(value)))),
            "SUBQUERY" => self.output_may_be_variant(&source["subquery"]["node"]),
            "JOIN" => self.source_may_be_variant(&source["left"]) || self.source_may_be_variant(&source["right"]),
            "TABLE_FUNCTION" => self.table_function_may_be_variant(&source["function"]),
            _ => true,
        }
    }

    /// A macro of the store gives `VARIANT` without being given one.
    fn table_function_may_be_variant(&self, call: &Value) -> bool {
        arguments(call).any(|argument| self.may_be_variant(argument))
            || !matches!(function_name(call).as_str(), "unnest" | "range" | "generate_series")
    }

    fn add(&mut self, name: &str) {
        if !name.is_empty() {
            self.known.insert(name.to_lowercase());
        }
    }

    fn add_all(&mut self, names: &[Value]) {
        for name in names.iter().filter_map(Value::as_str) {
            self.add(name);
        }
    }

    fn collect(&mut self, node: &Value) {
        match node {
            Value::Array(children) => children.iter().for_each(|child| self.collect(child)),
            Value::Object(fields) => {
                fields.values().for_each(|child| self.collect(child));
                self.collect_here(node);
            }
            _ => {}
        }
    }

    fn collect_here(&mut self, node: &Value) {
        match text(node, "type") {
            "SELECT_NODE" => {
                for item in items(node, "select_list") {
                    if self.may_be_variant(item) {
                        self.add(&item_name(item));
                    }
                }
            }
            "SET_OPERATION_NODE" | "RECURSIVE_CTE_NODE" => self.collect_union(node),
            "SUBQUERY" if node["subquery"].is_object() && node["class"].is_null() => {
                self.collect_columns(&node["subquery"]["node"], items(node, "column_name_alias"));
            }
            "TABLE_FUNCTION" => {
                let call = &node["function"];
                if self.table_function_may_be_variant(call) {
                    self.add_all(items(node, "column_name_alias"));
                    if function_name(call) == "unnest" {
                        self.add("unnest");
                        self.add(text(node, "alias"));
                    }
                }
            }
            "BASE_TABLE" => self.add_all(items(node, "column_name_alias")),
            "EXPRESSION_LIST" => {
                for row in items(node, "values").iter().filter_map(Value::as_array) {
                    for (place, value) in row.iter().enumerate() {
                        if self.may_be_variant(value) {
                            self.add(&format!("col{place}"));
                            self.add_all(items(node, "column_name_alias"));
                            self.add_all(items(node, "expected_names"));
                        }
                    }
                }
            }
            "PIVOT" => {
                self.add_all(items(node, "unpivot_names"));
                self.add_all(items(node, "column_name_alias"));
            }
            "STAR" => {
                for replaced in items(node, "replace_list") {
                    if self.may_be_variant(&replaced["value"]) {
                        self.add(text(replaced, "key"));
                    }
                }
                for renamed in items(node, "rename_list") {
                    self.add(renamed["value"].as_str().unwrap_or_default());
                }
            }
            "FUNCTION" => self.collect_call(node),
            _ => {}
        }
        // A common table expression.
        if node["value"]["query_node"].is_object() {
            let expression = &node["value"];
            self.collect_columns(&expression["query_node"], items(expression, "aliases"));
        }
    }

    /// Names of struct fields, and of the parameters of lambdas.
    fn collect_call(&mut self, node: &Value) {
        let mut holds = false;
        for argument in items(node, "arguments") {
            let value = &argument["expression"];
            if text(value, "class") != "LAMBDA" && self.may_be_variant(value) {
                holds = true;
                self.add(text(argument, "name"));
                self.add(text(value, "alias"));
            }
        }
        for lambda in arguments(node).filter(|value| holds && text(value, "class") == "LAMBDA") {
            self.add_references(&lambda["lhs"]);
        }
    }

    fn add_references(&mut self, node: &Value) {
        self.add_all(items(node, "column_names"));
        for child in arguments(node).chain(items(node, "children")) {
            self.add_references(child);
        }
    }

    /// The columns of a query under other names: by place, or all of them where `*` hides the places.
    fn collect_columns(&mut self, query: &Value, aliases: &[Value]) {
        if aliases.is_empty() {
            return;
        }
        match places(query) {
            Some(columns) => {
                for (place, alias) in aliases.iter().filter_map(Value::as_str).enumerate() {
                    if columns.iter().any(|items| items.get(place).is_some_and(|item| self.may_be_variant(item))) {
                        self.add(alias);
                    }
                }
            }
            None if self.output_may_be_variant(query) => self.add_all(aliases),
            None => {}
        }
    }

    /// A set operation has the names of its first part and the values of all.
    fn collect_union(&mut self, node: &Value) {
        let Some(first) = parts(node).next() else { return };
        let names: Vec<String> = names_of(first);
        match places(node) {
            Some(columns) => {
                for (place, name) in names.iter().enumerate() {
                    if columns.iter().any(|items| items.get(place).is_some_and(|item| self.may_be_variant(item))) {
                        self.add(name);
                    }
                }
            }
            None if self.output_may_be_variant(node) => names.iter().for_each(|name| self.add(name)),
            None => {}
        }
    }
}

/// The name that DuckDB gives a select item.
pub fn item_name(item: &Value) -> String {
    let alias = text(item, "alias");
    if !alias.is_empty() {
        return alias.to_owned();
    }
    match text(item, "class") {
        "COLUMN_REF" => items(item, "column_names").last().and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// The parts of a set operation or a recursive expression.
pub fn parts(query: &Value) -> impl Iterator<Item = &Value> {
    items(query, "children").iter().chain([&query["left"], &query["right"]].into_iter().filter(|part| part.is_object()))
}

/// The select lists of a query's parts; `None` if one has a `*`.
fn places(query: &Value) -> Option<Vec<&[Value]>> {
    if text(query, "type") == "SELECT_NODE" {
        let list = items(query, "select_list");
        return (!list.iter().any(|item| text(item, "class") == "STAR")).then(|| vec![list]);
    }
    let mut all = Vec::new();
    for part in parts(query) {
        all.extend(places(part)?);
    }
    Some(all)
}

fn names_of(query: &Value) -> Vec<String> {
    if text(query, "type") == "SELECT_NODE" {
        return items(query, "select_list").iter().map(item_name).collect();
    }
    parts(query).next().map(names_of).unwrap_or_default()
}
