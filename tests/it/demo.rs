//! The demo against the real program: what it says it sent is what SQL finds.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Options, PROGRAM, Vispyr};

/// What came by remote write; the rest of the metrics came by OTLP.
const REMOTE_WRITE: &str = "regexp_matches(metric, '^(node_|pg_|up$|scrape_)')";

fn spawn(vispyr: &Vispyr, args: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg("demo").arg("--json").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (option, receiver) in [
        ("--otlp-grpc", "otlp_grpc"),
        ("--otlp-http", "otlp_http"),
        ("--remote-write", "remote_write"),
        ("--pyroscope", "pyroscope"),
    ] {
        command.arg(option).arg(vispyr.address(receiver).to_string());
    }
    command.spawn().unwrap()
}

/// Waits for its end; its account.
async fn account(demo: Child) -> Value {
    let output = tokio::task::spawn_blocking(|| demo.wait_with_output()).await.unwrap().unwrap();
    let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "not all was acknowledged: {text}\n{log}");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{log}"))
}

fn acknowledged(account: &Value, item: &str) -> i64 {
    let tally = &account["items"][item];
    assert_eq!(tally["sent"], tally["acknowledged"], "{item}: {tally}");
    tally["acknowledged"].as_i64().unwrap_or_else(|| panic!("no {item} in {account}"))
}

#[tokio::test]
async fn totals_by_signal_are_equal_in_sql() {
    let vispyr = Vispyr::serve().await;
    let account = account(spawn(&vispyr, &["--rate", "60", "--duration", "8s", "--seed", "11"])).await;

    let otlp = |kind: &str| format!("SELECT count(*) FROM metric_points WHERE type = '{kind}' AND NOT {REMOTE_WRITE}");
    for (item, statement) in [
        ("spans", "SELECT count(*) FROM spans".to_owned()),
        ("traces", "SELECT count(DISTINCT trace_id) FROM spans".to_owned()),
        ("error_spans", "SELECT count(*) FROM spans WHERE status_code = 'error'".to_owned()),
        ("gauge_points", otlp("gauge")),
        ("sum_points", otlp("sum")),
        ("histogram_points", otlp("histogram")),
        ("exponential_histogram_points", otlp("exponential_histogram")),
        ("summary_points", otlp("summary")),
        ("log_records", "SELECT count(*) FROM logs".to_owned()),
        (
            "remote_write_samples",
            format!(
                "SELECT count(*) FROM metric_points WHERE {REMOTE_WRITE} AND metric <> 'pg_statement_duration_seconds'"
            ),
        ),
        (
            "native_histograms",
            "SELECT count(*) FROM metric_points WHERE metric = 'pg_statement_duration_seconds'".to_owned(),
        ),
        ("profiles", "SELECT count(*) FROM profiles".to_owned()),
        ("profile_samples", "SELECT count(*) FROM profile_samples".to_owned()),
    ] {
        let count = acknowledged(&account, item);
        assert!(count > 0, "no {item} were sent");
        vispyr.wait_count(&statement, count).await;
    }
    let exemplars = acknowledged(&account, "exemplars") + acknowledged(&account, "remote_write_exemplars");
    vispyr.wait_count("SELECT count(*) FROM exemplars", exemplars).await;

    // The signals lead from one to another.
    for statement in [
        "SELECT count(*) FROM logs WHERE trace_id IS NOT NULL AND trace_id NOT IN (SELECT trace_id FROM spans)",
        "SELECT count(*) FROM exemplars WHERE span_id NOT IN (SELECT span_id FROM spans)",
        "SELECT count(*) FROM profile_samples WHERE span_id NOT IN (SELECT span_id FROM spans)",
        "SELECT count(*) FROM spans WHERE parent_span_id NOT IN (SELECT span_id FROM spans)",
    ] {
        assert_eq!(vispyr.count(statement).await, 0, "{statement}");
    }
    for statement in [
        "SELECT count(*) FROM logs WHERE trace_id IS NOT NULL",
        "SELECT count(*) FROM profile_samples WHERE span_id IS NOT NULL",
        "SELECT count(*) FROM profiles WHERE profile_type = 'wall:wall:nanoseconds:wall:nanoseconds'",
        "SELECT count(*) FROM metric_metadata WHERE metric = 'node_cpu_seconds_total' AND type = 'counter'",
        "SELECT count(*) FROM metric_points WHERE metric = 'traces.spanmetrics.duration' AND unit = 'ms'",
    ] {
        assert!(vispyr.count(statement).await > 0, "{statement}");
    }
    vispyr.wait_count("SELECT count(DISTINCT service_name) FROM spans", 4).await;
}

#[tokio::test]
async fn history_lies_in_the_past() {
    let vispyr = Vispyr::serve().await;
    let account = account(spawn(&vispyr, &["--rate", "5", "--history", "20m", "--duration", "1s"])).await;
    vispyr.wait_count("SELECT count(*) FROM spans", acknowledged(&account, "spans")).await;
    vispyr.wait_count("SELECT count(*) FROM logs", acknowledged(&account, "log_records")).await;
    let minutes = "SELECT date_diff('minute', min(start_time), max(start_time)) FROM spans";
    let minutes = vispyr.count(minutes).await;
    assert!((19..=21).contains(&minutes), "{minutes} minutes of history");
}

#[tokio::test]
async fn receivers_that_are_away_are_waited_for() {
    let mut vispyr = Vispyr::serve().await;
    vispyr.kill9();
    let demo = spawn(&vispyr, &["--rate", "20", "--duration", "2s"]);
    vispyr.restart().await;
    let account = account(demo).await;
    vispyr.wait_count("SELECT count(*) FROM spans", acknowledged(&account, "spans")).await;
    vispyr.wait_count("SELECT count(*) FROM logs", acknowledged(&account, "log_records")).await;
}

/// What was sent before a restart is still there: no trace of it goes on an hour later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_starts_again_has_other_traces() {
    let mut vispyr = Vispyr::start(Options { args: vec!["--demo".to_owned()], ..Options::default() }).await;
    let number = async |vispyr: &Vispyr, statement: &str| vispyr.sql(statement).await[0][0].as_i64().unwrap();
    let spans = "SELECT count(*) FROM spans";
    let joined = "SELECT count(*) FROM (SELECT trace_id FROM spans WHERE parent_span_id IS NULL GROUP BY trace_id \
                  HAVING count(DISTINCT start_time) > 1)";
    vispyr.wait("the shop sends", || async { (number(&vispyr, spans).await > 2_000).then_some(()) }).await;
    vispyr.restart().await;
    let before = number(&vispyr, spans).await;
    vispyr.wait("it sends again", || async { (number(&vispyr, spans).await > before + 5_000).then_some(()) }).await;
    assert_eq!(number(&vispyr, joined).await, 0, "traces of both starts");
}
