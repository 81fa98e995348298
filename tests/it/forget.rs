//! `vispyr forget` deletes rows out of the files of a running store.

use std::process::Command;

use serde_json::json;
use vispyr::signal::now_nanos;

use super::harness::{Options, PROGRAM, Vispyr, post};
use super::store::rig::files;

/// Statements of a second at most, so that old files go soon.
const CONFIG: &str = "[sql]\ntime_limit = \"1s\"\n";

/// Whether it went well, and what it says.
fn forget(vispyr: &Vispyr, condition: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["forget", "--where", condition]).args(arguments).arg("--data-dir").arg(vispyr.data_dir());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// Ten log records and ten spans of each service, in each of three requests.
async fn send(vispyr: &Vispyr, services: &[&str]) {
    for _ in 0..3 {
        for service in services {
            let now = now_nanos();
            let attributes = json!([{"key": "user.id", "value": {"stringValue": format!("{service}-7")}}]);
            let resource = json!({"attributes": [
                {"key": "service.name", "value": {"stringValue": service}},
                {"key": "tenant.id", "value": {"stringValue": format!("tenant of {service}")}}
            ]});
            let logs: Vec<_> = (0..10)
                .map(|n| json!({"timeUnixNano": (now + n).to_string(), "body": {"stringValue": "x"}, "attributes": attributes}))
                .collect();
            let spans: Vec<_> = (0..10)
                .map(|n| {
                    let (trace, span) = (format!("{:032x}", now + n), format!("{:016x}", n + 1));
                    let (start, end) = ((now + n).to_string(), (now + n + 5).to_string());
                    json!({"traceId": trace, "spanId": span, "name": "s", "startTimeUnixNano": start, "endTimeUnixNano": end})
                })
                .collect();
            for (path, body) in [
                ("/v1/logs", json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": logs}]}]})),
                ("/v1/traces", json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})),
            ] {
                let answer = post(&vispyr.url("otlp_http", path), "application/json", body.to_string()).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_service_are_gone_from_answers_and_files_and_others_stay() {
    let vispyr = Vispyr::start(Options::config(CONFIG)).await;
    send(&vispyr, &["shop", "bank"]).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 60).await;
    vispyr.wait_count("SELECT count(*) FROM logs", 60).await;
    let count = |table: &str, service: &str| format!("SELECT count(*) FROM {table} WHERE service_name = '{service}'");
    let hash = "SELECT bit_xor(hash(trace_id, span_id, start_time, attributes::VARCHAR, resource::VARCHAR))::VARCHAR FROM spans WHERE service_name = 'bank'";
    let others = vispyr.sql(hash).await;

    // What is not sealed yet counts, too.
    let (good, said) = forget(&vispyr, "service_name = 'shop'", &["--dry-run"]);
    assert!(good && said.contains("nothing was deleted"), "{said}");
    let line = |said: &str, table: &str| {
        let line = said.lines().find(|line| line.starts_with(&format!("{table} "))).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!((line(&said, "spans"), line(&said, "logs")), ("30".to_owned(), "30".to_owned()), "{said}");
    assert_eq!(vispyr.count(&count("spans", "shop")).await, 30);
    // Nobody is there to say yes.
    let (good, said) = forget(&vispyr, "service_name = 'shop'", &[]);
    assert!(!good && said.contains("--yes"), "{said}");

    let (good, said) = forget(&vispyr, "service_name = 'shop'", &["--yes"]);
    assert!(good && said.contains("rows are deleted"), "{said}");
    for table in ["spans", "logs"] {
        assert_eq!(vispyr.count(&count(table, "shop")).await, 0);
        assert_eq!(vispyr.count(&count(table, "bank")).await, 30);
    }
    assert_eq!(vispyr.sql(hash).await, others);
    // What is known of the service itself is gone with it.
    let resources = "SELECT count(*) FROM resources WHERE resource.\"service.name\" = 'shop'";
    assert_eq!(vispyr.count(resources).await, 0);
    let sealed = vispyr.data_dir().join("store/sealed");
    let catalog = vispyr.data_dir().join("store/catalog.sqlite");
    // Only what the latest snapshot has is left on the disk.
    let only_current = || async {
        let db = rusqlite::Connection::open_with_flags(&catalog, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let sql = "SELECT count(*) FROM ducklake_data_file WHERE end_snapshot IS NULL";
        let current: usize = db.query_row(sql, [], |row| row.get(0)).ok()?;
        (files(&sealed).len() == current).then_some(())
    };
    vispyr.wait("the old files are gone", only_current).await;
    let (good, said) = forget(&vispyr, "service_name = 'shop'", &["--yes"]);
    assert!(good && said.contains("there are no such rows"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_or_a_user_is_named_as_in_a_question_and_odd_conditions_are_refused() {
    let vispyr = Vispyr::start(Options::config(CONFIG)).await;
    send(&vispyr, &["shop", "bank"]).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 60).await;
    vispyr.wait_count("SELECT count(*) FROM logs", 60).await;
    for (condition, arguments, expected) in [
        ("service_name = 'shop'", &["--table", "frames", "--yes"][..], "frames has not all of these columns"),
        ("service_name = 'shop'", &["--table", "odd", "--yes"], "there is no table \"odd\""),
        ("no_such_column = 1", &["--yes"], "no table has all of these columns"),
        ("trace_id IN (SELECT trace_id FROM spans)", &["--yes"], "no subquery"),
        ("true", &["--yes"], "names no column"),
        ("service_name = 'shop'; DROP TABLE spans", &["--yes"], "syntax error"),
    ] {
        let (good, said) = forget(&vispyr, condition, arguments);
        assert!(!good && said.contains(expected), "{condition}: {said}");
    }
    let (good, said) = forget(&vispyr, "resource.\"tenant.id\" = 'tenant of shop'", &["--yes"]);
    assert!(good, "{said}");
    let tables = "SELECT (SELECT count(*) FROM spans) + 1000 * (SELECT count(*) FROM logs)";
    assert_eq!(vispyr.count(tables).await, 30_030);
    let (good, said) = forget(&vispyr, "attributes.\"user.id\" = 'bank-7'", &["--table", "logs", "--yes"]);
    assert!(good, "{said}");
    // All rows of a file are gone, and the file with them.
    assert_eq!(vispyr.count(tables).await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_when_the_engine_dies_is_done_and_the_rest_can_be_asked_for_again() {
    for step in ["forget_written", "forget_replaced"] {
        let options =
            Options { env: vec![("VISPYR_CRASH_AT".to_owned(), format!("{step}:2"))], ..Options::config(CONFIG) };
        let vispyr = Vispyr::start(options).await;
        send(&vispyr, &["shop", "bank"]).await;
        vispyr.wait_count("SELECT count(*) FROM spans", 60).await;
        vispyr.wait_count("SELECT count(*) FROM logs", 60).await;
        let (good, said) = forget(&vispyr, "service_name = 'shop'", &["--yes"]);
        assert!(!good && said.contains("the store ended meanwhile"), "{step}: {said}");
        // One file at a time is rewritten; an engine dies at its second.
        let again = async || {
            let (good, _) = forget(&vispyr, "service_name = 'shop'", &["--yes"]);
            good.then_some(())
        };
        vispyr.wait("it goes through", again).await;
        let left = "SELECT (SELECT count(*) FROM spans) + 1000 * (SELECT count(*) FROM logs)";
        vispyr.wait_count(left, 30_030).await;
    }
}
