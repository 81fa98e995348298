//! How much each bucket has grown in each column of time, in SQL.

use crate::web::metrics::facts::{Facts, Kind};
use crate::web::metrics::selection::Selection;
use crate::web::range::{Nanos, Range, SECOND, sql_time};
use crate::web::sql::quoted;

/// Rows of an answer.
pub const MAX: usize = 60_000;

/// Columns of time.
const COLUMNS: i64 = 100;

/// Groups at most: those with the most values.
const GROUPS: usize = 12;

/// Buckets of exponential histograms are at most so fine: 16 for each doubling.
const SCALE: i32 = 4;

/// How far before the range the point is that the first growth is counted from.
const LOOK_BACK: Nanos = 300 * SECOND;

/// The width of a column.
pub fn column(facts: &Facts, range: &Range) -> Nanos {
    facts.column(range, COLUMNS)
}

/// The statement: group, column, bounds (NULL for infinite ones) and how many values came.
pub fn sql(selection: &Selection, facts: &Facts, range: &Range) -> String {
    let growth = if facts.kind == Some(Kind::Buckets) { of_series() } else { of_points() };
    let group = selection.group().unwrap_or_else(|| "''".to_owned());
    format!(
        "WITH s AS (\n  SELECT series_id, labels.le::VARCHAR AS le, {group} AS name\n  FROM series\n  WHERE {}\n),\n\
         {},\n{growth},\n\
         counted AS (\n  SELECT name, bucket, low, high, sum(n) AS n\n  FROM growth\n  WHERE bucket >= 0\n  GROUP BY ALL\n),\n\
         most AS (\n  SELECT name FROM counted GROUP BY name ORDER BY sum(n) DESC, name LIMIT {GROUPS}\n)\n\
         SELECT name, bucket, CASE WHEN isfinite(low) THEN low END AS low, CASE WHEN isfinite(high) THEN high END AS high, n\n\
         FROM counted\nWHERE n > 0 AND name IN (FROM most)\nORDER BY name, bucket, low",
        selection.series_conditions(),
        points(selection, facts, range),
    )
}

/// The points with their columns, and the ones that a series has begun again with.
fn points(selection: &Selection, facts: &Facts, range: &Range) -> String {
    let column = column(facts, range);
    let before = (LOOK_BACK.max(2 * facts.interval) / column + 1) * column;
    let begin = range.from.saturating_sub(before);
    let (count, bounds) = match facts.kind {
        Some(Kind::Buckets) => ("value", "false"),
        _ => ("count", "explicit_bounds IS DISTINCT FROM lag(explicit_bounds) OVER w AND prev_time IS NOT NULL"),
    };
    format!(
        "points AS (\n  SELECT *, temporality = 'delta' AS is_delta, epoch_ns(lag(time) OVER w) AS prev_time,\n    \
         (epoch_ns(time) - {begin}) // {column} - {} AS bucket,\n    \
         coalesce(temporality = 'delta' OR {count} < lag({count}) OVER w OR epoch_ns(start_time) > prev_time OR {bounds}, false) AS is_new\n  \
         FROM metric_points\n  WHERE metric = {} AND time >= {} AND time < {} AND (flags IS NULL OR flags & 1 = 0) AND isfinite({count})\n  \
         WINDOW w AS (PARTITION BY series_id ORDER BY time)\n),\n\
         runs AS (\n  SELECT *, sum(is_new::INTEGER) OVER (PARTITION BY series_id ORDER BY time) AS run\n  FROM points\n  \
         -- A sender that tries again sends a point twice.\n  WHERE prev_time IS DISTINCT FROM epoch_ns(time)\n),\n\
         last AS (\n  SELECT *,\n    \
         -- Of the first point of a series it is not known when its values came, unless the series began with it.\n    \
         row_number() OVER r = 1 AND run = 0 AND coalesce(epoch_ns(start_time) < {}, true) AS is_base\n  FROM (\n    FROM runs\n    \
         QUALIFY is_delta OR row_number() OVER (PARTITION BY series_id, run, bucket ORDER BY time DESC) = 1\n      \
         OR row_number() OVER (PARTITION BY series_id, run ORDER BY time) = 1\n  ) AS l\n  \
         WINDOW r AS (PARTITION BY series_id, run ORDER BY time)\n)",
        before / column,
        quoted(&selection.metric),
        sql_time(begin.max(0)),
        sql_time(range.to),
        begin.max(1),
    )
}

