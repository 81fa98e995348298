//! Traces in files that somebody looks at: they are kept in memory for a while, and never stored.
//!
//! [`spans`] reads them and answers questions about them.

mod spans;

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Request, State};
use bytes::Bytes;
use http::{Response, StatusCode};
use maud::{Markup, html};
use parking_lot::Mutex;
use rand::Rng;

use crate::web::params::Params;
use crate::web::{Site, routes};

pub use spans::{Spans, read};

/// Bytes of a file.
pub const MAX_FILE: usize = 16 << 20;

/// Bytes of all files that are kept: the oldest go first.
const MAX_KEPT: usize = 32 << 20;

/// What the ids of such traces begin with; those of others are hex.
const PREFIX: &str = "uploaded-";

/// Whether an id is of a file.
pub fn is_id(id: &str) -> bool {
    id.starts_with(PREFIX)
}

/// Why there is nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It was there, or never was.
    #[error("this file is not kept any more: upload it again")]
    Gone,
    /// It cannot be read.
    #[error("the file is no trace in OTLP JSON: {0}")]
    Unreadable(String),
}

/// The files that are kept.
#[derive(Debug, Clone)]
pub struct Uploads {
    files: Arc<Mutex<VecDeque<(String, Bytes)>>>,
    /// One file is read at a time: so much memory it takes, however many are sent.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Uploads {
    /// With none.
    pub fn new() -> Self {
        Uploads { files: Arc::default(), turn: Arc::default() }
    }

    /// Waits until no other file is read.
    async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Keeps a file; its id is a random one, which nobody else can guess.
    pub fn keep(&self, file: Bytes) -> String {
        let random: [u8; 8] = rand::rng().random();
        let id = format!("{PREFIX}{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let mut files = self.files.lock();
        files.push_back((id.clone(), file));
        while files.iter().map(|(_, file)| file.len()).sum::<usize>() > MAX_KEPT {
            files.pop_front();
        }
        id
    }

    /// The file of an id.
    pub fn get(&self, id: &str) -> Option<Bytes> {
        self.files.lock().iter().find(|(of, _)| of == id).map(|(_, file)| file.clone())
    }
}

/// The form for a file.
pub fn form(token: &str, params: &Params) -> Markup {
    html! {
        form.filters method="post" action=(params.kept().link("/trace")) enctype="multipart/form-data" aria-label="A trace in a file" {
            input type="hidden" name="token" value=(token);
            label { span { "Trace in a file (OTLP JSON)" } input type="file" name="file" accept=".json,application/json" required; }
            button { "Look at it" }
            span.muted { "It is shown and not stored." }
        }
    }
}

/// Takes a file and leads to its page.
pub async fn upload(State(site): State<Site>, request: Request) -> Response<Body> {
    let params = routes::params(request.uri());
    match take(&site, request).await {
        Ok(id) => routes::see_other(&params.kept().link(&format!("/trace/{id}"))),
        Err(refused) => {
            let content = html! {
                h1 { "Not taken" }
                p.problem role="alert" { (refused) }
                p { a href=(params.kept().link("/traces")) { "Back to the traces" } }
            };
            super::render(refused.status(), &params, Vec::new(), content)
        }
    }
}

/// Why a form is not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("This form is not of this page, or of an earlier start of the program: open the page again.")]
    Foreign,
    #[error("{0}")]
    Form(#[from] MultipartRejection),
    #[error("{}", .0.body_text())]
    Field(#[from] MultipartError),
    #[error("{0}")]
    File(#[from] Problem),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::Foreign => StatusCode::FORBIDDEN,
            Refused::Form(error) => error.status(),
            Refused::Field(error) => error.status(),
            Refused::File(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Keeps the file of a form; the answer is its id. Nothing of a file is read before it is known that the form is ours:
/// the token comes first.
async fn take(site: &Site, request: Request) -> Result<String, Refused> {
    if !site.hosts.is_same_origin(&request) {
        return Err(Refused::Foreign);
    }
    let mut form = Multipart::from_request(request, &()).await?;
    let mut is_ours = false;
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("token") => is_ours = site.token.is(Some(&field.text().await?)),
            Some("file") if is_ours => {
                let file = field.bytes().await?;
                let _turn = site.uploads.turn().await;
                read(file.clone()).await?;
                return Ok(site.uploads.keep(file));
            }
            _ => break,
        }
    }
    Err(if is_ours {
        Refused::File(Problem::Unreadable("there is no file in the form".to_owned()))
    } else {
        Refused::Foreign
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_within_bounds() {
        let uploads = Uploads::new();
        let ids: Vec<String> = (0..5).map(|_| uploads.keep(Bytes::from(vec![b' '; 10 << 20]))).collect();
        assert_eq!(ids.iter().filter(|id| uploads.get(id).is_some()).count(), 3);
        assert!(uploads.get(&ids[0]).is_none() && uploads.get(&ids[4]).is_some() && is_id(&ids[4]));
    }
}
