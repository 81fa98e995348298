//! Gate 3: the walk over the parsed statement.
//!
//! Everything is refused that is not known to be harmless: every node, table reference, modifier
//! and expression has a kind, and only the kinds listed here pass. A kind that a later DuckDB adds
//! is refused until somebody has looked at it. In particular nothing that changes data passes, in
//! whatever CTE or subquery it hides: DuckDB calls `WITH d AS (DELETE ... RETURNING *) SELECT` a
//! SELECT.

use serde_json::Value;

use super::calls;
use super::dialect::catalog;
use super::error::SqlError;

/// Expressions, types and table references in one statement.
const MAX_NODES: usize = 60_000;
/// Tables, subqueries and table functions: planning takes longer than linear in them.
const MAX_TABLES: usize = 100;
/// Parts of UNION, INTERSECT and EXCEPT.
const MAX_SET_OPERATIONS: usize = 200;
/// Common table expressions.
const MAX_CTES: usize = 100;
/// Values in one IN list. A list of a million ignores its interrupt for over 10 s.
const MAX_IN_LIST: usize = 10_000;
/// Parts of a dotted name. One of 10,000 parts ignores its interrupt.
const MAX_NAME_PARTS: usize = 16;
/// Bytes of a name.
const MAX_NAME: usize = 1024;
/// Rows of a reservoir sample, which is allocated whole.
const MAX_SAMPLE: f64 = 1_000_000.0;

/// Schemas that a table may be looked for in, and the name of the database, which can stand in their place.
const SCHEMAS: &[&str] = &["main", "information_schema", "pg_catalog", "memory"];
/// Views of DuckDB's that tell paths of the machine, in settings or in the definitions of our views.
const REVEALING: &[&str] = &[
    "pg_settings",
    "pg_views",
    "pg_database",
    "duckdb_views",
    "duckdb_settings",
    "duckdb_databases",
    "duckdb_logs",
    "sqlite_master",
    "sqlite_schema",
    "sqlite_temp_master",
    "sqlite_temp_schema",
];

/// Validates the serialized form of one SELECT statement.
///
/// # Errors
/// [`SqlError::Refused`] with what is not allowed and where.
pub fn validate(statement: &Value) -> Result<(), SqlError> {
    let mut walk = Walk::default();
    walk.visit(&statement["node"])
}

/// The same for one that is asked of the catalog for PostgreSQL's clients: its own tables and functions are allowed,
/// too. It has no rows of anybody's, and no paths.
///
/// # Errors
/// As [`validate`].
pub fn validate_catalog(statement: &Value) -> Result<(), SqlError> {
    let mut walk = Walk { of_catalog: true, ..Walk::default() };
    walk.visit(&statement["node"])
}

#[derive(Default)]
struct Walk {
    /// The statement is asked of the catalog.
    of_catalog: bool,
    nodes: usize,
    tables: usize,
    set_operations: usize,
    ctes: usize,
}

