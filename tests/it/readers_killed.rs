//! kill -9 of a reader or of the front at every step of a statement: it costs the statements that run, and an answer
//! that is there is whole.

use std::os::unix::process::ExitStatusExt;

use vispyr::signal::Signal;
use vispyr::store::engine::failpoint;

use crate::harness::{Options, Vispyr, post};
use crate::lifecycle::{Load, assert_kept};
use crate::receivers::rig::payload;

/// Rows of the long answer, of 1000 bytes each: more than the front takes up before it passes it on.
const ROWS: usize = 8000;

/// An answer that is whole, or why there is none.
async fn ask(vispyr: &Vispyr, statement: &str) -> Result<serde_json::Value, String> {
    let request = http::Request::post(vispyr.url("sql", "/api/v1/sql"))
        .header("content-type", "text/plain")
        .header("accept", "application/json")
        .body(http_body_util::Full::from(statement.to_owned()))
        .unwrap();
    let answer = crate::harness::send(request).await?;
    match answer.status {
        200 => Ok(answer.json()),
        503 => Err(answer.text()),
        other => panic!("{statement}: {other} {}", answer.text()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_dies_at_any_step_costs_its_statement_alone() {
    for step in failpoint::READER_STEPS {
        // Each reader lives for one statement, and dies in the second.
        let env = vec![(failpoint::VARIABLE.to_owned(), format!("{step}:2"))];
        let vispyr = Vispyr::start(Options { env, ..Options::default() }).await;
        let url = vispyr.url("otlp_http", "/v1/traces");
        let answer = post(&url, "application/x-protobuf", payload::three(Signal::Traces)).await.unwrap();
        assert_eq!(answer.status, 200);
        let (mut whole, mut died) = (0, 0);
        for n in 0..24 {
            // Each text once: one that has ended its reader twice is refused.
            let (short, long) = (
                format!("SELECT count(*) FROM spans -- {n}"),
                format!("SELECT repeat('x', 1000) AS x FROM range({ROWS}) -- {n}"),
            );
            let (short, long) = tokio::join!(ask(&vispyr, &short), ask(&vispyr, &long));
            if let Ok(answer) = &short {
                // What was acknowledged less than a second ago may lack.
                let count =
                    answer["rows"][0][0].as_u64().or(answer["rows"][0][0].as_str().and_then(|n| n.parse().ok()));
                assert!(matches!(count, Some(0 | 3)), "{step}: {answer}");
            }
            if let Ok(answer) = &long {
                assert_eq!(answer["rows"].as_array().unwrap().len(), ROWS, "{step}");
            }
            for answer in [short, long] {
                if answer.is_ok() { whole += 1 } else { died += 1 }
            }
        }
        assert!(whole >= 8 && died >= 8, "{step}: {whole} whole answers, {died} statements without: of two one dies");
        assert!(vispyr.log().contains("a statement has ended its reader"), "{step}: {}", vispyr.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_the_front_at_any_step_of_a_statement_loses_nothing_acknowledged() {
    for step in failpoint::FRONT_STEPS {
        let env = vec![(failpoint::VARIABLE.to_owned(), (*step).to_owned())];
        let mut vispyr = Vispyr::start(Options { env, ..Options::default() }).await;
        let load = Load::start(&vispyr);
        load.until(30).await;
        let long = format!("SELECT repeat('x', 1000) AS x FROM range({ROWS})");
        let others = (0..4).map(|n| format!("{long} -- {n}"));
        let answers =
            futures_util::future::join_all(others.map(async |statement| ask(&vispyr, &statement).await)).await;
        let whole = |answer: &serde_json::Value| answer["rows"].as_array().unwrap().len() == ROWS;
        assert!(answers.iter().flatten().all(whole), "{step}: a part was taken for the whole");
        let (status, _) = vispyr.wait_ended().await;
        assert_eq!(status.signal(), Some(9), "{step}: it was never reached");
        vispyr.set_env(Vec::new());
        vispyr.restart().await;
        let before = load.acknowledged.lock().len();
        load.until(before + 30).await;
        let (acknowledged, sent) = load.end().await;
        assert_kept(&vispyr, &acknowledged, sent).await;
        assert_eq!(ask(&vispyr, &long).await.unwrap()["rows"].as_array().unwrap().len(), ROWS, "{step}");
    }
}
