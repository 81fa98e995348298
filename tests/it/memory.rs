//! What payloads take in memory is bounded by what they really take, and who gives it.

use std::fs;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::delivery::spans;
use crate::harness::{Options, PROGRAM, Vispyr};

fn collector(config: &str) -> Options {
    let config = format!("{config}\n[store]\nenabled = false\n");
    Options { command: "collector", config, ..Options::default() }
}

fn exporter(name: &str, address: &str) -> String {
    format!(
        "[exporters.{name}]\ntype = \"otlp\"\nprotocol = \"http\"\ncompression = \"none\"\nurl = \"http://{address}\"\n\
         signals = [\"traces\"]\n"
    )
}

/// Resident memory that belongs to the process alone, in bytes.
fn anonymous(vispyr: &Vispyr) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", vispyr.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn head(encoding: &str, length: usize) -> String {
    format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n{encoding}\
         Content-Length: {length}\r\n\r\n"
    )
}

/// Sends a request so often on one connection, each time after the answer.
async fn send(vispyr: &Vispyr, request: Vec<u8>, times: usize) {
    let mut stream = TcpStream::connect(vispyr.address("otlp_http")).await.unwrap();
    let mut answer = vec![0; 4096];
    for _ in 0..times {
        stream.write_all(&request).await.unwrap();
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut answer[length..]).await.unwrap();
            assert!(read > 0, "closed");
            length += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
    }
}

/// A record of some bytes must not hold the read buffer of its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_for_a_dead_destination() {
    let vispyr = Vispyr::start(collector(&exporter("dead", "127.0.0.1:9"))).await;
    let body = spans(0..1);
    let request = [head("", body.len()).as_bytes(), &body].concat();
    let before = anonymous(&vispyr);
    let senders = (0..16).map(|_| send(&vispyr, request.clone(), 500));
    futures_util::future::join_all(senders).await;
    let grown = anonymous(&vispyr).saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes for 8,000 requests");
}

/// A body of some KiB that becomes 24 MiB must not be held so for every destination.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inflated_bodies_for_slow_destinations() {
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = slow.local_addr().unwrap().to_string();
    let config: String = ["a", "b", "c"].iter().map(|name| exporter(name, &address)).collect();
    let vispyr = Vispyr::start(collector(&config)).await;
    // One span with a long name.
    let name = vec![b'a'; 24 << 20];
    let field = |tag: u8, content: &[u8]| {
        let mut out = vec![tag << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut out);
        out.extend_from_slice(content);
        out
    };
    let span = [field(1, &[1; 16]), field(2, &[2; 8]), field(5, &name)].concat();
    let body = field(1, &field(2, &field(2, &span)));
    let body = zstd::encode_all(&body[..], 1).unwrap();
    assert!(body.len() < 8192, "{}", body.len());
    let before = anonymous(&vispyr);
    send(&vispyr, [head("Content-Encoding: zstd\r\n", body.len()).as_bytes(), &body].concat(), 4).await;
    // Each destination has connections that nobody reads.
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(slow.accept().await.unwrap());
    }
    let sending = async || {
        let mut first = [0; 1];
        for (stream, _) in &held {
            stream.peek(&mut first).await.unwrap();
        }
        Some(())
    };
    vispyr.wait("all of them send", sending).await;
    let grown = anonymous(&vispyr).saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes for three destinations");
}

/// A request that waits takes more than its bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_count_with_their_fixed_cost() {
    let vispyr = Vispyr::start(collector("")).await;
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(vispyr.address("otlp_http")).await.unwrap();
        stream.write_all(head("", 100).as_bytes()).await.unwrap();
        open.push(stream);
    }
    let counted = async || (vispyr.metric("vispyr_in_flight_bytes", &[]).await >= 50.0 * 8192.0).then_some(());
    vispyr.wait("fifty requests count", counted).await;
    drop(open);
    let gone = async || (vispyr.metric("vispyr_in_flight_bytes", &[]).await == 0.0).then_some(());
    vispyr.wait("and are gone", gone).await;
}

/// What the program says of its start with a variable for its loader or its allocator.
fn told_at_start(name: &str, value: &str) -> String {
    let output = Command::new(PROGRAM).arg("--version").env("LD_BIND_NOW", "1").env(name, value).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A library that had malloc from glibc and free from us, or was as slow as before, would be seen nowhere else.
#[test]
fn every_library_has_its_memory_from_one_allocator() {
    let told = told_at_start("LD_DEBUG", "bindings");
    for symbol in ["malloc", "free"] {
        let symbol = format!("normal symbol `{symbol}'");
        let mut bound = told.lines().filter(|line| line.contains(&symbol)).peekable();
        assert!(bound.peek().is_some(), "no {symbol} in {told}");
        for line in bound {
            let (_, to) = line.split_once(" to ").unwrap();
            assert!(to.starts_with(PROGRAM), "{line}");
        }
    }
}

/// Without a thread for it: there may be none when a process confines itself.
#[test]
fn the_allocator_gives_back_soon() {
    let told = told_at_start("MALLOC_CONF", "stats_print:true");
    for option in [
        "opt.dirty_decay_ms: 300 ",
        "opt.muzzy_decay_ms: 0 ",
        "opt.oversize_threshold: 4194304\n",
        "opt.background_thread: false",
    ] {
        assert!(told.contains(option), "no {option} in {told}");
    }
}
