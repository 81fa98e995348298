//! What goes over the wire: joined, as it came, or compressed by us.

use std::io::Write;

use bytes::Bytes;
use http_body_util::Full;

use super::sink::{Answer, Call, Sink, http};
use super::{Ledger, collector, numbers, send_spans, settled, sorted, spans};
use crate::harness::{self, Vispyr};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn send_encoded(vispyr: &Vispyr, encoding: &str, body: Vec<u8>) {
    let request = http::Request::post(vispyr.url("otlp_http", "/v1/traces"))
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", encoding)
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    assert_eq!(harness::send(request).await.unwrap().status, 200);
}

/// A collector whose destination does not answer until `sink.now` says so, so that records gather.
async fn gathering(more: &str) -> (Sink, Vispyr) {
    let sink = Sink::with(|_| http(503, "not now")).await;
    let vispyr = collector(&format!("type = \"otlp\"\nurl = \"http://{}\"\n{more}", sink.address)).await;
    send_spans(&vispyr, [1000]).await;
    sink.wait_calls(1).await;
    (sink, vispyr)
}

#[tokio::test]
async fn records_that_wait_are_joined_up_to_the_limits() {
    let (sink, vispyr) = gathering("max_batch_items = 40\nconcurrency = 1").await;
    for n in 0..10 {
        send_spans(&vispyr, n * 10..n * 10 + 10).await;
    }
    sink.now(|_| Answer::Accept);
    assert_eq!(settled(&vispyr, "traces", 101).await, Ledger::forwarded(101));
    let sizes: Vec<usize> = sink.accepted().iter().map(|call| call.spans().len()).collect();
    assert!(sizes.iter().all(|size| *size <= 40), "{sizes:?}");
    assert!(sizes.contains(&40), "{sizes:?}");
    assert!(sink.accepted().iter().all(|call| call.header("grpc-encoding").is_none()));
}

#[tokio::test]
async fn compressed_members_go_as_they_came_byte_for_byte() {
    // Joined only where that is known to be read.
    for (join, requests) in [(false, 3), (true, 1)] {
        let (sink, vispyr) = gathering(&format!("join_compressed = {join}\nconcurrency = 1")).await;
        let bodies: Vec<Vec<u8>> = (0..3).map(|n| gzip(&spans(n * 10..n * 10 + 10))).collect();
        for body in &bodies {
            send_encoded(&vispyr, "gzip", body.clone()).await;
        }
        sink.now(|_| Answer::Accept);
        assert_eq!(settled(&vispyr, "traces", 31).await, Ledger::forwarded(31));
        let compressed: Vec<Call> =
            sink.accepted().into_iter().filter(|call| call.header("grpc-encoding") == Some("gzip")).collect();
        assert_eq!(compressed.len(), requests);
        let mut got: Vec<Bytes> = compressed.iter().map(|call| call.body.clone()).collect();
        if join {
            assert_eq!(got[0], bodies.concat());
        } else {
            got.sort();
            let mut want = bodies.clone();
            want.sort();
            assert_eq!(got, want);
        }
        let spans = sink.accepted().iter().flat_map(Call::spans).filter(|n| *n < 1000).collect();
        assert_eq!(sorted(spans), numbers(0, 30));
    }
}

#[tokio::test]
async fn what_the_destination_may_not_know_is_inflated_or_made_into_what_it_is_told_to() {
    for (compression, want) in
        [("none", None), ("gzip", Some("gzip")), ("zstd", Some("zstd")), ("snappy", Some("snappy"))]
    {
        let sink = Sink::start().await;
        let config = format!("type = \"otlp\"\nurl = \"http://{}\"\ncompression = \"{compression}\"", sink.address);
        let vispyr = collector(&config).await;
        let zstd = zstd::encode_all(&spans(0..10)[..], 3).unwrap();
        send_encoded(&vispyr, "zstd", zstd.clone()).await;
        sink.wait_calls(1).await;
        send_spans(&vispyr, 10..20).await;
        assert_eq!(sorted(sink.wait_spans(20).await), numbers(0, 20));
        assert!(sink.calls().iter().all(|call| call.header("grpc-encoding") == want), "{compression}");
        assert_eq!(sink.calls()[0].body == zstd, compression == "zstd", "{compression}");
    }
}
