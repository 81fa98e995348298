//! What a statement asks of each table: DuckDB plans it over empty tables, and its plan says which tables
//! are read, and by which conditions on their columns.
//!
//! DuckDB itself sees through views, macros, CTEs and subqueries so, and does what is constant in a
//! condition (`now() - INTERVAL 1 HOUR`). The tables of the plan are empty, and nothing in the plan comes
//! of that: the optimizers that look at statistics are off. So what holds for the plan holds for every
//! content of the tables. A condition that is not understood counts as none.
//!
//! The users' views join the resources, which many statements do not use. DuckDB drops that join under
//! aggregates only. Here the views are over rows that have a column more instead; the plan tells whether it
//! is read.
//!
//! The instance has no data and reaches no file. It is not the one that parses, for that one has no tables.

use std::collections::HashMap;
use std::sync::Arc;

use duckdb::{Config, Connection};
use parking_lot::Mutex;
use serde_json::Value as Json;

use super::files::{Value, whole_time};
use super::predicate::{Comparison, Predicate};
use crate::store::catalog::statistics::timestamp;
use crate::store::schema::Table;
use crate::store::sql::SqlError;
use crate::store::sql::service::{Interrupts, Statement};
use crate::store::{macros, views};

/// The optimizers of the plan with the conditions. Others look at statistics, or leave a plan that cannot be
/// told as JSON (2.0.0: "inequal num bindings/types").
const ON: &[&str] = &[
    "expression_rewriter",
    "filter_pullup",
    "filter_pushdown",
    "cte_filter_pusher",
    "cte_inlining",
    "regex_range",
    "deliminator",
    "unnest_rewriter",
    "outer_join_simplification",
    "window_rewriter",
    "distinct_aggregate_rewrite",
];

/// For the plan that only tells which columns are read.
const OFF_FOR_COLUMNS: &str = "statistics_propagation,empty_result_pullup,late_materialization";

/// Schema of the tables that have the resource of each row.
const JOINED: &str = "joined";

/// Its column there: a name that a plan says nowhere else.
const RESOURCE: &str = "joined_resource";

/// What a statement needs of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// Every row may count.
    All,
    /// Of these tables only rows that fulfil this, of the others none.
    Some(HashMap<Table, Predicate>),
}

impl Needs {
    /// What the rows of a table that count fulfil; `None` if none does.
    pub fn of(&self, table: Table) -> Option<Predicate> {
        match self {
            Needs::All => Some(Predicate::Any),
            Needs::Some(tables) => tables.get(&table).cloned(),
        }
    }

    /// Whether any condition is understood.
    pub fn prunes(&self) -> bool {
        match self {
            Needs::All => false,
            Needs::Some(tables) => tables.values().any(|predicate| *predicate != Predicate::Any),
        }
    }
}

/// An instance that plans.
#[derive(Clone, Default)]
pub struct Planner {
    instance: Arc<Mutex<Option<Instance>>>,
}

struct Instance {
    connection: Connection,
    /// The optimizers that are not [`ON`], as a setting.
    off: String,
}

impl Planner {
    /// Opens it on a thread of its own. The first statement waits for that.
    ///
    /// # Errors
    /// The system's, if there is no thread.
    pub fn start() -> std::io::Result<Self> {
        let planner = Planner::default();
        let opened = planner.clone();
        std::thread::Builder::new()
            .name("planner".to_owned())
            .spawn(move || opened.open(&mut opened.instance.lock()))?;
        Ok(planner)
    }

    /// Opens it if it is not.
    fn open(&self, instance: &mut Option<Instance>) {
        if instance.is_none() {
            match Instance::open() {
                Ok(open) => *instance = Some(open),
                Err(error) => tracing::error!(%error, "statements run without a look at their plans"),
            }
        }
    }

