//! The query of a page's address: the state of a view.

use std::fmt::Write;

/// What goes along from view to view.
const KEPT: [&str; 4] = ["range", "from", "to", "zone"];

/// The parameters of a page in their order. What is given twice counts by its first value, unless it is a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Those of a query, or of a form.
    pub fn parse(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Params(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first value of a parameter, without the blanks around it; nothing if that is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(of, _)| of == name)?;
        Some(found.1.trim()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter that are not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(of, _)| of == name).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Those that go along to another view: the time range and the zone.
    pub fn kept(&self) -> Params {
        self.only(&KEPT)
    }

    /// Those with these names.
    pub fn only(&self, names: &[&str]) -> Params {
        let wanted = |pair: &&(String, String)| names.contains(&pair.0.as_str()) && !pair.1.trim().is_empty();
        Params(self.0.iter().filter(wanted).cloned().collect())
    }

    /// All but those with these names.
    pub fn without(&self, names: &[&str]) -> Params {
        Params(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
    }

    /// With another value of a parameter, in the place of all that it has.
    pub fn with(&self, name: &str, value: impl Into<String>) -> Params {
        self.without(&[name]).and(name, value)
    }

    /// With one value more.
    pub fn and(mut self, name: &str, value: impl Into<String>) -> Params {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The names and values, for hidden fields of a form.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The address of `path` with these parameters.
    pub fn link(&self, path: &str) -> String {
        let mut link = path.to_owned();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(_, value)| !value.is_empty()));
        let query = query.finish();
        if !query.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(link, "?{query}");
        }
        link
    }
}

/// One segment of a path, encoded.
pub fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => encoded.push(char::from(byte)),
            // A segment of dots alone would be a step in the tree.
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_view_goes_into_its_links() {
        let params = Params::parse("range=1h&service=a%26b&where=x%3D1&where=y&zone=utc&empty=");
        assert_eq!(params.get("service"), Some("a&b"));
        assert_eq!(params.get("empty"), None);
        assert_eq!(params.all("where").collect::<Vec<_>>(), ["x=1", "y"]);
        assert_eq!(params.kept().link("/logs"), "/logs?range=1h&zone=utc");
        assert_eq!(params.kept().with("range", "5m").link("/"), "/?zone=utc&range=5m");
        assert_eq!(params.without(&["where", "range", "zone"]).link("/x"), "/x?service=a%26b");
        assert_eq!(Params::default().link("/x"), "/x");
        assert_eq!(Params::parse(&params.link("")[1..]).get("service"), Some("a&b"));
    }

    #[test]
    fn a_segment_is_one_segment() {
        assert_eq!(segment("otlp_grpc"), "otlp_grpc");
        assert_eq!(segment("../a b?"), "%2E%2E%2Fa%20b%3F");
    }
}
