//! Shredded keys as columns of their own.
//!
//! DuckDB 2.0 puts each `VARIANT` of a Parquet file together again, whatever a statement takes of it: 1.6 us a
//! row, where a column of text takes 0.03. So the footer names the pages of a shredded key a second time, as a
//! column `attributes.http.route`, which statements that ask for single keys read instead
//! ([`keys`](crate::store::reader::planner)). It takes no bytes but those in the footer. Parquet wants
//! each column to have pages, and does not say that no two may share them; other readers see one column more.
//!
//! A page says of each value how many of the groups around it are there. So the column has as many groups that
//! may be NULL as the variant has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parquet::basic::{ColumnOrder, LogicalType, Repetition, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type, TypePtr};

use crate::store::instance::quoted_name;

/// The field of a variant with what is shredded, and that of each key with its values.
const TYPED: &str = "typed_value";

/// The same with what is not.
const REST: &str = "value";

/// Groups around the value of a key that may be NULL: the column, what is shredded of it, the value.
const LEVELS: i16 = 3;

/// The name of the column of a key.
fn name(column: &str, key: &str) -> String {
    format!("{column}.{key}")
}

/// What is NULL where the variant is whose key [has a column](Leaf::Column), in SQL.
pub fn variant(column: &str, key: &str) -> String {
    quoted_name(&name(column, key))
}

/// The values of a key that [has a column](Leaf::Column) of this type, in SQL. The type is said because DuckDB reads
/// files whose statements are the same as if all had the types of the first.
pub fn values(column: &str, key: &str, sql_type: &str) -> String {
    format!("{}.{TYPED}.{TYPED}::{sql_type}", variant(column, key))
}

/// Where the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// In a column of their own, of this type of SQL.
    Column(&'static str),
    /// Nowhere: no variant of the file has the key.
    Nowhere,
    /// Inside of the variants, some of them at least.
    Inside,
}

/// What a file tells of the keys of its variants.
#[derive(Debug, Default)]
pub struct Leaves {
    /// Names of the columns of keys, with their types.
    columns: HashMap<String, &'static str>,
    /// Keys that are shredded somehow, in the same form.
    shredded: HashSet<String>,
    /// Columns of which everything is shredded.
    whole: HashSet<String>,
}

impl Leaves {
    /// Of the file with this metadata.
    pub(super) fn told_by(metadata: &ParquetMetaData) -> Self {
        let mut leaves = Leaves::default();
        let schema = metadata.file_metadata().schema_descr();
        for (place, descriptor) in schema.columns().iter().enumerate() {
            match descriptor.path().parts() {
                [column, rest] if rest == REST && is_empty(metadata, place) => {
                    leaves.whole.insert(column.clone());
                }
                [column, typed, values] if typed == TYPED && values == TYPED => {
                    leaves.columns.extend(sql_type(descriptor).map(|sql_type| (column.clone(), sql_type)));
                }
                [column, typed, key, ..] if typed == TYPED => {
                    leaves.shredded.insert(name(column, key));
                }
                _ => {}
            }
        }
        leaves
    }

    /// Where the values of a key of a column are.
    pub fn of(&self, column: &str, key: &str) -> Leaf {
        let name = name(column, key);
        match self.columns.get(&name) {
            Some(sql_type) => Leaf::Column(sql_type),
            None if self.whole.contains(column) && !self.shredded.contains(&name) => Leaf::Nowhere,
            None => Leaf::Inside,
        }
    }
}

/// Whether a column has no value in any row.
fn is_empty(metadata: &ParquetMetaData, place: usize) -> bool {
    metadata.row_groups().iter().all(|group| {
        let column = group.column(place);
        let nulls = column.statistics().and_then(Statistics::null_count_opt);
        nulls.is_some_and(|nulls| nulls == column.num_values().max(0).cast_unsigned())
    })
}

