use std::path::PathBuf;

use super::*;

/// A file with this text, for its owner alone.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// The only fault of what `read` does, without the folder's name.
fn fault(folder: &tempfile::TempDir, read: impl FnOnce(&mut Reader) -> bool) -> String {
    let mut reader = Reader::default();
    assert!(!read(&mut reader), "it is taken");
    assert_eq!(reader.faults.len(), 1, "{:?}", reader.faults);
    reader.faults[0].to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn tokens_and_users_are_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = Reader::default();
    let tokens = file(&folder, "tokens", "# of the shop\n\n  0123456789abcdef  \r\nfedcba9876543210\n");
    let tokens = reader.tokens("k", &tokens).unwrap();
    assert_eq!(tokens.iter().map(Secret::expose).collect::<Vec<_>>(), [b"0123456789abcdef", b"fedcba9876543210"]);
    let users = reader.users("k", &file(&folder, "users", "shop:a:b c\nshop:new\n")).unwrap();
    assert_eq!(users.iter().map(Secret::expose).collect::<Vec<_>>(), [&b"shop:a:b c"[..], b"shop:new"]);
    let password = reader.password("k", &file(&folder, "password", " with spaces \n")).unwrap();
    assert_eq!(password.expose(), b" with spaces ");
    assert!(reader.faults.is_empty() && reader.notices.is_empty(), "{reader:?}");
}

#[test]
fn bad_secrets_are_told_by_line_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    for (text, message) in [
        ("", "k: f has no token, expected one a line"),
        ("# nothing\n", "k: f has no token, expected one a line"),
        ("good-token-0123456\nhush hush\n", "k: f, line 2: a token has letters, digits and signs, without spaces"),
    ] {
        let file = file(&folder, "f", text);
        assert_eq!(fault(&folder, |reader| reader.tokens("k", &file).is_some()), message);
    }
    let hashed = "k: f, line 1: a hashed password is not understood here, expected user:password as it is";
    for (text, message) in [
        ("\n", "k: f has no user, expected one user:password a line"),
        ("hush\n", "k: f, line 1: expected user:password"),
        (":hush\n", "k: f, line 1: expected user:password"),
        ("hush:\n", "k: f, line 1: expected user:password"),
        ("shop:$2y$05$hush\n", hashed),
        ("shop:$apr1$hush\n", hashed),
    ] {
        let file = file(&folder, "f", text);
        assert_eq!(fault(&folder, |reader| reader.users("k", &file).is_some()), message);
    }
    let missing = folder.path().join("f2");
    let message = fault(&folder, |reader| reader.tokens("k", &missing).is_some());
    assert_eq!(message, "k: cannot read f2: No such file or directory (os error 2)");
}

#[test]
fn what_others_may_read_and_what_can_be_guessed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, "tokens", "short\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut reader = Reader::default();
    reader.tokens("auth.bearer_tokens_file", &file).unwrap();
    let told: Vec<String> = reader.notices.iter().map(|notice| notice.message.clone()).collect();
    let name = file.display();
    assert_eq!(
        told,
        [
            format!("{name} can be read or changed by every user of this machine; chmod o= {name}"),
            format!("{name}, line 1: a token of 5 characters can be guessed"),
        ]
    );
}

#[test]
fn bad_certificates_and_keys_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (one, other) = (made(), made());
    let good_certificate = file(&folder, "c.pem", &one.cert.pem());
    let good_key = file(&folder, "k.pem", &one.signing_key.serialize_pem());
    let other_key = file(&folder, "o.pem", &other.signing_key.serialize_pem());
    let identity = |certificate: &Path, key: &Path| {
        fault(&folder, |reader| reader.identity(("c", certificate), ("k", key)).is_some())
    };
    assert!(Reader::default().identity(("c", &good_certificate), ("k", &good_key)).is_some());
    assert_eq!(identity(&good_certificate, &other_key), "k: o.pem is not the key of the certificate in c.pem");
    assert_eq!(identity(&good_key, &good_key), "c: k.pem has no certificate, but a private key");
    assert_eq!(identity(&good_certificate, &good_certificate), "k: c.pem has no private key, but a certificate");
    let text = file(&folder, "t.pem", "hello");
    assert_eq!(identity(&text, &good_key), "c: t.pem has no certificate, expected PEM (-----BEGIN ...)");
    let pem = one.cert.pem();
    let cut = file(&folder, "cut.pem", &pem[..pem.len() / 2]);
    assert_eq!(identity(&cut, &good_key), "c: cut.pem is cut off: a BEGIN without its END");
    let garbled = file(&folder, "g.pem", "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n");
    assert_eq!(identity(&garbled, &good_key), "c: g.pem is not PEM: what is between BEGIN and END is not Base64");
    let no_x509 = file(&folder, "x.pem", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n");
    assert_eq!(identity(&no_x509, &good_key), "c: x.pem has a certificate that cannot be read as X.509");
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = file(&folder, "e.pem", key);
    let message = identity(&good_certificate, &encrypted);
    assert!(message.starts_with("k: e.pem has no private key, but one that is encrypted; decrypt it"), "{message}");
}
