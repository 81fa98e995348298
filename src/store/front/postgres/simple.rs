//! The simple protocol: a text with statements, each of which runs to its end.

use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::response::EmptyQueryResponse;

use super::command::{self, Command};
use super::cursor::no_cursor;
use super::lexer;
use super::running::{Break, Form, Running, Stop};
use super::session::{Session, tag};

impl Session {
    /// The statements of one text, up to the first that fails.
    pub(super) async fn simple(&mut self, text: &str) -> Result<(), Break> {
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
        let (statement, command) = self.resolved(statement, command::parse(statement)?)?;
        self.check_transaction(&command)?;
        let stop = self.begin();
        let done = self.run_simply(&statement, command, &stop).await;
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
            Command::Prepare(name, sql) => self.prepare_by_statement(name, sql).await,
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
}
