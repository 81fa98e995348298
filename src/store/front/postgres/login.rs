//! Who may come in. A user's password is proved by SCRAM-SHA-256 (RFC 5802, RFC 7677), so that it never
//! travels; a token is given as the password, as it is.

use std::collections::HashMap;
use std::slice;

use bytes::BytesMut;
use parking_lot::Mutex;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, ScramServerAuth, gen_salted_password};
use pgwire::error::PgWireError;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::Authentication;

use super::error::{PgError, code};
use super::wire::{Wire, WireError};
use crate::net::{Authenticator, Login, Secret};

mod proof;

/// The mechanism that we offer.
const SCRAM: &str = "SCRAM-SHA-256";

/// Bytes of a salt.
const SALT: usize = 16;

/// The logins of a port.
pub struct Logins {
    authenticator: Authenticator,
    /// What the salts are made of. A user has the same as long as we run, there or not.
    seed: [u8; 32],
    /// By user: to salt a password takes thousands of hashes.
    salted: Mutex<HashMap<String, Salted>>,
}

/// The passwords of a user, and what they are when salted.
#[derive(Clone)]
struct Salted {
    passwords: Vec<Secret>,
    salted: Vec<Vec<u8>>,
}

/// What has kept a client out.
pub enum Refused {
    /// It is told this.
    Told(PgError),
    /// The connection has ended.
    Wire(WireError),
}

impl From<WireError> for Refused {
    fn from(error: WireError) -> Self {
        Refused::Wire(error)
    }
}

impl Logins {
    /// By these credentials.
    pub fn new(authenticator: Authenticator) -> Self {
        Logins { authenticator, seed: rand::random(), salted: Mutex::default() }
    }

    /// Asks a client for what its user has to show.
    ///
    /// # Errors
    /// If it does not show that.
    pub async fn check(&self, wire: &mut Wire, user: &str) -> Result<(), Refused> {
        match self.authenticator.login(user) {
            None => Ok(()),
            Some(Login::Token) => {
                wire.put(&PgWireBackendMessage::Authentication(Authentication::CleartextPassword))?;
                let message = password(wire).await?;
                let given = message.strip_suffix(b"\0").ok_or_else(malformed)?;
                self.authenticator.check_token(given).map_err(|denied| {
                    Refused::Told(PgError::fatal(code::PASSWORD, format!("{denied}: give the token as the password")))
                })
            }
            Some(Login::Password(known)) => self.scram(wire, user, known).await,
        }
    }

    async fn scram(&self, wire: &mut Wire, user: &str, known: Vec<Secret>) -> Result<(), Refused> {
        wire.put(&PgWireBackendMessage::Authentication(Authentication::SASL(vec![SCRAM.to_owned()])))?;
        let message = password(wire).await?;
        let (mechanism, first) = initial(&message).ok_or_else(malformed)?;
        if mechanism != SCRAM.as_bytes() {
            let mechanism = String::from_utf8_lossy(mechanism);
            let message = format!("the client wants {mechanism}, this port has {SCRAM}");
            return Err(Refused::Told(PgError::fatal(code::PROTOCOL, message)));
        }
        let salt = self.salt(user);
        let is_known = !known.is_empty();
        let mut salted = self.salted(user, known, &salt).await;
        // Without a user it is something that nobody can prove to know.
        let one = salted.pop().unwrap_or_else(|| rand::random::<[u8; 32]>().to_vec());
        let secret = ScramSecret::SaltedPassword { salt, salted_password: one };
        let answered = ScramServerAuth::new().on_client_first_message_with_secret(first, secret);
        let (challenge, waiting) = answered.map_err(|_| malformed())?;
        wire.put(&PgWireBackendMessage::Authentication(Authentication::SASLContinue(challenge.clone().into())))?;
        let last = password(wire).await?;
        let proof = match waiting.on_client_final_message(&last) {
            // Everything else about it is right. A user has two passwords while one takes the place of the other.
            Err(PgWireError::InvalidPassword(_)) => {
                salted.iter().find_map(|salted| proof::verify(salted, first, &challenge, &last))
            }
            proof => proof.ok(),
        };
        match proof.filter(|_| is_known) {
            Some(proof) => {
                wire.put(&PgWireBackendMessage::Authentication(Authentication::SASLFinal(proof.into())))?;
                Ok(())
            }
            None => {
                self.authenticator.wrong_password();
                let message = format!("password authentication failed for user \"{user}\"");
                Err(Refused::Told(PgError::fatal(code::PASSWORD, message)))
            }
        }
    }

