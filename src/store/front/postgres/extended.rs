//! The extended protocol: prepared statements, and portals, whose rows are asked for in parts.
//!
//! A statement is not looked at before it runs or is described. A portal that is described runs from then on:
//! its columns are those of the answer, and nearly always its rows are asked for next.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pgwire::api::Type;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::data::{NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended,
};
use serde_json::Value;

use super::answer::{self, Description};
use super::command::{self, Command};
use super::cursor::no_cursor;
use super::error::{PgError, code};
use super::lexer;
use super::parameters;
use super::rows::BINARY;
use super::running::{Break, Form, Running, Stop};
use super::session::{Session, tag};
use super::types::duckdb_name;

/// Prepared statements of one connection, and portals.
const MOST: usize = 2_000;

/// Bytes of the texts of all prepared statements of one connection.
const MOST_BYTES: usize = 8 << 20;

/// A prepared statement.
#[derive(Debug)]
pub struct Prepared {
    sql: String,
    command: Command,
    /// As many as there are parameters; nothing where the client has left it open.
    types: Vec<Option<Type>>,
    /// Once it was asked for.
    description: Mutex<Option<Arc<Description>>>,
}

/// A statement with the values of its parameters.
pub struct Portal {
    /// Its text.
    pub sql: String,
    command: Command,
    /// Values of its parameters.
    pub values: Vec<Value>,
    /// DuckDB's names of their types.
    pub types: Vec<Option<&'static str>>,
    /// Formats of its columns.
    pub formats: Vec<i16>,
    /// Once it runs.
    pub running: Option<Running>,
    /// It has run.
    pub ended: bool,
    /// It does not end with its transaction.
    pub outlives: bool,
}

impl Portal {
    /// Of `DECLARE`. Outside of a transaction it is one `WITH HOLD`.
    pub fn cursor(sql: String, in_transaction: bool) -> Self {
        Portal {
            sql,
            command: Command::Query,
            values: Vec::new(),
            types: Vec::new(),
            formats: Vec::new(),
            running: None,
            ended: false,
            outlives: !in_transaction,
        }
    }
}

/// There is no such statement.
pub fn no_statement(name: &str) -> PgError {
    PgError::new(code::NO_STATEMENT, format!("prepared statement \"{name}\" does not exist"))
}

fn name_of(name: &Option<String>) -> String {
    name.clone().unwrap_or_default()
}

