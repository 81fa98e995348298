//! Destinations that drop connections, never answer, refuse everything, answer with something that
//! only looks like a success, or send on; and a proxy before them.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sink::{Answer, Call, Sink, http};
use super::{Ledger, collector, options, send, send_points, send_spans, settled};
use crate::harness::{self, Vispyr};

/// A metric of this name with a point of this value.
fn named(name: &str, value: u64) -> Vec<u8> {
    let point = NumberDataPoint {
        time_unix_nano: value,
        value: Some(Value::AsDouble(value as f64)),
        ..NumberDataPoint::default()
    };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: name.to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn names(call: &Call) -> Vec<String> {
    let request = ExportMetricsServiceRequest::decode(&call.plain()[..]).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect()
}

async fn letters(vispyr: &Vispyr) -> serde_json::Value {
    harness::get(&vispyr.url("web", "/api/v1/dead-letters?destination=out")).await.unwrap().json()["letters"].clone()
}

/// Five metrics, the third of which the destination does not survive.
async fn survives(answer: Answer, more: &str) {
    let sink =
        Sink::with(
            move |call: &Call| {
                if names(call).iter().any(|name| name == "温度") { answer.clone() } else { Answer::Accept }
            },
        )
        .await;
    let vispyr = collector(&format!("type = \"prometheus\"\nurl = \"http://{}\"\n{more}", sink.address)).await;
    for (n, name) in ["a", "b", "温度", "c", "d"].into_iter().enumerate() {
        send(&vispyr, "/v1/metrics", named(name, n as u64)).await;
    }
    let ledger = settled(&vispyr, "metrics", 5).await;
    assert_eq!(ledger, Ledger { forwarded: 4, set_aside: 1, ..Ledger::default() });
    assert_eq!(sink.wait_points(4).await, [0, 1, 3, 4], "each once and in order");
    let letters = letters(&vispyr).await;
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("Prometheus may not be able to take the metric name \"温度\""), "{letters}");
}

#[tokio::test]
async fn an_item_over_which_the_connection_is_dropped_is_set_aside_and_its_name_told() {
    survives(Answer::Drop, "").await;
}

#[tokio::test]
async fn an_item_that_is_never_answered_is_set_aside() {
    survives(Answer::Hang, "timeout = \"200ms\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_refuses_everything_gets_little_and_loses_nothing() {
    let said = "Client sent an HTTP request to an HTTPS server.";
    let sink = Sink::with(move |_| http(400, said)).await;
    let url = format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&url).await;
    for n in 0..20 {
        send_spans(&vispyr, n * 100..n * 100 + 100).await;
    }
    vispyr
        .wait("it is said aloud", async || vispyr.log().contains("this destination refuses everything").then_some(()))
        .await;
    let status = harness::get(&vispyr.url("web", "/api/v1/status")).await.unwrap().text();
    let wrong = ["destination=\"out\"", "signal=\"traces\""];
    assert_eq!(vispyr.metric("vispyr_destination_misconfigured", &wrong).await, 1.0);
    assert!(status.contains(said), "{status}");
    assert_eq!(letters(&vispyr).await.as_array().unwrap().len(), 0, "nothing is set aside");
    assert_eq!(vispyr.metric("vispyr_waiting_items", &["destination=\"out\"", "signal=\"traces\""]).await, 2000.0);
    let requests = sink.calls().len();
    assert!(requests < 150, "{requests} requests");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vispyr.toml");
    std::fs::write(&file, format!("[exporters.out]\n{url}\n")).unwrap();
    let check = std::process::Command::new(harness::PROGRAM).args(["check", "--connect"]).arg(&file).output().unwrap();
    let told = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(!check.status.success() && told.contains("exporters.out.url") && told.contains(said), "{told}");
    // Mended, it gets all of it.
    sink.now(|_| Answer::Accept);
    let ledger = settled(&vispyr, "traces", 2000).await;
    assert_eq!(ledger, Ledger::forwarded(2000));
    let mut got = sink.wait_spans(2000).await;
    got.sort_unstable();
    assert_eq!(got, (0..2000).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn the_last_item_is_set_aside_if_an_empty_request_is_accepted() {
    let sink = Sink::with(
        |call: &Call| {
            if call.spans().is_empty() { Answer::Accept } else { http(400, "no such tenant's span") }
        },
    )
    .await;
    let url = format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&url).await;
    send_spans(&vispyr, 0..1).await;
    let ledger = settled(&vispyr, "traces", 1).await;
    assert_eq!(ledger, Ledger { set_aside: 1, ..Ledger::default() });
    assert_eq!(sink.calls().len(), 2, "the span, and nothing");
}

#[tokio::test]
async fn a_web_page_is_not_taken_for_success() {
    let page = || Answer::Http(200, vec![("content-type", "text/html".to_owned())], "<html>Log in</html>".to_owned());
    let sink = Sink::with(move |_| page()).await;
    let url = format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&url).await;
    send_spans(&vispyr, 0..3).await;
    vispyr.wait("it is said", async || vispyr.log().contains("answered with a web page").then_some(())).await;
    assert_eq!(vispyr.metric("vispyr_waiting_items", &["destination=\"out\"", "signal=\"traces\""]).await, 3.0);
    for (n, status) in [201, 203, 206].into_iter().enumerate() {
        let before = sink.calls().len();
        sink.now(move |_| Answer::Http(status, vec![("content-type", "application/json".to_owned())], "{}".to_owned()));
        if n > 0 {
            send_spans(&vispyr, 0..3).await;
        }
        assert_eq!(settled(&vispyr, "traces", 3 * (n as u64 + 1)).await, Ledger::forwarded(3 * (n as u64 + 1)));
        assert!(sink.calls().len() - before <= 2, "{status} is sent once");
    }
}

