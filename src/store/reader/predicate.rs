//! What a statement asks of the rows of a table, as far as it is understood: never more than it does ask.
//! A file whose bounds contradict it holds no row that counts.

use std::collections::{BTreeMap, BTreeSet};

use super::files::{File, Value};
use crate::store::schema::Table;

/// Ids that are looked for in each file.
const MOST_IDS: usize = 64;

/// A condition that every row that counts fulfils.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// None that is understood.
    Any,
    /// The column at this place of the table compares so with a value; a NULL does not.
    Compare {
        /// The column's place.
        column: usize,
        /// How.
        comparison: Comparison,
        /// With what, in the form of the column's bounds.
        value: Value,
        /// The statement compares the hex that users see.
        by_hex: bool,
    },
    /// All of these.
    All(Vec<Predicate>),
    /// At least one of these.
    OneOf(Vec<Predicate>),
}

/// Characters of a date in the form of times.
const DATE: usize = "0000-00-00".len();

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// By the name that DuckDB's plans have for it.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "COMPARE_EQUAL" => Comparison::Equal,
            "COMPARE_LESSTHAN" => Comparison::Less,
            "COMPARE_LESSTHANOREQUALTO" => Comparison::LessOrEqual,
            "COMPARE_GREATERTHAN" => Comparison::Greater,
            "COMPARE_GREATERTHANOREQUALTO" => Comparison::GreaterOrEqual,
            _ => return None,
        })
    }

    /// The same with its sides changed.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Comparison::Equal => Comparison::Equal,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }
}

impl Predicate {
    /// Both; what says nothing, or nothing more, is left out.
    #[must_use]
    pub fn and(self, other: Predicate) -> Self {
        match (self, other) {
            (Predicate::Any, one) | (one, Predicate::Any) => one,
            (Predicate::All(mut all), one) => {
                if !all.contains(&one) {
                    all.push(one);
                }
                Predicate::All(all)
            }
            (first, second) if first == second => first,
            (first, second) => Predicate::All(vec![first, second]),
        }
    }

    /// One of both.
    #[must_use]
    pub fn or(self, other: Predicate) -> Self {
        match (self, other) {
            (Predicate::Any, _) | (_, Predicate::Any) => Predicate::Any,
            (Predicate::OneOf(mut some), one) => {
                some.push(one);
                Predicate::OneOf(some)
            }
            (first, second) => Predicate::OneOf(vec![first, second]),
        }
    }

    /// Whether a row of the file can fulfil it.
    pub fn may_hold(&self, file: &File) -> bool {
        match self {
            Predicate::Any => true,
            Predicate::All(all) => all.iter().all(|one| one.may_hold(file)),
            Predicate::OneOf(some) => some.iter().any(|one| one.may_hold(file)),
            Predicate::Compare { column, comparison, value, .. } => match file.range(*column) {
                None => true,
                Some(None) => false,
                Some(Some((min, max))) => match comparison {
                    Comparison::Equal => min <= value && value <= max,
                    Comparison::Less => min < value,
                    Comparison::LessOrEqual => min <= value,
                    Comparison::Greater => max > value,
                    Comparison::GreaterOrEqual => max >= value,
                },
            },
        }
    }

    /// What a row of `dictionary` fulfils that says what an id stands for, in a row of `table` that fulfils this. It is
    /// written on each UTC day on which a row uses the id, with the time of that row or of an earlier one.
    #[must_use]
    pub fn on_days(&self, table: Table, dictionary: Table) -> Predicate {
        let all = |some: &[Predicate]| some.iter().map(|one| one.on_days(table, dictionary)).collect::<Vec<_>>();
        let place = |table: Table| table.columns().iter().position(|column| column.name == table.time_column());
        match self {
            Predicate::All(some) => all(some).into_iter().fold(Predicate::Any, Predicate::and),
            Predicate::OneOf(some) => all(some).into_iter().reduce(Predicate::or).unwrap_or(Predicate::Any),
            Predicate::Compare { column, comparison, value: Value::Text(time), .. }
                if Some(*column) == place(table) =>
            {
                let (Some(column), Some(day)) = (place(dictionary), time.get(..DATE)) else { return Predicate::Any };
                let compare = |comparison, time| Predicate::Compare {
                    column,
                    comparison,
                    value: Value::Text(format!("{day} {time}")),
                    by_hex: false,
                };
                let from = compare(Comparison::GreaterOrEqual, "00:00:00.000000000");
                let to = compare(Comparison::LessOrEqual, "23:59:59.999999999");
                match comparison {
                    Comparison::Equal => from.and(to),
                    Comparison::Less | Comparison::LessOrEqual => to,
                    Comparison::Greater | Comparison::GreaterOrEqual => from,
                }
            }
            Predicate::Any | Predicate::Compare { .. } => Predicate::Any,
        }
    }

    /// The ids of which every row that counts has one in the column at this place; `None` if they are not known, or
    /// are many.
    pub fn ids(&self, place: usize) -> Option<BTreeSet<Vec<u8>>> {
        let ids = match self {
            Predicate::Compare { column, comparison: Comparison::Equal, value: Value::Text(hex), .. }
                if *column == place =>
            {
                BTreeSet::from([bytes_of(hex)?])
            }
            Predicate::Any | Predicate::Compare { .. } => return None,
            Predicate::All(all) => all.iter().filter_map(|one| one.ids(place)).min_by_key(BTreeSet::len)?,
            Predicate::OneOf(some) => {
                let each: Option<Vec<_>> = some.iter().map(|one| one.ids(place)).collect();
                each?.into_iter().flatten().collect()
            }
        };
        (ids.len() <= MOST_IDS).then_some(ids)
    }

