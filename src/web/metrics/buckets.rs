//! How the values of a histogram are distributed over time: a heatmap, quantiles, and how many values there were.
//!
//! | module | what |
//! |---|---|
//! | [`statement`] | how much each bucket has grown in each column of time |
//! | [`quantile`] | quantiles of such growths |
//! | [`heatmap`] | the picture |

mod heatmap;
mod quantile;
mod statement;

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::facts::Facts;
use super::selection::Selection;
use super::unit;
use crate::web::chart::lines::{self, Dot, Line};
use crate::web::layout::empty;
use crate::web::range::{Nanos, Range};
use crate::web::sql::Rows;
use crate::web::text::{cut, whole};

pub use statement::{MAX, sql};

/// The quantiles of a histogram that is not in groups.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")];

/// So many values between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    /// The lower bound; that of the first bucket may be infinite.
    low: f64,
    /// The upper bound; that of the last bucket may be infinite.
    high: f64,
    /// How many.
    count: f64,
}

/// The cells of each column of time.
type Columns = BTreeMap<i64, Vec<Cell>>;

/// All there is to see of a histogram.
pub fn draw(rows: &Rows, dots: &[Dot], selection: &Selection, facts: &Facts, range: &Range) -> Markup {
    let groups = read(rows);
    let all = groups.values().fold(Columns::new(), |mut all, columns| {
        for (column, cells) in columns {
            all.entry(*column).or_default().extend_from_slice(cells);
        }
        all
    });
    if all.is_empty() {
        return empty(
            "No value was counted in this time.",
            html! { p { "Of a cumulative histogram two points are needed to know what came between them." } },
        );
    }
    let width = statement::column(facts, range);
    let middle = |column: i64| range.from + column * width + width / 2;
    let total: f64 = all.values().flatten().map(|cell| cell.count).sum();
    let text = |value: f64| unit::text(value, &facts.unit, false);
    let bounds = (range.from, range.to);
    html! {
        @if rows.truncated { p.warning role="status" { "There are more buckets than a page can show: choose labels or a shorter time." } }
        h2 { "Values" small { " " (whole(total.round() as i64)) " of them" } }
        (heatmap::draw(&all, dots, width, range, &text))
        h2 { "Quantiles" }
        (with_names(&quantiles(&groups, &all, selection, middle), bounds, "Quantiles over time", text))
        h2 { "Values a second" }
        (with_names(&rates(&groups, width, middle), bounds, "Values a second over time", |value| unit::text(value, "1", true)))
    }
}

/// The groups with their columns; those with the most values come first in the answer.
fn read(rows: &Rows) -> BTreeMap<String, Columns> {
    let mut groups: BTreeMap<String, Columns> = BTreeMap::new();
    for row in 0..rows.len() {
        let Some((column, count)) = rows.whole(row, "bucket").zip(rows.number(row, "n")) else { continue };
        let cell = Cell {
            low: rows.number(row, "low").unwrap_or(f64::NEG_INFINITY),
            high: rows.number(row, "high").unwrap_or(f64::INFINITY),
            count,
        };
        let group = groups.entry(rows.text(row, "name").to_owned()).or_default();
        group.entry(column).or_default().push(cell);
    }
    groups
}

fn quantiles(
    groups: &BTreeMap<String, Columns>,
    all: &Columns,
    selection: &Selection,
    middle: impl Fn(i64) -> Nanos,
) -> Vec<Line> {
    let line = |name: String, columns: &Columns, q: f64| {
        let point = |(column, cells): (&i64, &Vec<Cell>)| Some((middle(*column), quantile::of(cells, q)?));
        Line { name, points: columns.iter().filter_map(point).collect() }
    };
    if selection.by.is_none() {
        return QUANTILES.into_iter().map(|(q, name)| line(name.to_owned(), all, q)).collect();
    }
    groups.iter().map(|(name, columns)| line(named(name), columns, selection.quantile)).collect()
}

fn rates(groups: &BTreeMap<String, Columns>, width: Nanos, middle: impl Fn(i64) -> Nanos) -> Vec<Line> {
    let rate = |cells: &[Cell]| cells.iter().map(|cell| cell.count).sum::<f64>() / (width as f64 / 1e9);
    let line = |(name, columns): (&String, &Columns)| Line {
        name: named(name),
        points: columns.iter().map(|(column, cells)| (middle(*column), rate(cells))).collect(),
    };
    groups.iter().map(line).collect()
}

fn named(name: &str) -> String {
    if name.is_empty() { "all".to_owned() } else { cut(name, 200) }
}

/// A chart with the names of its lines and their last values.
fn with_names(lines: &[Line], bounds: (Nanos, Nanos), label: &str, text: impl Fn(f64) -> String) -> Markup {
    html! {
        (lines::draw(lines, &[], bounds, label, &text))
        ul.services aria-label="Lines" { @for (n, line) in lines.iter().enumerate() { li {
            span class={ "dot c" (n % 20) } {} " " bdi { (line.name) } " "
            span.muted { "last " (line.points.last().map_or_else(|| "–".to_owned(), |(_, value)| text(*value))) }
        } } }
    }
}
