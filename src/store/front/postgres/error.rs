//! Errors as PostgreSQL tells them: a code of five characters (its documentation, "PostgreSQL Error Codes"), a
//! message, a place.

use pgwire::messages::response::ErrorResponse;
use serde_json::Value;

/// Bytes of a message. Longer ones are cut.
const LONGEST: usize = 16 << 10;

/// An error for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgError {
    /// `ERROR`, or `FATAL` if the connection ends.
    pub severity: &'static str,
    /// The code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The character of the text that it is about, from 1.
    pub position: Option<usize>,
}

/// Codes.
pub mod code {
    pub(in super::super) const CANCELED: &str = "57014";
    pub(in super::super) const SYNTAX: &str = "42601";
    pub(in super::super) const NOT_SUPPORTED: &str = "0A000";
    pub(in super::super) const PROTOCOL: &str = "08P01";
    pub(in super::super) const SYSTEM: &str = "58000";
    pub(in super::super) const LIMIT: &str = "54000";
    pub(in super::super) const SHUTDOWN: &str = "57P01";
    pub(in super::super) const FAILED_TRANSACTION: &str = "25P02";
    pub(in super::super) const READ_ONLY: &str = "25006";
    pub(in super::super) const NO_STATEMENT: &str = "26000";
    pub(in super::super) const NO_CURSOR: &str = "34000";
    pub(in super::super) const NO_SETTING: &str = "42704";
    pub(in super::super) const BAD_VALUE: &str = "22023";
    pub(in super::super) const BAD_TEXT: &str = "22P02";
    pub(in super::super) const BAD_BINARY: &str = "22P03";
    pub(in super::super) const PASSWORD: &str = "28P01";
    pub(in super::super) const NOT_ALLOWED: &str = "28000";
    pub(in super::super) const DUPLICATE_STATEMENT: &str = "42P05";
    pub(in super::super) const DUPLICATE_CURSOR: &str = "42P03";
    pub(in super::super) const ENCODING: &str = "22021";
}

impl PgError {
    /// An error after which the connection goes on.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        PgError { severity: "ERROR", code, message: message.into(), hint: None, position: None }
    }

    /// One that ends the connection.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        PgError { severity: "FATAL", ..PgError::new(code, message) }
    }

    /// The error in a response of the statement service, about a statement that starts `offset` characters
    /// into `text`.
    pub fn of_response(status: u16, outcome: &str, body: &[u8], text: &str) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = body["error"].as_str().unwrap_or("the statement has failed").to_owned();
        let at = body["position"]["offset"].as_u64().and_then(|at| usize::try_from(at).ok());
        let position = at.and_then(|at| Some(text.get(..at)?.chars().count() + 1));
        let code = match (outcome, status) {
            ("time_limit", _) => code::CANCELED,
            ("interrupted", _) => code::CANCELED,
            ("memory", _) => "53200",
            ("busy", _) => "53300",
            ("too_large", _) => code::LIMIT,
            ("refused", _) => refusal(&message),
            ("failed", _) => failure(&message),
            (_, 429) => code::SYSTEM,
            _ => code::SYSTEM,
        };
        let (message, hint) = split_hint(message);
        PgError { severity: "ERROR", code, message, hint, position }
    }

    /// The same about a statement that begins `characters` into the text that was sent.
    #[must_use]
    pub fn shifted(mut self, characters: usize) -> Self {
        self.position = self.position.map(|position| position + characters);
        self
    }

    /// The message. `V` is the severity in no language.
    pub fn response(&self) -> ErrorResponse {
        let mut message = self.message.clone();
        if message.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
            message.truncate(end);
        }
        let mut fields = vec![
            (b'S', self.severity.to_owned()),
            (b'V', self.severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', message.replace('\0', "")),
        ];
        fields.extend(self.hint.clone().map(|hint| (b'H', hint)));
        fields.extend(self.position.map(|position| (b'P', position.to_string())));
        ErrorResponse::new(fields)
    }
}

