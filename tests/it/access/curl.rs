//! A client that we have not written.

use std::path::Path;
use std::process::Command;

/// What curl came back with.
#[derive(Debug)]
pub struct Knock {
    /// curl's exit code: 0, 35 and 56 for a broken handshake, 60 for a certificate not trusted.
    pub exit: i32,
    /// The status; 0 if there was none.
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    /// The body.
    pub body: String,
    /// What curl says of it.
    pub trouble: String,
}

/// Runs curl; the URL is among the arguments.
pub fn curl<S: AsRef<str>>(args: &[S]) -> Knock {
    let args = args.iter().map(AsRef::as_ref);
    let done = Command::new("curl").args(["-sS", "-i", "--max-time", "30"]).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    // An interim answer comes before.
    let answer = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    Knock {
        exit: done.status.code().unwrap_or(-1),
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
        trouble: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Arguments joined.
pub fn with<S: AsRef<str>>(base: &[S], more: &[&str]) -> Vec<String> {
    base.iter().map(AsRef::as_ref).chain(more.iter().copied()).map(str::to_owned).collect()
}

/// Arguments that trust this authority.
pub fn trusting(authority: &Path) -> Vec<String> {
    vec!["--cacert".to_owned(), authority.display().to_string()]
}
