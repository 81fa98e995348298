//! Letters over the API and on the command line.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use bytesize::ByteSize;
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::Value;
use vispyr::quarantine::dead_letters::DeadLetters;
use vispyr::signal::{Batch, Compression, Format, Meta, Signal};
use vispyr::telemetry::Telemetry;

use crate::delivery::send_spans;
use crate::delivery::sink::{Answer as Word, Sink, http};
use crate::harness::{Answer, Options, PROGRAM, Vispyr, get, send, sum_of};

fn batch(name: &str) -> Batch {
    let span = Span { trace_id: vec![0; 16], span_id: vec![1; 8], name: name.to_owned(), ..Span::default() };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    let payload = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
    Batch {
        signal: Signal::Traces,
        format: Format::Otlp,
        compression: Compression::Identity,
        items: 1,
        decoded_size: payload.len() as u64,
        received: 1_700_000_000_000_000_000,
        meta: Meta::default(),
        payload: payload.into(),
    }
}

/// Puts dead letters where a server will find them: two for `tempo`, one for `other`.
fn put(data_dir: &Path) {
    let dir = data_dir.join("dead-letters");
    let letters = DeadLetters::open(dir, ByteSize::mib(1), &Telemetry::new()).unwrap();
    for (destination, name) in [("other", "a"), ("tempo", "GET /"), ("tempo", "GET /b")] {
        letters.keep(destination, &batch(name), &format!("HTTP 400: {name} is no good\u{1b}[31m")).unwrap();
    }
}

/// A server that has dead letters from an earlier life, and their ids.
pub async fn with_letters() -> (Vispyr, Vec<String>) {
    with_letters_and("").await
}

/// The same, with more in its config.
async fn with_letters_and(more: &str) -> (Vispyr, Vec<String>) {
    let config = format!("[store]\nenabled = false\n{more}");
    let vispyr =
        Vispyr::start(Options { command: "collector", config, prepare: Some(put), ..Options::default() }).await;
    let list = get(&vispyr.url("web", "/api/v1/dead-letters")).await.unwrap().json();
    let ids = list["letters"].as_array().unwrap().iter().map(|letter| letter["id"].as_str().unwrap().to_owned());
    (vispyr, ids.collect())
}

async fn ask(vispyr: &Vispyr, method: &str, path: &str, origin: Option<&str>) -> Answer {
    let mut request = http::Request::builder().method(method).uri(vispyr.url("web", path));
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    send(request.body(Full::default()).unwrap()).await.unwrap()
}

