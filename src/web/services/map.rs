//! The picture of who calls whom.

use maud::{Markup, html};

use super::bounds;
use super::layers::layers;
use crate::web::params::Params;
use crate::web::range::Range;
use crate::web::sql::Rows;
use crate::web::text::{cut, duration, number, rate};

/// Calls that are drawn: those that are made most.
pub const MAX: usize = 200;

const WIDTH: f64 = 190.0;
const HEIGHT: f64 = 44.0;
const GAP: f64 = 110.0;
const ROW: f64 = 66.0;

/// How far above its ends a call goes that passes by services between them.
const BOW: f64 = 52.0;

/// The statement.
pub fn sql(range: &Range) -> String {
    format!("FROM service_graph({})\nLIMIT {}", bounds(range), MAX + 1)
}

/// One pair of services.
struct Call {
    from: usize,
    to: usize,
    per_second: f64,
    errors: f64,
    label: String,
}

/// The picture; nothing if nobody calls anybody.
pub fn draw(rows: &Rows, range: &Range, params: &Params) -> Markup {
    let seconds = (range.length() as f64 / 1e9).max(1e-9);
    let mut names: Vec<&str> = Vec::new();
    let mut node = |name| {
        names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        })
    };
    let mut calls = Vec::new();
    for row in 0..rows.len().min(MAX) {
        let (client, server) = (rows.text(row, "client"), rows.text(row, "server"));
        let (from, to) = (node(client), node(server));
        let (made, errors) = (rows.number(row, "calls").unwrap_or(0.0), rows.number(row, "errors").unwrap_or(0.0));
        let p95 = rows.number(row, "p95_ms").map_or_else(|| "–".to_owned(), |ms| duration(ms * 1e6));
        let label = format!(
            "{} calls {}: {}, {} % failed, p95 {p95}",
            cut(client, 60),
            cut(server, 60),
            rate(made / seconds),
            number(errors / made.max(1.0) * 100.0)
        );
        calls.push(Call { from, to, per_second: made / seconds, errors, label });
    }
    if calls.is_empty() {
        return html! {};
    }
    let edges: Vec<(usize, usize)> = calls.iter().map(|call| (call.from, call.to)).collect();
    let placed = layers(names.len(), &edges);
    let tallest = placed.sizes.iter().max().copied().unwrap_or(1) as f64;
    let has_bows = calls.iter().any(|call| placed.places[call.from].0.abs_diff(placed.places[call.to].0) > 1);
    let top = if has_bows { 16.0 + BOW / 2.0 } else { 16.0 };
    let (wide, tall) = (placed.sizes.len() as f64 * (WIDTH + GAP) - GAP + 20.0, tallest * ROW + top - 6.0);
    let corner = |node: usize| {
        let (layer, place) = placed.places[node];
        let above = (tallest - placed.sizes[layer] as f64) * ROW / 2.0;
        (10.0 + layer as f64 * (WIDTH + GAP), top + above + place as f64 * ROW)
    };
    html! {
        section aria-labelledby="map" {
            h2 #map { "Service map" }
            div.picture tabindex="0" role="region" aria-label="Who calls whom" {
                svg.pipeline.services-map viewBox={ "0 0 " (wide) " " (tall) } width=(wide) height=(tall) role="group" aria-label="Services and their calls" {
                    @for call in &calls { (edge(call, corner(call.from), corner(call.to)).0) }
                    @for (n, name) in names.iter().enumerate() {
                        @let (x, y) = corner(n);
                        @let failed = calls.iter().any(|call| call.to == n && call.errors > 0.0);
                        a class={ "part " (if failed { "bad" } else { "ok" }) } href=(params.kept().with("service", *name).link("/traces")) {
                            rect.box x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="6" {}
                            rect.mark x=(x) y=(y) width="6" height=(HEIGHT) rx="3" {}
                            text.name x=(x + 16.0) y=(y + 27.0) { (cut(name, 20)) }
                        }
                    }
                    // Above all else: a box must not hide them.
                    @for call in &calls {
                        @let (x, y) = edge(call, corner(call.from), corner(call.to)).1;
                        text.note x=(x) y=(y) text-anchor="middle" { (rate(call.per_second)) }
                    }
                }
            }
            details { summary { "Calls as a list" } ul.plain { @for call in &calls { li { bdi { (call.label) } } } } }
        }
    }
}

/// The line of a call, and where its rate stands.
fn edge(call: &Call, from: (f64, f64), to: (f64, f64)) -> (Markup, (f64, f64)) {
    let (y1, y2) = (from.1 + HEIGHT / 2.0, to.1 + HEIGHT / 2.0);
    let (x1, x2) = if to.0 > from.0 { (from.0 + WIDTH, to.0) } else { (from.0, to.0 + WIDTH) };
    let middle = (x1 + x2) / 2.0;
    let bow = if (to.0 - from.0).abs() > WIDTH + GAP + 1.0 { BOW } else { 0.0 };
    let line = html! {
        g {
            title { (call.label) }
            path class={ "edge " (if call.errors > 0.0 { "bad" } else { "ok" }) }
                d={ "M" (x1) " " (y1) "C" (middle) " " (y1 - bow) " " (middle) " " (y2 - bow) " " (x2) " " (y2) } {}
        }
    };
    // Half-way a cubic curve has gone three quarters of the way to its control points.
    (line, (middle, (y1 + y2) / 2.0 - 0.75 * bow - 4.0))
}
