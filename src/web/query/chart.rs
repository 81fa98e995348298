//! Rows as a picture: lines where there is a time, else bars.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use crate::web::chart::lines::{self, Line};
use crate::web::layout::empty;
use crate::web::sql::{Column, Rows};
use crate::web::text::{cell, cut, foreign, nanos_of, number};

/// Rows of a picture.
pub const MAX: usize = 5_000;

/// Lines of a picture.
const LINES: usize = 12;

/// Bars of a picture.
const BARS: usize = 100;

fn is_time(column: &Column) -> bool {
    column.kind.starts_with("TIMESTAMP") || column.kind == "DATE"
}

fn is_number(column: &Column) -> bool {
    let kinds = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL"];
    let kind = column.kind.strip_prefix('U').unwrap_or(&column.kind);
    kinds.iter().any(|of| kind.starts_with(of))
}

fn value(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    }
}

/// The picture.
pub fn draw(rows: &Rows) -> Markup {
    let places =
        |is: fn(&Column) -> bool| (0..rows.columns.len()).filter(|n| is(&rows.columns[*n])).collect::<Vec<_>>();
    let (times, numbers) = (places(is_time), places(is_number));
    let texts: Vec<usize> = (0..rows.columns.len()).filter(|n| !times.contains(n) && !numbers.contains(n)).collect();
    match (times.first(), numbers.first()) {
        (_, None) => empty(
            "There is no column of numbers to draw.",
            html! { p { "A picture takes columns of numbers, and one of times or of names." } },
        ),
        (Some(time), Some(_)) => over_time(rows, *time, &numbers, &texts),
        (None, Some(number)) => bars(rows, *number, &texts),
    }
}

/// What a row is of, in the words of its columns of text.
fn name(row: &[Value], texts: &[usize]) -> String {
    let parts = texts.iter().filter_map(|place| cell(&row[*place])).map(|text| cut(&text, 60));
    parts.collect::<Vec<_>>().join(" ")
}

fn over_time(rows: &Rows, time: usize, numbers: &[usize], texts: &[usize]) -> Markup {
    let mut lines: BTreeMap<(String, usize), Vec<(i64, f64)>> = BTreeMap::new();
    for row in &rows.rows {
        let Some(at) = row[time].as_str().and_then(moment) else { continue };
        for place in numbers {
            if let Some(value) = value(&row[*place]).filter(|value| value.is_finite()) {
                lines.entry((name(row, texts), *place)).or_default().push((at, value));
            }
        }
    }
    let all = lines.len();
    let mut drawn: Vec<Line> = Vec::new();
    for ((name, place), mut points) in lines.into_iter().take(LINES) {
        points.sort_by_key(|(at, _)| *at);
        let column = rows.columns[place].name.as_str();
        let name = if numbers.len() > 1 || name.is_empty() { format!("{name} {}", cut(column, 60)) } else { name };
        drawn.push(Line { name: name.trim().to_owned(), points });
    }
    let moments = || drawn.iter().flat_map(|line| &line.points).map(|(at, _)| *at);
    let (Some(from), Some(to)) = (moments().min(), moments().max()) else {
        return empty("No row has a time and a number.", html! {});
    };
    html! {
        (lines::draw(&drawn, &[], (from, to.max(from + 1)), "The rows over time", number))
        ul.services aria-label="Lines" { @for (n, line) in drawn.iter().enumerate() {
            li { span class={ "dot c" (n % 20) } {} " " (foreign(&line.name, 200)) }
        } }
        @if all > LINES { p.muted { "The first " (LINES) " of " (all) " lines." } }
    }
}

/// A time of an answer; a date is its first moment.
fn moment(text: &str) -> Option<i64> {
    nanos_of(text).or_else(|| nanos_of(&format!("{}T00:00:00Z", text.get(..10)?)))
}

fn bars(rows: &Rows, number_place: usize, texts: &[usize]) -> Markup {
    let most = rows.rows.iter().filter_map(|row| value(&row[number_place])).map(f64::abs).fold(0.0, f64::max);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Bars" { table {
            thead { tr { th scope="col" { "Row" } th.n scope="col" { (foreign(&rows.columns[number_place].name, 60)) } th.wide scope="col" { "Compared" } } }
            tbody { @for (n, row) in rows.rows.iter().take(BARS).enumerate() {
                @let value = value(&row[number_place]).unwrap_or(0.0);
                @let name = name(row, texts);
                tr data-row {
                    td { @if name.is_empty() { (n + 1) } @else { (foreign(&name, 200)) } }
                    td.n { (number(value)) }
                    td { svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                        rect.bar x="0" y="1" height="8" width=(format!("{:.2}", if most > 0.0 { value.abs() / most * 100.0 } else { 0.0 })) {} } }
                }
            } }
        } }
        @if rows.len() > BARS { p.muted { "The first " (BARS) " rows." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Rows {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn times_make_lines_and_names_make_bars() {
        let drawn = draw(&rows(
            r#"{"columns":[{"name":"t","type":"TIMESTAMP_NS"},{"name":"who","type":"VARCHAR"},{"name":"n","type":"HUGEINT"}],
                "rows":[["2026-11-29T10:00:00Z","<a>","9007199254740993"],["2026-11-29T10:01:00Z","<a>",1],["2026-11-29T10:00:30Z","b",null],["2026-11-29T10:00:30Z","b",2]]}"#,
        ))
        .into_string();
        assert_eq!(drawn.matches("<path class=\"line").count(), 2, "{drawn}");
        assert!(drawn.contains("&lt;a&gt;") && !drawn.contains("<a>"), "{drawn}");
        let drawn = draw(&rows(
            r#"{"columns":[{"name":"who","type":"VARCHAR"},{"name":"n","type":"DOUBLE"}],"rows":[["a",4.0],["b",-2.0],[null,null]]}"#,
        ))
        .into_string();
        assert!(drawn.contains("width=\"100.00\"") && drawn.contains("width=\"50.00\""), "{drawn}");
        let none = draw(&rows(r#"{"columns":[{"name":"who","type":"VARCHAR"}],"rows":[["a"]]}"#)).into_string();
        assert!(none.contains("no column of numbers"), "{none}");
    }
}
