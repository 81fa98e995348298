//! Which hour a row is sealed under.
//!
//! Its own, unless it has no time or one that is far off: older than seven days or more than an
//! hour ahead. Those go with the hour of their arrival, so that one hostile batch cannot make ten
//! thousand files.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch, TimestampNanosecondArray, UInt32Array};
use duckdb::Connection;

use crate::store::schema::Table;

const HOUR: i64 = 3_600_000_000_000;
const OLDEST: i64 = 7 * 24 * HOUR;
const AHEAD: i64 = HOUR;

/// The rows of one table that go into one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its hour, counted since the Unix epoch.
    hour: i64,
    /// Whether rows of no or a far off time are in it.
    arrival: bool,
    /// Whether it is all there is of the table.
    only: bool,
    /// Times that are not far off: from the first, before the second.
    near: (i64, i64),
    /// Rows in it.
    pub rows: u64,
    /// Earliest time in it, if any row has one.
    pub min_time: Option<i64>,
    /// Latest time.
    pub max_time: Option<i64>,
}

/// The partitions of the rows of `table` in a relation that arrived by `now`, in nanoseconds since the Unix epoch;
/// oldest first.
///
/// # Errors
/// DuckDB's.
pub fn of(db: &Connection, relation: &str, table: Table, now: u64) -> Result<Vec<Partition>, duckdb::Error> {
    let now = now.cast_signed();
    let arrival = now.div_euclid(HOUR);
    let near = (now.saturating_sub(OLDEST), now.saturating_add(AHEAD));
    let time = format!("epoch_ns({})", table.time_column());
    let sql = format!(
        "SELECT CASE WHEN {time} >= {} AND {time} < {} THEN {time} // {HOUR} ELSE {arrival} END AS hour,
                count(*), min({time}), max({time})
         FROM {relation} GROUP BY hour ORDER BY hour",
        near.0, near.1
    );
    let mut statement = db.prepare(&sql)?;
    let found = statement.query_map([], |row| {
        let hour: i64 = row.get(0)?;
        let rows: i64 = row.get(1)?;
        Ok(Partition {
            hour,
            arrival: hour == arrival,
            only: false,
            near,
            rows: rows.cast_unsigned(),
            min_time: row.get(2)?,
            max_time: row.get(3)?,
        })
    })?;
    let mut partitions: Vec<Partition> = found.collect::<Result<_, _>>()?;
    if let [only] = partitions.as_mut_slice() {
        only.only = true;
    }
    Ok(partitions)
}

/// The same of decoded rows, with the numbers of its rows; `None` if that is all of them.
pub fn of_batch(rows: &RecordBatch, table: Table, now: u64) -> Vec<(Partition, Option<UInt32Array>)> {
    let now = now.cast_signed();
    let arrival = now.div_euclid(HOUR);
    let near = (now.saturating_sub(OLDEST), now.saturating_add(AHEAD));
    let times = rows.column_by_name(table.time_column()).and_then(|column| column.as_primitive_opt());
    let times: Option<&TimestampNanosecondArray> = times;
    let mut hours: BTreeMap<i64, (Partition, Vec<u32>)> = BTreeMap::new();
    for (row, number) in (0..rows.num_rows()).zip(0..) {
        let time = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
        let hour = time.filter(|time| (near.0..near.1).contains(time)).map_or(arrival, |time| time.div_euclid(HOUR));
        let (partition, numbers) = hours.entry(hour).or_insert_with(|| {
            let (rows, min_time, max_time) = (0, None, None);
            (Partition { hour, arrival: hour == arrival, only: false, near, rows, min_time, max_time }, Vec::new())
        });
        partition.rows += 1;
        partition.min_time = partition.min_time.into_iter().chain(time).min();
        partition.max_time = partition.max_time.max(time);
        numbers.push(number);
    }
    if hours.len() == 1 {
        return hours.into_values().map(|(partition, _)| (Partition { only: true, ..partition }, None)).collect();
    }
    hours.into_values().map(|(partition, numbers)| (partition, Some(numbers.into()))).collect()
}

impl Partition {
    /// Its folders, as Hive names them.
    pub fn folder(&self) -> String {
        let (day, hour) = (self.hour.div_euclid(24), self.hour.rem_euclid(24));
        let (year, month, day) = date(day);
        format!("date={year:04}-{month:02}-{day:02}/hour={hour:02}")
    }

    /// `WHERE` that picks its rows.
    pub fn filter(&self, table: Table) -> String {
        if self.only {
            return String::new();
        }
        let time = table.time_column();
        let at = |nanos: i64| format!("make_timestamp_ns({nanos})");
        let (from, before) = (self.hour * HOUR, (self.hour + 1) * HOUR);
        let (from, before) = (from.max(self.near.0), before.min(self.near.1));
        let near = format!("{time} >= {} AND {time} < {}", at(from), at(before));
        if self.arrival {
            let (oldest, ahead) = (at(self.near.0), at(self.near.1));
            format!(" WHERE ({near}) OR {time} IS NULL OR {time} < {oldest} OR {time} >= {ahead}")
        } else {
            format!(" WHERE {near}")
        }
    }
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01: whole
/// eras of 400 years, counted from the first of March.
pub fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::signal::now_nanos;

    #[test]
    fn days_have_their_dates() {
        for (days, expected) in
            [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (19_782, (2024, 2, 29)), (20_818, (2026, 12, 31))]
        {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn every_row_is_in_exactly_one_partition_and_hostile_times_make_no_more() {
        let db = Connection::open_in_memory().unwrap();
        let table = Table::Logs;
        db.execute_batch(&table.create("rows")).unwrap();
        let now = now_nanos().cast_signed();
        let mut times: Vec<String> = (0..30).map(|h| (now - h * HOUR / 2).to_string()).collect();
        times.extend((0..500).map(|d| (now - OLDEST - d * 24 * HOUR).to_string()));
        times.extend((1..500).map(|d| (now + d * 24 * HOUR).to_string()));
        times.extend(["0", "-1", "NULL", "9223372036854775806", "-9223372036854775806"].map(str::to_owned));
        let all = times.len() as u64;
        let values: Vec<String> = times.iter().map(|t| format!("({t})")).collect();
        let sql =
            format!("INSERT INTO rows (time) SELECT make_timestamp_ns(t) FROM (VALUES {}) v(t)", values.join(","));
        db.execute_batch(&sql).unwrap();

        let partitions = of(&db, "rows", table, now.cast_unsigned()).unwrap();
        assert!(partitions.len() <= 17, "{}", partitions.len());
        assert_eq!(partitions.iter().map(|p| p.rows).sum::<u64>(), all);
        for partition in &partitions {
            let sql = format!("SELECT count(*) FROM rows{}", partition.filter(table));
            let rows: i64 = db.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(rows.cast_unsigned(), partition.rows, "{partition:?}");
        }
        let today: String =
            db.query_row("SELECT strftime(now()::TIMESTAMP, 'date=%Y-%m-%d/hour=%H')", [], |r| r.get(0)).unwrap();
        assert!(partitions.iter().any(|p| p.folder() == today), "{today} {partitions:?}");
    }
}
