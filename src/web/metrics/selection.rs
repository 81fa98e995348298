//! What is asked of one metric.

use maud::{Markup, html};

use super::PATH;
use super::facts::{Facts, Kind};
use crate::web::layout::choice;
use crate::web::params::Params;
use crate::web::sql::{Rows, attributes, identifier, quoted};

/// Series that are drawn one by one unless a group was asked for.
const SINGLE: u64 = 20;

/// What becomes of the series of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// Each is a line.
    Each,
    /// They are added.
    Sum,
    /// Their mean.
    Mean,
    /// The greatest of them.
    Greatest,
    /// The least of them.
    Least,
}

const AGGREGATIONS: [(Aggregation, &str, &str); 5] = [
    (Aggregation::Each, "each", "each series"),
    (Aggregation::Sum, "sum", "sum"),
    (Aggregation::Mean, "mean", "mean"),
    (Aggregation::Greatest, "max", "greatest"),
    (Aggregation::Least, "min", "least"),
];

/// The quantiles to choose from.
const QUANTILES: [&str; 6] = ["0.5", "0.75", "0.9", "0.95", "0.99", "0.999"];

/// A page's parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The metric.
    pub metric: String,
    /// Of this service.
    pub service: Option<String>,
    /// With these labels.
    pub labels: Vec<(String, String)>,
    /// A line for each value of this label; `service` is the service.
    pub by: Option<String>,
    /// The quantile of a group of histograms.
    pub quantile: f64,
    aggregation: Option<Aggregation>,
    rate: Option<bool>,
    /// What of it makes no sense.
    problems: Vec<String>,
}

impl Selection {
    /// What a page's parameters ask for; nothing if they name no metric.
    pub fn read(params: &Params) -> Option<Self> {
        let mut problems = Vec::new();
        let aggregation = params.get("agg").and_then(|wanted| {
            let found = AGGREGATIONS.iter().find(|(_, name, _)| *name == wanted).map(|(of, _, _)| *of);
            if found.is_none() {
                problems.push(format!("there is no way {wanted:?} to put series together"));
            }
            found
        });
        let quantile = params.get("q").map(|text| text.parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q)));
        if quantile == Some(None) {
            problems.push("a quantile is a number from 0 to 1".to_owned());
        }
        Some(Selection {
            metric: params.get("metric")?.to_owned(),
            service: params.get("service").map(str::to_owned),
            labels: attributes(params, &mut problems),
            by: params.get("by").map(str::to_owned),
            quantile: quantile.flatten().unwrap_or(0.95),
            aggregation,
            rate: match params.get("show") {
                Some("rate") => Some(true),
                Some("value") => Some(false),
                _ => None,
            },
            problems,
        })
    }

    /// The conditions on the view `series`.
    pub fn series_conditions(&self) -> String {
        let mut all = vec![format!("metric = {}", quoted(&self.metric))];
        all.extend(self.service.as_ref().map(|service| format!("service_name = {}", quoted(service))));
        let label = |(key, value): &(String, String)| format!("labels.{} = {}", identifier(key), quoted(value));
        all.extend(self.labels.iter().map(label));
        all.join("\n    AND ")
    }

    /// The group of a series, over the view `series`; nothing if all are one.
    pub fn group(&self) -> Option<String> {
        self.by.as_ref().map(|by| match by.as_str() {
            "service" => "coalesce(service_name, '')".to_owned(),
            by => format!("coalesce(labels.{}::VARCHAR, '')", identifier(by)),
        })
    }

    /// What becomes of the series.
    pub fn aggregation(&self, facts: &Facts) -> Aggregation {
        self.aggregation.unwrap_or(match self.by.is_none() && facts.series <= SINGLE {
            true => Aggregation::Each,
            false if self.is_rate(facts) => Aggregation::Sum,
            false => Aggregation::Mean,
        })
    }

    /// Whether the growth a second is shown instead of the value: of what only grows, unless the value was asked for.
    pub fn is_rate(&self, facts: &Facts) -> bool {
        match facts.kind {
            Some(Kind::Number { is_counter, is_delta }) => is_delta || self.rate.unwrap_or(is_counter),
            _ => false,
        }
    }

    /// How series are put together, in words.
    pub fn grouping(&self, facts: &Facts) -> String {
        let aggregation = self.aggregation(facts);
        let name = AGGREGATIONS.iter().find(|(of, _, _)| *of == aggregation).map_or("", |(_, _, title)| *title);
        match &self.by {
            Some(by) if aggregation != Aggregation::Each => format!("{name} by {}", crate::web::text::cut(by, 60)),
            _ => name.to_owned(),
        }
    }
}

