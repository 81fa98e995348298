//! What the footers of sealed files tell of their variants: which keys were shredded, by which types,
//! and how many values each column holds. So files are merged without a look at their rows. A key that
//! none of them has shredded is rare in each, and so in all.
//!
//! The columns of a variant are a tree (Parquet's `VariantShredding.md`): `value` holds what is not
//! shredded, `typed_value` a scalar, a list, or an object's fields, each of which has both again.

use std::iter::Peekable;
use std::path::PathBuf;

use duckdb::Connection;

use super::sample::Node;
use crate::store::engine::instance::quoted_path;

/// Counts what the footers of `files` tell of the columns called `names`.
///
/// # Errors
/// DuckDB's.
pub(super) fn nodes(db: &Connection, names: &[&str], files: &[PathBuf]) -> Result<Vec<Node>, duckdb::Error> {
    let mut nodes: Vec<Node> = names.iter().map(|_| Node::default()).collect();
    for file in files {
        let file = quoted_path(file);
        let sql = format!(
            "SELECT name, coalesce(num_children, 0), repetition_type = 'REPEATED', duckdb_type FROM parquet_schema({file})"
        );
        let mut statement = db.prepare(&sql)?;
        let elements = statement.query_map([], |row| {
            let (name, children, sql_type) = (row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<String>>(3)?);
            let is_repeated = row.get::<_, Option<bool>>(2)?.unwrap_or(false);
            Ok(Element { name, children, is_repeated, sql_type: sql_type.unwrap_or_default() })
        })?;
        let elements: Vec<Element> = elements.collect::<Result<_, _>>()?;
        // The leaves of the schema, in order. What has no statistics counts as nothing.
        let sql = format!(
            "SELECT coalesce(sum(num_values - stats_null_count), 0)::BIGINT FROM parquet_metadata({file})
             GROUP BY column_id ORDER BY column_id"
        );
        let mut statement = db.prepare(&sql)?;
        let values = statement.query_map([], |row| row.get::<_, i64>(0))?;
        let values: Vec<u64> = values.map(|n| n.map(|n| n.max(0).cast_unsigned())).collect::<Result<_, _>>()?;
        let mut footer = Footer { elements: elements.into_iter().peekable(), values: values.into_iter() };
        let columns = footer.elements.next().map_or(0, |root| root.children);
        for _ in 0..columns {
            let column = footer.elements.peek().map(|element| element.name.as_str());
            let wanted = names.iter().position(|name| column == Some(*name));
            match wanted.and_then(|n| nodes.get_mut(n)) {
                Some(node) => node.merge(footer.value()),
                None => footer.skip(),
            }
        }
    }
    Ok(nodes)
}

/// One element of a Parquet schema: a column, or what columns are in.
#[derive(Debug)]
struct Element {
    name: String,
    children: i64,
    is_repeated: bool,
    sql_type: String,
}

/// What is left of a footer: elements, children after their parents, and of each column its values.
struct Footer {
    elements: Peekable<std::vec::IntoIter<Element>>,
    values: std::vec::IntoIter<u64>,
}

impl Footer {
    /// What has a `typed_value`.
    fn value(&mut self) -> Node {
        let mut node = Node::default();
        let children = self.elements.next().map_or(0, |element| element.children);
        for _ in 0..children {
            match self.elements.peek() {
                Some(element) if element.name == "typed_value" => node = self.typed_value(),
                _ => self.skip(),
            }
        }
        node
    }

    fn typed_value(&mut self) -> Node {
        let Some(element) = self.elements.next() else { return Node::default() };
        if element.children == 0 {
            return Node::of_scalar(&element.sql_type, self.values.next().unwrap_or_default());
        }
        if self.elements.next_if(|child| child.is_repeated).is_some() {
            return Node::of_elements(self.value());
        }
        let fields = (0..element.children).filter_map(|_| {
            let key = self.elements.peek()?.name.clone();
            Some((key, self.value()))
        });
        Node::of_fields(fields.collect())
    }

    fn skip(&mut self) {
        let children = self.elements.next().map_or(0, |element| element.children);
        if children == 0 {
            self.values.next();
        }
        for _ in 0..children {
            self.skip();
        }
    }
}
