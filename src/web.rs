//! The collector's own HTTP port: the pages for people, metrics, health, readiness, status.
//!
//! It knows nothing of the parts: the app hands it a [`View`].
//!
//! | module | what |
//! |---|---|
//! | [`routes`] | which path is what |
//! | [`guard`] | who may ask, and what each answer tells browsers |
//! | [`login`], [`session`], [`tries`] | the form for people, what it opens, and who guesses |
//! | [`dead_letters`], [`status`], [`history`], [`sql`] | what is shown, and how the rest of the program hands it over |
//! | [`layout`] | what all pages have |
//! | [`kept`] | pages that many ask for are made once |
//! | [`params`], [`range`] | the state of a page, which is in its address |
//! | [`filter`], [`empty`] | what the searches have alike, and why one finds nothing |
//! | [`text`], [`chart`] | values as text and as pictures |
//! | [`flow`], [`services`], [`traces`], [`trace`], [`metrics`], [`profiles`], [`logs`], [`tail`], [`query`], [`health`], [`letters`] | the views |
//! | [`assets`] | style sheet, script and icon |

mod assets;
mod chart;
mod dead_letters;
mod empty;
mod filter;
mod flow;
mod guard;
mod health;
pub mod history;
mod kept;
mod layout;
mod letters;
mod login;
mod logs;
mod metrics;
mod params;
mod profiles;
mod query;
mod range;
mod routes;
mod services;
mod session;
mod sql;
pub mod status;
mod tail;
mod text;
mod trace;
mod traces;
mod tries;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::net::origin::Hosts;
use crate::net::server::{self, Connections};
use crate::net::{self, Acceptor, Authenticator};
use crate::tail::Tap;

pub use dead_letters::{Answer, DeadLetterApi, PATH as DEAD_LETTERS, Problem, Raw as RawDeadLetter};
pub use sql::SqlService;

use guard::{Guard, Token};
use kept::Pages;
use sql::{AskError, Rows};
use trace::upload::Uploads;

/// Connections at a time: people and scrapers, not senders.
pub const MAX_CONNECTIONS: usize = 256;

/// Statements of pages at a time: a fourth of what the store runs at once, so that senders and others who ask find it
/// free.
const STATEMENTS: usize = 8;

/// How long a statement of a page waits for others. Who would wait longer is told so.
const PATIENCE: Duration = Duration::from_secs(5);

net::port_config! {
    /// Settings (`[web]`).
    #[derive(Eq)]
    pub struct Config, port 12345 {
        /// Names besides addresses and names without a dot by which people open the page.
        pub hosts: Vec<String> = Vec::new(),
    }
}

/// An address of this machine, or a path of the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What is shown: a path or an address.
    pub text: String,
    /// Where it leads; nothing for an address that no browser can open.
    pub href: Option<String>,
    /// What is there.
    pub about: String,
}

/// A key of the config in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its dotted name.
    pub key: String,
    /// Its value in JSON; nothing if it may be a secret.
    pub value: Option<String>,
}

/// What the port shows.
pub trait View: Send + Sync + 'static {
    /// What is still waited for; empty once ready.
    fn waiting_for(&self) -> Vec<String>;
    /// All metrics, as OpenMetrics text.
    fn metrics(&self) -> BoxFuture<'_, String>;
    /// What `vispyr status` shows.
    fn status(&self) -> BoxFuture<'_, status::Status>;
    /// The last 15 minutes.
    fn history(&self) -> history::History;
    /// The config in force.
    fn settings(&self) -> Vec<Setting>;
    /// What destinations refused for good, once it is read.
    fn letters(&self) -> Option<Arc<dyn DeadLetterApi>>;
    /// The store, if there is one.
    fn sql(&self) -> Option<Arc<dyn SqlService>>;
    /// What is acknowledged at this moment.
    fn tap(&self) -> Tap;
    /// Where else to look.
    fn links(&self) -> Vec<Link>;
}

/// What the handlers of all paths have.
#[derive(Clone)]
struct Site {
    view: Arc<dyn View>,
    /// The names under which the pages are ours.
    hosts: Hosts,
    /// What the forms of our pages have and those of others cannot.
    token: Token,
    /// Who may ask.
    guard: Arc<Guard>,
    /// Files with traces that somebody looks at.
    uploads: Uploads,
    /// Pages for who asks for the same.
    pages: Pages,
    /// Statements of pages that run.
    places: Arc<Semaphore>,
    /// What came of the statements of the page that is made.
    asked: Arc<Asked>,
}

/// What came of the statements of a page.
#[derive(Debug, Default)]
struct Asked {
    has_failed: AtomicBool,
    was_busy: AtomicBool,
}

impl Site {
    /// The first rows of the answer to a statement of ours. Those of all pages wait for one another, so that pages
    /// leave the store for others.
    async fn rows(&self, statement: &str, max_rows: usize) -> Result<Rows, AskError> {
        let rows = match tokio::time::timeout(PATIENCE, self.places.acquire()).await {
            Ok(_place) => self.rows_at_once(statement, max_rows).await,
            Err(_) => Err(AskError::Busy),
        };
        if let Err(error) = &rows {
            self.asked.has_failed.store(true, Ordering::Relaxed);
            self.asked.was_busy.fetch_or(*error == AskError::Busy, Ordering::Relaxed);
        }
        rows
    }

    /// The first rows of the answer to a statement that somebody has written, which is theirs.
    async fn rows_at_once(&self, statement: &str, max_rows: usize) -> Result<Rows, AskError> {
        let service = self.view.sql().ok_or(AskError::NoStore)?;
        sql::rows(service.as_ref(), statement, max_rows).await
    }
}

/// Serves until `shutdown`, then answers what is in flight.
pub async fn serve(
    listener: TcpListener,
    (acceptor, authenticator): (Acceptor, Authenticator),
    connections: Arc<Connections>,
    (view, hosts): (Arc<dyn View>, Hosts),
    shutdown: CancellationToken,
) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let guard = Arc::new(Guard::new(port, acceptor.clone(), authenticator, hosts.clone()));
    let router = routes::router(Site {
        view,
        hosts,
        token: Token::new(),
        guard: Arc::clone(&guard),
        uploads: Uploads::new(),
        pages: Pages::default(),
        places: Arc::new(Semaphore::new(STATEMENTS)),
        asked: Arc::default(),
    });
    let handler = move |request| guard::answer(Arc::clone(&guard), router.clone(), request);
    server::serve("web", (listener, acceptor), connections, shutdown, handler).await;
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    reply(status, "text/plain; charset=utf-8", text.into())
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
