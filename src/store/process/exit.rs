//! How a process of the store ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Signals that only the process itself raises: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const OWN_FAULT: [i32; 6] = [4, 5, 6, 7, 8, 11];

/// How a process ended. Displayed as a sentence that names it.
#[derive(Debug)]
pub struct Exit {
    name: &'static str,
    status: std::io::Result<ExitStatus>,
}

impl Exit {
    /// Of the process that is called `name`.
    pub fn new(name: &'static str, status: std::io::Result<ExitStatus>) -> Self {
        Exit { name, status }
    }

    /// Its exit code, if it had one.
    pub fn code(&self) -> Option<i32> {
        self.status.as_ref().ok()?.code()
    }

    /// Whether it ended over its own work, and not by somebody from outside.
    pub fn is_crash(&self) -> bool {
        self.signal().is_some_and(|signal| OWN_FAULT.contains(&signal))
    }

    fn signal(&self) -> Option<i32> {
        self.status.as_ref().ok()?.signal()
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exit { name, status } = self;
        match (status, self.signal()) {
            (Err(error), _) => write!(f, "the {name} cannot be waited for: {error}"),
            (_, Some(11)) => write!(f, "the {name} crashed (segmentation fault)"),
            (_, Some(6)) => write!(f, "the {name} crashed (abort)"),
            (_, Some(9)) => write!(f, "the {name} was killed"),
            (_, Some(signal)) if self.is_crash() => write!(f, "the {name} crashed (signal {signal})"),
            (_, Some(signal)) => write!(f, "the {name} was ended by signal {signal}"),
            (Ok(_), None) => write!(f, "the {name} ended with status {}", self.code().unwrap_or_default()),
        }
    }
}
