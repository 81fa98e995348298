//! Certificates and secrets made for a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};

/// Good for a test of any day.
const GOOD: (i32, i32) = (2020, 2090);
/// Over.
pub const EXPIRED: (i32, i32) = (2001, 2002);

/// The token that the server of most tests takes, another that it takes too, and one that it does not.
pub const TOKEN: &str = "alpha-token-0123456789";
pub const SECOND_TOKEN: &str = "gamma-token-0123456789";
pub const WRONG_TOKEN: &str = "omega-token-0123456789";
/// The same of users.
pub const USER: &str = "shop:pass-word-0123";
pub const WRONG_USER: &str = "shop:pass-word-9876";

/// Signs certificates and keeps their files.
pub struct Authority {
    folder: PathBuf,
    name: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new one, its own certificate in `folder`.
    pub fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        write(&folder.join(format!("{name}.pem")), &certificate.pem());
        Authority { folder: folder.to_owned(), name: name.to_owned(), issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// A server's, for this machine.
    pub fn server(&self, file: &str) -> Identity {
        self.issue(file, GOOD, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's.
    pub fn client(&self, file: &str) -> Identity {
        self.issue(file, GOOD, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// One for either, from one year to another.
    pub fn issue(&self, file: &str, (from, to): (i32, i32), purpose: ExtendedKeyUsagePurpose) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![purpose];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity {
            certificate: self.folder.join(format!("{file}.pem")),
            key: self.folder.join(format!("{file}-key.pem")),
        };
        write(&identity.certificate, &certificate.pem());
        write(&identity.key, &key.serialize_pem());
        identity
    }
}

impl Identity {
    /// `[tls]`, or another section of that kind.
    pub fn section(&self, section: &str) -> String {
        format!("[{section}]\ncertificate_file = {:?}\nkey_file = {:?}\n", self.certificate, self.key)
    }
}

/// Writes a file for its owner alone, whole or not at all.
pub fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, file).unwrap();
}

/// `[auth]` with [`TOKEN`], [`SECOND_TOKEN`] and [`USER`].
pub fn auth(folder: &Path) -> String {
    let (tokens, users) = (folder.join("tokens"), folder.join("users"));
    write(&tokens, &format!("# two at once\n{TOKEN}\n{SECOND_TOKEN}\n"));
    write(&users, &format!("{USER}\n"));
    format!("[auth]\nbearer_tokens_file = {tokens:?}\nbasic_users_file = {users:?}\n")
}

/// The web port without locks, so that the harness can look.
pub const OPEN_WEB: &str = "[web.tls]\nenabled = false\n[web.auth]\nenabled = false\n";
/// The same for the SQL port.
pub const OPEN_SQL: &str = "[sql.tls]\nenabled = false\n[sql.auth]\nenabled = false\n";
