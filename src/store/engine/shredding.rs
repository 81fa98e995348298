//! Which keys of `VARIANT` columns become columns of their own in a sealed file.
//!
//! Left to itself DuckDB makes a column of every key that it meets. Each takes about 1 MiB while a
//! file is written, so that 600 keys were more than the memory limit and sealing never ended. So
//! we tell it what to shred: the keys that are frequent in a sample of the rows, with the type
//! that each has most often, and no more than [`MAX_COLUMNS`]. All other keys stay in the value's
//! encoded form, where queries find them too, only slower.

mod footer;
mod sample;
mod shape;

use std::path::PathBuf;

use arrow::array::{Array, LargeBinaryArray, RecordBatch};
use duckdb::Connection;
use duckdb::types::ValueRef;
use parquet::errors::ParquetError;

use self::sample::Node;
pub use self::shape::{Scalar, Shape};
use crate::store::instance::quoted;
use crate::store::schema::Table;

/// Shredded columns of one file at most: about as many MiB while it is written.
const MAX_COLUMNS: usize = 100;

/// Rows that are looked at.
const SAMPLE_ROWS: u64 = 2048;

/// The same for the rows of one batch, which are few.
const SAMPLE_ROWS_OF_BATCH: usize = 512;

/// Longer values are not looked at: 2,048 rows of them shall be no burden.
const SAMPLE_BYTES: u64 = 8 << 10;

/// A key that fewer of the rows have is not worth a column.
const RARE: u64 = 100;

/// Levels of objects and arrays that are shredded.
const MAX_DEPTH: u32 = 5;

/// Longer keys are not shredded.
const MAX_KEY: usize = 256;

/// A type that shreds nothing of an object, an array or a column without values.
const NOTHING: &str = "VARCHAR";

/// How the `VARIANT` columns of a file are shredded, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shredding(Vec<(&'static str, Option<Shape>)>);

impl Shredding {
    /// The shredding that suits the rows of a table of decoded rows, which has `rows` of them.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn of(db: &Connection, relation: &str, table: Table, rows: u64) -> Result<Self, duckdb::Error> {
        let names = variants(table);
        if names.is_empty() || rows == 0 {
            return Ok(Self::none(table));
        }
        let columns: Vec<String> = names
            .iter()
            .map(|name| format!("CASE WHEN octet_length({name}) <= {SAMPLE_BYTES} THEN {name} END"))
            .collect();
        let step = rows.div_ceil(SAMPLE_ROWS);
        let sql = format!("SELECT {} FROM {relation} WHERE rowid % {step} = 0", columns.join(", "));
        let mut nodes: Vec<Node> = names.iter().map(|_| Node::default()).collect();
        let mut statement = db.prepare(&sql)?;
        let mut sampled = statement.query([])?;
        let mut count = 0;
        while let Some(row) = sampled.next()? {
            count += 1;
            for (n, node) in nodes.iter_mut().enumerate() {
                if let ValueRef::Blob(variant) = row.get_ref(n)? {
                    node.add(variant);
                }
            }
        }
        Ok(Self::from_nodes(&names, &nodes, count))
    }

    /// The shredding that suits the rows of `batches`, whose `VARIANT` columns are in their encoded form.
    pub fn of_batches<'a>(table: Table, batches: impl IntoIterator<Item = &'a RecordBatch>) -> Self {
        let names = variants(table);
        let mut nodes: Vec<Node> = names.iter().map(|_| Node::default()).collect();
        let batches: Vec<&RecordBatch> = batches.into_iter().collect();
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        let step = rows.div_ceil(SAMPLE_ROWS_OF_BATCH).max(1);
        let mut count = 0;
        for batch in batches {
            let sampled = (0..batch.num_rows()).step_by(step);
            count += sampled.len() as u64;
            for (name, node) in names.iter().zip(&mut nodes) {
                let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
                let Some(column): Option<&LargeBinaryArray> = column else { continue };
                for row in sampled.clone().filter(|row| column.is_valid(*row)) {
                    let variant = column.value(row);
                    if variant.len() as u64 <= SAMPLE_BYTES {
                        node.add(variant);
                    }
                }
            }
        }
        Self::from_nodes(&names, &nodes, count)
    }

    /// The shredding that suits the `rows` rows of sealed files together.
    ///
    /// # Errors
    /// That a file cannot be read.
    pub fn of_files(table: Table, files: &[PathBuf], rows: u64) -> Result<Self, ParquetError> {
        let names = variants(table);
        if names.is_empty() || rows == 0 {
            return Ok(Self::none(table));
        }
        Ok(Self::from_nodes(&names, &footer::nodes(&names, files)?, rows))
    }

    /// No shredding.
    pub fn none(table: Table) -> Self {
        let names = variants(table);
        Self::from_nodes(&names, &vec![Node::default(); names.len()], 0)
    }

    /// Whether anything is shredded.
    pub fn is_none(&self, table: Table) -> bool {
        *self == Self::none(table)
    }

    /// How one column is shredded, if it is.
    pub fn shape(&self, column: &str) -> Option<&Shape> {
        self.0.iter().find(|(name, _)| *name == column)?.1.as_ref()
    }

    /// The options of `COPY`, to be appended to others.
    pub fn option(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let columns = self.0.iter().map(|(name, shape)| {
            let of = shape.as_ref().map_or_else(|| NOTHING.to_owned(), Shape::to_string);
            format!("{name}: {}", quoted(&of))
        });
        format!(", SHREDDING {{{}}}", columns.collect::<Vec<_>>().join(", "))
    }

    fn from_nodes(names: &[&'static str], nodes: &[Node], rows: u64) -> Self {
        let mut choice = Choice::new(nodes, rows.div_ceil(RARE).max(1));
        Shredding(names.iter().zip(nodes).map(|(name, node)| (*name, choice.shape(node, 0))).collect())
    }
}

