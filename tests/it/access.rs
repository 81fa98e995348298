//! Protected ports: each port with TLS, client certificates, bearer tokens and basic auth, asked by
//! curl and by gRPC.

pub mod authority;
pub mod curl;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use rcgen::ExtendedKeyUsagePurpose;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use vispyr::net::{ClientCredentials, CredentialFiles};

use crate::harness::{Options, PROGRAM, Vispyr};
use authority::{
    Authority, EXPIRED, Identity, OPEN_WEB, SECOND_TOKEN, TOKEN, USER, WRONG_TOKEN, WRONG_USER, auth, write,
};
use curl::{curl, trusting, with};

/// A request to each port that speaks HTTP, and what it answers when all is well.
const REQUESTS: [(&str, &str, &[&str], u16); 6] = [
    ("otlp_http", "/v1/traces", &["-d", "{}", "-H", "content-type: application/json"], 200),
    ("remote_write", "/api/v1/write", &["-d", "no snappy", "-H", "content-type: application/x-protobuf"], 400),
    ("pyroscope", "/push.v1.PusherService/Push", &["-d", "{}", "-H", "content-type: application/json"], 200),
    ("pyroscope", "/v1development/profiles", &["-d", "{}", "-H", "content-type: application/json"], 200),
    ("sql", "/api/v1/sql", &["-d", "SELECT 1", "-H", "content-type: text/plain"], 200),
    ("web", "/metrics", &[], 200),
];

fn https(vispyr: &Vispyr, port: &str, path: &str) -> String {
    vispyr.url(port, path).replace("http://", "https://")
}

/// A connection for gRPC that trusts `authority` and shows what is in `files`.
fn channel(vispyr: &Vispyr, port: &str, files: &CredentialFiles) -> (Channel, ClientCredentials) {
    let tls = files.ca_file.is_some();
    let url = if tls { https(vispyr, port, "") } else { vispyr.url(port, "") };
    let credentials = ClientCredentials::read(files, tls).unwrap();
    (Endpoint::from_shared(url).unwrap().connect_with_connector_lazy(credentials.connector()), credentials)
}

/// The status of an export without spans.
async fn export(vispyr: &Vispyr, port: &str, files: &CredentialFiles, authorization: Option<&str>) -> Result<(), Code> {
    let (channel, _) = channel(vispyr, port, files);
    let mut request = tonic::Request::new(ExportTraceServiceRequest::default());
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    }
    TraceServiceClient::new(channel).export(request).await.map(|_| ()).map_err(|status| status.code())
}

/// Starts it with its web port locked, too, so that readiness is asked for here.
async fn start(config: String, authority: &Path, more: &[&str]) -> Vispyr {
    let vispyr = Vispyr::start(Options { config, not_ready: true, ..Options::default() }).await;
    let args = with(&with(&trusting(authority), more), &[&https(&vispyr, "web", "/-/ready")]);
    vispyr.wait("it is ready", || async { (curl(&args).status == 200).then_some(()) }).await;
    vispyr
}

