//! Functions and types that PostgreSQL has and DuckDB has by another name. Tools write them by themselves: Superset
//! and Looker compare times with `to_timestamp(text, pattern)`.

use serde_json::{Value, json};

use crate::store::sql::rewrite::node::{call, cast, function_name, items, literal, text};

/// Rewrites the calls and types in a statement about data.
pub fn rewrite(node: &mut Value) {
    match node {
        Value::Array(children) => children.iter_mut().for_each(rewrite),
        Value::Object(fields) => {
            fields.values_mut().for_each(rewrite);
            match text(node, "class") {
                "FUNCTION" => {
                    if let Some(mut replaced) = replaced(node) {
                        for kept in ["alias", "query_location", "query_location_length"] {
                            replaced[kept] = node[kept].take();
                        }
                        *node = replaced;
                    }
                }
                "TYPE" => rename_type(node),
                _ => {}
            }
        }
        _ => {}
    }
}

fn replaced(node: &Value) -> Option<Value> {
    let given: Vec<&Value> = items(node, "arguments").iter().map(|argument| &argument["expression"]).collect();
    match (function_name(node).as_str(), &given[..]) {
        ("to_char", [time, pattern]) => Some(call(&["strftime"], vec![(*time).clone(), format_of(pattern)?])),
        ("to_timestamp", [text, pattern]) => Some(parsed(text, pattern)?),
        ("to_date", [text, pattern]) => Some(cast(parsed(text, pattern)?, "DATE")),
        ("date_bin", [stride, time, origin]) => {
            let (stride, origin) = (cast((*stride).clone(), "INTERVAL"), cast((*origin).clone(), "TIMESTAMP"));
            Some(call(&["time_bucket"], vec![stride, (*time).clone(), origin]))
        }
        ("clock_timestamp" | "statement_timestamp" | "transaction_timestamp", []) => Some(call(&["now"], Vec::new())),
        _ => None,
    }
}

fn parsed(text: &Value, pattern: &Value) -> Option<Value> {
    Some(call(&["strptime"], vec![text.clone(), format_of(pattern)?]))
}

fn format_of(pattern: &Value) -> Option<Value> {
    let pattern = &pattern["literal"];
    (text(pattern, "kind") == "STRING").then(|| format(text(pattern, "text")))?.map(|format| literal("STRING", &format))
}

/// Parts of PostgreSQL's patterns of times, and DuckDB's specifiers for the same. The longer ones come first.
const PARTS: &[(&str, &str)] = &[
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("YYYY", "%Y"),
    ("IYYY", "%G"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("DDD", "%j"),
    ("Mon", "%b"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("Dy", "%a"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("MS", "%g"),
    ("US", "%f"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("IW", "%V"),
    ("ID", "%u"),
    ("TZ", "UTC"),
    ("OF", "+00"),
];

/// Parts of which only the case says how they are written.
const BY_CASE: &[&str] = &["FMMonth", "FMDay", "Mon", "Dy", "AM", "PM", "TZ"];

/// DuckDB's format for a pattern of PostgreSQL's; none if it has parts that DuckDB cannot write, or none of times.
fn format(pattern: &str) -> Option<String> {
    let (mut format, mut rest, mut count) = (String::new(), pattern, 0);
    while let Some(first) = rest.chars().next() {
        let is_here = |part: &str| match rest.get(..part.len()) {
            Some(here) if BY_CASE.contains(&part) => here == part,
            Some(here) => here.eq_ignore_ascii_case(part),
            None => false,
        };
        // Other parts begin like these, and mean something else.
        if ["SSSS", "TZH", "TZM", "TH", "TM"].into_iter().any(is_here) {
            return None;
        }
        if let Some((part, specifier)) = PARTS.iter().find(|(part, _)| is_here(part)) {
            format.push_str(specifier);
            rest = &rest[part.len()..];
            count += 1;
        } else if first == '"' {
            let end = rest[1..].find('"')? + 1;
            format.push_str(&rest[1..end].replace('%', "%%"));
            rest = &rest[end + 1..];
        } else if matches!(first, 'T' | 'Z') || !first.is_ascii_alphanumeric() {
            format.push_str(if first == '%' { "%%" } else { &rest[..first.len_utf8()] });
            rest = &rest[first.len_utf8()..];
        } else {
            return None;
        }
    }
    (count > 0).then_some(format)
}

fn rename_type(node: &mut Value) {
    let name = match text(node, "type_name").to_ascii_lowercase().as_str() {
        "jsonb" => "JSON",
        "name" | "bpchar" => "VARCHAR",
        _ => return,
    };
    node["type_name"] = json!(name);
    node["qualified_name"] = json!({"path": [name]});
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::dialect::{Asked, Dialect, Session};
    use crate::store::sql::parse::Parser;

    #[test]
    fn patterns_of_times() {
        for (pattern, expected) in [
            ("YYYY-MM-DD HH24:MI:SS.US", Some("%Y-%m-%d %H:%M:%S.%f")),
            ("yyyy-mm-dd", Some("%Y-%m-%d")),
            ("YYYY-MM-DD\"T\"HH24:MI:SS.MSOF", Some("%Y-%m-%dT%H:%M:%S.%g+00")),
            ("YYYY-MM-DDTHH24:MIZ", None),
            ("Dy DD Mon YYYY, HH12 AM", Some("%a %d %b %Y, %I %p")),
            ("IYYY-\"W\"IW", Some("%G-W%V")),
            ("100% YYYY", None),
            ("% YYYY \"%\"", Some("%% %Y %%")),
            ("Month YYYY", None),
            ("FMMonth é YYYY", Some("%B é %Y")),
            ("999.99", None),
            ("SSSS", None),
            ("\"open", None),
            ("", None),
        ] {
            assert_eq!(format(pattern).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn calls_and_types_become_those_of_duckdb() {
        let (parser, dialect) = (Parser::new().unwrap(), Dialect::Postgres(Session::default()));
        for (statement, runs) in [
            ("to_char(start_time, 'YYYY-MM') FROM spans", "strftime(start_time, '%Y-%m') AS to_char FROM spans"),
            ("pg_catalog.to_date(name, 'YYYY') FROM spans", "CAST(strptime(name, '%Y') AS DATE) AS to_date FROM spans"),
            ("to_timestamp(0)", "CAST(to_timestamp(0) AS TIMESTAMP) AS to_timestamp"),
            ("'{}'::jsonb", "CAST('{}' AS JSON) AS jsonb"),
            ("kind::name FROM spans", "CAST(kind AS VARCHAR) AS kind FROM spans"),
        ] {
            let (sql, asked) = parser.validate_in(&dialect, &format!("SELECT {statement}")).expect(statement);
            assert_eq!((sql.replace('"', ""), asked), (format!("SELECT {runs}"), Asked::Data), "{statement}");
        }
        let (sql, _) = parser.validate_in(&dialect, "SELECT clock_timestamp()").unwrap();
        let (from, to) = ("SELECT CAST(CAST('", "Z' AS TIMESTAMPTZ) AS TIMESTAMP) AS clock_timestamp");
        assert!(sql.starts_with(from) && sql.replace('"', "").ends_with(to), "{sql}");
        // What cannot be written is refused as before, and DuckDB's own dialect has none of it.
        for (dialect, refused) in
            [(&dialect, "SELECT to_char(now(), 'Month')"), (&Dialect::Duckdb, "SELECT '1'::jsonb")]
        {
            assert!(parser.validate_in(dialect, refused).is_err(), "{refused}");
        }
    }
}
