//! Reading a plan: which stored tables it scans, and with which conditions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::super::predicate::Predicate;
use super::filter::Filter;
use crate::store::schema::Table;
use crate::store::views::JOINED;

/// What the scans of the stored tables ask. What several scans ask, a row that counts fulfils one of.
#[derive(Default)]
pub struct Scans {
    /// By table.
    pub tables: BTreeMap<Table, Predicate>,
    /// Those that have the resource of each row.
    pub joined: BTreeSet<Table>,
}

impl Scans {
    /// Those of a plan.
    pub fn of(plan: &Json) -> Self {
        let mut scans = Scans::default();
        scans.gather(plan);
        scans
    }

    fn gather(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.gather(item)),
            Json::Object(fields) => {
                match (node["type"].as_str(), list(&node["children"])) {
                    (Some("LOGICAL_GET"), _) => self.scan(node, &[]),
                    (Some("LOGICAL_FILTER"), [get]) if get["type"] == "LOGICAL_GET" => {
                        self.scan(get, list(&node["expressions"]));
                        return;
                    }
                    _ => {}
                }
                fields.values().for_each(|field| self.gather(field));
            }
            _ => {}
        }
    }

    /// Takes a scan whose rows have to fulfil these expressions, too.
    fn scan(&mut self, get: &Json, expressions: &[Json]) {
        let from = &get["function_data"];
        let joined = from["schema"] == JOINED;
        let name = from["table"].as_str().filter(|_| joined || from["schema"] == "stored");
        let Some(table) = name.and_then(Table::from_name) else { return };
        let asked = asked(get, table, expressions);
        if joined {
            self.joined.insert(table);
        }
        let all = match self.tables.remove(&table) {
            Some(other) => other.or(asked),
            None => asked,
        };
        self.tables.insert(table, all);
    }
}

fn asked(get: &Json, table: Table, expressions: &[Json]) -> Predicate {
    // What filters call a column by counts those that are read.
    if get["table_filters_by_projection"] != true {
        return Predicate::Any;
    }
    let column = |read: &Json| {
        // One of a part of a column is another matter.
        let is_whole = read.as_object()?.keys().all(|key| key == "index");
        let column = usize::try_from(read["index"].as_u64().unwrap_or_default()).ok()?;
        (is_whole && column < table.columns().len()).then_some(column)
    };
    let read: Vec<Option<usize>> = list(&get["column_indexes"]).iter().map(column).collect();
    let of_column = |filter: &Json| {
        let column = *read.get(usize::try_from(filter["key"].as_u64()?).ok()?)?;
        Some(Filter { table, columns: &[column] }.read(&filter["value"]))
    };
    let filters = list(&get["table_filters"]["filters"]).iter().filter_map(of_column);
    let of_all = Filter { table, columns: &read };
    // Where the scan gives not all that it reads, they count others.
    let expressions = if list(&get["projection_ids"]).is_empty() { expressions } else { &[] };
    let expressions = expressions.iter().map(|expression| of_all.expression(expression));
    filters.chain(expressions).fold(Predicate::Any, Predicate::and)
}

/// The items of an array; of anything else none.
pub fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}
