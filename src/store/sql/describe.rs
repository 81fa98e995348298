//! What a statement takes and gives, before it runs: clients of PostgreSQL's protocol ask for that.
//!
//! DuckDB does not tell the types that it wants parameters to have, so they are taken from what stands beside
//! them: the other side of a comparison, a cast, `LIMIT`.

use duckdb::{Connection, params_from_iter};
use serde::Serialize;
use serde_json::{Value, json};

use super::columns::Column;
use super::dialect::Dialect;
use super::error::SqlError;
use super::execute::described;
use super::parse::Parser;
use super::request::Query;
use super::rewrite::node::{arguments, function_name, literal, select_of};

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Names of the types of its parameters, in their order; nothing where none can be told.
    pub parameters: Vec<Option<String>>,
}

/// Describes `sql`, which has passed the gates for `query` in its dialect. Values of parameters are of no
/// consequence.
///
/// # Errors
/// DuckDB's, about what is wrong with the statement.
pub fn describe(
    connection: &Connection,
    parser: Option<&Parser>,
    sql: &str,
    (dialect, query): (&Dialect, &Query),
) -> Result<Description, SqlError> {
    let duckdb_error = |error: duckdb::Error| SqlError::from_duckdb(&error, sql).within(sql, &query.sql);
    let columns = described(connection, sql, query).map_err(duckdb_error)?;
    let mut parameters = vec![None; query.params.len()];
    if let (Some(parser), false) = (parser, query.params.is_empty())
        && let Ok(mut tree) = parser.tree(&query.sql)
    {
        // As it was before the gates: what stands beside a parameter there may be a number made of a time. It has
        // passed them as a whole.
        dialect.rewrite(&mut tree["statements"][0]);
        let described = Beside { connection, parser };
        described.walk(&tree, None, &mut parameters);
    }
    Ok(Description { columns, parameters })
}

struct Beside<'a> {
    connection: &'a Connection,
    parser: &'a Parser,
}

impl Beside<'_> {
    /// Finds parameters; `from` is what the names around them are columns of.
    fn walk(&self, node: &Value, from: Option<&Value>, found: &mut [Option<String>]) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, from, found)),
            Value::Object(fields) => {
                let from = fields.get("from_table").or(from);
                let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
                match (field("class").as_str(), field("type").as_str()) {
                    (Some("COMPARISON"), _) => self.pair(field("left"), field("right"), from, found),
                    (Some("BETWEEN"), _) => {
                        for bound in ["lower", "upper"] {
                            self.pair(field("input"), field(bound), from, found);
                        }
                    }
                    (Some("OPERATOR"), Some("COMPARE_IN" | "COMPARE_NOT_IN")) => {
                        if let Some([first, rest @ ..]) = field("children").as_array().map(Vec::as_slice) {
                            rest.iter().for_each(|other| self.pair(first, other, from, found));
                        }
                    }
                    (Some("SUBQUERY"), _) if field("subquery_type") == "ANY" => {
                        let unnest = field("subquery").pointer("/node/select_list/0").unwrap_or(&Value::Null);
                        if let ("unnest", Some(argument)) = (function_name(unnest).as_str(), arguments(unnest).next())
                            && let Some(number) = number(argument)
                        {
                            let item = self.beside(field("child"), from, found.len());
                            put(found, number, Some(format!("{}[]", item.unwrap_or_else(|| "VARCHAR".to_owned()))));
                        }
                    }
                    (Some("CAST"), _) => {
                        if let Some(number) = number(field("child")) {
                            let mut alone = node.clone();
                            alone["child"] = literal("NULL_LITERAL", "");
                            let alone = select_of(alone);
                            put(found, number, self.type_of(alone, found.len()));
                        }
                    }
                    (None, Some("LIMIT_MODIFIER")) => {
                        for name in ["limit", "offset"] {
                            if let Some(number) = number(field(name)) {
                                put(found, number, Some("BIGINT".to_owned()));
                            }
                        }
                    }
                    _ => {}
                }
                fields.values().for_each(|field| self.walk(field, from, found));
            }
            _ => {}
        }
    }

    /// If one of two that are compared is a parameter, it is of the type of the other.
    fn pair(&self, one: &Value, other: &Value, from: Option<&Value>, found: &mut [Option<String>]) {
        for (parameter, beside) in [(one, other), (other, one)] {
            if let Some(number) = number(parameter)
                && self::number(beside).is_none()
                && found.get(number).is_some_and(Option::is_none)
            {
                put(found, number, self.beside(beside, from, found.len()));
            }
        }
    }

    /// The type of what stands beside a parameter.
    fn beside(&self, expression: &Value, from: Option<&Value>, parameters: usize) -> Option<String> {
        let mut alone = select_of(expression.clone());
        if let Some(from) = from {
            alone["from_table"] = from.clone();
        }
        self.type_of(alone, parameters)
    }

    /// The type of the one column of a query.
    fn type_of(&self, select: Value, parameters: usize) -> Option<String> {
        let statement = json!({"node": select, "named_param_map": []});
        let sql = self.parser.text(&json!({"error": false, "statements": [statement]})).ok()?;
        let mut describe = self.connection.prepare(&format!("DESCRIBE {sql}")).ok()?;
        let nothing = vec![duckdb::types::Value::Null; describe.parameter_count().min(parameters)];
        let mut rows = describe.query(params_from_iter(nothing.iter())).ok()?;
        rows.next().ok()??.get(1).ok()
    }
}

/// The place of a parameter, from 0.
fn number(node: &Value) -> Option<usize> {
    (node["class"] == "PARAMETER").then(|| node["identifier"].as_str()?.parse::<usize>().ok()?.checked_sub(1))?
}

fn put(found: &mut [Option<String>], number: usize, type_name: Option<String>) {
    if let Some(place) = found.get_mut(number)
        && place.is_none()
    {
        *place = type_name.filter(|name| name != "\"NULL\"");
    }
}
