//! HTTP towards one destination: one connection pool, a time limit for each request, an answer
//! read whole but never more than a little of it.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;

use super::chunks::Chunks;
use super::config::Config;
use super::credentials::Credentials;
use super::proxy::{Connector, Proxies};
use super::{redirect, tls};

/// What we call ourselves.
const USER_AGENT: &str = concat!("Vispyr/", env!("CARGO_PKG_VERSION"));

/// The most that is read of an answer.
const LONGEST_ANSWER: usize = 64 << 10;

/// The longest that connecting may take, out of the time for the request.
const CONNECT: Duration = Duration::from_secs(10);

/// Idle connections are closed before most servers do (60 s), whose closing may cross a request.
const IDLE: Duration = Duration::from_secs(50);

/// Why a destination cannot be built from its config.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
    /// A key of the config is not what the rules let through.
    #[error("{0}")]
    Config(String),
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No answer within the time for a request, although it was sent.
    #[error("no answer within {}", crate::duration::Written(*.0))]
    Timeout(Duration),
    /// No connection within the time for a request.
    #[error("no connection within {}", crate::duration::Written(*.0))]
    NoConnection(Duration),
    /// The connection was closed over the request.
    #[error("the connection was closed over the request: {0}")]
    Dropped(String),
    /// It was sent on to a place where it must not go.
    #[error("{0}")]
    Redirect(String),
    /// One of the two sides does not like the other's certificate.
    #[error("TLS: {0}")]
    Certificate(String),
    /// There is no connection.
    #[error("{0}")]
    Network(String),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its trailers, if it had any.
    pub trailers: Option<HeaderMap>,
    /// The beginning of its body.
    pub body: Bytes,
}

type Https = HttpsConnector<Connector>;
type Http = legacy::Client<Https, Chunks>;

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1, a connection a request in flight.
    Http1,
    /// HTTP/2 from the first byte, without asking.
    Http2,
}

/// The way to one destination. Shared by its signals.
#[derive(Debug)]
pub struct Client {
    connector: Https,
    proxies: Proxies,
    version: Version,
    http: Mutex<Arc<Http>>,
    base: Uri,
    headers: HeaderMap,
    credentials: Option<Credentials>,
    timeout: Duration,
}

impl Client {
    /// Reads the files that the config names. Blocks.
    pub fn new(config: &Config, version: Version) -> Result<Self, BuildError> {
        let url = config.url.as_deref().unwrap_or_default();
        let base: Uri = url.parse().map_err(|error| BuildError::Config(format!("url {url:?}: {error}")))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        for (name, value) in &config.headers {
            let bad = |what: String| BuildError::Config(format!("headers.{name}: {what}"));
            let value = HeaderValue::try_from(value).map_err(|error| bad(error.to_string()))?;
            headers.insert(HeaderName::try_from(name).map_err(|error| bad(error.to_string()))?, value);
        }
        let proxies = Proxies::of_environment(version);
        let connector = connector(config, version, &proxies, base.scheme_str() == Some("https"))?;
        let http = Mutex::new(Arc::new(http(&connector, version)));
        let credentials = Credentials::new(&config.auth)?;
        Ok(Client { connector, proxies, version, http, base, headers, credentials, timeout: config.timeout })
    }

