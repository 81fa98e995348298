//! Certificates and credentials change while requests come in.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use rustix::process::Signal;
use vispyr::net::{ClientCredentials, CredentialFiles};

use crate::access::authority::{Authority, OPEN_SQL, OPEN_WEB, TOKEN, USER, auth, write};
use crate::access::curl::{curl, trusting, with};
use crate::harness::{Options, PROGRAM, Vispyr, get, signal};

const READ_AGAIN: &str = "certificates and credentials were read again";
const STAY: &str = "the config is refused, the old one goes on";

/// A span in OTLP's JSON.
fn span(n: u64) -> String {
    let id = n + 1;
    format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{id:032x}","spanId":"{id:016x}","name":"x",
        "startTimeUnixNano":"1795398300000000000","endTimeUnixNano":"1795398300000000001"}}]}}]}}]}}"#
    )
}

/// Tells the program to read again and waits until it has done so for the `times`-th time.
async fn hang_up(vispyr: &Vispyr, said: &str, times: usize) {
    signal(vispyr.pid(), Signal::HUP);
    vispyr.wait(said, || async { (vispyr.log().matches(said).count() >= times).then_some(()) }).await;
}

/// Clients that send a span a request, half of them on a new connection each time, and take the
/// token to show from `shown`.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    refused: Arc<Mutex<Vec<String>>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(vispyr: &Vispyr, ca_file: PathBuf, shown: &Arc<Mutex<String>>) -> Self {
        let url = vispyr.url("otlp_http", "/v1/traces").replace("http://", "https://");
        let files = CredentialFiles { ca_file: Some(ca_file), ..CredentialFiles::default() };
        let connector = ClientCredentials::read(&files, true).unwrap().connector();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let refused = Arc::<Mutex<Vec<String>>>::default();
        let client = |n: usize| {
            let (url, connector, shown) = (url.clone(), connector.clone(), shown.clone());
            let (stop, sent, refused) = (stop.clone(), sent.clone(), refused.clone());
            tokio::spawn(async move {
                let build = || Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector.clone());
                let mut client = build();
                while !stop.load(Ordering::Relaxed) {
                    let token = shown.lock().clone();
                    let body = span(sent.fetch_add(1, Ordering::Relaxed));
                    let request = http::Request::post(&url)
                        .header("content-type", "application/json")
                        .header("authorization", format!("Bearer {token}"))
                        .body(Full::from(body))
                        .unwrap();
                    match client.request(request).await {
                        Ok(answer) if answer.status() == 200 => drop(answer.into_body().collect().await),
                        Ok(answer) => refused.lock().push(answer.status().to_string()),
                        Err(error) => refused.lock().push(format!("{error:?}")),
                    }
                    if n.is_multiple_of(2) {
                        client = build();
                    }
                }
            })
        };
        let clients = (0..4).map(client).collect();
        Load { stop, sent, refused, clients }
    }

    /// Waits until some more have been answered, and none was refused.
    async fn go_on(&self, vispyr: &Vispyr) {
        let until = self.sent.load(Ordering::Relaxed) + 40;
        let sent = || async { (self.sent.load(Ordering::Relaxed) >= until).then_some(()) };
        vispyr.wait("the load goes on", sent).await;
        assert_eq!(*self.refused.lock(), [""; 0], "nothing is refused");
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        assert_eq!(*self.refused.lock(), [""; 0], "nothing is refused");
        self.sent.load(Ordering::Relaxed)
    }
}

fn tokens(folder: &Path, tokens: &[&str]) {
    write(&folder.join("tokens"), &tokens.join("\n"));
}

