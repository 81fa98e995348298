//! What the editor completes: views, their columns, macros, and the keys of attributes that were seen lately.

use maud::{Markup, html};

use crate::web::sql::{Rows, identifier};
use crate::web::text::cut;

/// Keys at most.
pub const MAX: usize = 1_000;

/// The macros, as they are called.
const MACROS: [&str; 8] = [
    "trace('')",
    "red(now() - INTERVAL 1 HOUR, now())",
    "service_graph(now() - INTERVAL 1 HOUR, now())",
    "flame('', NULL, now() - INTERVAL 1 HOUR, now())",
    "span_profile('')",
    "exemplars_of('', now() - INTERVAL 1 HOUR, now())",
    "telemetry_volume(now() - INTERVAL 1 HOUR, now())",
    "traces",
];

/// Keys of some spans and records of the last hour, and of the series.
pub const STATEMENT: &str = "SELECT DISTINCT place, left(key, 200) AS key\nFROM (\n  \
    SELECT 'attributes' AS place, unnest(json_keys(attributes::JSON)) AS key\n  \
    FROM (SELECT attributes FROM spans WHERE start_time > now() - INTERVAL 1 HOUR LIMIT 2000)\n  UNION ALL\n  \
    SELECT 'attributes', unnest(json_keys(attributes::JSON))\n  \
    FROM (SELECT attributes FROM logs WHERE time > now() - INTERVAL 1 HOUR LIMIT 2000)\n  UNION ALL\n  \
    SELECT 'labels', unnest(json_keys(labels::JSON)) FROM (SELECT labels FROM series LIMIT 2000)\n)\nORDER BY place, key\nLIMIT 1001";

/// The words, for the script.
pub fn list(columns: Option<&Rows>, keys: Option<&Rows>) -> Markup {
    let mut words: Vec<String> = MACROS.map(str::to_owned).to_vec();
    if let Some(rows) = columns {
        for row in 0..rows.len() {
            words.extend([rows.text(row, "table_name"), rows.text(row, "column_name")].map(str::to_owned));
        }
    }
    if let Some(rows) = keys {
        let word = |row| format!("{}.{}", rows.text(row, "place"), identifier(rows.text(row, "key")));
        words.extend((0..rows.len()).map(word));
    }
    words.sort();
    words.dedup();
    html! { datalist #words { @for word in words { option value=(cut(&word, 220)) {} } } }
}