    /// What a validated statement needs. All, if it cannot be planned here.
    pub fn needs(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Needs {
        // DuckDB writes no query that begins with the word.
        let sql = statement.sql.strip_prefix("EXPLAIN ").unwrap_or(statement.sql);
        let Some(sql) = statement.with_parameters(sql) else { return Needs::All };
        let mut instance = self.instance.lock();
        self.open(&mut instance);
        let Some(open) = &*instance else { return Needs::All };
        interrupts.add(open.connection.interrupt_handle());
        match open.plan(&sql) {
            Ok(needs) => needs,
            Err(error) => {
                tracing::debug!(%error, "a statement is run without a look at its plan");
                if matches!(SqlError::from_duckdb(&error, ""), SqlError::Fatal(_)) {
                    *instance = None;
                }
                Needs::All
            }
        }
    }
}

impl Instance {
    fn open() -> Result<Self, duckdb::Error> {
        let config = Config::default()
            .threads(1)?
            .max_memory("256MB")?
            .enable_external_access(false)?
            .with("autoload_known_extensions", "false")?
            .with("autoinstall_known_extensions", "false")?;
        let connection = Connection::open_in_memory_with_flags(config)?;
        connection.execute_batch(&format!("CREATE SCHEMA stored; CREATE SCHEMA {JOINED}"))?;
        if let Err(e) = connection.execute_batch("SET GLOBAL TimeZone = 'UTC'") {
            tracing::debug!(error = %e, "no time zones in this DuckDB library");
        }
        for table in Table::ALL {
            let columns: Vec<String> = table.columns().iter().map(|c| format!("{} {}", c.name, c.sql_type)).collect();
            let (name, columns) = (table.name(), columns.join(", "));
            connection.execute_batch(&format!("CREATE TABLE stored.{name} ({columns})"))?;
            let select = if views::has_resource(table) {
                connection.execute_batch(&format!("CREATE TABLE {JOINED}.{name} ({columns}, {RESOURCE} VARIANT)"))?;
                views::select_joined(table, &format!("{JOINED}.{name}"), RESOURCE)
            } else {
                views::select(table, |table| format!("stored.{}", table.name()))
            };
            connection.execute_batch(&format!("CREATE VIEW {name} AS {select}"))?;
        }
        macros::create(&connection)?;
        let mut optimizers = connection.prepare("SELECT name FROM duckdb_optimizers()")?;
        let names = optimizers.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        drop(optimizers);
        let off: Vec<String> = names.into_iter().filter(|name| !ON.contains(&name.as_str())).collect();
        Ok(Instance { connection, off: off.join(",") })
    }

    fn plan(&self, sql: &str) -> Result<Needs, duckdb::Error> {
        let connection = &self.connection;
        connection.execute_batch(&format!("SET disabled_optimizers = '{}'", self.off))?;
        let question = "SELECT json_serialize_plan(?, optimize := true, skip_null := true, skip_empty := true, \
                    skip_default := true)";
        let plan: String = connection.query_row(question, [sql], |row| row.get(0))?;
        let mut reader = serde_json::Deserializer::from_str(&plan);
        reader.disable_recursion_limit();
        let plan: Json = match serde::Deserialize::deserialize(&mut reader) {
            Ok(plan) => plan,
            Err(_) => return Ok(Needs::All),
        };
        if plan["error"] != Json::Bool(false) || plan["plans"].as_array().is_none_or(|plans| plans.len() != 1) {
            return Ok(Needs::All);
        }
        let mut scans = Scans::default();
        scans.gather(&plan["plans"]);
        if scans.any_joined && self.reads_resources(sql)? {
            scans.tables.insert(Table::Resources, Predicate::Any);
        }
        Ok(Needs::Some(scans.tables))
    }

    /// Whether the column with the resources is read. Any plan that does without it shows that it does not matter.
    fn reads_resources(&self, sql: &str) -> Result<bool, duckdb::Error> {
        let connection = &self.connection;
        connection.execute_batch(&format!("SET disabled_optimizers = '{OFF_FOR_COLUMNS}'"))?;
        let mut statement = connection.prepare(&format!("EXPLAIN (FORMAT json) {sql}"))?;
        let mut rows = statement.query([])?;
        let (mut any, mut found) = (false, false);
        while let Some(row) = rows.next()? {
            any = true;
            found |= row.get::<_, String>(1)?.contains(RESOURCE);
        }
        Ok(found || !any)
    }
}

/// What the scans of the stored tables ask. What several scans ask, a row that counts fulfils one of.
#[derive(Default)]
struct Scans {
    tables: HashMap<Table, Predicate>,
    /// Whether a table is read that has the resource of each row.
    any_joined: bool,
}

impl Scans {
    fn gather(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.gather(item)),
            Json::Object(fields) => {
                if fields.get("type").is_some_and(|kind| kind == "LOGICAL_GET") {
                    self.scan(node);
                }
                fields.values().for_each(|field| self.gather(field));
            }
            _ => {}
        }
    }

    fn scan(&mut self, get: &Json) {
        let from = &get["function_data"];
        let joined = from["schema"] == JOINED;
        let name = from["table"].as_str().filter(|_| joined || from["schema"] == "stored");
        let Some(table) = name.and_then(Table::from_name) else { return };
        self.any_joined |= joined;
        let asked = filters(get, table);
        let all = match self.tables.remove(&table) {
            Some(other) => other.or(asked),
            None => asked,
        };
        self.tables.insert(table, all);
    }
}

