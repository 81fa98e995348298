//! Which keys of its variants a statement takes: a file that has [columns](crate::store::parquet_file::leaves)
//! of these keys is read without the variants.
//!
//! The plan is followed from the scans upwards: which variant is in which column of each operator, and whether
//! an expression takes a key of it, or the whole. An operator that is not known takes the whole of all that is
//! below it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value as Json;

use super::filter::constant;
use super::plan::list;
use crate::store::schema::Table;
use crate::store::views::JOINED;

/// More keys of one variant than this are read as the whole.
const MOST: usize = 32;

/// A stored column: a table's, and its place there.
type Column = (Table, usize);

/// What is in each column of an operator: variants of these stored columns.
type Outputs = Vec<Vec<Column>>;

/// The keys that a statement takes of each stored variant of which it does not take the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    of: HashMap<Column, BTreeSet<String>>,
    /// Variants of which something is taken, the whole perhaps.
    taken: HashSet<Column>,
    /// Variants that the answer has.
    answered: HashSet<Column>,
}

impl Keys {
    /// Of a statement's plan.
    pub fn of(plan: &Json) -> Self {
        let mut taken = Taken::default();
        let outputs = taken.outputs(plan);
        taken.whole_of(&outputs);
        let Taken { keys: mut of, whole } = taken;
        let taken = of.keys().chain(&whole).copied().collect();
        of.retain(|column, keys| {
            // DuckDB has no object with two keys that differ in case alone.
            let distinct: HashSet<String> = keys.iter().map(|key| key.to_lowercase()).collect();
            !whole.contains(column) && keys.len() <= MOST && distinct.len() == keys.len()
        });
        Keys { of, taken, answered: outputs.into_iter().flatten().collect() }
    }

    /// Whether the resources of rows may be taken.
    pub fn takes_resources(&self) -> bool {
        self.taken.iter().any(|(table, _)| *table == Table::Resources)
    }

    /// Whether the answer has them.
    pub fn answers_resources(&self) -> bool {
        self.answered.iter().any(|(table, _)| *table == Table::Resources)
    }

    /// Those of the columns of a table, by the columns' places.
    pub fn of_table(&self, table: Table) -> BTreeMap<usize, BTreeSet<String>> {
        let of_table = self.of.iter().filter(|((of, _), _)| *of == table);
        of_table.map(|((_, place), keys)| (*place, keys.clone())).collect()
    }
}

/// What has been found so far.
#[derive(Default)]
struct Taken {
    keys: HashMap<Column, BTreeSet<String>>,
    whole: HashSet<Column>,
}

impl Taken {
    /// Looks into an operator and all below it; what it hands up.
    fn outputs(&mut self, node: &Json) -> Outputs {
        let kind = node["type"].as_str().unwrap_or_default();
        if kind == "LOGICAL_GET" {
            return self.scan(node);
        }
        let mut below: Vec<Outputs> = list(&node["children"]).iter().map(|child| self.outputs(child)).collect();
        let maps = ["projection_map", "left_projection_map", "right_projection_map"];
        let is_plain = maps.iter().all(|map| list(&node[map]).is_empty());
        match (kind, below.as_mut_slice()) {
            ("LOGICAL_PROJECTION", [input]) => {
                list(&node["expressions"]).iter().map(|e| self.passed(e, input)).collect()
            }
            ("LOGICAL_FILTER", [input]) if is_plain => {
                self.taken(&node["expressions"], input);
                std::mem::take(input)
            }
            ("LOGICAL_ORDER_BY" | "LOGICAL_TOP_N", [input]) if is_plain => {
                self.taken(&node["orders"], input);
                std::mem::take(input)
            }
            ("LOGICAL_LIMIT", [input]) => std::mem::take(input),
            // What it adds stands behind.
            ("LOGICAL_WINDOW", [input]) => {
                self.taken(&node["expressions"], input);
                std::mem::take(input)
            }
            ("LOGICAL_AGGREGATE_AND_GROUP_BY", [input]) => {
                self.taken(&node["groups"], input);
                let groups = list(&node["groups"]).len();
                let aggregates = list(&node["expressions"]).iter().map(|e| self.aggregate(e, input));
                std::iter::repeat_n(Vec::new(), groups).chain(aggregates).collect()
            }
            ("LOGICAL_COMPARISON_JOIN", [left, right]) if is_plain && is_plain_join(node) => {
                for condition in list(&node["conditions"]) {
                    self.taken(&condition["left"], left);
                    self.taken(&condition["right"], right);
                }
                match node["join_type"].as_str().unwrap_or_default() {
                    "SEMI" | "ANTI" | "MARK" => {
                        self.whole_of(right);
                        std::mem::take(left)
                    }
                    _ => both(left, right),
                }
            }
            ("LOGICAL_CROSS_PRODUCT", [left, right]) => both(left, right),
            ("LOGICAL_UNION", inputs) => {
                let width = inputs.iter().map(Vec::len).max().unwrap_or_default();
                let mut outputs = vec![Vec::new(); width];
                for input in inputs {
                    outputs.iter_mut().zip(input).for_each(|(output, input)| output.append(input));
                }
                outputs
            }
            (_, inputs) => {
                inputs.iter().for_each(|input| self.whole_of(input));
                Outputs::new()
            }
        }
    }

