//! `PREPARE` and `EXECUTE` as statements. Values stand in the place of the parameters as they are written, and the
//! whole passes the gates as any other statement.

use super::Command;
use crate::store::front::postgres::error::{PgError, code};
use crate::store::front::postgres::lexer::{Kind, Lexer, Token};

/// `PREPARE name (types) AS statement`, without its first word. Types become casts of the parameters.
pub(super) fn prepare(rest: &[Token<'_>], statement: &str) -> Result<Command, PgError> {
    let wrong = || PgError::new(code::SYNTAX, "PREPARE takes a name, types in brackets if wanted, AS, and a query");
    let word = rest.iter().position(|token| token.is("as")).filter(|at| *at > 0).ok_or_else(wrong)?;
    let query = rest.get(word + 1).map(|first| &statement[first.at..]).ok_or_else(wrong)?;
    if super::parse(query)? != Command::Query {
        return Err(PgError::new(code::SYNTAX, "PREPARE takes a query"));
    }
    let types = if word == 1 { Vec::new() } else { list(&rest[1..word], statement).ok_or_else(wrong)? };
    let cast = |n: usize| types.get(n).map(|name| format!("CAST(${} AS {name})", n + 1));
    Ok(Command::Prepare(rest[0].value(), replaced(query, cast, usize::MAX)?))
}

/// `EXECUTE name (values)`, without its first word.
pub(super) fn execute(rest: &[Token<'_>], statement: &str) -> Result<Command, PgError> {
    let wrong = || PgError::new(code::SYNTAX, "EXECUTE takes the name of a prepared statement, and values in brackets");
    let (name, values) = rest.split_first().ok_or_else(wrong)?;
    let values = if values.is_empty() { Vec::new() } else { list(values, statement).ok_or_else(wrong)? };
    Ok(Command::Execute(name.value(), values))
}

/// A prepared statement with these values, of `limit` bytes at most.
///
/// # Errors
/// If there are not as many as it has parameters, or it becomes too long.
pub fn executed(name: &str, sql: &str, parameters: usize, values: &[String], limit: usize) -> Result<String, PgError> {
    if values.len() != parameters {
        let message = format!(
            "wrong number of parameters for prepared statement \"{name}\": expected {parameters} but got {}",
            values.len()
        );
        return Err(PgError::new(code::SYNTAX, message));
    }
    replaced(sql, |n| values.get(n).map(|value| format!("({value})")), limit)
}

/// What stands in brackets, between commas.
fn list(tokens: &[Token<'_>], statement: &str) -> Option<Vec<String>> {
    let (open, close) = (tokens.first()?, tokens.last()?);
    if !open.is_symbol("(") || !close.is_symbol(")") || tokens.len() < 3 {
        return None;
    }
    let (mut parts, mut start, mut depth) = (Vec::new(), open.at + 1, 0_usize);
    for token in &tokens[1..] {
        match token.text {
            "(" | "[" if token.kind == Kind::Symbol => depth += 1,
            ")" | "]" if token.kind == Kind::Symbol && depth > 0 => depth -= 1,
            "," | ")" if token.kind == Kind::Symbol && depth == 0 => {
                parts.push(statement[start..token.at].trim().to_owned());
                start = token.at + 1;
            }
            _ => {}
        }
    }
    (depth == 0 && start == close.at + 1 && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

/// The text with something in the place of its parameters: `of` has it by their number, from 0.
fn replaced(sql: &str, of: impl Fn(usize) -> Option<String>, limit: usize) -> Result<String, PgError> {
    let (mut text, mut copied, mut sign) = (String::new(), 0, None);
    for token in Lexer::new(sql) {
        let number = token.text.parse::<usize>().ok().filter(|number| sign == Some(token.at) && *number > 0);
        if let Some(value) = number.and_then(|number| of(number - 1)) {
            text.push_str(&sql[copied..token.at - 1]);
            text.push_str(&value);
            copied = token.at + token.text.len();
            if text.len() > limit {
                return Err(PgError::new(
                    code::LIMIT,
                    format!("the statement is longer than {limit} bytes with its values"),
                ));
            }
        }
        sign = token.is_symbol("$").then_some(token.at + 1);
    }
    text.push_str(&sql[copied..]);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn statements_are_prepared_and_executed() {
        for (statement, name, sql) in [
            ("PREPARE p AS SELECT $1", "p", "SELECT $1"),
            (
                "prepare \"P\" (int, numeric(9, 2)) as SELECT $2 + $1, '$1'",
                "P",
                "SELECT CAST($2 AS numeric(9, 2)) + CAST($1 AS int), '$1'",
            ),
        ] {
            assert_eq!(parse(statement), Ok(Command::Prepare(name.into(), sql.into())), "{statement}");
        }
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        for (statement, given) in [
            ("EXECUTE p", values(&[])),
            ("EXECUTE p('a,)', f(1, 2), ARRAY[1, 2])", values(&["'a,)'", "f(1, 2)", "ARRAY[1, 2]"])),
        ] {
            assert_eq!(parse(statement), Ok(Command::Execute("p".into(), given)), "{statement}");
        }
        for bad in [
            "PREPARE",
            "PREPARE p",
            "PREPARE p AS",
            "PREPARE AS SELECT 1",
            "PREPARE p x AS SELECT 1",
            "PREPARE p AS COMMIT",
            "PREPARE p AS EXECUTE p",
            "EXECUTE",
            "EXECUTE p 1",
            "EXECUTE p(",
            "EXECUTE p()",
            "EXECUTE p(1,)",
            "EXECUTE p(1) 2",
            "EXECUTE p(1)(2)",
        ] {
            assert_eq!(parse(bad).map_err(|error| error.code), Err("42601"), "{bad}");
        }
    }

    #[test]
    fn values_stand_in_the_place_of_parameters() {
        let given = ["1".to_owned(), "'$1'".to_owned()];
        assert_eq!(
            executed("p", "SELECT $2, $1+$10, '$1' -- $1", 2, &given, 99),
            Ok("SELECT ('$1'), (1)+$10, '$1' -- $1".into())
        );
        assert_eq!(executed("p", "SELECT $1", 1, &given, 99).map_err(|error| error.code), Err("42601"));
        let long = ["x".repeat(1000)];
        let sql = format!("SELECT {}", "$1,".repeat(1000));
        assert_eq!(executed("p", &sql, 1, &long, 10_000).map_err(|error| error.code), Err("54000"));
    }
}
