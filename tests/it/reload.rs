//! SIGHUP: destinations come, change and go under load, with nothing lost and no receiver closed;
//! a bad config changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::delivery::send_spans;
use crate::delivery::sink::{Answer, Call, Sink, http};
use crate::harness::{DEADLINE, Options, Vispyr, post, signal, sum_of};
use crate::lifecycle::{BATCH, Load};

const DONE: &str = "config, certificates and credentials were read again";
const REFUSED: &str = "the config is refused, the old one goes on";

fn collector(config: &str) -> Options {
    let config = format!("{config}\n[store]\nenabled = false\n");
    Options { command: "collector", config, ..Options::default() }
}

fn otlp(name: &str, sink: &Sink, more: &str) -> String {
    format!("[exporters.{name}]\ntype = \"otlp\"\nurl = \"http://{}\"\nsignals = [\"traces\"]\n{more}\n", sink.address)
}

/// Changes the config file: lays this over it, and takes these sections out.
fn write(vispyr: &Vispyr, over: &str, removed: &[&str]) {
    vispyr.reconfigure(over);
    let path = vispyr.data_dir().parent().unwrap().join("vispyr.toml");
    let mut config: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    if let Some(toml::Value::Table(exporters)) = config.get_mut("exporters") {
        exporters.retain(|name, _| !removed.contains(&name));
    }
    fs::write(&path, config.to_string()).unwrap();
}

/// Tells the program to read its config again and waits until it says so.
async fn hang_up(vispyr: &Vispyr, said: &str) {
    let times = || vispyr.log().matches(said).count();
    let before = times();
    signal(vispyr.pid(), rustix::process::Signal::HUP);
    vispyr.wait(said, || async { (times() > before).then_some(()) }).await;
}

/// The numbers of the spans that were accepted, as the load counts them.
fn accepted(sink: &Sink) -> BTreeSet<u64> {
    let numbers = |body: Vec<u8>| {
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        let ids = scopes.flat_map(|scope| scope.spans).map(|span| span.span_id);
        ids.map(|id| u64::from_be_bytes(id.try_into().unwrap()) - 1).collect::<Vec<_>>()
    };
    sink.accepted().iter().flat_map(|call| numbers(call.plain())).collect()
}

