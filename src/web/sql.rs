//! Asking the store, by the SQL service that everybody uses: the page reads as much of an answer as it
//! shows, and leaves the rest.

use axum::body::Body;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::Response;
use serde::Deserialize;
use serde_json::Value;

use super::params::Params;

/// Bytes of an answer that a page reads.
const MAX_ANSWER: usize = 16 << 20;

/// What asks the store. Dropping the answer, or the future, ends the statement.
pub trait SqlService: Send + Sync + 'static {
    /// The answer to a statement in the format of `accept`, or why the store cannot be asked.
    fn ask(&self, statement: String, accept: &'static str) -> BoxFuture<'_, Result<Response<Body>, String>>;
}

/// Why there are no rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// This collector has no store.
    #[error("this collector has no store to ask (store.enabled in its config)")]
    NoStore,
    /// It does not answer.
    #[error("the store does not answer: {0}")]
    Away(String),
    /// It has too many statements of pages.
    #[error("the store is busy with the statements of other pages; try again in a few seconds")]
    Busy,
    /// It did not like the statement.
    #[error("{message}")]
    Refused {
        /// In the store's words.
        message: String,
        /// Where in the statement.
        position: Option<Position>,
    },
    /// An answer that is none.
    #[error("the store's answer cannot be read: {0}")]
    Unreadable(String),
}

/// A place in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Position {
    /// Bytes before it.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its character in the line, from 1.
    pub column: usize,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in SQL.
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// Rows of an answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Rows {
    /// Names and types.
    pub columns: Vec<Column>,
    /// The cells.
    pub rows: Vec<Vec<Value>>,
    /// What the store took, in milliseconds; nothing if the answer was not read to its end.
    #[serde(default)]
    pub elapsed_ms: Option<u64>,
    /// Whether there are more rows than these.
    #[serde(default)]
    pub truncated: bool,
    /// What the answer lacks.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Rows {
    /// A cell by the name of its column.
    pub fn cell(&self, row: usize, column: &str) -> &Value {
        let place = self.columns.iter().position(|of| of.name == column);
        place.and_then(|place| self.rows.get(row)?.get(place)).unwrap_or(&Value::Null)
    }

    /// A text; empty where there is none.
    pub fn text(&self, row: usize, column: &str) -> &str {
        self.cell(row, column).as_str().unwrap_or_default()
    }

    /// A number. Those beyond 2^53 come as text.
    pub fn number(&self, row: usize, column: &str) -> Option<f64> {
        match self.cell(row, column) {
            Value::String(text) => text.parse().ok(),
            cell => cell.as_f64(),
        }
    }

    /// Whether a cell is true.
    pub fn is_true(&self, row: usize, column: &str) -> bool {
        self.cell(row, column) == &Value::Bool(true)
    }

    /// A whole number, exact.
    pub fn whole(&self, row: usize, column: &str) -> Option<i64> {
        match self.cell(row, column) {
            Value::String(text) => text.parse().ok(),
            cell => cell.as_i64().or_else(|| cell.as_f64().map(|number| number as i64)),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The first `max_rows` rows of a statement's answer; the rest is left, which ends the statement.
///
/// # Errors
/// Why there are none.
pub async fn rows(service: &dyn SqlService, statement: &str, max_rows: usize) -> Result<Rows, AskError> {
    let response = service.ask(statement.to_owned(), "application/json").await.map_err(AskError::Away)?;
    let status = response.status();
    let (body, is_whole) = read(response.into_body(), max_rows).await?;
    if !status.is_success() {
        return Err(refusal(status, &body));
    }
    let read = tokio::task::spawn_blocking(move || parse(&body, is_whole, max_rows)).await;
    read.unwrap_or_else(|error| Err(AskError::Unreadable(error.to_string())))
}

/// What the store says instead of rows.
pub fn refusal(status: http::StatusCode, body: &[u8]) -> AskError {
    #[derive(Deserialize)]
    struct Said {
        error: String,
        position: Option<Position>,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(Said { error, .. }) if status == http::StatusCode::SERVICE_UNAVAILABLE => AskError::Away(error),
        Ok(Said { error, position }) => AskError::Refused { message: error, position },
        Err(_) => AskError::Unreadable(format!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(200)]))),
    }
}

/// An answer's bytes, as many as are of use; and whether those are all.
async fn read(body: Body, max_rows: usize) -> Result<(Vec<u8>, bool), AskError> {
    let (mut read, mut lines) = (Vec::new(), 0);
    let mut data = body.into_data_stream();
    while let Some(piece) = data.next().await {
        let piece = piece.map_err(|error| AskError::Unreadable(format!("it broke off: {error}")))?;
        lines += memchr::memchr_iter(b'\n', &piece).count();
        read.extend_from_slice(&piece);
        // Each row is a line, and there are those of the columns and of the end.
        if lines > max_rows + 2 || read.len() > MAX_ANSWER {
            return Ok((read, false));
        }
    }
    Ok((read, true))
}

