//! Who may ask, and what each answer tells browsers.
//!
//! Requests are checked before they reach a handler: credentials, and, where there are none and no TLS, the
//! name by which the page was opened ([`crate::net::origin`]). Answers forbid what our pages do not need: scripts
//! and styles that are no files of ours, frames, addresses of ours in requests to others.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use rand::Rng;
use subtle::ConstantTimeEq;
use tower_service::Service;

use super::plain;
use crate::net::origin::Hosts;
use crate::net::{self, Acceptor, Authenticator};

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
}

impl Guard {
    /// For a port with this protection.
    pub fn new(acceptor: Acceptor, authenticator: Authenticator, hosts: Hosts) -> Self {
        Guard { acceptor, authenticator, hosts }
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

    /// The answer in the place of that of a handler, for a request that may not come in.
    fn refuse(&self, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
        // Probes of orchestrators and balancers have no credentials to show.
        if !matches!(request.uri().path(), "/-/healthy" | "/-/ready")
            && let Err(denied) = self.authenticator.authenticate(request.headers())
        {
            let mut response = plain(StatusCode::UNAUTHORIZED, format!("{denied}\n"));
            denied.challenge(response.headers_mut());
            return Some(response);
        }
        // What balancers and scrapers ask for tells nobody's telemetry.
        if !matches!(request.uri().path(), "/-/healthy" | "/-/ready" | "/metrics")
            && let Err(name) = self.check_host(request)
        {
            let why =
                format!("{name} is not known as a name of this machine; if it is one, add it to hosts in [web]\n");
            return Some(plain(StatusCode::MISDIRECTED_REQUEST, why));
        }
        None
    }
}

/// Answers a request. A browser that leaves drops this future, and with it whatever it waits for.
pub async fn answer(guard: Arc<Guard>, mut router: Router, request: Request<Incoming>) -> Response<Body> {
    let mut response = match guard.refuse(&request) {
        None => match router.call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        },
        Some(response) => {
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
