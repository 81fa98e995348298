//! `COPY ... TO STDOUT`: what is copied, and as what.

use crate::store::front::postgres::error::{PgError, code};
use crate::store::front::postgres::lexer::{Kind, Token};

/// How rows are copied out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOut {
    /// What gives the rows.
    pub query: String,
    /// As what.
    pub format: CopyFormat,
    /// A first line with the names.
    pub header: bool,
    /// Between values.
    pub delimiter: char,
    /// What stands for NULL.
    pub null: String,
    /// Around values of CSV that need it.
    pub quote: char,
}

/// What rows are copied out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// Lines of text, values between tabs.
    Text,
    /// Lines of CSV.
    Csv,
    /// PostgreSQL's bytes, as ADBC's driver asks for.
    Binary,
}

/// What stands behind the word `COPY`.
///
/// # Errors
/// If it writes, or is not understood.
pub(super) fn copy(rest: &[Token<'_>], statement: &str) -> Result<CopyOut, PgError> {
    let unable = |what: &str| {
        PgError::new(code::NOT_SUPPORTED, format!("{what}: COPY (query) TO STDOUT and COPY table TO STDOUT work here"))
    };
    // The query is in brackets, or there is a table with or without columns.
    let mut depth = 0_usize;
    let mut to = None;
    for (n, token) in rest.iter().enumerate() {
        match token.text {
            "(" if token.kind == Kind::Symbol => depth += 1,
            ")" if token.kind == Kind::Symbol => depth = depth.saturating_sub(1),
            _ if depth == 0 && token.is("from") => {
                return Err(PgError::new(code::READ_ONLY, "COPY ... FROM is not allowed: statements may only read"));
            }
            _ if depth == 0 && token.is("to") => {
                to = Some(n);
                break;
            }
            _ => {}
        }
    }
    let Some(to) = to.filter(|to| *to > 0) else { return Err(unable("COPY without TO")) };
    let (source, behind) = (&rest[..to], &rest[to + 1..]);
    if !behind.first().is_some_and(|token| token.is("stdout")) {
        return Err(PgError::new("42501", "COPY to a file is not allowed: COPY ... TO STDOUT gives the rows"));
    }
    let text = |from: &Token<'_>, end: usize| statement[from.at..end].trim().to_owned();
    let query = if source[0].is_symbol("(") {
        let last = &source[source.len() - 1];
        statement[source[0].at + 1..last.at].trim().to_owned()
    } else {
        let columns = source.iter().position(|token| token.is_symbol("("));
        let last = &source[source.len() - 1];
        match columns {
            Some(open) if open > 0 => {
                let table = text(&source[0], source[open].at);
                format!("SELECT {} FROM {table}", &statement[source[open].at + 1..last.at])
            }
            _ => format!("SELECT * FROM {}", text(&source[0], last.at + last.text.len())),
        }
    };
    options(query, &behind[1..])
}

fn options(query: String, words: &[Token<'_>]) -> Result<CopyOut, PgError> {
    let mut copy =
        CopyOut { query, format: CopyFormat::Text, header: false, delimiter: '\t', null: "\\N".to_owned(), quote: '"' };
    let (mut delimiter, mut null) = (None, None);
    let mut words = words.iter().filter(|token| !matches!(token.text, "(" | ")" | ",")).peekable();
    while let Some(word) = words.next() {
        let name = word.value();
        let mut argument = || words.next_if(|token| !token.is("csv") && !token.is("header")).map(Token::value);
        match name.as_str() {
            "with" => {}
            "csv" => copy.format = CopyFormat::Csv,
            "binary" => copy.format = CopyFormat::Binary,
            "format" => match words.next().map(Token::value).unwrap_or_default().as_str() {
                "csv" => copy.format = CopyFormat::Csv,
                "binary" => copy.format = CopyFormat::Binary,
                "text" => {}
                other => {
                    let message = format!("COPY in the format {other} is not supported: text, csv or binary");
                    return Err(PgError::new(code::NOT_SUPPORTED, message));
                }
            },
            "header" => {
                let said = words.next_if(|token| ["true", "false", "on", "off", "1", "0"].contains(&token.text));
                copy.header = said.is_none_or(|said| !["false", "off", "0"].contains(&said.text));
            }
            "delimiter" => delimiter = one_character(argument()),
            "quote" => copy.quote = one_character(argument()).unwrap_or('"'),
            "null" => null = argument(),
            "encoding" | "escape" => {
                argument();
            }
            "as" => {}
            other => return Err(PgError::new(code::SYNTAX, format!("option \"{other}\" of COPY not recognized"))),
        }
    }
    if copy.format == CopyFormat::Binary && (copy.header || delimiter.is_some() || null.is_some()) {
        return Err(PgError::new(code::SYNTAX, "COPY in the format binary has no header, delimiter or text for NULL"));
    }
    let csv = copy.format == CopyFormat::Csv;
    copy.delimiter = delimiter.unwrap_or(if csv { ',' } else { '\t' });
    copy.null = null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
    Ok(copy)
}

fn one_character(value: Option<String>) -> Option<char> {
    let value = value?;
    let mut characters = value.chars();
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::front::postgres::command::{Command, parse};

    #[test]
    fn copies_out() {
        let copy = |statement: &str| match parse(statement) {
            Ok(Command::Copy(copy)) => copy,
            other => panic!("{statement}: {other:?}"),
        };
        let csv = copy("COPY (SELECT ')', (1) FROM spans) TO STDOUT WITH (FORMAT csv, HEADER true, NULL 'x')");
        assert_eq!((csv.query.as_str(), csv.format, csv.header), ("SELECT ')', (1) FROM spans", CopyFormat::Csv, true));
        assert_eq!((csv.delimiter, csv.null.as_str()), (',', "x"));
        let text = copy("copy spans to stdout");
        assert_eq!((text.query.as_str(), text.format, text.delimiter), ("SELECT * FROM spans", CopyFormat::Text, '\t'));
        assert_eq!(text.null, "\\N");
        assert_eq!(copy("COPY spans (name, \"kind\") TO STDOUT CSV HEADER").query, "SELECT name, \"kind\" FROM spans");
        assert_eq!(copy("COPY (SELECT 1) TO STDOUT (DELIMITER ';')").delimiter, ';');
        for binary in ["COPY (SELECT 1) TO STDOUT (FORMAT binary)", "COPY (SELECT 1) TO STDOUT WITH BINARY"] {
            assert_eq!(copy(binary).format, CopyFormat::Binary, "{binary}");
        }
        for (bad, code) in [
            ("COPY spans FROM STDIN", "25006"),
            ("COPY spans TO '/tmp/x'", "42501"),
            ("COPY spans TO PROGRAM 'x'", "42501"),
            ("COPY (SELECT 1) TO STDOUT (FORMAT parquet)", "0A000"),
            ("COPY (SELECT 1) TO STDOUT (FORMAT binary, HEADER)", "42601"),
            ("COPY", "0A000"),
            ("COPY (SELECT 1) TO STDOUT (FOO)", "42601"),
        ] {
            assert_eq!(parse(bad).map_err(|error| error.code), Err(code), "{bad}");
        }
    }
}
