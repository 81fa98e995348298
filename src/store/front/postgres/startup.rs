//! The start of a connection: TLS if the client asks for it, the first message, the login. Or a request to
//! cancel, after which the connection ends.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};
use pgwire::messages::{PgWireBackendMessage as Message, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::error::{PgError, code};
use super::login::Refused;
use super::session::Session;
use super::settings::Settings;
use super::wire::{Wire, WireError};
use crate::net::server::{Limits, Place};
use crate::net::{Acceptor, Stream};

/// What the first messages ask for, in the place of a version.
const SSL: i32 = 80_877_103;
const GSS: i32 = 80_877_104;
const CANCEL: i32 = 80_877_102;

/// Our name in TLS (PostgreSQL's documentation, "SSL Session Encryption").
const ALPN: &[u8] = b"postgresql";

/// Bytes of a message before the login.
const LIMIT: usize = 10_000;

/// Begins a connection. `None` if it was only to cancel something.
///
/// # Errors
/// Why the client did not come in.
pub async fn begin(
    stream: TcpStream,
    acceptor: &Acceptor,
    shared: &Arc<Shared>,
    place: &Place,
    limits: &Limits,
    shutdown: &CancellationToken,
) -> Result<Option<Session>, String> {
    let arrival = async {
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        arrive(stream, acceptor, shared, limits).await
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(None),
        () = place.gives_way() => Err("gave way before its login".to_owned()),
        begun = tokio::time::timeout(limits.header_timeout, arrival) => begun.map_err(|_| "no login in time")?,
    }
}

async fn arrive(
    mut stream: TcpStream,
    acceptor: &Acceptor,
    shared: &Arc<Shared>,
    limits: &Limits,
) -> Result<Option<Session>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let tls = |error: crate::net::tls::AcceptError| error.to_string();
    let mut arrived = BytesMut::new();
    let stream = if Acceptor::begins_with_tls(&stream).await.map_err(failed)? {
        acceptor.accept_tls(stream, ALPN).await.map_err(tls)?
    } else {
        let mut asked = [false; 2];
        loop {
            // Not a byte more: what follows may be TLS already.
            let mut start = [0; 8];
            stream.read_exact(&mut start).await.map_err(failed)?;
            let [length, request] = [&start[..4], &start[4..]].map(|mut bytes| bytes.get_i32());
            if length != 8 || (request != SSL && request != GSS) {
                arrived.extend_from_slice(&start);
                break Stream::Plain(stream);
            }
            if std::mem::replace(&mut asked[usize::from(request == GSS)], true) {
                return Err("the client asks for encryption again and again".to_owned());
            }
            if request == SSL && acceptor.has_tls() {
                stream.write_all(b"S").await.map_err(failed)?;
                break acceptor.accept_tls(stream, ALPN).await.map_err(tls)?;
            }
            stream.write_all(b"N").await.map_err(failed)?;
        }
    };
    let encrypted = matches!(stream, Stream::Tls(_));
    let mut wire = Wire::new(stream, arrived, limits.write_timeout, LIMIT);
    let first = match wire.first().await {
        Ok(Some(first)) => first,
        Ok(None) => return Err("no first message".to_owned()),
        Err(error) => return Err(tell(wire, &fault(&error)).await),
    };
    let mut body = &first[4..];
    let version = body.get_i32();
    if version == CANCEL {
        if let Some(number) = body.try_get_i32().ok().filter(|_| body.len() <= 256) {
            shared.cancel.cancel(number, body);
        }
        return Ok(None);
    }
    if acceptor.has_tls() && !encrypted {
        let message = format!("{}: use sslmode=require", acceptor.refused_plain());
        return Err(tell(wire, &PgError::fatal(code::NOT_ALLOWED, message)).await);
    }
    match login(&mut wire, shared, version, body).await {
        Ok((settings, key)) => Ok(Some(Session::new(wire, Arc::clone(shared), settings, key))),
        Err(Refused::Told(error)) => Err(tell(wire, &error).await),
        Err(Refused::Wire(error)) => Err(tell(wire, &fault(&error)).await),
    }
}

