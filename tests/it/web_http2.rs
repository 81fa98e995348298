//! Browsers speak HTTP/2 to a port with TLS, where `:authority` stands for `Host`.

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::harness::{DEADLINE, Options, Vispyr};

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
