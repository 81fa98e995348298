//! Spans of a trace by service and name.

use maud::{Markup, html};

use crate::web::layout::failed;
use crate::web::sql::{AskError, Rows, quoted};
use crate::web::text::{duration, foreign};

/// Groups at most.
pub const MAX: usize = 200;

/// The statement.
pub fn sql(id: &str) -> String {
    format!(
        "SELECT service_name, name, count(*) AS spans, count(*) FILTER (WHERE status_code = 'error') AS errors,\n  \
         sum(duration_ns)::BIGINT AS total_ns, max(duration_ns) AS longest_ns\nFROM (\n  \
         SELECT DISTINCT ON (coalesce(span_id, uuid()::VARCHAR), kind, start_time) *\n  FROM spans\n  WHERE trace_id = {}\n) AS s\n\
         GROUP BY ALL\nORDER BY total_ns DESC NULLS LAST, service_name, name\nLIMIT {MAX}",
        quoted(id)
    )
}

/// The table.
pub fn show(groups: &Result<Rows, AskError>) -> Markup {
    let rows = match groups {
        Ok(rows) => rows,
        Err(error) => return failed(error),
    };
    let time = |row, name| rows.whole(row, name).map_or_else(|| "–".to_owned(), |nanos| duration(nanos as f64));
    html! {
        section aria-labelledby="statistics" {
            h2 #statistics { "Statistics" }
            div.scroll tabindex="0" role="region" aria-label="Spans by service and name" { table {
                thead { tr { th scope="col" { "Service" } th scope="col" { "Span" } th.n scope="col" { "Spans" }
                    th.n scope="col" { "Errors" } th.n scope="col" { "Total" } th.n scope="col" { "Longest" } } }
                tbody { @for row in 0..rows.len() { tr {
                    td { (foreign(rows.text(row, "service_name"), 60)) } td { (foreign(rows.text(row, "name"), 100)) }
                    td.n { (rows.whole(row, "spans").unwrap_or(0)) } td.n { (rows.whole(row, "errors").unwrap_or(0)) }
                    td.n { (time(row, "total_ns")) } td.n { (time(row, "longest_ns")) }
                } } }
            } }
        }
    }
}