#[tokio::test]
async fn partial_success_in_json_is_counted() {
    let json = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}"#;
    let sink =
        Sink::with(move |_| Answer::Http(200, vec![("content-type", "application/json".to_owned())], json.to_owned()))
            .await;
    let url = format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&url).await;
    send_spans(&vispyr, 0..3).await;
    let ledger = settled(&vispyr, "traces", 3).await;
    assert_eq!(ledger, Ledger { forwarded: 2, rejected: 1, ..Ledger::default() });
}

#[tokio::test]
async fn a_permanent_redirection_is_followed_and_gets_no_secrets_elsewhere() {
    let target = Sink::start().await;
    let to = format!("http://{}/other/v1/traces", target.address);
    let sink = Sink::with(move |_| Answer::Http(308, vec![("location", to.clone())], String::new())).await;
    let url = format!(
        "type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"\nheaders = {{ x-key = \"secret\" }}",
        sink.address
    );
    let vispyr = collector(&url).await;
    send_spans(&vispyr, 0..3).await;
    assert_eq!(settled(&vispyr, "traces", 3).await, Ledger::forwarded(3));
    let calls = target.calls();
    assert_eq!((calls[0].path.as_str(), calls[0].spans()), ("/other/v1/traces", vec![0, 1, 2]));
    assert_eq!(calls[0].header("x-key"), None);
    assert_eq!(sink.calls()[0].header("x-key"), Some("secret"));
}

/// A proxy that repeats what it is asked for at the sink, or tunnels to it; and the first lines that
/// it heard.
async fn proxy(to: std::net::SocketAddr) -> (std::net::SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, lines) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let text = String::from_utf8(head).unwrap();
                heard.send(text.clone()).unwrap();
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                if text.starts_with("CONNECT ") {
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                } else {
                    server.write_all(text.as_bytes()).await.unwrap();
                }
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, lines)
}

#[tokio::test]
async fn requests_go_through_the_proxy_of_the_environment() {
    let sink = Sink::start().await;
    let (address, mut heard) = proxy(sink.address).await;
    // The name is for the proxy to find.
    for (protocol, host, line) in [
        ("http", "far.example", "POST http://far.example:4318/v1/traces HTTP/1.1\r\n"),
        ("grpc", "far.example", "CONNECT far.example:4318 HTTP/1.1\r\n"),
    ] {
        let url = format!("type = \"otlp\"\nprotocol = \"{protocol}\"\nurl = \"http://{host}:4318\"");
        let mut options = options(&url);
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            options.env.push((name.to_owned(), format!("http://user:word@{address}")));
        }
        options.env.push(("NO_PROXY".to_owned(), "near.example".to_owned()));
        let vispyr = Vispyr::start(options).await;
        send_spans(&vispyr, 0..3).await;
        assert_eq!(settled(&vispyr, "traces", 3).await, Ledger::forwarded(3), "{protocol}");
        let head = heard.recv().await.unwrap();
        assert!(head.starts_with(line), "{head}");
        assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjp3b3jk"), "{head}");
    }
}

#[tokio::test]
async fn a_remote_write_2_0_of_which_nothing_was_written_is_sent_again_as_1_0() {
    // A 1.0 server that reads 2.0 as 1.0, finds nothing and says that all is well.
    let sink = Sink::with(|_| http(204, "")).await;
    let vispyr = collector(&format!("type = \"prometheus\"\nurl = \"http://{}\"", sink.address)).await;
    super::protocols::write_v2(&vispyr, super::protocols::snappy(&super::protocols::series_v2(5.0).encode_to_vec()))
        .await;
    assert_eq!(settled(&vispyr, "metrics", 1).await, Ledger::forwarded(1));
    let calls = sink.calls();
    let versions: Vec<_> = calls.iter().filter_map(|call| call.header("x-prometheus-remote-write-version")).collect();
    assert_eq!(versions, ["2.0.0", "0.1.0"]);
}

#[tokio::test]
async fn a_server_that_is_away_now_and_then_costs_no_item() {
    let mut n = 0;
    let sink = Sink::with(move |_| {
        n += 1;
        if n % 3 == 0 { Answer::Accept } else { http(503, "no healthy upstream") }
    })
    .await;
    let url = format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&url).await;
    for n in 0..12 {
        send_spans(&vispyr, n..n + 1).await;
        send_points(&vispyr, n..n + 1).await;
    }
    assert_eq!(settled(&vispyr, "traces", 12).await, Ledger::forwarded(12));
    assert_eq!(settled(&vispyr, "metrics", 12).await, Ledger::forwarded(12));
}

/// Thousands of dead letters do not keep anything else from being received.
#[tokio::test]
async fn many_dead_letters_keep_no_receiver_waiting() {
    let sink = Sink::with(|call: &Call| {
        let spans = call.spans();
        if spans.iter().any(|n| n % 2 == 1) { http(400, "odd") } else { Answer::Accept }
    })
    .await;
    let url = format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&url).await;
    for n in 0..10 {
        send_spans(&vispyr, n * 100..n * 100 + 100).await;
        let sent = std::time::Instant::now();
        send_points(&vispyr, n..n + 1).await;
        assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
    }
    let threads = std::fs::read_dir(format!("/proc/{}/task", vispyr.pid())).unwrap().count();
    assert!(threads < 100, "{threads} threads");
    let ledger = settled(&vispyr, "traces", 1000).await;
    assert_eq!(ledger, Ledger { forwarded: 500, set_aside: 500, ..Ledger::default() });
}
