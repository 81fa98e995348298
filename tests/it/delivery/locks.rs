//! TLS and credentials towards a destination.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::sink::{Answer, Call, Sink, http};
use super::{Ledger, collector, options, send_spans, settled};
use crate::access::authority::{Authority, EXPIRED, Identity};
use crate::harness::Vispyr;

const ANY: std::net::SocketAddr = std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A server with this certificate that asks clients for one of this authority, if any.
fn acceptor(server: &Identity, clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(authority.file()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![CertificateDer::from_pem_file(&server.certificate).unwrap()];
    let mut config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(&server.key).unwrap()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn config(sink: &Sink, protocol: &str, host: &str, tls: &str) -> String {
    let port = sink.address.port();
    format!("type = \"otlp\"\nprotocol = \"{protocol}\"\nurl = \"https://{host}:{port}\"\n[exporters.out.tls]\n{tls}")
}

fn ca(file: &Path) -> String {
    format!("ca_file = {file:?}\n")
}

async fn delivers(vispyr: &Vispyr) {
    send_spans(vispyr, 0..10).await;
    assert_eq!(settled(vispyr, "traces", 10).await, Ledger::forwarded(10));
}

/// It says why, and gives nothing up.
async fn waits(vispyr: &Vispyr, why: &str) {
    send_spans(vispyr, 0..10).await;
    let said = || async {
        let log = vispyr.log();
        (log.contains("configuration of this destination is wrong") && log.contains(why)).then_some(())
    };
    vispyr.wait(&format!("it is said: {why}"), said).await;
    assert_eq!(vispyr.metric("vispyr_waiting_items", &["signal=\"traces\""]).await, 10.0);
}

#[tokio::test]
async fn an_own_authority_a_client_certificate_and_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    let (server, client) = (authority.server("server"), authority.client("client"));
    let mine = format!("certificate_file = {:?}\nkey_file = {:?}\n", client.certificate, client.key);
    for protocol in ["grpc", "http"] {
        let sink = Sink::at(ANY, Some(acceptor(&server, Some(&authority))), |_| Answer::Accept).await;
        let tls = format!("{}{mine}", ca(&authority.file()));
        delivers(&collector(&config(&sink, protocol, "localhost", &tls)).await).await;
        // 127.0.0.2 is not in the certificate.
        let all = Sink::at("0.0.0.0:0".parse().unwrap(), Some(acceptor(&server, None)), |_| Answer::Accept).await;
        let tls = format!("{}server_name = \"localhost\"\n", ca(&authority.file()));
        delivers(&collector(&config(&all, protocol, "127.0.0.2", &tls)).await).await;
    }
}

#[tokio::test]
async fn wrong_certificates_are_the_configuration_s_fault() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(folder.path(), "ca"), Authority::new(folder.path(), "other"));
    let server = authority.server("server");
    let expired = authority.issue("expired", EXPIRED, rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let plain = |server: &Identity| Some(acceptor(server, None));
    let trusted = ca(&authority.file());

    let sink = Sink::at("0.0.0.0:0".parse().unwrap(), plain(&server), |_| Answer::Accept).await;
    waits(&collector(&config(&sink, "grpc", "localhost", &ca(&other.file()))).await, "UnknownIssuer").await;
    waits(&collector(&config(&sink, "http", "127.0.0.2", &trusted)).await, "127.0.0.2").await;
    let sink = Sink::at(ANY, plain(&expired), |_| Answer::Accept).await;
    waits(&collector(&config(&sink, "grpc", "localhost", &trusted)).await, "expired").await;
    let sink = Sink::at(ANY, Some(acceptor(&server, Some(&authority))), |_| Answer::Accept).await;
    waits(&collector(&config(&sink, "grpc", "localhost", &trusted)).await, "CertificateRequired").await;
    let sink = Sink::start().await;
    waits(&collector(&config(&sink, "http", "localhost", &trusted)).await, "TLS").await;
}

