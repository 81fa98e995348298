//! Reading certificates, keys and secrets from their files. An error names the config key and the
//! file, never what is in the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::validity::Validity;
use crate::net::auth::Secret;
use crate::net::finding::Finding;

/// Larger files are no certificates or lists of secrets.
const LARGEST: u64 = 4 << 20;

/// Tokens shorter than this are worth a word.
const SHORT_TOKEN: usize = 16;

/// Reads files and keeps what is to be said about them.
#[derive(Debug, Default)]
pub(in crate::net) struct Reader {
    /// Errors that keep a port from being opened.
    pub(in crate::net) faults: Vec<Finding>,
    /// Notices that do not, but that an operator should know.
    pub(in crate::net) notices: Vec<Finding>,
}

impl Reader {
    pub(in crate::net) fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults.push(Finding { key: key.to_owned(), message: message.into() });
    }

    pub(in crate::net) fn notice(&mut self, key: &str, message: impl Into<String>) {
        self.notices.push(Finding { key: key.to_owned(), message: message.into() });
    }

    fn read(&mut self, key: &str, file: &Path) -> Option<Vec<u8>> {
        let read = fs::metadata(file).and_then(|meta| {
            if meta.len() > LARGEST {
                let message = format!("it has {} bytes, more than any file of this kind", meta.len());
                return Err(std::io::Error::other(message));
            }
            fs::read(file)
        });
        read.inspect_err(|error| self.fault(key, format!("cannot read {}: {error}", file.display()))).ok()
    }

    /// The same, for what others must not read.
    fn read_secret(&mut self, key: &str, file: &Path) -> Option<Vec<u8>> {
        let bytes = self.read(key, file)?;
        if fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0) {
            let file = file.display();
            self.notice(key, format!("{file} can be read or changed by every user of this machine; chmod o= {file}"));
        }
        Some(bytes)
    }

    /// The certificates of a PEM file; none is a fault.
    pub(in crate::net) fn certificates(&mut self, key: &str, file: &Path) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = self.read(key, file)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let problem = match certificates {
            Ok(certificates) if !certificates.is_empty() => return Some(certificates),
            Ok(_) => what_instead(&bytes, "certificate"),
            Err(error) => bad_pem(&error),
        };
        self.fault(key, format!("{} {problem}", file.display()));
        None
    }

    /// The first private key of a PEM file.
    fn private_key(&mut self, key: &str, file: &Path) -> Option<PrivateKeyDer<'static>> {
        let bytes = self.read_secret(key, file)?;
        let problem = match PrivateKeyDer::from_pem_slice(&bytes) {
            Ok(private_key) => return Some(private_key),
            Err(pem::Error::NoItemsFound) => what_instead(&bytes, "private key"),
            Err(error) => bad_pem(&error),
        };
        self.fault(key, format!("{} {problem}", file.display()));
        None
    }

    /// A certificate with its chain and the key that belongs to it.
    pub(in crate::net) fn identity(
        &mut self,
        (certificate_key, certificate_file): (&str, &Path),
        (key_key, key_file): (&str, &Path),
    ) -> Option<Arc<CertifiedKey>> {
        // Both, so that both are told about.
        let certificates = self.certificates(certificate_key, certificate_file);
        let private_key = self.private_key(key_key, key_file);
        let (certificates, private_key) = (certificates?, private_key?);
        match certificates.first().and_then(|first| Validity::of(first)) {
            Some(validity) => {
                if let Some(trouble) = validity.trouble(SystemTime::now()) {
                    self.notice(certificate_key, format!("{}: {trouble}", certificate_file.display()));
                }
            }
            None => {
                let file = certificate_file.display();
                self.fault(certificate_key, format!("{file} has a certificate that cannot be read as X.509"));
                return None;
            }
        }
        match CertifiedKey::from_der(certificates, private_key, &crate::net::provider()) {
            Ok(identity) => Some(Arc::new(identity)),
            Err(rustls::Error::InconsistentKeys(_)) => {
                let (key_file, certificate_file) = (key_file.display(), certificate_file.display());
                self.fault(key_key, format!("{key_file} is not the key of the certificate in {certificate_file}"));
                None
            }
            Err(error) => {
                self.fault(key_key, format!("{} cannot be used: {error}", key_file.display()));
                None
            }
        }
    }

    /// The certificates of the authorities that are trusted.
    pub(in crate::net) fn roots(&mut self, key: &str, file: &Path) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(key, file)? {
            if let Err(error) = roots.add(certificate) {
                self.fault(key, format!("{} has a certificate that cannot be used: {error}", file.display()));
                return None;
            }
        }
        Some(roots)
    }

    /// Bearer tokens, one a line.
    pub(in crate::net) fn tokens(&mut self, key: &str, file: &Path) -> Option<Vec<Secret>> {
        let bytes = self.read_secret(key, file)?;
        let mut tokens = Vec::new();
        for (number, line) in lines(&bytes) {
            if !line.iter().all(u8::is_ascii_graphic) {
                let file = file.display();
                self.fault(
                    key,
                    format!("{file}, line {number}: a token has letters, digits and signs, without spaces"),
                );
                return None;
            }
            if line.len() < SHORT_TOKEN {
                let (file, length) = (file.display(), line.len());
                self.notice(key, format!("{file}, line {number}: a token of {length} characters can be guessed"));
            }
            tokens.push(Secret::new(line));
        }
        if tokens.is_empty() {
            self.fault(key, format!("{} has no token, expected one a line", file.display()));
            return None;
        }
        Some(tokens)
    }

    /// `user:password`, one a line.
    pub(in crate::net) fn users(&mut self, key: &str, file: &Path) -> Option<Vec<Secret>> {
        let bytes = self.read_secret(key, file)?;
        let mut users = Vec::new();
        for (number, line) in lines(&bytes) {
            let colon = line.iter().position(|byte| *byte == b':');
            let problem = match colon.map(|at| (&line[..at], &line[at + 1..])) {
                None | Some(([], _)) | Some((_, [])) => Some("expected user:password"),
                Some((_, [b'$', _, b'$', ..] | [b'$', _, _, b'$', ..] | [b'$', b'a', b'p', b'r', b'1', b'$', ..])) => {
                    Some("a hashed password is not understood here, expected user:password as it is")
                }
                Some(_) => None,
            };
            if let Some(problem) = problem {
                self.fault(key, format!("{}, line {number}: {problem}", file.display()));
                return None;
            }
            users.push(Secret::new(line));
        }
        if users.is_empty() {
            self.fault(key, format!("{} has no user, expected one user:password a line", file.display()));
            return None;
        }
        Some(users)
    }

    /// A password: the file's text without the line break at its end.
    pub(in crate::net) fn password(&mut self, key: &str, file: &Path) -> Option<Secret> {
        let mut bytes = self.read_secret(key, file)?;
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
        if bytes.is_empty() || bytes.contains(&b'\n') {
            self.fault(key, format!("{} is to hold one line, the password", file.display()));
            return None;
        }
        Some(Secret::new(bytes))
    }
}

