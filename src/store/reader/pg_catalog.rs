//! The catalog that PostgreSQL's clients ask: a DuckDB of its own, in memory, without a row of anybody's.
//!
//! It is made by the first statement that asks it, of the views and table macros that users see here, so that it
//! needs no second list of them. Most readers never have one.

use duckdb::{Connection, params};
use parking_lot::Mutex;
use pgwire::api::Type;

use crate::store::front::postgres::types;
use crate::store::instance::{self, quoted};
use crate::store::sql::dialect::{Session, catalog};

/// The number of the first view; those of PostgreSQL's own tables end before it.
const FIRST: i64 = 16_384;

/// That of the first function.
const FIRST_FUNCTION: i64 = 50_000;

/// Makes what the catalog shows.
const SHOWN: &str = "
CREATE SCHEMA shown;
CREATE TABLE shown.tables(oid BIGINT, name VARCHAR, comment VARCHAR);
CREATE TABLE shown.columns(oid BIGINT, name VARCHAR, number INTEGER, type BIGINT, modifier INTEGER, comment VARCHAR);
CREATE TABLE shown.functions(oid BIGINT, name VARCHAR, arguments VARCHAR[], definition VARCHAR);
CREATE TABLE shown.types(oid BIGINT, name VARCHAR, length INTEGER, category VARCHAR, kind VARCHAR, item BIGINT,
  \"array\" BIGINT);
";

/// Types that a client may ask about: name, length, category, and the type of its arrays.
const TYPES: &[(Type, i32, &str, Option<Type>)] = &[
    (Type::BOOL, 1, "B", Some(Type::BOOL_ARRAY)),
    (Type::BYTEA, -1, "U", Some(Type::BYTEA_ARRAY)),
    (Type::CHAR, 1, "Z", Some(Type::CHAR_ARRAY)),
    (Type::NAME, 64, "S", Some(Type::NAME_ARRAY)),
    (Type::INT8, 8, "N", Some(Type::INT8_ARRAY)),
    (Type::INT2, 2, "N", Some(Type::INT2_ARRAY)),
    (Type::INT4, 4, "N", Some(Type::INT4_ARRAY)),
    (Type::TEXT, -1, "S", Some(Type::TEXT_ARRAY)),
    (Type::OID, 4, "N", Some(Type::OID_ARRAY)),
    (Type::JSON, -1, "U", Some(Type::JSON_ARRAY)),
    (Type::FLOAT4, 4, "N", Some(Type::FLOAT4_ARRAY)),
    (Type::FLOAT8, 8, "N", Some(Type::FLOAT8_ARRAY)),
    (Type::BPCHAR, -1, "S", Some(Type::BPCHAR_ARRAY)),
    (Type::VARCHAR, -1, "S", Some(Type::VARCHAR_ARRAY)),
    (Type::DATE, 4, "D", Some(Type::DATE_ARRAY)),
    (Type::TIME, 8, "D", Some(Type::TIME_ARRAY)),
    (Type::TIMESTAMP, 8, "D", Some(Type::TIMESTAMP_ARRAY)),
    (Type::TIMESTAMPTZ, 8, "D", Some(Type::TIMESTAMPTZ_ARRAY)),
    (Type::INTERVAL, 16, "T", Some(Type::INTERVAL_ARRAY)),
    (Type::NUMERIC, -1, "N", Some(Type::NUMERIC_ARRAY)),
    (Type::UUID, 16, "U", Some(Type::UUID_ARRAY)),
    (Type::JSONB, -1, "U", Some(Type::JSONB_ARRAY)),
    (Type::UNKNOWN, -2, "X", None),
    (Type::INT2_VECTOR, -1, "A", Some(Type::INT2_VECTOR_ARRAY)),
    (Type::OID_VECTOR, -1, "A", Some(Type::OID_VECTOR_ARRAY)),
    (Type::XID, 4, "U", Some(Type::XID_ARRAY)),
    (Type::REGPROC, 4, "N", Some(Type::REGPROC_ARRAY)),
    (Type::REGCLASS, 4, "N", Some(Type::REGCLASS_ARRAY)),
    (Type::REGTYPE, 4, "N", Some(Type::REGTYPE_ARRAY)),
    (Type::INET, -1, "I", Some(Type::INET_ARRAY)),
    (Type::ACLITEM, 16, "U", Some(Type::ACLITEM_ARRAY)),
];

/// See the module.
#[derive(Default)]
pub struct PgCatalog(Mutex<Option<Connection>>);

impl PgCatalog {
    /// A connection to it, as `session` sees it. `data` has the views and macros that it shows.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn connect(&self, data: &Connection, session: &Session) -> Result<Connection, duckdb::Error> {
        let mut instance = self.0.lock();
        let root = match &mut *instance {
            Some(root) => root,
            none => none.insert(open(data)?),
        };
        let connection = root.try_clone()?;
        connection.execute_batch(&format!(
            "SET search_path = 'pgc,main'; SET integer_division = true; SET VARIABLE session_user = {}; SET VARIABLE session_database = {}; \
             SET VARIABLE session_number = {}",
            quoted(&session.user),
            quoted(&session.database),
            session.number,
        ))?;
        Ok(connection)
    }
}

