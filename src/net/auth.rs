//! Whether a request may come in: the authenticator of a port.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderMap;
use parking_lot::{Mutex, RwLock};

pub mod credentials;
pub mod secret;

pub use credentials::{Credentials, Denied, Login};
pub use secret::Secret;

/// Wrong credentials are logged at most this often: somebody who guesses must not fill the log.
const LOG_EVERY: Duration = Duration::from_secs(600);

/// Checks the credentials of a port's requests. Cheap to clone.
#[derive(Clone, Default)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

/// Kinds of credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Tokens.
    pub tokens: bool,
    /// Users with passwords.
    pub users: bool,
}

#[derive(Default)]
struct Inner {
    port: &'static str,
    credentials: RwLock<Option<Credentials>>,
    denied: AtomicU64,
    logged: Mutex<Option<Instant>>,
}

impl Authenticator {
    /// An authenticator that lets every request in.
    pub fn none() -> Self {
        Authenticator::default()
    }

    pub(super) fn new(port: &'static str, credentials: Option<Credentials>) -> Self {
        Authenticator { inner: Arc::new(Inner { port, credentials: RwLock::new(credentials), ..Inner::default() }) }
    }

    /// Takes other credentials from now on.
    pub(super) fn change(&self, credentials: Option<Credentials>) {
        *self.inner.credentials.write() = credentials;
    }

    /// Whether requests have to show credentials now.
    pub fn has_credentials(&self) -> bool {
        self.inner.credentials.read().is_some()
    }

    /// What kinds of credentials there are now.
    pub fn kinds(&self) -> Kinds {
        let credentials = self.inner.credentials.read();
        credentials
            .as_ref()
            .map_or_else(Kinds::default, |of| Kinds { tokens: !of.tokens.is_empty(), users: !of.users.is_empty() })
    }

    /// Whether headers that were accepted before still are. Wrong ones are not counted.
    pub fn accepts(&self, headers: &HeaderMap) -> bool {
        self.inner.credentials.read().as_ref().is_none_or(|credentials| credentials.check(headers).is_ok())
    }

    /// Checks a request by its headers.
    ///
    /// # Errors
    /// Why the request may not come in, and what it should have shown.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let checked = match &*self.inner.credentials.read() {
            Some(credentials) => credentials.check(headers),
            None => return Ok(()),
        };
        checked.inspect_err(|denied| self.count(denied))
    }

    /// What a client that says its name and then a password is asked for; nothing if it needs none.
    pub fn login(&self, user: &str) -> Option<Login> {
        self.inner.credentials.read().as_ref().map(|credentials| credentials.login(user))
    }

    /// Whether this is one of the tokens.
    ///
    /// # Errors
    /// If it is none.
    pub fn check_token(&self, token: &[u8]) -> Result<(), Denied> {
        let checked = match &*self.inner.credentials.read() {
            Some(credentials) => credentials.check_token(token),
            None => return Ok(()),
        };
        checked.inspect_err(|denied| self.count(denied))
    }

    /// A client has shown a wrong password, or none.
    pub fn wrong_password(&self) -> Denied {
        let denied = Denied::wrong_user();
        self.count(&denied);
        denied
    }

    /// Requests with wrong credentials, or without any.
    pub fn denied(&self) -> u64 {
        self.inner.denied.load(Ordering::Relaxed)
    }

    /// Counts, and logs now and then: an agent with an old token should not go unnoticed.
    fn count(&self, denied: &Denied) {
        let count = self.inner.denied.fetch_add(1, Ordering::Relaxed) + 1;
        let mut logged = self.inner.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(port = self.inner.port, %denied, count, "requests are refused for their credentials");
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("credentials", &self.has_credentials()).finish()
    }
}
