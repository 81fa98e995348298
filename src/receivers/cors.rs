//! Cross-origin requests from browsers (Fetch standard, "CORS protocol"), off unless origins are
//! configured. Error replies carry the headers too: without them a page's exporter sees no
//! status at all, and cannot know that it should retry.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::reply::{self, Reply};

/// How long a browser may remember the answer to a preflight; without it, every request has one.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Which pages may send.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors {
    allowed: Vec<String>,
}

impl Cors {
    /// `allowed` has origins as browsers send them (`https://shop.example`), `*` for all, or one
    /// `*` within for any text (`https://*.example`).
    pub(super) fn new(allowed: Vec<String>) -> Self {
        Cors { allowed }
    }

    /// The reply to a preflight, if the request is one from an allowed page.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Reply>> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        self.origin(headers)?;
        let mut response = reply::empty(StatusCode::NO_CONTENT);
        let to = response.headers_mut();
        to.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        to.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            to.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        Some(response)
    }

    /// The request's origin, if it is an allowed one.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.allowed.iter().any(|pattern| matches(pattern, text)).then(|| origin.clone())
    }

    /// Adds what lets the page at `origin` read the response.
    pub(super) fn allow(&self, origin: Option<HeaderValue>, response: &mut Response<Reply>) {
        if self.allowed.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
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
}
