//! Connections through a proxy, where `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say so, as other
//! exporters read them: `HTTP_PROXY` for `http` URLs, whose requests the proxy repeats, and
//! `HTTPS_PROXY` for `https` ones and for gRPC, through a tunnel (`CONNECT`). This machine itself is
//! never asked for through a proxy.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::client::Version;

/// Which destinations are asked for through which proxy.
#[derive(Debug, Clone)]
pub struct Proxies {
    matcher: Arc<Matcher>,
    version: Version,
}

impl Proxies {
    /// By the variables of the environment.
    pub fn of_environment(version: Version) -> Self {
        Proxies { matcher: Arc::new(Matcher::from_env()), version }
    }

    /// The proxy for this destination, if there is one.
    pub fn of(&self, destination: &Uri) -> Option<Intercept> {
        let host = destination.host()?.trim_start_matches('[').trim_end_matches(']');
        if host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            return None;
        }
        if self.version == Version::Http2 {
            let mut parts = destination.clone().into_parts();
            parts.scheme = Some(Scheme::HTTPS);
            return self.matcher.intercept(&Uri::from_parts(parts).ok()?);
        }
        self.matcher.intercept(destination)
    }

    /// The credentials that go with a request which the proxy repeats.
    pub fn authorization(&self, destination: &Uri) -> Option<HeaderValue> {
        if self.tunnels(destination) {
            return None;
        }
        self.of(destination)?.basic_auth().cloned()
    }

    fn tunnels(&self, destination: &Uri) -> bool {
        self.version == Version::Http2 || destination.scheme() == Some(&Scheme::HTTPS)
    }
}

/// Connects directly or through a proxy.
#[derive(Debug, Clone)]
pub struct Connector {
    tcp: HttpConnector,
    proxies: Proxies,
}

impl Connector {
    /// Connects with `tcp`, to the proxy where there is one.
    pub fn new(tcp: HttpConnector, proxies: Proxies) -> Self {
        Connector { tcp, proxies }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Stream, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let tunnels = self.proxies.tunnels(&destination);
        let Some(proxy) = self.proxies.of(&destination) else {
            return Box::pin(async move { Ok(Stream { tcp: tcp.call(destination).await?, repeats: false }) });
        };
        Box::pin(async move {
            let through = |error: BoxError| -> BoxError { format!("proxy {}: {error}", proxy.uri()).into() };
            if proxy.uri().scheme() != Some(&Scheme::HTTP) {
                return Err(through("only http:// proxies are spoken to".into()));
            }
            if !tunnels {
                let tcp = tcp.call(proxy.uri().clone()).await.map_err(|error| through(error.into()))?;
                return Ok(Stream { tcp, repeats: true });
            }
            let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let tcp = tunnel.call(destination).await.map_err(|error| through(error.into()))?;
            Ok(Stream { tcp, repeats: false })
        })
    }
}

/// A connection, to the destination or to a proxy that repeats requests.
#[derive(Debug)]
pub struct Stream {
    tcp: TokioIo<TcpStream>,
    /// Requests name the whole URL, for the proxy.
    repeats: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.repeats)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(version: Version) -> Proxies {
        let matcher = Matcher::builder()
            .http("http://user:word@plain:3128")
            .https("http://secure:3128")
            .no("inside.example, 10.0.0.0/8");
        Proxies { matcher: Arc::new(matcher.build()), version }
    }

    #[test]
    fn the_variables_are_read_as_elsewhere() {
        let of = |version, uri: &str| {
            let proxy = proxies(version).of(&uri.parse().unwrap());
            proxy.and_then(|proxy| proxy.uri().host().map(str::to_owned)).unwrap_or_default()
        };
        for (version, uri, want) in [
            (Version::Http1, "http://far.example:4318/v1/traces", "plain"),
            (Version::Http1, "https://far.example/v1/traces", "secure"),
            // gRPC is never repeated, always tunnelled.
            (Version::Http2, "http://far.example:4317", "secure"),
            (Version::Http2, "https://far.example", "secure"),
            (Version::Http1, "http://inside.example", ""),
            (Version::Http1, "https://tempo.inside.example", ""),
            (Version::Http1, "http://10.1.2.3:9090", ""),
            (Version::Http1, "http://localhost:9090", ""),
            (Version::Http1, "http://127.0.0.1:9090", ""),
            (Version::Http2, "http://[::1]:9090", ""),
        ] {
            assert_eq!(of(version, uri), want, "{version:?} {uri}");
        }
    }

    #[test]
    fn only_the_proxy_that_repeats_is_told_the_password_in_the_request() {
        let authorization = |version, uri: &str| proxies(version).authorization(&uri.parse().unwrap());
        let basic = authorization(Version::Http1, "http://far.example").unwrap();
        assert_eq!(basic, "Basic dXNlcjp3b3Jk");
        assert_eq!(authorization(Version::Http1, "https://far.example"), None);
        assert_eq!(authorization(Version::Http2, "http://far.example"), None);
        assert_eq!(authorization(Version::Http1, "http://inside.example"), None);
    }
}
