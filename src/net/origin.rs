//! Telling requests that a browser sends for the page of another site.
//!
//! A browser says with `Origin` which page a POST or a DELETE comes from (Fetch standard, "Origin
//! header"). A page of ours is fine. To compare `Origin` with `Host` alone would not do: a foreign
//! page can make its own name point to our address (DNS rebinding), and then both are that name; and a
//! GET of such a page has no `Origin`. So a page must have been opened by a name that nobody else can
//! point to us: an address, `localhost`, a name without a dot, which the public DNS does not have, or one
//! that the config names.

use std::net::IpAddr;

use http::Request;
use http::header::{HOST, ORIGIN};

/// The names of this machine that the config names, without ports.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These, besides the ones that nobody else can point to us.
    pub fn new(names: &[String]) -> Self {
        Hosts(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether no page of somebody else is behind a request that may change something. Programs that
    /// are no browsers send no `Origin`.
    pub fn is_same_origin<B>(&self, request: &Request<B>) -> bool {
        let Some(origin) = request.headers().get(ORIGIN) else { return true };
        let authority = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
        let host = host(request).unwrap_or_default();
        authority == Some(host) && self.has(host)
    }

    /// Whether a request asks for a name of ours; programs may ask for none.
    ///
    /// # Errors
    /// The name that it asks for.
    pub fn check_name<B>(&self, request: &Request<B>) -> Result<(), String> {
        match host(request) {
            Some(host) if !self.has(host) => Err(name(host).to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether `host`, with or without a port, is a name of ours.
    fn has(&self, host: &str) -> bool {
        let name = name(host).to_ascii_lowercase();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        let is_public = bare.trim_end_matches('.').contains('.') && !bare.ends_with(".localhost");
        let is_address = bare.parse::<IpAddr>().is_ok();
        !bare.is_empty() && (is_address || !is_public && !bare.contains(':')) || self.0.contains(&name)
    }
}

/// The `Host` of a request; HTTP/2 has `:authority` in its place (RFC 9113, section 8.3.1). Empty if it
/// is no text.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    authority.or_else(|| request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default()))
}

/// A host without its port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(host: &str, origin: Option<&str>) -> Vec<Request<()>> {
        let request = |uri: &str| {
            let mut request = Request::builder().uri(uri).body(()).unwrap();
            if let Some(origin) = origin {
                request.headers_mut().insert(ORIGIN, origin.parse().unwrap());
            }
            request
        };
        let mut http1 = request("/");
        http1.headers_mut().insert(HOST, host.parse().unwrap());
        let http2 = (!host.is_empty()).then(|| request(&format!("http://{host}/")));
        [http1].into_iter().chain(http2).collect()
    }

    #[test]
    fn only_our_own_pages_and_programs_may_change_something() {
        let hosts = Hosts::new(&["Obs.Example.com".to_owned()]);
        for (host, origin) in [
            ("127.0.0.1:12345", None),
            ("obs.internal:12345", None),
            ("127.0.0.1:12345", Some("http://127.0.0.1:12345")),
            ("localhost:12345", Some("http://localhost:12345")),
            ("[::1]:12345", Some("https://[::1]:12345")),
            ("[::1]", Some("https://[::1]")),
            ("10.0.0.1", Some("http://10.0.0.1")),
            ("obs.example.com", Some("https://obs.example.com")),
            ("collector:12345", Some("http://collector:12345")),
        ] {
            for request in requests(host, origin) {
                assert!(hosts.is_same_origin(&request), "{host} {origin:?}");
            }
        }
        for (host, origin) in [
            ("127.0.0.1:12345", "http://evil.example"),
            ("127.0.0.1:12345", "http://127.0.0.1:3000"),
            ("127.0.0.1:12345", "null"),
            ("evil.example:12345", "http://evil.example:12345"),
            ("evil.example", "http://evil.example"),
            ("", "://"),
        ] {
            for request in requests(host, Some(origin)) {
                assert!(!hosts.is_same_origin(&request), "{host} {origin}");
            }
        }
    }

    #[test]
    fn a_name_that_others_can_point_to_us_is_not_ours() {
        let hosts = Hosts::new(&["obs.example.com".to_owned()]);
        let ours = [
            "127.0.0.1:12345",
            "[::1]:12345",
            "[::1]",
            "localhost",
            "a.localhost:1",
            "collector:12345",
            "OBS.example.com",
            "obs.example.com:443",
        ];
        for host in ours {
            for request in requests(host, None) {
                assert_eq!(hosts.check_name(&request), Ok(()), "{host}");
            }
        }
        for host in
            ["evil.example:12345", "x.obs.example.com", "obs.example.com.", "127.0.0.1.evil.example", "1.2.3", ":1"]
        {
            for request in requests(host, None).into_iter().take(1) {
                assert_eq!(hosts.check_name(&request), Err(name(host).to_owned()), "{host}");
            }
        }
        assert_eq!(hosts.check_name(&Request::new(())), Ok(()), "HTTP/1.0");
    }
}
