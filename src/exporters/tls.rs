//! TLS towards a destination.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::client::BuildError;
use super::config::Tls;

/// The settings of rustls. Reads files; blocks.
pub fn client_config(tls: &Tls) -> Result<ClientConfig, BuildError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::Tls(error.to_string()))?
        .with_root_certificates(roots(tls)?);
    match (&tls.certificate_file, &tls.key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
            builder.with_client_auth_cert(chain, private).map_err(|error| {
                let reason = format!("does not go with {}: {error}", certificate.display());
                BuildError::Pem { path: key.clone(), reason }
            })
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn roots(tls: &Tls) -> Result<RootCertStore, BuildError> {
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(file) => {
            for certificate in certificates(file)? {
                roots
                    .add(certificate)
                    .map_err(|error| BuildError::Pem { path: file.clone(), reason: error.to_string() })?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
            if roots.is_empty() {
                let why = system.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
                return Err(BuildError::Tls(format!(
                    "cannot load the system's root certificates: {why}; set tls.ca_file"
                )));
            }
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read: Vec<_> = read.map_err(|error| bad(file, &error))?;
    if read.is_empty() {
        return Err(BuildError::Pem { path: file.to_owned(), reason: "holds no certificate".to_owned() });
    }
    Ok(read)
}

fn bad(file: &Path, error: &pem::Error) -> BuildError {
    let reason = match error {
        pem::Error::NoItemsFound => "holds nothing of the kind".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        // Never the file's own bytes, which may be a key.
        _ => "is not good PEM".to_owned(),
    };
    BuildError::Pem { path: file.to_owned(), reason }
}

/// Settings that trust nobody, for a connector that is never asked for TLS.
pub fn no_roots() -> Result<ClientConfig, BuildError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
