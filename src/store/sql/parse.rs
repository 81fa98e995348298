//! Gate 2: DuckDB parses the statement, and nothing more. Between the gates and DuckDB it is a tree:
//! what runs is the text that DuckDB makes of the tree that was validated and rewritten, so that no second
//! reading of the user's text can find something else in it.
//!
//! `json_serialize_sql` gives the tree without binding or preparing anything. It runs on an
//! instance of its own that holds no data and may reach no file, so that whatever a hostile text
//! does to the parser, it does it to nothing of value.

use duckdb::Connection;
use duckdb::types::Value as Bound;
use parking_lot::Mutex;
use serde_json::Value;

use self::nesting::nesting;
use self::parameters::substitute;
use self::same::same;
use super::dialect::{Asked, Dialect};
use super::error::SqlError;
use super::rewrite::{self, node::select_of};
use super::{text, validate};
use crate::store::instance;

pub mod condition;
mod nesting;
mod parameters;
mod same;

/// How deep the JSON of a tree may nest. DuckDB's own limit on expressions comes first, but joins
/// nest without one.
const MAX_TREE_DEPTH: usize = 1500;

/// Expressions within expressions, as DuckDB counts them.
const MAX_EXPRESSION_DEPTH: usize = 250;

/// A statement as DuckDB reads it.
struct Parsed {
    /// The answer of `json_serialize_sql`.
    tree: Value,
    /// Whether `EXPLAIN` stood before it.
    explain: bool,
}

/// The parser, and with it the whole validation of a statement.
pub struct Parser {
    connection: Mutex<Connection>,
}

impl Parser {
    /// Opens the instance that parses.
    ///
    /// # Errors
    /// DuckDB's, when it cannot open an empty database in memory.
    pub fn new() -> Result<Self, duckdb::Error> {
        Ok(Parser { connection: Mutex::new(open()?) })
    }

    /// Validates a text: exactly one statement, that only reads, and calls nothing that is not on the
    /// lists. Returns the text that is to be run for it.
    ///
    /// # Errors
    /// [`SqlError::Refused`] or, where DuckDB cannot parse it, [`SqlError::Failed`] with its message.
    pub fn validate(&self, statement: &str) -> Result<String, SqlError> {
        self.validate_in(&Dialect::Duckdb, statement).map(|(text, _)| text)
    }

    /// The same for a text in a dialect; and what it is to be asked of.
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn validate_in(&self, dialect: &Dialect, statement: &str) -> Result<(String, Asked), SqlError> {
        let Parsed { mut tree, explain } = self.parse(statement)?;
        let asked = match tree["statements"].as_array_mut().map(Vec::as_mut_slice) {
            Some([one]) => {
                let asked = dialect.rewrite(one);
                rewrite::methods::rewrite(one);
                match asked {
                    Asked::Data => {
                        validate::validate(one)?;
                        rewrite::rewrite(one, &|expression| self.print(expression))?;
                    }
                    Asked::Catalog => validate::validate_catalog(one)?,
                }
                asked
            }
            Some([]) | None => return Err(SqlError::refused("there is no statement", None)),
            Some(many) => {
                let why = format!("{} statements, only one is allowed", many.len());
                return Err(SqlError::refused(why, None));
            }
        };
        let text = self.deserialize(&tree)?;
        // DuckDB's printer is not trusted either: what it wrote reads as the tree that it was given.
        if !self.tree(&text).is_ok_and(|read| same(&tree["statements"], &read["statements"])) {
            return Err(SqlError::refused("the statement has a form that DuckDB cannot write down again", None));
        }
        Ok((if explain { format!("EXPLAIN {text}") } else { text }, asked))
    }

    /// A statement's text with these values in the place of its parameters.
    ///
    /// # Errors
    /// If it has a parameter for which there is no value, or cannot be written down so.
    pub fn with_parameters(&self, statement: &str, params: &[Bound]) -> Result<String, SqlError> {
        let mut tree = self.tree(statement)?;
        let missing = || SqlError::refused("a parameter has no value", None);
        substitute(&mut tree, params).ok_or_else(missing)?;
        for statement in tree["statements"].as_array_mut().into_iter().flatten() {
            statement["named_param_map"] = Value::Array(Vec::new());
        }
        self.deserialize(&tree)
    }