impl Walk {
    /// Recursion is bounded: the parser hands over no tree deeper than its own limit.
    fn visit(&mut self, value: &Value) -> Result<(), SqlError> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item)),
            Value::Object(fields) => {
                match (fields.get("class"), fields.get("type")) {
                    (Some(Value::String(class)), Some(Value::String(_))) => self.expression(class, value)?,
                    (None, Some(Value::String(kind))) => self.part(kind, value)?,
                    // A plain value, such as the size of a sample: {"type": {"id": ...}, "value": ...}.
                    (None, Some(Value::Object(_))) => return Ok(()),
                    (None, None) => {}
                    _ => return Err(SqlError::refused("the statement has a part of an unknown kind", None)),
                }
                fields.iter().try_for_each(|(key, field)| match (key.as_str(), field) {
                    // The call of a table function has been validated by the list of those; what is
                    // inside it is left.
                    ("function", Value::Object(call)) => call.values().try_for_each(|field| self.visit(field)),
                    _ => self.visit(field),
                })
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self) -> Result<(), SqlError> {
        self.nodes += 1;
        bound(self.nodes, MAX_NODES, "expressions")
    }

    fn expression(&mut self, class: &str, node: &Value) -> Result<(), SqlError> {
        self.count()?;
        let at = location(node);
        match class {
            "CONSTANT"
            | "CASE"
            | "BETWEEN"
            | "CONJUNCTION"
            | "COMPARISON"
            | "STAR"
            | "LAMBDA"
            | "LAMBDA_REF"
            | "PARAMETER"
            | "POSITIONAL_REFERENCE" => Ok(()),
            "SUBQUERY" => quantified(node, at),
            "COLUMN_REF" => column_reference(node, at),
            "OPERATOR" => operator(node, at),
            "FUNCTION" if self.is_of_catalog(node) => Ok(()),
            "FUNCTION" => calls::validate_function(node, at),
            "WINDOW" => calls::validate_window(node, at),
            // The target is in type_expr, which the walk comes to; one given otherwise is unknown.
            "CAST" if node["type_expr"]["class"] == "TYPE" => Ok(()),
            "TYPE" => calls::validate_type(node, at),
            "COLLATE" => calls::validate_collation(node, at),
            _ => Err(SqlError::refused(format!("expressions of the kind {class} are not allowed"), at)),
        }
    }

    /// Query nodes, table references, modifiers and sort directions: what has a type and no class.
    fn part(&mut self, kind: &str, node: &Value) -> Result<(), SqlError> {
        self.count()?;
        let at = location(node);
        match kind {
            "SELECT_NODE" | "RECURSIVE_CTE_NODE" | "CTE_NODE" => self.query_node(node),
            "SET_OPERATION_NODE" => {
                self.set_operations += node["children"].as_array().map_or(1, Vec::len);
                bound(self.set_operations, MAX_SET_OPERATIONS, "parts of set operations")?;
                self.query_node(node)
            }
            "ORDER_MODIFIER"
            | "LIMIT_MODIFIER"
            | "LIMIT_PERCENT_MODIFIER"
            | "DISTINCT_MODIFIER"
            | "ORDER_DEFAULT"
            | "ASCENDING"
            | "DESCENDING" => Ok(()),
            "EMPTY" | "JOIN" => sample(node, at),
            "SUBQUERY" | "EXPRESSION_LIST" => {
                self.table(at)?;
                sample(node, at)
            }
            "BASE_TABLE" => {
                self.table(at)?;
                sample(node, at)?;
                let schema = node["schema_name"].as_str().unwrap_or_default();
                if self.of_catalog && catalog::SCHEMAS.contains(&schema) {
                    return named(node["table_name"].as_str().unwrap_or_default(), at);
                }
                table_name(node, at)
            }
            "TABLE_FUNCTION" => {
                self.table(at)?;
                sample(node, at)?;
                if self.is_of_catalog(&node["function"]) {
                    return Ok(());
                }
                calls::validate_table_function(&node["function"], at)
            }
            "PIVOT" => {
                self.table(at)?;
                let pivots = node["pivots"].as_array().map_or(&[][..], Vec::as_slice);
                if pivots.iter().any(|p| !p["pivot_enum"].as_str().unwrap_or_default().is_empty()) {
                    return Err(SqlError::refused("PIVOT by an ENUM is not allowed", at));
                }
                Ok(())
            }
            "SHOW_REF" => Self::show(node, at),
            other => Err(SqlError::refused(describe_forbidden(other), at)),
        }
    }

    /// Whether a function is one that the catalog defines.
    fn is_of_catalog(&self, function: &Value) -> bool {
        let name = function["function_name"].as_str().unwrap_or_default();
        self.of_catalog && catalog::NAMES.functions.contains(name)
    }

    fn query_node(&mut self, node: &Value) -> Result<(), SqlError> {
        self.ctes += node["cte_map"]["map"].as_array().map_or(0, Vec::len);
        bound(self.ctes, MAX_CTES, "common table expressions")?;
        sample(node, location(node))
    }

    fn table(&mut self, at: Option<usize>) -> Result<(), SqlError> {
        self.tables += 1;
        if self.tables > MAX_TABLES {
            return Err(SqlError::refused(format!("more than {MAX_TABLES} tables"), at));
        }
        Ok(())
    }

    /// `DESCRIBE`, `SHOW TABLES` and `SUMMARIZE`; the walk comes to the query in them.
    /// The values that `SUMMARIZE` dies of are of types that no cast may name.
    fn show(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
        let name = node["table_name"].as_str().unwrap_or_default();
        match node["show_type"].as_str().unwrap_or_default() {
            "DESCRIBE" | "SUMMARY" => Ok(()),
            "SHOW" => named(name, at),
            "SHOW_SPECIAL" if matches!(name, "\"tables\"" | "__show_tables_expanded" | "tables") => Ok(()),
            other => Err(SqlError::refused(format!("this form of {other} is not allowed"), at)),
        }
    }
}

fn bound(count: usize, limit: usize, what: &str) -> Result<(), SqlError> {
    if count > limit { Err(SqlError::refused(format!("more than {limit} {what}"), None)) } else { Ok(()) }
}

/// The byte offset that DuckDB gives a node; 2^64 - 1 says none.
pub fn location(node: &Value) -> Option<usize> {
    node["query_location"].as_u64().filter(|at| *at != u64::MAX).and_then(|at| usize::try_from(at).ok())
}

