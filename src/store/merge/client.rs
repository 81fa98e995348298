//! The writer's side of `merge.sock`.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Job, MergeError, Merged};
use crate::store::engine::Stop;

/// How long a merger that is not there is waited for: it is started again at once.
const START: Duration = Duration::from_secs(5);

/// Between two tries to reach it.
const PAUSE: Duration = Duration::from_millis(20);

/// How often it is seen whether the answer is still wanted.
const LOOK: Duration = Duration::from_millis(100);

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
    /// Nobody wants the answer any more.
    #[error("the engine is ending")]
    Stopped,
    /// The merger's answer.
    #[error(transparent)]
    Failed(#[from] MergeError),
}

/// Has the merger do a job, within this time, or until `stop`. Blocks.
///
/// # Errors
/// See [`RunError`]. No file is left, or one of which nobody knows, which the next start sweeps.
pub fn run(socket: &Path, job: &Job, within: Duration, stop: &Stop) -> Result<Merged, RunError> {
    let mut stream = connect(socket, stop)?;
    stream.set_read_timeout(Some(LOOK)).map_err(RunError::Away)?;
    let mut line = serde_json::to_vec(job).map_err(|error| MergeError::Other(error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(|_| RunError::Died)?;
    let started = Instant::now();
    let mut from = BufReader::new(stream);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        match from.read_until(b'\n', &mut answer) {
            Ok(0) => return Err(RunError::Died),
            Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(RunError::Died);
            }
            Ok(_) | Err(_) => {}
        }
        if stop.is_stopped() {
            return Err(RunError::Stopped);
        }
        if started.elapsed() > within {
            return Err(RunError::Late(within));
        }
    }
    let result: Result<Merged, MergeError> = serde_json::from_slice(&answer)
        .map_err(|error| MergeError::Other(format!("the merger's answer cannot be read: {error}")))?;
    Ok(result?)
}

fn connect(socket: &Path, stop: &Stop) -> Result<UnixStream, RunError> {
    let started = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if started.elapsed() > START => return Err(RunError::Away(error)),
            Err(_) if stop.wait(PAUSE) => return Err(RunError::Stopped),
            Err(_) => {}
        }
    }
}