#[tokio::test(flavor = "multi_thread")]
async fn every_port_has_tls_and_asks_for_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ours, other) = (Authority::new(folder, "ours"), Authority::new(folder, "other"));
    let config = ours.server("server").section("tls") + &auth(folder);
    let vispyr = start(config, &ours.file(), &[]).await;
    let trust = trusting(&ours.file());

    for (port, path, request, good) in REQUESTS {
        let url = https(&vispyr, port, path);
        let ask = |more: &[&str]| curl(&with(&with(&trust, request), &[more, &[&url]].concat()));
        let refused = ask(&[]);
        assert_eq!(refused.status, 401, "{port}{path}: {refused:?}");
        assert!(refused.head.contains("www-authenticate: bearer realm=\"vispyr\"\r\n"), "{refused:?}");
        assert!(refused.head.contains("www-authenticate: basic realm=\"vispyr\", charset=\"utf-8\""), "{refused:?}");
        assert!(refused.body.contains("no credentials: this port asks for a bearer token"), "{refused:?}");
        for (header, status) in [
            (format!("authorization: Bearer {TOKEN}"), good),
            (format!("authorization: bearer {SECOND_TOKEN}"), good),
            (format!("authorization: Bearer {WRONG_TOKEN}"), 401),
            ("authorization: Bearer".to_owned(), 401),
            (format!("authorization: {TOKEN}"), 401),
        ] {
            let answer = ask(&["-H", &header]);
            assert_eq!(answer.status, status, "{port}{path}, {header}: {answer:?}");
        }
        assert_eq!(ask(&["-u", USER]).status, good, "{port}{path}");
        let wrong = ask(&["-u", WRONG_USER]);
        assert_eq!((wrong.status, wrong.body.contains("wrong user or password")), (401, true), "{wrong:?}");
        assert_eq!(ask(&["-u", USER, "--tls-max", "1.2"]).status, good, "{port}{path}: TLS 1.2");
        assert_eq!(ask(&["-u", USER, "--http1.1"]).status, good, "{port}{path}: HTTP/1");

        // Somebody else's server, or no TLS at all.
        let distrusting = curl(&with(&with(&trusting(&other.file()), request), &["-u", USER, &url]));
        assert_eq!((distrusting.exit, distrusting.status), (60, 0), "{distrusting:?}");
        let plain = curl(&with(request, &["-u", USER, &vispyr.url(port, path)]));
        assert_eq!((plain.status, plain.body.as_str()), (400, "this port speaks TLS: use https\n"), "{port}{path}");
    }

    // Errors have the shape that they have elsewhere.
    let json = curl(&with(
        &trust,
        &["-d", "{}", "-H", "content-type: application/json", &https(&vispyr, "otlp_http", "/v1/logs")],
    ));
    let status: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!((status["code"].as_u64(), status["message"].is_string()), (Some(16), true), "{json:?}");
    let connect = curl(&with(&trust, &["-d", "{}", &https(&vispyr, "pyroscope", "/ingest")]));
    let status: serde_json::Value = serde_json::from_str(&connect.body).unwrap();
    assert_eq!(status["code"], "unauthenticated", "{connect:?}");
    // What is not there is nobody's business either.
    for port in ["otlp_http", "remote_write", "pyroscope", "sql", "web"] {
        assert_eq!(curl(&with(&trust, &[&https(&vispyr, port, "/nowhere")])).status, 401, "{port}");
    }

    let files = CredentialFiles { ca_file: Some(ours.file()), ..CredentialFiles::default() };
    for port in ["otlp_grpc", "pyroscope"] {
        let export = |authorization: Option<String>| {
            let (vispyr, files) = (&vispyr, &files);
            async move { export(vispyr, port, files, authorization.as_deref()).await }
        };
        assert_eq!(export(None).await, Err(Code::Unauthenticated), "{port}");
        assert_eq!(export(Some(format!("Bearer {TOKEN}"))).await, Ok(()), "{port}");
        assert_eq!(export(Some(format!("Bearer {WRONG_TOKEN}"))).await, Err(Code::Unauthenticated), "{port}");
        // shop:pass-word-0123
        assert_eq!(export(Some("Basic c2hvcDpwYXNzLXdvcmQtMDEyMw==".to_owned())).await, Ok(()), "{port}");
    }
    let distrusting = CredentialFiles { ca_file: Some(other.file()), ..CredentialFiles::default() };
    assert_eq!(super::access::export(&vispyr, "otlp_grpc", &distrusting, None).await, Err(Code::Unavailable));

    // Probes need no credentials.
    for (port, path) in [("web", "/-/ready"), ("web", "/-/healthy"), ("sql", "/-/ready"), ("sql", "/-/healthy")] {
        assert_eq!(curl(&with(&trust, &[&https(&vispyr, port, path)])).status, 200, "{port}{path}");
    }
    let empty = folder.join("empty");
    std::fs::write(&empty, [0; 5]).unwrap();
    let health = https(&vispyr, "otlp_grpc", "/grpc.health.v1.Health/Check");
    let call = ["--data-binary", &format!("@{}", empty.display()), "-H", "content-type: application/grpc", &health];
    let answer = curl(&with(&trust, &call));
    assert_eq!((answer.status, answer.head.contains("grpc-status")), (200, false), "{answer:?}");

    // The ledger: one request without and two with wrong credentials at each, and it adds up.
    let metrics = curl(&with(&trust, &["-u", USER, &https(&vispyr, "web", "/metrics")])).body;
    let sum = |name: &str, labels: &[&str]| crate::harness::sum_of(&metrics, name, labels);
    let unauthenticated = sum("vispyr_refused_requests_total", &["otlp_http", "unauthenticated", "traces"]);
    assert_eq!(unauthenticated, 5.0, "{metrics}");
    assert_eq!(sum("vispyr_refused_bytes_total", &["unauthenticated"]), 0.0, "nothing was read");
    for signal in ["traces", "metrics", "logs", "profiles"] {
        let label = format!("signal=\"{signal}\"");
        let labels = [label.as_str()];
        let received = sum("vispyr_received_requests_total", &labels);
        let settled =
            sum("vispyr_acknowledged_requests_total", &labels) + sum("vispyr_refused_requests_total", &labels);
        assert_eq!(received, settled, "{signal}");
    }
    assert!(sum("vispyr_failed_handshakes_total", &["otlp_grpc"]) >= 1.0, "{metrics}");
    assert!(sum("vispyr_certificate_expiry_timestamp_seconds", &["web"]) > 3e9, "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_open_every_port() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ours, other) = (Authority::new(folder, "ours"), Authority::new(folder, "other"));
    let client = ours.client("client");
    let strangers = [
        other.client("stranger"),
        ours.issue("expired", EXPIRED, ExtendedKeyUsagePurpose::ClientAuth),
        // A server's certificate is none for a client.
        ours.issue("purpose", (2020, 2090), ExtendedKeyUsagePurpose::ServerAuth),
    ];
    let tls = format!("{}client_ca_file = {:?}\n", ours.server("server").section("tls"), ours.file());
    let shown = |identity: &Identity| {
        let files = [&identity.certificate, &identity.key].map(|file| file.display().to_string());
        ["--cert".to_owned(), files[0].clone(), "--key".to_owned(), files[1].clone()]
    };
    let with_client = shown(&client);
    let with_client: Vec<&str> = with_client.iter().map(String::as_str).collect();
    let vispyr = start(tls, &ours.file(), &with_client).await;
    let trust = trusting(&ours.file());

    for (port, path, request, good) in REQUESTS {
        let ask = |more: &[&str]| {
            let url = https(&vispyr, port, path);
            curl(&with(&with(&trust, request), &[more, &[&url]].concat()))
        };
        let answer = ask(&with_client);
        assert_eq!(answer.status, good, "{port}{path}: {answer:?}");
        assert_eq!(ask(&[&with_client[..], &["--tls-max", "1.2"]].concat()).status, good, "{port}{path}");
        let none = ask(&[]);
        assert_eq!((none.exit != 0, none.status), (true, 0), "{port}{path}: {none:?}");
        for stranger in &strangers {
            let args = shown(stranger);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let refused = ask(&args);
            assert_eq!((refused.exit != 0, refused.status), (true, 0), "{port}{path}, {stranger:?}: {refused:?}");
        }
    }
    // Probes need the certificate here: without one there is no connection to ask on.
    assert_ne!(curl(&with(&trust, &[&https(&vispyr, "web", "/-/ready")])).exit, 0);

    let files = |identity: Option<&Identity>| CredentialFiles {
        ca_file: Some(ours.file()),
        certificate_file: identity.map(|identity| identity.certificate.clone()),
        key_file: identity.map(|identity| identity.key.clone()),
        ..CredentialFiles::default()
    };
    assert_eq!(export(&vispyr, "otlp_grpc", &files(Some(&client)), None).await, Ok(()));
    assert!(export(&vispyr, "otlp_grpc", &files(None), None).await.is_err());
    for stranger in &strangers {
        assert!(export(&vispyr, "otlp_grpc", &files(Some(stranger)), None).await.is_err(), "{stranger:?}");
    }
}

