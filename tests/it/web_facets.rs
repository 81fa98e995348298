//! Counts beside the list of traces: spans that came twice, and attributes as conditions.

use serde_json::{Value, json};

use crate::harness::Vispyr;
use crate::web_pages_traces::{TRACE, now, send_spans, span};
use crate::web_pages_views::{HOSTILE, assert_is_safe, page};

/// The lists of a facet: values with their counts.
fn facet(text: &str, label: &str) -> Vec<(String, String)> {
    let section = text.split(&format!("<section aria-label=\"{label}\">")).nth(1);
    let section = section.unwrap_or_else(|| panic!("no {label} in {text}")).split("</section>").next().unwrap();
    let item = |item: &str| {
        let value = item.split("<bdi>").nth(1).unwrap().split("</bdi>").next().unwrap();
        let count = item.split("class=\"muted\">").nth(1).unwrap().split('<').next().unwrap();
        (value.to_owned(), count.trim_end_matches(" · all").to_owned())
    };
    section.split("<li>").skip(1).map(item).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(value, count)| ((*value).to_owned(), (*count).to_owned())).collect()
}

/// A span with an attribute of each of several kinds.
fn with_attributes(n: u64, start: u64) -> Value {
    let mut span = span(TRACE, (n, u64::from(n > 1)), "GET /cart", start, (n, 10), n == 2);
    let text = |key: &str, value: String| json!({ "key": key, "value": { "stringValue": value } });
    span["attributes"] = json!([
        text("http.route", if n < 8 { "/cart".to_owned() } else { "/checkout".to_owned() }),
        text("request.id", format!("id-{n}")),
        text(&HOSTILE.replace('=', ""), HOSTILE.to_owned()),
        text("a=b", "no condition".to_owned()),
        text("long", "long ".repeat(1_000)),
        { "key": "http.response.status_code", "value": { "intValue": "200" } },
        { "key": "list", "value": { "arrayValue": { "values": [{ "stringValue": "x" }] } } },
    ]);
    span
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_twice_counts_once_and_attributes_are_conditions() {
    let vispyr = Vispyr::serve().await;
    let start = now() - 10_000_000_000;
    let spans: Vec<Value> = (1..=10).map(|n| with_attributes(n, start)).collect();
    for _ in 0..2 {
        send_spans(&vispyr, "shop", &spans).await;
    }
    vispyr.wait_count("SELECT count(*) FROM spans", 20).await;
    let answer = page(&vispyr, "/traces?range=1h").await;
    assert_is_safe("/traces", &answer);
    let text = answer.text();
    assert!(text.contains("<strong>10 spans</strong> like that"), "the heatmap: {text}");
    assert!(text.contains("to 10 ms: ") || text.contains(": 10 spans, 1 failed"), "its cell: {text}");
    assert_eq!(facet(&text, "Services"), pairs(&[("shop", "10")]));
    assert_eq!(facet(&text, "Status"), pairs(&[("unset", "9"), ("error", "1")]));
    assert_eq!(facet(&text, "Attribute http.route"), pairs(&[("/cart", "7"), ("/checkout", "3")]));
    assert_eq!(facet(&text, "Attribute http.response.status_code"), pairs(&[("200", "10")]));
    for absent in ["Attribute a=b", "Attribute long", "Attribute list"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    let order = |key: &str| text.find(&format!("<code><bdi>{key}")).unwrap_or_else(|| panic!("no {key}"));
    assert!(order("request.id") > order("http.route"), "ids come last");

    // Each value leads to the spans that have it, a number and hostile text, too.
    let lists = text.split("<details class=\"attributes\">").nth(1).unwrap().split("</details>").next().unwrap();
    let links: Vec<String> =
        lists.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&")).collect();
    assert_eq!(links.len(), 2 + 6 + 1 + 1, "{lists}");
    for link in links {
        let found = page(&vispyr, &link).await;
        assert_is_safe(&link, &found);
        let found = found.text();
        assert!(!found.contains("class=\"empty\"") && !found.contains("No answer."), "{link}: {found}");
        assert!(found.contains("aria-current=\"true\">"), "{link} is chosen: {found}");
    }
    let cart = page(&vispyr, "/traces?where=http.route+%3D+/cart").await.text();
    assert_eq!(facet(&cart, "Services"), pairs(&[("shop", "7")]));
}
