//! Our own commands at protected ports, and what is said of files that are no good.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rcgen::ExtendedKeyUsagePurpose;

use crate::access::authority::{Authority, EXPIRED, OPEN_WEB, TOKEN, WRONG_TOKEN, auth, write};
use crate::access::curl::{curl, trusting, with};
use crate::harness::{Options, PROGRAM, Vispyr, sum_of};

fn vispyr(args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(PROGRAM).args(args).envs(env.iter().copied()).output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

async fn start(config: String, authority: &Authority) -> Vispyr {
    let vispyr = Vispyr::start(Options { config, not_ready: true, ..Options::default() }).await;
    let url = vispyr.url("web", "/-/ready").replace("http://", "https://");
    let args = with(&trusting(&authority.file()), &[&url]);
    vispyr.wait("it is ready", || async { (curl(&args).status == 200).then_some(()) }).await;
    vispyr
}

#[tokio::test(flavor = "multi_thread")]
async fn our_commands_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ours = Authority::new(folder, "ours");
    // The names of a server are those of the outside.
    let server = ours.issue("server", EXPIRED, ExtendedKeyUsagePurpose::ServerAuth);
    let good = ours.server("good");
    let locked = start(good.section("tls") + &auth(folder), &ours).await;
    let data = locked.data_dir();
    let data = data.to_str().unwrap();

    // On the data directory they know by themselves.
    let (out, err) = texts(&vispyr(&["sql", "--data-dir", data, "--format", "csv", "SELECT 40 + 2 AS n"], &[]));
    assert_eq!(out, "n\r\n42\r\n", "{err}");
    let (out, err) = texts(&vispyr(&["status", "--data-dir", data], &[]));
    assert!(out.starts_with("Vispyr ") && err.is_empty(), "{out}{err}");
    let (out, err) = texts(&vispyr(&["demo", "--data-dir", data, "--duration", "1s", "--json"], &[]));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    let spans = &report["items"]["spans"];
    assert!(spans["acknowledged"].as_u64().is_some_and(|n| n > 0), "{out}");
    for (item, tally) in report["items"].as_object().unwrap() {
        assert_eq!((&tally["refused"], &tally["lost"]), (&0.into(), &0.into()), "{item}: {out}");
    }

    // By address they are told, by options or by the environment.
    let url = locked.url("sql", "").replace("http://", "https://");
    let token = folder.join("token");
    write(&token, &format!("{TOKEN}\n"));
    let wrong = folder.join("wrong");
    write(&wrong, &format!("{WRONG_TOKEN}\n"));
    let password = folder.join("password");
    write(&password, "pass-word-0123\n");
    let ca = ours.file();
    let [ca, token, wrong, password] = [&ca, &token, &wrong, &password].map(|file| file.to_str().unwrap());
    let ask = |args: &[&str], env: &[(&str, &str)]| {
        let base = ["sql", "--url", &url, "--format", "csv", "SELECT 1 AS n"];
        texts(&vispyr(&[&base[..], args].concat(), env))
    };
    assert_eq!(ask(&["--ca-file", ca, "--token-file", token], &[]).0, "n\r\n1\r\n");
    assert_eq!(ask(&["--ca-file", ca, "--user", "shop", "--password-file", password], &[]).0, "n\r\n1\r\n");
    assert_eq!(ask(&[], &[("VISPYR_CA_FILE", ca), ("VISPYR_TOKEN_FILE", token)]).0, "n\r\n1\r\n");
    let (_, said) = ask(&["--ca-file", ca], &[]);
    assert!(said.contains("no credentials") && said.contains("--token-file"), "{said}");
    let (_, said) = ask(&["--ca-file", ca, "--token-file", wrong], &[]);
    assert!(said.contains("wrong bearer token") && !said.contains(WRONG_TOKEN), "{said}");
    let (_, said) = ask(&["--token-file", token], &[]);
    assert!(said.contains("UnknownIssuer"), "not the system's: {said}");
    let (_, said) = ask(&["--ca-file", "/nowhere"], &[]);
    assert!(said.contains("--ca-file: cannot read /nowhere"), "{said}");
    let plain = url.replace("https://", "http://");
    let (_, said) = texts(&vispyr(&["sql", "--url", &plain, "SELECT 1"], &[]));
    assert!(said.contains("this port speaks TLS: use https"), "{said}");
    let web = locked.url("web", "").replace("http://", "https://");
    let status = ["status", "--data-dir", data, "--address", &web, "--ca-file", ca];
    assert!(texts(&vispyr(&[&status[..], &["--token-file", token]].concat(), &[])).0.starts_with("Vispyr "));
    let (_, said) = texts(&vispyr(&status, &[]));
    assert!(said.contains("no credentials") && said.contains("--token-file"), "{said}");
    drop(locked);

    // A certificate that has expired is no reason not to start, and none not to ask on the spot.
    let config = server.section("tls") + &auth(folder) + OPEN_WEB;
    let expired = Vispyr::start(Options::config(&config)).await;
    assert!(expired.log().contains("the certificate has expired on 2002-01-01T00:00:00Z"), "{}", expired.log());
    let data = expired.data_dir();
    let (out, err) =
        texts(&vispyr(&["sql", "--data-dir", data.to_str().unwrap(), "--format", "csv", "SELECT 1 AS n"], &[]));
    assert_eq!(out, "n\r\n1\r\n", "{err}");
    let url = expired.url("sql", "/-/ready").replace("http://", "https://");
    let refused = curl(&with(&trusting(&ours.file()), &[&url]));
    assert_eq!((refused.exit, refused.trouble.contains("certificate has expired")), (60, true), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_inside_comes_in_like_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let config = ours.server("server").section("tls") + &auth(folder.path()) + OPEN_WEB;
    let vispyr = Vispyr::start(Options { config, args: vec!["--demo".to_owned()], ..Options::default() }).await;
    let all_there = || async {
        let metrics = vispyr.metrics().await;
        let taken = |labels: &[&str]| sum_of(&metrics, "vispyr_acknowledged_requests_total", labels) > 0.0;
        ["otlp_grpc", "otlp_http", "remote_write", "pyroscope"].iter().all(|port| taken(&[port])).then_some(())
    };
    vispyr.wait("every receiver has something of the shop's", all_there).await;
    assert_eq!(vispyr.metric("vispyr_refused_requests_total", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_asked_for_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ours = Authority::new(folder, "ours");
    let client = ours.client("client");
    let tls = format!("{}client_ca_file = {:?}\n", ours.server("server").section("tls"), ours.file());
    let vispyr_ = Vispyr::start(Options::config(&(tls + OPEN_WEB))).await;
    let data = vispyr_.data_dir();
    let ask = |args: &[&str]| {
        let base = ["sql", "--data-dir", data.to_str().unwrap(), "--format", "csv", "SELECT 1 AS n"];
        texts(&vispyr(&[&base[..], args].concat(), &[]))
    };
    let (_, said) = ask(&[]);
    assert!(said.contains("asks for a client certificate: give one with --certificate-file and --key-file"), "{said}");
    let [certificate, key] = [&client.certificate, &client.key].map(|file| file.to_str().unwrap());
    let (out, said) = ask(&["--certificate-file", certificate, "--key-file", key]);
    assert_eq!(out, "n\r\n1\r\n", "{said}");
}

/// The program's words about this config: those of `check`, and those of `serve`.
fn said(folder: &Path, config: &str) -> (Option<i32>, String, String) {
    let file = folder.join("vispyr.toml");
    write(&file, config);
    let file = file.to_str().unwrap();
    let check = vispyr(&["check", file], &[]);
    let data = folder.join("data");
    let serve = if check.status.success() {
        String::new()
    } else {
        texts(&vispyr(&["serve", "--config", file, "--data-dir", data.to_str().unwrap()], &[])).1
    };
    assert!(vispyr(&["check", "--no-files", file], &[]).status.success(), "the keys are good");
    (check.status.code(), texts(&check).1, serve)
}

#[test]
fn files_that_are_no_good_are_named_with_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ours = Authority::new(folder, "ours");
    let (one, other) = (ours.server("one"), ours.server("other"));
    let ports = ["receivers.otlp_grpc", "receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope"];
    let ports: String = ports
        .iter()
        .chain(&["web", "sql", "postgres"])
        .map(|port| format!("[{port}]\nlisten = \"127.0.0.1:0\"\n"))
        .collect();
    let text = folder.join("text.pem");
    write(&text, "hush hush\n");
    let missing = folder.join("missing");
    let tls =
        |certificate: &Path, key: &Path| format!("[tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n");
    let auth = |file: &Path| format!("[auth]\nbearer_tokens_file = {file:?}\n");
    for (config, line, key, message) in [
        (tls(&one.certificate, &missing), 3, "tls.key_file", "cannot read "),
        (tls(&one.certificate, &other.key), 3, "tls.key_file", "is not the key of the certificate in"),
        (tls(&text, &one.key), 2, "tls.certificate_file", "has no certificate, expected PEM"),
        (tls(&one.key, &one.key), 2, "tls.certificate_file", "has no certificate, but a private key"),
        (auth(&missing), 2, "auth.bearer_tokens_file", "cannot read "),
        (auth(&text), 2, "auth.bearer_tokens_file", "line 1: a token has letters, digits and signs"),
    ] {
        let (code, check, serve) = said(folder, &(config + &ports));
        let start = format!("{}:{line}: {key}: ", folder.join("vispyr.toml").display());
        assert_eq!(code, Some(1), "{check}");
        assert!(check.starts_with(&start) && check.contains(message), "{check}");
        assert!(check.ends_with("\n1 mistake\n") && !check.contains("hush"), "{check}");
        assert!(serve.starts_with(&format!("vispyr: {key}: ")) && serve.contains(message), "{serve}");
    }
    // Worth a word, but good.
    let secret = folder.join("tokens");
    write(&secret, &format!("{TOKEN}\n"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let expired = ours.issue("expired", EXPIRED, ExtendedKeyUsagePurpose::ServerAuth);
    let (code, check, _) = said(folder, &(expired.section("tls") + &auth(&secret) + &ports));
    assert_eq!(code, Some(0));
    assert!(check.contains(": tls.certificate_file: warning: "), "{check}");
    assert!(check.contains("the certificate has expired on 2002-01-01T00:00:00Z: clients will refuse it"), "{check}");
    assert!(check.contains("can be read or changed by every user of this machine; chmod o= "), "{check}");
}