#[tokio::test]
async fn a_token_is_read_again_when_it_changes_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "old-token-123\n").unwrap();
    let sink = Sink::with(|call: &Call| match call.header("authorization") {
        Some("Bearer new-token-456") => Answer::Accept,
        _ => http(401, "bad token"),
    })
    .await;
    let url = format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&format!("{url}\n[exporters.out.auth]\nbearer_token_file = {file:?}")).await;
    waits(&vispyr, "bad token").await;
    assert_eq!(sink.calls()[0].header("authorization"), Some("Bearer old-token-123"));
    std::fs::write(&file, "new-token-456\n").unwrap();
    assert_eq!(settled(&vispyr, "traces", 10).await, Ledger::forwarded(10));
    let shown = format!("{}{}", vispyr.log(), vispyr.metrics().await);
    assert!(!shown.contains("token-123") && !shown.contains("token-456"), "{shown}");
}

#[tokio::test]
async fn user_and_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let sink = Sink::start().await;
    let auth = format!("[exporters.out.auth]\nusername = \"ali\"\npassword_file = {file:?}");
    let vispyr = collector(&format!("type = \"otlp\"\nurl = \"http://{}\"\n{auth}", sink.address)).await;
    delivers(&vispyr).await;
    assert_eq!(sink.calls()[0].header("authorization"), Some("Basic YWxpOm9wZW4gc2VzYW1l"));
}

#[tokio::test]
async fn a_missing_secret_is_said_at_the_start() {
    let missing =
        "type = \"otlp\"\nurl = \"http://127.0.0.1:1\"\n[exporters.out.auth]\nbearer_token_file = \"/nowhere/token\"";
    let mut config: toml::Table = toml::from_str(&options(missing).config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    config.insert("data_dir".to_owned(), folder.path().join("data").display().to_string().into());
    for receiver in ["otlp_grpc", "otlp_http", "remote_write", "pyroscope"] {
        let table = format!("[receivers.{receiver}]\nenabled = false");
        let table: toml::Table = toml::from_str(&table).unwrap();
        let receivers = config.entry("receivers").or_insert_with(|| toml::Table::new().into());
        receivers.as_table_mut().unwrap().extend(table["receivers"].as_table().unwrap().clone());
    }
    config.insert("web".to_owned(), toml::from_str::<toml::Table>("listen = \"127.0.0.1:0\"").unwrap().into());
    let file = folder.path().join("vispyr.toml");
    std::fs::write(&file, config.to_string()).unwrap();
    let run = std::process::Command::new(crate::harness::PROGRAM).arg("collector").arg("--config").arg(file).output();
    let run = run.unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success() && said.contains("exporters.out: /nowhere/token"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tries_the_destinations_before_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (good, locked) = (Sink::start().await, Sink::with(|_| http(401, "who are you")).await);
    let gone = Sink::start().await.address;
    let section = |name: &str, more: &str, at: std::net::SocketAddr| {
        format!("[exporters.{name}]\n{more}\nurl = \"http://{at}\"\n")
    };
    let config = [
        section("tempo", "type = \"otlp\"", good.address),
        section("prometheus", "type = \"prometheus\"", good.address),
        section("pyroscope", "type = \"pyroscope\"", good.address),
        section("gone", "type = \"otlp\"", gone),
        section("locked", "type = \"prometheus\"", locked.address),
        section("secret", "type = \"otlp\"\nauth.bearer_token_file = \"/nowhere/token\"", good.address),
    ];
    let file = folder.path().join("vispyr.toml");
    std::fs::write(&file, config.concat()).unwrap();
    let check = |args: &[&str]| {
        let run =
            std::process::Command::new(crate::harness::PROGRAM).arg("check").args(args).arg(&file).output().unwrap();
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    assert!(check(&["--no-files"]).0);
    let (passed, said) = check(&[]);
    assert!(!passed && said.contains("exporters.secret: /nowhere/token") && said.contains("1 mistake"), "{said}");
    let (passed, said) = tokio::task::block_in_place(|| check(&["--connect"]));
    assert!(!passed && said.contains("3 mistakes"), "{said}");
    assert!(said.contains("exporters.gone.url: takes no traces") && said.contains("refused"), "{said}");
    assert!(said.contains("exporters.locked.url: takes no metrics: HTTP 401 Unauthorized: who are you"), "{said}");
    assert_eq!(good.calls().len(), 5, "one for each signal that is sent");
}
