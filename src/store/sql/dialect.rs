//! Statements of clients that speak PostgreSQL's protocol: what is written otherwise there than here, and which
//! of them ask about the server itself ([`catalog`]).

use serde::Deserialize;
use serde_json::{Value, json};

use super::rewrite::node::{cast, text};

pub mod catalog;
mod column_name;
mod function;

/// What a statement is to be asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The store.
    Data,
    /// The catalog for PostgreSQL's clients.
    Catalog,
}

/// How a statement is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As DuckDB has it.
    #[default]
    Duckdb,
    /// As PostgreSQL has it, on a connection.
    Postgres(Session),
}

/// What a connection says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Its user.
    pub user: String,
    /// The database that the client has named.
    pub database: String,
    /// Its number.
    pub number: i32,
    /// DuckDB's names of the types that the client gave the parameters; nothing where it gave none, or none that has
    /// to be told.
    pub types: Vec<Option<String>>,
}

impl Dialect {
    /// By the header of a request; its value is a [`Session`] as JSON.
    pub fn read(header: Option<&[u8]>) -> Self {
        header.map_or(Dialect::Duckdb, |header| Dialect::Postgres(serde_json::from_slice(header).unwrap_or_default()))
    }

    /// Makes a statement's tree one of DuckDB's dialect. What comes of it passes the gates as any other.
    pub fn rewrite(&self, statement: &mut Value) -> Asked {
        let Dialect::Postgres(session) = self else { return Asked::Data };
        let node = &mut statement["node"];
        session.give_types(node);
        session.drop_database(node);
        column_name::name_columns(node);
        if catalog::is_asked(node) {
            catalog::rewrite(node);
            return Asked::Catalog;
        }
        drop_schema(node);
        function::rewrite(node);
        Asked::Data
    }
}

impl Session {
    /// A parameter has the type that the client gave it, where text would not become it by itself.
    fn give_types(&self, node: &mut Value) {
        match node {
            Value::Array(items) => items.iter_mut().for_each(|item| self.give_types(item)),
            Value::Object(fields) if fields.get("class").is_some_and(|class| class == "PARAMETER") => {
                if let Some(type_name) = self.type_of(fields.get("identifier")) {
                    let alias = fields.insert("alias".to_owned(), json!("")).unwrap_or_default();
                    *node = cast_to(node.take(), type_name);
                    node["alias"] = alias;
                }
            }
            Value::Object(fields) => fields.values_mut().for_each(|field| self.give_types(field)),
            _ => {}
        }
    }

    /// The name of the database may stand before that of a schema.
    fn drop_database(&self, node: &mut Value) {
        match node {
            Value::Array(items) => items.iter_mut().for_each(|item| self.drop_database(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.drop_database(field));
                if fields.get("type").is_some_and(|kind| kind == "BASE_TABLE")
                    && fields.get("catalog_name").is_some_and(|name| *name == self.database.as_str() && name != "")
                {
                    let path = json!({"path": [fields.get("schema_name"), fields.get("table_name")]});
                    fields.insert("catalog_name".to_owned(), json!(""));
                    fields.insert("qualified_name".to_owned(), path);
                }
            }
            _ => {}
        }
    }

    fn type_of(&self, identifier: Option<&Value>) -> Option<&str> {
        let number: usize = identifier?.as_str()?.parse().ok()?;
        self.types.get(number.checked_sub(1)?)?.as_deref()
    }
}

/// Our views are in the schema `public` for PostgreSQL's clients, and functions may be named with theirs.
fn drop_schema(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(drop_schema),
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_schema);
            match (text(node, "class"), text(node, "type")) {
                ("", "BASE_TABLE") if text(node, "schema_name") == "public" => {
                    node["schema_name"] = json!("main");
                    node["qualified_name"] = json!({"path": ["main", node["table_name"]]});
                }
                ("COLUMN_REF", _) => {
                    if let Some(names) = node["column_names"].as_array_mut()
                        && names.len() >= 3
                        && names[0] == "public"
                    {
                        names.remove(0);
                    }
                }
                ("FUNCTION", _) if matches!(text(node, "schema"), "public" | "pg_catalog") => {
                    node["schema"] = json!("");
                    node["qualified_name"] = json!({"path": [node["function_name"]]});
                }
                _ => {}
            }
        }
        _ => {}
    }
}