    /// The time for one request.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The base with this path (and query) behind its own.
    pub fn uri(&self, path: &str) -> Result<Uri, BuildError> {
        let before = self.base.path().trim_end_matches('/');
        let path = PathAndQuery::try_from(format!("{before}{path}"))
            .map_err(|error| BuildError::Config(format!("path {path:?}: {error}")))?;
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| BuildError::Config(error.to_string()))
    }

    /// POSTs a body. `headers` are those of the protocol. Always ends, within the time for a request.
    pub async fn post(&self, uri: Uri, headers: HeaderMap, body: Chunks) -> Result<Answer, SendError> {
        let http = self.http.lock().clone();
        let mut connection = None;
        match tokio::time::timeout(self.timeout, self.follow(&http, uri, headers, body, &mut connection)).await {
            Ok(answer) => answer,
            Err(_) => {
                // The connection may be dead without anybody having said so.
                self.reconnect(&http);
                let is_connected = |one: &CaptureConnection| one.connection_metadata().is_some();
                match connection.as_ref().is_some_and(is_connected) {
                    true => Err(SendError::Timeout(self.timeout)),
                    false => Err(SendError::NoConnection(self.timeout)),
                }
            }
        }
    }

    /// Sends a request, and again to where the answer says. `connection` tells whether it has one,
    /// also when this is given up.
    async fn follow(
        &self,
        http: &Http,
        mut uri: Uri,
        headers: HeaderMap,
        body: Chunks,
        connection: &mut Option<CaptureConnection>,
    ) -> Result<Answer, SendError> {
        let origin = redirect::origin(&uri);
        let mut hops = 0;
        loop {
            let mut request = Request::new(body.clone());
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
            let all = request.headers_mut();
            if redirect::origin(&uri) == origin {
                all.extend(self.headers.clone());
                if let Some(credentials) = &self.credentials {
                    all.insert(header::AUTHORIZATION, credentials.header().await);
                }
            } else {
                // Headers may be secrets, too: they are for the destination that was configured.
                all.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
            }
            if let Some(authorization) = self.proxies.authorization(&uri) {
                all.insert(header::PROXY_AUTHORIZATION, authorization);
            }
            *connection = Some(capture_connection(&mut request));
            let answer = exchange(http, request).await?;
            // gRPC has no redirections.
            let next = if self.version == Version::Http2 { None } else { redirect::next(&uri, &answer)? };
            match next {
                Some(next) if hops < redirect::MAX_HOPS => uri = next,
                Some(_) => return Err(SendError::Redirect(format!("sent on more than {hops} times, last to {uri}"))),
                None => return Ok(answer),
            }
            hops += 1;
        }
    }

    /// Gives up the connections of `old`, if they are still in use.
    fn reconnect(&self, old: &Arc<Http>) {
        let mut current = self.http.lock();
        if Arc::ptr_eq(&current, old) {
            *current = Arc::new(http(&self.connector, self.version));
        }
    }
}

fn connector(config: &Config, version: Version, proxies: &Proxies, tls: bool) -> Result<Https, BuildError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(config.timeout.min(CONNECT)));
    tcp.set_keepalive(Some(IDLE));
    let tcp = Connector::new(tcp, proxies.clone());
    let settings = if tls {
        tls::client_config(&config.tls)?
    } else {
        // Never used; saves reading the system's roots.
        tls::no_roots()?
    };
    let builder = HttpsConnectorBuilder::new().with_tls_config(settings).https_or_http();
    let builder = match &config.tls.server_name {
        Some(name) => {
            let name = ServerName::try_from(name.clone())
                .map_err(|error| BuildError::Config(format!("tls.server_name {name:?}: {error}")))?;
            builder.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
        None => builder,
    };
    Ok(match version {
        Version::Http1 => builder.enable_http1().wrap_connector(tcp),
        Version::Http2 => builder.enable_http2().wrap_connector(tcp),
    })
}

fn http(connector: &Https, version: Version) -> Http {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    builder.http2_only(version == Version::Http2);
    builder.build(connector.clone())
}

async fn exchange(http: &Http, request: Request<Chunks>) -> Result<Answer, SendError> {
    let answer = http.request(request).await.map_err(|error| match failed(&error) {
        SendError::Network(said) if !error.is_connect() => SendError::Dropped(said),
        other => other,
    })?;
    let (head, mut body) = answer.into_parts();
    let (mut read, mut trailers) = (Answering::default(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match failed(&error) {
            SendError::Network(said) => SendError::Dropped(said),
            other => other,
        });
        match frame?.into_data() {
            Ok(data) => read.push(data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Answer { status: head.status, headers: head.headers, trailers, body: read.finish() })
}

/// The beginning of a body. Most answers are one piece or none.
#[derive(Default)]
struct Answering {
    first: Bytes,
    rest: BytesMut,
}

impl Answering {
    fn push(&mut self, mut data: Bytes) {
        data.truncate(LONGEST_ANSWER - self.first.len() - self.rest.len());
        if self.first.is_empty() {
            self.first = data;
        } else {
            self.rest.extend_from_slice(&data);
        }
    }

    fn finish(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let size = self.first.len() + self.rest.len();
        self.first.chain(self.rest).copy_to_bytes(size)
    }
}

/// Which of the errors below this one says what happened.
fn failed(error: &(dyn StdError + 'static)) -> SendError {
    let mut words = Vec::new();
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(rustls) = current.downcast_ref::<rustls::Error>() {
            return SendError::Certificate(rustls.to_string());
        }
        let said = current.to_string();
        if !words.iter().any(|word: &String| word.contains(&said)) {
            words.push(said);
        }
        // What an I/O error wraps is not its source, but its own self.
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    let said = words.join(": ");
    // HTTP/2 keeps the words only: what rustls says of an alert by the other side.
    if said.contains("received fatal alert: ") { SendError::Certificate(said) } else { SendError::Network(said) }
}
