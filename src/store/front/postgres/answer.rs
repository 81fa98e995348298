//! A statement's answer: asked of the same service as over HTTP, as a stream of Arrow batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{PgError, code};
use super::types::{Column, of_sql};
use crate::store::front::state::State;
use crate::store::front::statement::{self, Outcome};
use crate::store::sql::http::{Body, DESCRIBE, DIALECT, ROW_COUNT, TRUNCATED, WARNING};

/// A statement as the service takes it.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its text.
    pub sql: String,
    /// Values of its parameters, as JSON.
    pub parameters: Vec<Value>,
    /// What a query about the server itself is told: the user, the settings.
    pub session: Value,
}

/// Rows as they come. Dropping it ends the statement.
pub struct Answer {
    /// Its columns.
    pub columns: Vec<Column>,
    /// What it lacks, or what else is to be known of it.
    pub notices: Vec<String>,
    /// What is still to come; nothing of rows that are ours.
    body: Option<Body>,
    decoder: StreamDecoder,
    /// Bytes that are not decoded yet.
    rest: Buffer,
    first: Option<RecordBatch>,
}

/// What a statement will give, before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its columns.
    pub columns: Vec<Column>,
    /// The types of its parameters, as far as they are known.
    pub parameters: Vec<Option<pgwire::api::Type>>,
}

#[derive(Deserialize)]
struct Described {
    columns: Vec<DescribedColumn>,
    parameters: Vec<Option<String>>,
}

#[derive(Deserialize)]
struct DescribedColumn {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
}

impl Answer {
    /// Asks, and waits until the columns are known.
    ///
    /// # Errors
    /// What came of the statement instead of rows.
    pub async fn ask(state: &Arc<State>, question: &Question) -> Result<Self, PgError> {
        let response = send(state, question, false).await?;
        let warning = response.headers().get(WARNING).and_then(|warning| warning.to_str().ok()).map(str::to_owned);
        let notices = warning.into_iter().chain(cut(response.headers())).collect();
        let mut answer = Answer {
            columns: Vec::new(),
            notices,
            body: Some(response.into_body()),
            decoder: StreamDecoder::new(),
            rest: Buffer::from(Vec::<u8>::new()),
            first: None,
        };
        answer.first = answer.decode().await?;
        let schema = answer.decoder.schema().ok_or_else(|| PgError::new(code::SYSTEM, "the answer has no columns"))?;
        answer.columns = schema.fields().iter().map(|field| Column::of_arrow(field)).collect();
        Ok(answer)
    }

    /// Rows of our own, all text.
    ///
    /// # Errors
    /// If a row does not have a value for each column.
    pub fn of_texts<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> Result<Self, PgError> {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        let columns = fields.iter().map(Column::of_arrow).collect();
        let values =
            (0..N).map(|n| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[n]))) });
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), values.collect());
        Ok(Answer {
            columns,
            notices: Vec::new(),
            body: None,
            decoder: StreamDecoder::new(),
            rest: Buffer::from(Vec::<u8>::new()),
            first: Some(batch.map_err(|error| PgError::new(code::SYSTEM, error.to_string()))?),
        })
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// Why the answer has broken off.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, PgError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.decode().await,
        }
    }

    async fn decode(&mut self) -> Result<Option<RecordBatch>, PgError> {
        let broken = |what: String| PgError::new(code::SYSTEM, format!("the answer cannot be read: {what}"));
        loop {
            if !self.rest.is_empty() {
                let batch = self.decoder.decode(&mut self.rest).map_err(|error| broken(error.to_string()))?;
                if let Some(batch) = batch {
                    return Ok(Some(batch));
                }
            }
            let Some(body) = &mut self.body else { return Ok(None) };
            match body.frame().await {
                None => self.body = None,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = Buffer::from(data),
                    Err(frame) => self.notices.extend(frame.trailers_ref().and_then(cut)),
                },
                Some(Err(_)) => {
                    let message = "the answer broke off: it took longer than sql.time_limit, or its reader has ended";
                    return Err(PgError::new(code::SYSTEM, message));
                }
            }
        }
    }
}

/// Asks what a statement takes and gives, without running it.
///
/// # Errors
/// What is wrong with it.
pub async fn describe(state: &Arc<State>, question: &Question) -> Result<Description, PgError> {
    let response = send(state, question, true).await?;
    let failed = |_| PgError::new(code::SYSTEM, "the description broke off");
    let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
    let described: Described = serde_json::from_slice(&body)
        .map_err(|error| PgError::new(code::SYSTEM, format!("the description cannot be read: {error}")))?;
    let columns = described.columns.iter().map(|column| Column::of_sql(&column.name, &column.type_name)).collect();
    let parameters = described.parameters.iter().map(|name| name.as_deref().map(of_sql)).collect();
    Ok(Description { columns, parameters })
}

async fn send(state: &Arc<State>, question: &Question, describe: bool) -> Result<Response<Body>, PgError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.apache.arrow.stream"));
    let session = HeaderValue::try_from(question.session.to_string());
    headers.insert(DIALECT, session.unwrap_or_else(|_| HeaderValue::from_static("{}")));
    if describe {
        headers.insert(DESCRIBE, HeaderValue::from_static("true"));
    }
    let body = json!({"sql": question.sql, "params": question.parameters});
    let limit = state.config.sql.max_statement.as_u64();
    if question.sql.len() as u64 > limit {
        let message = format!("the statement is longer than {limit} bytes (sql.max_statement)");
        return Err(PgError::new(code::LIMIT, message));
    }
    let response = statement::run(state, &headers, Bytes::from(body.to_string())).await;
    if response.status() == StatusCode::OK {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let outcome = response.extensions().get::<Outcome>().map(|outcome| outcome.0.clone()).unwrap_or_default();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Err(PgError::of_response(status, &outcome, &body, &question.sql))
}

/// Whether there were more rows than are given.
fn cut(headers: &HeaderMap) -> Option<String> {
    let is_cut = headers.get(TRUNCATED).is_some_and(|truncated| truncated == "true");
    let rows = headers.get(ROW_COUNT).and_then(|rows| rows.to_str().ok()).unwrap_or_default();
    is_cut.then(|| format!("there are more than these {rows} rows: sql.max_rows cuts them off"))
}
