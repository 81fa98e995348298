//! Quantiles of buckets, whatever their bounds are: values are taken as spread evenly between them.

use super::Cell;

/// Halvings of the place in which a quantile is looked for; each gives one bit.
const ROUNDS: usize = 60;

/// The quantile of these cells; nothing if they are empty. What is in a bucket without an end is at its other bound,
/// as Prometheus' `histogram_quantile` has it, and the first bucket of values that are not negative begins at zero.
pub fn of(cells: &[Cell], q: f64) -> Option<f64> {
    let bounded: Vec<Cell> = cells.iter().copied().map(bounded).filter(|cell| cell.count > 0.0).collect();
    let total: f64 = bounded.iter().map(|cell| cell.count).sum();
    let mut low = bounded.iter().map(|cell| cell.low).reduce(f64::min)?;
    let mut high = bounded.iter().map(|cell| cell.high).reduce(f64::max)?;
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let wanted = q * total;
    for _ in 0..ROUNDS {
        let middle = low + (high - low) / 2.0;
        let below: f64 = bounded.iter().map(|cell| cell.count * share_below(cell, middle)).sum();
        if below < wanted { low = middle } else { high = middle }
    }
    Some(high)
}

/// The cell with an end on both sides.
pub fn bounded(cell: Cell) -> Cell {
    match (cell.low.is_finite(), cell.high.is_finite()) {
        (true, false) => Cell { high: cell.low, ..cell },
        (false, true) => Cell { low: cell.high.min(0.0), ..cell },
        (false, false) => Cell { low: 0.0, high: 0.0, ..cell },
        (true, true) => cell,
    }
}

/// How much of a cell is not above a value.
fn share_below(cell: &Cell, value: f64) -> f64 {
    if value >= cell.high {
        return 1.0;
    }
    // A cell without width is below only when its bound is.
    if cell.high > cell.low { ((value - cell.low) / (cell.high - cell.low)).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(low: f64, high: f64, count: f64) -> Cell {
        Cell { low, high, count }
    }

    #[test]
    fn quantiles_are_where_prometheus_has_them() {
        const END: f64 = f64::INFINITY;
        let cells = [cell(-END, 1.0, 10.0), cell(1.0, 2.0, 80.0), cell(2.0, 4.0, 10.0), cell(4.0, END, 0.0)];
        for (q, expected) in [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.5, 1.5), (0.9, 2.0), (0.95, 3.0), (1.0, 4.0)] {
            let found = of(&cells, q).unwrap();
            assert!((found - expected).abs() < 1e-9, "{q}: {found}");
        }
        // What is beyond the last bound is at it.
        assert_eq!(of(&[cell(-END, 1.0, 1.0), cell(1.0, END, 9.0)], 0.9).map(|found| found.round()), Some(1.0));
        assert_eq!(of(&[cell(-4.0, -2.0, 2.0)], 0.5), Some(-3.0));
        assert_eq!(of(&[], 0.5), None);
        assert_eq!(of(&[cell(0.0, 1.0, 0.0)], 0.5), None);
    }

    #[test]
    fn buckets_of_several_senders_need_not_be_the_same() {
        let cells = [cell(0.0, 10.0, 10.0), cell(5.0, 10.0, 10.0)];
        let found = of(&cells, 0.5).unwrap();
        assert!((found - 20.0 / 3.0).abs() < 1e-9, "{found}");
    }
}
