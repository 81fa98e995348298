//! What clients send that is no query. The data is not changed by any of it.

use super::error::{PgError, code};
use super::lexer::{Kind, Lexer, Token};

pub mod copy;
mod prepared;

pub use copy::CopyOut;
pub use prepared::executed;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// For a reader.
    Query,
    /// Nothing.
    Empty,
    /// `SET name = value`; no value for `DEFAULT`.
    Set(String, Option<String>),
    /// `RESET name`; no name for `ALL`.
    Reset(Option<String>),
    /// `SHOW name`; no name for `ALL`.
    Show(Option<String>),
    /// A transaction begins.
    Begin(&'static str),
    /// It ends well.
    Commit,
    /// It is taken back.
    Rollback,
    /// What has no consequence here, with its tag.
    Nothing(&'static str),
    /// `ROLLBACK TO`: the transaction goes on.
    RollbackTo,
    /// `DISCARD ALL`, `PLANS` and so on.
    Discard(&'static str),
    /// `DEALLOCATE name`; no name for `ALL`.
    Deallocate(Option<String>),
    /// `PREPARE name AS statement`.
    Prepare(String, String),
    /// `EXECUTE name(values)`, each as it is written.
    Execute(String, Vec<String>),
    /// `COPY ... TO STDOUT`.
    Copy(CopyOut),
    /// `DECLARE name CURSOR FOR query`.
    Declare(String, String),
    /// `FETCH count FROM name`; no count for `ALL`. The word says whether rows are wanted (`MOVE`).
    Fetch(String, Option<usize>),
    /// `CLOSE name`; no name for `ALL`.
    Close(Option<String>),
}

/// What a statement is.
///
/// # Errors
/// If it is a command that cannot be understood, or has no meaning here.
pub fn parse(statement: &str) -> Result<Command, PgError> {
    let words: Vec<Token<'_>> = Lexer::new(statement).collect();
    let Some(first) = words.first().filter(|first| first.kind == Kind::Word) else {
        return Ok(if words.is_empty() { Command::Empty } else { Command::Query });
    };
    let rest = &words[1..];
    let second = |word: &str| rest.first().is_some_and(|token| token.is(word));
    Ok(match first.text.to_ascii_lowercase().as_str() {
        "set" => return set(rest, statement),
        "reset" => Command::Reset(named_or_all(rest).map(|name| setting_name(&name))),
        "show" => return Ok(show(rest)),
        "begin" => Command::Begin("BEGIN"),
        "start" if second("transaction") => Command::Begin("START TRANSACTION"),
        "commit" | "end" => Command::Commit,
        "rollback" | "abort" if rest.iter().any(|token| token.is("to")) => Command::RollbackTo,
        "rollback" | "abort" => Command::Rollback,
        "savepoint" => Command::Nothing("SAVEPOINT"),
        "release" => Command::Nothing("RELEASE"),
        "listen" => Command::Nothing("LISTEN"),
        "unlisten" => Command::Nothing("UNLISTEN"),
        "discard" => Command::Discard(match rest.first() {
            Some(token) if token.is("plans") => "DISCARD PLANS",
            Some(token) if token.is("sequences") => "DISCARD SEQUENCES",
            Some(token) if token.is("temp") || token.is("temporary") => "DISCARD TEMP",
            _ => "DISCARD ALL",
        }),
        "deallocate" => {
            let rest = if second("prepare") { &rest[1..] } else { rest };
            Command::Deallocate(named_or_all(rest))
        }
        "prepare" => return prepared::prepare(rest, statement),
        "execute" => return prepared::execute(rest, statement),
        "copy" => return copy::copy(rest, statement).map(Command::Copy),
        "declare" => return declare(rest, statement),
        "fetch" => return fetch(rest),
        "close" => Command::Close(named_or_all(rest)),
        _ => Command::Query,
    })
}

/// The word `ALL`, or a name.
fn named_or_all(words: &[Token<'_>]) -> Option<String> {
    if words.first().is_some_and(|token| token.is("all")) {
        return None;
    }
    Some(words.iter().map(Token::value).collect::<Vec<_>>().join(""))
}

fn setting_name(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "timezone" => "timezone".to_owned(),
        "sessionauthorization" => "session_authorization".to_owned(),
        "transactionisolationlevel" => "transaction_isolation".to_owned(),
        other => other.to_owned(),
    }
}

fn set(mut rest: &[Token<'_>], statement: &str) -> Result<Command, PgError> {
    if rest.first().is_some_and(|token| token.is("session") || token.is("local"))
        && !rest.get(1).is_some_and(|token| token.is("authorization"))
    {
        rest = &rest[1..];
    }
    let is = |n: usize, word: &str| rest.get(n).is_some_and(|token| token.is(word));
    if is(0, "transaction") || is(0, "characteristics") {
        return Ok(Command::Nothing("SET"));
    }
    let (name, value) = if is(0, "time") && is(1, "zone") {
        ("timezone".to_owned(), &rest[2..])
    } else if is(0, "names") {
        ("client_encoding".to_owned(), &rest[1..])
    } else if (is(0, "session") && is(1, "authorization")) || is(0, "role") {
        return Ok(Command::Nothing("SET"));
    } else {
        let sign = rest.iter().position(|token| token.is_symbol("=") || token.is("to"));
        let Some(sign) = sign.filter(|sign| *sign > 0) else {
            let mut error = PgError::new(code::SYNTAX, "SET takes a name, = or TO, and a value");
            error.position = Some(statement.chars().count() + 1);
            return Err(error);
        };
        let name: String = rest[..sign].iter().map(Token::value).collect();
        (setting_name(&name), &rest[sign + 1..])
    };
    if value.len() == 1 && (value[0].is("default") || value[0].is("local")) {
        return Ok(Command::Set(name, None));
    }
    if value.is_empty() {
        return Err(PgError::new(code::SYNTAX, format!("SET {name} has no value")));
    }
    // A list keeps its commas; a number its sign and point.
    let mut text = String::new();
    for token in value {
        if token.is_symbol(",") {
            text.push_str(", ");
        } else {
            let value = if token.kind == Kind::Word { token.text.to_owned() } else { token.value() };
            text.push_str(&value);
        }
    }
    Ok(Command::Set(name, Some(text)))
}

/// `SHOW TABLES` and the like are DuckDB's.
fn show(rest: &[Token<'_>]) -> Command {
    let is = |n: usize, word: &str| rest.get(n).is_some_and(|token| token.is(word));
    match rest {
        [one] if one.is("all") => Command::Show(None),
        [one] if one.is("tables") || one.is("databases") || one.is("schemas") || one.is("variables") => Command::Query,
        [all, ..] if all.is("all") => Command::Query,
        [tables, from, ..] if tables.is("tables") && from.is("from") => Command::Query,
        _ if is(0, "time") && is(1, "zone") => Command::Show(Some("timezone".to_owned())),
        [] => Command::Query,
        _ => Command::Show(Some(setting_name(&rest.iter().map(Token::value).collect::<String>()))),
    }
}

fn declare(rest: &[Token<'_>], statement: &str) -> Result<Command, PgError> {
    let name = rest.first().map(Token::value).unwrap_or_default();
    let Some(query) = rest.iter().skip(1).position(|token| token.is("for")).and_then(|n| rest.get(n + 2)) else {
        return Err(PgError::new(code::SYNTAX, "DECLARE takes a name, CURSOR FOR, and a query"));
    };
    Ok(Command::Declare(name, statement[query.at..].to_owned()))
}

fn fetch(rest: &[Token<'_>]) -> Result<Command, PgError> {
    let Some(last) = rest.last() else { return Err(PgError::new(code::SYNTAX, "FETCH takes the name of a cursor")) };
    let backward = ["backward", "prior", "first", "last", "absolute", "relative"];
    if rest[..rest.len() - 1].iter().any(|token| backward.iter().any(|word| token.is(word))) {
        return Err(PgError::new("55000", "cursors only go forward here"));
    }
    let number = rest.iter().find_map(|token| token.text.parse::<usize>().ok());
    let all = rest[..rest.len() - 1].iter().any(|token| token.is("all"));
    let count = if all { None } else { Some(number.unwrap_or(1)) };
    Ok(Command::Fetch(last.value(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_queries() {
        let some = |text: &str| Some(text.to_owned());
        for (statement, command) in [
            ("SELECT 1", Command::Query),
            ("(SELECT 1)", Command::Query),
            ("-- ping", Command::Empty),
            ("SET extra_float_digits = 3", Command::Set("extra_float_digits".into(), some("3"))),
            ("set session DateStyle to 'ISO', MDY", Command::Set("datestyle".into(), some("ISO, MDY"))),
            ("SET TIME ZONE 'UTC'", Command::Set("timezone".into(), some("UTC"))),
            ("SET LOCAL x.y TO DEFAULT", Command::Set("x.y".into(), None)),
            ("SET NAMES 'utf8'", Command::Set("client_encoding".into(), some("utf8"))),
            ("SET statement_timeout = -1.5", Command::Set("statement_timeout".into(), some("-1.5"))),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Command::Nothing("SET")),
            ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", Command::Nothing("SET")),
            ("RESET ALL", Command::Reset(None)),
            ("SHOW transaction isolation level", Command::Show(some("transaction_isolation"))),
            ("SHOW server_version;".trim_end_matches(';'), Command::Show(some("server_version"))),
            ("SHOW TABLES", Command::Query),
            ("SHOW ALL TABLES", Command::Query),
            ("SHOW ALL", Command::Show(None)),
            ("BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY", Command::Begin("BEGIN")),
            ("START TRANSACTION", Command::Begin("START TRANSACTION")),
            ("COMMIT", Command::Commit),
            ("ROLLBACK TO SAVEPOINT a", Command::RollbackTo),
            ("ABORT", Command::Rollback),
            ("DEALLOCATE PREPARE \"s1\"", Command::Deallocate(some("s1"))),
            ("DEALLOCATE ALL", Command::Deallocate(None)),
            ("DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1", Command::Declare("c".into(), "SELECT 1".into())),
            ("FETCH FORWARD 50 FROM c", Command::Fetch("c".into(), Some(50))),
            ("FETCH ALL IN \"C\"", Command::Fetch("C".into(), None)),
            ("FETCH NEXT FROM c", Command::Fetch("c".into(), Some(1))),
            ("CLOSE c", Command::Close(some("c"))),
        ] {
            assert_eq!(parse(statement), Ok(command), "{statement}");
        }
        for (bad, code) in [("FETCH PRIOR FROM c", "55000"), ("SET x", "42601"), ("PREPARE TRANSACTION 'x'", "42601")] {
            assert_eq!(parse(bad).map_err(|error| error.code), Err(code), "{bad}");
        }
    }
}
