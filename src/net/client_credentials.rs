//! What a client of ours trusts and shows to a server: `vispyr sql`, `status`, `demo`.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::auth::credentials::{basic, bearer};
use super::finding::Findings;
use super::tls::pem::Reader;
use super::tls::pinned::Pinned;
use super::tls::stream::{ClientStream, Stream};

/// The files that it is read from. All of them may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialFiles {
    /// PEM: who must have signed the server's certificate, instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// PEM: the very certificate that the server must show. Names in it do not matter then.
    pub pinned_file: Option<PathBuf>,
    /// PEM: our own certificate.
    pub certificate_file: Option<PathBuf>,
    /// PEM: its key.
    pub key_file: Option<PathBuf>,
    /// The first token in it is shown.
    pub token_file: Option<PathBuf>,
    /// Shown together with the password.
    pub user: Option<String>,
    /// Holds the password.
    pub password_file: Option<PathBuf>,
    /// The first `user:password` in it is shown.
    pub users_file: Option<PathBuf>,
}

impl CredentialFiles {
    /// Whether it says what to show to a port that asks for credentials.
    pub fn has_credentials(&self) -> bool {
        self.token_file.is_some() || self.user.is_some() || self.users_file.is_some()
    }
}

/// Read and ready for use. Cheap to clone.
#[derive(Clone)]
pub struct ClientCredentials {
    tls: bool,
    config: Arc<ClientConfig>,
    authorization: Option<HeaderValue>,
}

impl ClientCredentials {
    /// Reads the files; with `tls`, for a server that speaks TLS.
    ///
    /// # Errors
    /// Everything that is wrong with them, by the options that name them.
    pub fn read(files: &CredentialFiles, tls: bool) -> Result<Self, Findings> {
        let mut reader = Reader::default();
        let config = client_config(files, tls, &mut reader);
        let authorization = authorization(files, &mut reader);
        match config {
            Some(config) if reader.faults.is_empty() => {
                Ok(ClientCredentials { tls, config: Arc::new(config), authorization })
            }
            _ => Err(Findings::new(reader.faults)),
        }
    }

    /// Adds the credentials to a request.
    pub fn show(&self, headers: &mut HeaderMap) {
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
    }

    /// The credentials as the value of `Authorization`.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Opens a connection for HTTP/1, with TLS if the credentials were read for that.
    ///
    /// # Errors
    /// When nobody answers, or the server's certificate is not to be trusted.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<ClientStream> {
        let stream = TcpStream::connect((host, port)).await?;
        if !self.tls {
            return Ok(Stream::Plain(stream));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Connections for a client that keeps them: with TLS for `https` URLs, plain for others.
    pub fn connector(&self) -> HttpsConnector<HttpConnector> {
        hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&self.config))
            .https_or_http()
            .enable_all_versions()
            .build()
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tls, authorization) = (self.tls, self.authorization.is_some());
        f.debug_struct("ClientCredentials").field("tls", &tls).field("authorization", &authorization).finish()
    }
}

fn client_config(files: &CredentialFiles, tls: bool, reader: &mut Reader) -> Option<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(super::provider()).with_safe_default_protocol_versions();
    let builder = builder.inspect_err(|error| reader.fault("--ca-file", format!("no TLS: {error}"))).ok()?;
    if !tls {
        return Some(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let builder = match (&files.ca_file, &files.pinned_file) {
        (Some(file), _) => builder.with_root_certificates(reader.roots("--ca-file", file)?),
        (None, Some(file)) => {
            let pinned = reader.certificates("--ca-file", file)?.into_iter().next()?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned::new(pinned)))
        }
        (None, None) => {
            let mut roots = RootCertStore::empty();
            // What the system has and we cannot read is none of the user's business here.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots)
        }
    };
    let identity = match (&files.certificate_file, &files.key_file) {
        (None, None) => return Some(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => reader.identity(("--certificate-file", certificate), ("--key-file", key))?,
        _ => {
            reader.fault("--certificate-file", "it goes together with --key-file");
            return None;
        }
    };
    let resolver = SingleCertAndKey::from(Arc::unwrap_or_clone(identity));
    Some(builder.with_client_cert_resolver(Arc::new(resolver)))
}

fn authorization(files: &CredentialFiles, reader: &mut Reader) -> Option<HeaderValue> {
    if let Some(file) = &files.token_file {
        return bearer(reader.tokens("--token-file", file)?.first()?.expose());
    }
    if let Some(user) = &files.user {
        let Some(file) = &files.password_file else {
            reader.fault("--user", "it goes together with --password-file");
            return None;
        };
        let password = reader.password("--password-file", file)?;
        return basic(&[user.as_bytes(), b":", password.expose()].concat());
    }
    if let Some(file) = &files.users_file {
        return basic(reader.users("--user", file)?.first()?.expose());
    }
    None
}
