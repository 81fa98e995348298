//! Checking a request's `Authorization`: a bearer token (RFC 6750) or a user with a password
//! (RFC 7617). gRPC carries both in metadata of the same name.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderValue, header};

use super::secret::Secret;

/// The credentials that a port takes. At least one of the two lists has some.
#[derive(Debug, Default)]
pub struct Credentials {
    /// Any of these tokens.
    pub tokens: Vec<Secret>,
    /// Any of these, each `user:password`.
    pub users: Vec<Secret>,
}

/// Why a request was denied, and what the port takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    why: Why,
    bearer: bool,
    basic: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// No `Authorization`.
    Missing,
    /// Another scheme, or not readable.
    Unknown,
    /// Not a token of ours.
    Token,
    /// Not a user and password of ours.
    User,
}

/// What a client that says its name first is asked for.
#[derive(Debug)]
pub enum Login {
    /// A token.
    Token,
    /// One of the passwords of a user; there are none of a user that there is not, who must not be told so.
    Password(Vec<Secret>),
}

/// The user by whose name a token is given where there are users, too.
pub const TOKEN_USER: &str = "token";

impl Credentials {
    /// What a client of this name is asked for.
    pub fn login(&self, user: &str) -> Login {
        if self.users.is_empty() || (user == TOKEN_USER && !self.tokens.is_empty()) {
            return Login::Token;
        }
        let of_user = |pair: &Secret| -> Option<Secret> {
            let password = pair.expose().strip_prefix(user.as_bytes())?.strip_prefix(b":")?;
            Some(Secret::new(password))
        };
        // A name with a colon would take a part of the password for its own.
        let is_name = !user.contains(':');
        Login::Password(self.users.iter().filter(|_| is_name).filter_map(of_user).collect())
    }

    /// Whether this is one of the tokens.
    ///
    /// # Errors
    /// If it is none.
    pub fn check_token(&self, token: &[u8]) -> Result<(), Denied> {
        let (bearer, basic) = (!self.tokens.is_empty(), !self.users.is_empty());
        Secret::is_any(&self.tokens, token).then_some(()).ok_or(Denied { why: Why::Token, bearer, basic })
    }

    /// Checks the credentials of a request.
    ///
    /// # Errors
    /// When there are none, or they are wrong.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        self.matches(headers).map_err(|why| Denied {
            why,
            bearer: !self.tokens.is_empty(),
            basic: !self.users.is_empty(),
        })
    }

    fn matches(&self, headers: &HeaderMap) -> Result<(), Why> {
        let given = headers.get(header::AUTHORIZATION).ok_or(Why::Missing)?.as_bytes().trim_ascii();
        let (scheme, given) = given.split_at(given.iter().position(|byte| *byte == b' ').ok_or(Why::Unknown)?);
        let given = given.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") && !self.tokens.is_empty() {
            return Secret::is_any(&self.tokens, given).then_some(()).ok_or(Why::Token);
        }
        if scheme.eq_ignore_ascii_case(b"basic") && !self.users.is_empty() {
            let pair = BASE64.decode(given).map_err(|_| Why::Unknown)?;
            return Secret::is_any(&self.users, &pair).then_some(()).ok_or(Why::User);
        }
        Err(Why::Unknown)
    }
}

/// Padded or not: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The header of a user with a password.
pub(in crate::net) fn basic(pair: &[u8]) -> Option<HeaderValue> {
    sensitive(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)).as_bytes())
}

/// The header of a token.
pub(in crate::net) fn bearer(token: &[u8]) -> Option<HeaderValue> {
    sensitive(&[b"Bearer ", token].concat())
}

fn sensitive(value: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(value).ok()?;
    // Not shown by Debug, and kept out of HTTP/2's tables.
    value.set_sensitive(true);
    Some(value)
}

impl Denied {
    /// A wrong user or password.
    pub(in crate::net) fn wrong_user() -> Self {
        Denied { why: Why::User, bearer: false, basic: true }
    }

    /// Whether a token, or a user and a password, was shown that might have been one of ours.
    pub fn is_guess(&self) -> bool {
        matches!(self.why, Why::Token | Why::User)
    }