fn open(data: &Connection) -> Result<Connection, duckdb::Error> {
    let catalog = instance::open_without_data()?;
    catalog.execute_batch(SHOWN)?;
    fill_types(&catalog)?;
    fill_tables(data, &catalog)?;
    fill_functions(data, &catalog)?;
    // It needs no locking of its configuration: a statement that would set something does not pass the gates.
    catalog.execute_batch(catalog::DEFINITION)?;
    Ok(catalog)
}

fn fill_types(catalog: &Connection) -> Result<(), duckdb::Error> {
    let mut insert = catalog.prepare("INSERT INTO shown.types VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    for (kind, length, category, array) in TYPES {
        let number = i64::from(kind.oid());
        let of_array = array.as_ref().map_or(0, |array| i64::from(array.oid()));
        insert.execute(params![number, kind.name(), length, category, "b", 0_i64, of_array])?;
        if let Some(array) = array {
            insert.execute(params![of_array, array.name(), -1, "A", "b", number, 0_i64])?;
        }
    }
    for (number, name) in [(2249_i64, "record"), (2278, "void"), (2279, "trigger")] {
        insert.execute(params![number, name, -1, "P", "p", 0_i64, 0_i64])?;
    }
    Ok(())
}

fn fill_tables(data: &Connection, catalog: &Connection) -> Result<(), duckdb::Error> {
    let question = "SELECT table_name, column_name, column_index, data_type FROM duckdb_columns()
        WHERE schema_name = 'main' AND NOT internal ORDER BY table_name, column_index";
    let mut columns = data.prepare(question)?;
    let mut table = catalog.prepare("INSERT INTO shown.tables VALUES (?, ?, NULL)")?;
    let mut column = catalog.prepare("INSERT INTO shown.columns VALUES (?, ?, ?, ?, ?, NULL)")?;
    let (mut number, mut last) = (FIRST - 1, String::new());
    let mut rows = columns.query([])?;
    while let Some(row) = rows.next()? {
        let (of, name, place, kind): (String, String, i32, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if of != last {
            number += 1;
            table.execute(params![number, of])?;
            last = of;
        }
        let shown = types::Column::of_sql(&name, &kind);
        column.execute(params![number, name, place, i64::from(shown.kind.oid()), shown.modifier])?;
    }
    Ok(())
}

fn fill_functions(data: &Connection, catalog: &Connection) -> Result<(), duckdb::Error> {
    let question = "SELECT DISTINCT function_name, array_to_string(parameters, ',') FROM duckdb_functions()
        WHERE schema_name = 'main' AND NOT internal AND function_type = 'table_macro' ORDER BY ALL";
    let mut functions = data.prepare(question)?;
    let mut insert =
        catalog.prepare("INSERT INTO shown.functions VALUES (?, ?, string_split(?, ','), 'SELECT ...')")?;
    let mut number = FIRST_FUNCTION;
    let mut rows = functions.query([])?;
    while let Some(row) = rows.next()? {
        let (name, arguments): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        insert.execute(params![number, name, arguments.unwrap_or_default()])?;
        number += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::schema::Table;
    use crate::store::sql::dialect::Dialect;
    use crate::store::sql::parse::Parser;
    use crate::store::{macros, views};

    use super::*;

    fn data() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE SCHEMA stored").unwrap();
        for table in Table::ALL {
            let nothing = table.empty_relation();
            db.execute_batch(&format!("CREATE VIEW stored.{} AS SELECT * FROM {nothing}", table.name())).unwrap();
        }
        views::create(&db).unwrap();
        macros::create(&db).unwrap();
        db
    }

    #[test]
    fn it_shows_our_views_with_their_types() {
        let session = Session { user: "me".into(), database: "shop".into(), number: 7, types: vec![] };
        let connection = PgCatalog::default().connect(&data(), &session).unwrap();
        let (parser, dialect) = (Parser::new().unwrap(), Dialect::Postgres(session));
        let ask = |statement: &str| -> String {
            let (sql, _) = parser.validate_in(&dialect, statement).unwrap();
            connection.query_row(&sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
        };
        let column = |name: &str| {
            ask(&format!(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'spans'::regclass AND attname = '{name}'"
            ))
        };
        assert_eq!(column("start_time"), "timestamp with time zone");
        assert_eq!(column("duration_ns"), "bigint");
        assert_eq!(column("attributes"), "jsonb");
        // By these ADBC's driver knows the types.
        assert_eq!(ask("SELECT typreceive FROM pg_type WHERE typname = 'timestamptz'"), "timestamptz_recv");
        assert_eq!(ask("SELECT typreceive FROM pg_type WHERE typname = 'int8'"), "int8recv");
        assert_eq!(ask("SELECT current_user"), "me");
        assert_eq!(ask("SELECT datname FROM pg_database"), "shop");
        assert_eq!(ask("SELECT 'logs'::regclass::text"), "logs");
        assert_eq!(ask("SELECT c.oid::regclass::text FROM pg_class c WHERE c.relname = 'logs'"), "logs");
        let lists = "SELECT data_type || udt_name FROM information_schema.columns \
                     WHERE table_name = 'metric_points' AND column_name = 'explicit_bounds'";
        assert_eq!(ask(lists), "ARRAY_float8");
        assert_eq!(
            ask("SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc WHERE proname IN ('red', 'trace')"),
            "red,trace"
        );
    }
}
