//! Dead letters of the store: made of what it can never take, and stored once when they are sent again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use futures_util::future::BoxFuture;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use vispyr::exporters::store::resend::Resender;
use vispyr::exporters::store::{self, StoreDelivery};
use vispyr::quarantine::dead_letters::{DeadLetter, DeadLetterId, DeadLetters, Head, Resend, Retried};
use vispyr::signal::{Batch, Signal};
use vispyr::store::Config;
use vispyr::store::engine::{self, failpoint};
use vispyr::telemetry::Telemetry;
use vispyr::wal::{self, Destination, Log, Logs, Start};

use crate::harness::{Options, PROGRAM, Vispyr};
use crate::store::rig::{DEADLINE, EngineProcess, Source, feed, traces};
use crate::store_items::span;

/// The collector's part of the way: logs, dead letters, and the delivery to the store.
pub struct Collector {
    runtime: Runtime,
    logs: Logs,
    pub letters: DeadLetters,
    telemetry: Telemetry,
    resender: Arc<Again>,
    stop: CancellationToken,
}

struct Again(Resender);

impl Resend for Again {
    fn send<'a>(&'a self, id: &'a DeadLetterId, head: &'a Head, batch: Batch) -> BoxFuture<'a, Retried> {
        Box::pin(self.0.send(id, head, batch))
    }
}

impl Collector {
    pub fn start(dir: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let destinations = [Destination::new(store::DESTINATION, Start::Oldest).lossless()];
        let open = |signal: Signal| {
            let folder = dir.join("wal").join(signal.name());
            Log::open(folder, signal, &wal::Config::default(), &destinations).unwrap()
        };
        let logs = Logs::new(Signal::ALL.map(open));
        let telemetry = Telemetry::new();
        let letters = DeadLetters::open(dir.join("dead-letters"), ByteSize::mib(1), &telemetry).unwrap();
        let (resender, requests) = Resender::new();
        let delivery = StoreDelivery {
            name: store::DESTINATION.to_owned(),
            logs: logs.clone(),
            socket: Config::default().ingest_socket(dir),
            connected: store::connected(&telemetry),
            telemetry: telemetry.clone(),
            dead_letters: letters.clone(),
            requests,
        };
        let stop = CancellationToken::new();
        runtime.spawn(delivery.run(stop.clone()));
        Collector { runtime, logs, letters, telemetry, resender: Arc::new(Again(resender)), stop }
    }

    pub fn append(&self, batch: Batch) {
        self.runtime.block_on(self.logs.of(Signal::Traces).append(batch)).unwrap();
    }

    fn retry(&self, id: &DeadLetterId) -> Retried {
        self.runtime.block_on(self.letters.retry(id, self.resender.as_ref())).unwrap()
    }

    /// Retries until there is an engine that answers.
    pub fn retry_until_answered(&self, id: &DeadLetterId) -> Retried {
        let mut answer = None;
        wait("an answer", || {
            let said = self.retry(id);
            let later = matches!(said, Retried::Later(_));
            answer = Some(said);
            !later
        });
        answer.unwrap()
    }

    /// The same where the engine may end over it: nothing then.
    fn retry_until_answered_or_dead(&self, id: &DeadLetterId) -> Option<Retried> {
        let mut answer = None;
        wait("an answer", || match self.retry(id) {
            Retried::Later(why) if why.contains("has ended") => true,
            Retried::Later(_) => false,
            said => {
                answer = Some(said);
                true
            }
        });
        answer
    }

    fn letter(&self) -> (DeadLetterId, Head, Batch) {
        wait("a dead letter", || !self.letters.list().is_empty());
        let list: Vec<DeadLetter> = self.letters.list();
        assert_eq!(list.len(), 1, "{list:?}");
        let (head, batch) = self.letters.read(&list[0].id).unwrap();
        (list[0].id.clone(), head, batch)
    }

    fn counter(&self, name: &str) -> u64 {
        let line = format!("vispyr_{name}_total{{destination=\"store\",signal=\"traces\"}} ");
        let text = self.telemetry.encode();
        text.lines().find_map(|l| l.strip_prefix(line.as_str())?.parse::<f64>().ok()).unwrap_or(0.0) as u64
    }

    /// As `kill -9` would: nothing is finished, nothing more is said.
    pub fn end(self) {
        self.stop.cancel();
        let Collector { runtime, logs, .. } = self;
        runtime.shutdown_timeout(Duration::from_secs(5));
        for signal in Signal::ALL {
            logs.of(signal).close();
        }
    }
}

pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn spans_of(names: &[(&str, usize)]) -> Batch {
    let spans = names.iter().map(|(name, depth)| span(name, *depth)).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let request = ExportTraceServiceRequest { resource_spans };
    traces(0, names.len() as u32, request.encode_to_vec().into()).batch
}

