//! The instance that plans. It has no data and reaches no file. It is not the one that parses, for that one has no
//! tables.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};

use duckdb::Connection;
use serde_json::Value as Json;

use super::Needs;
use super::keys::Keys;
use super::plan::Scans;
use crate::store::schema::Table;
use crate::store::sql::service::Interrupts;
use crate::store::views::{self, JOINED, RESOURCE};
use crate::store::{instance, macros};

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

/// Functions whose values are constants within a statement alone, macros of DuckDB's that are made of those, and what
/// stands for a function without brackets. `age` of one time is not said to be one.
const OF_MOMENT: &str = "
    SELECT DISTINCT lower(function_name) FROM duckdb_functions()
    WHERE stability = 'CONSISTENT_WITHIN_QUERY'
        OR database_name = 'system' AND regexp_matches(macro_definition, 'current_|now\\(')
    UNION SELECT unnest(['age', 'current_time', 'current_timestamp', 'localtime', 'localtimestamp'])";

/// An instance with the users' views and macros over empty tables.
pub struct Instance {
    /// It plans on this one.
    connection: Connection,
    /// And tells columns on this one, for which it optimizes nothing.
    pub binding: Connection,
    /// The optimizers that are not [`ON`], as a setting.
    off: String,
    /// Those that are off now.
    off_now: RefCell<String>,
    /// Functions that give the same value only within a statement, and what is made of them.
    of_moment: HashSet<String>,
}

impl Instance {
    /// Opens it.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn open() -> Result<Self, duckdb::Error> {
        let connection = instance::open_without_data()?;
        instance::set_utc(&connection);
        connection.execute_batch(&format!("CREATE SCHEMA stored; CREATE SCHEMA {JOINED}"))?;
        for table in Table::ALL {
            let columns: Vec<String> = table.columns().iter().map(|c| format!("{} {}", c.name, c.sql_type)).collect();
            let (name, columns) = (table.name(), columns.join(", "));
            connection.execute_batch(&format!("CREATE TABLE stored.{name} ({columns})"))?;
            let select = if views::has_resource(table) {
                connection.execute_batch(&format!("CREATE TABLE {JOINED}.{name} ({columns}, {RESOURCE} VARIANT)"))?;
                views::select_joined(table, &format!("{JOINED}.{name}"))
            } else {
                views::select(table, |table| format!("stored.{}", table.name()))
            };
            connection.execute_batch(&format!("CREATE VIEW {name} AS {select}"))?;
        }
        macros::create(&connection)?;
        let off = names(&connection, "SELECT name FROM duckdb_optimizers()")?;
        let off: Vec<String> = off.into_iter().filter(|name| !ON.contains(&name.as_str())).collect();
        let of_moment = names(&connection, OF_MOMENT)?.into_iter().collect();
        let binding = connection.try_clone()?;
        binding.execute_batch("SET SESSION enable_optimizer = false")?;
        Ok(Instance { connection, binding, off: off.join(","), off_now: RefCell::default(), of_moment })
    }

    /// Has these interrupt what it does.
    pub fn interrupt_by(&self, interrupts: &Interrupts) {
        interrupts.add(self.connection.interrupt_handle());
        interrupts.add(self.binding.interrupt_handle());
    }

    /// Whether the plan of a statement may be another in a moment, because `today()` or the like is in it; `now()` has
    /// become a time. Our views and macros have it in no condition.
    pub fn is_of_moment(&self, sql: &str) -> bool {
        let words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.into_iter().any(|word| self.of_moment.contains(&word.to_lowercase()))
    }

    /// What a statement needs. All, if it has no plan that can be told.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn plan(&self, sql: &str) -> Result<Needs, duckdb::Error> {
        let connection = &self.connection;
        self.switch_off(&self.off)?;
        let question = "SELECT json_serialize_plan(?::VARCHAR, optimize := true, skip_null := true, skip_empty := true, \
                    skip_default := true)";
        let plan: String = connection.prepare_cached(question)?.query_row([sql], |row| row.get(0))?;
        let mut reader = serde_json::Deserializer::from_str(&plan);
        reader.disable_recursion_limit();
        let plan: Json = match serde::Deserialize::deserialize(&mut reader) {
            Ok(plan) => plan,
            Err(_) => return Ok(Needs::All),
        };
        if plan["error"] != Json::Bool(false) || plan["plans"].as_array().is_none_or(|plans| plans.len() != 1) {
            return Ok(Needs::All);
        }
        let Scans { tables, joined } = Scans::of(&plan["plans"]);
        let keys = Keys::of(&plan["plans"][0]);
        let reads_resources =
            !joined.is_empty() && keys.takes_resources() && (keys.answers_resources() || self.reads_resources(sql)?);
        Ok(Needs::Some { tables, with_resources: if reads_resources { joined } else { BTreeSet::new() }, keys })
    }

    /// Leaves out these optimizers, and no others.
    fn switch_off(&self, optimizers: &str) -> Result<(), duckdb::Error> {
        let mut off_now = self.off_now.borrow_mut();
        if *off_now != optimizers {
            self.connection.execute_batch(&format!("SET disabled_optimizers = '{optimizers}'"))?;
            optimizers.clone_into(&mut off_now);
        }
        Ok(())
    }

    /// Whether the column with the resources is read. Any plan that does without it shows that it does not matter.
    fn reads_resources(&self, sql: &str) -> Result<bool, duckdb::Error> {
        self.switch_off(OFF_FOR_COLUMNS)?;
        let mut statement = self.connection.prepare(&format!("EXPLAIN (FORMAT json) {sql}"))?;
        let mut rows = statement.query([])?;
        let (mut any, mut found) = (false, false);
        while let Some(row) = rows.next()? {
            any = true;
            found |= row.get::<_, String>(1)?.contains(RESOURCE);
        }
        Ok(found || !any)
    }
}

/// The rows of a question for names.
fn names(connection: &Connection, question: &str) -> Result<Vec<String>, duckdb::Error> {
    let mut statement = connection.prepare(question)?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}