    /// The tree of a query, or of the query behind `EXPLAIN`, which DuckDB does not serialize. Where the
    /// text is no query as it is, but one with a word `explain` blanked out, it is the explanation of that
    /// query. Only DuckDB reads the text, and places in it stay where they are.
    fn parse(&self, statement: &str) -> Result<Parsed, SqlError> {
        let refusal = match self.tree(statement) {
            Ok(tree) => return Ok(Parsed { tree, explain: false }),
            Err(refusal @ SqlError::Refused { .. }) => refusal,
            Err(error) => return Err(error),
        };
        let mut mistake = None;
        for blanked in text::without_explain(statement) {
            match self.tree(&blanked) {
                Ok(tree) => return Ok(Parsed { tree, explain: true }),
                // What is wrong with the query, not that it is none.
                Err(error @ SqlError::Failed { .. }) if !text::has_options(&blanked) => {
                    mistake = mistake.or(Some(error))
                }
                Err(_) => {}
            }
        }
        Err(mistake.unwrap_or(refusal))
    }

    /// The tree of a text, as `json_serialize_sql` gives it.
    pub(super) fn tree(&self, statement: &str) -> Result<Value, SqlError> {
        let json = self.serialize(statement)?;
        if nesting(&json) > MAX_TREE_DEPTH {
            return Err(SqlError::refused("the statement is nested too deeply", None));
        }
        let mut reader = serde_json::Deserializer::from_str(&json);
        reader.disable_recursion_limit();
        let tree: Value = serde::Deserialize::deserialize(&mut reader)
            .map_err(|e| SqlError::refused(format!("the statement's tree cannot be read: {e}"), None))?;
        if tree["error"] != Value::Bool(false) {
            return Err(parse_error(&tree, statement));
        }
        Ok(tree)
    }

    /// The text of an expression.
    fn print(&self, expression: &Value) -> Result<String, SqlError> {
        let statement = serde_json::json!({"node": select_of(expression.clone()), "named_param_map": []});
        let text = self.deserialize(&serde_json::json!({"error": false, "statements": [statement]}))?;
        Ok(text.strip_prefix("SELECT ").unwrap_or(&text).to_owned())
    }

    /// The text of a tree.
    ///
    /// # Errors
    /// If DuckDB cannot write it down.
    pub(super) fn text(&self, tree: &Value) -> Result<String, SqlError> {
        self.deserialize(tree)
    }

    fn deserialize(&self, tree: &Value) -> Result<String, SqlError> {
        self.ask("SELECT json_deserialize_sql(?::VARCHAR::JSON)", &tree.to_string(), "")
    }

    fn serialize(&self, statement: &str) -> Result<String, SqlError> {
        self.ask("SELECT json_serialize_sql(?::VARCHAR)", statement, statement)
    }

    fn ask(&self, question: &str, argument: &str, statement: &str) -> Result<String, SqlError> {
        let mut connection = self.connection.lock();
        // Prepared once: that is most of the work. It holds as long as a parameter has the type that it had then, so that
        // is written in the questions.
        let prepared = connection.prepare_cached(question);
        let result = prepared.and_then(|mut question| question.query_row([argument], |row| row.get(0)));
        result.map_err(|e| {
            let error = SqlError::from_duckdb(&e, statement);
            if matches!(error, SqlError::Fatal(_) | SqlError::Memory(_)) {
                // The instance is spoilt; the next statement gets a new one.
                if let Ok(fresh) = open() {
                    *connection = fresh;
                }
                return SqlError::refused("the statement cannot be parsed", None);
            }
            error
        })
    }
}

fn open() -> Result<Connection, duckdb::Error> {
    let connection = instance::open_without_data()?;
    // Of the questions that it is asked no plan is better than another.
    connection.execute_batch(&format!(
        "SET max_expression_depth = {MAX_EXPRESSION_DEPTH}; SET enable_optimizer = false; SET lock_configuration = true"
    ))?;
    Ok(connection)
}

