//! Why a view shows nothing, and what to do about it: nothing has ever come, it is of another time, or the conditions
//! leave nothing.

use maud::{Markup, html};

use super::Site;
use super::layout::empty;
use super::params::Params;
use super::range::{Nanos, Range, SECOND};
use super::sql::quoted;
use super::text::{nanos_of, time};

/// What a view shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items {
    /// Several of them.
    name: &'static str,
    /// The view of the store that they are in, and its column of time.
    rows: (&'static str, &'static str),
    /// The condition in SQL that makes them what they are, if they are some of those rows.
    of: Option<String>,
    /// The parameters that leave some of them out.
    conditions: &'static [&'static str],
    /// How they come.
    senders: &'static str,
}

/// Log records.
pub const LOGS: Items = Items {
    name: "log records",
    rows: ("logs", "time"),
    of: None,
    conditions: &["q", "service", "level", "where", "trace"],
    senders: "Applications send them by OTLP to port 4317 or 4318",
};

/// Spans.
pub const SPANS: Items = Items {
    name: "spans",
    rows: ("spans", "start_time"),
    of: None,
    conditions: &["service", "name", "status", "where", "min", "max"],
    senders: "Applications send them by OTLP to port 4317 or 4318",
};

/// Metrics.
pub const METRICS: Items = Items {
    name: "metrics",
    rows: ("metric_points", "time"),
    of: None,
    conditions: &["find"],
    senders: "Applications send them by OTLP to port 4317 or 4318, Prometheus by remote write to port 9090",
};

/// Samples of profiles.
pub const PROFILES: Items = Items {
    name: "profiles",
    rows: ("profiles", "time"),
    of: None,
    conditions: &["service", "type"],
    senders: "Profilers send them to port 9999, as to Pyroscope, or by OTLP to port 4317 or 4318",
};

impl Items {
    /// The points of one metric.
    pub fn of_metric(metric: &str) -> Self {
        Items {
            name: "points of this metric",
            of: Some(format!("metric = {}", quoted(metric))),
            conditions: &["service", "where"],
            ..METRICS
        }
    }
}

/// When the first and the last that the store has were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    first: Nanos,
    last: Nanos,
}

/// Why there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// There is nothing at all.
    NoneYet,
    /// The time ends before the first.
    Before(Kept),
    /// The time begins after the last.
    After(Kept),
    /// There may be some, and the conditions leave them out.
    Conditions(Kept),
    /// There are some before and after.
    Between(Kept),
    /// The store does not say what it has.
    Unknown,
}

/// The reason why a page that asks for a range, with conditions or without, shows nothing.
fn reason(kept: Option<Option<Kept>>, range: &Range, has_conditions: bool) -> Reason {
    match kept {
        None => Reason::Unknown,
        Some(None) => Reason::NoneYet,
        Some(Some(kept)) if range.to <= kept.first => Reason::Before(kept),
        Some(Some(kept)) if range.from > kept.last => Reason::After(kept),
        Some(Some(kept)) if has_conditions => Reason::Conditions(kept),
        Some(Some(kept)) => Reason::Between(kept),
    }
}

/// What stands in the place of what a page at `path` was asked for and is not there.
pub async fn why(site: &Site, items: &Items, range: &Range, params: &Params, path: &str) -> Markup {
    let (rows, column) = items.rows;
    let of = items.of.as_ref().map(|of| format!("\nWHERE {of}")).unwrap_or_default();
    let statement = format!("SELECT min({column}) AS first, max({column}) AS last\nFROM {rows}{of}");
    let kept = site.rows(&statement, 1).await.ok().map(|rows| {
        let at = |name| nanos_of(rows.text(0, name));
        at("first").zip(at("last")).map(|(first, last)| Kept { first, last })
    });
    let conditions: Vec<&str> = items.conditions.iter().copied().filter(|name| params.get(name).is_some()).collect();
    show(reason(kept, range, !conditions.is_empty()), items, &conditions, (range, params, path))
}

