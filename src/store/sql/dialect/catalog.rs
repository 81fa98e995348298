//! Questions about the server itself: `pg_catalog`, `information_schema`, `current_user`. They are asked of an
//! instance that has nothing but a catalog (`catalog.sql`), as PostgreSQL's clients expect one. What DuckDB's
//! parser reads as PostgreSQL's does and means otherwise is rewritten here, in the tree.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::store::sql::rewrite::node::{call, cast, items, literal, select_of, text};

/// Makes the catalog, over the schema `shown`.
pub const DEFINITION: &str = include_str!("catalog.sql");

/// The schemas of the catalog.
pub const SCHEMAS: &[&str] = &["pgc", "infos"];

/// Names that the catalog defines.
pub struct Names {
    /// Its tables, in the first schema.
    pub tables: HashSet<String>,
    /// Its functions.
    pub functions: HashSet<String>,
}

/// The names in `catalog.sql`.
pub static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let defined = |kinds: &[&str]| -> HashSet<String> {
        let names = DEFINITION.lines().filter_map(|line| {
            let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
            Some(rest.split(['(', ' ']).next()?.to_owned())
        });
        names.collect()
    };
    Names { tables: defined(&["CREATE TABLE pgc.", "CREATE VIEW pgc."]), functions: defined(&["CREATE MACRO pgc."]) }
});

/// Types whose values are numbers of something that has a name.
const REG_TYPES: &[&str] =
    &["regclass", "regtype", "regnamespace", "regproc", "regprocedure", "regrole", "regoper", "regconfig"];

/// Functions that give a row for each item, with one column.
const SERIES: &[&str] = &["generate_series", "unnest", "generate_subscripts", "range"];

/// Columns of the type `regproc`, which 0 stands for none in.
const PROCEDURES: &[&str] = &["typreceive", "typsend", "typinput", "typoutput", "typmodin", "typmodout", "typanalyze"];

/// Whether a statement asks about the server itself.
pub fn is_asked(node: &Value) -> bool {
    let mut asked = Asked::default();
    asked.look(node);
    asked.tables > 0 || (asked.others == 0 && asked.words > 0)
}

#[derive(Default)]
struct Asked {
    /// Tables of the catalog.
    tables: usize,
    /// Other tables.
    others: usize,
    /// Functions, types and words that belong to the catalog.
    words: usize,
}

impl Asked {
    fn look(&mut self, node: &Value) {
        match node {
            Value::Array(children) => children.iter().for_each(|child| self.look(child)),
            Value::Object(fields) => {
                match (text(node, "class"), text(node, "type")) {
                    ("", "BASE_TABLE") => {
                        let (schema, name) = (lower(node, "schema_name"), lower(node, "table_name"));
                        let in_catalog = matches!(schema.as_str(), "pg_catalog" | "information_schema");
                        if in_catalog || (schema.is_empty() && NAMES.tables.contains(&name)) {
                            self.tables += 1;
                        } else {
                            self.others += 1;
                        }
                    }
                    ("FUNCTION", _) => {
                        let in_catalog = matches!(text(node, "schema"), "pg_catalog" | "information_schema");
                        if in_catalog || is_of_catalog(&lower(node, "function_name")) {
                            self.words += 1;
                        }
                    }
                    ("TYPE", _) if REG_TYPES.contains(&lower(node, "type_name").as_str()) => self.words += 1,
                    ("COLUMN_REF", _) if session_word(node).is_some() => self.words += 1,
                    _ => {}
                }
                fields.values().for_each(|child| self.look(child));
            }
            _ => {}
        }
    }
}

/// Whether a function is one of the catalog, and none that others use, too.
fn is_of_catalog(name: &str) -> bool {
    let starts = ["pg_", "_pg_", "has_", "current_s", "obj_", "col_", "shobj_", "quote_", "to_reg", "txid_", "inet_"];
    let whole = [
        "version",
        "format_type",
        "current_database",
        "set_config",
        "parse_ident",
        "array_upper",
        "array_lower",
        "array_ndims",
    ];
    NAMES.functions.contains(name) && (whole.contains(&name) || starts.iter().any(|start| name.starts_with(start)))
}

/// The function for a word that PostgreSQL knows without brackets.
pub(super) fn session_word(node: &Value) -> Option<(&'static str, &'static str)> {
    let [name] = items(node, "column_names") else { return None };
    Some(match name.as_str()?.to_ascii_lowercase().as_str() {
        "current_user" => ("current_user_", "current_user"),
        "session_user" => ("session_user_", "session_user"),
        "current_role" => ("current_user_", "current_role"),
        "user" => ("current_user_", "user"),
        "current_catalog" => ("current_catalog_", "current_catalog"),
        "current_schema" => ("current_schema", "current_schema"),
        _ => return None,
    })
}