    fn salt(&self, user: &str) -> Vec<u8> {
        let mut salt = gen_salted_password(user, &self.seed, 1);
        salt.truncate(SALT);
        salt
    }

    /// The passwords of a user, salted.
    async fn salted(&self, user: &str, passwords: Vec<Secret>, salt: &[u8]) -> Vec<Vec<u8>> {
        let is_same = |cached: &Salted| {
            cached.passwords.len() == passwords.len()
                && cached.passwords.iter().zip(&passwords).all(|(a, b)| Secret::is_any(slice::from_ref(a), b.expose()))
        };
        let cached = self.salted.lock().get(user).filter(|cached| is_same(cached)).cloned();
        if let Some(cached) = cached {
            return cached.salted;
        }
        if passwords.is_empty() {
            return Vec::new();
        }
        let (of, salt) = (passwords.clone(), salt.to_vec());
        let salt_them = move || {
            let one = |of: &Secret| gen_salted_password(&String::from_utf8_lossy(of.expose()), &salt, SCRAM_ITERATIONS);
            of.iter().map(one).collect::<Vec<_>>()
        };
        let salted = tokio::task::spawn_blocking(salt_them).await.unwrap_or_default();
        // Users are in a file of ours, so they are few.
        self.salted.lock().insert(user.to_owned(), Salted { passwords, salted: salted.clone() });
        salted
    }
}

fn malformed() -> Refused {
    Refused::Told(PgError::fatal(code::PROTOCOL, "malformed SCRAM or password message"))
}

/// The content of the next message, which has to be the answer to what was asked.
async fn password(wire: &mut Wire) -> Result<BytesMut, Refused> {
    wire.flush().await?;
    match wire.next().await? {
        Some((b'p', mut message)) => Ok(message.split_off(5)),
        Some(_) => Err(Refused::Told(PgError::fatal(code::PROTOCOL, "expected password response"))),
        None => Err(Refused::Wire(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into())),
    }
}

/// The mechanism and the data of a `SASLInitialResponse`.
pub fn initial(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, message)?;
    let (mechanism, rest) = (&message[..end], &message[end + 1..]);
    let (length, data) = rest.split_first_chunk()?;
    let whole = usize::try_from(i32::from_be_bytes(*length)).is_ok_and(|length| length == data.len());
    whole.then_some((mechanism, data))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_initial_response_says_how_much_it_has() {
        assert_eq!(initial(b"SCRAM-SHA-256\0\0\0\0\x02n,"), Some((&b"SCRAM-SHA-256"[..], &b"n,"[..])));
        for bad in [&b""[..], b"x", b"x\0", b"x\0\0\0\0", b"x\0\0\0\0\x09n", b"x\0\xff\xff\xff\xff", b"x\0\0\0\0\x01nn"]
        {
            assert_eq!(initial(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_user_has_one_salt_and_others_have_others() {
        let logins = Logins::new(Authenticator::none());
        assert_eq!((logins.salt("a"), logins.salt("a").len()), (logins.salt("a"), SALT));
        assert_ne!(logins.salt("a"), logins.salt("b"));
        assert_ne!(logins.salt("a"), Logins::new(Authenticator::none()).salt("a"));
    }

    proptest! {
        #[test]
        fn no_message_ends_scram(
            first in prop_oneof![any::<Vec<u8>>(), "[nyp],{1,2}[,=a-z]{0,8}n=[a-z,=]{0,5},r=[!-~]{0,9}".prop_map(Vec::from)],
            last in prop_oneof![any::<Vec<u8>>(), "c=[a-zA-Z=]{0,6},r=[!-~]{0,9},p=[a-zA-Z=+/]{0,9}".prop_map(Vec::from)],
        ) {
            let secret = ScramSecret::SaltedPassword { salt: vec![1; SALT], salted_password: vec![2; 32] };
            if let Ok((_, waiting)) = ScramServerAuth::new().on_client_first_message_with_secret(&first, secret) {
                prop_assert!(waiting.on_client_final_message(&last).is_err());
            }
        }
    }
}