/// What a gate refuses is mostly something that is no query.
fn refusal(message: &str) -> &'static str {
    if message.starts_with("only a query is allowed") || message.contains("statements may only read") {
        code::READ_ONLY
    } else if message.contains("is not allowed") {
        "42501"
    } else if message.starts_with("more than") || message.contains("nested") {
        code::LIMIT
    } else if message.contains("there is no schema") {
        "3F000"
    } else if message.contains("UTF-8") {
        code::ENCODING
    } else {
        code::NOT_SUPPORTED
    }
}

/// DuckDB's messages begin with their kind.
fn failure(message: &str) -> &'static str {
    let (kind, rest) = message.split_once(": ").unwrap_or((message, ""));
    match kind {
        "Parser Error" => code::SYNTAX,
        "Catalog Error" if rest.starts_with("Table") || rest.contains("View") => "42P01",
        "Catalog Error" if rest.contains("Function") || rest.contains("function") => "42883",
        "Catalog Error" if rest.starts_with("Type") => "42704",
        "Catalog Error" if rest.contains("Schema") => "3F000",
        "Catalog Error" => "42P01",
        "Binder Error" if rest.contains("GROUP BY") => "42803",
        "Binder Error" if rest.starts_with("Referenced column") || rest.contains("does not have a column named") => {
            "42703"
        }
        "Binder Error" if rest.starts_with("Referenced table") => "42P01",
        "Binder Error" if rest.starts_with("No function matches") || rest.contains("Could not choose") => "42883",
        "Binder Error" if rest.starts_with("Ambiguous") => "42702",
        "Binder Error" if rest.contains("Cannot compare") || rest.contains("Cannot mix") => "42804",
        "Binder Error" => "42P10",
        "Conversion Error" if rest.contains("imestamp") || rest.contains("date") => "22007",
        "Conversion Error" => code::BAD_TEXT,
        "Out of Range Error" => "22003",
        "Invalid Input Error" if rest.contains("parameter") => code::PROTOCOL,
        "Invalid Input Error" => code::BAD_VALUE,
        "Not implemented Error" => code::NOT_SUPPORTED,
        "INTERNAL Error" => "XX000",
        "IO Error" => "58030",
        _ => "XX000",
    }
}

/// DuckDB's candidates and its copy of the line stand behind the message.
fn split_hint(message: String) -> (String, Option<String>) {
    let shown = message.find("\n\nLINE ").map_or(message.as_str(), |at| &message[..at]);
    match shown.split_once('\n') {
        Some((first, rest)) if !rest.trim().is_empty() => (first.trim_end().to_owned(), Some(rest.trim().to_owned())),
        _ => (shown.trim_end().to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_codes_of_postgresql() {
        for (outcome, message, code) in [
            ("failed", "Parser Error: syntax error at or near \"FRM\"", "42601"),
            ("failed", "Catalog Error: Table with name spams does not exist!\nDid you mean \"spans\"?", "42P01"),
            ("failed", "Binder Error: Referenced column \"nme\" not found in FROM clause!", "42703"),
            ("failed", "Catalog Error: Scalar Function with name foo does not exist!", "42883"),
            ("failed", "Conversion Error: Could not convert string 'a' to INT32", "22P02"),
            ("refused", "only a query is allowed: SELECT, WITH", "25006"),
            ("refused", "the function nextval is not allowed", "42501"),
            ("time_limit", "the statement ran longer than 1s", "57014"),
            ("memory", "Out of Memory Error", "53200"),
            ("unavailable", "the reader crashed", "58000"),
        ] {
            let body = serde_json::json!({"error": message, "position": {"offset": 3}}).to_string();
            let error = PgError::of_response(400, outcome, body.as_bytes(), "é x");
            assert_eq!((error.code, error.position), (code, Some(3)), "{message}");
        }
    }

    #[test]
    fn what_duckdb_adds_is_a_hint_and_its_copy_of_the_line_is_left_out() {
        let message = "Catalog Error: Table with name a does not exist!\nDid you mean \"b\"?\n\nLINE 1: SELECT\n ^";
        let (message, hint) = split_hint(message.to_owned());
        assert_eq!(message, "Catalog Error: Table with name a does not exist!");
        assert_eq!(hint.as_deref(), Some("Did you mean \"b\"?"));
    }
}
