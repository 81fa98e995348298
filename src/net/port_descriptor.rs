//! What a client on this machine must know to use the ports of a running server: whether they
//! speak TLS, and which files hold the secrets. It never holds a secret itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::client_credentials::CredentialFiles;
use super::config::Port;

/// One port. `run/ports.json` in the data directory has them by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PortDescriptor {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The file of the certificate that it shows. A client on the same machine wants to see this
    /// one, whatever names are in it and whoever has signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Whether it asks for client certificates.
    pub client_certificate: bool,
    /// The file with the bearer tokens that it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_tokens_file: Option<PathBuf>,
    /// The file with the users that it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_users_file: Option<PathBuf>,
}

impl PortDescriptor {
    /// The descriptor of a port.
    pub fn of(port: &Port) -> Self {
        let (tls, auth) = (&port.tls.settings, &port.auth.settings);
        let (has_tls, has_auth) = (tls.is_on(), auth.is_on());
        PortDescriptor {
            tls: has_tls,
            certificate_file: tls.certificate_file.clone().filter(|_| has_tls),
            client_certificate: has_tls && tls.client_ca_file.is_some(),
            bearer_tokens_file: auth.bearer_tokens_file.clone().filter(|_| has_auth),
            basic_users_file: auth.basic_users_file.clone().filter(|_| has_auth),
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// What to show at this port, where `given` leaves it open.
    pub fn complete(&self, given: &CredentialFiles) -> CredentialFiles {
        let mut files = given.clone();
        if given.ca_file.is_none() {
            files.pinned_file.clone_from(&self.certificate_file);
        }
        if !given.has_credentials() {
            files.token_file.clone_from(&self.bearer_tokens_file);
            if self.bearer_tokens_file.is_none() {
                files.users_file.clone_from(&self.basic_users_file);
            }
        }
        files
    }
}
