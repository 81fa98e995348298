//! Dead letters of the store that are sent again.
//!
//! The engine knows a letter by its identity and stores it once, however often it comes. So a letter
//! that it has taken stays until it is sealed, and goes again to an engine that has ended before. Once it
//! is deleted, the engine is told so and forgets it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::session::SessionError;
use crate::quarantine::dead_letters::{DeadLetterError, DeadLetterId, DeadLetters, Head, Retried};
use crate::signal::Batch;
use crate::store::protocol::{Frame, Resend, Resent};

/// Said of a letter whose engine has ended before it answered.
const GONE: &str = "the store has ended while it took it; if it has it, it will not take it twice";

/// Sends dead letters again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resender {
    requests: mpsc::Sender<Request>,
}

/// The other end of a [`Resender`].
#[derive(Debug)]
pub struct Requests(mpsc::Receiver<Request>);

/// A letter that is to be sent.
#[derive(Debug)]
struct Request {
    id: DeadLetterId,
    identity: Uuid,
    batch: Batch,
    reply: oneshot::Sender<Retried>,
}

impl Resender {
    /// With its other end.
    pub fn new() -> (Self, Requests) {
        let (requests, waiting) = mpsc::channel(1);
        (Resender { requests }, Requests(waiting))
    }

    /// Sends one; answers when the store has it, or cannot have it.
    pub async fn send(&self, id: &DeadLetterId, head: &Head, batch: Batch) -> Retried {
        let (reply, answer) = oneshot::channel();
        let request = Request { id: id.clone(), identity: head.identity(id), batch, reply };
        if self.requests.send(request).await.is_err() {
            return Retried::Later("nothing is sent to the store any more".to_owned());
        }
        answer.await.unwrap_or_else(|_| Retried::Later(GONE.to_owned()))
    }
}

/// What outlives a connection.
#[derive(Debug)]
pub(super) struct Resends {
    requests: mpsc::Receiver<Request>,
    /// Identities of what there are dead letters of now.
    kept: mpsc::UnboundedReceiver<Uuid>,
    /// Identities of letters that were stored and are deleted.
    released: mpsc::UnboundedReceiver<Uuid>,
    /// The same of all connections so far: an engine that is killed may not have forgotten them yet.
    all_released: BTreeSet<Uuid>,
    letters: DeadLetters,
    pub(super) taken: Arc<Taken>,
}

/// Identities of deleted letters that are told again: as many as there may be letters at once.
const MAX_RELEASED: usize = 10_000;

/// The letters that are not sealed yet.
#[derive(Debug)]
pub(super) struct Taken {
    waiting: Mutex<BTreeMap<Uuid, Waiting>>,
    ended: mpsc::UnboundedSender<Ended>,
}

/// A letter that the engine has got, or is to get.
#[derive(Debug)]
struct Waiting {
    id: DeadLetterId,
    /// Who has to be told what it says; nobody any more once it was visible.
    reply: Option<oneshot::Sender<Retried>>,
}

/// A letter with which nothing more happens in the store: it is there, or why it is not.
#[derive(Debug)]
struct Ended {
    id: DeadLetterId,
    identity: Uuid,
    stored: Result<(), String>,
}

/// The letters that are to be [finished](finish).
#[derive(Debug)]
pub(super) struct ToFinish {
    ended: mpsc::UnboundedReceiver<Ended>,
    released: mpsc::UnboundedSender<Uuid>,
}

impl Resends {
    /// With those that are to be [finished](finish).
    pub(super) fn new(
        Requests(requests): Requests,
        kept: mpsc::UnboundedReceiver<Uuid>,
        letters: DeadLetters,
    ) -> (Self, ToFinish) {
        let (ended, to_finish) = mpsc::unbounded_channel();
        let (release, released) = mpsc::unbounded_channel();
        let taken = Arc::new(Taken { waiting: Mutex::default(), ended });
        let resends = Resends { requests, kept, released, all_released: BTreeSet::new(), letters, taken };
        (resends, ToFinish { ended: to_finish, released: release })
    }

