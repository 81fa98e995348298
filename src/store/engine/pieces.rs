//! How rows are written that DuckDB cannot write as they are: each step asks for less.
//!
//! A file is written shredded; if that fails for lack of memory or over a value, without
//! shredding; then in halves, down to single rows; then a single row without its `VARIANT`
//! columns if others lean on it, or not at all; either way a dead letter has all of it. So writing
//! ends whatever the rows hold, and a row costs nobody but itself.

use duckdb::Connection;

use super::partition::Partition;
use crate::store::schema::Table;

/// How much of the rows a file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Everything, with columns for frequent keys.
    Shredded,
    /// Everything.
    Plain,
    /// Not the `VARIANT` columns, which are NULL instead.
    WithoutVariants,
}

/// Rows of a partition that become one file.
#[derive(Debug, Clone)]
pub struct Piece {
    /// How it is written.
    pub shape: Shape,
    /// Rows in it.
    pub rows: u64,
    /// `WHERE` of the partition it is from, if it needs one.
    filter: String,
    /// Its rows' numbers in the table, from the first to before the second; all if not given.
    numbers: Option<(i64, i64)>,
}

impl Piece {
    /// A whole partition.
    pub fn whole(partition: &Partition, table: Table) -> Self {
        Piece { shape: Shape::Shredded, rows: partition.rows, filter: partition.filter(table), numbers: None }
    }

    /// `WHERE` that picks its rows.
    pub fn filter(&self) -> String {
        match (&self.numbers, self.filter.as_str()) {
            (None, filter) => filter.to_owned(),
            (Some((from, before)), "") => format!(" WHERE rowid >= {from} AND rowid < {before}"),
            (Some((from, before)), filter) => {
                let filter = filter.trim_start_matches(" WHERE");
                format!(" WHERE rowid >= {from} AND rowid < {before} AND ({filter})")
            }
        }
    }

    /// `SELECT` of its rows as they are sealed.
    pub fn select(&self, table: Table, relation: &str) -> String {
        let select = match self.shape {
            Shape::Shredded | Shape::Plain => table.stored_select(relation),
            Shape::WithoutVariants => table.select_without_variants(relation),
        };
        format!("{select}{}", self.filter())
    }

    /// Whether it is a single row with all that it has: there is no other way to keep all of it.
    pub fn is_last_whole_try(&self) -> bool {
        self.rows == 1 && self.shape == Shape::Plain
    }

    /// What to write instead, since this could not be; nothing if there is no way.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn instead(&self, db: &Connection, relation: &str) -> Result<Vec<Piece>, duckdb::Error> {
        match self.shape {
            Shape::Shredded => Ok(vec![Piece { shape: Shape::Plain, ..self.clone() }]),
            Shape::Plain if self.rows > 1 => self.halves(db, relation),
            Shape::Plain => Ok(vec![Piece { shape: Shape::WithoutVariants, ..self.clone() }]),
            Shape::WithoutVariants => Ok(Vec::new()),
        }
    }

    fn halves(&self, db: &Connection, relation: &str) -> Result<Vec<Piece>, duckdb::Error> {
        let numbers = match self.numbers {
            Some(numbers) => numbers,
            None => {
                let sql = format!("SELECT min(rowid), max(rowid) + 1 FROM {relation}{}", self.filter());
                db.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?
            }
        };
        let middle = numbers.0 + (numbers.1 - numbers.0) / 2;
        let mut halves = Vec::new();
        for numbers in [(numbers.0, middle), (middle, numbers.1)] {
            let mut half = Piece { numbers: Some(numbers), ..self.clone() };
            let sql = format!("SELECT count(*) FROM {relation}{}", half.filter());
            half.rows = db.query_row(&sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned();
            if half.rows > 0 {
                halves.push(half);
            }
        }
        Ok(halves)
    }
}
