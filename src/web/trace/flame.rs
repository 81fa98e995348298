//! A trace as a flame graph: spans of one service and name below the same ones are one frame, as wide as the time in
//! which they ran themselves and in those below.

use std::collections::HashMap;

use maud::{Markup, html};

use super::Trace;
use crate::web::layout::failed;
use crate::web::params::{Params, segment};
use crate::web::profiles::graph::Graph;
use crate::web::profiles::tree::Tree;
use crate::web::sql::{AskError, Rows, quoted};
use crate::web::text::cut;

/// Characters of a span's name.
const NAME: usize = 100;

/// The statement: the names of all spans.
pub fn sql(id: &str) -> String {
    format!(
        "SELECT span_id, kind IN ('server', 'consumer') AS server, left(name, {NAME}) AS name\nFROM spans\nWHERE trace_id = {}\n\
         LIMIT {}",
        quoted(id),
        super::MAX_SPANS + 1,
    )
}

/// The names of the spans of an answer.
pub fn names(rows: &Rows) -> HashMap<(&str, bool), &str> {
    (0..rows.len())
        .map(|row| ((rows.text(row, "span_id"), rows.is_true(row, "server")), rows.text(row, "name")))
        .collect()
}

/// What a span is in a graph: its service and name.
pub fn label(trace: &Trace, span: usize, names: &HashMap<(&str, bool), &str>) -> String {
    let span = &trace.spans[span];
    let service = cut(&trace.services[span.service], 60);
    let name = names.get(&(span.id.as_str(), span.is_server)).copied().unwrap_or("no name");
    format!("{service}: {name}")
}

/// Adds a trace to a graph, with a value of each span.
pub fn add(
    graph: &mut Tree,
    trace: &Trace,
    names: &HashMap<(&str, bool), &str>,
    side: usize,
    value: impl Fn(usize) -> i64,
) {
    // The nodes from the root to the row before.
    let mut way = vec![0];
    for row in &trace.tree.rows {
        way.truncate(row.depth + 1);
        let parent = way.last().copied().unwrap_or(0);
        let node = graph.child(parent, &label(trace, row.span, names));
        way.push(node);
        graph.add(node, side, (0, value(row.span)));
    }
    graph.sum_up(side);
}

/// The graph.
pub fn show(trace: &Trace, all: &Result<Rows, AskError>, params: &Params) -> Markup {
    let rows = match all {
        Ok(rows) => rows,
        Err(error) => return failed(error),
    };
    let mut graph = Tree::new();
    add(&mut graph, trace, &names(rows), 0, |span| trace.tree.own_time(&trace.spans, span));
    let path = format!("/trace/{}", segment(&trace.id));
    let view = Graph { unit: "nanoseconds", is_compared: false, find: None, params, path: &path };
    let frame = params.get("frame").and_then(|frame| u64::from_str_radix(frame, 16).ok());
    html! {
        section aria-labelledby="flame" {
            h2 #flame { "Flame graph" }
            p.muted { "Spans of one service and name with the same ones above them are one frame. Times of spans that ran at once add up." }
            @if frame.is_some() { p { a href=(params.without(&["frame"]).link(&path)) { "Show all" } } }
            (view.draw(&graph, frame, "Flame graph of this trace"))
        }
    }
}
