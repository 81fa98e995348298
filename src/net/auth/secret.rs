//! A token or a password, which is never shown.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

/// A token, or a user with a password. No message, log line or debug output has it.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes it in.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Secret(secret.into().into_boxed_slice())
    }

    /// Its bytes, to be sent and for nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether `given` is one of `secrets`. The time this takes tells nothing but lengths: all of
    /// them are compared, each to its end.
    pub fn is_any(secrets: &[Secret], given: &[u8]) -> bool {
        secrets.iter().map(|secret| secret.0.ct_eq(given)).fold(Choice::from(0), |any, this| any | this).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_is_accepted_and_none_is_shown() {
        let secrets = ["alpha", "beta"].map(Secret::new);
        assert!(Secret::is_any(&secrets, b"alpha") && Secret::is_any(&secrets, b"beta"));
        for wrong in ["", "alph", "alphaa", "Alpha", "gamma"] {
            assert!(!Secret::is_any(&secrets, wrong.as_bytes()), "{wrong}");
        }
        assert!(!Secret::is_any(&[], b""));
        assert_eq!(format!("{secrets:?}"), "[Secret(hidden), Secret(hidden)]");
    }
}