/// The same metadata with a column for each shredded key.
pub(super) fn with_columns(metadata: &ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    let file = metadata.file_metadata();
    let schema = file.schema_descr();
    let leaves = keys(metadata);
    if leaves.is_empty() {
        return Ok(metadata.clone());
    }
    let mut fields = file.schema().get_fields().to_vec();
    for (place, name) in &leaves {
        fields.push(column(name, schema.column(*place).self_type_ptr())?);
    }
    let root = Type::group_type_builder(file.schema().name()).with_fields(fields).build()?;
    let columns = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    let orders = file.column_orders().map(|orders| {
        let more = leaves.iter().map(|(place, _)| orders.get(*place).copied().unwrap_or(ColumnOrder::UNDEFINED));
        orders.iter().copied().chain(more).collect()
    });
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let mut chunks = Vec::with_capacity(columns.num_columns());
        let places = (0..schema.num_columns()).chain(leaves.iter().map(|(place, _)| *place));
        for (n, place) in places.enumerate() {
            let chunk = group.column(place);
            chunks.push(if n == place { chunk.clone() } else { same_pages(chunk, columns.column(n))? });
        }
        let of = RowGroupMetaData::builder(Arc::clone(&columns))
            .set_num_rows(group.num_rows())
            .set_total_byte_size(group.total_byte_size())
            .set_column_metadata(chunks);
        groups.push(of.build()?);
    }
    let (version, rows) = (file.version(), file.num_rows());
    let (writer, values) = (file.created_by().map(str::to_owned), file.key_value_metadata().cloned());
    Ok(ParquetMetaData::new(FileMetaData::new(version, rows, writer, values, columns, orders), groups))
}

/// Keys that become columns: their place and name. All their values are of one type, and no other key has a name
/// that DuckDB takes for the same.
fn keys(metadata: &ParquetMetaData) -> Vec<(usize, String)> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let mut found: Vec<(usize, String)> = Vec::new();
    for (place, descriptor) in columns.iter().enumerate() {
        let [column, typed, key, values] = descriptor.path().parts() else { continue };
        if typed != TYPED || values != TYPED || sql_type(descriptor).is_none() {
            continue;
        }
        let rest = [column.as_str(), TYPED, key, REST];
        let rest = columns.iter().position(|descriptor| descriptor.path().parts() == rest);
        if rest.is_none_or(|rest| is_empty(metadata, rest)) {
            found.push((place, name(column, key)));
        }
    }
    let mut times: HashMap<String, usize> = HashMap::new();
    for (_, name) in &found {
        *times.entry(name.to_lowercase()).or_default() += 1;
    }
    found.retain(|(_, name)| times.get(&name.to_lowercase()) == Some(&1));
    found
}

/// The type of the values in SQL, if they are ones that DuckDB makes the same variants of.
fn sql_type(descriptor: &ColumnDescriptor) -> Option<&'static str> {
    let is_in_place = descriptor.max_rep_level() == 0 && descriptor.max_def_level() == LEVELS;
    let sql_type = match (descriptor.physical_type(), descriptor.logical_type_ref()) {
        (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)) => "VARCHAR",
        (PhysicalType::INT64, None) => "BIGINT",
        (PhysicalType::DOUBLE, None) => "DOUBLE",
        (PhysicalType::BOOLEAN, None) => "BOOLEAN",
        _ => return None,
    };
    is_in_place.then_some(sql_type)
}

/// A column of this name around the values.
fn column(name: &str, values: TypePtr) -> Result<TypePtr, ParquetError> {
    let group = |name: &str, inner| {
        let group = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL).with_fields(vec![inner]);
        group.build().map(Arc::new)
    };
    group(name, group(TYPED, values)?)
}

fn same_pages(
    chunk: &ColumnChunkMetaData,
    descriptor: Arc<ColumnDescriptor>,
) -> Result<ColumnChunkMetaData, ParquetError> {
    ColumnChunkMetaData::builder(descriptor)
        .set_encodings_mask(*chunk.encodings_mask())
        .set_num_values(chunk.num_values())
        .set_compression_codec(chunk.compression_codec())
        .set_total_compressed_size(chunk.compressed_size())
        .set_total_uncompressed_size(chunk.uncompressed_size())
        .set_data_page_offset(chunk.data_page_offset())
        .set_dictionary_page_offset(chunk.dictionary_page_offset())
        .build()
}