fn show(reason: Reason, items: &Items, conditions: &[&str], (range, params, path): (&Range, &Params, &str)) -> Markup {
    let name = items.name;
    let senders = html! { p { (items.senders) "; " code { "vispyr demo" } " sends those of a make-believe shop." } };
    let at = |from: Nanos, to: Nanos| {
        let others = params.without(&["range", "from", "to", "before", "skip", "row"]);
        others.with("from", from.max(0).to_string()).with("to", to.to_string()).link(path)
    };
    let kept_from_to = |kept: Kept| html! { "Those that are kept are of " (time(kept.first)) " to " (time(kept.last)) };
    let all = |kept: Kept| html! { a href=(at(kept.first, kept.last + 1)) { "Look at all of that time" } };
    match reason {
        Reason::NoneYet => empty(&format!("No {name} have come in yet."), senders),
        Reason::Before(kept) => empty(
            &format!("There are no {name} of this time."),
            html! {
                p { "Kept since " (time(kept.first)) ": older ones have been removed by retention, if there were any." }
                p { a href=(at(kept.first, kept.first.saturating_add(range.length().max(SECOND)))) { "Look at the first that are kept" } }
            },
        ),
        Reason::After(kept) => empty(
            &format!(
                "No {name} have come in since {}.",
                super::range::rfc3339(kept.last).get(..19).unwrap_or_default()
            ),
            html! {
                p { "The last are of " (time(kept.last)) "." }
                p { a href=(at(kept.last + 1 - range.length().max(SECOND), kept.last + 1)) { "Look at the last that have come" } }
            },
        ),
        Reason::Conditions(kept) => empty(
            &format!("There are no {name} like that in this time."),
            html! {
                p { a href=(params.without(conditions).without(&["before", "skip", "row"]).link(path)) { "Leave out all conditions" }
                    ", or take a longer time range. " (kept_from_to(kept)) "." }
                p { (all(kept)) }
            },
        ),
        Reason::Between(kept) => {
            empty(&format!("There are no {name} of this time."), html! { p { (kept_from_to(kept)) ". " (all(kept)) } })
        }
        Reason::Unknown => empty(
            &format!("There are no {name} like that in this time."),
            html! { p { "Take a longer time range or fewer conditions." } (senders) },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Nanos, to: Nanos) -> Range {
        Range { from: from * SECOND, to: to * SECOND, last: None, problem: None }
    }

    #[test]
    fn each_reason_by_what_is_kept() {
        let kept = Kept { first: 100 * SECOND, last: 200 * SECOND };
        let is = |from, to, has_conditions| reason(Some(Some(kept)), &range(from, to), has_conditions);
        assert_eq!((is(10, 100, true), is(10, 100, false)), (Reason::Before(kept), Reason::Before(kept)));
        assert_eq!(is(201, 300, true), Reason::After(kept));
        // The first and the last are of the range.
        assert_eq!((is(99, 101, true), is(200, 300, true)), (Reason::Conditions(kept), Reason::Conditions(kept)));
        assert_eq!(is(120, 130, false), Reason::Between(kept));
        assert_eq!(reason(Some(None), &range(0, 1), true), Reason::NoneYet);
        assert_eq!(reason(None, &range(0, 1), true), Reason::Unknown);
    }

    #[test]
    fn the_way_out_keeps_what_is_no_condition() {
        let params = Params::parse("range=5m&service=a&where=b%3Dc&zone=utc&skip=50&order=slowest");
        let range = range(150, 160);
        let kept = Kept { first: 100 * SECOND, last: 200 * SECOND };
        let text = |reason| show(reason, &SPANS, &["service", "where"], (&range, &params, "/traces")).into_string();
        let conditions = text(Reason::Conditions(kept));
        assert!(conditions.contains("href=\"/traces?range=5m&amp;zone=utc&amp;order=slowest\""), "{conditions}");
        let all = "href=\"/traces?service=a&amp;where=b%3Dc&amp;zone=utc&amp;order=slowest&amp;from=100000000000&amp;to=200000000001\"";
        assert!(conditions.contains(all), "{conditions}");
        let before = text(Reason::Before(kept));
        assert!(before.contains("Kept since") && before.contains("from=100000000000&amp;to=110000000000"), "{before}");
        let after = text(Reason::After(kept));
        assert!(
            after.contains("since 1970-01-01T00:03:20") && after.contains("from=190000000001&amp;to=200000000001"),
            "{after}"
        );
        assert!(
            text(Reason::NoneYet).contains("port 4317") && text(Reason::NoneYet).contains("No spans have come in yet")
        );
    }
}
