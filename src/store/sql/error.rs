//! What can come of a statement other than rows, and the HTTP status of each.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

/// Why a statement gave no answer, or no whole one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SqlError {
    /// A gate refused it before it ran.
    #[error("{message}")]
    Refused {
        /// What is not allowed.
        message: String,
        /// Byte offset in the statement, where known.
        position: Option<usize>,
    },
    /// DuckDB refused or failed it; the message is DuckDB's own.
    #[error("{message}")]
    Failed {
        /// DuckDB's message.
        message: String,
        /// Byte offset in the statement, where DuckDB gave one.
        position: Option<usize>,
    },
    /// The statement is longer than is taken.
    #[error("the statement is {size} bytes long, the limit is {limit} bytes (sql.max_statement)")]
    TooLarge {
        /// Bytes of the statement, or of what was read of it.
        size: u64,
        /// Bytes taken at most.
        limit: u64,
    },
    /// It ran longer than is allowed and was interrupted.
    #[error("the statement ran longer than {} and was interrupted (sql.time_limit)", crate::duration::Written(*.0))]
    TimeLimit(Duration),
    /// It was interrupted because the client left or the supervisor asked for it.
    #[error("the statement was interrupted: {0}")]
    Interrupted(String),
    /// DuckDB gave up for want of memory.
    #[error("{0}")]
    Memory(String),
    /// Too many statements at once.
    #[error("{0} statements are running or waiting already (sql.concurrency)")]
    Busy(usize),
    /// DuckDB ended with an error that spoils the whole instance: its reader ends.
    #[error("{0}; the reader that ran the statement has ended over it")]
    Fatal(String),
    /// Nobody can run it, or the reader ended while it ran this.
    #[error("{0}")]
    Unavailable(String),
}

