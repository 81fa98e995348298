//! The most frequent keys of attributes with their most frequent values: each value is a condition.
//!
//! They are counted among a bounded number of the spans that are found: attributes are the largest part of a span.

use maud::{Markup, html};

use super::super::filter::Filter;
use crate::web::params::Params;
use crate::web::range::Range;
use crate::web::sql::{Rows, SAME_SPAN};
use crate::web::text::{foreign, whole};

/// Spans that are looked at.
const LOOKED_AT: usize = 2_000;

/// Keys that are listed.
const KEYS: usize = 9;

/// Values of a key.
const VALUES: usize = 6;

/// Characters of a key or a value; a longer one is no condition that fits into an address.
const LONGEST: usize = 200;

/// Rows of an answer.
pub const MAX: usize = KEYS * VALUES;

/// The statement. Keys whose values are all different, such as ids, come last. What a condition could not be written
/// of is left out: lists, and keys with a sign of equality.
pub fn sql(filter: &Filter, range: &Range) -> String {
    format!(
        "WITH found AS (\n  SELECT any_value(attributes)::JSON AS attributes\n  FROM (SELECT {SAME_SPAN} AS id, attributes FROM spans WHERE {} LIMIT {LOOKED_AT}) AS s\n  GROUP BY id\n),\n\
         pairs AS (\n  SELECT unnest(map_entries(attributes::MAP(VARCHAR, VARCHAR)), recursive := true)\n  FROM found\n),\n\
         counted AS (\n  SELECT key, value, count(*) AS spans, sum(count(*)) OVER of_key AS of_key,\n    \
         count(*) OVER of_key AS different\n  FROM pairs\n  \
         WHERE length(key) <= {LONGEST} AND length(value) <= {LONGEST} AND value = trim(value) AND key = trim(key)\n    \
         AND NOT contains(key, '=') AND value[1] NOT IN ('[', '{{')\n  GROUP BY key, value\n  \
         WINDOW of_key AS (PARTITION BY key)\n)\n\
         SELECT key, value, spans, (SELECT count(*) FROM found) AS looked_at\nFROM counted\n\
         QUALIFY dense_rank() OVER (ORDER BY different = of_key AND of_key > {VALUES}, of_key DESC, key) <= {KEYS}\n  \
         AND row_number() OVER (PARTITION BY key ORDER BY spans DESC, value) <= {VALUES}\n\
         ORDER BY different = of_key AND of_key > {VALUES}, of_key DESC, key, spans DESC, value",
        filter.conditions(range),
    )
}

/// The lists.
pub fn show(rows: &Rows, params: &Params) -> Markup {
    let mut keys: Vec<(&str, Vec<usize>)> = Vec::new();
    for row in 0..rows.len() {
        let key = rows.text(row, "key");
        match keys.last_mut().filter(|(last, _)| *last == key) {
            Some((_, values)) => values.push(row),
            None => keys.push((key, vec![row])),
        }
    }
    let looked_at = rows.whole(0, "looked_at").unwrap_or(0);
    html! {
        @if !keys.is_empty() { details.attributes open[params.get("where").is_some()] {
            summary { "Attributes" @if looked_at >= LOOKED_AT as i64 { span.muted { " of " (whole(looked_at)) " of these spans" } } }
            div.facets { @for (key, values) in &keys {
                section aria-label={ "Attribute " (key) } {
                    h2 { code { (foreign(key, 60)) } }
                    ul.plain { @for row in values { (value(rows, *row, key, params)) } }
                }
            } }
        } }
    }
}

fn value(rows: &Rows, row: usize, key: &str, params: &Params) -> Markup {
    let text = rows.text(row, "value");
    let condition = format!("{key} = {text}");
    let same = |of: &str| of.split_once('=').is_some_and(|(k, v)| k.trim() == key && v.trim() == text);
    let is_chosen = params.all("where").any(same);
    let link = if is_chosen {
        let others = params.all("where").filter(|of| !same(of)).map(str::to_owned).collect::<Vec<_>>();
        others.into_iter().fold(params.without(&["skip", "where"]), |params, of| params.and("where", of))
    } else {
        params.without(&["skip"]).and("where", condition)
    };
    html! { li {
        a href=(link.link("/traces")) aria-current=[is_chosen.then_some("true")] {
            @if text.is_empty() { em { "empty" } } @else { (foreign(text, 60)) } }
        " " span.muted { (whole(rows.whole(row, "spans").unwrap_or(0))) @if is_chosen { " · all" } }
    } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_condition_more_and_back() {
        let rows: Rows = serde_json::from_str(
            r#"{"columns":[{"name":"key"},{"name":"value"},{"name":"spans"},{"name":"looked_at"}],
                "rows":[["a","1",9,10],["a","<i>",2,10],["b","",1,10]]}"#,
        )
        .unwrap();
        let text = show(&rows, &Params::parse("where=x+%3D+y&where=a%3D1&skip=50")).into_string();
        for expected in [
            "<a href=\"/traces?where=x+%3D+y\" aria-current=\"true\"><bdi>1</bdi></a>",
            "<a href=\"/traces?where=x+%3D+y&amp;where=a%3D1&amp;where=a+%3D+%3Ci%3E\"><bdi>&lt;i&gt;</bdi></a>",
            "<em>empty</em>",
        ] {
            assert!(text.contains(expected), "no {expected} in {text}");
        }
        assert_eq!(text.matches("<section").count(), 2, "{text}");
        assert!(!text.contains("of these spans"), "all were looked at: {text}");
    }
}