fn parse(body: &[u8], is_whole: bool, max_rows: usize) -> Result<Rows, AskError> {
    let unreadable = |error: serde_json::Error| AskError::Unreadable(error.to_string());
    let mut rows: Rows = if is_whole {
        serde_json::from_slice(body).map_err(unreadable)?
    } else {
        // What was read ends amid a row, or after the last one. Lines end between rows alone: text has no line
        // feeds in JSON.
        let end = memchr::memmem::find(body, b"\n]").or_else(|| memchr::memrchr(b'\n', body)).unwrap_or(0);
        let whole = body[..end].strip_suffix(b",").unwrap_or(&body[..end]);
        let mut rows: Rows = serde_json::from_slice(&[whole, b"]}"].concat()).map_err(unreadable)?;
        rows.truncated = true;
        rows
    };
    if rows.rows.len() > max_rows {
        rows.rows.truncate(max_rows);
        rows.truncated = true;
    }
    Ok(rows)
}

/// What is the same for a span that came twice, in SQL over the view `spans`: a sender that tries again sends it as it
/// was. The halves of a call that share an id differ in kind; spans without an id are all different.
pub const SAME_SPAN: &str =
    "CASE WHEN span_id IS NULL THEN hash(uuid()) ELSE hash(trace_id, span_id, kind, start_time) END";

/// A text as SQL spells it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// The attributes that a page's parameters ask for, as `where=http.route = /cart`. What makes no sense is told.
pub fn attributes(params: &Params, problems: &mut Vec<String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in params.all("where") {
        match text.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            Some((key, value)) if !key.is_empty() => found.push((key.to_owned(), value.to_owned())),
            _ => problems.push(format!("{text:?} is no attribute, expected such as http.route = /cart")),
        }
    }
    found
}

/// The condition that an attribute has a value. Numbers are found by their text.
pub fn attribute((key, value): &(String, String)) -> String {
    format!("attributes.{} = {}", identifier(key), quoted(value))
}

/// A name as SQL spells it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('\0', "").replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "{\"columns\":[{\"name\":\"a\",\"type\":\"VARCHAR\"}],\"rows\":[\n[\"x\\n]\"],\n[\"y\"],\n[\"z\"]\n],\"row_count\":3,\"elapsed_ms\":5,\"truncated\":false}";

    #[test]
    fn as_many_rows_as_are_wanted() {
        let all = parse(ANSWER.as_bytes(), true, 3).unwrap();
        assert_eq!((all.len(), all.truncated, all.text(0, "a")), (3, false, "x\n]"));
        let two = parse(ANSWER.as_bytes(), true, 2).unwrap();
        assert_eq!((two.len(), two.truncated), (2, true));
        // Cut at each byte after the columns: what is whole is there.
        for end in ANSWER.find("\n[").unwrap() + 1..ANSWER.rfind("\n]").unwrap() {
            let cut = parse(&ANSWER.as_bytes()[..end], false, 9).unwrap();
            assert_eq!(cut.len(), ANSWER[..end].matches(",\n").count(), "{}", &ANSWER[..end]);
            assert!(cut.truncated);
        }
    }

    #[tokio::test]
    async fn what_is_not_shown_is_not_read() {
        let row = || futures_util::stream::iter(["\n[1]", ",\n[2]", ",\n[3]"]).map(str::to_owned);
        let start = "{\"columns\":[{\"name\":\"a\"}],\"rows\":[".to_owned();
        let end = "\n],\"truncated\":false}\n".to_owned();
        for (max_rows, endless, expected) in [(1, true, 1), (1, false, 1), (2, false, 2), (3, false, 3), (4, false, 3)]
        {
            let first = futures_util::stream::iter([start.clone()]).chain(row());
            let rest = if endless {
                futures_util::stream::repeat(",\n[4]".to_owned()).boxed()
            } else {
                futures_util::stream::iter([end.clone()]).boxed()
            };
            let body = Body::from_stream(first.chain(rest).map(Ok::<_, std::io::Error>));
            let (read, is_whole) = read(body, max_rows).await.unwrap();
            let rows = parse(&read, is_whole, max_rows).unwrap();
            assert_eq!((rows.len(), rows.truncated), (expected, expected < 3), "{max_rows} of {endless}");
        }
    }

    #[test]
    fn refusals_say_what_is_wrong_and_where() {
        let body = br#"{"error":"no such column","position":{"offset":10,"line":2,"column":1}}"#;
        let position = Some(Position { offset: 10, line: 2, column: 1 });
        let refused = AskError::Refused { message: "no such column".to_owned(), position };
        assert_eq!(refusal(http::StatusCode::BAD_REQUEST, body), refused);
        let away = refusal(http::StatusCode::SERVICE_UNAVAILABLE, br#"{"error":"starting","position":null}"#);
        assert_eq!(away, AskError::Away("starting".to_owned()));
        assert!(matches!(refusal(http::StatusCode::BAD_GATEWAY, b"<html>"), AskError::Unreadable(_)));
    }

    #[test]
    fn cells_by_their_columns() {
        let rows: Rows = serde_json::from_str(
            r#"{"columns":[{"name":"n","type":"BIGINT"},{"name":"t"}],"rows":[["9007199254740993",null]]}"#,
        )
        .unwrap();
        assert_eq!(rows.whole(0, "n"), Some(9_007_199_254_740_993));
        assert_eq!((rows.text(0, "t"), rows.text(0, "no"), rows.text(5, "n")), ("", "", ""));
        assert_eq!(rows.whole(0, "t"), None);
    }

    #[test]
    fn text_does_not_leave_its_quotes() {
        assert_eq!(quoted("it's '' \\ \0"), "'it''s '''' \\ '");
    }
}
