//! A connection after its login: messages in, answers out, one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use pgwire::messages::data::RowDescription;
use pgwire::messages::response::{CommandComplete, NoticeResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::{PgWireBackendMessage as Message, PgWireFrontendMessage as Request};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Question};
use super::cancel::Key;
use super::command::Command;
use super::error::{PgError, code};
use super::extended::{Portal, Prepared};
use super::frame;
use super::rows::format_of;
use super::running::{Break, Running, Stop};
use super::settings::Settings;
use super::startup::fault;
use super::wire::{Wire, WireError};
use super::{Shared, lexer};
use crate::net::server::Place;

/// Bytes of a message beside its statement: names, parameters.
const BESIDE: usize = 64 << 10;

/// See the module.
pub struct Session {
    pub(super) wire: Wire,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Settings,
    pub(super) key: Key,
    pub(super) transaction: Transaction,
    pub(super) prepared: HashMap<String, Arc<Prepared>>,
    pub(super) portals: HashMap<String, Portal>,
    /// After an error of the extended protocol, up to `Sync`.
    pub(super) skipping: bool,
    /// The server stops.
    pub(super) shutdown: CancellationToken,
}

/// Where a connection is in a transaction. It has no consequence but that clients are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// In none.
    Idle,
    /// In one.
    Open,
    /// In one in which something went wrong.
    Failed,
}

impl Session {
    /// Of a client that has come in.
    pub fn new(wire: Wire, shared: Arc<Shared>, settings: Settings, key: Key) -> Self {
        Session {
            wire,
            shared,
            settings,
            key,
            transaction: Transaction::Idle,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
            shutdown: CancellationToken::new(),
        }
    }