    /// Adds what a client is to be asked for (RFC 9110, section 11.6.1).
    pub fn challenge(&self, headers: &mut HeaderMap) {
        let name = header::WWW_AUTHENTICATE;
        if self.bearer {
            let wrong = self.why == Why::Token;
            let challenge =
                if wrong { r#"Bearer realm="vispyr", error="invalid_token""# } else { r#"Bearer realm="vispyr""# };
            headers.append(&name, HeaderValue::from_static(challenge));
        }
        if self.basic {
            headers.append(&name, HeaderValue::from_static(r#"Basic realm="vispyr", charset="UTF-8""#));
        }
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let takes = match (self.bearer, self.basic) {
            (true, false) => "a bearer token",
            (false, true) => "a user and a password (basic)",
            _ => "a bearer token, or a user and a password (basic)",
        };
        match self.why {
            Why::Missing => write!(f, "no credentials: this port asks for {takes}"),
            Why::Unknown => write!(f, "credentials of another kind: this port asks for {takes}"),
            Why::Token => f.write_str("wrong bearer token"),
            Why::User => f.write_str("wrong user or password"),
        }
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tokens: &[&str], users: &[&str], given: Option<&str>) -> Result<(), Why> {
        let secrets = |texts: &[&str]| texts.iter().map(|text| Secret::new(*text)).collect();
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(header::AUTHORIZATION, HeaderValue::try_from(given).unwrap());
        }
        Credentials { tokens: secrets(tokens), users: secrets(users) }.check(&headers).map_err(|denied| denied.why)
    }

    #[test]
    fn tokens_and_users_are_accepted() {
        let (tokens, users) = (&["old", "new"][..], &["shop:a:b"][..]);
        // shop:a:b, with and without padding; shop:a:c
        let (padded, bare, wrong) = ("Basic c2hvcDphOmI=", "basic   c2hvcDphOmI", "Basic c2hvcDphOmM=");
        for (given, want) in [
            (None, Err(Why::Missing)),
            (Some("Bearer old"), Ok(())),
            (Some("bEARER  new "), Ok(())),
            (Some("Bearer oldnew"), Err(Why::Token)),
            (Some("Bearer old new"), Err(Why::Token)),
            (Some("Bearer"), Err(Why::Unknown)),
            (Some("old"), Err(Why::Unknown)),
            (Some("Digest old"), Err(Why::Unknown)),
            (Some(padded), Ok(())),
            (Some(bare), Ok(())),
            (Some(wrong), Err(Why::User)),
            (Some("Basic ???"), Err(Why::Unknown)),
            (Some("Basic "), Err(Why::Unknown)),
        ] {
            assert_eq!(check(tokens, users, given), want, "{given:?}");
        }
        assert_eq!(check(tokens, &[], Some(padded)), Err(Why::Unknown));
        assert_eq!(check(&[], users, Some("Bearer old")), Err(Why::Unknown));
        assert_eq!(check(&[], users, Some("Bearer ")), Err(Why::Unknown));
    }

    #[test]
    fn who_says_the_name_first_is_asked_for_what_belongs_to_it() {
        let secrets = |texts: &[&str]| texts.iter().map(|text| Secret::new(*text)).collect();
        let both = Credentials { tokens: secrets(&["t1"]), users: secrets(&["shop:a:b", "shop:old"]) };
        let passwords = |user: &str| match both.login(user) {
            Login::Token => panic!("{user}"),
            Login::Password(passwords) => passwords.iter().map(|one| one.expose().to_vec()).collect::<Vec<_>>(),
        };
        assert_eq!(passwords("shop"), [b"a:b".to_vec(), b"old".to_vec()]);
        for nobody in ["shop:a", "sho", "", "shopper"] {
            assert!(passwords(nobody).is_empty(), "{nobody}");
        }
        assert!(matches!(both.login(TOKEN_USER), Login::Token));
        let users = Credentials { tokens: vec![], users: secrets(&["token:x"]) };
        assert!(matches!(users.login(TOKEN_USER), Login::Password(one) if one.len() == 1));
        let tokens = Credentials { tokens: secrets(&["t1"]), users: vec![] };
        assert!(matches!(tokens.login("anybody"), Login::Token));
        assert_eq!((tokens.check_token(b"t1"), tokens.check_token(b"t2").is_err()), (Ok(()), true));
    }

    #[test]
    fn what_is_asked_for_is_told_in_every_scheme() {
        let denied = Denied { why: Why::Token, bearer: true, basic: true };
        let mut headers = HeaderMap::new();
        denied.challenge(&mut headers);
        let told: Vec<_> = headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(
            told,
            [r#"Bearer realm="vispyr", error="invalid_token""#, r#"Basic realm="vispyr", charset="UTF-8""#]
        );
    }

    #[test]
    fn our_own_headers_are_not_shown() {
        let header = bearer(b"hush").unwrap();
        assert_eq!(header, "Bearer hush");
        assert!(!format!("{header:?}").contains("hush"));
        assert_eq!(basic(b"shop:a:b").unwrap(), "Basic c2hvcDphOmI=");
    }
}
