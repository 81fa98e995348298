//! A connection after its login: messages in, answers out, one after the other.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::BytesMut;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use pgwire::messages::data::RowDescription;
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, NoticeResponse, ReadyForQuery, TransactionStatus,
};
use pgwire::messages::startup::ParameterStatus;
use pgwire::messages::{PgWireBackendMessage as Message, PgWireFrontendMessage as Request};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Question};
use super::cancel::Key;
use super::command::{self, Command, CopyOut};
use super::error::{PgError, code};
use super::extended::{Portal, Prepared};
use super::frame;
use super::rows::{Rows, format_of};
use super::settings::Settings;
use super::startup::fault;
use super::wire::{Wire, WireError};
use super::{Shared, copy, lexer};
use crate::net::server::Place;

/// Bytes of rows that are written into the buffer at once.
const CHUNK: usize = 64 << 10;

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

/// Why a statement has not come to its end.
#[derive(Debug)]
pub enum Break {
    /// The client is told this.
    Error(PgError),
    /// The connection cannot go on.
    End(WireError),
}

impl From<PgError> for Break {
    fn from(error: PgError) -> Self {
        Break::Error(error)
    }
}

impl From<WireError> for Break {
    fn from(error: WireError) -> Self {
        Break::End(error)
    }
}

/// What stops a statement.
#[derive(Debug, Clone)]
pub struct Stop {
    cancelled: CancellationToken,
    deadline: Option<(Instant, Duration)>,
    shutdown: CancellationToken,
}

/// Rows on their way to a client.
pub struct Running {
    /// Where they come from.
    pub answer: Answer,
    batch: Option<(RecordBatch, usize)>,
}

/// What rows become.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// `DataRow`, in these formats.
    Rows(&'a [i16]),
    /// `CopyData`.
    Copy(&'a CopyOut),
}

/// Rows that were sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// How many.
    pub rows: usize,
    /// There are no more.
    pub ended: bool,
}

impl Running {
    /// From the start of an answer.
    pub fn new(answer: Answer) -> Self {
        Running { answer, batch: None }
    }

    /// Sends rows, `limit` at most.
    ///
    /// # Errors
    /// Why not all of them could be sent.
    pub async fn send(
        &mut self,
        wire: &mut Wire,
        form: Form<'_>,
        limit: Option<usize>,
        stop: &Stop,
    ) -> Result<Sent, Break> {
        let mut rows = 0;
        while limit.is_none_or(|limit| rows < limit) {
            let (batch, at) = match &mut self.batch {
                Some((batch, at)) if *at < batch.num_rows() => (batch, at),
                _ => match stop.unless(wire, self.answer.next()).await? {
                    Some(batch) => {
                        self.batch = Some((batch, 0));
                        continue;
                    }
                    None => {
                        self.batch = None;
                        return Ok(Sent { rows, ended: true });
                    }
                },
            };
            let left = limit.map_or(usize::MAX, |limit| limit - rows);
            let put = put_rows(batch, *at, left, &self.answer, form, &mut wire.out);
            *at += put;
            rows += put;
            wire.flush_much().await?;
            if stop.cancelled.is_cancelled() {
                return Err(canceled().into());
            }
        }
        // Whether these were all: a client that has what it asked for asks again otherwise.
        Ok(Sent { rows, ended: false })
    }
}

/// Puts rows from `at` on until there is enough in the buffer. How many.
fn put_rows(batch: &RecordBatch, at: usize, left: usize, answer: &Answer, form: Form<'_>, out: &mut BytesMut) -> usize {
    let formats = match form {
        Form::Rows(formats) => formats,
        Form::Copy(_) => &[],
    };
    let rows = Rows::new(batch, &answer.columns, formats);
    let mut put = 0;
    while put < left && at + put < batch.num_rows() && out.len() < CHUNK {
        match form {
            Form::Rows(_) => rows.put(at + put, out),
            Form::Copy(options) => copy::put_row(options, &rows, at + put, out),
        }
        put += 1;
    }
    put
}

fn canceled() -> PgError {
    PgError::new(code::CANCELED, "canceling statement due to user request")
}

