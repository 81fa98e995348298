//! The form in which a person shows the port's credentials, and the way out.
//!
//! The form carries the token of this process, and the browser must not say that the page of another site sent
//! it. The name in `Host` is not compared with those in the config: a foreign page that has pointed its own name
//! here has neither credentials nor a cookie of ours.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use base64::Engine as _;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use maud::{DOCTYPE, Markup, html};

use super::guard::address_of;
use super::params::Params;
use super::{Site, layout, routes};
use crate::net::Kinds;

/// The form.
pub const PATH: &str = "/login";

/// The way out.
pub const LEAVE: &str = "/logout";

/// Bytes of a form.
const MAX_FORM: usize = 16 << 10;

/// The form; who has nothing to show, or has shown it, goes on.
pub async fn page(State(site): State<Site>, headers: HeaderMap, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let kinds = site.guard.kinds();
    if kinds == Kinds::default() || site.guard.has_session(&headers) {
        return routes::see_other(&next(&params));
    }
    routes::html(StatusCode::OK, form(&site, kinds, &params, None))
}

/// A form that was sent.
pub async fn enter(State(site): State<Site>, request: Request) -> Response<Body> {
    let address = address_of(&request);
    let is_ours = is_same_origin(&request);
    let form_sent = read(request.into_body()).await.unwrap_or_default();
    let kinds = site.guard.kinds();
    let again = |status, why: &str| routes::html(status, form(&site, kinds, &form_sent, Some(why)));
    if !is_ours || !site.token.is(form_sent.get("form")) {
        return again(
            StatusCode::FORBIDDEN,
            "The form was of an earlier start of the program, or of another site. Try again.",
        );
    }
    let entered = match authorization(&form_sent) {
        Some(shown) => site.guard.enter(address, shown),
        None => Ok(None),
    };
    match entered {
        Ok(Some(cookie)) => with_cookie(routes::see_other(&next(&form_sent)), Some(cookie)),
        Ok(None) => again(StatusCode::UNAUTHORIZED, "These are no credentials of this port."),
        Err(wait) => {
            let seconds = wait.as_secs() + 1;
            let why = format!("Too many wrong tries. The next one may be made in {seconds} s.");
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, &why);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    }
}

/// Asks whether to end the session: a link alone, which may be that of another site, must not.
pub async fn leave_page(State(site): State<Site>) -> Response<Body> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { (layout::head("Log out")) }
            body { main.login {
                h1 { "Log out of Vispyr" }
                form method="post" action=(LEAVE) {
                    input type="hidden" name="form" value=(site.token.as_str());
                    button { "Log out" }
                }
                p { a href="/" { "Stay" } }
            } }
        }
    };
    routes::html(StatusCode::OK, page)
}

/// Ends the session.
pub async fn leave(State(site): State<Site>, request: Request) -> Response<Body> {
    let is_ours = is_same_origin(&request);
    let headers = request.headers().clone();
    let form = read(request.into_body()).await.unwrap_or_default();
    if !is_ours || !site.token.is(form.get("form")) {
        return routes::html(StatusCode::FORBIDDEN, message("Not taken", "This form is not of this page."));
    }
    with_cookie(routes::see_other(PATH), site.guard.leave(&headers))
}

fn with_cookie(mut response: Response<Body>, cookie: Option<HeaderValue>) -> Response<Body> {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// What stands in the place of a page for a browser that has shown nothing: it leads to the form. A redirect
/// would not do: a browser that follows a link of another site sends no cookie with it, and none with what it is
/// redirected to (SameSite), but it does with what one of our own pages leads to.
pub fn on_the_way(uri: &Uri) -> Markup {
    let here = uri.path_and_query().map_or("/", |path| path.as_str());
    let form = Params::default().with("next", here).link(PATH);
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (layout::head("Log in")) meta http-equiv="refresh" content=(format!("0;url={form}")); }
            body { main { h1 { "Log in" } p { a href=(form) { "Go on to the form" } } } }
        }
    }
}

