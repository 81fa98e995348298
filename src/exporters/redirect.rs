//! Redirections of a POST that stay a POST: 307 and 308 (RFC 9110, sections 15.4.8 and 15.4.9).

use http::{Uri, header};
use url::Url;

use super::client::{Answer, SendError};

/// The most redirections that are followed for one request.
pub const MAX_HOPS: u32 = 5;

/// Scheme, host and port: who gets a request.
pub fn origin(uri: &Uri) -> (Option<String>, Option<String>, Option<u16>) {
    let lower = |text: &str| text.to_ascii_lowercase();
    let default = match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    (uri.scheme_str().map(lower), uri.host().map(lower), uri.port_u16().or(default))
}

/// Where an answer sends the request on to, if it does. What cannot be followed is left to be
/// what the answer says.
///
/// # Errors
/// It would go in the clear where it went encrypted.
pub fn next(from: &Uri, answer: &Answer) -> Result<Option<Uri>, SendError> {
    if !matches!(answer.status.as_u16(), 307 | 308) {
        return Ok(None);
    }
    let location = answer.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
    let next = location.and_then(|location| Url::parse(&from.to_string()).ok()?.join(location).ok());
    let Some(mut next) = next.filter(|next| matches!(next.scheme(), "http" | "https")) else { return Ok(None) };
    if from.scheme_str() == Some("https") && next.scheme() == "http" {
        return Err(SendError::Redirect(format!("HTTP {}: sent on to {next}, which is not encrypted", answer.status)));
    }
    next.set_fragment(None);
    Ok(next.as_str().parse().ok())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn to(from: &str, status: u16, location: &str) -> Result<Option<Uri>, SendError> {
        let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_str(location).unwrap())]);
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers, trailers: None, body: bytes::Bytes::new() };
        next(&from.parse().unwrap(), &answer)
    }

    #[test]
    fn a_post_stays_a_post_and_stays_encrypted() {
        let from = "http://a.example:4318/v1/traces?x=1";
        for (status, location, want) in [
            (308, "https://b.example/v1/traces", Some("https://b.example/v1/traces")),
            (307, "/otlp/v1/traces", Some("http://a.example:4318/otlp/v1/traces")),
            (308, "//b.example/", Some("http://b.example/")),
            (301, "https://b.example/v1/traces", None),
            (302, "/", None),
            (303, "/", None),
            (308, "ftp://b.example/", None),
        ] {
            let next = to(from, status, location).unwrap();
            assert_eq!(next.map(|uri| uri.to_string()).as_deref(), want, "{status} {location}");
        }
        let error = to("https://a.example/", 308, "http://a.example/").unwrap_err();
        assert!(error.to_string().contains("not encrypted"), "{error}");
    }

    #[test]
    fn an_origin_is_who_gets_a_request() {
        let same = |a: &str, b: &str| origin(&a.parse().unwrap()) == origin(&b.parse().unwrap());
        assert!(same("http://A.example/x", "http://a.example:80/y"));
        assert!(!same("http://a.example/x", "https://a.example/x"));
        assert!(!same("http://a.example/x", "http://b.example/x"));
        assert!(!same("http://a.example/x", "http://a.example:81/x"));
    }
}