impl Stop {
    /// Does something for a statement, unless that is to stop, or the client leaves.
    ///
    /// # Errors
    /// Its own, or what has stopped it.
    pub async fn unless<T>(&self, wire: &mut Wire, work: impl Future<Output = Result<T, PgError>>) -> Result<T, Break> {
        let out_of_time = async {
            match self.deadline {
                Some((deadline, limit)) => {
                    tokio::time::sleep_until(deadline).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {
                Err(PgError::fatal(code::SHUTDOWN, "terminating connection: the store is stopping").into())
            }
            () = self.cancelled.cancelled() => Err(canceled().into()),
            done = work => done.map_err(Break::Error),
            limit = out_of_time => {
                let limit = humantime::format_duration(limit);
                let message = format!("canceling statement due to statement timeout ({limit})");
                Err(PgError::new(code::CANCELED, message).into())
            }
            () = wire.left() => Err(WireError::Io(std::io::ErrorKind::ConnectionReset.into()).into()),
        }
    }
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
        self.wire.limit = usize::try_from(statement).unwrap_or(usize::MAX).saturating_mul(4).saturating_add(CHUNK);
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

    /// The statements of one text, up to the first that fails.
    async fn simple(&mut self, text: &str) -> Result<(), Break> {
        let statements = lexer::statements(text);
        if statements.is_empty() {
            self.wire.put(&Message::EmptyQueryResponse(EmptyQueryResponse::new()))?;
        }
        for (at, statement) in statements {
            let shifted = |broken| match broken {
                Break::Error(error) => Break::Error(error.shifted(text[..at].chars().count())),
                end => end,
            };
            self.statement(statement).await.map_err(shifted)?;
        }
        Ok(())
    }

    async fn statement(&mut self, statement: &str) -> Result<(), Break> {
        let command = command::parse(statement)?;
        self.check_transaction(&command)?;
        let stop = self.begin();
        let done = self.run_simply(statement, command, &stop).await;
        self.key.end();
        done
    }

    async fn run_simply(&mut self, statement: &str, command: Command, stop: &Stop) -> Result<(), Break> {
        match command {
            Command::Copy(options) => {
                let question = self.question(&options.query, Vec::new(), &[]);
                let mut running = self.ask(&question, stop).await?;
                self.copy(&mut running, &options, stop).await
            }
            Command::Fetch(name, count) => {
                let mut portal = self.portals.remove(&name).ok_or_else(|| no_cursor(&name))?;
                let done = self.fetch(&mut portal, count, true, stop).await;
                self.portals.insert(name, portal);
                done
            }
            Command::Query | Command::Show(_) => {
                let mut running = match &command {
                    Command::Show(name) => Running::new(self.show(name.as_deref())?),
                    _ => {
                        let question = self.question(statement, Vec::new(), &[]);
                        self.ask(&question, stop).await?
                    }
                };
                self.put_columns(&running.answer, &[])?;
                let sent = running.send(&mut self.wire, Form::Rows(&[]), None, stop).await?;
                self.complete(&running, &tag(&command, statement, sent.rows))?;
                Ok(())
            }
            command => self.run_command(command),
        }
    }

    /// What is no query and gives no rows.
    pub(super) fn run_command(&mut self, command: Command) -> Result<(), Break> {
        let tag = match command {
            Command::Empty => {
                self.wire.put(&Message::EmptyQueryResponse(EmptyQueryResponse::new()))?;
                return Ok(());
            }
            Command::Set(name, value) => {
                self.set(&name, value.as_deref())?;
                "SET"
            }
            Command::Reset(None) => {
                self.settings.reset();
                "RESET"
            }
            Command::Reset(Some(name)) => {
                self.set(&name, None)?;
                "RESET"
            }
            Command::Begin(tag) => {
                match self.transaction {
                    Transaction::Idle => self.transaction = Transaction::Open,
                    _ => self.notice("WARNING", "25001", "there is already a transaction in progress")?,
                }
                tag
            }
            Command::Commit | Command::Rollback => {
                if self.transaction == Transaction::Idle {
                    self.notice("WARNING", "25P01", "there is no transaction in progress")?;
                }
                let failed = self.transaction == Transaction::Failed;
                self.transaction = Transaction::Idle;
                self.end_of_portals();
                if command == Command::Commit && !failed { "COMMIT" } else { "ROLLBACK" }
            }
            Command::RollbackTo => {
                if self.transaction == Transaction::Failed {
                    self.transaction = Transaction::Open;
                }
                "ROLLBACK"
            }
            Command::Nothing(tag) => tag,
            Command::Discard(tag) => {
                if tag == "DISCARD ALL" {
                    self.prepared.clear();
                    self.portals.clear();
                    self.settings.reset();
                }
                tag
            }
            Command::Deallocate(None) => {
                self.prepared.clear();
                "DEALLOCATE ALL"
            }
            Command::Deallocate(Some(name)) => {
                self.prepared.remove(&name).ok_or_else(|| super::extended::no_statement(&name))?;
                "DEALLOCATE"
            }
            Command::Declare(name, query) => {
                let held = self.transaction != Transaction::Idle;
                if self.portals.contains_key(&name) {
                    let message = format!("cursor \"{name}\" already exists");
                    return Err(PgError::new(code::DUPLICATE_CURSOR, message).into());
                }
                let portal = Portal::cursor(query, held);
                self.add_portal(name, portal)?;
                "DECLARE CURSOR"
            }
            Command::Close(None) => {
                self.portals.clear();
                "CLOSE CURSOR ALL"
            }
            Command::Close(Some(name)) => {
                self.portals.remove(&name).ok_or_else(|| no_cursor(&name))?;
                "CLOSE CURSOR"
            }
            Command::Query | Command::Show(_) | Command::Copy(_) | Command::Fetch(..) => {
                return Err(PgError::new(code::SYSTEM, "a statement with rows was taken for one without").into());
            }
        };
        self.put_tag(tag)
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Break> {
        let changed = self.settings.set(name, value)?;
        if let Some(notice) = changed.notice {
            self.notice("WARNING", "01000", &notice)?;
        }
        if let Some((name, value)) = changed.report {
            self.wire.put(&Message::ParameterStatus(ParameterStatus::new(name.to_owned(), value)))?;
        }
        Ok(())
    }

    /// The answer to `SHOW`.
    pub(super) fn show(&self, name: Option<&str>) -> Result<Answer, PgError> {
        let Some(name) = name else {
            let rows: Vec<[String; 3]> =
                self.settings.all().map(|(name, value)| [name.to_owned(), value.to_owned(), String::new()]).collect();
            return Answer::of_texts(["name", "setting", "description"], &rows);
        };
        let value = self.settings.get(name).ok_or_else(|| {
            let mut error = PgError::new(code::NO_SETTING, format!("unrecognized configuration parameter \"{name}\""));
            error.hint = Some("SHOW TABLES lists the tables, SHOW ALL the parameters".to_owned());
            error
        })?;
        Answer::of_texts([name], &[[value.to_owned()]])
    }

    /// In a transaction that has failed, nothing but its end is taken.
    pub(super) fn check_transaction(&self, command: &Command) -> Result<(), PgError> {
        let ends = matches!(command, Command::Commit | Command::Rollback | Command::RollbackTo | Command::Empty);
        if self.transaction == Transaction::Failed && !ends {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(PgError::new(code::FAILED_TRANSACTION, message));
        }
        Ok(())
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

    /// Rows of a cursor or portal, for `FETCH`.
    pub(super) async fn fetch(
        &mut self,
        portal: &mut Portal,
        count: Option<usize>,
        describe: bool,
        stop: &Stop,
    ) -> Result<(), Break> {
        if portal.running.is_none() && !portal.ended {
            let question = self.question(&portal.sql, portal.values.clone(), &portal.types);
            portal.running = Some(self.ask(&question, stop).await?);
        }
        let Some(running) = &mut portal.running else { return self.put_tag("FETCH 0") };
        if describe {
            self.put_columns(&running.answer, &portal.formats)?;
        }
        let sent = running.send(&mut self.wire, Form::Rows(&portal.formats), count, stop).await?;
        self.notices(&portal.running)?;
        self.put_tag(&format!("FETCH {}", sent.rows))
    }

    pub(super) async fn copy(&mut self, running: &mut Running, options: &CopyOut, stop: &Stop) -> Result<(), Break> {
        let columns = i16::try_from(running.answer.columns.len()).unwrap_or(i16::MAX);
        let formats = vec![0; running.answer.columns.len()];
        self.wire.put(&Message::CopyOutResponse(CopyOutResponse::new(0, columns, formats)))?;
        copy::put_header(options, &running.answer.columns, &mut self.wire.out);
        let sent = running.send(&mut self.wire, Form::Copy(options), None, stop).await?;
        self.wire.put(&Message::CopyDone(CopyDone::new()))?;
        self.complete(running, &format!("COPY {}", sent.rows))
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

    fn notices(&mut self, running: &Option<Running>) -> Result<(), Break> {
        let notices = running.as_ref().map(|running| running.answer.notices.clone()).unwrap_or_default();
        for notice in notices {
            self.notice("WARNING", "01000", &notice)?;
        }
        Ok(())
    }

    pub(super) fn put_tag(&mut self, tag: &str) -> Result<(), Break> {
        Ok(self.wire.put(&Message::CommandComplete(CommandComplete::new(tag.to_owned())))?)
    }

    fn notice(&mut self, severity: &'static str, code: &'static str, message: &str) -> Result<(), Break> {
        let fields = PgError { severity, ..PgError::new(code, message) }.response().fields;
        Ok(self.wire.put(&Message::NoticeResponse(NoticeResponse::new(fields)))?)
    }

    /// Portals end with their transaction.
    fn end_of_portals(&mut self) {
        if self.transaction == Transaction::Idle {
            self.portals.retain(|_, portal| portal.outlives);
        }
    }
}

pub(super) fn no_cursor(name: &str) -> PgError {
    PgError::new(code::NO_CURSOR, format!("cursor \"{name}\" does not exist"))
}

/// What a client is told of a statement with rows at its end.
pub(super) fn tag(command: &Command, statement: &str, rows: usize) -> String {
    match command {
        Command::Show(_) => "SHOW".to_owned(),
        _ if lexer::Lexer::new(statement).next().is_some_and(|word| word.is("explain")) => "EXPLAIN".to_owned(),
        _ => format!("SELECT {rows}"),
    }
}
