//! The view Metrics: the names there are, and charts of one of them.
//!
//! `/metrics` is where Vispyr's own metrics are scraped, so this view is at `/explore`.
//!
//! | module | what |
//! |---|---|
//! | [`names`] | the list of metrics, and which names and labels have the most series |
//! | [`selection`] | what a page's parameters ask for, as conditions in SQL |
//! | [`facts`] | what is known of one metric: type, unit, how often it comes, its labels |
//! | [`points`] | lines of single series and of groups, reduced to the pixels |
//! | [`buckets`] | how values of histograms are distributed over time, and their quantiles |
//! | [`exemplars`] | dots that lead to traces |
//! | [`unit`] | values as text |

mod buckets;
mod exemplars;
mod facts;
mod names;
mod points;
mod selection;
pub mod unit;

use maud::{Markup, html};

use super::Site;
use super::chart::lines;
use super::empty::{Items, why};
use super::layout::{Content, empty, failed, warnings};
use super::params::Params;
use super::range::Range;
use super::text::{count, foreign};
use facts::{Facts, Kind};
use selection::Selection;

/// Where the view is.
pub const PATH: &str = "/explore";

/// The title of a page.
pub fn title(params: &Params) -> Option<String> {
    Selection::read(params).map(|selection| format!("{} · Metrics", super::text::cut(&selection.metric, 100)))
}

/// What is on the page.
pub async fn content(site: Site, params: Params, range: Range) -> Content {
    let (statements, main) = match Selection::read(&params) {
        Some(selection) => one(&site, &selection, &range, &params).await,
        None => names::list(&site, &params).await,
    };
    Content { main, statements }
}

/// One metric.
async fn one(site: &Site, selection: &Selection, range: &Range, params: &Params) -> (Vec<String>, Markup) {
    let mut statements = vec![
        facts::sql(selection, range),
        facts::metadata_sql(selection),
        facts::labels_sql(selection),
        exemplars::sql(selection, range),
    ];
    let (kinds, metadata, labels, exemplars) = tokio::join!(
        site.rows(&statements[0], facts::MAX),
        site.rows(&statements[1], 1),
        site.rows(&statements[2], facts::MAX_LABELS),
        site.rows(&statements[3], exemplars::MAX),
    );
    let kinds = match kinds {
        Ok(kinds) => kinds,
        Err(error) => {
            return (
                statements,
                html! { h1 { "Metric " code { (foreign(&selection.metric, 200)) } } (failed(&error)) },
            );
        }
    };
    let facts = Facts::read(&selection.metric, &kinds, metadata.as_ref().ok());
    let drawn = match &facts.kind {
        None => why(site, &Items::of_metric(&selection.metric), range, params, PATH).await,
        Some(kind) => {
            let statement = match kind {
                Kind::Histogram | Kind::Buckets => buckets::sql(selection, &facts, range),
                Kind::Number { .. } | Kind::Summary => points::sql(selection, &facts, range),
            };
            let most = if facts.is_distribution() { buckets::MAX } else { points::MAX };
            let rows = site.rows(&statement, most).await;
            statements.push(statement);
            match rows {
                Err(error) => failed(&error),
                Ok(rows) => {
                    let dots = exemplars.as_ref().map(|rows| exemplars::dots(rows, params)).unwrap_or_default();
                    html! {
                        (warnings(&rows.warnings))
                        @if facts.is_distribution() { (buckets::draw(&rows, &dots, selection, &facts, range)) }
                        @else { (draw_lines(&points::read(&rows), &rows, &dots, selection, &facts, range)) }
                        @if !dots.is_empty() { p.muted { "A dot is an exemplar: one value with the trace that it was measured in. It leads to the trace." } }
                    }
                }
            }
        }
    };
    let content = html! {
        p { a href=(params.kept().link(PATH)) { "All metrics" } }
        h1 { "Metric " code { (foreign(&selection.metric, 200)) } }
        (facts::show(&facts))
        (selection::form(selection, &facts, labels.as_ref().ok(), params))
        (drawn)
        @match &labels { Ok(rows) => (facts::show_labels(rows, selection, params)), Err(error) => (failed(error)) }
    };
    (statements, content)
}

/// The lines, and what they are.
fn draw_lines(
    found: &[points::Found],
    rows: &super::sql::Rows,
    dots: &[lines::Dot],
    selection: &Selection,
    facts: &Facts,
    range: &Range,
) -> Markup {
    if found.is_empty() {
        return empty(
            "Nothing can be drawn of these points.",
            html! { p { "A rate needs two points of a series, and values that are finite numbers." } },
        );
    }
    let is_rate = selection.is_rate(facts);
    let text = |value: f64| unit::text(value, &facts.unit, is_rate);
    let all = rows.whole(0, "lines").and_then(|lines| u64::try_from(lines).ok()).unwrap_or(0);
    let lines: Vec<lines::Line> = found.iter().map(|found| found.line.clone()).collect();
    // Exemplars are values, and a rate has none.
    let dots = if is_rate { &[] } else { dots };
    html! {
        h2 { (if is_rate { "Rate" } else { "Value" }) " " small { (selection.grouping(facts)) } }
        (lines::draw(&lines, dots, (range.from, range.to), "Values over time", text))
        @if all > found.len() as u64 {
            p.warning role="status" { "Shown are the " (found.len()) " highest of " (count(all, "line", "lines"))
                ": choose labels, or group by one." }
        }
        div.scroll tabindex="0" role="region" aria-label="Lines" { table {
            thead { tr { th scope="col" { "Line" } th.n scope="col" { "Last" } th.n scope="col" { "Least" } th.n scope="col" { "Greatest" } } }
            tbody { @for (n, found) in found.iter().enumerate() { tr data-row {
                td { span class={ "dot c" (n % 20) } {} " " (foreign(&found.line.name, 300)) }
                td.n { (found.line.points.last().map_or_else(|| "–".to_owned(), |(_, value)| text(*value))) }
                td.n { (text(found.low)) } td.n { (text(found.high)) }
            } } }
        } }
    }
}
