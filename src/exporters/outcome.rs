//! What became of a request, and what an answer means: the only place where status codes become
//! outcomes. The table is `Delivery` of the architecture.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header};
use prost::Message as _;
use tonic::Code;
use tonic_types::pb;

use super::client::SendError;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Taken. Items that the destination rejected by its own word (partial success) are lost.
    Accepted {
        /// So many.
        rejected: u64,
        /// Why, or a warning.
        message: String,
    },
    /// Not now. Nothing is given up for it.
    Later {
        /// What the destination said.
        reason: String,
        /// How long it asked us to wait.
        after: Option<Duration>,
        /// What it is about.
        kind: Later,
    },
    /// Never as it is: split, and at last set aside.
    Refused {
        /// What the destination said.
        reason: String,
    },
}

/// Why something has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// Not there: no connection.
    Unreachable,
    /// It took the request and did not answer in time, or closed the connection over it, perhaps
    /// because of what is in it.
    Unanswered,
    /// Somebody says that it is not there, or not in time: a balancer, or itself while it starts.
    Unavailable,
    /// It says that it will take it later.
    Busy,
    /// It says that there is too much of something. With a joined batch it may be its size.
    Exhausted,
    /// It failed, perhaps over this very request.
    ServerError,
    /// The config is wrong: credentials, path, certificates.
    Misconfigured,
}

impl Later {
    /// A word for it in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Later::Unreachable => "unreachable",
            Later::Unanswered => "unanswered",
            Later::Unavailable => "unavailable",
            Later::Busy => "busy",
            Later::Exhausted => "exhausted",
            Later::ServerError => "server_error",
            Later::Misconfigured => "misconfigured",
        }
    }
}

/// The longest reason that is kept.
const LONGEST_REASON: usize = 500;

impl Outcome {
    /// Taken as a whole.
    pub const ACCEPTED: Outcome = Outcome::Accepted { rejected: 0, message: String::new() };

    /// A word for it in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Accepted { rejected: 0, .. } => "accepted",
            Outcome::Accepted { .. } => "partly_accepted",
            Outcome::Later { kind, .. } => kind.name(),
            Outcome::Refused { .. } => "refused",
        }
    }

    fn later(kind: Later, reason: String, after: Option<Duration>) -> Self {
        Outcome::Later { reason, after, kind }
    }

    /// No answer came.
    pub fn of_error(error: &SendError) -> Self {
        let kind = match error {
            SendError::Certificate(_) | SendError::Redirect(_) => Later::Misconfigured,
            SendError::NoConnection(_) | SendError::Network(_) => Later::Unreachable,
            SendError::Timeout(_) | SendError::Dropped(_) => Later::Unanswered,
        };
        Self::later(kind, error.to_string(), None)
    }

    /// An HTTP answer without success.
    pub fn of_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let after = retry_after(headers);
        let reason = match explanation(headers, body) {
            text if text.is_empty() => format!("HTTP {status}"),
            text => format!("HTTP {status}: {text}"),
        };
        match status.as_u16() {
            // 408 is ours to repeat (RFC 9110, section 15.5.9), 425 too.
            408 | 425 | 429 => Self::later(Later::Busy, reason, after),
            511 => Self::later(Later::Misconfigured, reason, after),
            // Some servers say it with every 5xx, also where the request is what they fail over. What
            // gateways answer for a server that is not there is no such answer.
            502..=504 if after.is_some() => Self::later(Later::Busy, reason, after),
            503 => Self::later(Later::Unavailable, reason, None),
            500..=599 => Self::later(Later::ServerError, reason, after),
            401 | 402 | 403 | 404 | 405 | 407 | 410 | 421 | 426 => Self::later(Later::Misconfigured, reason, after),
            400..=499 => Outcome::Refused { reason },
            // A redirection that would turn a POST into a GET; nor is any 1xx or odd 2xx an answer.
            _ => Self::later(Later::Misconfigured, reason, after),
        }
    }

    /// A gRPC status that is not OK; where it stands, `trailers` may be the headers.
    pub fn of_grpc(trailers: &HeaderMap) -> Self {
        let code = trailers.get("grpc-status").map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
        let message = trailers.get("grpc-message").map(|text| unescape(text.as_bytes())).unwrap_or_default();
        let reason = match message.is_empty() {
            true => format!("gRPC {code:?}"),
            false => format!("gRPC {code:?}: {}", short(&message)),
        };
        let after = retry_info(trailers);
        match code {
            Code::ResourceExhausted if after.is_none() && is_about_size(&message) => Outcome::Refused { reason },
            Code::ResourceExhausted if after.is_none() => Self::later(Later::Exhausted, reason, None),
            Code::OutOfRange | Code::ResourceExhausted => Self::later(Later::Busy, reason, after),
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted => {
                let kind = if after.is_some() { Later::Busy } else { Later::Unavailable };
                Self::later(kind, reason, after)
            }
            Code::DataLoss | Code::Internal | Code::Unknown | Code::Ok => {
                Self::later(Later::ServerError, reason, after)
            }
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound => {
                Self::later(Later::Misconfigured, reason, after)
            }
            Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition => Outcome::Refused { reason },
        }
    }

    /// An HTTP answer with success, whose body nobody looks into further. A web page is none: it
    /// comes from a proxy's login or somebody else's front door, which has thrown the request away.
    pub fn of_success(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        // 203 is 200 through a proxy that changes answers. The others are about part of a document.
        if !matches!(status.as_u16(), 200..=204 | 206) {
            return Self::of_http(status, headers, body);
        }
        if is_web_page(headers, body) {
            let reason =
                format!("HTTP {status}: answered with a web page, so nobody there takes data; is the url right?");
            return Self::later(Later::Misconfigured, reason, None);
        }
        Outcome::ACCEPTED
    }

    /// An HTTP answer to a gRPC call that is none of gRPC: something is in between, or it is no
    /// gRPC server ("HTTP to gRPC Status Code Mapping" of gRPC, with 400 for what it is).
    pub fn of_foreign(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        match Self::of_http(status, headers, body) {
            Outcome::Refused { reason } => Self::later(Later::ServerError, reason, None),
            Outcome::Accepted { .. } => Self::later(Later::Misconfigured, "no gRPC server".to_owned(), None),
            Outcome::Later { reason, after, kind } if status.is_success() => {
                Self::later(kind, format!("{reason}; is this a gRPC server?"), after)
            }
            later => later,
        }
    }
}