fn filters(get: &Json, table: Table) -> Predicate {
    // The filters' keys count the columns that are read.
    let (Some(read), true) = (get["column_indexes"].as_array(), get["table_filters_by_projection"] == true) else {
        return Predicate::Any;
    };
    let filters = get["table_filters"]["filters"].as_array().map_or(&[][..], Vec::as_slice);
    let of_column = |filter: &Json| {
        let place = usize::try_from(filter["key"].as_u64()?).ok()?;
        let column = read.get(place)?;
        // One of a part of a column is another matter.
        let whole = column.as_object()?.keys().all(|key| key == "index");
        let column = usize::try_from(column["index"].as_u64().unwrap_or_default()).ok()?;
        (whole && column < table.columns().len()).then(|| Filter { table, column }.read(&filter["value"]))
    };
    filters.iter().filter_map(of_column).fold(Predicate::Any, Predicate::and)
}

/// Reads the filters of one column.
struct Filter {
    table: Table,
    column: usize,
}

impl Filter {
    fn read(&self, filter: &Json) -> Predicate {
        let children = || filter["child_filters"].as_array().map_or(&[][..], Vec::as_slice);
        match filter["filter_type"].as_str().unwrap_or_default() {
            "LEGACY_CONSTANT_COMPARISON" => {
                self.compare(filter["comparison_type"].as_str(), &filter["constant"], false)
            }
            "LEGACY_CONJUNCTION_AND" => children().iter().map(|f| self.read(f)).fold(Predicate::Any, Predicate::and),
            "LEGACY_CONJUNCTION_OR" => one_of(children().iter().map(|f| self.read(f))),
            "LEGACY_IN_FILTER" => {
                let values = filter["values"].as_array().map_or(&[][..], Vec::as_slice);
                one_of(values.iter().map(|value| self.compare(Some("COMPARE_EQUAL"), value, false)))
            }
            // It is no more than what is asked elsewhere.
            "LEGACY_OPTIONAL_FILTER" => self.read(&filter["child_filter"]),
            "EXPRESSION_FILTER" => self.expression(&filter["expr"]),
            _ => Predicate::Any,
        }
    }

    fn expression(&self, expression: &Json) -> Predicate {
        let children = expression["children"].as_array().map_or(&[][..], Vec::as_slice);
        let kind = expression["type"].as_str().unwrap_or_default();
        match (kind, children) {
            ("CONJUNCTION_AND", all) => all.iter().map(|one| self.expression(one)).fold(Predicate::Any, Predicate::and),
            ("CONJUNCTION_OR", some) => one_of(some.iter().map(|one| self.expression(one))),
            ("COMPARE_IN", [left, values @ ..]) => match Operand::of(left) {
                Some(operand) => one_of(values.iter().map(|value| match constant(value) {
                    Some(value) => self.compare(Some("COMPARE_EQUAL"), value, operand == Operand::Hex),
                    None => Predicate::Any,
                })),
                None => Predicate::Any,
            },
            (_, [left, right]) => match (Operand::of(left), constant(right), Operand::of(right), constant(left)) {
                (Some(operand), Some(value), ..) => self.compare(Some(kind), value, operand == Operand::Hex),
                (.., Some(operand), Some(value)) => match self.compare(Some(kind), value, operand == Operand::Hex) {
                    Predicate::Compare { column, comparison, value, by_hex } => {
                        Predicate::Compare { column, comparison: comparison.flipped(), value, by_hex }
                    }
                    other => other,
                },
                _ => Predicate::Any,
            },
            _ => Predicate::Any,
        }
    }

    fn compare(&self, comparison: Option<&str>, constant: &Json, by_hex: bool) -> Predicate {
        let comparison = comparison.and_then(Comparison::from_name);
        let column = &self.table.columns()[self.column];
        let value = match by_hex {
            true => (column.sql_type == "BLOB").then(|| hex_of_text(constant)).flatten(),
            false => value(column.sql_type, constant),
        };
        match (comparison, value) {
            (Some(comparison), Some(value)) => Predicate::Compare { column: self.column, comparison, value, by_hex },
            _ => Predicate::Any,
        }
    }
}

/// At least one of these holds; of nothing nothing is known.
fn one_of(some: impl Iterator<Item = Predicate>) -> Predicate {
    some.reduce(Predicate::or).unwrap_or(Predicate::Any)
}

/// The side of a comparison that the column is on.
#[derive(Debug, PartialEq, Eq)]
enum Operand {
    /// The column itself.
    Bare,
    /// `lower(hex(column))`, as the views show ids.
    Hex,
}