fn parse_error(tree: &Value, statement: &str) -> SqlError {
    let message = tree["error_message"].as_str().unwrap_or("the statement cannot be parsed");
    if tree["error_type"] == "not implemented" {
        // DuckDB makes three statements of it, one of which creates a type; it has no tree to look at.
        if text::has_word(statement, "pivot") {
            let why = "PIVOT takes the values from the statement here: write PIVOT ... ON column IN ('a', 'b') USING ...; \
                       SELECT DISTINCT column FROM ... tells which there are";
            return SqlError::refused(why, None);
        }
        return SqlError::refused(
            "only a query is allowed: SELECT, WITH, FROM, VALUES, PIVOT with IN, DESCRIBE, SHOW TABLES, SUMMARIZE, or EXPLAIN \
             without options before one",
            None,
        );
    }
    let position = match &tree["position"] {
        Value::String(text) => text.parse().ok(),
        Value::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()),
        _ => None,
    };
    SqlError::Failed { message: format!("Parser Error: {message}"), position }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(statement: &str) -> Result<(), SqlError> {
        Parser::new().unwrap().validate(statement).map(drop)
    }

    #[test]
    fn one_query_passes_and_anything_else_does_not() {
        for good in ["SELECT 1", "select 1;", "EXPLAIN SELECT 1", "FROM range(3)", "DESCRIBE spans", "SHOW TABLES"] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        for bad in ["SELECT 1; SELECT 2", "", ";", "DELETE FROM spans", "EXPLAIN DELETE FROM spans", "CALL range(3)"] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_syntax_error_says_where() {
        assert!(matches!(validate("SELECT 1 +"), Err(SqlError::Failed { position: Some(_), .. })));
        let Err(SqlError::Failed { position, message }) = validate("EXPLAIN SELECT 1 frm x") else { panic!() };
        assert!(message.contains("syntax error"), "{message}");
        assert_eq!(position, Some(21), "{message}");
        let Err(SqlError::Refused { position, .. }) = validate("EXPLAIN SELECT nextval('s')") else { panic!() };
        for options in ["EXPLAIN ANALYZE SELECT 1", "explain (format json, analyze) SELECT 1"] {
            let Err(SqlError::Refused { message, .. }) = validate(options) else { panic!("{options}") };
            assert!(message.contains("EXPLAIN without options"), "{options}: {message}");
        }
        assert_eq!(position, Some(15));
    }

    #[test]
    fn what_runs_is_written_by_duckdb_and_reads_as_what_was_validated() {
        let parser = Parser::new().unwrap();
        for (statement, runs) in [
            ("VALUES (1)", "SELECT * FROM (VALUES (1)) AS valueslist"),
            ("EXPLAIN\r(SELECT 1)", "EXPLAIN SELECT 1"),
            ("/* explain */ explain SELECT 'explain'", "EXPLAIN SELECT 'explain'"),
            ("SELECT x.upper() AS y", "SELECT upper(x) AS y"),
        ] {
            assert_eq!(parser.validate(statement).as_deref(), Ok(runs), "{statement}");
        }
        let tree = |statement| parser.tree(statement).unwrap();
        assert!(same(&tree("SELECT 1  + 2"), &tree("SELECT (1 + 2)")));
        assert!(!same(&tree("SELECT 1"), &tree("SELECT 2")));
        assert!(!same(&tree("VALUES (1)"), &tree("SELECT * FROM (VALUES (2)) AS valueslist")));
        assert!(!same(&tree("VALUES (1)"), &tree("SELECT 1 FROM (VALUES (1)) AS valueslist")));
        assert!(!same(&tree("SELECT a AS b"), &tree("SELECT a AS c")));
    }

    #[test]
    fn values_stand_in_the_place_of_parameters() {
        let parser = Parser::new().unwrap();
        let with = |sql: &str, params: &[Bound]| parser.with_parameters(sql, params);
        let text = |text: &str| Bound::Text(text.to_owned());
        assert_eq!(with("SELECT ? + $1, ?", &[Bound::BigInt(-3), text("it's")]).unwrap(), "SELECT (-3 + -3), 'it''s'");
        assert_eq!(with("SELECT $1, $2", &[Bound::Double(1.5e300), Bound::Null]).unwrap(), "SELECT 1.5e300, NULL");
        assert!(with("SELECT $2", &[Bound::Null]).is_err() && with("SELECT $a", &[Bound::Null]).is_err());
    }

    #[test]
    fn long_chains_are_refused_and_hurt_nothing() {
        let parser = Parser::new().unwrap();
        for chain in [
            format!("SELECT 1{}", "+1".repeat(100_000)),
            format!("SELECT {}true", "NOT ".repeat(50_000)),
            format!("SELECT 1{}", "::INT".repeat(30_000)),
            format!("SELECT a{}", ".b".repeat(100_000)),
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(10_000)),
            format!("SELECT 1 FROM a{}", " CROSS JOIN a".repeat(10_000)),
            format!("SELECT 1 FROM a{}", ",a".repeat(19_000)),
            format!("SELECT 1 IN (1{})", ",1".repeat(19_000)),
            format!("SELECT a{}", "[1]".repeat(50_000)),
            format!("SELECT {}1{}", "CASE WHEN a THEN 1 ELSE ".repeat(5000), " END".repeat(5000)),
        ] {
            assert!(parser.validate(&chain).is_err(), "{}...", &chain[..40]);
        }
        assert_eq!(parser.validate("SELECT 1"), Ok("SELECT 1".to_owned()));
    }
}