fn is_web_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes()).to_ascii_lowercase();
    let begins = body.trim_ascii_start().get(..14).unwrap_or(body.trim_ascii_start()).to_ascii_lowercase();
    let is_markup = begins.starts_with(b"<html") || begins.starts_with(b"<!doctype html");
    !body.is_empty() && (kind.starts_with(b"text/html") || kind.starts_with(b"application/xhtml")) || is_markup
}

/// Whether a message says that the request is too large, in the words of gRPC's own libraries (Go,
/// C++ and its kin, Java, Rust). The code is that of a rate limit, too.
fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["larger than max", "exceeds maximum", "too large", "too big"].iter().any(|words| message.contains(words))
}

/// `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). A date that is past is now.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = SystemTime::now().max(UNIX_EPOCH);
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

/// `google.rpc.RetryInfo` among the details of a gRPC status.
fn retry_info(trailers: &HeaderMap) -> Option<Duration> {
    let details = trailers.get("grpc-status-details-bin")?;
    let details = pb::Status::decode(&decode_base64(details.as_bytes())?[..]).ok()?;
    let info = details.details.into_iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = pb::RetryInfo::decode(&info.value[..]).ok()?.retry_delay?;
    Some(Duration::try_from(delay).unwrap_or(Duration::ZERO))
}

/// gRPC takes base64 with and without padding.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    BASE64.decode(text).ok()
}

/// The percent-encoding of `grpc-message`.
fn unescape(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What an error's body says: `google.rpc.Status` or `{"message": ...}` or text.
fn explanation(headers: &HeaderMap, body: &[u8]) -> String {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if kind.starts_with(b"application/x-protobuf")
        && let Ok(status) = pb::Status::decode(body)
    {
        return short(&status.message);
    }
    if kind.starts_with(b"application/json")
        && let Ok(value) = serde_json::from_slice::<serde_json::Value>(body)
        && let Some(message) = value.get("message").and_then(|message| message.as_str())
    {
        return short(message);
    }
    short(&String::from_utf8_lossy(&body[..body.len().min(4 * LONGEST_REASON)]))
}

/// One line of bounded length.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = words.join(" ");
    if line.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests;