fn lower(node: &Value, field: &str) -> String {
    text(node, field).to_ascii_lowercase()
}

/// Makes a statement about the server one for our catalog.
pub fn rewrite(node: &mut Value) {
    walk(node);
}

/// What is wanted of a value of a type that numbers something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// What is given: a number for a name, a name for a number.
    Other,
    Number,
    Name,
}

fn walk(node: &mut Value) {
    match node {
        Value::Array(children) => children.iter_mut().for_each(walk),
        Value::Object(_) => {
            before(node);
            if let Value::Object(fields) = node {
                fields.values_mut().for_each(walk);
            }
            after(node);
        }
        _ => {}
    }
}

/// What has to be seen with what is inside it as it was.
fn before(node: &mut Value) {
    match (text(node, "class"), text(node, "type")) {
        ("COLLATE", _) => {
            let alias = node["alias"].take();
            *node = node["child"].take();
            if !text(node, "alias").is_empty() || alias != json!("") {
                node["alias"] = alias;
            }
            // It may be one of these itself.
            before(node);
        }
        ("CAST", _) => cast_of(node),
        ("COMPARISON", _) => comparison(node),
        ("", "TABLE_FUNCTION") => table_function(node),
        _ => {}
    }
}

fn after(node: &mut Value) {
    match (text(node, "class"), text(node, "type")) {
        ("COLUMN_REF", _) => {
            if let Some((function, _)) = session_word(node) {
                let alias = node["alias"].take();
                *node = call(&[function], Vec::new());
                node["alias"] = alias;
            } else if items(node, "column_names").last().is_some_and(|name| name == "xmin") {
                // A column of every table there, which no `*` gives.
                let alias = node["alias"].take();
                *node = cast(literal("INTEGER", "1"), "BIGINT");
                node["alias"] = if alias == json!("") { json!("xmin") } else { alias };
            } else if let Some(names) = node["column_names"].as_array_mut()
                && names.len() >= 3
                && names[0]
                    .as_str()
                    .is_some_and(|first| matches!(first, "pg_catalog" | "information_schema" | "public"))
            {
                names.remove(0);
            }
        }
        ("FUNCTION", _) => {
            if matches!(text(node, "schema"), "pg_catalog" | "information_schema") {
                node["schema"] = json!("");
                node["qualified_name"] = json!({"path": [node["function_name"]]});
            }
            match text(node, "function_name") {
                // Here it matches a part, there the whole.
                "~" => rename(node, "regexp_matches"),
                "json_build_object" => rename(node, "json_object"),
                "unnest" => {
                    if let Some(argument) = node["arguments"].pointer_mut("/0/expression")
                        && let Some(list) = list_text(argument)
                    {
                        *argument = list_of_texts(literal("STRING", &list));
                    }
                }
                _ => {}
            }
        }
        ("TYPE", _) => plain_type(node),
        ("", "BASE_TABLE") => {
            let (schema, name) = (lower(node, "schema_name"), lower(node, "table_name"));
            let schema = match schema.as_str() {
                "pg_catalog" => "pgc",
                "information_schema" => "infos",
                "" if NAMES.tables.contains(&name) => "pgc",
                "public" => "main",
                _ => return,
            };
            let path = json!({"path": [schema, node["table_name"]]});
            node["schema_name"] = json!(schema);
            node["catalog_name"] = json!("");
            node["qualified_name"] = path;
        }
        _ => {}
    }
}

fn rename(node: &mut Value, name: &str) {
    node["function_name"] = json!(name);
    node["is_operator"] = json!(false);
    node["qualified_name"] = json!({"path": [name]});
}

/// Types that DuckDB has by another name, or as text.
fn plain_type(node: &mut Value) {
    let name = lower(node, "type_name");
    let name = match name.as_str() {
        "name" | "char" | "\"char\"" | "bpchar" | "pg_node_tree" => "VARCHAR",
        "oid" | "xid" | "cid" | "xid8" => "BIGINT",
        _ if REG_TYPES.contains(&name.as_str()) => "VARCHAR",
        _ => text(node, "type_name"),
    };
    let name = json!(name);
    node["schema"] = json!("");
    node["qualified_name"] = json!({"path": [&name]});
    node["type_name"] = name;
}