#[test]
fn an_item_that_cannot_be_stored_is_a_dead_letter_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let collector = Collector::start(dir.path());
    collector.append(spans_of(&[("before", 1), ("odd", 300), ("after", 1)]));
    let (id, head, batch) = collector.letter();
    assert_eq!((id.destination(), head.items, head.format.as_str()), ("store", 1, "otlp"));
    assert!(head.reason.ends_with("item 1: nested too deeply"), "{}", head.reason);
    // The span alone, in bytes: it is too deep to be decoded.
    let odd = span("odd", 300).encode_to_vec();
    assert!(batch.payload.ends_with(&odd) && batch.payload.len() < odd.len() + 16);
    engine.ask(".flush");
    wait("forwarded", || collector.counter("forwarded_items") == 2 && collector.counter("set_aside_items") == 1);

    // It is as odd as before.
    let Retried::Refused(reason) = collector.retry(&id) else { panic!("{:?}", collector.letters.list()) };
    assert!(reason.contains("nested too deeply"), "{reason}");
    let (head, _) = collector.letters.read(&id).unwrap();
    assert_eq!((head.retries, engine.count("SELECT count(*) FROM spans")), (1, 2));
    // The engine has heard that there is a dead letter, and so makes no second one.
    collector.append(spans_of(&[("later", 1)]));
    wait("later", || engine.count("SELECT count(*) FROM spans") == 3);
    engine.ask(".flush");
    engine.kill();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    collector.append(spans_of(&[("last", 1)]));
    wait("last", || engine.count("SELECT count(*) FROM spans") == 4);
    assert_eq!(collector.letters.list().len(), 1);
    collector.end();
}

#[test]
fn a_letter_that_is_sent_again_is_stored_once_wherever_the_engine_is_killed() {
    for step in failpoint::STEPS {
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start(dir.path());
        let id = collector.letters.keep("store", &Source::new(5).record(3).batch, "by hand").unwrap();
        // Without an engine it stays, and says why.
        assert!(matches!(collector.retry(&id), Retried::Later(why) if why.contains("away")), "{step}");
        let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, step)]);
        let answer = collector.retry_until_answered_or_dead(&id);
        if answer.is_some() {
            let _ = engine.try_ask(".start_flush");
        }
        engine.wait_for_sigkill();
        let mut engine = EngineProcess::start(dir.path(), &[]);
        if answer.is_none() {
            assert_eq!(collector.retry_until_answered(&id), Retried::Taken, "{step}");
        }
        // The one that was taken before comes again by itself.
        wait("visible", || engine.spans() == (5, 5));
        engine.ask(".flush");
        wait("sealed", || collector.letters.list().is_empty());
        assert_eq!(engine.spans(), (5, 5), "{step}");
        assert_eq!(collector.counter("dead_letters_resent_items"), 5, "{step}");
        engine.kill();
        assert_eq!(EngineProcess::start(dir.path(), &[]).spans(), (5, 5), "{step}");
        collector.end();
    }
}

#[test]
fn a_letter_that_is_sent_again_is_stored_once_wherever_the_collector_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let collector = Collector::start(dir.path());
    let id = collector.letters.keep("store", &Source::new(5).record(3).batch, "by hand").unwrap();
    let file = dir.path().join("dead-letters/store").join(format!("{}.letter", id.to_string().replace("store-", "")));
    assert_eq!(collector.retry_until_answered(&id), Retried::Taken);
    assert!(collector.letters.list()[0].taken, "it is not sealed yet");
    collector.end();
    // The engine has it.
    let collector = Collector::start(dir.path());
    assert!(!collector.letters.list()[0].taken);
    assert_eq!(collector.retry_until_answered(&id), Retried::Taken);
    assert_eq!(engine.spans(), (5, 5));
    collector.end();
    // It ended before it was sealed, too.
    engine.kill();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let kept = std::fs::read(&file).unwrap();
    let collector = Collector::start(dir.path());
    assert_eq!(collector.retry_until_answered(&id), Retried::Taken);
    wait("sealed", || collector.letters.list().is_empty());
    assert_eq!((engine.spans(), file.exists()), ((5, 5), false));
    collector.end();
    // It was sealed, and the collector ended before it had let go of it.
    std::fs::write(&file, kept).unwrap();
    let collector = Collector::start(dir.path());
    assert_eq!(collector.retry_until_answered(&id), Retried::Taken);
    wait("sealed", || collector.letters.list().is_empty());
    assert_eq!(engine.spans(), (5, 5));
    collector.end();
}

