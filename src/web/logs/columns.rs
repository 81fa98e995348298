//! Columns of the list that somebody chose: attributes of the records, or of their resources.

use maud::{Markup, html};

use crate::web::params::Params;
use crate::web::sql::{Rows, identifier};
use crate::web::text::{cell, foreign};

/// Columns at most.
const MAX: usize = 8;

/// Characters of a value.
const VALUE: usize = 200;

/// The keys, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(Vec<String>);

impl Columns {
    /// What a page's parameters ask for, as `columns=http.route, user.id`.
    pub fn read(params: &Params) -> Self {
        let mut keys: Vec<String> = Vec::new();
        for key in params.get("columns").unwrap_or_default().split(',').map(str::trim).filter(|key| !key.is_empty()) {
            if keys.len() < MAX && !keys.iter().any(|known| known == key) {
                keys.push(key.to_owned());
            }
        }
        Columns(keys)
    }

    /// The columns in SQL, each after a comma.
    pub fn sql(&self) -> String {
        let column = |(n, key): (usize, &String)| {
            let key = identifier(key);
            format!(",\n  left(coalesce(attributes.{key}::VARCHAR, resource.{key}::VARCHAR), {VALUE}) AS column_{n}")
        };
        self.0.iter().enumerate().map(column).collect()
    }

    /// The cells of the head.
    pub fn head(&self) -> Markup {
        html! { @for key in &self.0 { th scope="col" { (foreign(key, 60)) } } }
    }

    /// The cells of a row.
    pub fn cells(&self, rows: &Rows, row: usize) -> Markup {
        html! { @for n in 0..self.0.len() {
            td { @if let Some(value) = cell(rows.cell(row, &format!("column_{n}"))) { (foreign(&value, VALUE)) } }
        } }
    }
}

/// The field of the form.
pub fn field(params: &Params) -> Markup {
    html! { label { span { "Columns" } input name="columns" placeholder="http.route, user.id" value=[params.get("columns")]; } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_there_once() {
        let columns = Columns::read(&Params::parse("columns=a.b,+it%22s,,a.b+"));
        assert_eq!(columns.0, ["a.b", "it\"s"]);
        assert!(
            columns.sql().contains("attributes.\"it\"\"s\"::VARCHAR") && columns.sql().contains("AS column_1"),
            "{}",
            columns.sql()
        );
        assert_eq!(Columns::read(&Params::parse("columns=1,2,3,4,5,6,7,8,9")).0.len(), MAX);
        assert_eq!(Columns::default().sql(), "");
    }
}
