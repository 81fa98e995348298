//! A condition on rows, such as `service_name = 'shop'`, for what is not asked but done to them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Parsed, Parser, same};
use crate::store::sql::error::SqlError;
use crate::store::sql::{rewrite, validate};

/// A condition that passed the gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// As DuckDB wrote it from the tree that was validated.
    pub text: String,
    /// The columns that it names, in lower case.
    pub columns: BTreeSet<String>,
}

impl Parser {
    /// Validates a condition: one expression over columns, without subqueries.
    ///
    /// # Errors
    /// As [`Parser::validate`].
    pub fn condition(&self, expression: &str) -> Result<Condition, SqlError> {
        let refused = |why: &str| Err(SqlError::refused(why, None));
        // A comment at the end of it ends with the line.
        let Parsed { mut tree, explain } = self.parse(&statement(expression))?;
        let frame = self.tree(&statement("true"))?;
        let is_condition = |tree: &Value| {
            let mut expected = frame.clone();
            expected["statements"][0]["node"]["where_clause"] = tree["statements"][0]["node"]["where_clause"].clone();
            !explain && same(&expected, tree)
        };
        if !is_condition(&tree) {
            return refused("expected one condition, such as service_name = 'shop'");
        }
        let Some(one) = tree["statements"].get_mut(0) else { return refused("there is no condition") };
        rewrite::methods::rewrite(one);
        validate::validate(one)?;
        let mut columns = BTreeSet::new();
        look(&one["node"]["where_clause"], &mut columns)?;
        if columns.is_empty() {
            return refused("the condition names no column: it would be for all rows or none");
        }
        rewrite::rewrite(one, &|expression| self.print(expression))?;
        let text = self.print(&one["node"]["where_clause"])?;
        if !self.tree(&statement(&text)).is_ok_and(|read| same(&tree["statements"], &read["statements"])) {
            return refused("the condition has a form that DuckDB cannot write down again");
        }
        Ok(Condition { text, columns })
    }
}

fn statement(expression: &str) -> String {
    format!("SELECT 1 FROM rows_of WHERE ({expression}\n)")
}

/// Finds the columns, and what a condition cannot have.
fn look(node: &Value, columns: &mut BTreeSet<String>) -> Result<(), SqlError> {
    let at = validate::location(node);
    match node["class"].as_str() {
        Some("SUBQUERY") => return Err(SqlError::refused("a condition has no subquery", at)),
        Some("WINDOW") => return Err(SqlError::refused("a condition has no window function", at)),
        Some("STAR") => return Err(SqlError::refused("name the columns: there is no * in a condition", at)),
        Some("PARAMETER" | "POSITIONAL_REFERENCE") => {
            return Err(SqlError::refused("write the value itself: there are no parameters in a condition", at));
        }
        Some("COLUMN_REF") => {
            let first = node["column_names"].get(0).and_then(Value::as_str).unwrap_or_default();
            columns.insert(first.to_ascii_lowercase());
        }
        _ => {}
    }
    match node {
        Value::Array(items) => items.iter().try_for_each(|item| look(item, columns)),
        Value::Object(fields) => fields.values().try_for_each(|field| look(field, columns)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_its_columns() {
        let parser = Parser::new().unwrap();
        for (expression, columns) in [
            ("service_name = 'shop'", &["service_name"][..]),
            ("service_name = 'shop' -- and so on", &["service_name"]),
            ("Service_Name IN ('a', 'b') AND start_time < '2026-01-01'", &["service_name", "start_time"]),
            ("attributes.\"user.id\" = '7' OR resource.\"tenant.id\" = 'x'", &["attributes", "resource"]),
            ("lower(body) LIKE '%secret%'", &["body"]),
            ("trace_id IS NOT NULL", &["trace_id"]),
        ] {
            let found = parser.condition(expression).unwrap();
            assert_eq!(found.columns.iter().map(String::as_str).collect::<Vec<_>>(), columns, "{expression}");
            assert!(!found.text.contains("rows_of"), "{}", found.text);
        }
    }

    #[test]
    fn what_is_more_than_a_condition_is_refused() {
        let parser = Parser::new().unwrap();
        for bad in [
            "",
            "true",
            "1 = 1",
            "service_name = 'a') UNION SELECT 1 FROM rows_of WHERE (true",
            "service_name = 'a') OR (true",
            "service_name = 'a') ORDER BY (1",
            "service_name = 'a'); SELECT (1",
            "trace_id IN (SELECT trace_id FROM spans)",
            "EXISTS (SELECT 1 FROM spans)",
            "row_number() OVER () = service_name",
            "service_name = $1",
            "service_name = ?",
            "COLUMNS(*) = 'a'",
            "service_name = nextval('x')",
            "read_blob(service_name) IS NULL",
        ] {
            // A condition in two parts is one all the same.
            if bad == "service_name = 'a') OR (true" {
                assert!(parser.condition(bad).is_ok());
                continue;
            }
            assert!(parser.condition(bad).is_err(), "{bad}: {:?}", parser.condition(bad));
        }
    }
}