    /// The ids that every row that counts has, as users compare them: their hex, by the columns' places.
    pub fn fixed_ids(&self) -> BTreeMap<usize, String> {
        match self {
            Predicate::Compare { column, comparison: Comparison::Equal, value: Value::Text(hex), by_hex: true } => {
                BTreeMap::from([(*column, hex.clone())])
            }
            Predicate::All(all) => all.iter().flat_map(Predicate::fixed_ids).collect(),
            Predicate::Any | Predicate::OneOf(_) | Predicate::Compare { .. } => BTreeMap::new(),
        }
    }

    /// The part of it that compares ids as users see them, with the stored bytes: for those DuckDB finds the
    /// rows by its statistics, where the hex of every row would have to be made. `None` if there is no such part.
    pub fn by_bytes(&self, table: Table) -> Option<String> {
        match self {
            Predicate::Compare { column, comparison: Comparison::Equal, value: Value::Text(hex), by_hex: true } => {
                Some(format!("{} = unhex('{hex}')", table.columns().get(*column)?.name))
            }
            Predicate::Any | Predicate::Compare { .. } => None,
            Predicate::All(all) => {
                let parts: Vec<String> = all.iter().filter_map(|one| one.by_bytes(table)).collect();
                (!parts.is_empty()).then(|| parts.join(" AND "))
            }
            Predicate::OneOf(some) => {
                let parts: Option<Vec<String>> = some.iter().map(|one| one.by_bytes(table)).collect();
                parts.map(|parts| format!("({})", parts.join(" OR ")))
            }
        }
    }
}

/// The bytes of hex.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::super::files::{Bounds, FileEntry};
    use super::*;

    fn file(bounds: &[(&str, Option<(&str, &str)>)]) -> File {
        let bounds = bounds.iter().map(|(name, bounds)| {
            let bounds = bounds.map_or(Bounds::Nothing, |(min, max)| Bounds::Between(min.into(), max.into()));
            ((*name).to_owned(), bounds)
        });
        let entry = FileEntry { id: 1, table: "series".into(), path: String::new(), bounds: bounds.collect() };
        File::new(entry).expect("a table")
    }

    fn compare(column: &str, comparison: Comparison, value: Value) -> Predicate {
        let column = Table::Series.columns().iter().position(|c| c.name == column).expect("a column");
        Predicate::Compare { column, comparison, value, by_hex: false }
    }

    #[test]
    fn bounds_that_contradict_leave_a_file_out() {
        let known = file(&[("series_id", Some(("-3", "20"))), ("metric", Some(("a", "b"))), ("service_name", None)]);
        let id = |comparison, value| compare("series_id", comparison, Value::Number(value)).may_hold(&known);
        assert!(id(Comparison::Equal, -3) && id(Comparison::Equal, 20) && id(Comparison::Equal, 7));
        assert!(!id(Comparison::Equal, -4) && !id(Comparison::Equal, 21));
        assert!(!id(Comparison::Less, -3) && id(Comparison::LessOrEqual, -3) && id(Comparison::Less, -2));
        assert!(!id(Comparison::Greater, 20) && id(Comparison::GreaterOrEqual, 20) && id(Comparison::Greater, 19));
        let metric = |text: &str| compare("metric", Comparison::Equal, Value::Text(text.into()));
        assert!(metric("ab").may_hold(&known) && !metric("bb").may_hold(&known));
        let service = compare("service_name", Comparison::LessOrEqual, Value::Text("z".into()));
        assert!(!service.may_hold(&known), "a NULL compares with nothing");
        let unknown = compare("scope_name", Comparison::Equal, Value::Text("z".into()));
        assert!(unknown.may_hold(&known));
        assert!(!metric("c").and(unknown.clone()).may_hold(&known));
        assert!(metric("c").or(unknown.clone()).may_hold(&known));
        assert!(!metric("c").or(service.clone()).may_hold(&known));
        assert_eq!(metric("c").or(Predicate::Any), Predicate::Any);
        assert_eq!(metric("c").and(Predicate::Any), metric("c"));
        assert!(!metric("c").may_hold(&known) && metric("c").may_hold(&file(&[])), "not known is not absent");
    }

    #[test]
    fn hex_becomes_bytes_where_all_that_may_count_is_hex() {
        let hex = |column: usize, hex: &str| Predicate::Compare {
            column,
            comparison: Comparison::Equal,
            value: Value::Text(hex.into()),
            by_hex: true,
        };
        let other = compare("metric", Comparison::Equal, Value::Text("a".into()));
        let by_bytes = |predicate: Predicate| predicate.by_bytes(Table::Spans);
        assert_eq!(by_bytes(hex(0, "AA")).as_deref(), Some("trace_id = unhex('AA')"));
        assert_eq!(by_bytes(hex(0, "AA").and(other.clone())).as_deref(), Some("trace_id = unhex('AA')"));
        assert_eq!(by_bytes(hex(0, "AA").or(other)), None);
        let both = by_bytes(hex(0, "AA").or(hex(1, "BB")));
        assert_eq!(both.as_deref(), Some("(trace_id = unhex('AA') OR span_id = unhex('BB'))"));
    }
}
