//! The collector's own HTTP port: a list of links, metrics, health, readiness, status.
//!
//! It knows nothing of the parts: the app hands it a [`View`].

mod dead_letters;
mod page;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::net::origin::Hosts;
use crate::net::server::{self, Connections};
use crate::net::{self, Acceptor, Authenticator};
use crate::telemetry::text::TextFormat;

pub use dead_letters::{Answer, DeadLetterApi, PATH as DEAD_LETTERS, Problem, Raw as RawDeadLetter};
pub use page::Link;

/// Connections at a time: people and scrapers, not senders.
pub const MAX_CONNECTIONS: usize = 256;

net::port_config! {
    /// Settings (`[web]`).
    #[derive(Eq)]
    pub struct Config, port 12345 {
        /// Names besides addresses and names without a dot by which people open the page.
        pub hosts: Vec<String> = Vec::new(),
    }
}

/// What the port shows.
pub trait View: Send + Sync + 'static {
    /// What is still waited for; empty once ready.
    fn waiting_for(&self) -> Vec<String>;
    /// All metrics, as OpenMetrics text.
    fn metrics(&self) -> BoxFuture<'_, String>;
    /// What `vispyr status` shows.
    fn status(&self) -> BoxFuture<'_, serde_json::Value>;
    /// What destinations refused for good, once it is read.
    fn letters(&self) -> Option<Arc<dyn DeadLetterApi>>;
    /// Where else to look.
    fn links(&self) -> Vec<Link>;
}

/// Serves until `shutdown`, then answers what is in flight.
pub async fn serve(
    listener: TcpListener,
    (acceptor, authenticator): (Acceptor, Authenticator),
    connections: Arc<Connections>,
    (view, hosts): (Arc<dyn View>, Hosts),
    shutdown: CancellationToken,
) {
    let guard = Arc::new(Guard { acceptor: acceptor.clone(), authenticator, hosts });
    let handler = move |request| answer(Arc::clone(&view), Arc::clone(&guard), request);
    server::serve("web", (listener, acceptor), connections, shutdown, handler).await;
}

/// Who may ask.
struct Guard {
    acceptor: Acceptor,
    authenticator: Authenticator,
    hosts: Hosts,
}

impl Guard {
    /// Checks that no page of somebody else is behind a request. Such a page has no credentials for us,
    /// and no certificate for its name.
    fn check_host(&self, request: &Request<Incoming>) -> Result<(), String> {
        if self.authenticator.has_credentials() || self.acceptor.has_tls() {
            Ok(())
        } else {
            self.hosts.check_name(request)
        }
    }
}

async fn answer(view: Arc<dyn View>, guard: Arc<Guard>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    // Probes of orchestrators and balancers have no credentials to show.
    if !matches!(request.uri().path(), "/-/healthy" | "/-/ready")
        && let Err(denied) = guard.authenticator.authenticate(request.headers())
    {
        let mut response = plain(StatusCode::UNAUTHORIZED, format!("{denied}\n"));
        denied.challenge(response.headers_mut());
        net::drain(request);
        return response;
    }
    // What balancers and scrapers ask for tells nobody's telemetry.
    if !matches!(request.uri().path(), "/-/healthy" | "/-/ready" | "/metrics")
        && let Err(name) = guard.check_host(&request)
    {
        let why = format!("{name} is not known as a name of this machine; if it is one, add it to hosts in [web]\n");
        return plain(StatusCode::MISDIRECTED_REQUEST, why);
    }
    if is_below(request.uri().path(), DEAD_LETTERS) {
        return dead_letters::answer(view.letters(), &request, &guard.hosts).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/" => reply(StatusCode::OK, "text/html; charset=utf-8", page::render(&view.links(), &view.waiting_for())),
        "/metrics" => {
            let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
            let format = TextFormat::negotiate(accept);
            reply(StatusCode::OK, format.content_type(), format.convert(view.metrics().await))
        }
        "/-/healthy" => plain(StatusCode::OK, "healthy\n"),
        "/-/ready" => match view.waiting_for() {
            waiting if waiting.is_empty() => plain(StatusCode::OK, "ready\n"),
            waiting => {
                plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready, waiting for {}\n", waiting.join(", ")))
            }
        },
        "/api/v1/status" => reply(StatusCode::OK, "application/json", view.status().await.to_string()),
        _ => plain(StatusCode::NOT_FOUND, "nothing here; / lists what there is\n"),
    }
}

/// Whether a path is `above` or in it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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
