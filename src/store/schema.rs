//! The stored tables: what decoded rows and Parquet files hold, column by column.
//!
//! The two differ in one point. `VARIANT` columns are `BLOB` in decoded rows: the Parquet encoding of
//! the value (metadata, then value), which is what ingest writes. [`Table::stored_select`] goes from
//! the one to the other.
//!
//! Resources are a dictionary of their own: shredding the same seven values again with every span
//! costs as much as sealing the rest of the span. Users see [`crate::store::views`] instead,
//! where resources are joined again and ids are hex text.
//!
//! Rules for the whole schema:
//! - Times are `TIMESTAMP_NS` in UTC. A time of 0 means "unknown" in OTLP and is NULL here (log
//!   records fall back to the observed and then to the received time). A time that does not fit
//!   (after 2262-04-11) is clamped to the last representable nanosecond, [`TIME_MAX`].
//! - Ids are `BLOB`, as many bytes as the sender gave: short and all-zero ids are kept. An empty
//!   id is NULL.
//! - Empty strings that OTLP uses for "not set" are NULL, except names.
//! - Values of points are `DOUBLE`; an integer that no double holds is in `value_int` as well.
//! - Counts are `DOUBLE`, for native histograms may be fractional; exact up to 2^53.
//! - NaN and infinities are kept.

mod columns;
mod fields;

use crate::signal::Signal;

pub use self::fields::Field;

/// Version of the stored columns, noted in each sealed file. A change of any table raises it.
pub const VERSION: u32 = 2;

/// The greatest time that is stored: `i64::MAX` itself is DuckDB's `infinity`.
pub const TIME_MAX: i64 = i64::MAX - 1;

/// A stored table. Its number is its place in [`Table::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// What a `resource_id` stands for.
    Resources,
    /// Spans.
    Spans,
    /// Data points that are histograms or summaries. Apart, because NULL columns cost too: with
    /// them a sample took 0.5 us longer to seal. The view `metric_points` shows both.
    MetricDistributions,
    /// Data points with one value: gauges, sums and remote-write samples.
    MetricPoints,
    /// What a `series_id` stands for.
    Series,
    /// Exemplars of data points.
    Exemplars,
    /// Description, unit and type of a metric.
    MetricMetadata,
    /// Log records.
    Logs,
    /// Profiles: one row for each profile and sample type.
    Profiles,
    /// Samples of profiles.
    ProfileSamples,
    /// What a `stack_id` stands for.
    Stacks,
    /// What a `frame_id` stands for.
    Frames,
}

/// A column of a stored table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its DuckDB type once sealed.
    pub sql_type: &'static str,
    /// The [`VERSION`] that added it. Files of an earlier one do not have it.
    pub since: u32,
}

impl Column {
    /// Whether the column is the Parquet encoding of a variant (`BLOB`) in decoded rows.
    pub fn is_variant(&self) -> bool {
        self.sql_type == "VARIANT"
    }

    /// Its type in decoded rows.
    pub fn decoded_type(&self) -> &'static str {
        if self.is_variant() { "BLOB" } else { self.sql_type }
    }
}

impl Table {
    /// Every table. Those that another one's view needs come before it.
    pub const ALL: [Table; 12] = [
        Table::Resources,
        Table::Spans,
        Table::MetricDistributions,
        Table::MetricPoints,
        Table::Series,
        Table::Exemplars,
        Table::MetricMetadata,
        Table::Logs,
        Table::Profiles,
        Table::ProfileSamples,
        Table::Stacks,
        Table::Frames,
    ];