/// The form.
pub fn form(selection: &Selection, facts: &Facts, labels: Option<&Rows>, params: &Params) -> Markup {
    let rest = params.only(&["range", "from", "to", "zone", "metric"]);
    let mut keys: Vec<&str> = vec!["service"];
    if let Some(rows) = labels {
        keys.extend((0..rows.len()).map(|row| rows.text(row, "key")));
    }
    keys.dedup();
    let aggregation = selection.aggregation(facts);
    let is_rate = selection.is_rate(facts);
    html! {
        form.filters method="get" action=(PATH) role="search" aria-label="What of the metric is shown" {
            @for (name, value) in rest.pairs() { input type="hidden" name=(name) value=(value); }
            label { span { "Service" } input name="service" placeholder="all services" value=[selection.service.as_deref()]; }
            @for (key, value) in &selection.labels {
                label { span { "Label" } input name="where" value=(format!("{key} = {value}")); }
            }
            label { span { "Label" } input name="where" placeholder="http.route = /cart" data-search; }
            label { span { "Group by" } (choice("by", selection.by.as_deref(), &keys, "nothing")) }
            @match facts.kind {
                Some(Kind::Histogram | Kind::Buckets) => {
                    label { span { "Quantile of a group" } select name="q" {
                        @for q in QUANTILES { option value=(q) selected[q.parse() == Ok(selection.quantile)] { (q) } }
                    } }
                }
                Some(Kind::Number { is_delta, .. }) => {
                    label { span { "Series" } select name="agg" {
                        @for (of, name, title) in AGGREGATIONS { option value=(name) selected[of == aggregation] { (title) } }
                    } }
                    @if !is_delta { label { span { "Show" } select name="show" {
                        option value="value" selected[!is_rate] { "value" }
                        option value="rate" selected[is_rate] { "rate" }
                    } } }
                }
                _ => {}
            }
            button { "Show" }
            a href=(params.kept().and("metric", selection.metric.as_str()).link(PATH)) { "Clear" }
        }
        @for problem in &selection.problems { p.problem role="alert" { (problem) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_what_was_asked_for_and_nothing_more() {
        assert_eq!(Selection::read(&Params::parse("service=x")), None);
        let query = "metric=it%27s&service=a&where=http.route+%3D+%2F%27&where=x&by=a%22b&agg=odd&q=2";
        let selection = Selection::read(&Params::parse(query)).unwrap();
        assert_eq!(
            selection.series_conditions(),
            "metric = 'it''s'\n    AND service_name = 'a'\n    AND labels.\"http.route\" = '/'''"
        );
        assert_eq!(selection.group().unwrap(), "coalesce(labels.\"a\"\"b\"::VARCHAR, '')");
        assert_eq!((selection.problems.len(), selection.quantile), (3, 0.95));
    }

    #[test]
    fn many_series_are_put_together() {
        let of = |query: &str, series, kind| {
            let selection = Selection::read(&Params::parse(query)).unwrap();
            selection.grouping(&Facts { series, kind: Some(kind), ..Facts::default() })
        };
        let gauge = Kind::Number { is_counter: false, is_delta: false };
        let counter = Kind::Number { is_counter: true, is_delta: false };
        assert_eq!(of("metric=m", 3, gauge), "each series");
        assert_eq!(of("metric=m", 300, gauge), "mean");
        assert_eq!(of("metric=m", 300, counter), "sum");
        assert_eq!(of("metric=m&by=service", 3, counter), "sum by service");
        assert_eq!(of("metric=m&show=value&by=service", 3, counter), "mean by service");
        assert_eq!(of("metric=m&agg=max", 3, counter), "greatest");
    }
}
