//! The list of metrics, and which names and labels have the most series.

use maud::{Markup, html};

use super::PATH;
use crate::web::Site;
use crate::web::empty::{METRICS, why};
use crate::web::layout::{failed, warnings};
use crate::web::params::Params;
use crate::web::range::Range;
use crate::web::sql::{AskError, Rows, quoted};
use crate::web::text::{count, foreign, whole};

/// Names of a page.
const SHOWN: usize = 200;

/// Labels that are listed.
const LABELS: usize = 20;

/// The list, and its statements. It is of all times.
pub async fn list(site: &Site, params: &Params) -> (Vec<String>, Markup) {
    let skip = params.get("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0);
    let statements = vec![names_sql(params, skip), labels_sql()];
    let (names, labels) = tokio::join!(site.rows(&statements[0], SHOWN + 1), site.rows(&statements[1], LABELS));
    let content = html! {
        h1 { "Metrics" }
        (search(params))
        @match &names {
            Ok(rows) => {
                (warnings(&rows.warnings))
                @if rows.is_empty() { (why(site, &METRICS, &Range::all(), params, PATH).await) } @else { (table(rows, skip, params)) }
            }
            Err(error) => (failed(error)),
        }
        @match &labels {
            Ok(rows) => (most(rows)),
            // The list has said the same.
            Err(AskError::NoStore | AskError::Away(_)) => {}
            Err(error) => (failed(error)),
        }
    };
    (statements, content)
}

fn names_sql(params: &Params, skip: usize) -> String {
    let found = params.get("find").map_or_else(String::new, |find| {
        let has = |of: &str| format!("contains(lower({of}), lower({}))", quoted(find));
        format!("\nWHERE {} OR coalesce({}, false)", has("metric"), has("description"))
    });
    let order = if params.get("order") == Some("series") { "series DESC, metric" } else { "metric" };
    format!(
        "SELECT left(metric, 1000) AS metric, type, unit, left(description, 500) AS description, series, services\nFROM (\n  \
         SELECT metric, count(*) AS series, list_sort(list(DISTINCT service_name))[1:6] AS services\n  FROM series\n  GROUP BY metric\n) AS s\n\
         LEFT JOIN metric_metadata USING (metric){found}\nORDER BY {order}\nLIMIT {} OFFSET {skip}",
        SHOWN + 1,
    )
}

/// Labels by the number of their values: those make series.
fn labels_sql() -> String {
    format!(
        "SELECT left(key, 300) AS key, count(DISTINCT value) AS values, count(*) AS series, count(DISTINCT metric) AS metrics\nFROM (\n  \
         SELECT metric, unnest(map_entries(labels::JSON::MAP(VARCHAR, VARCHAR)), recursive := true)\n  FROM series\n) AS l\n\
         GROUP BY ALL\nORDER BY values DESC, series DESC, key\nLIMIT {LABELS}"
    )
}

fn search(params: &Params) -> Markup {
    let by_series = params.get("order") == Some("series");
    html! {
        form.filters method="get" action=(PATH) role="search" aria-label="Metrics" {
            @for (name, value) in params.kept().pairs() { input type="hidden" name=(name) value=(value); }
            label { span { "Name or description" } input type="search" name="find" value=[params.get("find")] data-search; }
            label { span { "Order" } select name="order" {
                option value="" { "by name" }
                option value="series" selected[by_series] { "most series first" }
            } }
            button { "Search" }
            a href=(params.kept().link(PATH)) { "Clear" }
        }
    }
}

fn table(rows: &Rows, skip: usize, params: &Params) -> Markup {
    html! {
        p role="status" { (count(rows.len().min(SHOWN) as u64, "metric", "metrics")) @if rows.len() > SHOWN || skip > 0 { ", from number " (skip + 1) " on" } }
        div.scroll tabindex="0" role="region" aria-label="Metrics" { table {
            thead { tr { th scope="col" { "Metric" } th scope="col" { "Type" } th scope="col" { "Unit" }
                th.n scope="col" { "Series" } th scope="col" { "Services" } th scope="col" { "Description" } } }
            tbody { @for row in 0..rows.len().min(SHOWN) {
                @let metric = rows.text(row, "metric");
                @let services = rows.cell(row, "services").as_array().map(Vec::as_slice).unwrap_or_default();
                tr data-row {
                    th scope="row" { a href=(params.kept().and("metric", metric).link(PATH)) { (foreign(metric, 200)) } }
                    td.word { (foreign(rows.text(row, "type"), 40)) }
                    td.word { (foreign(rows.text(row, "unit"), 40)) }
                    td.n { (whole(rows.whole(row, "series").unwrap_or(0))) }
                    td { @for (n, service) in services.iter().take(5).enumerate() {
                        @if n > 0 { ", " } (foreign(service.as_str().unwrap_or("no name"), 40)) }
                        @if services.len() > 5 { " …" } }
                    td { (foreign(rows.text(row, "description"), 200)) }
                }
            } }
        } }
        @if rows.len() > SHOWN {
            p { a rel="next" href=(params.with("skip", (skip + SHOWN).to_string()).link(PATH)) { "More metrics" } }
        }
    }
}

fn most(rows: &Rows) -> Markup {
    html! {
        @if !rows.is_empty() {
            h2 { "Labels with the most values" }
            p.muted { "Each value makes series of its own, in all metrics that have the label." }
            div.scroll tabindex="0" role="region" aria-label="Labels with the most values" { table {
                thead { tr { th scope="col" { "Label" } th.n scope="col" { "Values" } th.n scope="col" { "Series" } th.n scope="col" { "Metrics" } } }
                tbody { @for row in 0..rows.len() { tr {
                    th scope="row" { (foreign(rows.text(row, "key"), 100)) }
                    @for name in ["values", "series", "metrics"] { td.n { (whole(rows.whole(row, name).unwrap_or(0))) } }
                } } }
            } }
        }
    }
}
