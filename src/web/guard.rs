//! Who may ask, and what each answer tells browsers.
//!
//! Requests are checked before they reach a handler: credentials, which a program shows each time and a browser
//! by the cookie of a session ([`super::session`]), and, where there are none and no TLS, the name by which the
//! page was opened ([`crate::net::origin`]). Answers forbid what our pages do not need: scripts
//! and styles that are no files of ours, frames, addresses of ours in requests to others.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use rand::Rng;
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use tower_service::Service;

use super::session::Sessions;
use super::tries::Tries;
use super::{assets, login, plain, reply};
use crate::net::origin::Hosts;
use crate::net::server::Peer;
use crate::net::{self, Acceptor, Authenticator, Denied, Kinds};

/// What each answer has besides its own headers.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    // Forms need an Origin, which browsers leave out under `no-referrer` (Fetch standard, "append a request
    // `Origin` header").
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Who may ask.
pub struct Guard {
    acceptor: Acceptor,
    authenticator: Authenticator,
    hosts: Hosts,
    sessions: Sessions,
    /// Wrong credentials in the form and in the headers of requests.
    tries: Tries,
}

/// What a request was admitted by.
#[derive(Clone)]
pub struct Admitted {
    guard: Arc<Guard>,
    /// What it has shown, itself or its session; nothing where nothing is asked for.
    shown: HeaderMap,
}

impl Admitted {
    /// Whether it would be admitted now.
    pub fn still_holds(&self) -> bool {
        self.guard.authenticator.accepts(&self.shown)
    }
}

tokio::task_local! {
    /// Whether the request that is answered is of a session.
    static OF_SESSION: bool;
}

/// Whether the request that is answered is of a session, which can be left.
pub fn is_of_session() -> bool {
    OF_SESSION.try_with(|is| *is).unwrap_or(false)
}

impl Guard {
    /// For a port of this number with this protection.
    pub fn new(port: u16, acceptor: Acceptor, authenticator: Authenticator, hosts: Hosts) -> Self {
        let sessions = Sessions::new(port, acceptor.has_tls());
        Guard { acceptor, authenticator, hosts, sessions, tries: Tries::default() }
    }

    /// What the form asks for.
    pub fn kinds(&self) -> Kinds {
        self.authenticator.kinds()
    }

    /// Whether a request is of a session.
    pub fn has_session(&self, headers: &HeaderMap) -> bool {
        self.sessions.find(headers, &self.authenticator).is_some()
    }

    /// Begins a session, if these are credentials of the port: the cookie to set.
    ///
    /// # Errors
    /// How long who guesses has to wait: they were not looked at.
    pub fn enter(&self, address: IpAddr, shown: HeaderValue) -> Result<Option<HeaderValue>, Duration> {
        Ok(match self.check(address, &shown)? {
            Ok(()) => self.sessions.open(shown),
            Err(_) => None,
        })
    }

