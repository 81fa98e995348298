//! Telling requests that a browser sends for the page of another site.
//!
//! A browser says with `Origin` which page a POST or a DELETE comes from (Fetch standard, "Origin
//! header"). A page of ours is fine. To compare `Origin` with `Host` alone would not do: a foreign
//! page can make its own name point to our address (DNS rebinding), and then both are that name. So
//! a page must have been opened by an address or as `localhost`.

use std::net::IpAddr;

use http::Request;
use http::header::{HOST, ORIGIN};

/// Whether no page of somebody else is behind a request. Programs that are no browsers send no
/// `Origin`.
pub fn is_ours<B>(request: &Request<B>) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else { return true };
    let header = || request.headers().get(HOST).and_then(|host| host.to_str().ok());
    // HTTP/2 has `:authority` in its place (RFC 9113, section 8.3.1).
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or_else(header).unwrap_or_default();
    let authority = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    authority == Some(host) && is_address(host)
}

/// Whether `host`, with or without a port, is an address or `localhost`.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_and_programs() {
        let ask = |host: &str, origin: Option<&str>| {
            let request = |uri: &str| {
                let mut request = Request::builder().uri(uri).body(()).unwrap();
                if let Some(origin) = origin {
                    request.headers_mut().insert(ORIGIN, origin.parse().unwrap());
                }
                request
            };
            let mut http1 = request("/");
            http1.headers_mut().insert(HOST, host.parse().unwrap());
            let ours = is_ours(&http1);
            if !host.is_empty() {
                assert_eq!(is_ours(&request(&format!("http://{host}/"))), ours, "over HTTP/2: {host} {origin:?}");
            }
            ours
        };
        for (host, origin) in [
            ("127.0.0.1:12345", None),
            ("obs.internal:12345", None),
            ("127.0.0.1:12345", Some("http://127.0.0.1:12345")),
            ("localhost:12345", Some("http://localhost:12345")),
            ("[::1]:12345", Some("https://[::1]:12345")),
            ("[::1]", Some("https://[::1]")),
            ("10.0.0.1", Some("http://10.0.0.1")),
        ] {
            assert!(ask(host, origin), "{host} {origin:?}");
        }
        for (host, origin) in [
            ("127.0.0.1:12345", "http://evil.example"),
            ("127.0.0.1:12345", "http://127.0.0.1:3000"),
            ("127.0.0.1:12345", "null"),
            ("evil.example:12345", "http://evil.example:12345"),
            ("evil.example", "http://evil.example"),
            ("", "://"),
        ] {
            assert!(!ask(host, Some(origin)), "{host} {origin}");
        }
    }
}