/// Everything that a destination had to get is accounted for.
async fn settled(vispyr: &Vispyr, destination: &str) {
    let label = format!("destination=\"{destination}\"");
    let labels = [label.as_str(), "signal=\"traces\""];
    let adds_up = || async {
        let metrics = vispyr.metrics().await;
        let of = |name: &str| sum_of(&metrics, &format!("vispyr_{name}"), &labels);
        let ends = ["forwarded", "rejected", "skipped", "dropped", "set_aside"];
        let done: f64 = ends.iter().map(|end| of(&format!("{end}_items_total"))).sum();
        (of("waiting_items") == 0.0 && done == of("due_items_total")).then_some(())
    };
    vispyr.wait(&format!("the account of {destination} adds up"), adds_up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_come_change_and_go_under_load() {
    let (steady, comes, changes, goes) =
        (Sink::start().await, Sink::start().await, Sink::start().await, Sink::start().await);
    let config = otlp("steady", &steady, "") + &otlp("changes", &changes, "") + &otlp("goes", &goes, "");
    let vispyr = Vispyr::start(collector(&config)).await;
    let load = Load::start(&vispyr);
    load.until(50).await;
    for round in 0..4 {
        let header = format!("headers = {{ X-Scope-OrgID = \"team-{round}\" }}");
        let come = if round == 0 { otlp("comes", &comes, "start = \"oldest\"") } else { String::new() };
        let go: &[&str] = if round == 2 { &["goes"] } else { &[] };
        write(&vispyr, &(come + &otlp("changes", &changes, &header)), go);
        hang_up(&vispyr, DONE).await;
        let answered = load.acknowledged.lock().len();
        load.until(answered + 50).await;
    }
    let (acknowledged, sent) = load.end().await;
    assert_eq!(acknowledged.len() as u64, sent, "every request was acknowledged");
    let all: BTreeSet<u64> = (0..sent * BATCH).collect();
    for (name, sink) in [("steady", &steady), ("comes", &comes), ("changes", &changes)] {
        settled(&vispyr, name).await;
        let got = accepted(sink);
        assert_eq!(got, all, "{name} has {} of {}", got.len(), all.len());
    }
    // Nothing is sent twice to who did not change.
    let spans: usize = steady.accepted().iter().map(|call| call.spans().len()).sum();
    assert_eq!(spans as u64, sent * BATCH);
    let tenants: BTreeSet<String> =
        changes.calls().iter().filter_map(|call| call.header("x-scope-orgid").map(str::to_owned)).collect();
    assert_eq!(tenants.len(), 4, "{tenants:?}");
    let metrics = vispyr.metrics().await;
    assert!(!metrics.contains("vispyr_waiting_items{destination=\"goes\""), "{metrics}");
    let came = sum_of(&metrics, "vispyr_acknowledged_items_total", &["signal=\"traces\""]);
    assert_eq!(came, sum_of(&metrics, "vispyr_due_items_total", &["destination=\"steady\""]));
    let log = vispyr.log();
    assert!(log.contains("destinations_added=\"comes\"") && log.contains("destinations_removed=\"goes\""), "{log}");
    assert!(log.contains("destinations_started_again=\"changes\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_added_now_gets_what_comes_and_one_removed_frees_its_segments() {
    let (quick, dead, late) = (Sink::start().await, Sink::with(|_| http(503, "away")).await, Sink::start().await);
    let config = otlp("quick", &quick, "") + &otlp("dead", &dead, "") + "[wal]\nsegment_size = \"4KiB\"\n";
    let vispyr = Vispyr::start(collector(&config)).await;
    for n in 0..40 {
        send_spans(&vispyr, n * 10..(n + 1) * 10).await;
    }
    quick.wait_spans(400).await;
    let segments = || vispyr.metric("vispyr_log_segments", &["signal=\"traces\""]);
    assert!(segments().await > 4.0, "the dead one holds them");
    let lag = vispyr.metric("vispyr_destination_lag_items", &["destination=\"dead\"", "signal=\"traces\""]).await;
    assert_eq!(lag, 400.0);
    assert_eq!(vispyr.metric("vispyr_destination_up", &["destination=\"dead\""]).await, 0.0);

    write(&vispyr, &otlp("late", &late, "start = \"now\""), &["dead"]);
    hang_up(&vispyr, DONE).await;
    vispyr.wait("the segments are gone", || async { (segments().await <= 2.0).then_some(()) }).await;
    assert_eq!(vispyr.metric("vispyr_destination_lag_items", &["destination=\"dead\""]).await, 0.0);
    assert!(vispyr.log().contains("destination removed, it never got these"), "{}", vispyr.log());
    send_spans(&vispyr, 400..410).await;
    assert_eq!(late.wait_spans(10).await, (400..410).collect::<Vec<u64>>());
    settled(&vispyr, "late").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_under_another_name_gets_what_waited_for_it() {
    let (dead, late) = (Sink::with(|_| http(503, "away")).await, Sink::start().await);
    // Another one that has got everything: without any, the log deletes nothing.
    let quick = Sink::start().await;
    let config = otlp("first", &dead, "") + &otlp("quick", &quick, "") + "[wal]\nsegment_size = \"4KiB\"\n";
    let vispyr = Vispyr::start(collector(&config)).await;
    for n in 0..40 {
        send_spans(&vispyr, n * 10..(n + 1) * 10).await;
    }
    settled(&vispyr, "quick").await;
    let segments = vispyr.metric("vispyr_log_segments", &["signal=\"traces\""]).await;
    assert!(segments > 4.0, "{segments}");
    write(&vispyr, &otlp("second", &late, ""), &["first"]);
    hang_up(&vispyr, DONE).await;
    settled(&vispyr, "second").await;
    let got: BTreeSet<u64> = late.accepted().iter().flat_map(Call::spans).collect();
    assert_eq!(got, (0..400).collect(), "all that waited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_config_is_refused_with_all_its_mistakes_and_the_old_one_goes_on() {
    let (old, new) = (Sink::start().await, Sink::start().await);
    let vispyr = Vispyr::start(collector(&otlp("out", &old, ""))).await;
    send_spans(&vispyr, 0..10).await;
    old.wait_spans(10).await;

    let path = vispyr.data_dir().parent().unwrap().join("vispyr.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{}\n[exporters.a]\nurl = 5\n[wall]\nx = 1\n[admission]\nmax_streams = 0\n", good))
        .unwrap();
    hang_up(&vispyr, REFUSED).await;
    let log = vispyr.log();
    for key in ["exporters.a.url", "wall", "admission.max_streams"] {
        assert!(log.lines().any(|line| line.contains("ERROR") && line.contains(key)), "{key} is not named: {log}");
    }
    // Well written, but it names files that are not there: those of a port and of a destination.
    fs::write(&path, &good).unwrap();
    let tls =
        "[exporters.out.tls]\nca_file = \"/nowhere/ca.pem\"\n[web.auth]\nbearer_tokens_file = \"/nowhere/tokens\"\n";
    let over = otlp("out", &new, "").replace("http://", "https://") + tls;
    write(&vispyr, &over, &[]);
    hang_up(&vispyr, REFUSED).await;
    let log = vispyr.log();
    for file in ["/nowhere/ca.pem", "/nowhere/tokens"] {
        assert!(log.lines().any(|line| line.contains("ERROR") && line.contains(file)), "{file} is not named: {log}");
    }
    send_spans(&vispyr, 10..20).await;
    old.wait_spans(20).await;
    assert!(new.calls().is_empty());
    assert!(!log.contains(DONE), "{log}");
    // And when it is mended.
    fs::write(&path, good).unwrap();
    write(&vispyr, &otlp("out", &new, ""), &[]);
    hang_up(&vispyr, DONE).await;
    send_spans(&vispyr, 20..30).await;
    assert_eq!(new.wait_spans(10).await, (20..30).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_change_and_what_cannot_is_named_once() {
    let vispyr = Vispyr::start(collector("")).await;
    let url = vispyr.url("otlp_http", "/v1/traces");
    // One span with a name of 2 MiB: each message within the other, with its length.
    let large = || {
        let within = |tag: u8, inner: Vec<u8>| {
            let mut body = vec![tag << 3 | 2];
            prost::encoding::encode_varint(inner.len() as u64, &mut body);
            body.extend(inner);
            body
        };
        within(1, within(2, within(2, within(5, vec![b'n'; 2 << 20]))))
    };
    assert_eq!(post(&url, "application/x-protobuf", large()).await.unwrap().status, 200);
    write(
        &vispyr,
        "[admission]\nmax_request_size = \"1MiB\"\n[wal]\nmax_size = \"1GiB\"\n[log]\nlevel = \"debug\"\n",
        &[],
    );
    hang_up(&vispyr, DONE).await;
    assert_eq!(post(&url, "application/x-protobuf", large()).await.unwrap().status, 413);
    let log = vispyr.log();
    let later: Vec<&str> = log.lines().filter(|line| line.contains("only at the next start")).collect();
    assert_eq!(later.len(), 1, "{log}");
    assert!(later[0].contains("log.level, wal.max_size"), "{later:?}");
    assert!(log.lines().any(|line| line.contains(DONE) && line.contains("admission.max_request_size")), "{log}");
}

#[tokio::test]
async fn the_service_manager_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let env = vec![("NOTIFY_SOCKET".to_owned(), path.to_str().unwrap().to_owned())];
    let vispyr = Vispyr::start(Options { env, ..collector("") }).await;
    let heard = || {
        let mut buffer = [0; 1024];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    assert_eq!(heard().trim_end(), "READY=1");
    // systemd takes the answer for its own only if it is of after its signal (sd_notify(3)).
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    for (text, status) in
        [("", "running"), ("[wal]\nmax_size = 0\n", "the new config is refused, running with the old one")]
    {
        write(&vispyr, text, &[]);
        signal(vispyr.pid(), rustix::process::Signal::HUP);
        let reloading = heard();
        let mut lines = reloading.lines();
        assert_eq!(lines.next(), Some("RELOADING=1"), "{reloading}");
        let time = lines.next().unwrap().strip_prefix("MONOTONIC_USEC=").unwrap().parse::<i64>().unwrap();
        assert!(time >= before.tv_sec * 1_000_000 + before.tv_nsec / 1000, "{time} {before:?}");
        assert_eq!(heard().trim_end(), format!("READY=1\nSTATUS={status}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_to_stop_means_at_once() {
    // A client that sends nothing more keeps the graceful stop waiting.
    let mut vispyr = Vispyr::start(collector("")).await;
    let mut client = tokio::net::TcpStream::connect(vispyr.address("otlp_http")).await.unwrap();
    let head =
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut client, head).await.unwrap();
    let open = || async { (vispyr.metric("vispyr_connections", &[]).await == 1.0).then_some(()) };
    vispyr.wait("the request has begun", open).await;
    signal(vispyr.pid(), rustix::process::Signal::TERM);
    vispyr.wait("it begins to stop", || async { vispyr.log().contains("stopping").then_some(()) }).await;
    signal(vispyr.pid(), rustix::process::Signal::INT);
    let (status, took) = vispyr.wait_ended().await;
    assert!(status.success(), "{status}");
    assert!(took < std::time::Duration::from_secs(2), "{took:?}: {}", vispyr.log());
    assert!(vispyr.log().contains("told again, stopping at once"), "{}", vispyr.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_while_it_stops_or_reloads_is_no_harm() {
    let hangs = Sink::with(|_| Answer::Hang).await;
    let mut vispyr = Vispyr::start(collector(&otlp("out", &hangs, ""))).await;
    send_spans(&vispyr, 0..10).await;
    hangs.wait_calls(1).await;
    // Stopping the exporter takes its moment, since its request hangs.
    write(&vispyr, &otlp("out", &hangs, "timeout = \"20s\""), &[]);
    for _ in 0..5 {
        signal(vispyr.pid(), rustix::process::Signal::HUP);
    }
    let (status, took) = vispyr.stop().await;
    assert!(status.success(), "{status}: {}", vispyr.log());
    assert!(took < std::time::Duration::from_secs(10), "{took:?}");
}