impl Operand {
    fn of(expression: &Json) -> Option<Self> {
        if expression["type"] == "BOUND_REF" && expression["index"].as_u64().unwrap_or_default() == 0 {
            return Some(Operand::Bare);
        }
        let hex = call_of(expression, "lower").and_then(|argument| call_of(argument, "hex"))?;
        (Operand::of(hex)? == Operand::Bare).then_some(Operand::Hex)
    }
}

/// The one argument of a call of DuckDB's own function of this name.
fn call_of<'a>(expression: &'a Json, name: &str) -> Option<&'a Json> {
    let path = expression["qname"]["path"].as_array()?;
    let own = path.iter().filter_map(Json::as_str).eq(["system", "main", name]);
    let [argument] = expression["children"].as_array()?.as_slice() else { return None };
    (own && expression["type"] == "BOUND_FUNCTION").then_some(argument)
}

fn constant(expression: &Json) -> Option<&Json> {
    (expression["type"] == "VALUE_CONSTANT").then(|| &expression["value"])
}

/// A constant of the column's own type, in the form of the column's bounds.
fn value(sql_type: &str, constant: &Json) -> Option<Value> {
    if constant["is_null"] == true || constant["type"]["id"] != sql_type {
        return None;
    }
    let value = &constant["value"];
    match sql_type {
        "BIGINT" | "INTEGER" | "UINTEGER" => value.as_i64().map(Value::Number),
        "VARCHAR" => value.as_str().map(|text| Value::Text(text.to_owned())),
        // All of its digits, as bounds have them: `.5` would be before a bound of `.500000000`.
        "TIMESTAMP_NS" => value.as_i64().and_then(|nanos| whole_time(&timestamp(nanos))).map(Value::Text),
        "BLOB" => value.as_str().and_then(hex_of_blob).map(Value::Text),
        _ => None,
    }
}

/// Hex as users write it and the views show it. Other text equals no id.
fn hex_of_text(constant: &Json) -> Option<Value> {
    let text = value("VARCHAR", constant)?;
    let Value::Text(hex) = text else { return None };
    let is_shown = hex.len().is_multiple_of(2) && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_shown.then(|| Value::Text(hex.to_ascii_uppercase()))
}

