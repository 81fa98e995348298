//! What a client sends: a statement, its parameters, and the format it wants back.

use duckdb::types::Value as Bound;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;

use super::error::SqlError;
use super::format::Kind;

/// A statement and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The statement as it came.
    pub sql: String,
    /// Values for `?` or `$1` and on.
    pub params: Vec<Bound>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    sql: String,
    #[serde(default)]
    params: Vec<serde_json::Value>,
}

impl Query {
    /// Reads a request's body: JSON by its content type, otherwise the bare statement.
    ///
    /// # Errors
    /// [`SqlError::Refused`] if the JSON is not of the form `{"sql": ..., "params": [...]}`, or a
    /// parameter is not a plain value, or the text is not UTF-8.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, SqlError> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media != "application/json" {
            let sql = std::str::from_utf8(body)
                .map_err(|e| SqlError::refused("the statement is not valid UTF-8", Some(e.valid_up_to())))?;
            return Ok(Query { sql: sql.to_owned(), params: Vec::new() });
        }
        let body: Body = serde_json::from_slice(body).map_err(|e| {
            SqlError::refused(format!("the body is not {{\"sql\": ..., \"params\": [...]}}: {e}"), None)
        })?;
        let params = body.params.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Query { sql: body.sql, params })
    }
}

/// A parameter as DuckDB takes it. A statement casts it where it wants another type.
fn bind(value: &serde_json::Value) -> Result<Bound, SqlError> {
    use serde_json::Value;
    Ok(match value {
        Value::Null => Bound::Null,
        Value::Bool(b) => Bound::Boolean(*b),
        Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(n), _, _) => Bound::BigInt(n),
            (_, Some(n), _) => Bound::UBigInt(n),
            (_, _, Some(n)) => Bound::Double(n),
            _ => return Err(SqlError::refused("a parameter is not a number that fits", None)),
        },
        Value::String(text) => Bound::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => {
            return Err(SqlError::refused("a parameter is null, true, false, a number or a string", None));
        }
    })
}

/// The format that `Accept` asks for; JSON where it says nothing that is known.
pub fn accepted(headers: &HeaderMap) -> Kind {
    let mut best = (0.0, Kind::Json);
    for part in headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')) {
        let mut pieces = part.split(';').map(str::trim);
        let kind = match pieces.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "*/*" | "application/*" => Kind::Json,
            "text/csv" => Kind::Csv,
            "application/vnd.apache.arrow.stream" => Kind::Arrow,
            _ => continue,
        };
        let quality = pieces.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0_f64);
        if quality > best.0 {
            best = (quality, kind);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn bodies() {
        let plain = Query::read(&HeaderMap::new(), b"SELECT 1").unwrap();
        assert_eq!(plain, Query { sql: "SELECT 1".into(), params: vec![] });
        let json = headers(CONTENT_TYPE, "application/json; charset=utf-8");
        let query = Query::read(&json, br#"{"sql": "SELECT ?", "params": [1, 1.5, "a", null, true]}"#).unwrap();
        assert_eq!(query.params.len(), 5);
        for bad in [&b"{}"[..], b"SELECT 1", br#"{"sql":"a","params":[[1]]}"#, br#"{"sql":"a","x":1}"#] {
            assert!(Query::read(&json, bad).is_err());
        }
        assert!(Query::read(&HeaderMap::new(), b"\xff").is_err());
    }

    #[test]
    fn formats() {
        for (accept, kind) in [
            ("text/csv", Kind::Csv),
            ("application/vnd.apache.arrow.stream, */*;q=0.1", Kind::Arrow),
            ("*/*", Kind::Json),
            ("text/html", Kind::Json),
            ("text/csv;q=0.5, application/json", Kind::Json),
        ] {
            assert_eq!(accepted(&headers(ACCEPT, accept)), kind, "{accept}");
        }
    }
}
