//! The fields of the stored tables, as DuckLake and Parquet number them.
//!
//! A field is a column, or the element of one that is a list. Its number is its place, from 1, and
//! stands in every sealed file: so columns are only ever appended, and none changes its type.

use super::{Column, Table};

/// A field of a stored table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its number in its table: DuckLake's `column_id`, Parquet's `field_id`.
    pub id: i64,
    /// Its name.
    pub name: &'static str,
    /// Its DuckDB type.
    pub sql_type: &'static str,
    /// The number of the list whose element it is.
    pub parent: Option<i64>,
}

impl Field {
    /// Its type as DuckLake names it (DuckLake specification, "Data Types").
    pub fn lake_type(&self) -> &'static str {
        match self.sql_type {
            "BOOLEAN" => "boolean",
            "INTEGER" => "int32",
            "UINTEGER" => "uint32",
            "BIGINT" => "int64",
            "DOUBLE" => "float64",
            "BLOB" => "blob",
            "VARCHAR" => "varchar",
            "TIMESTAMP_NS" => "timestamp_ns",
            "VARIANT" => "variant",
            list if list.ends_with("[]") => "list",
            other => other,
        }
    }
}

impl Table {
    /// Its fields, in order.
    pub fn fields(self) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        for Column { name, sql_type, .. } in self.columns() {
            let id = fields.len() as i64 + 1;
            fields.push(Field { id, name, sql_type, parent: None });
            if let Some(element) = sql_type.strip_suffix("[]") {
                fields.push(Field { id: id + 1, name: "element", sql_type: element, parent: Some(id) });
            }
        }
        fields
    }

    /// The option of `COPY` that writes the numbers of its fields into a Parquet file.
    pub fn field_ids(self) -> String {
        let fields = self.fields();
        let columns = fields.iter().filter(|field| field.parent.is_none()).map(|field| {
            match fields.iter().find(|element| element.parent == Some(field.id)) {
                Some(element) => {
                    format!("\"{}\": {{__duckdb_field_id: {}, {}: {}}}", field.name, field.id, element.name, element.id)
                }
                None => format!("\"{}\": {}", field.name, field.id),
            }
        });
        format!("FIELD_IDS {{{}}}", columns.collect::<Vec<_>>().join(", "))
    }

    /// Whether the catalog keeps the bounds of a column's values in each file: of those by which
    /// questions pick rows.
    pub fn has_bounds(self, field: &Field) -> bool {
        let asked = ["trace_id", "service_name", "metric", "series_id", "profile_id", "profile_type"];
        field.sql_type == "TIMESTAMP_NS" || asked.contains(&field.name) || self.key() == Some(field.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sealed files have these numbers. Who adds a column appends it here, too.
    #[test]
    fn numbers_never_change() {
        let expected = [
            "resource_id time resource",
            "trace_id span_id parent_span_id trace_state name kind start_time duration_ns status_code \
             status_message service_name resource_id scope_name scope_version attributes events links",
            "time start_time metric unit type temporality service_name series_id count sum min max \
             bucket_counts element explicit_bounds element scale zero_count zero_threshold \
             positive_offset positive_counts element negative_offset negative_counts element \
             quantiles element quantile_values element flags",
            "time start_time metric unit type temporality monotonic service_name series_id value \
             flags value_int",
            "series_id time metric service_name labels resource_id scope_name scope_version",
            "time series_id value trace_id span_id attributes",
            "metric time type unit description",
            "time observed_time severity_number severity_text body service_name resource_id \
             scope_name event_name attributes trace_id span_id body_type",
            "profile_id time duration_ns profile_type sample_type sample_unit period_type period_unit \
             period service_name labels format sample_count total",
            "profile_id time profile_type service_name value stack_id trace_id span_id labels",
            "stack_id time frame_ids element",
            "frame_id time function file line mapping",
        ];
        for (table, expected) in Table::ALL.into_iter().zip(expected) {
            let fields = table.fields();
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            assert_eq!(names.join(" "), expected, "{table:?}");
            assert!(fields.iter().zip(1..).all(|(field, id)| field.id == id), "{table:?}");
            assert!(fields.iter().all(|field| field.parent == (field.name == "element").then(|| field.id - 1)));
        }
    }

    #[test]
    fn every_type_has_its_name_in_a_ducklake() {
        for field in Table::ALL.into_iter().flat_map(Table::fields) {
            assert_eq!(field.lake_type(), field.lake_type().to_lowercase(), "{field:?}");
        }
    }

    #[test]
    fn a_file_gets_the_numbers() {
        let dir = tempfile::tempdir().expect("folder");
        let db = duckdb::Connection::open_in_memory().expect("open");
        for table in Table::ALL {
            let path = dir.path().join(table.name());
            let sql = format!(
                "COPY (SELECT * FROM {}) TO '{}' (FORMAT parquet, {})",
                table.empty_relation(),
                path.display(),
                table.field_ids()
            );
            db.execute_batch(&sql).expect("copy");
            let sql =
                format!("SELECT name, field_id FROM parquet_schema('{}') WHERE field_id IS NOT NULL", path.display());
            let mut statement = db.prepare(&sql).expect("prepare");
            let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("ask");
            let found: Vec<(String, i64)> = found.collect::<Result<_, _>>().expect("rows");
            let expected: Vec<_> = table.fields().iter().map(|field| (field.name.to_owned(), field.id)).collect();
            assert_eq!(found, expected, "{table:?}");
        }
    }
}