/// The hex of bytes as DuckDB writes them as text: printable ones as they are, others as `\xHH`.
fn hex_of_blob(text: &str) -> Option<String> {
    let mut hex = String::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                hex.extend([*high, *low].map(|digit| char::from(digit.to_ascii_uppercase())));
                rest = after;
            }
            (b'\\', _) | (128.., _) => return None,
            _ => {
                hex.push_str(&format!("{first:02X}"));
                rest = after;
            }
        }
    }
    Some(hex)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::store::sql::parse::Parser;

    /// What a statement asks, as text.
    fn asked(sql: &str) -> Vec<String> {
        let text = Parser::new().unwrap().validate(sql).unwrap();
        let Needs::Some(tables) = Instance::open().unwrap().plan(&text).unwrap() else { return vec!["all".into()] };
        let mut asked: Vec<String> =
            tables.iter().map(|(table, predicate)| format!("{}: {}", table.name(), shown(*table, predicate))).collect();
        asked.sort();
        asked
    }

    fn shown(table: Table, predicate: &Predicate) -> String {
        let each = |some: &[Predicate]| some.iter().map(|one| shown(table, one)).collect::<Vec<_>>();
        match predicate {
            Predicate::Any => "any".to_owned(),
            Predicate::All(all) => each(all).join(" and "),
            Predicate::OneOf(some) => format!("({})", each(some).join(" or ")),
            Predicate::Compare { column, comparison, value, by_hex } => {
                let sign = match comparison {
                    Comparison::Equal => "=",
                    Comparison::Less => "<",
                    Comparison::LessOrEqual => "<=",
                    Comparison::Greater => ">",
                    Comparison::GreaterOrEqual => ">=",
                };
                let value = match value {
                    Value::Number(number) => number.to_string(),
                    Value::Text(text) => text.trim_end_matches(".000000000").to_owned(),
                };
                format!("{} {sign} {value}{}", table.columns()[*column].name, if *by_hex { " by hex" } else { "" })
            }
        }
    }

    #[test]
    fn a_time_equals_a_bound_that_is_the_same() {
        for nanos in [1_795_921_038_464_634_350, 1_795_921_038_500_000_000, 1_795_921_038_000_000_000_i64] {
            let bound = whole_time(&timestamp(nanos)).map(Value::Text);
            let constant = serde_json::json!({"is_null": false, "type": {"id": "TIMESTAMP_NS"}, "value": nanos});
            assert_eq!(value("TIMESTAMP_NS", &constant), bound, "{nanos}");
        }
    }

    #[test]
    fn conditions_are_seen_through_views_macros_and_queries() {
        let range = "start_time >= 2026-01-01 00:00:00 and start_time < 2026-01-02 00:00:00";
        for (sql, expected) in [
            ("SELECT 1", vec![]),
            ("SELECT count(*) FROM spans WHERE trace_id = '00ff'", vec!["spans: trace_id = 00FF by hex"]),
            ("SELECT * FROM spans WHERE '00ff' = trace_id", vec!["resources: any", "spans: trace_id = 00FF by hex"]),
            (
                "SELECT name FROM spans WHERE trace_id = 'aa' OR trace_id = 'bb' ORDER BY start_time LIMIT 9",
                vec!["spans: (trace_id = AA by hex or trace_id = BB by hex)"],
            ),
            (
                "SELECT name FROM spans WHERE trace_id IN ('aa', 'bb')",
                vec!["spans: (trace_id = AA by hex or trace_id = BB by hex)"],
            ),
            // No id is shown so.
            ("SELECT name FROM spans WHERE trace_id = '00FF'", vec!["spans: any"]),
            ("FROM trace('00ff')", vec!["spans: trace_id = 00FF"]),
            (
                "SELECT name FROM spans WHERE start_time >= '2026-01-01' AND '2026-01-02' > start_time",
                vec![&format!("spans: {range}")],
            ),
            (
                "SELECT service_name FROM red('2026-01-01', '2026-01-02')",
                vec![&format!("spans: (kind = server or kind = consumer) and {range}")],
            ),
            (
                "SELECT value FROM metric_points WHERE metric = 'm' AND series_id = -7",
                vec![
                    "metric_distributions: metric = m and series_id = -7",
                    "metric_points: metric = m and series_id = -7",
                ],
            ),
            (
                "WITH l AS (SELECT * FROM logs WHERE service_name = 'it''s') SELECT body FROM l WHERE time > '2026-01-01'",
                vec!["logs: time > 2026-01-01 00:00:00 and service_name = it's"],
            ),
            (
                "SELECT count(*) FROM spans WHERE start_time > '2026-01-01'
                 UNION ALL SELECT count(*) FROM spans WHERE service_name = 'a'",
                vec!["spans: (start_time > 2026-01-01 00:00:00 or service_name = a)"],
            ),
            (
                "SELECT a.name FROM spans a JOIN spans b ON a.trace_id = b.trace_id
                 WHERE a.service_name = 'a' AND b.service_name = 'b'",
                vec!["spans: (service_name = a or service_name = b)"],
            ),
            ("SELECT name FROM spans WHERE service_name = 'a' AND random() > 0.5", vec!["spans: service_name = a"]),
            ("SELECT name FROM spans WHERE service_name = 'a' OR name = 'b'", vec!["spans: any"]),
            ("SELECT name FROM spans WHERE resource.\"host.name\" = 'a'", vec!["resources: any", "spans: any"]),
            ("SELECT name FROM spans WHERE service_name IS NULL", vec!["spans: any"]),
            ("SELECT name FROM spans WHERE service_name <> 'a'", vec!["spans: any"]),
            ("SELECT max(start_time) FROM spans", vec!["spans: any"]),
            ("SELECT name FROM (SELECT * FROM spans LIMIT 10) WHERE service_name = 'a'", vec!["spans: any"]),
            ("SUMMARIZE spans", vec!["resources: any", "spans: any"]),
            ("SELECT * FROM spans WHERE nope = 1", vec!["all"]),
            (
                "FROM exemplars_of('m', '2026-01-01', '2026-01-02')",
                vec!["exemplars: time >= 2026-01-01 00:00:00 and time < 2026-01-02 00:00:00", "series: metric = m"],
            ),
        ] {
            assert_eq!(asked(sql), expected, "{sql}");
        }
    }

    #[test]
    fn bytes_are_read_as_duckdb_writes_them() {
        let db = Connection::open_in_memory().unwrap();
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&all[..], b"", b"\\x00", b"a'b"] {
            let text: String = db.query_row("SELECT ?::BLOB::VARCHAR", [bytes], |row| row.get(0)).unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            assert_eq!(hex_of_blob(&text).as_deref(), Some(hex.as_str()), "{text}");
        }
        assert_eq!(hex_of_blob("\\x0"), None);
    }
}
