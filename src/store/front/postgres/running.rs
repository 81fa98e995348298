//! Rows on their way to a client, and what stops them.

use std::future::Future;
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::BytesMut;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::command::copy::{CopyFormat, CopyOut};
use super::copy;
use super::error::{PgError, code};
use super::rows::{BINARY, Rows};
use super::wire::{Wire, WireError};
use crate::duration::Written;

/// Bytes of rows that are written into the buffer at once.
const CHUNK: usize = 64 << 10;

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
    /// A request to cancel it has come.
    pub cancelled: CancellationToken,
    /// When it has taken too long, and how long it may take.
    pub deadline: Option<(Instant, Duration)>,
    /// The server stops.
    pub shutdown: CancellationToken,
}

/// Rows on their way to a client.
pub struct Running {
    /// Where they come from.
    pub answer: Answer,
    batch: Option<(RecordBatch, usize)>,
    /// Rows have been put.
    begun: bool,
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
        Running { answer, batch: None, begun: false }
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
            let put = match form {
                Form::Copy(options) if options.format == CopyFormat::Binary && !self.begun => {
                    let rows = Rows::new(batch, &self.answer.columns, &[BINARY], b'd');
                    copy::put_first(&rows, *at, &mut wire.out)
                }
                _ => put_rows(batch, *at, left, &self.answer, form, &mut wire.out),
            };
            self.begun = true;
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
    let (formats, message, lines) = match form {
        Form::Rows(formats) => (formats, b'D', None),
        Form::Copy(options) if options.format == CopyFormat::Binary => (&[BINARY][..], b'd', None),
        Form::Copy(options) => (&[][..], b'd', Some(options)),
    };
    let rows = Rows::new(batch, &answer.columns, formats, message);
    let all = at..batch.num_rows().min(at.saturating_add(left));
    let Some(options) = lines else { return rows.put(all, CHUNK, out) };
    let mut put = 0;
    for row in all {
        if out.len() >= CHUNK {
            break;
        }
        copy::put_row(options, &rows, row, out);
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
                let limit = Written(limit);
                let message = format!("canceling statement due to statement timeout ({limit})");
                Err(PgError::new(code::CANCELED, message).into())
            }
            () = wire.left() => Err(WireError::Io(std::io::ErrorKind::ConnectionReset.into()).into()),
        }
    }
}
