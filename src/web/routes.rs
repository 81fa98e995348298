//! Which path is what.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::routing::{MethodRouter, any, get, post};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use maud::{Markup, html};

use super::layout::{Page, View};
use super::params::Params;
use super::range::{self, Range};
use super::sql::AskError;
use super::{
    Asked, DEAD_LETTERS, Site, assets, dead_letters, flow, guard, health, kept, letters, login, logs, metrics, plain,
    profiles, query, reply, services, tail, trace, traces,
};
use crate::telemetry::text::TextFormat;

/// Bytes of a form.
const MAX_FORM: usize = 64 << 10;

/// The paths of the port.
pub fn router(site: Site) -> Router {
    let api = Router::new()
        .route("/metrics", get(scraped))
        .route("/-/healthy", get(async || plain(StatusCode::OK, "healthy\n").map(Body::new)))
        .route("/-/ready", get(ready))
        .route("/api/v1/status", get(status))
        .route(tail::PATH, get(tail::api))
        .route(DEAD_LETTERS, any(dead_letters_api))
        .route(&format!("{DEAD_LETTERS}/{{*rest}}"), any(dead_letters_api));
    let pages = Router::new()
        .route("/", get(flow::page))
        .route("/flow/{kind}/{name}", get(flow::part_page))
        .route("/dead-letters", get(letters::list_page))
        .route("/dead-letters/{id}", get(letters::letter_page))
        .route("/dead-letters/handle", post(letters::handle))
        .route("/services", kept(services::page))
        .route("/traces", kept(traces::page))
        .route("/trace", post(trace::upload::upload).layer(DefaultBodyLimit::max(trace::upload::MAX_FILE + MAX_FORM)))
        .route("/trace/{id}", get(trace::page))
        .route("/trace/{id}/otlp.json", get(trace::otlp::download))
        .route("/sql", get(sql))
        .route("/sql/download", get(query::download))
        .route("/logs", kept(logs::page))
        .route("/logs/at/{at}", get(logs::record_page))
        .route("/tail", get(tail::page))
        .route(metrics::PATH, kept(metrics::page))
        .route(profiles::PATH, kept(profiles::page))
        .route(login::PATH, get(login::page).post(login::enter))
        .route(login::LEAVE, get(login::leave_page).post(login::leave))
        .route("/health", get(health::page))
        .route(&format!("{}{{*rest}}", assets::PATH), get(async |uri: Uri| assets::answer(uri.path()).map(Body::new)));
    api.merge(pages)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .method_not_allowed_fallback(async || {
            plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n").map(Body::new)
        })
        .fallback(async || plain(StatusCode::NOT_FOUND, "nothing here; / lists what there is\n").map(Body::new))
        .with_state(site)
}

/// A page as an answer.
pub fn html(status: StatusCode, page: Markup) -> Response<Body> {
    reply(status, "text/html; charset=utf-8", page.into_string()).map(Body::new)
}

/// The parameters of an address.
pub fn params(uri: &Uri) -> Params {
    Params::parse(uri.query().unwrap_or_default())
}

/// A page that is made once for all who ask for it at the time, or within a moment.
fn kept<F>(page: impl Fn(State<Site>, Uri) -> F + Clone + Send + Sync + 'static) -> MethodRouter<Site>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    get(async move |State(site): State<Site>, uri: Uri| keep(site, uri, page).await)
}

async fn keep<F>(site: Site, uri: Uri, page: impl FnOnce(State<Site>, Uri) -> F + Send + 'static) -> Response<Body>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let step = kept::step(&Range::read(&params(&uri), range::now()));
    let of_session = guard::is_of_session();
    let address = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let asked = Arc::new(Asked::default());
    let own = Site { asked: Arc::clone(&asked), ..site.clone() };
    let making = async move {
        let page = page(State(own), uri.clone()).await;
        let page = if asked.was_busy.load(Ordering::Relaxed) { busy(&uri) } else { page };
        (page, !asked.has_failed.load(Ordering::Relaxed))
    };
    site.pages.get((address, of_session), step, guard::of_session(of_session, making).boxed()).await
}

/// What stands in the place of a page whose statements would have to wait for too many others.
fn busy(uri: &Uri) -> Response<Body> {
    let params = params(uri);
    let content = html! {
        h1 { "Busy" }
        p.problem role="alert" { (AskError::Busy.to_string()) }
        p { a href=(params.link(uri.path())) { "Try again" } }
    };
    let (title, view) = ("Busy".to_owned(), View::of(uri.path()));
    let page = Page { title, view, params: &params, range: None, statements: Vec::new(), live: false, content };
    let mut response = html(StatusCode::SERVICE_UNAVAILABLE, page.render());
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The view SQL. A statement that somebody has written is for nobody else.
async fn sql(State(site): State<Site>, uri: Uri) -> Response<Body> {
    match params(&uri).get("q") {
        Some(_) => query::page(State(site), uri).await,
        None => keep(site, uri, query::page).await,
    }
}

async fn scraped(State(site): State<Site>, headers: HeaderMap) -> Response<Body> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let format = TextFormat::negotiate(accept);
    reply(StatusCode::OK, format.content_type(), format.convert(site.view.metrics().await)).map(Body::new)
}

async fn ready(State(site): State<Site>) -> Response<Body> {
    let answer = match site.view.waiting_for() {
        waiting if waiting.is_empty() => plain(StatusCode::OK, "ready\n"),
        waiting => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready, waiting for {}\n", waiting.join(", "))),
    };
    answer.map(Body::new)
}

async fn status(State(site): State<Site>) -> Response<Body> {
    let status = serde_json::to_string(&site.view.status().await).unwrap_or_default();
    reply(StatusCode::OK, "application/json", status).map(Body::new)
}

async fn dead_letters_api(State(site): State<Site>, request: Request) -> Response<Body> {
    // Nothing that it takes has a body.
    let request = request.map(|_| ());
    dead_letters::answer(site.view.letters(), &request, &site.hosts).await.map(Body::new)
}

/// An answer that leads elsewhere.
pub fn see_other(link: &str) -> Response<Body> {
    let mut response = plain(StatusCode::SEE_OTHER, format!("see {link}\n")).map(Body::new);
    if let Ok(location) = HeaderValue::from_str(link) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