/// The serial number of the certificate that a port shows.
fn shown_certificate(vispyr: &Vispyr) -> String {
    let address = vispyr.address("otlp_http").to_string();
    let script = "openssl s_client -connect \"$0\" </dev/null 2>/dev/null | openssl x509 -noout -serial";
    let output = std::process::Command::new("bash").args(["-c", script, &address]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_refuses_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ours = Authority::new(folder, "ours");
    let config = ours.server("server").section("tls") + &auth(folder) + OPEN_WEB + OPEN_SQL;
    tokens(folder, &[TOKEN]);
    let vispyr = Vispyr::start(Options::config(&config)).await;
    let shown = Arc::new(Mutex::new(TOKEN.to_owned()));
    let load = Load::start(&vispyr, ours.file(), &shown);
    load.go_on(&vispyr).await;

    let mut old = TOKEN.to_owned();
    let mut certificates = vec![shown_certificate(&vispyr)];
    for round in 0..5 {
        // The new one beside the old one, then the clients, then the old one goes.
        let new = format!("token-of-round-{round}-0123456789");
        tokens(folder, &[&old, &new]);
        ours.server("server");
        hang_up(&vispyr, READ_AGAIN, 2 * round + 1).await;
        load.go_on(&vispyr).await;
        shown.lock().clone_from(&new);
        load.go_on(&vispyr).await;
        tokens(folder, &[&new]);
        hang_up(&vispyr, READ_AGAIN, 2 * round + 2).await;
        load.go_on(&vispyr).await;
        let url = vispyr.url("otlp_http", "/v1/traces").replace("http://", "https://");
        let header = format!("authorization: Bearer {old}");
        let gone = curl(&with(&trusting(&ours.file()), &["-d", "{}", "-H", &header, &url]));
        assert_eq!(gone.status, 401, "the old token is good no more: {gone:?}");
        certificates.push(shown_certificate(&vispyr));
        old = new;
    }
    let sent = load.end().await;
    assert!(certificates.iter().all(|serial| serial.starts_with("serial=")), "{certificates:?}");
    certificates.sort();
    certificates.dedup();
    assert_eq!(certificates.len(), 6, "each rotation showed another certificate");
    let acknowledged = vispyr.metric("vispyr_acknowledged_requests_total", &["otlp_http", "traces"]).await;
    assert_eq!(acknowledged, sent as f64);
    assert_eq!(vispyr.metric("vispyr_refused_requests_total", &["otlp_http", "traces"]).await, 5.0, "by curl");
    vispyr.wait_count("SELECT count(DISTINCT trace_id) FROM spans", i64::try_from(sent).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ours = Authority::new(folder, "ours");
    let server = ours.server("server");
    let config = server.section("tls") + &auth(folder) + OPEN_WEB;
    let vispyr = Vispyr::start(Options::config(&config)).await;
    let url = vispyr.url("otlp_http", "/v1/traces").replace("http://", "https://");
    let ask = |token: &str| {
        let header = format!("authorization: Bearer {token}");
        let request = ["-d", "{}", "-H", "content-type: application/json", "-H", &header, &url];
        curl(&with(&trusting(&ours.file()), &request)).status
    };
    let certificate = shown_certificate(&vispyr);
    assert_eq!(ask(TOKEN), 200);

    // The tokens are good, but the key is not the certificate's: none of it is taken.
    let new = "another-token-0123456789";
    tokens(folder, &[new]);
    let (good_key, good_certificate) = (fs::read_to_string(&server.key).unwrap(), server.certificate.clone());
    let other = ours.server("other");
    write(&server.key, &fs::read_to_string(&other.key).unwrap());
    hang_up(&vispyr, STAY, 1).await;
    assert!(vispyr.log().contains("is not the key of the certificate in"), "{}", vispyr.log());
    assert_eq!((ask(TOKEN), ask(new)), (200, 401));
    assert_eq!(shown_certificate(&vispyr), certificate);

    // A file that is being written is empty for a moment.
    write(&server.key, &good_key);
    for (file, text) in [(folder.join("tokens"), ""), (good_certificate.clone(), "-----BEGIN CERT")] {
        let good = fs::read_to_string(&file).unwrap();
        let said = vispyr.log().matches(STAY).count();
        write(&file, text);
        hang_up(&vispyr, STAY, said + 1).await;
        assert_eq!((ask(TOKEN), ask(new)), (200, 401));
        write(&file, &good);
    }
    hang_up(&vispyr, READ_AGAIN, 1).await;
    assert_eq!((ask(TOKEN), ask(new)), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = auth(folder) + OPEN_WEB;
    // A good and two wrong ones, and the one after the rotation; a line that is no token.
    let secrets = [
        TOKEN,
        "pass-word-0123",
        "c2hvcDpwYXNzLXdvcmQtMDEyMw",
        "wrong-hush-012345",
        "wrong-pass-6789",
        "late-hush-01234",
    ];
    let args = ["--log-level", "trace"].map(str::to_owned).to_vec();
    let mut vispyr = Vispyr::start(Options { config, args, ..Options::default() }).await;
    let ports = [
        ("otlp_http", "/v1/traces"),
        ("remote_write", "/api/v1/write"),
        ("pyroscope", "/ingest"),
        ("sql", "/api/v1/sql"),
    ];
    for (port, path) in ports {
        for shown in [
            &["-H", "authorization: Bearer wrong-hush-012345"][..],
            &["-H", &format!("authorization: Bearer {TOKEN}")],
            &["-u", "shop:wrong-pass-6789"],
            &["-u", USER],
            &["--http2-prior-knowledge", "-H", "authorization: Bearer wrong-hush-012345"],
        ] {
            let answer = curl(&with(shown, &["-d", "SELECT 1", &vispyr.url(port, path)]));
            assert_ne!(answer.status, 0, "{answer:?}");
            for secret in secrets {
                assert!(!format!("{answer:?}").contains(secret), "{answer:?}");
            }
        }
    }
    tokens(folder, &["late-hush-01234", "late-hush-01234 hush"]);
    hang_up(&vispyr, STAY, 1).await;
    let metrics = vispyr.metrics().await;
    let status = get(&vispyr.url("web", "/api/v1/status")).await.unwrap().text();
    let page = get(&vispyr.url("web", "/")).await.unwrap().text();
    let ports = fs::read_to_string(vispyr.data_dir().join("run/ports.json")).unwrap();
    assert!(ports.contains("bearer_tokens_file"), "{ports}");
    vispyr.stop().await;
    let log = vispyr.log();
    assert!(
        log.contains("TRACE") && log.contains("requests are refused for their credentials"),
        "the log has what it can have"
    );
    for (place, text) in [("log", log), ("metrics", metrics), ("status", status), ("page", page), ("ports", ports)] {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in the {place}");
        }
    }
}

/// One request on a connection that stays; the status.
fn ask_again(stream: &mut TcpStream) -> String {
    let request =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let n = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..n]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_themselves_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let vispyr = Vispyr::serve().await;
    let mut stream = TcpStream::connect(vispyr.address("otlp_http")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(ask_again(&mut stream), "HTTP/1.1 200 OK");

    let locks = ours.server("server").section("receivers.otlp_http.tls") + &auth(folder.path()) + OPEN_WEB + OPEN_SQL;
    vispyr.reconfigure(&locks);
    hang_up(&vispyr, READ_AGAIN, 1).await;
    // The connection stays, but its next request needs credentials now; a new one needs TLS.
    assert_eq!(ask_again(&mut stream), "HTTP/1.1 401 Unauthorized");
    let url = vispyr.url("otlp_http", "/v1/traces");
    let request = ["-d", "{}", "-H", "content-type: application/json", "-u", USER];
    assert_eq!(curl(&with(&request, &[&url])).body, "this port speaks TLS: use https\n");
    let https = url.replace("http://", "https://");
    assert_eq!(curl(&with(&trusting(&ours.file()), &[&request[..], &[&https]].concat())).status, 200);
    // Our own commands learn of it.
    let data = vispyr.data_dir();
    let demo = ["demo", "--duration", "1s", "--data-dir", data.to_str().unwrap()];
    let done = std::process::Command::new(PROGRAM).args(demo).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    vispyr.reconfigure("[auth]\nenabled = false\n[receivers.otlp_http.tls]\nenabled = false\n");
    hang_up(&vispyr, READ_AGAIN, 2).await;
    assert_eq!(ask_again(&mut stream), "HTTP/1.1 200 OK");
    assert_eq!(curl(&with(&request, &[&url])).status, 200);
}
