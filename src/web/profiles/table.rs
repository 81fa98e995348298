//! Functions by what they took themselves and in total.

use maud::{Markup, html};

use super::PATH;
use super::tree::{Taken, Tree};
use crate::web::params::Params;
use crate::web::text::{bytes, duration, foreign, number, whole};

/// Functions that are listed.
const SHOWN: usize = 100;

/// A value of a profile.
pub fn amount(value: i64, unit: &str) -> String {
    match unit {
        _ if value == 0 => "0".to_owned(),
        "nanoseconds" => duration(value as f64),
        "microseconds" => duration(value as f64 * 1e3),
        "bytes" if value >= 0 => bytes(value.unsigned_abs()),
        _ => whole(value),
    }
}

/// A share.
pub fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// The table.
pub fn draw(tree: &Tree, unit: &str, is_compared: bool, params: &Params) -> Markup {
    let find = params.get("find").map(str::to_lowercase);
    let by_total = params.get("order") == Some("total");
    let mut functions: Vec<(&str, Taken)> = tree.functions().into_iter().collect();
    functions.retain(|(name, _)| find.as_ref().is_none_or(|find| name.to_lowercase().contains(find)));
    let key = |taken: &Taken| if by_total { taken.total } else { taken.own };
    functions.sort_by(|(a, of_a), (b, of_b)| key(of_b).cmp(&key(of_a)).then(a.cmp(b)));
    let share = |value: i64, side: usize| value as f64 / tree.total(side).max(1) as f64;
    let head = |name: &str, order: &str, is_order: bool| {
        html! { th.n scope="col" aria-sort=[is_order.then_some("descending")] {
        @if is_order { (name) } @else { a href=(params.with("order", order).link(PATH)) data-replace { (name) } } } }
    };
    html! {
        section aria-labelledby="functions" {
            h2 #functions { "Functions" }
            @if functions.is_empty() { p { "No function has such a name." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Table of functions" { table {
                    thead { tr { th scope="col" { "Function" } (head("Self", "", !by_total)) th.n scope="col" { "of all" }
                        (head("Total", "total", by_total)) th.n scope="col" { "of all" }
                        @if is_compared { th.n scope="col" { "Self before" } th.n scope="col" { "Change, % points" } } } }
                    tbody { @for (name, taken) in functions.iter().take(SHOWN) { tr data-row {
                        td { a href=(params.without(&["frame"]).with("function", *name).link(PATH)) { (foreign(name, 200)) } }
                        td.n { (amount(taken.own[0], unit)) } td.n { (percent(share(taken.own[0], 0))) }
                        td.n { (amount(taken.total[0], unit)) } td.n { (percent(share(taken.total[0], 0))) }
                        @if is_compared {
                            td.n { (amount(taken.own[1], unit)) }
                            td.n { (change(share(taken.own[0], 0) - share(taken.own[1], 1))) }
                        }
                    } } }
                } }
                @if functions.len() > SHOWN { p.muted { "The first " (SHOWN) " of " (whole(functions.len() as i64)) "." } }
            }
        }
    }
}

/// How much a share has grown, in points of a hundred.
fn change(share: f64) -> String {
    let points = share * 100.0;
    match points {
        points if points.abs() < 0.005 => "0".to_owned(),
        points if points > 0.0 => format!("+{points:.2}"),
        points => format!("−{:.2}", points.abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_units() {
        assert_eq!(amount(1_500_000, "nanoseconds"), "1.5 ms");
        assert_eq!(amount(2048, "bytes"), "2.0 KiB");
        assert_eq!(amount(12_345, "count"), "12\u{202f}345");
        assert_eq!((change(0.05), change(-0.001), change(0.0)), ("+5.00".into(), "−0.10".into(), "0".to_owned()));
    }
}