#[test]
fn of_a_letter_what_is_still_odd_becomes_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let collector = Collector::start(dir.path());
    let id = collector.letters.keep("store", &spans_of(&[("odd", 300), ("good", 1)]), "by hand").unwrap();
    assert_eq!(collector.retry_until_answered(&id), Retried::Taken);
    wait("the old one is gone", || collector.letters.list().iter().all(|letter| letter.id != id));
    let (_, head, batch) = collector.letter();
    assert_eq!(head.items, 1);
    assert!(head.reason.ends_with("item 0: nested too deeply"), "{}", head.reason);
    assert!(batch.payload.ends_with(&span("odd", 300).encode_to_vec()));
    assert_eq!(engine.count("SELECT count(*) FROM spans WHERE name = 'good'"), 1);
    assert_eq!(engine.count("SELECT count(*) FROM spans"), 1);
    collector.end();
}

#[test]
fn a_record_that_killed_the_engine_is_stored_once_by_one_that_it_does_not_kill() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    let source = Source::new(5);
    (0..10).for_each(|position| collector.append(source.record(position).batch));
    let poison = [(failpoint::VARIABLE, "insert_position:7"), (engine::CRASHED, "1")];
    let mut engine = loop {
        // It may end before it has said that it is ready.
        let Ok(mut engine) = EngineProcess::try_start(dir.path(), &poison) else { continue };
        let mut visible = 0;
        wait("its end, or all but one", || match engine.try_ask("SELECT count(*) FROM spans") {
            Some(answer) => {
                visible = answer.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
                visible == 45
            }
            None => true,
        });
        if visible == 45 {
            break engine;
        }
        engine.wait_for_end();
    };
    let (id, head, _) = collector.letter();
    assert!(head.reason.contains("again and again") && head.items == 5, "{}", head.reason);
    engine.ask(".flush");
    engine.kill();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(collector.retry_until_answered(&id), Retried::Taken);
    wait("sealed", || collector.letters.list().is_empty());
    assert_eq!(engine.spans(), (50, 50));
    collector.end();
}

#[test]
fn a_row_that_no_file_takes_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(50);
    let whole = "SELECT trace_id, span_id, start_time, duration_ns, service_name, attributes::VARCHAR, resource::VARCHAR \
                 FROM spans WHERE attributes.n = 17";
    // What it should be.
    let other = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(other.path(), &[]);
    assert!(feed(&engine, &source, 1));
    let before = engine.ask(whole);
    let good = engine.ask(
        "SELECT base64(e.metadata || e.value) FROM (SELECT variant_to_parquet_variant(attributes)\
         ::STRUCT(metadata BLOB, value BLOB) AS e FROM spans WHERE attributes.n = 17)",
    );
    let good = good.trim_start_matches("Text(\"").trim_end_matches("\");").to_owned();
    drop(engine);

    // Bytes that are no variant, so that the row cannot be converted.
    let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, "spoilt_span:18")]);
    let collector = Collector::start(dir.path());
    collector.append(source.record(0).batch);
    wait("visible", || engine.spans() == (49, 49));
    assert_eq!(engine.stats().unsealable_rows, 1);
    let (id, head, batch) = collector.letter();
    assert_eq!((head.format.as_str(), head.items, engine.spans()), ("store_row", 1, (49, 49)));
    let refused = collector.retry(&id);
    assert!(matches!(refused, Retried::Refused(_)), "{refused:?}");
    assert_eq!(engine.spans(), (49, 49));
    // As it was before it was spoilt.
    let payload = String::from_utf8(batch.payload.to_vec()).unwrap().replace("//8=", &good);
    let batch = Batch { payload: payload.into(), ..batch };
    collector.letters.drop_letter(&id).unwrap();
    let id = collector.letters.keep("store", &batch, "mended").unwrap();
    assert_eq!(collector.retry(&id), Retried::Taken);
    wait("sealed", || collector.letters.list().is_empty());
    assert_eq!((engine.spans(), engine.ask(whole)), ((50, 50), before));
    collector.end();
}

/// Puts a dead letter where a server finds it.
fn put(data_dir: &Path) {
    let letters = DeadLetters::open(data_dir.join("dead-letters"), ByteSize::mib(1), &Telemetry::new()).unwrap();
    letters.keep("store", &Source::new(5).record(3).batch, "by hand").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_sends_it_again() {
    let vispyr = Vispyr::start(Options { prepare: Some(put), ..Options::default() }).await;
    let command = |args: &[&str]| {
        let mut command = std::process::Command::new(PROGRAM);
        command.arg("dead-letters").args(args).arg("--data-dir").arg(vispyr.data_dir());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let said = command(&["retry", "--destination", "store"]);
    assert!(said.contains(": accepted\n1 accepted, 0 kept\n"), "{said}");
    vispyr.wait_count("SELECT count(*) FROM spans", 5).await;
    let gone = || async { (command(&["list"]) == "no dead letters\n").then_some(()) };
    vispyr.wait("it is sealed, and the dead letter gone", gone).await;
    assert_eq!(vispyr.count("SELECT count(*) FROM spans").await, 5);
    let labels = ["destination=\"store\"", "signal=\"traces\""];
    assert_eq!(vispyr.metric("vispyr_dead_letters_resent_items_total", &labels).await, 5.0);
}