impl Session {
    pub(super) fn parse(&mut self, parse: &Parse) -> Result<(), Break> {
        let (sql, command) = match lexer::statements(&parse.query)[..] {
            [] => (String::new(), Command::Empty),
            // Places in it stay where they are.
            [(at, one)] => self.resolved(&parse.query[..at + one.len()], command::parse(one)?)?,
            _ => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(PgError::new(code::SYNTAX, message).into());
            }
        };
        self.check_transaction(&command)?;
        self.prepare(name_of(&parse.name), sql, command, &parse.type_oids)?;
        Ok(self.wire.put(&Message::ParseComplete(ParseComplete::new()))?)
    }

    /// Keeps a prepared statement. The numbers are those of the types that the client gave its parameters.
    pub(super) fn prepare(
        &mut self,
        name: String,
        sql: String,
        command: Command,
        type_oids: &[u32],
    ) -> Result<(), PgError> {
        if !name.is_empty() && self.prepared.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(PgError::new(code::DUPLICATE_STATEMENT, message));
        }
        let bytes: usize = self.prepared.values().map(|prepared| prepared.sql.len()).sum();
        if self.prepared.len() >= MOST || bytes + sql.len() > MOST_BYTES {
            let message = "too many prepared statements on one connection; close some";
            return Err(PgError::new(code::LIMIT, message));
        }
        let count = lexer::parameters(&sql).max(type_oids.len());
        if count > usize::from(u16::MAX) {
            return Err(PgError::new(code::LIMIT, "more than 65535 parameters"));
        }
        let kind = |n: usize| type_oids.get(n).filter(|oid| **oid != 0).and_then(|oid| Type::from_oid(*oid));
        let types = (0..count).map(|n| kind(n).filter(|kind| *kind != Type::UNKNOWN)).collect();
        let prepared = Prepared { sql, command, types, description: Mutex::default() };
        self.prepared.insert(name, Arc::new(prepared));
        Ok(())
    }

    /// `PREPARE`, which finds out at once whether the statement may run.
    pub(super) async fn prepare_by_statement(&mut self, name: String, sql: String) -> Result<(), Break> {
        self.prepare(name.clone(), sql, Command::Query, &[])?;
        let prepared = self.prepared.get(&name).cloned().ok_or_else(|| no_statement(&name))?;
        if let Err(error) = self.description(&prepared).await {
            self.prepared.remove(&name);
            return Err(error);
        }
        self.put_tag("PREPARE")
    }

    /// The statement that `EXECUTE` stands for; any other is itself.
    pub(super) fn resolved(&self, sql: &str, command: Command) -> Result<(String, Command), PgError> {
        let Command::Execute(name, values) = command else { return Ok((sql.to_owned(), command)) };
        let prepared = self.prepared.get(&name).ok_or_else(|| no_statement(&name))?;
        let limit = usize::try_from(self.shared.state.config.sql.max_statement.as_u64()).unwrap_or(usize::MAX);
        let sql = command::executed(&name, &prepared.sql, prepared.types.len(), &values, limit)?;
        Ok((sql, prepared.command.clone()))
    }

    pub(super) async fn bind(&mut self, bind: Bind) -> Result<(), Break> {
        let name = name_of(&bind.statement_name);
        let prepared = Arc::clone(self.prepared.get(&name).ok_or_else(|| no_statement(&name))?);
        let (given, needed) = (bind.parameters.len(), prepared.types.len());
        if given != needed {
            let message = format!(
                "bind message supplies {given} parameters, but prepared statement \"{name}\" requires {needed}"
            );
            return Err(PgError::new(code::PROTOCOL, message).into());
        }
        let formats = bind.parameter_format_codes.len();
        if formats > 1 && formats != given {
            let message = format!("bind message has {formats} parameter formats but {given} parameters");
            return Err(PgError::new(code::PROTOCOL, message).into());
        }
        let all = bind.parameter_format_codes.iter().chain(&bind.result_column_format_codes);
        if let Some(format) = all.into_iter().find(|format| !(0..=BINARY).contains(*format)) {
            return Err(PgError::new(code::PROTOCOL, format!("unsupported format code: {format}")).into());
        }
        let mut types = prepared.types.clone();
        // Only its type says what bytes are, and whether braces are those of an array.
        let is_array = |(kind, value): (&Option<Type>, &Option<Bytes>)| {
            kind.is_none() && value.as_ref().is_some_and(|value| value.starts_with(b"{"))
        };
        let is_binary = types.contains(&None) && bind.parameter_format_codes.contains(&BINARY);
        if is_binary || types.iter().zip(&bind.parameters).any(is_array) {
            let description = self.description(&prepared).await?;
            types = full(&types, &description);
        }
        let values = parameters::values(&bind.parameters, &bind.parameter_format_codes, &types)?;
        let portal = Portal {
            sql: prepared.sql.clone(),
            command: prepared.command.clone(),
            values,
            types: types.iter().map(|kind| kind.as_ref().and_then(duckdb_name)).collect(),
            formats: bind.result_column_format_codes,
            running: None,
            ended: false,
            outlives: false,
        };
        let portal_name = name_of(&bind.portal_name);
        if !portal_name.is_empty() && self.portals.contains_key(&portal_name) {
            let message = format!("cursor \"{portal_name}\" already exists");
            return Err(PgError::new(code::DUPLICATE_CURSOR, message).into());
        }
        self.add_portal(portal_name, portal)?;
        Ok(self.wire.put(&Message::BindComplete(BindComplete::new()))?)
    }

    pub(super) fn add_portal(&mut self, name: String, portal: Portal) -> Result<(), PgError> {
        if self.portals.len() >= MOST {
            return Err(PgError::new(code::LIMIT, "too many cursors on one connection; close some"));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    pub(super) async fn describe(&mut self, describe: &Describe) -> Result<(), Break> {
        let name = name_of(&describe.name);
        if describe.target_type == b'P' {
            return self.describe_portal(&name).await;
        }
        let prepared = Arc::clone(self.prepared.get(&name).ok_or_else(|| no_statement(&name))?);
        let (types, columns) = match &prepared.command {
            Command::Query => {
                let description = self.description(&prepared).await?;
                (full(&prepared.types, &description), Some(description.columns.clone()))
            }
            Command::Show(name) => (prepared.types.clone(), Some(self.show(name.as_deref())?.columns)),
            _ => (prepared.types.clone(), None),
        };
        let oids = types.iter().map(|kind| kind.as_ref().unwrap_or(&Type::TEXT).oid()).collect();
        self.wire.put(&Message::ParameterDescription(ParameterDescription::new(oids)))?;
        match columns {
            // Whether in text or binary is not known before the values are.
            Some(columns) => {
                let fields = columns.iter().map(|column| column.describe(0)).collect();
                self.wire.put(&Message::RowDescription(RowDescription::new(fields)))?;
            }
            None => self.wire.put(&Message::NoData(NoData::new()))?,
        }
        Ok(())
    }

    async fn describe_portal(&mut self, name: &str) -> Result<(), Break> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
        let started = self.start(&mut portal).await;
        match (&portal.running, started.is_ok()) {
            (Some(running), true) => self.put_columns(&running.answer, &portal.formats)?,
            (None, true) => self.wire.put(&Message::NoData(NoData::new()))?,
            (_, false) => {}
        }
        self.portals.insert(name.to_owned(), portal);
        started
    }

    /// Runs a portal up to its first row, if it has rows.
    async fn start(&mut self, portal: &mut Portal) -> Result<(), Break> {
        if portal.running.is_some() || portal.ended {
            return Ok(());
        }
        self.check_transaction(&portal.command)?;
        portal.running = match &portal.command {
            Command::Show(name) => Some(Running::new(self.show(name.as_deref())?)),
            Command::Query => {
                let stop = self.begin();
                let question = self.question(&portal.sql, portal.values.clone(), &portal.types);
                let asked = self.ask(&question, &stop).await;
                self.key.end();
                Some(asked?)
            }
            _ => None,
        };
        Ok(())
    }

    pub(super) async fn execute(&mut self, execute: &Execute) -> Result<(), Break> {
        let name = name_of(&execute.name);
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_cursor(&name))?;
        let stop = self.begin();
        let done = self.execute_portal(&mut portal, execute.max_rows, &stop).await;
        self.key.end();
        // A statement that ends its transaction ends its portal.
        if done.is_ok() {
            self.portals.insert(name, portal);
        }
        done
    }

    async fn execute_portal(&mut self, portal: &mut Portal, max_rows: i32, stop: &Stop) -> Result<(), Break> {
        self.check_transaction(&portal.command)?;
        match portal.command.clone() {
            Command::Query | Command::Show(_) => {}
            Command::Copy(options) => {
                let question = self.question(&options.query, portal.values.clone(), &portal.types);
                let mut running = self.ask(&question, stop).await?;
                return self.copy(&mut running, &options, stop).await;
            }
            Command::Prepare(name, sql) => return self.prepare_by_statement(name, sql).await,
            Command::Fetch(cursor, count) => {
                let mut fetched = self.portals.remove(&cursor).ok_or_else(|| no_cursor(&cursor))?;
                fetched.formats.clone_from(&portal.formats);
                let done = self.fetch(&mut fetched, count, false, stop).await;
                self.portals.insert(cursor, fetched);
                return done;
            }
            Command::Declare(name, query) => {
                self.run_command(Command::Declare(name.clone(), query))?;
                // Its parameters were those of the statement that declares it.
                if let Some(cursor) = self.portals.get_mut(&name) {
                    cursor.values.clone_from(&portal.values);
                    cursor.types.clone_from(&portal.types);
                }
                return Ok(());
            }
            command => return self.run_command(command),
        }
        self.start(portal).await?;
        let Some(running) = &mut portal.running else { return self.put_tag(&tag(&portal.command, &portal.sql, 0)) };
        let limit = usize::try_from(max_rows).ok().filter(|limit| *limit > 0);
        let sent = running.send(&mut self.wire, Form::Rows(&portal.formats), limit, stop).await?;
        if !sent.ended {
            return Ok(self.wire.put(&Message::PortalSuspended(PortalSuspended::new()))?);
        }
        portal.ended = true;
        // Its reader is free from here on.
        match portal.running.take() {
            Some(running) => self.complete(&running, &tag(&portal.command, &portal.sql, sent.rows)),
            None => Ok(()),
        }
    }

    pub(super) fn close(&mut self, close: &Close) -> Result<(), Break> {
        let name = name_of(&close.name);
        if close.target_type == b'P' {
            self.portals.remove(&name);
        } else {
            self.prepared.remove(&name);
        }
        Ok(self.wire.put(&Message::CloseComplete(CloseComplete::new()))?)
    }

    async fn description(&mut self, prepared: &Prepared) -> Result<Arc<Description>, Break> {
        if let Some(known) = &*prepared.description.lock() {
            return Ok(Arc::clone(known));
        }
        let types: Vec<_> = prepared.types.iter().map(|kind| kind.as_ref().and_then(duckdb_name)).collect();
        let nothing = vec![Value::Null; prepared.types.len()];
        let question = self.question(&prepared.sql, nothing, &types);
        let state = Arc::clone(&self.shared.state);
        let stop = self.begin();
        let described = stop.unless(&mut self.wire, answer::describe(&state, &question)).await;
        self.key.end();
        let description = Arc::new(described?);
        *prepared.description.lock() = Some(Arc::clone(&description));
        Ok(description)
    }
}

/// The types of parameters: the client's, else what the statement wants.
fn full(types: &[Option<Type>], description: &Description) -> Vec<Option<Type>> {
    let wanted = |n: usize| description.parameters.get(n).cloned().flatten();
    types.iter().enumerate().map(|(n, kind)| kind.clone().or_else(|| wanted(n))).collect()
}
