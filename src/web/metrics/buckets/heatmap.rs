//! Buckets over time: the darker, the more values.

use maud::{Markup, html};

use super::{Cell, Columns};
use crate::web::chart::lines::Dot;
use crate::web::range::{Nanos, Range, rfc3339};
use crate::web::text::{number, time};

/// Rows at most.
const ROWS: usize = 40;

/// What the height of the picture stands for.
struct Scale {
    /// Between the rows, from below.
    bounds: Vec<f64>,
}

impl Scale {
    /// The bounds of the buckets; where those are many, each of so many.
    fn new<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        let ends = cells.flat_map(|cell| [cell.low, cell.high]).filter(|bound| bound.is_finite());
        let mut bounds: Vec<f64> = ends.collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let step = bounds.len().div_ceil(ROWS).max(1);
        let last = bounds.last().copied();
        let mut bounds: Vec<f64> = bounds.into_iter().step_by(step).collect();
        bounds.extend(last.filter(|last| bounds.last() != Some(last)));
        Scale { bounds }
    }

    /// Rows: one between each two bounds, one below them and one above.
    fn rows(&self) -> usize {
        self.bounds.len() + 1
    }

    /// The height of a value, in rows from below.
    fn place(&self, value: f64) -> f64 {
        let above = self.bounds.partition_point(|bound| *bound <= value);
        match (above.checked_sub(1).and_then(|below| self.bounds.get(below)), self.bounds.get(above)) {
            (Some(low), Some(high)) if high > low => above as f64 + (value - low) / (high - low),
            (None, _) => 0.5,
            _ => above as f64 + 0.5,
        }
    }

    /// A row's share of a cell, for each row that has one.
    fn shares(&self, cell: &Cell) -> Vec<(usize, f64)> {
        let row_of = |bound: f64| self.bounds.partition_point(|of| *of <= bound);
        if !cell.low.is_finite() {
            return vec![(row_of(cell.high).saturating_sub(1), cell.count)];
        }
        if !cell.high.is_finite() || cell.high <= cell.low {
            return vec![(row_of(cell.low), cell.count)];
        }
        let inner = |row: usize| {
            let (low, high) = (*self.bounds.get(row.checked_sub(1)?)?, *self.bounds.get(row)?);
            let part = (high.min(cell.high) - low.max(cell.low)) / (cell.high - cell.low);
            (part > 0.0).then_some((row, cell.count * part))
        };
        (row_of(cell.low)..=row_of(cell.high)).filter_map(inner).collect()
    }
}

/// The picture.
pub fn draw(all: &Columns, dots: &[Dot], width: Nanos, range: &Range, text: &impl Fn(f64) -> String) -> Markup {
    let scale = Scale::new(all.values().flatten());
    let columns = range.length().div_euclid(width) + 1;
    let rows = scale.rows();
    let mut counts: Vec<(i64, Vec<f64>)> = Vec::new();
    for (column, cells) in all {
        let mut sums = vec![0.0; rows];
        for (row, part) in cells.iter().flat_map(|cell| scale.shares(cell)) {
            sums[row.min(rows - 1)] += part;
        }
        counts.push((*column, sums));
    }
    let filled = |row: &usize| counts.iter().any(|(_, sums)| sums[*row] > 0.0);
    let (first, last) = ((0..rows).find(filled).unwrap_or(0), (0..rows).rev().find(filled).unwrap_or(rows - 1));
    let most = counts.iter().flat_map(|(_, sums)| sums).copied().fold(0.0, f64::max);
    let height = last - first + 1;
    let bound = |row: usize| match row.checked_sub(1).map(|below| scale.bounds.get(below)) {
        None => "least".to_owned(),
        Some(None) => "more".to_owned(),
        Some(Some(bound)) => text(*bound),
    };
    let x = |at: Nanos| (at - range.from) as f64 / width as f64;
    html! {
        figure.heatmap {
            div.scale { span { (bound(last + 1)) } span { (bound(first + height / 2)) } span { (bound(first)) } }
            svg viewBox={ "0 0 " (columns) " " (height) } preserveAspectRatio="none" role="group" aria-label="Values over time"
                data-from=(range.from) data-to=(range.from + columns * width) {
                @for (column, sums) in &counts {
                    @for (row, sum) in sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0) {
                        rect class={ "heat h" (heat(*sum, most)) } x=(column) y=(last - row) width="0.94" height="0.94" {
                            title { (&rfc3339(range.from + column * width)[..19]) ", " (bound(row)) " to " (bound(row + 1)) ": " (number(*sum)) }
                        }
                    }
                }
                @for dot in dots {
                    a href=(dot.href) aria-label=(dot.label) tabindex="-1" {
                        title { (dot.label) }
                        path.point d=(format!("M{:.2} {:.2}h0", x(dot.at), (last + 1) as f64 - scale.place(dot.value))) {}
                    }
                }
            }
            figcaption { (time(range.from)) span { "at most " (number(most)) " in a cell" } (time(range.from + columns * width)) }
        }
    }
}

/// One of eight shades; a power of two is one, so that rare ones are seen beside many.
fn heat(count: f64, most: f64) -> u32 {
    let share = count.ln_1p() / most.max(count).ln_1p();
    ((share * 8.0).ceil() as u32).clamp(1, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(low: f64, high: f64, count: f64) -> Cell {
        Cell { low, high, count }
    }

    #[test]
    fn each_bucket_has_its_row_if_there_are_few() {
        let cells = [
            cell(f64::NEG_INFINITY, 1.0, 1.0),
            cell(1.0, 5.0, 2.0),
            cell(5.0, f64::INFINITY, 3.0),
            cell(0.0, 0.0, 1.0),
        ];
        let scale = Scale::new(cells.iter());
        assert_eq!(scale.bounds, [0.0, 1.0, 5.0]);
        let rows: Vec<_> = cells.iter().map(|cell| scale.shares(cell)).collect();
        assert_eq!(rows, [vec![(1, 1.0)], vec![(2, 2.0)], vec![(3, 3.0)], vec![(1, 1.0)]]);
        assert_eq!((scale.place(3.0), scale.place(9.0), scale.place(-1.0)), (2.5, 3.5, 0.5));
    }

    #[test]
    fn many_buckets_share_rows_and_none_is_lost() {
        let fine = |n: i32| 2_f64.powf(f64::from(n) / 16.0);
        let cells: Vec<Cell> = (-200..200).map(|n| cell(fine(n), fine(n + 1), 3.0)).collect();
        let signed: Vec<Cell> = cells.iter().flat_map(|one| [*one, cell(-one.high, -one.low, 1.0)]).collect();
        for (cells, expected) in [(cells, 1200.0), (signed, 1600.0)] {
            let scale = Scale::new(cells.iter());
            assert!(scale.rows() <= ROWS + 2 && scale.bounds.is_sorted(), "{:?}", scale.bounds);
            let shares: Vec<f64> = cells.iter().flat_map(|cell| scale.shares(cell)).map(|(_, part)| part).collect();
            assert!((shares.iter().sum::<f64>() - expected).abs() < 1e-6, "{shares:?}");
        }
    }
}
