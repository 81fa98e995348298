//! Sessions of browsers: a person shows credentials once, in a form, and the browser a cookie from then on.
//!
//! A session holds what was shown, which is checked anew at each request: it ends when the config does not have
//! it any more. Sessions are in memory alone and end with the program.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use rand::Rng;
use tokio::time::Instant;

use crate::net::Authenticator;

/// How long a session lasts.
const LASTS: Duration = Duration::from_secs(12 * 3600);

/// Sessions at a time. Only who has credentials opens one; when there are more, the oldest ends.
const MAX_SESSIONS: usize = 1000;

/// Letters of a session's number.
const LETTERS: usize = 64;

/// The sessions of a port.
#[derive(Debug)]
pub struct Sessions {
    open: Mutex<HashMap<String, Session>>,
    /// Of the cookie: browsers keep the cookies of all ports of a host together.
    cookie: String,
    is_secure: bool,
}

#[derive(Debug)]
struct Session {
    authorization: HeaderValue,
    until: Instant,
}

impl Sessions {
    /// None yet, of a port with this number, with TLS or without.
    pub fn new(port: u16, is_secure: bool) -> Self {
        // Browsers take a cookie of this prefix only over TLS, from this host itself, for all of its paths
        // (RFC 6265bis, section 4.1.3.2).
        let prefix = if is_secure { "__Host-" } else { "" };
        Sessions { open: Mutex::default(), cookie: format!("{prefix}vispyr-{port}"), is_secure }
    }

    /// Begins one for who has shown this: the cookie to set.
    pub fn open(&self, authorization: HeaderValue) -> Option<HeaderValue> {
        let random: [u8; LETTERS / 2] = rand::rng().random();
        let number: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = Instant::now();
        let mut open = self.open.lock();
        open.retain(|_, session| session.until > now);
        if open.len() >= MAX_SESSIONS
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.until).map(|(number, _)| number.clone())
        {
            open.remove(&oldest);
        }
        open.insert(number.clone(), Session { authorization, until: now + LASTS });
        self.set_cookie(&number, LASTS)
    }

    /// What the session of a request has shown, if it has one that still holds.
    pub fn find(&self, headers: &HeaderMap, authenticator: &Authenticator) -> Option<HeaderMap> {
        let number = self.number(headers)?;
        let mut open = self.open.lock();
        let session = open.get(number)?;
        let shown = HeaderMap::from_iter([(header::AUTHORIZATION, session.authorization.clone())]);
        if session.until > Instant::now() && authenticator.accepts(&shown) {
            return Some(shown);
        }
        open.remove(number);
        None
    }

    /// Ends the one of a request: the cookie to set.
    pub fn close(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if let Some(number) = self.number(headers) {
            self.open.lock().remove(number);
        }
        self.set_cookie("", Duration::ZERO)
    }

    fn number<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, number)| number).filter(|number| number.len() == LETTERS)
    }

    fn set_cookie(&self, number: &str, lasts: Duration) -> Option<HeaderValue> {
        let (name, secure) = (&self.cookie, if self.is_secure { "; Secure" } else { "" });
        let cookie = format!("{name}={number}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", lasts.as_secs());
        let mut cookie = HeaderValue::try_from(cookie).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(format!("a=b; {pair}")).unwrap())])
    }

    fn shown() -> HeaderValue {
        HeaderValue::from_static("Bearer secret")
    }

    #[test]
    fn a_session_is_known_by_its_cookie_until_it_is_closed() {
        let sessions = Sessions::new(12345, false);
        let all = Authenticator::none();
        let (one, other) = (sessions.open(shown()).unwrap(), sessions.open(shown()).unwrap());
        assert_ne!(one, other);
        let text = one.to_str().unwrap().to_owned();
        assert!(text.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{text}");
        assert_eq!(sessions.find(&request(&one), &all).unwrap()[header::AUTHORIZATION], shown());
        assert!(sessions.find(&HeaderMap::new(), &all).is_none());
        let guess = HeaderValue::try_from(format!("vispyr-12345={}", "0".repeat(64))).unwrap();
        assert!(sessions.find(&request(&guess), &all).is_none());
        let gone = sessions.close(&request(&one)).unwrap();
        assert!(gone.to_str().unwrap().starts_with("vispyr-12345=; Path=/; Max-Age=0;"), "{gone:?}");
        assert!(sessions.find(&request(&one), &all).is_none());
        assert!(sessions.find(&request(&other), &all).is_some());
    }

    #[test]
    fn sessions_end_and_are_bounded() {
        let sessions = Sessions::new(1, true);
        let all = Authenticator::none();
        let first = sessions.open(shown()).unwrap();
        assert!(
            first.to_str().unwrap().starts_with("__Host-vispyr-1=") && first.to_str().unwrap().ends_with("; Secure")
        );
        for session in sessions.open.lock().values_mut() {
            session.until = Instant::now();
        }
        assert!(sessions.find(&request(&first), &all).is_none(), "its time is over");
        let second = sessions.open(shown()).unwrap();
        for _ in 0..MAX_SESSIONS {
            sessions.open(shown()).unwrap();
        }
        assert_eq!(sessions.open.lock().len(), MAX_SESSIONS);
        assert!(sessions.find(&request(&second), &all).is_none(), "the oldest has gone");
    }
}