/// Of histograms: each has all of its buckets. Those of exponential ones are made as coarse as the coarsest.
fn of_points() -> String {
    let exponential = |counts: &str, offset: &str, low: &str, high: &str| {
        format!(
            "SELECT series_id, run, time, bucket, is_base, {low} AS low, {high} AS high, n\n  FROM (\n    \
             SELECT series_id, run, time, bucket, is_base, coarse, n, floor(({offset} + place - 1) / pow(2, scale - coarse)) AS i\n    FROM (\n      \
             SELECT series_id, run, time, bucket, is_base, scale, {offset}, unnest({counts}) AS n, generate_subscripts({counts}, 1) AS place,\n        \
             coarse\n      FROM last, (SELECT least(min(scale), {SCALE}) AS coarse FROM last) AS c\n      WHERE {offset} IS NOT NULL\n    )\n  )"
        )
    };
    let above = |i: &str| format!("pow(2, {i} / pow(2, coarse))");
    format!(
        "buckets AS (\n  SELECT series_id, run, time, bucket, is_base, unnest(list_concat(['-inf'::DOUBLE], explicit_bounds)) AS low,\n    \
         unnest(list_concat(explicit_bounds, ['inf'::DOUBLE])) AS high, unnest(bucket_counts) AS n\n  FROM last\n  WHERE len(bucket_counts) > 0\n  \
         UNION ALL\n  SELECT series_id, run, time, bucket, is_base, -coalesce(zero_threshold, 0), coalesce(zero_threshold, 0), zero_count\n  FROM last\n  WHERE zero_count IS NOT NULL\n  \
         UNION ALL\n  {}\n  UNION ALL\n  {}\n),\n\
         single AS (\n  SELECT series_id, run, time, any_value(bucket) AS bucket, any_value(is_base) AS is_base, low, high, sum(n) AS n\n  \
         FROM buckets\n  GROUP BY series_id, run, time, low, high\n),\n\
         growth AS (\n  SELECT s.name, bucket, low, high,\n    \
         CASE WHEN is_base THEN 0 ELSE n - coalesce(lag(n) OVER (PARTITION BY series_id, run, low, high ORDER BY time), 0) END AS n\n  \
         FROM single JOIN s USING (series_id)\n)",
        exponential("positive_counts", "positive_offset", &above("i"), &above("(i + 1)")),
        exponential(
            "negative_counts",
            "negative_offset",
            &format!("-{}", above("(i + 1)")),
            &format!("-{}", above("i"))
        ),
    )
}

/// Of Prometheus' buckets: each is a series that counts what is not above its label `le`.
fn of_series() -> String {
    "upto AS (\n  SELECT name, le, bucket, sum(n) AS n\n  FROM (\n    SELECT s.name, CASE lower(s.le) WHEN '+inf' THEN 'inf'::DOUBLE ELSE TRY_CAST(s.le AS DOUBLE) END AS le, bucket,\n      \
     CASE WHEN is_base THEN 0 ELSE value - coalesce(lag(value) OVER (PARTITION BY series_id, run ORDER BY time), 0) END AS n\n    \
     FROM last JOIN s USING (series_id)\n  )\n  WHERE le IS NOT NULL\n  GROUP BY name, le, bucket\n),\n\
     growth AS (\n  SELECT name, bucket, coalesce(lag(le) OVER w, '-inf'::DOUBLE) AS low, le AS high, n - coalesce(lag(n) OVER w, 0) AS n\n  \
     FROM upto\n  WINDOW w AS (PARTITION BY name, bucket ORDER BY le)\n)"
        .to_owned()
}
