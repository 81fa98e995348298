//! The `Authorization` header towards a destination, from a file that may change at any time:
//! it is read again every few seconds, so that a rotated secret needs no reload.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use parking_lot::Mutex;

use super::client::BuildError;
use super::config::Auth;

/// How old what was read may be.
const FRESH: Duration = Duration::from_secs(5);

/// Where the header comes from, and what it was last time.
#[derive(Debug)]
pub struct Credentials {
    user: Option<String>,
    file: PathBuf,
    last: Mutex<(Instant, HeaderValue)>,
    /// It is being read: by one thread at most, however long the disk takes.
    reading: Arc<AtomicBool>,
}

impl Credentials {
    /// Reads the file; none if the config names none.
    pub fn new(auth: &Auth) -> Result<Option<Self>, BuildError> {
        let (user, file) = match (&auth.bearer_token_file, &auth.username, &auth.password_file) {
            (Some(file), _, _) => (None, file.clone()),
            (None, Some(user), Some(file)) => (Some(user.clone()), file.clone()),
            _ => return Ok(None),
        };
        let value = read(user.as_deref(), &file).map_err(|source| BuildError::File { path: file.clone(), source })?;
        Ok(Some(Credentials { user, file, last: Mutex::new((Instant::now(), value)), reading: Arc::default() }))
    }

    /// The header as it is now. While the file cannot be read it stays what it was.
    pub async fn header(&self) -> HeaderValue {
        let (at, value) = self.last.lock().clone();
        if at.elapsed() < FRESH {
            return value;
        }
        if self.reading.swap(true, Ordering::AcqRel) {
            return value;
        }
        let (user, file, reading) = (self.user.clone(), self.file.clone(), self.reading.clone());
        let new = tokio::task::spawn_blocking(move || {
            let new = read(user.as_deref(), &file);
            reading.store(false, Ordering::Release);
            new
        })
        .await;
        let value = match new {
            Ok(Ok(new)) => new,
            Ok(Err(error)) => {
                tracing::warn!(file = %self.file.display(), %error, "cannot read a secret, going on with the last one");
                value
            }
            Err(_) => value,
        };
        *self.last.lock() = (Instant::now(), value.clone());
        value
    }
}

fn read(user: Option<&str>, file: &Path) -> io::Result<HeaderValue> {
    let text = std::fs::read_to_string(file)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    if secret.is_empty() {
        return Err(invalid("the file is empty"));
    }
    let value = match user {
        Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))),
        None => format!("Bearer {}", secret.trim()),
    };
    // Not the library's error, which may show what is wrong.
    let mut value = HeaderValue::try_from(value).map_err(|_| invalid("the file holds what no header can"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_passwords_become_headers_that_do_not_show() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "open sesame\n").unwrap();
        let bearer = Auth { bearer_token_file: Some(file.clone()), ..Auth::default() };
        let credentials = Credentials::new(&bearer).unwrap().unwrap();
        assert_eq!(credentials.last.lock().1, "Bearer open sesame");
        assert!(!format!("{credentials:?}").contains("sesame"));
        let basic = Auth { username: Some("ali".into()), password_file: Some(file.clone()), ..Auth::default() };
        let credentials = Credentials::new(&basic).unwrap().unwrap();
        assert_eq!(credentials.last.lock().1, "Basic YWxpOm9wZW4gc2VzYW1l");
        assert!(Credentials::new(&Auth::default()).unwrap().is_none());
        std::fs::write(&file, "\n").unwrap();
        assert!(Credentials::new(&bearer).is_err());
        std::fs::write(&file, "a\u{7}b").unwrap();
        let error = Credentials::new(&bearer).unwrap_err().to_string();
        assert!(error.contains("no header") && !error.contains('\u{7}'), "{error}");
    }
}
