//! Lines over time, with axes and dots that lead elsewhere.

use maud::{Markup, html};

use super::super::range::Nanos;
use super::super::text::{cut, time};

/// Units of the picture, across and down; it is stretched to the place that it has.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 240.0;

/// A line breaks where its next point is so many times as far away as its points usually are.
const GAP: i64 = 5;

/// A line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// What it is of: foreign text.
    pub name: String,
    /// Its points in the order of time.
    pub points: Vec<(Nanos, f64)>,
}

/// A dot that leads somewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dot {
    /// When.
    pub at: Nanos,
    /// How high.
    pub value: f64,
    /// Where it leads.
    pub href: String,
    /// What it is.
    pub label: String,
}

/// What the height of a chart stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    low: f64,
    step: f64,
    steps: u32,
}

impl Axis {
    /// Round steps that have all these values between them. Zero is one of them where it is near.
    pub fn new(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high || (low == 0.0 && high == 0.0) {
            return Axis { low: 0.0, step: 0.25, steps: 4 };
        }
        let low = if low > 0.0 && (low < high * 0.7 || low == high) { 0.0 } else { low };
        let high = if high < 0.0 && low < high * 1.4 { 0.0 } else { high };
        let rough = ((high - low) / 4.0).max(low.abs().max(high.abs()) * 1e-9).max(f64::MIN_POSITIVE * 1e9);
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let low = (low / step).floor() * step;
        let steps = ((high - low) / step).ceil().clamp(1.0, 12.0) as u32;
        Axis { low, step, steps }
    }

    /// The height of a value.
    fn y(self, value: f64) -> f64 {
        let share = (value - self.low) / (self.step * f64::from(self.steps));
        (HEIGHT - share * HEIGHT).clamp(-HEIGHT, 2.0 * HEIGHT)
    }

    /// The values of its steps, from above.
    fn ticks(self) -> impl Iterator<Item = f64> {
        (0..=self.steps).rev().map(move |n| {
            let tick = self.low + self.step * f64::from(n);
            // What is left of a difference of equals is zero.
            if tick.abs() < self.step * 1e-6 { 0.0 } else { tick }
        })
    }
}

/// The chart; `text` is how its values are written. A range can be drawn on it.
pub fn draw(
    lines: &[Line],
    dots: &[Dot],
    (from, to): (Nanos, Nanos),
    label: &str,
    text: impl Fn(f64) -> String,
) -> Markup {
    let values = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    let axis = Axis::new(values.chain(dots.iter().map(|dot| dot.value)));
    let length = (to - from).max(1) as f64;
    let x = |at: Nanos| (at - from) as f64 / length * WIDTH;
    html! {
        figure.chart {
            div.scale { @for tick in axis.ticks() { span { (text(tick)) } } }
            svg viewBox="0 0 1000 240" preserveAspectRatio="none" role="group" aria-label=(label) data-from=(from) data-to=(to) {
                @for tick in axis.ticks() { line.grid x1="0" x2="1000" y1=(format!("{:.1}", axis.y(tick))) y2=(format!("{:.1}", axis.y(tick))) {} }
                @for (n, line) in lines.iter().enumerate() {
                    path class={ "line c" (n % 20) } d=(path(&line.points, &x, axis)) { title { (cut(&line.name, 300)) } }
                }
                @for dot in dots {
                    a href=(dot.href) aria-label=(dot.label) tabindex="-1" {
                        title { (dot.label) }
                        path.point d=(format!("M{:.1} {:.1}h0", x(dot.at), axis.y(dot.value))) {}
                    }
                }
            }
            figcaption { (time(from)) (time(to)) }
        }
    }
}

/// A line as SVG writes it. A point that is alone is a short line.
fn path(points: &[(Nanos, f64)], x: &impl Fn(Nanos) -> f64, axis: Axis) -> String {
    use std::fmt::Write;
    let gap = usual_distance(points).saturating_mul(GAP);
    let mut path = String::new();
    let mut last: Option<Nanos> = None;
    let mut is_alone = false;
    for (at, value) in points {
        let follows = last.is_some_and(|last| at - last <= gap);
        if !follows && is_alone {
            path.push_str("h1");
        }
        is_alone = !follows;
        // Writing to a String cannot fail.
        let _ = write!(path, "{}{:.1} {:.1}", if follows { 'L' } else { 'M' }, x(*at), axis.y(*value));
        last = Some(*at);
    }
    if is_alone {
        path.push_str("h1");
    }
    path
}

/// The median distance of points that are not of one moment.
fn usual_distance(points: &[(Nanos, f64)]) -> Nanos {
    let mut distances: Vec<Nanos> =
        points.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|distance| *distance > 0).collect();
    let middle = distances.len() / 2;
    if distances.is_empty() { 0 } else { *distances.select_nth_unstable(middle).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps_around_all_values() {
        for (values, expected) in [
            (&[0.0, 7.3][..], &[8.0, 6.0, 4.0, 2.0, 0.0][..]),
            (&[97.0, 99.0], &[99.0, 98.5, 98.0, 97.5, 97.0]),
            (&[3.0], &[3.0, 2.0, 1.0, 0.0]),
            (&[-4.0, 4.0], &[4.0, 2.0, 0.0, -2.0, -4.0]),
            (&[0.0], &[1.0, 0.75, 0.5, 0.25, 0.0]),
            (&[], &[1.0, 0.75, 0.5, 0.25, 0.0]),
            (&[f64::NAN, f64::INFINITY, 1.0], &[1.0, 0.75, 0.5, 0.25, 0.0]),
        ] {
            let axis = Axis::new(values.iter().copied());
            let ticks: Vec<f64> = axis.ticks().collect();
            assert_eq!(ticks, expected, "{values:?}");
            for value in values.iter().filter(|value| value.is_finite()) {
                assert!((-1e-6..=HEIGHT + 1e-6).contains(&axis.y(*value)), "{values:?}: {value} at {}", axis.y(*value));
            }
        }
    }

    #[test]
    fn lines_break_where_nothing_came_and_dots_lead_on() {
        let line = Line { name: "<b>".to_owned(), points: vec![(0, 0.0), (10, 4.0), (20, 2.0), (90, 4.0), (100, 0.0)] };
        let alone = Line { name: "alone".to_owned(), points: vec![(50, 1.0)] };
        let dot = Dot { at: 50, value: 2.0, href: "/trace/1?a=1&b".to_owned(), label: "\"<i>".to_owned() };
        let drawn = draw(&[line, alone], &[dot], (0, 100), "values", |value| format!("{value}")).into_string();
        assert!(drawn.contains("d=\"M0.0 240.0L100.0 0.0L200.0 120.0M900.0 0.0L1000.0 240.0\""), "{drawn}");
        assert!(drawn.contains("d=\"M500.0 180.0h1\""), "{drawn}");
        assert!(drawn.contains("d=\"M500.0 120.0h0\"") && drawn.contains("/trace/1?a=1&amp;b"), "{drawn}");
        assert!(!drawn.contains("<b>") && !drawn.contains("<i>") && !drawn.contains("style="), "{drawn}");
    }
}