fn variants(table: Table) -> Vec<&'static str> {
    table.columns().iter().filter(|column| column.is_variant()).map(|column| column.name).collect()
}

/// Which of the values that a sample has seen are shredded.
struct Choice {
    /// Values seen more often are.
    above: u64,
    /// And so many of those seen exactly as often.
    equal: usize,
}

impl Choice {
    fn new(nodes: &[Node], least: u64) -> Self {
        let mut counts = Vec::new();
        for node in nodes {
            gather(node, 0, &mut counts);
        }
        counts.retain(|count| *count >= least);
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        match counts.get(MAX_COLUMNS) {
            None => Choice { above: least - 1, equal: 0 },
            Some(&last) => {
                let above = counts.iter().take_while(|count| **count > last).count();
                Choice { above: last, equal: MAX_COLUMNS - above }
            }
        }
    }

    fn takes(&mut self, count: u64) -> bool {
        if count > self.above {
            return true;
        }
        let takes = count == self.above && self.equal > 0;
        self.equal -= usize::from(takes);
        takes
    }

    /// What to shred a value by; `None` if it is not to be.
    fn shape(&mut self, node: &Node, depth: u32) -> Option<Shape> {
        if depth > MAX_DEPTH {
            return None;
        }
        match node.common()? {
            sample::Common::Scalar(scalar, count) => self.takes(count).then_some(Shape::Scalar(scalar)),
            sample::Common::Array(element) => Some(Shape::Array(Box::new(self.shape(element, depth + 1)?))),
            sample::Common::Object(fields) => {
                let mut shapes = Vec::new();
                for (key, field) in fields {
                    if is_shreddable(key)
                        && let Some(of) = self.shape(field, depth + 1)
                    {
                        shapes.push((key.to_owned(), of));
                    }
                }
                shapes.sort_by(|(a, _), (b, _)| a.cmp(b));
                (!shapes.is_empty()).then_some(Shape::Object(shapes))
            }
        }
    }
}

/// How often each value was seen that may become a column.
fn gather(node: &Node, depth: u32, counts: &mut Vec<u64>) {
    if depth > MAX_DEPTH {
        return;
    }
    match node.common() {
        None => {}
        Some(sample::Common::Scalar(_, count)) => counts.push(count),
        Some(sample::Common::Array(element)) => gather(element, depth + 1, counts),
        Some(sample::Common::Object(fields)) => {
            for (key, field) in fields {
                if is_shreddable(key) {
                    gather(field, depth + 1, counts);
                }
            }
        }
    }
}

fn is_shreddable(key: &str) -> bool {
    !key.is_empty() && key.len() <= MAX_KEY && !key.contains(char::is_control)
}

#[cfg(test)]
mod tests;
