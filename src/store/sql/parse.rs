//! Gate 2: DuckDB parses the statement, and nothing more. Between the gates and DuckDB it is a tree:
//! what runs is the text that DuckDB makes of the tree that was validated and rewritten, so that no second
//! reading of the user's text can find something else in it.
//!
//! `json_serialize_sql` gives the tree without binding or preparing anything. It runs on an
//! instance of its own that holds no data and may reach no file, so that whatever a hostile text
//! does to the parser, it does it to nothing of value.

use duckdb::{Config, Connection};
use parking_lot::Mutex;
use serde_json::Value;

use super::error::SqlError;
use super::rewrite::{self, node::select_of};
use super::{text, validate};

/// How deep the JSON of a tree may nest. DuckDB's own limit on expressions comes first, but joins
/// nest without one.
const MAX_TREE_DEPTH: usize = 1500;

/// Expressions within expressions, as DuckDB counts them.
const MAX_EXPRESSION_DEPTH: usize = 250;

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
        let explained = text::strip_explain(statement)?;
        let text = self.validate_query(explained.inner).map_err(|e| e.shifted(explained.offset))?;
        Ok(if explained.explain { format!("EXPLAIN {text}") } else { text })
    }

    fn validate_query(&self, statement: &str) -> Result<String, SqlError> {
        let mut tree = self.tree(statement)?;
        match tree["statements"].as_array_mut().map(Vec::as_mut_slice) {
            Some([one]) => {
                validate::validate(one)?;
                rewrite::attributes::rewrite(one, &|expression| self.print(expression))?;
            }
            Some([]) | None => return Err(SqlError::refused("there is no statement", None)),
            Some(many) => {
                let why = format!("{} statements, only one is allowed", many.len());
                return Err(SqlError::refused(why, None));
            }
        }
        self.deserialize(&tree)
    }

    fn tree(&self, statement: &str) -> Result<Value, SqlError> {
        let json = self.serialize(statement)?;
        if nesting(&json) > MAX_TREE_DEPTH {
            return Err(SqlError::refused("the statement is nested too deeply", None));
        }
        let mut reader = serde_json::Deserializer::from_str(&json);
        reader.disable_recursion_limit();
        let tree: Value = serde::Deserialize::deserialize(&mut reader)
            .map_err(|e| SqlError::refused(format!("the statement's tree cannot be read: {e}"), None))?;
        if tree["error"] != Value::Bool(false) {
            return Err(parse_error(&tree));
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
    fn deserialize(&self, tree: &Value) -> Result<String, SqlError> {
        self.ask("SELECT json_deserialize_sql(?::JSON)", &tree.to_string(), "")
    }

    fn serialize(&self, statement: &str) -> Result<String, SqlError> {
        self.ask("SELECT json_serialize_sql(?)", statement, statement)
    }

    fn ask(&self, question: &str, argument: &str, statement: &str) -> Result<String, SqlError> {
        let mut connection = self.connection.lock();
        let result = connection.query_row(question, [argument], |row| row.get(0));
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
    let config = Config::default()
        .threads(1)?
        .max_memory("256MB")?
        .enable_external_access(false)?
        .with("autoload_known_extensions", "false")?
        .with("autoinstall_known_extensions", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    connection
        .execute_batch(&format!("SET max_expression_depth = {MAX_EXPRESSION_DEPTH}; SET lock_configuration = true"))?;
    Ok(connection)
}

/// The deepest nesting of a JSON text.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn parse_error(tree: &Value) -> SqlError {
    let message = tree["error_message"].as_str().unwrap_or("the statement cannot be parsed");
    if tree["error_type"] == "not implemented" {
        return SqlError::refused(
            "only a query is allowed: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW TABLES, SUMMARIZE table, EXPLAIN query \
             (PIVOT needs IN with the values)",
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
        assert_eq!(position, Some(15));
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        assert_eq!(nesting(r#"{"a":[1,"[[[\"[["],"b":{}}"#), 2);
        assert_eq!(nesting("1"), 0);
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
