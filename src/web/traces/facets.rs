//! How many of the spans that are found are of which service, name and status, and [`attributes`]: each leads to those
//! alone.

pub mod attributes;

use maud::{Markup, html};

use super::filter::Filter;
use crate::web::params::Params;
use crate::web::range::Range;
use crate::web::sql::{Rows, SAME_SPAN};
use crate::web::text::{foreign, whole};

/// Values of a facet.
const VALUES: usize = 8;

/// The facets: column, parameter, title.
const FACETS: [(&str, &str, &str); 3] =
    [("service_name", "service", "Services"), ("name", "name", "Spans"), ("status_code", "status", "Status")];

/// Rows of an answer.
pub const MAX: usize = VALUES * FACETS.len();

/// The statement. Spans that came twice count once.
pub fn sql(filter: &Filter, range: &Range) -> String {
    let columns = FACETS.map(|(column, _, _)| column);
    format!(
        "SELECT {0}, grouping({0}) AS facet, count(*) AS spans\nFROM (\n  \
         SELECT DISTINCT {SAME_SPAN} AS id, service_name, left(name, 200) AS name, status_code\n  FROM spans\n  WHERE {1}\n) AS s\n\
         GROUP BY GROUPING SETS (({2}))\n\
         QUALIFY row_number() OVER (PARTITION BY facet ORDER BY spans DESC, {0}) <= {VALUES}\nORDER BY facet, spans DESC, {0}",
        columns.join(", "),
        filter.conditions(range),
        columns.join("), ("),
    )
}

/// The lists.
pub fn show(rows: &Rows, params: &Params) -> Markup {
    // `grouping` has a bit for each column that is not grouped by, the first column's the highest.
    let of = |place: usize| {
        let all = (1 << FACETS.len()) - 1;
        let bits = all - (1_i64 << (FACETS.len() - 1 - place));
        (0..rows.len()).filter(move |row| rows.whole(*row, "facet") == Some(bits))
    };
    html! {
        @if !rows.is_empty() { div.facets {
            @for (place, (column, parameter, title)) in FACETS.into_iter().enumerate() {
                section aria-label=(title) {
                    h2 { (title) }
                    ul.plain { @for row in of(place) { (value(rows, row, (column, parameter), params)) } }
                }
            }
        } }
    }
}

fn value(rows: &Rows, row: usize, (column, parameter): (&str, &str), params: &Params) -> Markup {
    let value = rows.text(row, column);
    let is_chosen = params.get(parameter) == Some(value);
    let link =
        if is_chosen { params.without(&[parameter, "skip"]) } else { params.without(&["skip"]).with(parameter, value) };
    // Only errors can be asked for by status, and nothing that has no name.
    let leads = !value.is_empty() && (parameter != "status" || value == "error");
    html! { li {
        @if leads { a href=(link.link("/traces")) aria-current=[is_chosen.then_some("true")] { (foreign(value, 80)) } }
        @else if value.is_empty() { em { "no name" } } @else { (foreign(value, 80)) }
        " " span.muted { (whole(rows.whole(row, "spans").unwrap_or(0))) @if is_chosen { " · all" } }
    } }
}