    /// Its name: of the folder of sealed files, and of the user's view.
    pub fn name(self) -> &'static str {
        match self {
            Table::Resources => "resources",
            Table::Spans => "spans",
            Table::MetricPoints => "metric_points",
            Table::MetricDistributions => "metric_distributions",
            Table::Series => "series",
            Table::Exemplars => "exemplars",
            Table::MetricMetadata => "metric_metadata",
            Table::Logs => "logs",
            Table::Profiles => "profiles",
            Table::ProfileSamples => "profile_samples",
            Table::Stacks => "stacks",
            Table::Frames => "frames",
        }
    }

    /// The table of this name.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Its columns, in order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Table::Resources => columns::RESOURCES,
            Table::Spans => columns::SPANS,
            Table::MetricPoints => columns::METRIC_POINTS,
            Table::MetricDistributions => columns::METRIC_DISTRIBUTIONS,
            Table::Series => columns::SERIES,
            Table::Exemplars => columns::EXEMPLARS,
            Table::MetricMetadata => columns::METRIC_METADATA,
            Table::Logs => columns::LOGS,
            Table::Profiles => columns::PROFILES,
            Table::ProfileSamples => columns::PROFILE_SAMPLES,
            Table::Stacks => columns::STACKS,
            Table::Frames => columns::FRAMES,
        }
    }

    /// The column whose hour decides the partition of a row. It may be NULL (a span without
    /// times), see [`Table::hour`].
    pub fn time_column(self) -> &'static str {
        match self {
            Table::Spans => "start_time",
            _ => "time",
        }
    }

    /// The signal whose records bring its rows; what several bring counts as traces.
    pub fn signal(self) -> Signal {
        match self {
            Table::Resources | Table::Spans => Signal::Traces,
            Table::MetricDistributions
            | Table::MetricPoints
            | Table::Series
            | Table::Exemplars
            | Table::MetricMetadata => Signal::Metrics,
            Table::Logs => Signal::Logs,
            Table::Profiles | Table::ProfileSamples | Table::Stacks | Table::Frames => Signal::Profiles,
        }
    }

    /// Whether rows only say what an id stands for. Such rows repeat: again and again, and in
    /// every day that uses the id, so that retention drops whole days without looking back.
    /// Views show one row for each [`Table::key`].
    pub fn is_dictionary(self) -> bool {
        self.key().is_some()
    }

    /// The identifying column of a dictionary.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Table::Resources => Some("resource_id"),
            Table::Series => Some("series_id"),
            Table::MetricMetadata => Some("metric"),
            Table::Stacks => Some("stack_id"),
            Table::Frames => Some("frame_id"),
            _ => None,
        }
    }

    /// `CREATE TABLE` for decoded rows under `name`, which is used as it is (quote and qualify
    /// it as needed).
    pub fn create(self, name: &str) -> String {
        let columns: Vec<String> =
            self.columns().iter().map(|column| format!("{} {}", column.name, column.decoded_type())).collect();
        format!("CREATE TABLE {name} ({})", columns.join(", "))
    }

    /// `SELECT` of decoded rows in the form of files: to be copied to Parquet, or to be
    /// put under `UNION ALL` with sealed files.
    pub fn stored_select(self, relation: &str) -> String {
        let columns: Vec<String> = self
            .columns()
            .iter()
            .map(|column| match column.is_variant() {
                true => format!("variant_bytes_to_variant({0}) AS {0}", column.name),
                false => column.name.to_owned(),
            })
            .collect();
        format!("SELECT {} FROM {relation}", columns.join(", "))
    }

    /// The same without the content of `VARIANT` columns, which are NULL.
    pub fn select_without_variants(self, relation: &str) -> String {
        let columns: Vec<String> = self
            .columns()
            .iter()
            .map(|column| match column.is_variant() {
                true => format!("NULL::VARIANT AS {}", column.name),
                false => column.name.to_owned(),
            })
            .collect();
        format!("SELECT {} FROM {relation}", columns.join(", "))
    }

    /// The columns' names, for a `SELECT` or `INSERT` list.
    pub fn column_list(self) -> String {
        let names: Vec<&str> = self.columns().iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// The same for a file that was sealed with the columns of `version`: those that came later are NULL.
    pub fn column_list_of(self, version: u32) -> String {
        let columns: Vec<String> = self
            .columns()
            .iter()
            .map(|column| match column.since <= version {
                true => column.name.to_owned(),
                false => format!("NULL::{} AS {}", column.sql_type, column.name),
            })
            .collect();
        columns.join(", ")
    }

    /// A relation of the right columns and no rows, for a view over nothing.
    pub fn empty_relation(self) -> String {
        let columns: Vec<String> =
            self.columns().iter().map(|column| format!("NULL::{} AS {}", column.sql_type, column.name)).collect();
        format!("(SELECT {} WHERE false)", columns.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_s_number_is_its_place() {
        for (place, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, place, "{table:?}: rows are counted by number and sealed by place");
        }
    }

    #[test]
    fn every_table_can_be_created_and_is_found_by_name() {
        let db = duckdb::Connection::open_in_memory().expect("open");
        for table in Table::ALL {
            db.execute_batch(&table.create(table.name())).expect("create");
            assert_eq!(Table::from_name(table.name()), Some(table));
            assert!(table.columns().iter().any(|column| column.name == table.time_column()), "{table:?}");
            if let Some(key) = table.key() {
                assert!(table.columns().iter().any(|column| column.name == key), "{table:?}");
            }
            let union =
                format!("{} UNION ALL SELECT * FROM {}", table.stored_select(table.name()), table.empty_relation());
            db.execute_batch(&union).expect("the empty relation has the same columns");
        }
    }
}