fn column_reference(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    let parts = node["column_names"].as_array().map_or(&[][..], Vec::as_slice);
    if parts.len() > MAX_NAME_PARTS {
        return Err(SqlError::refused(format!("a name of more than {MAX_NAME_PARTS} parts"), at));
    }
    if parts.iter().any(|part| part.as_str().is_none_or(|part| part.len() > MAX_NAME)) {
        return Err(SqlError::refused(format!("a name of more than {MAX_NAME} bytes"), at));
    }
    Ok(())
}

/// `x > ANY (...)`. With a list, struct or map on the left it can end the instance (2.0.0).
fn quantified(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    let made = ["list_value", "array_value", "struct_pack", "row", "map"];
    if node["child"]["function_name"].as_str().is_some_and(|name| made.contains(&name)) {
        let equal = matches!(node["comparison_type"].as_str(), Some("COMPARE_EQUAL" | "COMPARE_NOTEQUAL"));
        if !equal {
            return Err(SqlError::refused("ANY and ALL take a plain value on their left", at));
        }
    }
    Ok(())
}

fn operator(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    match node["type"].as_str().unwrap_or_default() {
        "COMPARE_IN" | "COMPARE_NOT_IN" => {
            let values = node["children"].as_array().map_or(0, Vec::len);
            if values > MAX_IN_LIST {
                return Err(SqlError::refused(format!("more than {MAX_IN_LIST} values in one IN list"), at));
            }
            Ok(())
        }
        "OPERATOR_NOT"
        | "OPERATOR_IS_NULL"
        | "OPERATOR_IS_NOT_NULL"
        | "OPERATOR_COALESCE"
        | "OPERATOR_NULLIF"
        | "OPERATOR_TRY"
        | "OPERATOR_UNPACK"
        | "ARRAY_EXTRACT"
        | "ARRAY_SLICE"
        | "STRUCT_EXTRACT"
        | "ARRAY_CONSTRUCTOR"
        | "GROUPING_FUNCTION" => Ok(()),
        other => Err(SqlError::refused(format!("the operator {other} is not allowed"), at)),
    }
}

/// A table has a plain name. DuckDB would take `'file.parquet'`, a URL or a pattern for a file.
fn table_name(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    if !node["at_clause"].is_null() {
        return Err(SqlError::refused("AT is not allowed", at));
    }
    for key in ["catalog_name", "schema_name"] {
        let name = node[key].as_str().unwrap_or_default();
        if !name.is_empty() {
            named(name, at)?;
        }
    }
    let path = node["qualified_name"]["path"].as_array().map_or(&[][..], Vec::as_slice);
    for part in path.iter().filter_map(Value::as_str).filter(|part| !part.is_empty()) {
        named(part, at)?;
    }
    let table = node["table_name"].as_str().unwrap_or_default();
    named(table, at)?;
    let lower = table.to_ascii_lowercase();
    let schema = node["schema_name"].as_str().unwrap_or_default();
    let of_standard = lower == "views" && schema.eq_ignore_ascii_case("information_schema");
    if of_standard || REVEALING.contains(&lower.as_str()) {
        let why =
            format!("{table} tells paths of this machine: SHOW TABLES and information_schema.tables list the tables");
        return Err(SqlError::refused(why, at));
    }
    // A table that is not there is taken for the file `x.csv`, however its name is taken apart.
    if !schema.is_empty() && !SCHEMAS.iter().any(|known| schema.eq_ignore_ascii_case(known)) {
        return Err(SqlError::refused(format!("there is no schema {schema}"), at));
    }
    Ok(())
}

fn named(name: &str, at: Option<usize>) -> Result<(), SqlError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | ' ' | '-');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        return Err(SqlError::refused("a table is named by letters, digits and _, not by a path or pattern", at));
    }
    Ok(())
}

fn sample(node: &Value, at: Option<usize>) -> Result<(), SqlError> {
    let sample = &node["sample"];
    if sample.is_null() || sample["is_percentage"].as_bool() == Some(true) {
        return Ok(());
    }
    let size = &sample["sample_size"]["value"];
    if size.as_f64().is_some_and(|size| size <= MAX_SAMPLE) {
        return Ok(());
    }
    Err(SqlError::refused(format!("a sample of more than {MAX_SAMPLE} rows"), at))
}

fn describe_forbidden(kind: &str) -> String {
    match kind.strip_suffix("_QUERY_NODE") {
        Some(verb) => format!("{verb} is not allowed: statements may only read"),
        None => format!("{kind} is not allowed"),
    }
}
