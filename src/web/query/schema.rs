//! The views and their columns, beside the editor.

use maud::{Markup, html};

use crate::web::sql::Rows;
use crate::web::text::foreign;

/// Columns at most.
pub const MAX: usize = 1000;

/// The statement.
pub const STATEMENT: &str = "SELECT table_name, column_name, data_type\nFROM information_schema.columns\nWHERE table_schema = 'main'\nORDER BY table_name, ordinal_position";

/// A fold for each view.
pub fn list(rows: &Rows) -> Markup {
    let mut views: Vec<(&str, Vec<usize>)> = Vec::new();
    for row in 0..rows.len() {
        let view = rows.text(row, "table_name");
        match views.last_mut() {
            Some((last, columns)) if *last == view => columns.push(row),
            _ => views.push((view, vec![row])),
        }
    }
    html! {
        @for (view, columns) in views {
            details {
                summary { code { (foreign(view, 100)) } }
                ul.plain.columns { @for row in columns { li {
                    code { (foreign(rows.text(row, "column_name"), 100)) } " "
                    span.muted { (foreign(rows.text(row, "data_type"), 40)) }
                } } }
            }
        }
        p.muted { "Ready-made questions: " code { "traces" } ", " code { "trace(id)" } ", " code { "red(from, to)" } ", "
            code { "service_graph(from, to)" } ", " code { "flame(service, type, from, to)" } ", " code { "span_profile(span_id)" } ", "
            code { "exemplars_of(metric, from, to)" } ", " code { "telemetry_volume(from, to)" } }
    }
}