    /// Serves it until it leaves, or has to.
    ///
    /// # Errors
    /// Why the connection ended, if not by the client's wish.
    pub async fn run(mut self, place: &Place, shutdown: &CancellationToken) -> Result<(), String> {
        self.shutdown = shutdown.clone();
        // JSON may take more bytes for the same statement, and there are the parameters.
        let statement = self.shared.state.config.sql.max_statement.as_u64();
        self.wire.limit = usize::try_from(statement).unwrap_or(usize::MAX).saturating_mul(4).saturating_add(BESIDE);
        let ended = match self.ready().await {
            Ok(()) => self.serve(place).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(None) => Ok(()),
            Ok(Some(last)) => {
                let message = last.message.clone();
                self.leave(&last).await;
                Err(message)
            }
            Err(error @ (WireError::Frame(_) | WireError::Encode(_))) => {
                let last = fault(&error);
                self.leave(&last).await;
                Err(error.to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn leave(mut self, last: &PgError) {
        if self.wire.put_error(last).is_ok() && self.wire.flush().await.is_ok() {
            self.wire.close().await;
        }
    }

    /// What the client is told at the end, if we end it.
    async fn serve(&mut self, place: &Place) -> Result<Option<PgError>, WireError> {
        let shutdown = self.shutdown.clone();
        loop {
            self.wire.rest();
            let message = tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    return Ok(Some(PgError::fatal(code::SHUTDOWN, "terminating connection: the store is stopping")));
                }
                () = place.gives_way() => {
                    let message = "terminating connection: it had nothing to do, and another client needed its place";
                    return Ok(Some(PgError::fatal("57P05", message)));
                }
                message = self.wire.next() => message?,
            };
            let Some((kind, message)) = message else { return Ok(None) };
            let _turn = place.begin();
            let request = match frame::decode(kind, message) {
                Ok(request) => request,
                Err(error) => return Err(error.into()),
            };
            if matches!(request, Request::Terminate(_)) {
                return Ok(None);
            }
            if let Some(last) = Box::pin(self.request(request)).await? {
                return Ok(Some(last));
            }
        }
    }

    /// Answers one message. What the client is told at the end, if we end it.
    async fn request(&mut self, request: Request) -> Result<Option<PgError>, WireError> {
        let done = match request {
            Request::Query(query) => {
                self.skipping = false;
                let done = self.simple(&query.query).await;
                match self.settle(done)? {
                    Some(last) => return Ok(Some(last)),
                    None => return self.ready().await.map(|()| None),
                }
            }
            Request::Sync(_) => {
                self.skipping = false;
                self.end_of_portals();
                return self.ready().await.map(|()| None);
            }
            // What belongs to a COPY in is for nothing: there is none.
            Request::CopyData(_) | Request::CopyDone(_) | Request::CopyFail(_) => Ok(()),
            _ if self.skipping => Ok(()),
            Request::Flush(_) => self.wire.flush().await.map_err(Break::End),
            Request::Parse(parse) => self.parse(&parse),
            Request::Bind(bind) => self.bind(bind).await,
            Request::Describe(describe) => self.describe(&describe).await,
            Request::Execute(execute) => self.execute(&execute).await,
            Request::Close(close) => self.close(&close),
            _ => Err(PgError::fatal(code::PROTOCOL, "a message that has no place here").into()),
        };
        let failed = done.is_err();
        let last = self.settle(done)?;
        self.skipping |= failed;
        // Who sends on and on without Sync is answered meanwhile.
        self.wire.flush_much().await?;
        Ok(last)
    }

    /// Tells the client of an error. It comes back if it ends the connection.
    fn settle(&mut self, done: Result<(), Break>) -> Result<Option<PgError>, WireError> {
        match done {
            Ok(()) => Ok(None),
            Err(Break::End(error)) => Err(error),
            Err(Break::Error(error)) if error.severity == "FATAL" => Ok(Some(error)),
            Err(Break::Error(error)) => {
                self.wire.put_error(&error)?;
                if self.transaction == Transaction::Open {
                    self.transaction = Transaction::Failed;
                }
                Ok(None)
            }
        }
    }

    /// Tells the client that it may go on.
    async fn ready(&mut self) -> Result<(), WireError> {
        let status = match self.transaction {
            Transaction::Idle => TransactionStatus::Idle,
            Transaction::Open => TransactionStatus::Transaction,
            Transaction::Failed => TransactionStatus::Error,
        };
        self.wire.put(&Message::ReadyForQuery(ReadyForQuery::new(status)))?;
        self.wire.flush().await
    }

    /// A statement begins: what stops it from now on.
    pub(super) fn begin(&self) -> Stop {
        let limit = self.settings.statement_timeout();
        Stop {
            cancelled: self.key.begin(),
            deadline: limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit))),
            shutdown: self.shutdown.clone(),
        }
    }

    /// A statement for the service. `types` are DuckDB's names of the types that the parameters have by the client.
    pub(super) fn question(
        &self,
        sql: &str,
        parameters: Vec<serde_json::Value>,
        types: &[Option<&'static str>],
    ) -> Question {
        let session = json!({
            "user": self.settings.get("session_authorization"),
            "database": self.settings.database,
            "number": self.key.number,
            "types": types,
        });
        Question { sql: sql.to_owned(), parameters, session }
    }

    pub(super) async fn ask(&mut self, question: &Question, stop: &Stop) -> Result<Running, Break> {
        let state = Arc::clone(&self.shared.state);
        let answer = stop.unless(&mut self.wire, Answer::ask(&state, question)).await?;
        Ok(Running::new(answer))
    }

    /// The columns of an answer, as `RowDescription`.
    pub(super) fn put_columns(&mut self, answer: &Answer, formats: &[i16]) -> Result<(), WireError> {
        let fields = answer.columns.iter().enumerate().map(|(n, column)| column.describe(format_of(formats, n)));
        self.wire.put(&Message::RowDescription(RowDescription::new(fields.collect())))
    }

    /// The end of an answer: what is to be known of it, and its tag.
    pub(super) fn complete(&mut self, running: &Running, tag: &str) -> Result<(), Break> {
        for notice in &running.answer.notices {
            self.notice("WARNING", "01000", notice)?;
        }
        self.put_tag(tag)
    }

    pub(super) fn put_tag(&mut self, tag: &str) -> Result<(), Break> {
        Ok(self.wire.put(&Message::CommandComplete(CommandComplete::new(tag.to_owned())))?)
    }

    pub(super) fn notice(&mut self, severity: &'static str, code: &'static str, message: &str) -> Result<(), Break> {
        let fields = PgError { severity, ..PgError::new(code, message) }.response().fields;
        Ok(self.wire.put(&Message::NoticeResponse(NoticeResponse::new(fields)))?)
    }
}

/// What a client is told of a statement with rows at its end.
pub(super) fn tag(command: &Command, statement: &str, rows: usize) -> String {
    match command {
        Command::Show(_) => "SHOW".to_owned(),
        _ if lexer::Lexer::new(statement).next().is_some_and(|word| word.is("explain")) => "EXPLAIN".to_owned(),
        _ => format!("SELECT {rows}"),
    }
}
