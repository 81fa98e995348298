//! The rows of a waterfall, and the map of all of them.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};

use super::tree::Row;
use super::{SHOWN, Trace};
use crate::web::params::{Params, segment};
use crate::web::sql::{AskError, Rows};
use crate::web::text::{duration, foreign, whole};

/// A trace of so many rows has a map.
const MAPPED: usize = 30;

/// Lines of the map.
const LINES: usize = 120;

/// Steps to the right that are shown; deeper rows say how deep they are.
const STEPS: usize = 24;

/// Ticks of the axis.
const TICKS: usize = 4;

/// What the rows of a page need.
struct Waterfall<'a> {
    trace: &'a Trace,
    params: &'a Params,
    path: String,
    names: HashMap<(&'a str, bool), (&'a str, &'a str)>,
    /// What was searched for, if something was.
    found: Option<&'a HashSet<&'a str>>,
    /// All that the opened span has, if one is open.
    opened: Option<&'a Result<Rows, AskError>>,
}

/// The map, the rows from `first` on, and the ways to others.
pub fn draw(
    trace: &Trace,
    (rows, first): (&[Row], usize),
    names: &Rows,
    (found, opened): (Option<&HashSet<&str>>, Option<&Result<Rows, AskError>>),
    params: &Params,
) -> Markup {
    let last = rows.len().min(first + SHOWN);
    let of = |row| {
        let key = (names.text(row, "span_id"), names.is_true(row, "server"));
        (key, (names.text(row, "name"), names.text(row, "kind")))
    };
    let names = (0..names.len()).map(of).collect();
    let path = format!("/trace/{}", segment(&trace.id));
    let waterfall = Waterfall { trace, params, path, names, found, opened };
    let is_opened = |row: &Row| params.get("span") == Some(trace.spans[row.span].id.as_str());
    // It stands below the first row that is the span; the halves of a call share an id.
    let below = rows[first..last].iter().position(is_opened).filter(|_| opened.is_some()).map(|n| first + n);
    html! {
        // A span that is on no row of this page.
        @if below.is_none() { (waterfall.opened()) }
        (waterfall.map(rows, first, last))
        (waterfall.ways(rows, first, last))
        div.scroll tabindex="0" role="region" aria-label="Spans" { table.waterfall {
            thead { tr {
                th scope="col" { "Span" } th.axis scope="col" { (waterfall.axis()) } th.n scope="col" { "Duration" }
            } }
            tbody { @for (n, row) in rows[..last].iter().enumerate().skip(first) {
                (waterfall.row(*row, below == Some(n)))
                @if below == Some(n) { tr { td.inside colspan="3" { (waterfall.opened()) } } }
            } }
        } }
        (waterfall.ways(rows, first, last))
        p.muted { span.critical { "▬" } " on the critical path: the trace would have ended sooner if it were shorter." }
    }
}