/// The head of an HTTP/1 request for a large body, and what comes back before any of it is sent.
fn knock(vispyr: &Vispyr, port: &str, path: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(vispyr.address(port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 50000000\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let n = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_before_the_body() {
    let folder = tempfile::tempdir().unwrap();
    let vispyr = Vispyr::start(Options::config(&(auth(folder.path()) + OPEN_WEB))).await;
    for (port, path) in [
        ("otlp_http", "/v1/traces"),
        ("remote_write", "/api/v1/write"),
        ("pyroscope", "/ingest?name=a"),
        ("pyroscope", "/push.v1.PusherService/Push"),
        ("sql", "/api/v1/sql"),
    ] {
        for more in ["", "expect: 100-continue\r\n", "content-type: application/json\r\n"] {
            let answer = knock(&vispyr, port, path, more);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{port}{path} {more:?}: {answer}");
        }
    }
    // gRPC: the status comes while the message is still due.
    let url = vispyr.url("otlp_grpc", "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let stream = tokio::net::TcpStream::connect(vispyr.address("otlp_grpc")).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let never = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>,
    >());
    let request = http::Request::post(url).header("content-type", "application/grpc").body(never).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &http::HeaderValue::from(16)));
    assert_eq!(vispyr.metric("vispyr_received_bytes_total", &[]).await, 0.0);
    assert!(vispyr.metric("vispyr_refused_requests_total", &["unauthenticated"]).await >= 13.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_have_no_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let cors = "[receivers.otlp_http]\ncors_allowed_origins = [\"https://shop.example\"]\n";
    let vispyr = Vispyr::start(Options::config(&(auth(folder.path()) + OPEN_WEB + cors))).await;
    let url = vispyr.url("otlp_http", "/v1/traces");
    let origin = ["-H", "origin: https://shop.example"];
    let asking = ["-X", "OPTIONS", "-H", "access-control-request-method: POST"];
    let headers = ["-H", "access-control-request-headers: authorization,content-type"];
    let preflight = curl(&[&origin[..], &asking, &headers, &[&url]].concat());
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert!(preflight.head.contains("access-control-allow-headers: authorization,content-type"), "{preflight:?}");
    // A page can read why it was refused.
    let refused = curl(&[&origin[..], &["-d", "{}", &url]].concat());
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("access-control-allow-origin: https://shop.example"), "{refused:?}");
    assert_eq!(curl(&["-X", "OPTIONS", &url]).status, 401, "no preflight");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_at_a_plain_port_is_told_so() {
    let vispyr = Vispyr::serve().await;
    for port in ["otlp_grpc", "otlp_http", "remote_write", "pyroscope", "web", "sql"] {
        let answer = curl(&["-k", &https(&vispyr, port, "/")]);
        // What OpenSSL makes of plain text.
        assert_eq!((answer.exit, answer.trouble.contains("wrong version number")), (35, true), "{answer:?}");
        let mut stream = TcpStream::connect(vispyr.address(port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("\r\n\r\nthis port speaks plain HTTP, without TLS: use http\n"), "{port}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_without_tls_at_a_tls_port_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let vispyr = Vispyr::start(Options::config(&(ours.server("server").section("tls") + OPEN_WEB))).await;
    let mut stream = TcpStream::connect(vispyr.address("otlp_grpc")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 ") && text.ends_with("this port speaks TLS: use https\n"), "{text}");
    assert!(export(&vispyr, "otlp_grpc", &CredentialFiles::default(), None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_must_come_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let limit = "[admission]\nheader_timeout = \"300ms\"\n";
    let vispyr = Vispyr::start(Options::config(&(ours.server("server").section("tls") + OPEN_WEB + limit))).await;
    // The first bytes of a ClientHello, and no more.
    for start in [&[][..], &[0x16, 3, 1]] {
        let mut stream = TcpStream::connect(vispyr.address("otlp_grpc")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        stream.write_all(start).unwrap();
        let mut answer = Vec::new();
        // Closed or reset, but not left open.
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{start:?}"),
        }
    }
}

#[tokio::test]
async fn beyond_loopback_something_must_protect_a_port() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vispyr.toml");
    let data = folder.path().join("data");
    let (file_name, data_name) = (file.to_str().unwrap(), data.to_str().unwrap());
    write(&file, "[receivers.otlp_grpc]\nlisten = \"0.0.0.0:0\"\n\n[sql]\nlisten = \"[::]:0\"\n");
    for command in [&["check", file_name][..], &["serve", "--config", file_name, "--data-dir", data_name]] {
        let output = Command::new(PROGRAM).args(command).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        for (line, key) in [(2, "receivers.otlp_grpc"), (5, "sql")] {
            let start = format!("{file_name}:{line}: {key}.listen: ");
            let said = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{text}"));
            for word in ["[tls]", "[auth]", &format!("[{key}.tls]"), &format!("allow_unprotected = true in [{key}]")] {
                assert!(said.contains(word), "{word}: {said}");
            }
        }
    }
    assert!(!data.exists(), "nothing was touched");

    let config = format!(
        "{}[receivers.otlp_grpc]\nlisten = \"0.0.0.0:0\"\n[receivers.otlp_http]\nlisten = \"0.0.0.0:0\"\n\
         allow_unprotected = true\n[receivers.otlp_http.auth]\nenabled = false\n{OPEN_WEB}",
        auth(folder.path())
    );
    let vispyr = Vispyr::start(Options::config(&config)).await;
    assert!(vispyr.address("otlp_grpc").ip().is_unspecified());
    let to = |port: &str| vispyr.url(port, "/v1/traces").replace("0.0.0.0", "127.0.0.1");
    assert_eq!(curl(&["-d", "{}", "-H", "content-type: application/json", &to("otlp_http")]).status, 200);
    assert!(vispyr.log().contains("asks for credentials but has no TLS"), "{}", vispyr.log());
}

/// A socket of the service manager counts for where it is, not for what the config says.
#[tokio::test]
async fn a_passed_socket_beyond_loopback_is_refused_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vispyr.toml");
    let sections = ["receivers.otlp_grpc", "receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope"];
    let all = sections.iter().chain(&["web", "sql", "postgres"]);
    write(&file, &all.map(|section| format!("[{section}]\nlisten = \"127.0.0.1:0\"\n")).collect::<String>());
    let passed = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    rustix::io::fcntl_setfd(&passed, rustix::io::FdFlags::empty()).unwrap();
    use std::os::fd::AsRawFd;
    let script = format!("exec 3<&{}; LISTEN_PID=$$ exec \"$0\" \"$@\"", passed.as_raw_fd());
    let output = Command::new("bash")
        .args(["-c", &script, PROGRAM, "serve", "--config"])
        .arg(&file)
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "otlp_grpc")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = format!("receivers.otlp_grpc.listen: {} can be reached", passed.local_addr().unwrap());
    assert!(text.contains(&expected), "{text}");
}