    /// For a pause there is no engine: who asks is told so, also who waits for an answer.
    pub(super) async fn turn_away(&mut self, reason: &str, pause: Duration) {
        self.taken.waiting.lock().retain(|_, waiting| waiting.reply.is_none());
        let turn_away = async {
            while let Some(request) = self.requests.recv().await {
                let _ = request.reply.send(Retried::Later(format!("the store is away: {reason}")));
            }
            std::future::pending::<()>().await;
        };
        // It never ends by itself.
        let _ = tokio::time::timeout(pause, turn_away).await;
    }

    /// Sends letters as they are asked for, after those that an earlier engine has taken, and tells
    /// of which notes there are dead letters.
    pub(super) async fn run(
        &mut self,
        to: &tokio::sync::Mutex<OwnedWriteHalf>,
    ) -> Result<std::convert::Infallible, SessionError> {
        let Resends { requests, kept, released, all_released, letters, taken } = self;
        for id in all_released.iter() {
            write(to, &Frame::Released(*id)).await?;
        }
        let before: Vec<_> = taken.waiting.lock().iter().map(|(id, waiting)| (*id, waiting.id.clone())).collect();
        for (id, letter) in before {
            match letters.blocking(&letter, |letters, id| letters.read(&id)).await {
                Ok((_, batch)) => write(to, &Frame::Resend(Resend { id, batch })).await?,
                // It was dropped, or had to go for room.
                Err(error) => {
                    tracing::warn!(%letter, %error, "a dead letter that the store has taken cannot be sent once more");
                    taken.waiting.lock().remove(&id);
                }
            }
        }
        loop {
            tokio::select! {
                Some(Request { id, identity, batch, reply }) = requests.recv() => {
                    all_released.remove(&identity);
                    taken.waiting.lock().insert(identity, Waiting { id, reply: Some(reply) });
                    write(to, &Frame::Resend(Resend { id: identity, batch })).await?;
                }
                Some(id) = kept.recv() => write(to, &Frame::Kept(id)).await?,
                Some(id) = released.recv() => {
                    if all_released.len() >= MAX_RELEASED {
                        all_released.pop_first();
                    }
                    all_released.insert(id);
                    write(to, &Frame::Released(id)).await?;
                }
                else => std::future::pending().await,
            }
        }
    }
}

impl Taken {
    /// The engine tells what has become of a letter.
    pub(super) fn heard(&self, identity: Uuid, resent: Resent) {
        let (id, reply) = {
            let mut waiting = self.waiting.lock();
            let Some(letter) = waiting.get_mut(&identity) else { return };
            let found = (letter.id.clone(), letter.reply.take());
            if resent != Resent::Visible {
                waiting.remove(&identity);
            }
            found
        };
        let asked = reply.is_some();
        let (answer, stored) = match resent {
            Resent::Visible => (Retried::Taken, None),
            Resent::Sealed => (Retried::Taken, Some(Ok(()))),
            // Who asked writes a refusal down.
            Resent::Refused(reason) => (Retried::Refused(reason.clone()), (!asked).then_some(Err(reason))),
        };
        if let Some(reply) = reply {
            let _ = reply.send(answer);
        }
        if let Some(stored) = stored {
            let _ = self.ended.send(Ended { id, identity, stored });
        }
    }
}

/// Lets go of letters that are sealed: apart, since it changes files, which takes as long as it takes.
pub(super) async fn finish(letters: DeadLetters, ToFinish { mut ended, released }: ToFinish) {
    while let Some(Ended { id, identity, stored }) = ended.recv().await {
        let changed = match stored {
            Ok(()) => {
                let deleted = letters.resent(&id).await;
                // Also one that somebody else has deleted.
                if matches!(deleted, Ok(()) | Err(DeadLetterError::Unknown(_))) {
                    let _ = released.send(identity);
                }
                deleted
            }
            Err(reason) => letters.refused_again(&id, &reason).await,
        };
        if let Err(error) = changed {
            tracing::error!(letter = %id, %error, "cannot change a dead letter that was sent again");
        }
    }
}

async fn write(to: &tokio::sync::Mutex<OwnedWriteHalf>, frame: &Frame) -> Result<(), SessionError> {
    Ok(to.lock().await.write_all(&frame.encode()).await?)
}