impl Waterfall<'_> {
    /// A place in a bar of 1000 units.
    fn place(&self, nanos: i64) -> f64 {
        let length = (self.trace.end - self.trace.start).max(1) as f64;
        (nanos as f64 / length * 1000.0).clamp(0.0, 1000.0)
    }

    /// All rows in a few lines; those of this page are marked. A click leads to the page of a line.
    fn map(&self, rows: &[Row], first: usize, last: usize) -> Markup {
        let lines = rows.len().clamp(1, LINES);
        let line_of = |row: usize| row * lines / rows.len().max(1);
        let mut drawn = vec![(1000.0_f64, 0.0_f64, false); lines];
        for (n, row) in rows.iter().enumerate() {
            let span = &self.trace.spans[row.span];
            let Some(offset) = span.offset else { continue };
            let (from, to) = (self.place(offset), self.place(offset.saturating_add(span.duration.unwrap_or(0))));
            let line = &mut drawn[line_of(n)];
            *line = (line.0.min(from), line.1.max(to), line.2 || span.is_error);
        }
        let pages = rows.len().div_ceil(SHOWN);
        html! {
            @if rows.len() >= MAPPED {
                svg.map viewBox={ "0 0 1000 " (lines) } preserveAspectRatio="none" role="group" aria-label="All spans" {
                    @if pages > 1 {
                        rect.window x="0" width="1000" y=(line_of(first)) height=((line_of(last.max(1) - 1) + 1) - line_of(first)) {}
                    }
                    @for (y, (from, to, is_error)) in drawn.iter().enumerate() {
                        @if to >= from {
                            rect class=(if *is_error { "failed" } else { "bar" }) x=(format!("{from:.1}")) y=(y)
                                width=(format!("{:.1}", (to - from).max(2.0))) height="0.8" {}
                        }
                    }
                    @if pages > 1 { @for page in 0..pages {
                        @let (begin, end) = (page * SHOWN, rows.len().min((page + 1) * SHOWN));
                        a href=(self.to(begin)) tabindex="-1" aria-label={ "rows from " (begin + 1) } {
                            rect.way x="0" width="1000" y=(line_of(begin)) height=(line_of(end - 1) + 1 - line_of(begin)) {}
                        }
                    } }
                }
            }
        }
    }

    /// The address of the page that begins at a row.
    fn to(&self, row: usize) -> String {
        self.params.with("row", if row == 0 { String::new() } else { row.to_string() }).link(&self.path)
    }

    /// Where in the rows this page is, and what leads elsewhere.
    fn ways(&self, rows: &[Row], first: usize, last: usize) -> Markup {
        let is_error = |(_, row): &(usize, &Row)| self.trace.spans[row.span].is_error;
        let next_error = rows.iter().enumerate().skip(last).find(is_error).map(|(n, _)| n);
        html! {
            @if rows.len() > SHOWN {
                p.ways {
                    "Rows " (whole(first as i64 + 1)) " to " (whole(last as i64)) " of " (whole(rows.len() as i64)) " "
                    @if first > 0 { a rel="prev" href=(self.to(first.saturating_sub(SHOWN))) { "earlier rows" } " " }
                    @if last < rows.len() { a rel="next" href=(self.to(last)) { "later rows" } " " }
                    @if let Some(row) = next_error { a data-next-error href=(self.to(row)) { "next error below" } }
                }
            }
        }
    }

    fn axis(&self) -> Markup {
        let length = (self.trace.end - self.trace.start) as f64;
        html! {
            span.ticks { span { "0" }
                @for tick in 1..=TICKS { span { (duration(length * tick as f64 / TICKS as f64)) } } }
        }
    }

    /// All that the opened span has.
    fn opened(&self) -> Markup {
        html! { @if let Some(opened) = self.opened { (super::span::show(self.trace, opened, self.params)) } }
    }

    fn row(&self, row: Row, is_above: bool) -> Markup {
        let span = &self.trace.spans[row.span];
        let (name, kind) = self.names.get(&(span.id.as_str(), span.is_server)).copied().unwrap_or_default();
        let is_critical = self.trace.tree.critical.contains(&row.span);
        let own = self.trace.tree.own_time(&self.trace.spans, row.span);
        let took = span.duration.map_or_else(|| "unfinished".to_owned(), |nanos| duration(nanos as f64));
        let chosen = self.params.get("span") == Some(span.id.as_str());
        let is_found = self.found.is_some_and(|found| found.contains(span.id.as_str()));
        html! {
            tr id=[is_above.then_some("opened")] data-row data-error[span.is_error] class=[is_found.then_some("found")] aria-selected=[chosen.then_some("true")] {
                td class={ "name d" (row.depth.min(STEPS)) } {
                    (self.fold(row))
                    span class={ "dot c" (span.service % 20) } {} " "
                    a href={ (self.params.with("span", span.id.as_str()).link(&self.path)) "#opened" } {
                        (foreign(&self.trace.services[span.service], 40)) " " strong { (foreign(if name.is_empty() { "no name" } else { name }, 80)) }
                    }
                    @if !kind.is_empty() && kind != "internal" { span.muted { " " (foreign(kind, 12)) } }
                    @if row.depth > STEPS { span.muted { " level " (row.depth + 1) } }
                    @if span.is_error { " " span.level.bad { "error" } }
                }
                td.time {
                    @if let Some(offset) = span.offset {
                        @let (x, end) = (self.place(offset), self.place(offset.saturating_add(span.duration.unwrap_or(0))));
                        svg.bar viewBox="0 0 1000 18" preserveAspectRatio="none" role="img"
                            aria-label={ "from " (duration(offset as f64)) ", " (took) } {
                            rect class={ "c" (span.service % 20) } x=(format!("{x:.2}")) y="3" height="10"
                                width=(format!("{:.2}", (end - x).max(2.0))) {}
                            @if is_critical { rect.critical x=(format!("{x:.2}")) y="15" height="3" width=(format!("{:.2}", (end - x).max(2.0))) {} }
                        }
                    } @else { span.muted { "no start" } }
                }
                td.n title={ "by itself " (duration(own as f64)) } { (took) }
            }
        }
    }

    /// What folds or unfolds what is below a span.
    fn fold(&self, row: Row) -> Markup {
        let id = self.trace.spans[row.span].id.as_str();
        let searched = self.params.get("find").is_some() || self.params.get("only").is_some();
        if row.below == 0 || id.is_empty() || searched {
            return html! { span.fold {} };
        }
        let is_folded = self.params.all("fold").any(|folded| folded == id);
        let others = self.params.all("fold").filter(|folded| *folded != id);
        let link = others.fold(self.params.without(&["fold"]), |link, other| link.and("fold", other));
        let link = if is_folded { link } else { link.and("fold", id) };
        html! {
            a.fold href=(link.link(&self.path)) data-replace aria-label={ (if is_folded { "Unfold " } else { "Fold " }) (row.below) " spans" } {
                (if is_folded { "▸" } else { "▾" })
            }
            @if is_folded { span.muted { "+" (row.below) " " } }
        }
    }
}