fn command(vispyr: &Vispyr, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("dead-letters").args(args).arg("--data-dir").arg(vispyr.data_dir());
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_shows_and_drops_them_but_for_no_other_page() {
    let (vispyr, ids) = with_letters().await;
    let list = get(&vispyr.url("web", "/api/v1/dead-letters")).await.unwrap().json();
    let listed: Vec<&str> = list["letters"].as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids);
    assert!(ids[0].starts_with("other-") && ids[1].starts_with("tempo-") && ids[2] > ids[1], "{ids:?}");
    let of_tempo = get(&vispyr.url("web", "/api/v1/dead-letters?destination=tempo")).await.unwrap().json();
    assert_eq!(of_tempo["letters"].as_array().unwrap().len(), 2);
    assert_eq!(of_tempo["letters"][0]["items"], 1);
    let metrics = vispyr.metrics().await;
    assert_eq!(sum_of(&metrics, "vispyr_dead_letters", &["destination=\"tempo\""]), 2.0);

    let path = format!("/api/v1/dead-letters/{}", ids[1]);
    let shown = get(&vispyr.url("web", &path)).await.unwrap().json();
    assert_eq!(shown["reason"], "HTTP 400: GET / is no good\u{1b}[31m");
    assert_eq!(shown["content"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "GET /", "{shown}");
    let raw = get(&vispyr.url("web", &format!("{path}?raw"))).await.unwrap();
    assert_eq!(raw.body, batch("GET /").payload);
    assert_eq!(
        (&raw.headers["content-type"], &raw.headers["x-vispyr-format"]),
        (&"application/octet-stream".parse().unwrap(), &"otlp".parse().unwrap())
    );

    // A web page of somebody else can ask the browser to do any of this.
    let own = format!("http://{}", vispyr.address("web"));
    for (method, path) in [("DELETE", path.clone()), ("POST", format!("{path}/retry"))] {
        for origin in ["http://evil.example", "null", "http://localhost:1"] {
            let answer = ask(&vispyr, method, &path, Some(origin)).await;
            assert_eq!(answer.status, 403, "{method} {origin}: {}", answer.text());
        }
    }
    for (method, path, status) in [
        ("GET", "/api/v1/dead-letters/tempo-1", 404),
        ("GET", "/api/v1/dead-letters/..%2f..%2fetc", 404),
        ("DELETE", "/api/v1/dead-letters/tempo-1", 404),
        ("DELETE", "/api/v1/dead-letters", 400),
        ("POST", "/api/v1/dead-letters/retry", 400),
        ("PUT", "/api/v1/dead-letters", 405),
        ("GET", "/api/v1/dead-letters/tempo-1/retry", 405),
        ("GET", "/api/v1/dead-letters/tempo-1/x/y", 404),
        ("GET", "/api/v1/dead-lettersx", 404),
        ("DELETE", "/api/v1/status", 405),
    ] {
        assert_eq!(ask(&vispyr, method, path, None).await.status, status, "{method} {path}");
    }
    let dropped = ask(&vispyr, "DELETE", &path, Some(&own)).await;
    assert_eq!((dropped.status, &dropped.json()["id"]), (200, &Value::from(ids[1].clone())));
    let dropped = ask(&vispyr, "DELETE", "/api/v1/dead-letters?destination=tempo", None).await.json();
    assert_eq!((&dropped["dropped"], &dropped["left"]), (&1.into(), &0.into()));
    let metrics = vispyr.metrics().await;
    assert_eq!(sum_of(&metrics, "vispyr_dead_letters", &[]), 1.0);
    assert_eq!(sum_of(&metrics, "vispyr_dead_letters_deleted_items_total", &[]), 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_lists_shows_and_drops_them() {
    let (vispyr, ids) = with_letters().await;
    let listed = command(&vispyr, &["list"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let table = text(&listed.stdout);
    assert_eq!(table.lines().count(), 2 + 3, "{table}");
    assert!(ids.iter().all(|id| table.contains(id)) && !table.contains('\u{1b}'), "{table}");
    let json: Value =
        serde_json::from_slice(&command(&vispyr, &["list", "--destination", "tempo", "--json"]).stdout).unwrap();
    assert_eq!(json["letters"].as_array().unwrap().len(), 2);

    let shown = command(&vispyr, &["show", &ids[2]]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("GET /b is no good") && shown.contains("\"name\": \"GET /b\""), "{shown}");
    assert_eq!(Bytes::from(command(&vispyr, &["show", &ids[2], "--raw"]).stdout), batch("GET /b").payload);
    let unknown = command(&vispyr, &["show", "tempo-1"]);
    assert_eq!(
        (unknown.status.code(), text(&unknown.stderr)),
        (Some(1), "vispyr: no dead letter tempo-1\n".to_owned())
    );

    // Nobody is at the terminal to agree.
    let all = command(&vispyr, &["drop", "--all"]);
    assert_eq!(all.status.code(), Some(1));
    assert!(text(&all.stderr).contains("--yes"), "{}", text(&all.stderr));
    assert_eq!(command(&vispyr, &["drop"]).status.code(), Some(2), "which?");
    let some = command(&vispyr, &["drop", &ids[0], "tempo-1"]);
    assert_eq!((some.status.code(), text(&some.stdout)), (Some(1), "1 dropped\n".to_owned()), "{some:?}");
    assert!(text(&some.stderr).contains("no dead letter tempo-1"));
    let rest = command(&vispyr, &["drop", "--destination", "tempo", "--yes"]);
    assert_eq!((rest.status.code(), text(&rest.stdout)), (Some(0), "2 dropped\n".to_owned()));
    assert_eq!(text(&command(&vispyr, &["list"]).stdout), "no dead letters\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_of_another_type_is_not_sent_what_it_may_misread() {
    let sink = Sink::start().await;
    let (vispyr, ids) =
        with_letters_and(&format!("[exporters.tempo]\ntype = \"prometheus\"\nurl = \"http://{}\"", sink.address)).await;
    let retried = command(&vispyr, &["retry", &ids[1]]);
    let said = text(&retried.stdout);
    assert!(said.contains("destination \"tempo\" takes no traces as otlp now\n0 accepted, 1 kept"), "{said}");
    assert_eq!(sink.calls().len(), 0);
    assert!(text(&command(&vispyr, &["list"]).stdout).contains(&ids[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_destination_says_reaches_the_terminal_as_text_alone() {
    let sink = Sink::with(|_| http(400, "no\u{1b}[2J")).await;
    let url = format!("http://{}", sink.address);
    let config = format!("[exporters.tempo]\ntype = \"otlp\"\nprotocol = \"http\"\nurl = \"{url}\"");
    let (vispyr, ids) = with_letters_and(&config).await;
    let said = text(&command(&vispyr, &["retry", &ids[1]]).stdout);
    assert!(said.contains("no·[2J\n0 accepted, 1 kept\n"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_the_command_says_so() {
    let (mut vispyr, _) = with_letters().await;
    vispyr.stop().await;
    let output = command(&vispyr, &["list", "--address", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no collector answers on 127.0.0.1:1"), "{}", text(&output.stderr));
}

/// From a refusal to the end: kept, shown, refused again, taken at last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_is_taken_when_the_destination_is_mended() {
    let bad = |call: &crate::delivery::sink::Call| call.spans().contains(&7);
    let sink = Sink::with(move |call| if bad(call) { http(400, "no 7 here") } else { Word::Accept }).await;
    let url = format!("http://{}", sink.address);
    let config =
        format!("[store]\nenabled = false\n[exporters.out]\ntype = \"otlp\"\nprotocol = \"http\"\nurl = \"{url}\"\n");
    let vispyr = Vispyr::start(Options { command: "collector", config, ..Options::default() }).await;
    send_spans(&vispyr, 0..10).await;
    sink.wait_spans(9).await;
    let one = || async { (vispyr.metric("vispyr_dead_letters", &["destination=\"out\""]).await == 1.0).then_some(()) };
    vispyr.wait("it is set aside", one).await;
    let id = get(&vispyr.url("web", "/api/v1/dead-letters")).await.unwrap().json()["letters"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let shown = text(&command(&vispyr, &["show", id]).stdout);
    assert!(shown.contains("no 7 here") && shown.contains("\"span 7\"") && !shown.contains("\"span 6\""), "{shown}");
    let status = Command::new(PROGRAM).arg("status").arg("--data-dir").arg(vispyr.data_dir()).output().unwrap();
    let status = text(&status.stdout);
    let line = status.lines().find(|line| line.starts_with("traces") && line.contains(" out ")).unwrap_or_default();
    assert!(line.ends_with(" 1"), "the letter is counted: {status}");
    assert!(status.contains("well since: HTTP 400 Bad Request: no 7 here"), "{status}");

    let again = command(&vispyr, &["retry", id]);
    assert_eq!(again.status.code(), Some(1));
    let said = text(&again.stdout);
    assert!(said.contains("refused again: HTTP 400 Bad Request: no 7 here\n0 accepted, 1 kept\n"), "{said}");
    sink.now(|_| http(503, "away"));
    let away: Value = serde_json::from_slice(&command(&vispyr, &["retry", "--all", "--json"]).stdout).unwrap();
    assert!(away["kept"][0]["reason"].as_str().unwrap().contains("away"), "{away}");
    let api = ask(&vispyr, "POST", "/api/v1/dead-letters/retry?destination=out", None).await.json();
    assert_eq!((&api["accepted"], &api["left"]), (&0.into(), &1.into()), "{api}");
    let shown = get(&vispyr.url("web", &format!("/api/v1/dead-letters/{id}"))).await.unwrap().json();
    assert_eq!(shown["retries"], 3, "{shown}");

    sink.now(|_| Word::Accept);
    let taken = command(&vispyr, &["retry", "--destination", "out"]);
    assert_eq!((taken.status.code(), text(&taken.stdout)), (Some(0), format!("{id}: accepted\n1 accepted, 0 kept\n")));
    let mut spans = sink.wait_spans(10).await;
    spans.sort_unstable();
    assert_eq!(spans, (0..10).collect::<Vec<u64>>());
    let metrics = vispyr.metrics().await;
    let of = |name: &str| sum_of(&metrics, name, &["destination=\"out\"", "signal=\"traces\""]);
    // Set aside once, and out of the ledger since.
    assert_eq!((of("vispyr_forwarded_items_total"), of("vispyr_set_aside_items_total")), (9.0, 1.0));
    assert_eq!(
        (of("vispyr_dead_letters_resent_items_total"), sum_of(&metrics, "vispyr_dead_letters", &[])),
        (1.0, 0.0)
    );
}
