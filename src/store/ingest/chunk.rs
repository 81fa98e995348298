//! Rows on their way into a file: Arrow columns, and the table function that gives them to DuckDB.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk, to_duckdb_logical_type_for_field,
};
use parking_lot::Mutex;

use crate::store::ingest::StoredRow;
use crate::store::ingest::rows::{Rows, VECTOR, cut};
use crate::store::schema::Table;

/// Name of the table function. It gives rows to whoever knows a number that lives for as long as they are
/// being written.
const FUNCTION: &str = "vispyr_rows";

/// Rows of one table, ready to be inserted.
#[derive(Debug)]
pub struct Chunk {
    table: Table,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Columns(RecordBatch),
    Row(StoredRow),
}

impl Chunk {
    /// Takes what `rows` has collected; nothing if that is nothing.
    pub(crate) fn of<R: Rows>(rows: &mut R) -> Result<Option<Chunk>, ArrowError> {
        if rows.len() == 0 {
            return Ok(None);
        }
        let columns: Vec<(&str, ArrayRef)> = rows.finish()?;
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, array)| Field::new(name.trim_start_matches("r#"), array.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(Some(Chunk { table: R::TABLE, content: Content::Columns(batch) }))
    }

    /// A single row that the store has had before.
    pub(super) fn of_row(table: Table, row: StoredRow) -> Chunk {
        Chunk { table, content: Content::Row(row) }
    }

    /// The table that the rows are for.
    pub fn table(&self) -> Table {
        self.table
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        match &self.content {
            Content::Columns(batch) => batch.num_rows(),
            Content::Row(_) => 1,
        }
    }

    /// The rows in columns; `None` of a single row that the store has had before, which can only be
    /// inserted.
    pub fn columns(&self) -> Option<&RecordBatch> {
        match &self.content {
            Content::Columns(batch) => Some(batch),
            Content::Row(_) => None,
        }
    }

    /// Inserts the rows into `target`, a table made by [`Table::create`], named as SQL needs it
    /// (qualified, quoted). Returns the number of rows. Runs in the connection's transaction.
    pub fn insert(&self, connection: &Connection, target: &str) -> duckdb::Result<usize> {
        let batch = match &self.content {
            Content::Columns(batch) => batch,
            Content::Row(row) => return row.insert(connection, target, self.table),
        };
        let registered = Registered::new(batch.clone());
        let names: Vec<&str> = batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        let sql = format!("INSERT INTO {target} ({}) SELECT * FROM {FUNCTION}(?::UBIGINT)", names.join(", "));
        connection.prepare_cached(&sql)?.execute([registered.token])
    }
}

/// Makes the table function known to the connection's instance.
pub(crate) fn register(connection: &Connection) -> duckdb::Result<()> {
    connection.register_table_function::<RowsFunction>(FUNCTION)
}

/// Batches being inserted. Table functions have no other way to be handed a value.
static BATCHES: LazyLock<Mutex<HashMap<u64, RecordBatch>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1 << 62);

/// An entry of [`BATCHES`], gone when dropped.
#[derive(Debug)]
struct Registered {
    token: u64,
}

impl Registered {
    fn new(batch: RecordBatch) -> Self {
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        BATCHES.lock().insert(token, batch);
        Registered { token }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let batch = BATCHES.lock().remove(&self.token);
        drop(batch);
    }
}

/// As the crate's own `arrow(?)`, but cuts list columns to the rows of each vector; the crate
/// copies the whole column of values again for every vector.
struct RowsFunction;

impl VTab for RowsFunction {
    type BindData = RecordBatch;
    type InitData = AtomicUsize;

    fn bind(bind: &BindInfo) -> Result<RecordBatch, Box<dyn Error>> {
        let token = bind.get_parameter(0).to_uint64();
        let batch = BATCHES.lock().get(&token).cloned().ok_or("no such rows")?;
        for field in batch.schema_ref().fields() {
            bind.add_result_column(field.name(), to_duckdb_logical_type_for_field(field)?);
        }
        Ok(batch)
    }

    fn init(_: &InitInfo) -> Result<AtomicUsize, Box<dyn Error>> {
        Ok(AtomicUsize::new(0))
    }

    fn func(function: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Box<dyn Error>> {
        let batch = function.get_bind_data();
        let start = function.get_init_data().fetch_add(VECTOR, Ordering::Relaxed);
        let len = batch.num_rows().saturating_sub(start).min(VECTOR);
        if len == 0 {
            output.set_len(0);
            return Ok(());
        }
        let columns = batch.columns().iter().map(|column| cut(column, start, len)).collect::<Result<_, _>>()?;
        let window = RecordBatch::try_new(batch.schema(), columns)?;
        record_batch_to_duckdb_data_chunk(&window, output)
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeHandle::from(LogicalTypeId::UBigint)])
    }
}
