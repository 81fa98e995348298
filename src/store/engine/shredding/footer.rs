//! What the footers of sealed files tell of their variants: which keys were shredded, by which types,
//! and how many values each column holds. So files are merged without a look at their rows. A key that
//! none of them has shredded is rare in each, and so in all.
//!
//! The columns of a variant are a tree (Parquet's `VariantShredding.md`): `value` holds what is not
//! shredded, `typed_value` a scalar, a list, or an object's fields, each of which has both again.

use std::fs::File;
use std::path::PathBuf;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::Type;

use super::Scalar;
use super::sample::Node;

/// Counts what the footers of `files` tell of the columns called `names`.
///
/// # Errors
/// That a file cannot be read.
pub(super) fn nodes(names: &[&str], files: &[PathBuf]) -> Result<Vec<Node>, ParquetError> {
    let mut nodes: Vec<Node> = names.iter().map(|_| Node::default()).collect();
    for file in files {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(file)?)?;
        let mut leaves = Leaves::of(&metadata);
        for column in metadata.file_metadata().schema_descr().root_schema().get_fields() {
            match names.iter().position(|name| column.name() == *name).and_then(|n| nodes.get_mut(n)) {
                Some(node) => node.merge(leaves.value(column)),
                None => leaves.skip(column),
            }
        }
    }
    Ok(nodes)
}

/// How many values each column has that is no struct, in their order: those that are left.
struct Leaves(std::vec::IntoIter<u64>);

impl Leaves {
    fn of(metadata: &ParquetMetaData) -> Self {
        let mut values = vec![0; metadata.file_metadata().schema_descr().num_columns()];
        for group in metadata.row_groups() {
            for (sum, column) in values.iter_mut().zip(group.columns()) {
                // What has no statistics counts as nothing.
                let nulls = column.statistics().and_then(|statistics| statistics.null_count_opt());
                let rows = column.num_values().max(0).cast_unsigned();
                *sum += nulls.and_then(|nulls| rows.checked_sub(nulls)).unwrap_or_default();
            }
        }
        Leaves(values.into_iter())
    }

    /// What has a `typed_value`.
    fn value(&mut self, of: &Type) -> Node {
        let mut node = Node::default();
        if of.is_primitive() {
            self.skip(of);
            return node;
        }
        for child in of.get_fields() {
            match child.name() {
                "typed_value" => node = self.typed_value(child),
                _ => self.skip(child),
            }
        }
        node
    }

    fn typed_value(&mut self, of: &Type) -> Node {
        if of.is_primitive() {
            let values = self.0.next().unwrap_or_default();
            // Of another type, there is nothing to shred them by.
            return scalar(of).map_or_else(Node::default, |scalar| Node::of_scalar(scalar, values));
        }
        match of.get_fields() {
            [repeated] if is_repeated(repeated) && !repeated.is_primitive() => match repeated.get_fields() {
                [element] => Node::of_elements(self.value(element)),
                _ => {
                    self.skip(of);
                    Node::default()
                }
            },
            fields => {
                Node::of_fields(fields.iter().map(|field| (field.name().to_owned(), self.value(field))).collect())
            }
        }
    }

    fn skip(&mut self, of: &Type) {
        if of.is_primitive() {
            self.0.next();
            return;
        }
        for child in of.get_fields() {
            self.skip(child);
        }
    }
}

fn is_repeated(of: &Type) -> bool {
    of.get_basic_info().has_repetition() && of.get_basic_info().repetition() == Repetition::REPEATED
}

fn scalar(of: &Type) -> Option<Scalar> {
    let info = of.get_basic_info();
    // DuckDB writes the older mark alone.
    let is_text = info.converted_type() == ConvertedType::UTF8 || info.logical_type_ref() == Some(&LogicalType::String);
    Some(match (of.get_physical_type(), info.logical_type_ref()) {
        (PhysicalType::BOOLEAN, _) => Scalar::Boolean,
        (PhysicalType::INT64, Some(LogicalType::Timestamp(_))) => Scalar::TimestampNs,
        (PhysicalType::INT64, _) => Scalar::BigInt,
        (PhysicalType::DOUBLE, _) => Scalar::Double,
        (PhysicalType::BYTE_ARRAY, _) if is_text => Scalar::Varchar,
        (PhysicalType::BYTE_ARRAY, None) => Scalar::Blob,
        _ => return None,
    })
}
