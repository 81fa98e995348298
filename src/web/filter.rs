//! What the searches of several views have alike: a service, attributes, and the form around them.

use maud::{Markup, html};

use super::params::Params;
use super::range::Range;
use super::sql::{attribute, attributes, quoted};

/// The conditions that logs and spans have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// Of this service.
    pub service: Option<String>,
    /// With these attributes.
    pub attributes: Vec<(String, String)>,
    /// What of the parameters makes no sense.
    pub problems: Vec<String>,
}

impl Common {
    /// What a page's parameters ask for.
    pub fn read(params: &Params) -> Self {
        let mut problems = Vec::new();
        let attributes = attributes(params, &mut problems);
        Common { service: params.get("service").map(str::to_owned), attributes, problems }
    }

    /// The conditions in SQL; `time` is the column of the range.
    pub fn conditions(&self, range: &Range, time: &str) -> Vec<String> {
        let mut all = vec![range.condition(time)];
        all.extend(self.service.as_ref().map(|service| format!("service_name = {}", quoted(service))));
        all.extend(self.attributes.iter().map(attribute));
        all
    }
}

/// A form of conditions, which leads to the page that it is on. `rest` are the parameters that stay.
pub fn form(path: &str, label: &str, rest: &Params, clear: &Params, fields: &Markup) -> Markup {
    html! {
        form.filters method="get" action=(path) role="search" aria-label=(label) {
            @for (name, value) in rest.pairs() { input type="hidden" name=(name) value=(value); }
            (fields)
            button { "Search" }
            a href=(clear.link(path)) { "Clear" }
        }
    }
}

/// Fields for the attributes that are asked for, and for one more.
pub fn attribute_fields(name: &str, attributes: &[(String, String)], is_search: bool) -> Markup {
    html! {
        @for (key, value) in attributes {
            label { span { (name) } input name="where" value=(format!("{key} = {value}")); }
        }
        label { span { (name) } input name="where" placeholder="http.route = /cart" data-search[is_search]; }
    }
}

/// What makes no sense.
pub fn problems(problems: &[String]) -> Markup {
    html! { @for problem in problems { p.problem role="alert" { (problem) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_attributes_stay_in_the_form() {
        let common = Common::read(&Params::parse("where=a+%3D+1&where=b+%3D+%3Ci%3E&where=c&service=it%27s"));
        assert_eq!(common.problems.len(), 1);
        let range = Range { from: 0, to: 1, last: None, problem: None };
        assert_eq!(
            common.conditions(&range, "time")[1..],
            ["service_name = 'it''s'", "attributes.\"a\" = '1'", "attributes.\"b\" = '<i>'"]
        );
        let fields = attribute_fields("Attribute", &common.attributes, true).into_string();
        assert_eq!(fields.matches("name=\"where\"").count(), 3);
        assert!(fields.contains("b = &lt;i&gt;") && !fields.contains("<i>"), "{fields}");
    }
}