/// `CAST(node AS name)`, where there may be brackets behind the name.
fn cast_to(node: Value, name: &str) -> Value {
    let Some(item) = name.strip_suffix("[]") else { return cast(node, name) };
    let mut list = cast(node, "list");
    list["type_expr"]["children"] = json!([cast(Value::Null, item)["type_expr"]]);
    list
}

#[cfg(test)]
mod tests {
    use crate::store::sql::parse::Parser;

    use super::*;

    #[test]
    fn parameters_have_the_types_of_the_client() {
        let session = Session {
            types: [Some("INTERVAL"), None, Some("VARCHAR[]")].map(|name| name.map(str::to_owned)).into(),
            ..Session::default()
        };
        let sql = Parser::new()
            .unwrap()
            .validate_in(&Dialect::Postgres(session), "SELECT $1 AS a, $2 FROM range($2) AS r(x) WHERE x = ANY($3)");
        let runs = "SELECT CAST($1 AS INTERVAL) AS a, $2 AS \"?column?\" FROM \"range\"($2) AS r(x) \
                    WHERE (x = ANY(SELECT unnest(CAST($3 AS VARCHAR[]))))";
        assert_eq!(sql, Ok((runs.to_owned(), Asked::Data)));
    }

    #[test]
    fn statements_about_the_server_are_told_from_others() {
        let session = Session { database: "shop".to_owned(), ..Session::default() };
        let (parser, dialect) = (Parser::new().unwrap(), Dialect::Postgres(session));
        for (statement, asked, runs) in [
            ("SELECT name FROM public.spans", Asked::Data, "SELECT \"name\" FROM main.spans"),
            ("SELECT public.spans.kind FROM shop.public.spans", Asked::Data, "SELECT spans.kind FROM main.spans"),
            ("SELECT pg_catalog.count(*) FROM logs", Asked::Data, "SELECT count_star() AS count FROM logs"),
            ("SELECT version(), x FROM spans", Asked::Data, "SELECT \"version\"() AS version, x FROM spans"),
            ("SELECT 1", Asked::Data, "SELECT 1 AS ?column?"),
            ("SELECT relname FROM pg_class", Asked::Catalog, "SELECT relname FROM pgc.pg_class"),
            ("SELECT version()", Asked::Catalog, "SELECT \"version\"() AS \"version\""),
            ("SELECT current_user", Asked::Catalog, "SELECT current_user_() AS \"current_user\""),
            (
                "SELECT 'spans'::regclass::oid, atttypid::regtype::text FROM pg_catalog.pg_attribute",
                Asked::Catalog,
                "SELECT CAST(regclass_oid_('spans') AS BIGINT) AS oid, CAST(regtype_name_(atttypid) AS text) AS atttypid \
                 FROM pgc.pg_attribute",
            ),
        ] {
            match parser.validate_in(&dialect, statement) {
                // Which names DuckDB quotes is its own.
                Ok((text, of)) => {
                    assert_eq!((text.replace('"', ""), of), (runs.replace('"', ""), asked), "{statement}");
                }
                Err(error) => assert_eq!(runs, "", "{statement}: {error}"),
            }
        }
        let statement = "SELECT relname FROM pg_class";
        assert!(parser.validate_in(&Dialect::Duckdb, statement).is_ok_and(|(_, asked)| asked == Asked::Data));
        for refused in
            ["SELECT nextval('x'), version()", "SELECT * FROM pgc.pg_class, pg_type, read_text('/etc/passwd')"]
        {
            assert!(parser.validate_in(&dialect, refused).is_err(), "{refused}");
        }
    }
}
