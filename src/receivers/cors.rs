//! Cross-origin requests from browsers (Fetch standard, "CORS protocol"), off unless origins are
//! configured. Error replies carry the headers too: without them a page's exporter sees no
//! status at all, and cannot know that it should retry.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::reply::{self, Reply};

/// How long a browser may remember the answer to a preflight; without it, every request has one.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The pattern that allows every page.
const ALL: &str = "*";

/// Which pages may send.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors {
    allowed: Vec<String>,
}

/// A page that may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    value: HeaderValue,
    /// Whether it may send credentials: sendBeacon always does. An origin has to be named for that
    /// (Fetch standard, "CORS protocol and credentials"); `*` does not name it.
    credentials: bool,
}

/// What a request is to CORS.
#[derive(Debug)]
pub(super) enum Preflight {
    /// No preflight.
    No,
    /// The reply to one from an allowed page.
    Allowed(Response<Reply>),
    /// One from another page, and why it is refused.
    Refused(String),
}

impl Cors {
    /// `allowed` has origins as browsers send them (`https://shop.example`), `*` for all, or one
    /// `*` within for any text (`https://*.example`).
    pub(super) fn new(allowed: Vec<String>) -> Self {
        Cors { allowed }
    }

    /// Answers a preflight.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Preflight {
        let headers = request.headers();
        if request.method() != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return Preflight::No;
        }
        if self.origin(headers).is_none() {
            return Preflight::Refused(self.why_not(headers));
        }
        let mut response = reply::empty(StatusCode::NO_CONTENT);
        let to = response.headers_mut();
        to.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        to.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            to.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        Preflight::Allowed(response)
    }

    fn why_not(&self, headers: &HeaderMap) -> String {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return "a preflight without an origin".to_owned();
        };
        let key = "receivers.otlp_http.cors_allowed_origins";
        if self.allowed.is_empty() {
            format!("pages of {origin:?} may not send: {key} is not set")
        } else {
            format!("pages of {origin:?} may not send: {key} does not have this origin")
        }
    }

    /// The request's origin, if it is an allowed one.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Option<Origin> {
        let value = headers.get(header::ORIGIN)?;
        let text = value.to_str().ok()?;
        let mut patterns = self.allowed.iter().filter(|pattern| matches(pattern, text)).peekable();
        patterns.peek()?;
        Some(Origin { value: value.clone(), credentials: patterns.any(|pattern| pattern != ALL) })
    }

    /// Adds what lets the page at `origin` read the response.
    pub(super) fn allow(&self, origin: Option<Origin>, response: &mut Response<Reply>) {
        if self.allowed.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(Origin { value, credentials }) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
            if credentials {
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }
}

fn matches(pattern: &str, origin: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(origin),
        Some((start, end)) => {
            origin.len() >= start.len() + end.len() && origin.starts_with(start) && origin.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_exactly_or_by_a_star() {
        assert!(matches("*", "https://a.example"));
        assert!(matches("https://a.example", "https://a.example"));
        assert!(!matches("https://a.example", "https://a.example.evil"));
        assert!(matches("https://*.example", "https://a.example"));
        assert!(!matches("https://*.example", "https://.exampl"));
        assert!(!matches("https://*.example", "http://a.example"));
        assert!(!matches("ab*ba", "aba"));
    }

    #[test]
    fn only_origins_that_are_named_may_send_credentials() {
        let credentials = |allowed: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static("https://a.example"));
            let cors = Cors::new(allowed.iter().map(|one| (*one).to_owned()).collect());
            cors.origin(&headers).map(|origin| origin.credentials)
        };
        assert_eq!(credentials(&["*"]), Some(false));
        assert_eq!(credentials(&["https://a.example"]), Some(true));
        assert_eq!(credentials(&["*", "https://*.example"]), Some(true));
        assert_eq!(credentials(&["https://b.example"]), None);
        assert_eq!(credentials(&[]), None);
    }
}
