//! The writer's side of `merge.sock`.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Job, MergeError, Merged};

/// How long a merger that is not there is waited for: it is started again at once.
const START: Duration = Duration::from_secs(5);

/// Between two tries to reach it.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No merger listens. It has not seen the job.
    #[error("the merger does not answer: {0}")]
    Away(io::Error),
    /// The merger ended over the job, or was ended.
    #[error("the merger ended over a merge")]
    Died,
    /// It takes too long. The merger gives it up.
    #[error("a merge took longer than {} s", .0.as_secs())]
    Late(Duration),
    /// The merger's answer.
    #[error(transparent)]
    Failed(#[from] MergeError),
}

/// Has the merger do a job, within this time. Blocks.
///
/// # Errors
/// See [`RunError`]. No file is left, or one of which nobody knows, which the next start sweeps.
pub fn run(socket: &Path, job: &Job, within: Duration) -> Result<Merged, RunError> {
    let ended = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => RunError::Late(within),
        _ => RunError::Died,
    };
    let mut stream = connect(socket).map_err(RunError::Away)?;
    stream.set_read_timeout(Some(within)).map_err(RunError::Away)?;
    let mut line = serde_json::to_vec(job).map_err(|error| MergeError::Other(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(ended)?;
    let mut answer = String::new();
    // The whole line comes at once.
    BufReader::new(stream).read_line(&mut answer).map_err(ended)?;
    if !answer.ends_with('\n') {
        return Err(RunError::Died);
    }
    let result: Result<Merged, MergeError> = serde_json::from_str(&answer)
        .map_err(|error| MergeError::Other(format!("the merger's answer cannot be read: {error}")))?;
    Ok(result?)
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let started = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Err(_) if started.elapsed() < START => pause(),
            connected => return connected,
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "nobody tells when the merger is there")]
fn pause() {
    std::thread::sleep(PAUSE);
}