/// Whether no page of another site is behind a form.
fn is_same_origin(request: &Request) -> bool {
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::HeaderName::from_static("sec-fetch-site")).is_some_and(|site| site != "same-origin") {
        return false;
    }
    let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST));
    let origin = text(header::ORIGIN).and_then(|origin| Some(origin.split_once("://")?.1));
    // Browsers say where a form is from; who is no browser has no cookie of somebody else.
    request.headers().get(header::ORIGIN).is_none() || origin.is_some() && origin == host
}

async fn read(body: Body) -> Option<Params> {
    let read: Bytes = Limited::new(body, MAX_FORM).collect().await.ok()?.to_bytes();
    Some(Params::parse(std::str::from_utf8(&read).ok()?))
}

/// What the form shows, as programs do.
fn authorization(form: &Params) -> Option<HeaderValue> {
    let raw = |name: &str| form.pairs().iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
    let shown = match (raw("user"), raw("password"), form.get("token")) {
        (_, _, Some(token)) => format!("Bearer {token}"),
        (Some(user), Some(password), None) if !user.contains(':') => {
            let pair = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        _ => return None,
    };
    let mut shown = HeaderValue::try_from(shown).ok()?;
    shown.set_sensitive(true);
    Some(shown)
}

/// Where to go from here: a path of ours.
fn next(params: &Params) -> String {
    let path = params.get("next").unwrap_or("/");
    let is_ours =
        path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|byte| byte > b' ' && byte != b'\\');
    if is_ours && !path.starts_with(PATH) { path.to_owned() } else { "/".to_owned() }
}

fn message(title: &str, text: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (layout::head(title)) }
            body { main { h1 { (title) } p.problem role="alert" { (text) } p { a href="/" { "To the page" } } } }
        }
    }
}

fn form(site: &Site, kinds: Kinds, params: &Params, problem: Option<&str>) -> Markup {
    let hidden = html! {
        input type="hidden" name="form" value=(site.token.as_str());
        input type="hidden" name="next" value=(next(params));
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (layout::head("Log in")) }
            body {
                main.login {
                    h1 { "Log in to Vispyr" }
                    @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
                    @if kinds.users {
                        form method="post" action=(PATH) {
                            (hidden)
                            label { span { "User" } input name="user" autocomplete="username" required autocapitalize="none" spellcheck="false"; }
                            label { span { "Password" } input type="password" name="password" autocomplete="current-password" required; }
                            button { "Log in" }
                        }
                    }
                    @if kinds.tokens {
                        form method="post" action=(PATH) {
                            (hidden)
                            label { span { "Token" } input type="password" name="token" autocomplete="off" required; }
                            button { "Log in with a token" }
                        }
                    }
                    p.muted { "It lasts for 12 hours, or until the program starts again." }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_on_to() {
        for (path, to) in [
            ("/logs?range=1h&q=a", "/logs?range=1h&q=a"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nset-cookie: x", "/"),
            ("/login?next=/", "/"),
        ] {
            assert_eq!(next(&Params::default().with("next", path)), to, "{path}");
        }
    }

    #[test]
    fn a_form_is_of_the_page_itself() {
        for (headers, is) in [
            (&[("host", "obs.example.com")][..], true),
            (&[("host", "obs.example.com"), ("origin", "https://obs.example.com")], true),
            (&[("host", "obs.example.com"), ("origin", "https://evil.example")], false),
            (&[("host", "obs.example.com"), ("origin", "null")], false),
            (&[("host", "h"), ("origin", "http://h"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "h"), ("sec-fetch-site", "cross-site")], false),
        ] {
            let mut request = Request::new(Body::empty());
            for (name, value) in headers {
                request.headers_mut().insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_same_origin(&request), is, "{headers:?}");
        }
    }
}
