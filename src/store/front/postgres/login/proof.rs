//! A proof of SCRAM-SHA-256 (RFC 5802, section 3) against one more password: `pgwire` checks it against one.

use base64::prelude::{BASE64_STANDARD as BASE64, Engine};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

/// What the server says at the end, if `last`, the client's answer to `challenge`, proves that it knows this password.
/// The rest of `last` was checked before.
pub fn verify(salted_password: &[u8], first: &[u8], challenge: &str, last: &[u8]) -> Option<String> {
    let (first, last) = (std::str::from_utf8(first).ok()?, std::str::from_utf8(last).ok()?);
    // Behind the header, which says something of channel binding.
    let bare = first.splitn(3, ',').nth(2)?;
    let (without_proof, proof) = last.rsplit_once(",p=")?;
    let proof = BASE64.decode(proof).ok()?;
    let said = format!("{bare},{challenge},{without_proof}");
    let client_key = sign(salted_password, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let signature = sign(stored_key.as_ref(), said.as_bytes());
    let expected: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
    if !bool::from(expected.ct_eq(&proof)) {
        return None;
    }
    let server_key = sign(salted_password, b"Server Key");
    Some(format!("v={}", BASE64.encode(sign(server_key.as_ref(), said.as_bytes()))))
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

#[cfg(test)]
mod tests {
    use pgwire::api::auth::sasl::scram::gen_salted_password;

    use super::*;

    #[test]
    fn the_exchange_of_rfc_7677_is_proved() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let first = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let verify =
            |password: &str, last: &[u8]| verify(&gen_salted_password(password, &salt, 4096), first, challenge, last);
        assert_eq!(verify("pencil", last).as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert_eq!(verify("pencils", last), None);
        assert_eq!(verify("pencil", &last[..last.len() - 4]), None);
        assert_eq!(verify("pencil", b""), None);
    }
}
