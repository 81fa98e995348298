//! Reading the filters and expressions of a plan.

use serde_json::Value as Json;

use super::super::predicate::{Comparison, Predicate};
use super::constant::{hex_of_text, value};
use super::plan::list;
use crate::store::schema::Table;

/// Reads conditions on the columns of a scan.
pub struct Filter<'a> {
    /// The table that is scanned.
    pub table: Table,
    /// The places of the columns that references count; `None` for what is none of the table.
    pub columns: &'a [Option<usize>],
}

impl Filter<'_> {
    /// What a row has to fulfil to pass a filter of the first column.
    pub fn read(&self, filter: &Json) -> Predicate {
        let children = list(&filter["child_filters"]);
        let compare = |name: Option<&str>, constant| self.compare(&Operand::FIRST, name, constant);
        match filter["filter_type"].as_str().unwrap_or_default() {
            "LEGACY_CONSTANT_COMPARISON" => compare(filter["comparison_type"].as_str(), &filter["constant"]),
            "LEGACY_CONJUNCTION_AND" => children.iter().map(|f| self.read(f)).fold(Predicate::Any, Predicate::and),
            "LEGACY_CONJUNCTION_OR" => one_of(children.iter().map(|f| self.read(f))),
            "LEGACY_IN_FILTER" => {
                one_of(list(&filter["values"]).iter().map(|value| compare(Some("COMPARE_EQUAL"), value)))
            }
            // It is no more than what is asked elsewhere.
            "LEGACY_OPTIONAL_FILTER" => self.read(&filter["child_filter"]),
            "EXPRESSION_FILTER" => self.expression(&filter["expr"]),
            _ => Predicate::Any,
        }
    }

    /// What a row has to fulfil for an expression to be true.
    pub fn expression(&self, expression: &Json) -> Predicate {
        let kind = expression["type"].as_str().unwrap_or_default();
        match (kind, list(&expression["children"])) {
            ("CONJUNCTION_AND", all) => all.iter().map(|one| self.expression(one)).fold(Predicate::Any, Predicate::and),
            ("CONJUNCTION_OR", some) => one_of(some.iter().map(|one| self.expression(one))),
            ("COMPARE_IN", [left, values @ ..]) => match Operand::of(left) {
                Some(operand) => one_of(values.iter().map(|value| match constant(value) {
                    Some(value) => self.compare(&operand, Some("COMPARE_EQUAL"), value),
                    None => Predicate::Any,
                })),
                None => Predicate::Any,
            },
            (_, [left, right]) => match (Operand::of(left), constant(right), Operand::of(right), constant(left)) {
                (Some(operand), Some(value), ..) => self.compare(&operand, Some(kind), value),
                (.., Some(operand), Some(value)) => match self.compare(&operand, Some(kind), value) {
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

    fn compare(&self, operand: &Operand, comparison: Option<&str>, constant: &Json) -> Predicate {
        let &Operand { reference, by_hex } = operand;
        let Some(column) = self.columns.get(reference).copied().flatten() else { return Predicate::Any };
        let sql_type = self.table.columns()[column].sql_type;
        let value = match by_hex {
            true => (sql_type == "BLOB").then(|| hex_of_text(constant)).flatten(),
            false => value(sql_type, constant),
        };
        match (comparison.and_then(Comparison::from_name), value) {
            (Some(comparison), Some(value)) => Predicate::Compare { column, comparison, value, by_hex },
            _ => Predicate::Any,
        }
    }
}

/// At least one of these holds; of nothing nothing is known.
fn one_of(some: impl Iterator<Item = Predicate>) -> Predicate {
    some.reduce(Predicate::or).unwrap_or(Predicate::Any)
}

/// The side of a comparison that the column is on.
struct Operand {
    /// Which of the columns.
    reference: usize,
    /// Whether it is `lower(hex(column))`, as the views show ids, or the column itself.
    by_hex: bool,
}

impl Operand {
    const FIRST: Operand = Operand { reference: 0, by_hex: false };

    fn of(expression: &Json) -> Option<Self> {
        if expression["type"] == "BOUND_REF" {
            let reference = usize::try_from(expression["index"].as_u64().unwrap_or_default()).ok()?;
            return Some(Operand { reference, by_hex: false });
        }
        let hex = call_of(expression, "lower").and_then(|argument| call_of(argument, "hex"))?;
        let operand = Operand::of(hex)?;
        (!operand.by_hex).then_some(Operand { by_hex: true, ..operand })
    }
}

/// The one argument of a call of DuckDB's own function of this name.
fn call_of<'a>(expression: &'a Json, name: &str) -> Option<&'a Json> {
    let path = expression["qname"]["path"].as_array()?;
    let own = path.iter().filter_map(Json::as_str).eq(["system", "main", name]);
    let [argument] = expression["children"].as_array()?.as_slice() else { return None };
    (own && expression["type"] == "BOUND_FUNCTION").then_some(argument)
}

/// The value of a constant.
pub fn constant(expression: &Json) -> Option<&Json> {
    (expression["type"] == "VALUE_CONSTANT").then(|| &expression["value"])
}
