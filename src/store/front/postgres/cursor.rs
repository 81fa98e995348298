//! Cursors: rows of a query that are fetched in parts. A portal of the extended protocol is one, too.

use super::error::{PgError, code};
use super::extended::Portal;
use super::running::{Break, Form, Running, Stop};
use super::session::{Session, Transaction};

impl Session {
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

    fn notices(&mut self, running: &Option<Running>) -> Result<(), Break> {
        let notices = running.as_ref().map(|running| running.answer.notices.clone()).unwrap_or_default();
        for notice in notices {
            self.notice("WARNING", "01000", &notice)?;
        }
        Ok(())
    }

    /// Portals end with their transaction.
    pub(super) fn end_of_portals(&mut self) {
        if self.transaction == Transaction::Idle {
            self.portals.retain(|_, portal| portal.outlives);
        }
    }
}

/// There is no such cursor.
pub fn no_cursor(name: &str) -> PgError {
    PgError::new(code::NO_CURSOR, format!("cursor \"{name}\" does not exist"))
}
