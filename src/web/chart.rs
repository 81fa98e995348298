//! Charts as SVG, made here: no style but classes, so that the content security policy need not allow any.

pub mod lines;

use maud::{Markup, html};

/// A line of values without axes, for a row or a box. The greatest value is its height.
pub fn sparkline(values: &[f64], (width, height): (u32, u32), label: &str) -> Markup {
    let most = values.iter().copied().fold(0.0_f64, f64::max);
    let points = line_points(values, most, (f64::from(width), f64::from(height)));
    html! {
        svg.sparkline width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(label) {
            @if !points.is_empty() {
                polygon.area points={ "0," (height) " " (points) " " (width) "," (height) } {}
                polyline.line points=(points) {}
            }
        }
    }
}

/// The same as a part of another picture, at a place in it.
pub fn line_in(values: &[f64], (x, y): (f64, f64), size: (f64, f64)) -> Markup {
    let most = values.iter().copied().fold(0.0_f64, f64::max);
    let points = line_points(values, most, size);
    html! {
        @if !points.is_empty() {
            g transform={ "translate(" (x) " " (y) ")" } { polyline.line points=(points) {} }
        }
    }
}

fn line_points(values: &[f64], most: f64, (width, height): (f64, f64)) -> String {
    if values.len() < 2 {
        return String::new();
    }
    let step = width / (values.len() - 1) as f64;
    let y = |value: f64| if most > 0.0 { height - 1.0 - value.max(0.0) / most * (height - 2.0) } else { height - 1.0 };
    let points = values.iter().enumerate().map(|(n, value)| format!("{:.1},{:.1}", n as f64 * step, y(*value)));
    points.collect::<Vec<_>>().join(" ")
}

/// A column of a histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bar {
    /// What it is of, for its title.
    pub label: String,
    /// Its parts from below, each with a class of the style sheet.
    pub parts: Vec<(&'static str, f64)>,
    /// Where it leads.
    pub href: Option<String>,
}

/// A histogram over time. `range` is what it covers, for the script that lets a person draw a range on it.
pub fn histogram(bars: &[Bar], height: u32, label: &str, range: (i64, i64)) -> Markup {
    const WIDTH: f64 = 1000.0;
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, value)| value).sum::<f64>();
    let most = bars.iter().map(sum).fold(0.0_f64, f64::max);
    let step = WIDTH / bars.len().max(1) as f64;
    let scale = if most > 0.0 { f64::from(height) / most } else { 0.0 };
    html! {
        figure.histogram {
            svg viewBox={ "0 0 1000 " (height) } preserveAspectRatio="none" role="group" aria-label=(label)
                data-from=(range.0) data-to=(range.1) {
                @for (n, bar) in bars.iter().enumerate() {
                    @let x = n as f64 * step;
                    @let inner = bar_parts(bar, (x, step), (f64::from(height), scale));
                    @match &bar.href {
                        Some(href) if sum(bar) > 0.0 => a href=(href) aria-label=(bar.label) { (inner) },
                        _ => g { (inner) },
                    }
                }
            }
            figcaption {
                (super::text::time(range.0)) span { "at most " (super::text::number(most)) " a column" }
                (super::text::time(range.1))
            }
        }
    }
}

fn bar_parts(bar: &Bar, (x, step): (f64, f64), (height, scale): (f64, f64)) -> Markup {
    let mut top = height;
    html! {
        title { (bar.label) }
        rect.hover x=(format!("{x:.2}")) y="0" width=(format!("{step:.2}")) height=(height) {}
        @for (class, value) in &bar.parts {
            @let tall = if *value > 0.0 { (value * scale).max(1.0) } else { 0.0 };
            ({ top -= tall; "" })
            @if tall > 0.0 {
                rect class=(class) x=(format!("{:.2}", x + step * 0.08)) y=(format!("{:.2}", top.max(0.0)))
                    width=(format!("{:.2}", step * 0.84)) height=(format!("{tall:.2}")) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fills_its_box() {
        assert_eq!(line_points(&[0.0, 5.0, 10.0], 10.0, (100.0, 22.0)), "0.0,21.0 50.0,11.0 100.0,1.0");
        assert_eq!(line_points(&[0.0, 0.0], 0.0, (10.0, 10.0)), "0.0,9.0 10.0,9.0");
        assert_eq!(line_points(&[1.0], 1.0, (10.0, 10.0)), "");
        assert!(!sparkline(&[], (80, 20), "nothing yet").into_string().contains("polyline"));
    }

    #[test]
    fn columns_stand_on_each_other() {
        let bar = |values: [f64; 2]| Bar {
            label: "<b>".to_owned(),
            parts: vec![("level-info", values[0]), ("level-error", values[1])],
            href: Some("/logs?a=1&b".to_owned()),
        };
        let drawn = histogram(&[bar([30.0, 10.0]), bar([0.0, 0.0])], 40, "records", (0, 9)).into_string();
        assert!(
            drawn.contains("class=\"level-info\" x=\"40.00\" y=\"10.00\" width=\"420.00\" height=\"30.00\""),
            "{drawn}"
        );
        assert!(
            drawn.contains("class=\"level-error\" x=\"40.00\" y=\"0.00\" width=\"420.00\" height=\"10.00\""),
            "{drawn}"
        );
        assert!(!drawn.contains("<b>") && !drawn.contains("style="), "{drawn}");
        assert_eq!(drawn.matches("<a ").count(), 1, "an empty column leads nowhere: {drawn}");
    }
}