/// Lines with their numbers, without space around them, comments and empty ones.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    lines.map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

fn bad_pem(error: &pem::Error) -> String {
    match error {
        // The others quote the file.
        pem::Error::MissingSectionEnd { .. } => "is cut off: a BEGIN without its END".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "is not PEM: a BEGIN line that is not complete".to_owned(),
        pem::Error::Base64Decode(_) => "is not PEM: what is between BEGIN and END is not Base64".to_owned(),
        _ => "is not PEM".to_owned(),
    }
}

/// What a PEM file has where something else was expected.
fn what_instead(bytes: &[u8], expected: &str) -> String {
    let has = |what: &str| memchr::memmem::find(bytes, what.as_bytes()).is_some();
    let found = if has("-----BEGIN ENCRYPTED PRIVATE KEY") || has("Proc-Type: 4,ENCRYPTED") {
        ", but one that is encrypted; decrypt it, and let nobody else read the file"
    } else if expected != "certificate" && has("-----BEGIN CERTIFICATE") {
        ", but a certificate"
    } else if expected == "certificate" && has("PRIVATE KEY-----") {
        ", but a private key"
    } else {
        ", expected PEM (-----BEGIN ...)"
    };
    format!("has no {expected}{found}")
}

#[cfg(test)]
mod tests;
