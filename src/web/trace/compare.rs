//! Two traces side by side: how often and how long by service and name, and where their structure differs.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::flame::{self, label};
use super::question::{Question, Source};
use super::{Trace, read};
use crate::web::layout::{empty, failed};
use crate::web::params::{Params, segment};
use crate::web::profiles::graph::Graph;
use crate::web::profiles::tree::Tree;
use crate::web::range::{SECOND, sql_time};
use crate::web::sql::{AskError, Rows, quoted};
use crate::web::text::{count, duration, foreign, time_of};

/// Traces that are offered to compare with.
const OFFERED: usize = 20;

/// Rows of a table.
const SHOWN: usize = 200;

/// Asks for what is needed, and shows it.
pub async fn show(source: &Source<'_>, trace: &Trace, params: &Params, statements: &mut Vec<String>) -> Markup {
    let Some(other) = params.get("with").map(str::to_lowercase) else {
        let statement = source.store().map(|site| (site, offered_sql(trace)));
        let offered = match &statement {
            Some((site, statement)) => site.rows(statement, OFFERED).await,
            None => Ok(Rows::default()),
        };
        statements.extend(statement.map(|(_, statement)| statement));
        return choose(trace, &offered, params);
    };
    let there = match Source::of(source.site(), &other).await {
        Ok(there) => there,
        Err(problem) => return html! { p.problem role="alert" { (problem) } },
    };
    let (names, spans, other_names) = tokio::join!(
        source.ask(&trace.id, Question::AllNames),
        there.ask(&other, Question::Skeleton),
        there.ask(&other, Question::AllNames),
    );
    let asked = [
        (source, trace.id.as_str(), Question::AllNames),
        (&there, other.as_str(), Question::Skeleton),
        (&there, other.as_str(), Question::AllNames),
    ];
    statements.extend(asked.into_iter().filter_map(|(of, id, question)| of.statement(id, question)));
    let all = names.and_then(|names| Ok((names, spans?, other_names?)));
    match all {
        Err(error) => failed(&error),
        Ok((_, spans, _)) if spans.is_empty() => empty(
            "There is no such trace to compare with.",
            html! { p { a href=(params.without(&["with"]).link(&path(trace))) { "Choose another" } } },
        ),
        Ok((names, spans, other_names)) => {
            let other = read(other, &spans);
            both([(trace, &names), (&other, &other_names)], params)
        }
    }
}

fn path(trace: &Trace) -> String {
    format!("/trace/{}", segment(&trace.id))
}

/// Traces around this one that begin with the same span.
fn offered_sql(trace: &Trace) -> String {
    let id = quoted(&trace.id);
    format!(
        "SELECT trace_id, start_time, duration_ns, status_code\nFROM spans\nWHERE parent_span_id IS NULL AND trace_id <> {id}\n  \
         AND start_time >= {} AND start_time < {}\n  \
         AND (service_name, name) IN (SELECT (service_name, name) FROM spans WHERE trace_id = {id} AND parent_span_id IS NULL)\n\
         ORDER BY abs(epoch_ns(start_time) - {})\nLIMIT {OFFERED}",
        sql_time(trace.start.saturating_sub(3600 * SECOND).max(0)),
        sql_time(trace.start.saturating_add(3600 * SECOND)),
        trace.start,
    )
}

fn choose(trace: &Trace, offered: &Result<Rows, AskError>, params: &Params) -> Markup {
    html! {
        section aria-labelledby="compare" {
            h2 #compare { "Compare with another trace" }
            form.filters method="get" action=(path(trace)) aria-label="The other trace" {
                @for (name, value) in params.without(&["with"]).pairs() { input type="hidden" name=(name) value=(value); }
                label { span { "Trace id" } input name="with" size="34" required; }
                button { "Compare" }
            }
            @match offered {
                Err(error) => (failed(error)),
                Ok(rows) if rows.is_empty() => p.muted { "No other trace within an hour begins with the same span." },
                Ok(rows) => {
                    p { "Those that begin with the same span, the nearest first:" }
                    ul.plain { @for row in 0..rows.len() {
                        @let id = rows.text(row, "trace_id");
                        li { a href=(params.with("with", id).link(&path(trace))) { (time_of(rows.text(row, "start_time"))) " " code { (foreign(id, 8)) } }
                            " " (duration(rows.number(row, "duration_ns").unwrap_or(0.0)))
                            @if rows.text(row, "status_code") == "error" { " " span.level.bad { "error" } } }
                    } }
                }
            }
        }
    }
}

/// What spans of one service and name are in both traces.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Group {
    spans: [u64; 2],
    errors: [u64; 2],
    total: [i64; 2],
    longest: [i64; 2],
}