    /// Checks what the form or a request shows; each try counts, wherever it is made.
    fn check(&self, address: IpAddr, shown: &HeaderValue) -> Result<Result<(), Denied>, Duration> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, shown.clone())]);
        let check = || self.authenticator.authenticate(&headers);
        self.tries.attempt(address, shown, Instant::now(), check, Denied::is_guess)
    }

    /// Ends a session: the cookie to set.
    pub fn leave(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.sessions.close(headers)
    }

    /// Checks that no page of somebody else is behind a request. Such a page has no credentials for us,
    /// and no certificate for its name.
    fn check_host(&self, request: &Request<Incoming>) -> Result<(), String> {
        if self.authenticator.has_credentials() || self.acceptor.has_tls() {
            Ok(())
        } else {
            self.hosts.check_name(request)
        }
    }

    /// What a request has shown, and whether its session did; or the answer in the place of that of a handler.
    fn admit(&self, request: &Request<Incoming>) -> Result<(HeaderMap, bool), Box<Response<Full<Bytes>>>> {
        let path = request.uri().path();
        let shown = if is_open(path) { Ok((HeaderMap::new(), false)) } else { self.shown(request) };
        // What balancers and scrapers ask for tells nobody's telemetry.
        if !matches!(path, "/-/healthy" | "/-/ready" | "/metrics")
            && shown.is_ok()
            && let Err(name) = self.check_host(request)
        {
            let why =
                format!("{name} is not known as a name of this machine; if it is one, add it to hosts in [web]\n");
            return Err(Box::new(plain(StatusCode::MISDIRECTED_REQUEST, why)));
        }
        shown
    }

    fn shown(&self, request: &Request<Incoming>) -> Result<(HeaderMap, bool), Box<Response<Full<Bytes>>>> {
        let headers = request.headers();
        let shows = headers.get(header::AUTHORIZATION);
        if shows.is_none()
            && let Some(shown) = self.sessions.find(headers, &self.authenticator)
        {
            return Ok((shown, true));
        }
        let checked = match shows {
            Some(shows) if self.authenticator.has_credentials() => {
                self.check(address_of(request), shows).map_err(|wait| Box::new(too_many_tries(wait)))?
            }
            _ => self.authenticator.authenticate(headers),
        };
        match checked {
            Ok(()) => {
                let shown = shows.map(|shows| (header::AUTHORIZATION, shows.clone()));
                Ok((HeaderMap::from_iter(shown), false))
            }
            Err(_) if shows.is_none() && is_browser(headers) => {
                let page = login::on_the_way(request.uri()).into_string();
                let mut response = reply(StatusCode::UNAUTHORIZED, "text/html; charset=utf-8", page);
                // A scheme that browsers do not know: they would open a window of their own for Basic.
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Cookie realm=\"vispyr\""));
                Err(Box::new(response))
            }
            Err(denied) => {
                let mut response = plain(StatusCode::UNAUTHORIZED, format!("{denied}\n"));
                denied.challenge(response.headers_mut());
                Err(Box::new(response))
            }
        }
    }
}

/// Where a request comes from.
pub fn address_of<B>(request: &Request<B>) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::from([0; 4]), |peer| peer.0.ip())
}

/// In the place of an answer for a program that has shown too many wrong credentials.
fn too_many_tries(wait: Duration) -> Response<Full<Bytes>> {
    let seconds = wait.as_secs() + 1;
    let why = format!("too many wrong credentials from this address; the next may be shown in {seconds} s\n");
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// What needs no credentials: what orchestrators and balancers ask, and the form with its style.
fn is_open(path: &str) -> bool {
    matches!(path, "/-/healthy" | "/-/ready" | login::PATH) || path.starts_with(assets::PATH)
}

/// Whether a person is behind a request, who can be shown a form.
fn is_browser(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    headers.contains_key("sec-fetch-mode") || accept.contains("text/html") || accept.contains("text/event-stream")
}

/// Answers a request. A browser that leaves drops this future, and with it whatever it waits for.
pub async fn answer(guard: Arc<Guard>, mut router: Router, mut request: Request<Incoming>) -> Response<Body> {
    let mut response = match guard.admit(&request) {
        Ok((shown, of_session)) => {
            request.extensions_mut().insert(Admitted { guard, shown });
            match OF_SESSION.scope(of_session, router.call(request.map(Body::new))).await {
                Ok(response) => response,
                Err(impossible) => match impossible {},
            }
        }
        Err(response) => {
            net::drain(request);
            response.map(Body::new)
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // What is shown is of this moment, and nobody else's.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A number that the forms of our pages carry: a page of somebody else cannot know it. It is of this process.
#[derive(Debug, Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// A new one.
    pub fn new() -> Self {
        let random: [u8; 16] = rand::rng().random();
        Token(random.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }

    /// For a hidden field.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a form has it.
    pub fn is(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.0.as_bytes().ct_eq(text.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_pages_alone() {
        let token = Token::new();
        assert!(token.is(Some(token.as_str())));
        assert_eq!(token.as_str().len(), 32);
        for other in [None, Some(""), Some(&token.as_str()[1..]), Some(Token::new().as_str())] {
            assert!(!token.is(other), "{other:?}");
        }
    }
}