/// The first message, the login, and what a client is told after it.
async fn login(
    wire: &mut Wire,
    shared: &Arc<Shared>,
    version: i32,
    body: &[u8],
) -> Result<(Settings, super::cancel::Key), Refused> {
    let told = |code, message: String| Refused::Told(PgError::fatal(code, message));
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        return Err(told(code::NOT_SUPPORTED, format!("unsupported frontend protocol {major}.{minor}: this is 3.0")));
    }
    let parameters = parameters(body).ok_or_else(|| told(code::PROTOCOL, "invalid startup packet".to_owned()))?;
    let unknown: Vec<String> =
        parameters.iter().filter(|(name, _)| name.starts_with("_pq_.")).map(|(name, _)| (*name).to_owned()).collect();
    if minor > 0 || !unknown.is_empty() {
        let ours = NegotiateProtocolVersion::new(ProtocolVersion::PROTOCOL3_0.into(), unknown);
        wire.put(&Message::NegotiateProtocolVersion(ours))?;
    }
    let of = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let user = of("user").filter(|user| !user.is_empty());
    let user =
        user.ok_or_else(|| told(code::NOT_ALLOWED, "no PostgreSQL user name specified in startup packet".into()))?;
    if of("replication").is_some_and(|value| !["false", "off", "no", "0"].contains(&value)) {
        return Err(told(code::NOT_SUPPORTED, "there is no replication here".to_owned()));
    }
    shared.logins.check(wire, user).await?;
    let mut settings = Settings::of(user, of("database").unwrap_or(user));
    for (name, value) in &parameters {
        match *name {
            "user" | "database" | "replication" => {}
            "options" => {
                for (name, value) in options(value) {
                    let _ = settings.set(&name, Some(&value));
                }
            }
            _ if name.starts_with("_pq_.") => {}
            name => {
                let name = name.to_ascii_lowercase();
                if let Err(error) = settings.set(&name, Some(value))
                    && name == "client_encoding"
                {
                    return Err(Refused::Told(PgError { severity: "FATAL", ..error }));
                }
            }
        }
    }
    wire.put(&Message::Authentication(Authentication::Ok))?;
    for (name, value) in settings.reported() {
        wire.put(&Message::ParameterStatus(ParameterStatus::new(name.to_owned(), value)))?;
    }
    let key = shared.cancel.enter();
    let secret = SecretKey::I32(i32::from_be_bytes(key.secret));
    wire.put(&Message::BackendKeyData(BackendKeyData::new(key.number, secret)))?;
    Ok((settings, key))
}

/// Pairs of texts, each with a zero at its end, and a zero behind them all.
pub fn parameters(mut body: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut text = || {
        let end = memchr::memchr(0, body)?;
        let (text, rest) = (std::str::from_utf8(&body[..end]).ok()?, &body[end + 1..]);
        body = rest;
        Some(text)
    };
    let mut found = Vec::new();
    loop {
        match text()? {
            "" => break,
            name => found.push((name, text()?)),
        }
    }
    body.is_empty().then_some(found)
}

/// `-c name=value` and `--name=value`, as `PGOPTIONS` has them. A backslash keeps a space.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(characters.next())),
            c if c.is_whitespace() => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    let pairs = words.iter().filter_map(|word| {
        let word = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or(word);
        let (name, value) = word.split_once('=')?;
        Some((name.to_ascii_lowercase().replace('-', "_"), value.to_owned()))
    });
    pairs.collect()
}

/// What a client is told of a connection that cannot go on.
pub fn fault(error: &WireError) -> PgError {
    match error {
        WireError::Frame(super::frame::FrameError::TooLarge { .. }) => PgError::fatal(code::LIMIT, error.to_string()),
        WireError::Frame(super::frame::FrameError::Utf8(..)) => PgError::fatal(code::ENCODING, error.to_string()),
        WireError::Encode(_) => PgError::fatal(code::SYSTEM, error.to_string()),
        _ => PgError::fatal(code::PROTOCOL, error.to_string()),
    }
}

/// Tells a client why it does not go on, and ends the connection. The same for the log.
async fn tell(mut wire: Wire, error: &PgError) -> String {
    if wire.put_error(error).is_ok() && wire.flush().await.is_ok() {
        wire.close().await;
    }
    error.message.clone()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_pairs() {
        assert_eq!(parameters(b"user\0a\0database\0\0\0"), Some(vec![("user", "a"), ("database", "")]));
        assert_eq!(parameters(b"\0"), Some(vec![]));
        for bad in [&b""[..], b"user\0", b"user\0a", b"user\0a\0", b"\0x", b"\xff\0\0\0"] {
            assert_eq!(parameters(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn options_of_the_command_line() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(options("-c geqo=off --statement-timeout=5"), [pair("geqo", "off"), pair("statement_timeout", "5")]);
        assert_eq!(options("-cdatestyle=ISO\\ ,\\ MDY"), [pair("datestyle", "ISO , MDY")]);
        assert_eq!(options("  "), []);
    }

    proptest! {
        #[test]
        fn no_bytes_end_it(bytes in prop::collection::vec(prop_oneof![2 => Just(0_u8), 3 => any::<u8>()], 0..60)) {
            let _ = parameters(&bytes);
            let _ = options(&String::from_utf8_lossy(&bytes));
        }
    }
}