fn reg_type(node: &Value) -> Option<String> {
    let name = (text(node, "class") == "CAST").then(|| lower(&node["type_expr"], "type_name"))?;
    REG_TYPES.contains(&name.as_str()).then_some(name)
}

/// Whether a node is a text in the statement.
fn is_text(node: &Value) -> bool {
    text(node, "class") == "CONSTANT" && text(&node["literal"], "kind") == "STRING"
}

/// The list of DuckDB's for one of PostgreSQL's: `{a,b}` is `[a,b]`.
fn list_text(node: &Value) -> Option<String> {
    let inner = is_text(node).then(|| text(&node["literal"], "text").strip_prefix('{')?.strip_suffix('}'))??;
    Some(format!("[{inner}]"))
}

fn list_of_texts(child: Value) -> Value {
    let item = cast(Value::Null, "VARCHAR")["type_expr"].take();
    let mut list = cast(child, "list");
    list["type_expr"]["children"] = json!([item]);
    list
}

fn cast_of(node: &mut Value) {
    let kind = lower(&node["type_expr"], "type_name");
    if REG_TYPES.contains(&kind.as_str()) {
        numbered(node, Wanted::Other);
        return;
    }
    if kind == "list"
        && let Some(list) = list_text(&node["child"])
    {
        node["child"]["literal"]["text"] = Value::String(list);
    }
    let wanted = match kind.as_str() {
        "oid" | "bigint" | "int8" => Wanted::Number,
        "text" | "varchar" | "name" => Wanted::Name,
        _ => return,
    };
    if reg_type(&node["child"]).is_some() {
        numbered(&mut node["child"], wanted);
    }
}

/// A cast to a type that numbers something, as a call of a function of our catalog.
fn numbered(node: &mut Value, wanted: Wanted) {
    let Some(mut kind) = reg_type(node) else { return };
    if kind == "regprocedure" || kind == "regoper" || kind == "regconfig" {
        "regproc".clone_into(&mut kind);
    }
    let number = match wanted {
        Wanted::Other => is_text(&node["child"]),
        Wanted::Number => true,
        Wanted::Name => false,
    };
    let suffix = match wanted {
        // Columns with functions have their names.
        Wanted::Number if kind == "regproc" => "number",
        _ if number => "oid",
        _ => "name",
    };
    let function = format!("{kind}_{suffix}_");
    let alias = node["alias"].take();
    *node = call(&[function.as_str()], vec![node["child"].take()]);
    node["alias"] = alias;
}

fn comparison(node: &mut Value) {
    if reg_type(&node["left"]).is_some() && reg_type(&node["right"]).is_some() {
        numbered(&mut node["left"], Wanted::Name);
        numbered(&mut node["right"], Wanted::Name);
        return;
    }
    for (one, other) in [("left", "right"), ("right", "left")] {
        if let Some(list) = list_text(&node[one]) {
            node[one]["literal"]["text"] = Value::String(list);
        }
        let is_procedure = items(&node[other], "column_names").last().and_then(Value::as_str);
        let is_procedure = is_procedure.is_some_and(|name| PROCEDURES.contains(&name));
        if is_procedure && node[one]["literal"] == json!({"kind": "INTEGER", "text": "0"}) {
            node[one] = literal("STRING", "-");
        }
    }
}

/// In PostgreSQL any function may stand in FROM, and its column is called as the table is.
fn table_function(node: &mut Value) {
    let name = lower(&node["function"], "function_name");
    let alias = text(node, "alias").to_owned();
    if SERIES.contains(&name.as_str()) {
        if !alias.is_empty() && items(node, "column_name_alias").is_empty() {
            node["column_name_alias"] = json!([alias]);
        }
        return;
    }
    if !["string_to_array", "current_schemas", "current_database", "current_schema", "version"].contains(&name.as_str())
    {
        return;
    }
    let alias = if alias.is_empty() { name } else { alias };
    let mut function = node["function"].take();
    function["alias"] = items(node, "column_name_alias").first().cloned().unwrap_or_else(|| json!(alias));
    *node = json!({
        "type": "SUBQUERY", "alias": alias, "sample": null,
        "query_location": u64::MAX, "query_location_length": 0,
        "subquery": {"node": select_of(function), "named_param_map": []},
        "column_name_alias": [],
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_definition_are_found() {
        assert!(NAMES.tables.contains("pg_class") && NAMES.tables.contains("pg_stat_user_tables"));
        assert!(NAMES.functions.contains("pg_get_expr") && NAMES.functions.contains("regclass_oid_"));
        assert!(is_of_catalog("version") && !is_of_catalog("age") && !is_of_catalog("upper"));
    }
}