impl SqlError {
    /// A word for it, to count by.
    pub fn outcome(&self) -> &'static str {
        match self {
            SqlError::Refused { .. } => "refused",
            SqlError::Failed { .. } => "failed",
            SqlError::TooLarge { .. } => "too_large",
            SqlError::TimeLimit(_) => "time_limit",
            SqlError::Interrupted(_) => "interrupted",
            SqlError::Memory(_) => "memory",
            SqlError::Busy(_) => "busy",
            SqlError::Fatal(_) => "fatal",
            SqlError::Unavailable(_) => "unavailable",
        }
    }

    /// A refusal by a gate.
    pub fn refused(message: impl Into<String>, position: Option<usize>) -> Self {
        SqlError::Refused { message: message.into(), position }
    }

    /// Sorts an error of DuckDB's by its message. `text` is the statement that it is about.
    pub fn from_duckdb(error: &duckdb::Error, text: &str) -> Self {
        Self::from_message(&message_of(error), text)
    }

    /// Sorts a message of DuckDB's; see [`Self::from_duckdb`].
    pub fn from_message(message: &str, text: &str) -> Self {
        // An internal error comes with a stack trace, which helps nobody who asks.
        let message = message.split("\n\nStack Trace:").next().unwrap_or_default().trim_end();
        if message.starts_with("FATAL Error") || message.contains("database has been invalidated") {
            return SqlError::Fatal(message.to_owned());
        }
        if message.starts_with("Out of Memory Error") {
            return SqlError::Memory(message.to_owned());
        }
        if message.starts_with("INTERRUPT Error") {
            return SqlError::Interrupted("asked to stop".to_owned());
        }
        SqlError::Failed { message: message.to_owned(), position: position_in(message, text) }
    }

    /// The same error with its place in `user` instead of in `ran`, the text that was made of it: where
    /// the word at the place stands once in both. Else no place, rather than a wrong one.
    #[must_use]
    pub fn within(mut self, ran: &str, user: &str) -> Self {
        if let SqlError::Failed { position, .. } = &mut self
            && ran != user
        {
            *position = position.and_then(|at| {
                let rest = ran.get(at..)?;
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let mut places = user.match_indices(rest.get(..end).filter(|word| !word.is_empty())?);
                let (place, _) = places.next()?;
                places.next().is_none().then_some(place)
            });
        }
        self
    }

    /// DuckDB calls it a mistake of its own; some of these spoil the instance.
    pub fn is_internal(&self) -> bool {
        matches!(self, SqlError::Failed { message, .. } if message.starts_with("INTERNAL Error"))
    }

    /// Whether bytes of a file that are not what they should be may be the cause. Where DuckDB fails to decompress it
    /// names the file, but not where what it decodes makes no sense: in headers of pages, dictionaries, variants.
    pub fn may_be_of_damage(&self) -> bool {
        let of_damage =
            |message: &str| message.starts_with("Invalid Error") || message.to_lowercase().contains("corrupt");
        self.is_internal() || matches!(self, SqlError::Failed { message, .. } if of_damage(message))
    }

    /// The status that says this over HTTP.
    pub fn status(&self) -> StatusCode {
        match self {
            SqlError::Refused { .. } | SqlError::Failed { .. } => StatusCode::BAD_REQUEST,
            SqlError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            // Not 408: clients repeat a request that got a 408 by themselves.
            SqlError::TimeLimit(_) => StatusCode::GATEWAY_TIMEOUT,
            SqlError::Memory(_) => StatusCode::INSUFFICIENT_STORAGE,
            SqlError::Interrupted(_) | SqlError::Busy(_) | SqlError::Unavailable(_) | SqlError::Fatal(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Where in the statement, as a byte offset.
    pub fn position(&self) -> Option<usize> {
        match self {
            SqlError::Refused { position, .. } | SqlError::Failed { position, .. } => *position,
            _ => None,
        }
    }

    /// The body of an error response: `{"error": ..., "position": {"offset", "line", "column"}}`.
    /// The offset counts bytes from 0, line and column count from 1, the column in characters.
    pub fn body(&self, text: &str) -> serde_json::Value {
        let position = self.position().map(|at| {
            let before = floor_boundary(text, at);
            let line_start = text[..before].rfind('\n').map_or(0, |i| i + 1);
            json!({
                "offset": before,
                "line": text[..before].matches('\n').count() + 1,
                "column": text[line_start..before].chars().count() + 1,
            })
        });
        json!({ "error": self.to_string(), "position": position })
    }
}

/// The message of an error of the `duckdb` crate, without the crate's own words around it.
fn message_of(error: &duckdb::Error) -> String {
    match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

/// The byte offset that DuckDB points at with its `LINE n: ...` and a caret below.
fn position_in(message: &str, text: &str) -> Option<usize> {
    let line_at = message.rfind("\nLINE ")? + 1;
    let mut lines = message[line_at..].lines();
    let shown = lines.next()?;
    let caret = lines.next()?.find('^')?;
    let (number, excerpt) = shown.strip_prefix("LINE ")?.split_once(": ")?;
    let prefix = shown.len() - excerpt.len();
    let number: usize = number.parse().ok()?;
    let line = text.split('\n').nth(number.checked_sub(1)?)?;
    let line_start = line.as_ptr() as usize - text.as_ptr() as usize;
    // The caret is placed by display width; statements are nearly always ASCII up to there.
    let in_excerpt = caret.checked_sub(prefix)?;
    let bare = excerpt.trim_start_matches("...");
    let cut = excerpt.len() - bare.len();
    let bare = bare.trim_end_matches("...");
    let start = line.find(bare.get(..bare.len().min(40)).unwrap_or(bare))?;
    Some(line_start + start + in_excerpt.checked_sub(cut)?)
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_read_from_duckdbs_caret() {
        let text = "SELECT 1,\n  nope FROM range(3)";
        let message = "Binder Error: Referenced column \"nope\" not found\n\nLINE 2:   nope FROM range(3)\n          ^";
        let error = SqlError::from_message(message, text);
        assert_eq!(error.position(), Some(text.find("nope").unwrap()));
        let body = error.body(text);
        assert_eq!(body["position"], json!({"offset": 12, "line": 2, "column": 3}));
        assert_eq!(body["error"], message);
    }

    #[test]
    fn errors_are_sorted_by_what_the_client_can_do() {
        for (message, status) in [
            ("Binder Error: x", 400),
            ("FATAL Error: x", 503),
            ("Invalid Error: database has been invalidated because of a previous fatal error", 503),
            ("INTERNAL Error: x\n\nStack Trace:\n\n/lib/x", 400),
            ("Out of Memory Error: failed to allocate", 507),
            ("INTERRUPT Error: Interrupted!", 503),
        ] {
            assert_eq!(SqlError::from_message(message, "").status().as_u16(), status, "{message}");
        }
    }
}