fn groups(sides: [(&Trace, &Rows); 2]) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (side, (trace, names)) in sides.into_iter().enumerate() {
        let names = flame::names(names);
        for (n, span) in trace.spans.iter().enumerate() {
            let group = groups.entry(label(trace, n, &names)).or_default();
            let took = span.duration.unwrap_or(0);
            group.spans[side] += 1;
            group.errors[side] += u64::from(span.is_error);
            group.total[side] = group.total[side].saturating_add(took);
            group.longest[side] = group.longest[side].max(took);
        }
    }
    groups
}

fn both(sides: [(&Trace, &Rows); 2], params: &Params) -> Markup {
    let (trace, other) = (sides[0].0, sides[1].0);
    let mut graph = Tree::new();
    let mut counts = Tree::new();
    for (side, (trace, names)) in sides.into_iter().enumerate() {
        let names = flame::names(names);
        flame::add(&mut graph, trace, &names, side, |span| trace.tree.own_time(&trace.spans, span));
        flame::add(&mut counts, trace, &names, side, |_| 1);
    }
    let mut groups: Vec<(String, Group)> = groups(sides).into_iter().collect();
    let weight = |group: &Group| group.total[0].abs_diff(group.total[1]);
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(weight(group)));
    let path = path(trace);
    let view = Graph { unit: "nanoseconds", is_compared: true, find: None, params, path: &path };
    let frame = params.get("frame").and_then(|frame| u64::from_str_radix(frame, 16).ok());
    html! {
        section aria-labelledby="compare" {
            h2 #compare { "Compared with the trace " a href=(params.kept().link(&format!("/trace/{}", segment(&other.id)))) { code { (foreign(&other.id, 64)) } } }
            p { a href=(params.without(&["with", "frame"]).link(&path)) { "Choose another" } }
            dl.facts {
                div { dt { "Duration" } dd { (duration((trace.end - trace.start) as f64)) ", the other " (duration((other.end - other.start) as f64)) } }
                div { dt { "Spans" } dd { (trace.spans.len()) ", the other " (other.spans.len()) } }
            }
            p.muted { "Widths are shares of the time of both traces. " span.more { "■" } " a greater share here, " span.less { "■" } " in the other." }
            @if frame.is_some() { p { a href=(params.without(&["frame"]).link(&path)) { "Show all" } } }
            (view.draw(&graph, frame, "Both traces as a flame graph"))
            h3 { "By service and name" }
            (group_table(&groups))
            h3 { "Differences in structure" }
            (differences(&counts))
        }
    }
}

fn group_table(groups: &[(String, Group)]) -> Markup {
    let times = |of: [i64; 2]| html! { td.n { (duration(of[0] as f64)) } td.n { (duration(of[1] as f64)) } };
    let counts = |of: [u64; 2]| html! { td.n { (of[0]) } td.n { (of[1]) } };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Both traces by service and name" { table {
            thead { tr { th scope="col" { "Span" }
                @for name in ["Spans", "Errors", "Total", "Longest"] { th.n scope="col" { (name) } th.n scope="col" { "other" } } } }
            tbody { @for (name, group) in groups.iter().take(SHOWN) { tr data-row {
                td { (foreign(name, 200)) } (counts(group.spans)) (counts(group.errors)) (times(group.total)) (times(group.longest))
            } } }
        } }
        @if groups.len() > SHOWN { p.muted { "The " (SHOWN) " with the greatest differences of " (groups.len()) " are shown." } }
    }
}

/// The places where the traces have not as many spans.
fn differences(counts: &Tree) -> Markup {
    let is_other = |node: &usize| counts.node(*node).own[0] != counts.node(*node).own[1];
    let places: Vec<usize> = (1..counts.nodes().len()).filter(is_other).collect();
    let way = |node: usize| {
        let above = counts.above(node).into_iter().skip(1);
        above.map(|above| counts.node(above).label.as_str()).collect::<Vec<_>>().join(" › ")
    };
    html! {
        @if places.is_empty() { p { "None: the same spans are below the same ones, as often." } } @else {
            div.scroll tabindex="0" role="region" aria-label="Differences in structure" { table {
                thead { tr { th scope="col" { "Span" } th scope="col" { "Below" } th.n scope="col" { "Here" } th.n scope="col" { "There" } } }
                tbody { @for node in places.iter().take(SHOWN) {
                    @let found = counts.node(*node);
                    tr data-row {
                        td { (foreign(&found.label, 200)) } td { (foreign(&way(*node), 300)) }
                        td.n { @if found.own[0] == 0 { "none" } @else { (found.own[0]) } }
                        td.n { @if found.own[1] == 0 { "none" } @else { (found.own[1]) } }
                    }
                } }
            } }
            @if places.len() > SHOWN { p.muted { "The first of " (count(places.len() as u64, "place", "places")) "." } }
        }
    }
}