    fn scan(&mut self, get: &Json) -> Outputs {
        let from = &get["function_data"];
        let is_joined = from["schema"] == JOINED;
        let name = from["table"].as_str().filter(|_| is_joined || from["schema"] == "stored");
        let Some(table) = name.and_then(Table::from_name) else { return Outputs::new() };
        let variant = |place: usize| match table.columns().get(place) {
            Some(column) => column.is_variant().then_some((table, place)),
            // The resource that the row has is one of those that are stored by themselves.
            None if is_joined => {
                let place = Table::Resources.columns().iter().position(|column| column.name == "resource")?;
                Some((Table::Resources, place))
            }
            None => None,
        };
        let read: Outputs = list(&get["column_indexes"])
            .iter()
            .map(|column| {
                let place = usize::try_from(column["index"].as_u64().unwrap_or_default()).ok();
                place.and_then(variant).into_iter().collect()
            })
            .collect();
        // Of a part of a variant the scan itself has taken care.
        let parts =
            list(&get["column_indexes"]).iter().zip(&read).filter(|(c, _)| !list(&c["child_indexes"]).is_empty());
        self.whole.extend(parts.flat_map(|(_, column)| column));
        for filter in list(&get["table_filters"]["filters"]) {
            let place = usize::try_from(filter["key"].as_u64().unwrap_or_default()).ok();
            let Some(column) = place.and_then(|place| read.get(place)) else { continue };
            match filter["value"]["filter_type"].as_str() {
                // It has the one column.
                Some("EXPRESSION_FILTER") => self.taken(&filter["value"]["expr"], &vec![column.clone()]),
                _ => self.whole.extend(column),
            }
        }
        match list(&get["projection_ids"]) {
            [] => read,
            places => {
                let places = places.iter().filter_map(|place| usize::try_from(place.as_u64()?).ok());
                places.map(|place| read.get(place).cloned().unwrap_or_default()).collect()
            }
        }
    }

    /// What an expression hands up, if it is a column as it is; else what it takes is noted.
    fn passed(&mut self, expression: &Json, input: &Outputs) -> Vec<Column> {
        match reference(expression) {
            Some(place) => input.get(place).cloned().unwrap_or_default(),
            None => {
                self.taken(expression, input);
                Vec::new()
            }
        }
    }

    /// The same of an aggregate: any value of a column is one of it.
    fn aggregate(&mut self, aggregate: &Json, input: &Outputs) -> Vec<Column> {
        let is_bare = ["filter", "order_bys"].iter().all(|part| aggregate[part].is_null());
        let is_any = is_called(aggregate, "any_value") && aggregate["aggregate_type"] == "NON_DISTINCT";
        match list(&aggregate["children"]).first().filter(|_| is_bare && is_any) {
            Some(argument) => self.passed(argument, input),
            None => {
                self.taken(aggregate, input);
                Vec::new()
            }
        }
    }

    /// Notes what expressions take.
    fn taken(&mut self, expression: &Json, input: &Outputs) {
        if let Some((place, key)) = extract(expression) {
            for column in input.get(place).into_iter().flatten() {
                self.keys.entry(*column).or_default().insert(key.to_owned());
            }
            return;
        }
        if let Some(place) = reference(expression) {
            self.whole.extend(input.get(place).into_iter().flatten());
            return;
        }
        match expression {
            Json::Array(items) => items.iter().for_each(|item| self.taken(item, input)),
            Json::Object(fields) => fields.values().for_each(|field| self.taken(field, input)),
            _ => {}
        }
    }

    fn whole_of(&mut self, outputs: &Outputs) {
        self.whole.extend(outputs.iter().flatten());
    }
}

/// The columns of both sides of a join.
fn both(left: &mut Outputs, right: &mut Outputs) -> Outputs {
    let mut outputs = std::mem::take(left);
    outputs.append(right);
    outputs
}

/// Whether a join has nothing but conditions that compare both sides.
fn is_plain_join(node: &Json) -> bool {
    let known = ["INNER", "LEFT", "RIGHT", "OUTER", "SINGLE", "SEMI", "ANTI", "MARK"];
    let others = ["predicate", "duplicate_eliminated_columns", "expressions"];
    let is_none = |value: &Json| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    node["join_type"].as_str().is_some_and(|kind| known.contains(&kind))
        && others.iter().all(|name| is_none(&node[name]))
}

/// The place of the column below that an expression is.
fn reference(expression: &Json) -> Option<usize> {
    let is_reference = expression["type"] == "BOUND_REF";
    is_reference.then(|| usize::try_from(expression["index"].as_u64().unwrap_or_default()).ok()).flatten()
}

/// The variant of which an expression takes a key, and the key.
fn extract(expression: &Json) -> Option<(usize, &str)> {
    let [variant, key] = list(&expression["children"]) else { return None };
    let key = constant(key).filter(|key| key["is_null"] == false && key["type"]["id"] == "VARCHAR")?;
    Some((reference(variant)?, key["value"].as_str()?)).filter(|_| is_called(expression, "variant_extract"))
}

/// Whether an expression calls DuckDB's own function of this name.
fn is_called(expression: &Json, name: &str) -> bool {
    list(&expression["qname"]["path"]).iter().filter_map(Json::as_str).eq(["system", "main", name])
}
