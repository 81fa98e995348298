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
//! | module | what |
//! |---|---|
//! | [`instance`] | the instance that plans |
//! | [`plan`] | which tables a plan scans |
//! | [`filter`], [`constant`] | by which conditions |
//! | [`keys`] | which keys of their variants it takes |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::predicate::Predicate;
use crate::store::schema::Table;
use crate::store::sql::columns::Column;
use crate::store::sql::service::{Interrupts, Statement};
use crate::store::sql::{SqlError, execute};
use crate::store::views::has_resource;

mod constant;
mod filter;
mod instance;
mod keys;
mod plan;

use instance::Instance;
use keys::Keys;

/// What a statement needs of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// Every row may count.
    All,
    /// Some alone.
    Some {
        /// Of these tables only rows that fulfil this, of the others none.
        tables: BTreeMap<Table, Predicate>,
        /// Of rows of these the resources, too.
        with_resources: BTreeSet<Table>,
        /// Of some variants these keys alone.
        keys: Keys,
    },
}

impl Needs {
    /// What the rows of a table that count fulfil; `None` if none does.
    pub fn of(&self, table: Table) -> Option<Predicate> {
        match self {
            Needs::All => Some(Predicate::Any),
            Needs::Some { tables, .. } => tables.get(&table).cloned(),
        }
    }

    /// Whether the resources of the rows of a table count.
    pub fn with_resources(&self, table: Table) -> bool {
        match self {
            Needs::All => has_resource(table),
            Needs::Some { with_resources, .. } => with_resources.contains(&table),
        }
    }

    /// The keys of variants of a table that count, by the columns' places; of other columns all count.
    pub fn keys_of(&self, table: Table) -> BTreeMap<usize, BTreeSet<String>> {
        match self {
            Needs::All => BTreeMap::new(),
            Needs::Some { keys, .. } => keys.of_table(table),
        }
    }

    /// Whether any condition is understood.
    pub fn prunes(&self) -> bool {
        match self {
            Needs::All => false,
            Needs::Some { tables, .. } => tables.values().any(|predicate| *predicate != Predicate::Any),
        }
    }
}

/// An instance that plans.
#[derive(Clone, Default)]
pub struct Planner {
    instance: Arc<Mutex<Option<Instance>>>,
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

    /// Whether a validated statement may need something else in a moment.
    pub fn is_of_moment(&self, statement: &Statement<'_>) -> bool {
        self.instance.lock().as_ref().is_none_or(|open| open.is_of_moment(statement.sql))
    }

    /// What a validated statement needs. All, if it cannot be planned here.
    pub fn needs(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Needs {
        // DuckDB writes no query that begins with the word.
        let sql = statement.sql.strip_prefix("EXPLAIN ").unwrap_or(statement.sql);
        let Some(sql) = statement.with_parameters(sql) else { return Needs::All };
        self.ask(interrupts, |instance| instance.plan(&sql)).unwrap_or(Needs::All)
    }

    /// The columns of a statement's answer, which are the same over tables without rows and files. `None` if they
    /// cannot be told here.
    pub fn columns(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Option<Vec<Column>> {
        self.ask(interrupts, |instance| execute::columns_of(&instance.binding, statement.sql, statement.query))
    }

    /// What the instance answers; `None` if there is none, or it fails.
    fn ask<T>(
        &self,
        interrupts: &Interrupts,
        question: impl FnOnce(&Instance) -> Result<T, duckdb::Error>,
    ) -> Option<T> {
        let mut instance = self.instance.lock();
        self.open(&mut instance);
        let open = instance.as_ref()?;
        open.interrupt_by(interrupts);
        let answer = question(open);
        answer
            .map_err(|error| {
                tracing::debug!(%error, "a statement is run without a look at its plan");
                if matches!(SqlError::from_duckdb(&error, ""), SqlError::Fatal(_)) {
                    *instance = None;
                }
            })
            .ok()
    }
}

#[cfg(test)]
mod tests;
