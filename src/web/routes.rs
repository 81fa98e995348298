//! Which path is what.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::routing::{MethodRouter, any, get, post};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use maud::{Markup, html};

use super::layout::{Content, Page, View};
use super::params::Params;
use super::range::{self, Range};
use super::sql::AskError;
use super::text::time;
use super::{
    Asked, DEAD_LETTERS, Site, assets, dead_letters, flow, health, kept, letters, login, logs, metrics, plain,
    profiles, query, reply, services, tail, trace, traces,
};
use crate::telemetry::text::TextFormat;

const HTML: &str = "text/html; charset=utf-8";

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
        .route("/services", view(View::Services, services::content))
        .route("/traces", view(View::Traces, traces::content))
        .route("/trace", post(trace::upload::upload).layer(DefaultBodyLimit::max(trace::upload::MAX_FILE + MAX_FORM)))
        .route("/trace/{id}", get(trace::page))
        .route("/trace/{id}/otlp.json", get(trace::otlp::download))
        .route("/sql", view(View::Sql, query::content))
        .route("/sql/download", get(query::download))
        .route("/logs", view(View::Logs, logs::content))
        .route("/logs/at/{at}", get(logs::record_page))
        .route("/tail", get(tail::page))
        .route(metrics::PATH, view(View::Metrics, metrics::content))
        .route(profiles::PATH, view(View::Profiles, profiles::content))
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
    reply(status, HTML, page.into_string()).map(Body::new)
}

/// The parameters of an address.
pub fn params(uri: &Uri) -> Params {
    Params::parse(uri.query().unwrap_or_default())
}

/// How long a page is waited for before its frame is sent without it.
const SOON: Duration = Duration::from_millis(20);

/// A view whose content is made once for all who ask for it at the time, or within a moment. What takes longer
/// follows its frame.
fn view<F>(view: View, content: impl Fn(Site, Params, Range) -> F + Clone + Send + Sync + 'static) -> MethodRouter<Site>
where
    F: Future<Output = Content> + Send + 'static,
{
    get(async move |State(site): State<Site>, uri: Uri| {
        let params = params(&uri);
        if view == View::Traces
            && let Some(elsewhere) = traces::elsewhere(&params)
        {
            return see_other(&elsewhere);
        }
        let range = Range::read(&params, range::now());
        let mut page = Page::of(view, &params);
        if view != View::Sql {
            page = page.over(&range);
        }
        if view == View::Metrics
            && let Some(title) = metrics::title(&params)
        {
            page = page.titled(title);
        }
        // A statement that somebody has written is for nobody else.
        let is_own = view == View::Sql && params.get("q").is_some();
        let step = kept::step(&range);
        let address = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let asked = Arc::new(Asked::default());
        let own = Site { asked: Arc::clone(&asked), ..site.clone() };
        let making = async move {
            let now = range::now();
            let mut made = content(own, params.clone(), range).await;
            // The page may be kept, and looked at later.
            made.main = html! { (made.main) p.muted { "As of " (time(now)) } };
            let made = if asked.was_busy.load(Ordering::Relaxed) { busy(&uri, &params) } else { made };
            (made, !asked.has_failed.load(Ordering::Relaxed))
        };
        let content = if is_own {
            making.map(|(content, _)| Arc::new(content)).boxed()
        } else {
            let (pages, making) = (site.pages.clone(), making.boxed());
            async move { pages.get(address, step, making).await }.boxed()
        };
        sent(page, content).await
    })
}

/// The page at once if its content is there soon. Otherwise its frame, and then the content: people see that it
/// comes, and can go elsewhere.
async fn sent(page: Page, mut content: BoxFuture<'static, Arc<Content>>) -> Response<Body> {
    if let Ok(content) = tokio::time::timeout(SOON, &mut content).await {
        return page.answer(StatusCode::OK, Content::clone(&content));
    }
    let start = page.start();
    let rest = content.map(move |content| page.rest(&content));
    let parts = stream::iter([start]).chain(stream::once(rest)).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    response
}

/// What stands in the place of a page whose statements would have to wait for too many others.
fn busy(uri: &Uri, params: &Params) -> Content {
    let main = html! {
        h1 { "Busy" }
        p.problem role="alert" { (AskError::Busy.to_string()) }
        p { a href=(params.link(uri.path())) { "Try again" } }
    };
    main.into()
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_frame_of_a_page_does_not_wait_for_its_content() {
        let (made, content) = tokio::sync::oneshot::channel::<Arc<Content>>();
        let content = content.map(Result::unwrap).boxed();
        let mut body = sent(Page::of(View::Logs, &Params::default()), content).await.into_body();
        let start = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let start = String::from_utf8(start.into()).unwrap();
        assert!(start.starts_with("<!DOCTYPE html>") && start.contains("<nav") && start.contains("<main"), "{start}");
        assert!(body.frame().now_or_never().is_none(), "the rest is waited for");
        made.send(Arc::new(html! { h1 { "Records" } }.into())).unwrap();
        let rest = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
        assert!(rest.starts_with("<h1>Records</h1></main>") && rest.ends_with("</html>"), "{rest}");
    }

    #[tokio::test]
    async fn a_page_that_is_soon_there_is_sent_whole() {
        let content = async { Arc::new(html! { h1 { "Records" } }.into()) }.boxed();
        let page = sent(Page::of(View::Logs, &Params::default()), content).await.into_body();
        let page = String::from_utf8(page.collect().await.unwrap().to_bytes().into()).unwrap();
        assert!(page.contains("<h1>Records</h1></main>") && !page.contains("waiting"), "{page}");
    }
}
