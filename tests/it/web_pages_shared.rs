//! Pages that several browsers ask for at the same time, or one after the other.

use futures_util::future::join_all;
use vispyr::store::engine::failpoint;

use crate::harness::{Options, Vispyr, get};
use crate::web_pages_traces::{now, send_spans, shop, span};

/// Statements that the store has answered.
async fn statements(vispyr: &Vispyr) -> f64 {
    vispyr.metric("vispyr_sql_statements_total", &["outcome=\"ok\""]).await
}

async fn statements_running(vispyr: &Vispyr) -> u64 {
    let stats = get(&vispyr.url("sql", "/stats")).await.ok().map(|answer| answer.json());
    stats.and_then(|stats| stats["queries_running"].as_u64()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_at_the_same_time_ask_the_store_once() {
    let vispyr = Vispyr::serve().await;
    shop(&vispyr).await;
    for path in ["/services?range=6h", "/traces?range=6h", "/logs?range=6h"] {
        // What somebody else asks for is another page.
        let before = statements(&vispyr).await;
        get(&vispyr.url("web", &format!("{path}&zone=utc"))).await.unwrap();
        let middle = statements(&vispyr).await;
        let one = middle - before;
        assert!(one >= 3.0, "{path}: {one} statements");
        let pages = join_all((0..12).map(|_| async { get(&vispyr.url("web", path)).await.unwrap() })).await;
        for page in &pages {
            assert_eq!(page.status, 200, "{path}: {}", page.text());
            assert!(page.text() == pages[0].text(), "{path}: {}\n{}", page.text(), pages[0].text());
        }
        let all = statements(&vispyr).await - middle;
        assert!(all <= one, "{path}: {all} statements for all, {one} for one");
    }
    // A statement that somebody has written runs each time.
    let before = statements(&vispyr).await;
    let own = vispyr.url("web", "/sql?q=SELECT+now()");
    let (one, other) = (get(&own).await.unwrap().text(), get(&own).await.unwrap().text());
    // All before the line that says when it was made.
    let answer = |page: &str| page.split("As of").next().unwrap().to_owned();
    assert_ne!(answer(&one), answer(&other));
    assert!(statements(&vispyr).await - before >= 6.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_just_looked_at_shows_what_came_since() {
    let vispyr = Vispyr::serve().await;
    shop(&vispyr).await;
    let path = "/services?range=5m";
    let before = get(&vispyr.url("web", path)).await.unwrap().text();
    assert!(before.contains("front") && !before.contains("newcomer"), "{before}");
    let new = span(&"ab".repeat(16), (1, 0), "GET /new", now() - 1_000_000_000, (0, 5), false);
    send_spans(&vispyr, "newcomer", &[new]).await;
    vispyr
        .wait("the page shows the new service", async || {
            let page = get(&vispyr.url("web", path)).await.unwrap().text();
            page.contains("newcomer").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_statements_would_wait_for_many_others_says_so() {
    // Each reader hangs with its first statement, until its time is over.
    let env = vec![(failpoint::VARIABLE.to_owned(), "hang reader_opened".to_owned())];
    let vispyr = Vispyr::start(Options { env, ..Options::config("[sql]\ntime_limit = \"30s\"") }).await;
    let other = async |hours: u32| get(&vispyr.url("web", &format!("/logs?range={hours}h"))).await;
    let others = join_all((1..=8).map(other));
    let asked = async {
        vispyr.wait("others are asked", async || (statements_running(&vispyr).await >= 8).then_some(())).await;
        get(&vispyr.url("web", "/services?range=6h")).await.unwrap().text()
    };
    let page = tokio::select! {
        _ = others => panic!("they do not wait"),
        page = asked => page,
    };
    assert!(page.contains("<h1>Busy</h1>") && page.contains("busy with the statements of other pages"), "{page}");
    assert!(page.contains("href=\"/services?range=6h\""), "{page}");
}
