//! Finding a running server, and being let in by it: for the commands that ask one.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::app::{self, Settings};
use crate::net::{ClientCredentials, CredentialFiles, PortDescriptor};

/// What a command trusts, and shows to a server that asks.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "For a server with TLS or credentials (one on the data directory is known by itself)")]
pub struct Shown {
    /// PEM: who must have signed the server's certificate [default: the system's roots]
    #[arg(long, value_name = "FILE", env = "VISPYR_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// The first line that is no comment is shown as bearer token
    #[arg(long, value_name = "FILE", env = "VISPYR_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// User to show together with a password
    #[arg(long, value_name = "NAME", env = "VISPYR_USER", requires = "password_file")]
    user: Option<String>,
    /// Holds the password
    #[arg(long, value_name = "FILE", env = "VISPYR_PASSWORD_FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// PEM: our own certificate, for a server that asks for one
    #[arg(long, value_name = "FILE", env = "VISPYR_CERTIFICATE_FILE", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// PEM: the key of our own certificate
    #[arg(long, value_name = "FILE", env = "VISPYR_KEY_FILE", requires = "certificate_file")]
    key_file: Option<PathBuf>,
}

impl Shown {
    /// The files to read.
    pub fn files(&self) -> CredentialFiles {
        CredentialFiles {
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
            token_file: self.token_file.clone(),
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            ..CredentialFiles::default()
        }
    }
}

/// Where a server is, and what it is shown.
#[derive(Debug)]
pub struct Server {
    host: String,
    port: u16,
    /// The path of the URL that was given; empty if there was none.
    path: String,
    credentials: ClientCredentials,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// What came after the body.
    pub trailers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Server {
    /// The server at a URL, or at `HOST:PORT` without TLS.
    pub fn named(url: &str, shown: &Shown) -> anyhow::Result<Self> {
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let parsed = url::Url::parse(&full).with_context(|| format!("{url} is not a URL"))?;
        let tls = match parsed.scheme() {
            "http" => false,
            "https" => true,
            _ => bail!("{url}: only http and https are spoken here"),
        };
        let host = parsed.host_str().with_context(|| format!("{url} has no host"))?;
        let credentials = ClientCredentials::read(&shown.files(), tls)?;
        let path = parsed.path().trim_end_matches('/').to_owned();
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Server { host, port: parsed.port_or_known_default().unwrap_or(80), path, credentials })
    }

    /// The server's port of this name (`sql`, `web`): as the one that runs on the data directory
    /// has written down, else as the config says.
    pub fn local(settings: &Settings, name: &str, shown: &Shown) -> anyhow::Result<Self> {
        let configured = settings.config.ports().into_iter().find(|port| port.name == name);
        let running = app::read_addresses(&settings.data_dir).and_then(|addresses| addresses.get(name).copied());
        let (address, descriptor) = match (running, configured) {
            (Some(address), _) => (address, app::read_port_descriptor(&settings.data_dir, name).unwrap_or_default()),
            (None, Some(port)) => (port.listen, PortDescriptor::of(&port)),
            (None, None) => bail!("the config has no {name} port"),
        };
        let address = reachable(address);
        if descriptor.client_certificate && shown.certificate_file.is_none() {
            bail!(
                "the server on {address} asks for a client certificate: give one with --certificate-file and --key-file"
            );
        }
        let credentials =
            ClientCredentials::read(&descriptor.complete(&shown.files()), descriptor.tls).with_context(|| {
                let own = "give yours with --token-file, or with --user and --password-file";
                format!("cannot come in at {address}; if its files are not for you to read, {own}")
            })?;
        Ok(Server { host: address.ip().to_string(), port: address.port(), path: String::new(), credentials })
    }

    /// Sends a request and reads the whole answer.
    pub async fn ask(&self, default_path: &str, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (parts, body) = self.begin(default_path, request).await?.into_parts();
        let body = body.collect().await.context("the answer broke off")?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, trailers, body: body.to_bytes() })
    }

    /// Sends a request, and gives the answer once it begins.
    pub async fn begin(
        &self,
        default_path: &str,
        mut request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Incoming>> {
        let path = if self.path.is_empty() { default_path } else { &self.path };
        *request.uri_mut() = path.parse().with_context(|| format!("{path} is no path"))?;
        request.headers_mut().insert(header::HOST, self.to_string().parse()?);
        self.credentials.show(request.headers_mut());
        let connected = self.credentials.connect(&self.host, self.port).await;
        let stream = connected.with_context(|| format!("cannot connect to {self}"))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await.with_context(|| format!("no answer from {self}"))
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Server { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// From this machine: who listens on all addresses does so on this one.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// For an answer that asks for credentials: what to do about it.
pub fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "show credentials with --token-file, or with --user and --password-file",
        _ => "",
    }
}
