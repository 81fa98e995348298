//! Utility commands, as PostgreSQL calls statements that are no queries: settings, transactions, what belongs to
//! prepared statements and cursors.

use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::response::EmptyQueryResponse;
use pgwire::messages::startup::ParameterStatus;

use super::answer::Answer;
use super::command::Command;
use super::cursor::no_cursor;
use super::error::{PgError, code};
use super::extended::{Portal, no_statement};
use super::running::Break;
use super::session::{Session, Transaction};
use super::settings::shown_name;

impl Session {
    /// What is no query, and asks no reader.
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
                self.prepared.remove(&name).ok_or_else(|| no_statement(&name))?;
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
            Command::Query
            | Command::Show(_)
            | Command::Prepare(..)
            | Command::Execute(..)
            | Command::Copy(_)
            | Command::Fetch(..) => {
                return Err(PgError::new(
                    code::SYSTEM,
                    "a statement that asks a reader was taken for one that does not",
                )
                .into());
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
            let rows: Vec<[String; 3]> = self
                .settings
                .all()
                .map(|(name, value)| [shown_name(name).to_owned(), value.to_owned(), String::new()])
                .collect();
            return Answer::of_texts(["name", "setting", "description"], &rows);
        };
        let value = self.settings.get(name).ok_or_else(|| {
            let mut error = PgError::new(code::NO_SETTING, format!("unrecognized configuration parameter \"{name}\""));
            error.hint = Some("SHOW TABLES lists the tables, SHOW ALL the parameters".to_owned());
            error
        })?;
        Answer::of_texts([shown_name(name)], &[[value.to_owned()]])
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
}
