//! A process of the store, as its parent has it.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::Exit;

/// What is run.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program, normally this one.
    pub program: PathBuf,
    /// Its arguments: the subcommand, config and data directory.
    pub args: Vec<OsString>,
    /// What is set in its environment, beside what is inherited.
    pub env: Vec<(OsString, OsString)>,
}

impl Command {
    /// The same with more arguments.
    #[must_use]
    pub fn args<const N: usize>(mut self, more: [&str; N]) -> Self {
        self.args.extend(more.map(OsString::from));
        self
    }

    /// The same with a variable in its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }
}

/// A process that was started. Killed when dropped.
#[derive(Debug)]
pub struct Child {
    /// What it is called when it is spoken of: `engine`.
    name: &'static str,
    process: tokio::process::Child,
    pid: u32,
    started: Instant,
    /// The other end is its standard input.
    link: UnixStream,
}

impl Child {
    /// Starts `command`, which is called `name` in errors.
    ///
    /// # Errors
    /// A sentence that says why it cannot be started.
    pub fn start(name: &'static str, command: &Command) -> Result<Self, String> {
        let spawn = || {
            let (link, stdin) = std::os::unix::net::UnixStream::pair()?;
            link.set_nonblocking(true)?;
            let process = tokio::process::Command::new(&command.program)
                .args(&command.args)
                .envs(command.env.iter().map(|(key, value)| (key, value)))
                .stdin(Stdio::from(OwnedFd::from(stdin)))
                // The service manager speaks to this process alone.
                .env_remove("NOTIFY_SOCKET")
                .env_remove("WATCHDOG_USEC")
                .env_remove("WATCHDOG_PID")
                // Ctrl-C at a terminal reaches a whole group; this one ends when its parent tells it to.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()?;
            let pid = process.id().unwrap_or_default();
            Ok(Child { name, process, pid, started: Instant::now(), link: UnixStream::from_std(link)? })
        };
        spawn().map_err(|error: std::io::Error| format!("the {name} cannot be started: {error}"))
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How long it has lived.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until it says that it is ready; how long that took.
    ///
    /// # Errors
    /// How it ended before.
    pub async fn ready(&mut self) -> Result<Duration, Exit> {
        let mut message = [0; 1];
        tokio::select! {
            status = self.process.wait() => Err(Exit::new(self.name, status)),
            read = self.link.read(&mut message) => match read {
                Ok(1..) => Ok(self.age()),
                // It ends, or has closed its standard input and never says so.
                Ok(0) | Err(_) => Err(self.wait().await),
            },
        }
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Exit {
        Exit::new(self.name, self.process.wait().await)
    }

    /// Ends it, if it has not ended by itself.
    pub async fn kill(&mut self) -> Exit {
        // Fails for one that has ended, whose exit is what counts then.
        let _ = self.process.start_kill();
        self.wait().await
    }

    /// Tells it to end, and ends it if it takes longer than this. Whether it ended by itself.
    pub async fn stop(&mut self, within: Duration) -> bool {
        signal(self.pid, Signal::TERM);
        let by_itself = tokio::time::timeout(within, self.process.wait()).await.is_ok();
        if !by_itself {
            self.kill().await;
        }
        by_itself
    }
}

/// Sends a signal to a process that was not waited for yet: its number is nobody else's.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let command = Command { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()], env: Vec::new() };
        Child::start("reader", &command.args(["sh", "7"]).env("SAYS", "ready")).unwrap()
    }

    #[tokio::test]
    async fn a_child_says_that_it_is_ready_and_ends_with_its_parent() {
        let mut child = shell("echo $SAYS >&0; read -r line; exit $1");
        assert!(child.ready().await.unwrap() <= child.age());
        let Child { mut process, link, .. } = child;
        drop(link);
        assert_eq!(process.wait().await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn one_that_never_gets_ready_says_how_it_ended() {
        assert_eq!(shell("exit 3").ready().await.unwrap_err().to_string(), "the reader ended with status 3");
        assert_eq!(shell("kill -ABRT $$").ready().await.unwrap_err().to_string(), "the reader crashed (abort)");
        assert_eq!(shell("exec <&-; exit 4").ready().await.unwrap_err().code(), Some(4));
        let command = Command { program: "/nowhere".into(), args: Vec::new(), env: Vec::new() };
        let error = Child::start("merger", &command).unwrap_err();
        assert!(error.starts_with("the merger cannot be started: "), "{error}");
    }

    #[tokio::test]
    async fn it_is_told_to_end_or_ended() {
        let patience = Duration::from_secs(60);
        let mut willing = shell("echo >&0; read -r line");
        willing.ready().await.unwrap();
        assert!(willing.stop(patience).await);
        let mut unwilling = shell("trap '' TERM; echo >&0; while :; do read -r line || sleep 600; done");
        unwilling.ready().await.unwrap();
        assert!(!unwilling.stop(Duration::from_millis(50)).await);
        assert_eq!(unwilling.kill().await.to_string(), "the reader was killed");
    }
}
