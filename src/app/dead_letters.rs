//! The dead letters as the web port shows and handles them.

mod content;

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};

use super::view::time;
use crate::quarantine::dead_letters::{DeadLetter, DeadLetterError, DeadLetterId, DeadLetters, Head, Resend, Retried};
use crate::signal::Batch;
use crate::web::{Answer, DeadLetterApi, Problem, RawDeadLetter};

/// What is said of one that a store has taken.
const TAKEN: &str = "it is in the store, and goes from the list once it is sealed";

/// The dead letters, and the way on which they are sent again.
#[derive(Clone)]
pub struct DeadLetterService {
    letters: DeadLetters,
    /// The exporters, once they are there.
    resend: Arc<OnceLock<Arc<dyn Resend>>>,
}

impl std::fmt::Debug for DeadLetterService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterService").field("letters", &self.letters).finish_non_exhaustive()
    }
}

impl DeadLetterService {
    /// Letters that nobody can send yet.
    pub fn new(letters: DeadLetters) -> Self {
        DeadLetterService { letters, resend: Arc::default() }
    }

    /// The dead letters themselves.
    pub fn letters(&self) -> &DeadLetters {
        &self.letters
    }

    /// From now on they can be sent.
    pub fn send_through(&self, exporters: Arc<dyn Resend>) {
        // The exporters of a process are made once.
        let _ = self.resend.set(exporters);
    }

    async fn read(&self, id: &str) -> Result<(DeadLetterId, Head, Batch), Problem> {
        let id = parse(id)?;
        let (head, batch) = self.letters.blocking(&id, |letters, id| letters.read(&id)).await?;
        Ok((id, head, batch))
    }

    async fn send(&self, id: &DeadLetterId) -> Result<Retried, Problem> {
        match self.resend.get() {
            Some(exporters) => Ok(self.letters.retry(id, exporters.as_ref()).await?),
            None => Err(Problem {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: "the exporters do not run yet".to_owned(),
            }),
        }
    }

    async fn let_go(&self, id: DeadLetterId) -> Result<DeadLetter, Problem> {
        Ok(self.letters.blocking(&id, |letters, id| letters.drop_letter(&id)).await?)
    }

    fn of(&self, destination: &str) -> Vec<DeadLetter> {
        let mut letters = self.letters.list();
        letters.retain(|letter| letter.id.destination() == destination);
        letters
    }
}

impl DeadLetterApi for DeadLetterService {
    fn list(&self, destination: Option<&str>) -> Value {
        let letters = match destination {
            Some(destination) => self.of(destination),
            None => self.letters.list(),
        };
        json!({ "letters": letters.iter().map(describe).collect::<Vec<_>>() })
    }

    fn show<'a>(&'a self, id: &'a str) -> Answer<'a> {
        async move {
            let (id, head, batch) = self.read(id).await?;
            let mut shown = describe_head(&id, &head);
            let decoded = tokio::task::spawn_blocking(move || content::decode(&batch)).await;
            match decoded.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(content) => shown["content"] = content,
                Err(reason) => shown["content_error"] = reason.into(),
            }
            Ok(shown)
        }
        .boxed()
    }

    fn raw<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<RawDeadLetter, Problem>> {
        async move {
            let (_, head, batch) = self.read(id).await?;
            Ok(RawDeadLetter { format: head.format, compression: head.compression, payload: batch.payload })
        }
        .boxed()
    }

    fn retry<'a>(&'a self, id: &'a str) -> Answer<'a> {
        async move {
            match self.send(&parse(id)?).await? {
                Retried::Accepted { rejected, message } => {
                    Ok(json!({ "id": id, "rejected_items": rejected, "message": message }))
                }
                Retried::Taken => Ok(json!({ "id": id, "rejected_items": 0, "message": TAKEN })),
                Retried::Refused(reason) => {
                    Err(Problem { status: StatusCode::BAD_GATEWAY, message: format!("refused again: {reason}") })
                }
                Retried::Later(reason) => Err(Problem {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    message: format!("not taken now: {reason}"),
                }),
            }
        }
        .boxed()
    }

    fn retry_all<'a>(&'a self, destination: &'a str) -> Answer<'a> {
        async move {
            let letters = self.of(destination);
            let (mut accepted, mut refused, mut stopped) = (0, 0, None);
            for letter in &letters {
                match self.send(&letter.id).await {
                    Ok(Retried::Accepted { .. } | Retried::Taken) => accepted += 1,
                    Ok(Retried::Refused(_)) => refused += 1,
                    // The others would fare no better now.
                    Ok(Retried::Later(reason)) => {
                        stopped = Some(reason);
                        break;
                    }
                    // Damaged, or gone meanwhile: its own affair.
                    Err(_) => {}
                }
            }
            let left = self.of(destination).iter().filter(|letter| !letter.taken).count();
            Ok(json!({ "accepted": accepted, "refused": refused, "left": left, "stopped": stopped }))
        }
        .boxed()
    }

    fn drop_letter<'a>(&'a self, id: &'a str) -> Answer<'a> {
        async move { Ok(describe(&self.let_go(parse(id)?).await?)) }.boxed()
    }

    fn drop_all<'a>(&'a self, destination: &'a str) -> Answer<'a> {
        async move {
            let (mut dropped, mut items) = (0, 0);
            for letter in self.of(destination) {
                if let Ok(letter) = self.let_go(letter.id).await {
                    dropped += 1;
                    items += letter.items();
                }
            }
            Ok(json!({ "dropped": dropped, "items": items, "left": self.of(destination).len() }))
        }
        .boxed()
    }
}

fn parse(id: &str) -> Result<DeadLetterId, Problem> {
    id.parse().map_err(|_| Problem { status: StatusCode::NOT_FOUND, message: format!("no dead letter {id}") })
}

impl From<DeadLetterError> for Problem {
    fn from(error: DeadLetterError) -> Self {
        let status = match &error {
            DeadLetterError::Unknown(_) => StatusCode::NOT_FOUND,
            DeadLetterError::Busy(_) => StatusCode::CONFLICT,
            DeadLetterError::Damaged { .. } | DeadLetterError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem { status, message: error.to_string() }
    }
}

fn describe(letter: &DeadLetter) -> Value {
    match &letter.head {
        Ok(head) => {
            let mut described = describe_head(&letter.id, head);
            described["taken"] = letter.taken.into();
            described
        }
        Err(reason) => json!({
            "id": letter.id.to_string(),
            "destination": letter.id.destination(),
            "bytes": letter.size,
            "damaged": reason,
        }),
    }
}

fn describe_head(id: &DeadLetterId, head: &Head) -> Value {
    json!({
        "id": id.to_string(),
        "destination": head.destination,
        "signal": head.signal,
        "format": head.format,
        "compression": head.compression,
        "items": head.items,
        "bytes": head.payload_bytes,
        "decoded_bytes": head.decoded_bytes,
        "received": time(head.received),
        "set_aside": time(head.set_aside),
        "reason": head.reason,
        "retries": head.retries,
        "last_retry": head.last_retry.map(time),
        "query": head.query,
        "content_type": head.content_type,
    })
}
