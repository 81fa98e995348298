//! Why a request was not taken, and what that is in gRPC and in HTTP: the only place where errors
//! become status codes.
//!
//! OTLP specification, "Failures" (gRPC) and "Failures" (HTTP): UNAVAILABLE with RetryInfo and
//! 503 with Retry-After are the two answers that every known client takes as "later".

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tonic::Code;

use super::reply::{self, Reply};
use crate::net::Denied;
use crate::wal::AppendError;
use crate::wire::WireError;

/// How long a sender is asked to wait. Python's and JavaScript's exporters drop a batch at once
/// when told to wait for longer than they would themselves, which is 10 s.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Without credentials, or with wrong ones.
    #[error("{0}")]
    Unauthenticated(Denied),
    /// The body is not what it claims to be. The text says what is wrong and where.
    #[error("{0}")]
    Malformed(String),
    /// A parameter of the request is wrong.
    #[error("{0}")]
    BadParameter(String),
    /// More than [`super::admission::Config::max_request_size`].
    #[error("the request is larger than {limit} bytes, decompressed")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The body's compression is not known here.
    #[error("{0}")]
    UnknownEncoding(String),
    /// The content type is not known here.
    #[error("{0}")]
    UnknownMediaType(String),
    /// The protocol of the request has a port of its own.
    #[error("{0}")]
    WrongPort(&'static str),
    /// No room; the word says of what.
    #[error("too many requests in flight ({0}), try again")]
    Busy(&'static str),
    /// The log did not take it.
    #[error("{0}, try again")]
    Log(AppendError),
    /// The log will never take it.
    #[error("{0}")]
    LargerThanLog(AppendError),
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    Slow,
    /// The request took longer than [`super::admission::Config::request_timeout`].
    #[error("the request took too long, try again")]
    Overdue,
    /// The client's own deadline has passed.
    #[error("the deadline of the request has passed")]
    Deadline,
    /// The client went away before its body was complete.
    #[error("the body ended early: {0}")]
    Cut(String),
    /// A bug here.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::TooLarge { .. } => Refusal::LargerThanLog(error),
            _ => Refusal::Log(error),
        }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Refusal::Malformed(error.to_string())
    }
}

impl Refusal {
    /// The word for it in the ledger.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Refusal::Unauthenticated(_) => "unauthenticated",
            Refusal::Malformed(_) => "malformed",
            Refusal::BadParameter(_) => "bad_parameter",
            Refusal::TooLarge { .. } | Refusal::LargerThanLog(_) => "too_large",
            Refusal::UnknownEncoding(_) => "unknown_encoding",
            Refusal::UnknownMediaType(_) => "unknown_media_type",
            Refusal::WrongPort(_) => "wrong_port",
            Refusal::Busy(_) => "busy",
            Refusal::Log(AppendError::Full { .. }) => "log_full",
            Refusal::Log(_) => "log",
            Refusal::Slow => "slow",
            Refusal::Overdue => "overdue",
            Refusal::Deadline => "deadline",
            Refusal::Cut(_) => "cut",
            Refusal::Internal(_) => "internal",
        }
    }

    /// The two status codes.
    fn status(&self) -> (Code, StatusCode) {
        match self {
            Refusal::Unauthenticated(_) => (Code::Unauthenticated, StatusCode::UNAUTHORIZED),
            Refusal::Malformed(_) | Refusal::BadParameter(_) => (Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Refusal::TooLarge { .. } | Refusal::LargerThanLog(_) => {
                (Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE)
            }
            Refusal::UnknownEncoding(_) | Refusal::WrongPort(_) => {
                (Code::Unimplemented, StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Refusal::UnknownMediaType(_) => (Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Refusal::Busy(_) | Refusal::Log(_) | Refusal::Overdue => {
                (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
            }
            Refusal::Slow => (Code::DeadlineExceeded, StatusCode::REQUEST_TIMEOUT),
            Refusal::Deadline => (Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT),
            Refusal::Cut(_) => (Code::Cancelled, StatusCode::BAD_REQUEST),
            Refusal::Internal(_) => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// As gRPC says it.
    pub(crate) fn code(&self) -> Code {
        self.status().0
    }

    /// As HTTP says it.
    pub(crate) fn http(&self) -> StatusCode {
        self.status().1
    }

    /// How long the sender should wait, if it should come back at all.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        matches!(self, Refusal::Busy(_) | Refusal::Log(_) | Refusal::Overdue).then_some(RETRY_AFTER)
    }

    /// Adds to an HTTP reply what the sender should do: come back later, show credentials.
    pub(crate) fn advise(&self, headers: &mut HeaderMap) {
        if let Some(delay) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs()));
        }
        if let Refusal::Unauthenticated(denied) = self {
            denied.challenge(headers);
        }
    }

    /// An HTTP reply for people.
    pub(crate) fn text(&self) -> Response<Reply> {
        let mut response = reply::text(self.http(), self.to_string());
        self.advise(response.headers_mut());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;

    #[test]
    fn what_is_worth_a_retry_says_so_in_both_protocols() {
        let io = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        for refusal in [
            Refusal::Busy("memory"),
            Refusal::Log(AppendError::Full { signal: Signal::Traces, behind: vec!["store".to_owned()] }),
            Refusal::Log(AppendError::Io { signal: Signal::Traces, source: io() }),
            Refusal::Log(AppendError::Closed(Signal::Traces)),
            Refusal::Overdue,
        ] {
            assert_eq!(refusal.code(), Code::Unavailable, "{refusal}");
            assert_eq!(refusal.http(), StatusCode::SERVICE_UNAVAILABLE, "{refusal}");
            assert!(refusal.retry_after().is_some_and(|delay| delay <= Duration::from_secs(3)), "{refusal}");
        }
        let never = AppendError::TooLarge { signal: Signal::Traces, size: 2, limit: 1 };
        for refusal in [Refusal::Malformed(String::new()), Refusal::TooLarge { limit: 1 }, never.into()] {
            assert!(refusal.http().is_client_error());
            assert_eq!(refusal.retry_after(), None);
        }
    }
}
