//! The lists of what a statement may call, from `functions.txt`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What one argument of a function must be, where the function is dangerous otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Any arguments.
    None,
    /// The argument is a literal number of at most so much: one call can take memory past every
    /// limit of DuckDB's (`rpad`, `repeat`).
    AtMost(usize, u64),
    /// The argument is a number that fits a SMALLINT: a literal is looked at, and anything else is cast
    /// when it runs ([`super::rewrite::bounds`]).
    Small(usize),
    /// The argument is a literal format string whose widths are small.
    Format(usize),
    /// The argument is a literal JSON structure that names only types that a cast may name.
    Structure(usize),
    /// The argument is the literal name of an allowed aggregate.
    Aggregate(usize),
    /// The argument is a literal, if it is there: it stands several times in what runs
    /// ([`super::rewrite::bounds`]).
    Literal(usize),
}

/// The lists. Names are lower case.
#[derive(Debug, Default)]
pub struct Functions {
    /// Operators, when written as operators.
    pub operators: HashMap<String, Condition>,
    /// Aggregates, plain or over a window.
    pub aggregates: HashMap<String, Condition>,
    /// Functions that only work over a window.
    pub windows: HashMap<String, Condition>,
    /// Scalar functions and macros.
    pub scalars: HashMap<String, Condition>,
    /// Table functions of DuckDB and our own table macros.
    pub tables: HashMap<String, Condition>,
}

/// The lists built into the program.
pub static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| Functions::parse(include_str!("functions.txt")));

impl Functions {
    /// Reads the format of `functions.txt`; a condition that it does not know allows nothing.
    fn parse(text: &str) -> Self {
        let mut lists = Functions::default();
        let mut section = "";
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = name;
                continue;
            }
            let (name, condition) = match line.split_once(' ') {
                None => (line, Condition::None),
                Some((name, condition)) => match Condition::parse(condition) {
                    Some(condition) => (name, condition),
                    None => continue,
                },
            };
            let list = match section {
                "operators" => &mut lists.operators,
                "aggregates" => &mut lists.aggregates,
                "windows" => &mut lists.windows,
                "scalars" => &mut lists.scalars,
                "tables" => &mut lists.tables,
                _ => continue,
            };
            list.insert(name.to_ascii_lowercase(), condition);
        }
        lists
    }

    /// The condition of a function called by name, as a scalar or an aggregate; `None` if it is
    /// not allowed.
    pub fn called(&self, name: &str) -> Option<Condition> {
        self.scalars.get(name).or_else(|| self.aggregates.get(name)).copied()
    }
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        if let Some((argument, limit)) = text.split_once("<=") {
            return Some(Condition::AtMost(argument.parse().ok()?, limit.parse().ok()?));
        }
        let (argument, kind) = text.split_once(' ')?;
        let argument = argument.parse().ok()?;
        match kind {
            "small" => Some(Condition::Small(argument)),
            "format" => Some(Condition::Format(argument)),
            "structure" => Some(Condition::Structure(argument)),
            "aggregate" => Some(Condition::Aggregate(argument)),
            "literal" => Some(Condition::Literal(argument)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_understood() {
        let text = include_str!("functions.txt");
        let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with(['#', '[']));
        let f = &*FUNCTIONS;
        let total = f.operators.len() + f.aggregates.len() + f.windows.len() + f.scalars.len() + f.tables.len();
        assert_eq!(total, lines.count());
        assert_eq!(f.called("repeat"), Some(Condition::Small(1)));
        assert_eq!(f.called("to_base"), Some(Condition::AtMost(2, 1000)));
        assert_eq!(f.called("formatreadablesize"), Some(Condition::None));
        assert_eq!(f.called("list_aggregate"), Some(Condition::Aggregate(1)));
        assert_eq!(f.called("sum"), Some(Condition::None));
    }

    #[test]
    fn what_is_known_to_be_dangerous_is_not_in_it() {
        let f = &*FUNCTIONS;
        for name in [
            "query",
            "query_table",
            "json_execute_serialized_sql",
            "nextval",
            "setval",
            "checkpoint",
            "force_checkpoint",
            "truncate_duckdb_logs",
            "read_blob",
            "read_text",
            "read_parquet",
            "read_csv",
            "glob",
            "getenv",
            "sniff_csv",
            "damerau_levenshtein",
            "levenshtein",
            "reservoir_quantile",
            "array_value",
            "cast_to_type",
            "write_log",
            "parquet_metadata",
            "parquet_scan",
            "duckdb_secrets",
            "duckdb_views",
            "json_group_structure",
            "duckdb_logs",
            "duckdb_settings",
            "enable_logging",
        ] {
            assert!(
                f.called(name).is_none() && !f.tables.contains_key(name) && !f.windows.contains_key(name),
                "{name}"
            );
        }
    }
}
