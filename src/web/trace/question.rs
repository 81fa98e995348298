//! What a page wants to know of a trace, and whom it asks: the store, or a file that somebody has uploaded.

use std::sync::Arc;

use super::{FOUND, MAX_SPANS, SHOWN, flame, span, statistics, upload};
use crate::web::Site;
use crate::web::sql::{AskError, Rows, quoted};

/// A question about one trace.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// Ids, times and services of all spans.
    Skeleton,
    /// One span whole.
    Span(&'a str),
    /// The spans that have a text.
    Find(&'a str),
    /// Names of these spans.
    Names(&'a [&'a str]),
    /// Names of all spans.
    AllNames,
    /// Spans by service and name.
    Statistics,
}

impl Question<'_> {
    /// Rows of an answer.
    pub fn most(self) -> usize {
        match self {
            Question::Skeleton | Question::AllNames => MAX_SPANS,
            Question::Span(_) => span::MAX,
            Question::Find(_) => FOUND,
            Question::Names(_) => 4 * SHOWN,
            Question::Statistics => statistics::MAX,
        }
    }

    /// The statement.
    pub fn sql(self, id: &str) -> String {
        match self {
            Question::Skeleton => format!(
                "SELECT span_id, parent_span_id, kind IN ('server', 'consumer') AS server, start_time, duration_ns,\n  \
                 status_code = 'error' AS failed, service_name\nFROM spans\nWHERE trace_id = {}\nORDER BY start_time\nLIMIT {}",
                quoted(id),
                MAX_SPANS + 1,
            ),
            Question::Span(span) => span::sql(id, span),
            Question::Find(find) => {
                let has = |of: &str| format!("contains(lower({of}), lower({}))", quoted(find));
                format!(
                    "SELECT DISTINCT span_id\nFROM spans\nWHERE trace_id = {}\n  AND ({} OR {} OR {})\nLIMIT {FOUND}",
                    quoted(id),
                    has("name"),
                    has("service_name"),
                    has("attributes::VARCHAR"),
                )
            }
            Question::Names(ids) => {
                let mut ids: Vec<String> = ids.iter().filter(|id| !id.is_empty()).map(|id| quoted(id)).collect();
                ids.sort();
                ids.dedup();
                let ids = if ids.is_empty() { "NULL".to_owned() } else { ids.join(", ") };
                format!(
                    "SELECT span_id, kind IN ('server', 'consumer') AS server, left(name, 200) AS name, kind\nFROM spans\nWHERE trace_id = {}\n  \
                     AND (span_id IS NULL OR span_id IN ({ids}))",
                    quoted(id)
                )
            }
            Question::AllNames => flame::sql(id),
            Question::Statistics => statistics::sql(id),
        }
    }
}

/// Whom to ask.
#[derive(Clone)]
pub enum Source<'a> {
    /// The store.
    Store(&'a Site),
    /// A file.
    Uploaded(&'a Site, Arc<upload::Spans>),
}

impl<'a> Source<'a> {
    /// The source of the trace with this id.
    ///
    /// # Errors
    /// If it is that of a file that is not kept any more.
    pub async fn of(site: &'a Site, id: &str) -> Result<Self, upload::Problem> {
        if !upload::is_id(id) {
            return Ok(Source::Store(site));
        }
        let file = site.uploads.get(id).ok_or(upload::Problem::Gone)?;
        upload::read(file).await.map(|spans| Source::Uploaded(site, Arc::new(spans)))
    }

    /// The answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, id: &str, question: Question<'_>) -> Result<Rows, AskError> {
        match self {
            Source::Store(site) => site.rows(&question.sql(id), question.most()).await,
            Source::Uploaded(_, spans) => Ok(spans.answer(question)),
        }
    }

    /// The statement behind an answer; a file takes none.
    pub fn statement(&self, id: &str, question: Question<'_>) -> Option<String> {
        self.store().map(|_| question.sql(id))
    }

    /// The site, for questions about other traces.
    pub fn site(&self) -> &'a Site {
        match self {
            Source::Store(site) | Source::Uploaded(site, _) => site,
        }
    }

    /// The store, unless the trace is of a file.
    pub fn store(&self) -> Option<&'a Site> {
        match self {
            Source::Store(site) => Some(site),
            Source::Uploaded(..) => None,
        }
    }
}
