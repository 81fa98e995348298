//! Names of columns that have none in the statement, as PostgreSQL gives them (its function `FigureColname`).
//! Clients look for columns by these names, as in `SELECT count(*)`.

use serde_json::{Value, json};

use super::catalog::session_word;
use crate::store::sql::rewrite::node::{items, text};

/// What PostgreSQL calls a column that nothing gives a name.
const UNNAMED: &str = "?column?";

/// Functions that give several columns, each with a name of its own.
const SEVERAL: &[&str] = &["unnest", "_pg_expandarray"];

/// A name, and whether it stays when the value is cast or one of several cases.
struct Name(String, bool);

/// Names the columns of a query, and those of the queries in it.
pub fn name_columns(node: &mut Value) {
    name_within(node);
    name_outermost(node);
}

fn name_within(node: &mut Value) {
    match node {
        Value::Array(children) => children.iter_mut().for_each(name_within),
        Value::Object(fields) => {
            fields.values_mut().for_each(name_within);
            if text(node, "type") == "SELECT_NODE" {
                name_list(node, None);
            }
        }
        _ => {}
    }
}

/// In the outermost query, two columns may have the same name.
fn name_outermost(node: &mut Value) {
    match text(node, "type") {
        "SELECT_NODE" => name_list(node, Some(UNNAMED)),
        "SET_OPERATION_NODE" => {
            node["children"].as_array_mut().into_iter().flatten().for_each(name_outermost);
            for side in ["left", "right"] {
                node.get_mut(side).into_iter().for_each(name_outermost);
            }
        }
        _ => {}
    }
}

fn name_list(node: &mut Value, otherwise: Option<&str>) {
    for column in node["select_list"].as_array_mut().into_iter().flatten() {
        let is_named = text(column, "class") == "COLUMN_REF" && session_word(column).is_none();
        if is_named || !text(column, "alias").is_empty() || has_several(column) {
            continue;
        }
        if let Some(name) = name_of(column).map(|name| name.0).or(otherwise.map(str::to_owned)) {
            column["alias"] = json!(name);
        }
    }
}

/// Whether an expression may give several columns.
fn has_several(node: &Value) -> bool {
    match node {
        Value::Array(children) => children.iter().any(has_several),
        Value::Object(fields) => match text(node, "class") {
            // What is inside is another query.
            "SUBQUERY" => false,
            "STAR" | "LAMBDA" => true,
            "FUNCTION" if SEVERAL.contains(&text(node, "function_name")) => true,
            _ => fields.values().any(has_several),
        },
        _ => false,
    }
}

fn name_of(node: &Value) -> Option<Name> {
    let strong = |name: &str| Some(Name(name.to_owned(), true));
    match (text(node, "class"), text(node, "type")) {
        ("COLUMN_REF", _) => match session_word(node) {
            Some((_, word)) => strong(word),
            None => items(node, "column_names").last()?.as_str().and_then(strong),
        },
        ("FUNCTION", _) => match text(node, "function_name") {
            "count_star" => strong("count"),
            "list_value" => strong("array"),
            name if node["is_operator"] == true || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') => None,
            name => strong(name),
        },
        ("WINDOW", _) => strong(text(node, "function_name")),
        ("CAST", _) => match name_of(&node["child"]) {
            Some(name @ Name(_, true)) => Some(name),
            _ => Some(Name(type_name(&node["type_expr"]), false)),
        },
        ("CASE", _) => match name_of(&node["else_expr"]) {
            Some(name @ Name(_, true)) => Some(name),
            _ => Some(Name("case".to_owned(), false)),
        },
        ("CONSTANT", _) if text(&node["literal"], "kind") == "BOOLEAN" => Some(Name("bool".to_owned(), false)),
        ("COLLATE", _) => name_of(&node["child"]),
        ("OPERATOR", "OPERATOR_COALESCE") => strong("coalesce"),
        ("OPERATOR", "ARRAY_CONSTRUCTOR") => strong("array"),
        ("OPERATOR", "OPERATOR_NULLIF") => strong("nullif"),
        ("OPERATOR", "ARRAY_EXTRACT") => name_of(items(node, "children").first()?),
        ("OPERATOR", "STRUCT_EXTRACT") => strong(text(&items(node, "children").get(1)?["literal"], "text")),
        ("SUBQUERY", _) => match text(node, "subquery_type") {
            "EXISTS" => strong("exists"),
            "SCALAR" => {
                let column = items(&node["subquery"]["node"], "select_list").first()?;
                match text(column, "alias") {
                    "" => name_of(column),
                    alias => strong(alias),
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// PostgreSQL's own name of a type.
fn type_name(node: &Value) -> String {
    let name = text(node, "type_name").to_ascii_lowercase();
    match name.as_str() {
        "list" => items(node, "children").first().map(type_name).unwrap_or_default(),
        "boolean" => "bool".to_owned(),
        "smallint" => "int2".to_owned(),
        "integer" | "int" => "int4".to_owned(),
        "bigint" => "int8".to_owned(),
        "real" | "float" => "float4".to_owned(),
        "double" => "float8".to_owned(),
        "decimal" => "numeric".to_owned(),
        "timestamp with time zone" => "timestamptz".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use crate::store::sql::dialect::{Dialect, Session};
    use crate::store::sql::parse::Parser;

    #[test]
    fn columns_have_the_names_that_postgresql_gives_them() {
        let (parser, dialect) = (Parser::new().unwrap(), Dialect::Postgres(Session::default()));
        for (column, name) in [
            ("1", "?column?"),
            ("a + 1", "?column?"),
            ("a AND true", "?column?"),
            ("a->>'x'", "?column?"),
            ("-a", "?column?"),
            ("NOT a", "?column?"),
            ("count(*)", "count"),
            ("max(a) FILTER (WHERE a > 1)", "max"),
            ("row_number() OVER ()", "row_number"),
            ("a::text", "a"),
            ("'1'::int", "int4"),
            ("max(a)::double precision", "max"),
            ("(a + 1)::bigint", "int8"),
            ("true", "bool"),
            ("CASE WHEN a > 1 THEN b END", "case"),
            ("CASE WHEN a > 1 THEN 'x' ELSE b END", "b"),
            ("coalesce(a, b)", "coalesce"),
            ("nullif(a, b)", "nullif"),
            ("(SELECT max(a) FROM logs)", "max"),
            ("(SELECT 1 AS one)", "one"),
            ("EXISTS (SELECT 1)", "exists"),
            ("ARRAY[1, 2]", "array"),
            ("(string_to_array('a', ','))[1]", "string_to_array"),
            ("current_user", "current_user"),
        ] {
            let from = if column == "current_user" { "" } else { " FROM spans" };
            let (sql, _) = parser.validate_in(&dialect, &format!("SELECT {column}{from}")).unwrap();
            let sql = sql.replace('"', "");
            let named = sql.strip_suffix(" FROM spans").unwrap_or(&sql);
            let last = named.rsplit(" AS ").next().unwrap_or_default();
            assert_eq!(last, name, "{column}: {sql}");
        }
        let unchanged = "SELECT a, t.b, *, COLUMNS('x'), unnest(c) FROM spans AS t";
        let (sql, _) = parser.validate_in(&dialect, unchanged).unwrap();
        assert!(!sql.contains("?column?") && sql.matches(" AS ").count() == 1, "{sql}");
        let (sql, _) = parser.validate_in(&dialect, "SELECT 1, (SELECT 2) FROM (SELECT 1, max(a) FROM logs)").unwrap();
        assert_eq!(sql.matches("?column?").count(), 2, "{sql}");
    }
}
