//! The pages of others, in a browser on this machine. Browsers speak HTTP/2 to a port with TLS, where
//! `:authority` stands for `Host`.

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::harness::{DEADLINE, Options, Vispyr};
use crate::receivers::rig::send;

async fn drop_letters(vispyr: &Vispyr, origin: &str) -> u16 {
    let address = vispyr.address("web");
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::delete(vispyr.url("web", "/api/v1/dead-letters?destination=tempo"))
        .header("origin", origin)
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let answer = tokio::time::timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    status
}

#[tokio::test]
async fn a_page_of_ours_is_told_from_others() {
    let config = "[store]\nenabled = false\n".to_owned();
    let vispyr = Vispyr::start(Options { command: "collector", config, ..Options::default() }).await;
    let ours = format!("http://{}", vispyr.address("web"));
    assert_eq!(drop_letters(&vispyr, &ours).await, 200);
    assert_eq!(drop_letters(&vispyr, "http://evil.example").await, 403);
}

/// A foreign page has pointed its own name to this machine (DNS rebinding): its browser sends no Origin.
#[tokio::test]
async fn a_name_that_others_can_point_to_us_reads_nothing() {
    let store = "[store]\nenabled = false\n";
    let named = format!("{store}[web]\nhosts = [\"obs.example.com\"]\n");
    for (config, known) in [(store.to_owned(), false), (named, true)] {
        let vispyr = Vispyr::start(Options { command: "collector", config, ..Options::default() }).await;
        for path in ["/", "/api/v1/status", "/api/v1/dead-letters", "/nothing"] {
            let answer = send("GET", vispyr.address("web"), path, &[("host", "evil.example:12345")], "").await;
            assert_eq!(answer.status, 421, "{path}");
            assert!(answer.text().starts_with("evil.example is not known"), "{}", answer.text());
        }
        for path in ["/metrics", "/-/ready", "/-/healthy"] {
            assert_eq!(
                send("GET", vispyr.address("web"), path, &[("host", "evil.example")], "").await.status,
                200,
                "{path}"
            );
        }
        for (host, answered) in [("localhost:12345", true), ("collector", true), ("obs.example.com", known)] {
            let answer = send("GET", vispyr.address("web"), "/api/v1/status", &[("host", host)], "").await;
            assert_eq!(answer.status, if answered { 200 } else { 421 }, "{host}");
        }
    }
    // Credentials are asked for: a foreign page has none.
    let config = format!("{store}[auth]\nbearer_tokens_file = \"TOKENS\"\n");
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "secret-of-sixteen-letters\n").unwrap();
    let config = config.replace("TOKENS", tokens.to_str().unwrap());
    let vispyr = Vispyr::start(Options { command: "collector", config, ..Options::default() }).await;
    let headers = [("host", "obs.example.com"), ("authorization", "Bearer secret-of-sixteen-letters")];
    assert_eq!(send("GET", vispyr.address("web"), "/api/v1/status", &headers, "").await.status, 200);
}
