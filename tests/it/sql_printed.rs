//! What runs is the text that DuckDB writes of the tree that was judged. It answers what the text that came
//! answers when DuckDB runs it itself, without gates.

use std::collections::BTreeSet;

use arrow::array::{Array as _, ArrayRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use duckdb::Connection;
use vispyr::store::sql::parse::Parser;

use crate::sql_gates::{ORDINARY, instance, statements};

const ANALYST: &str = include_str!("fixtures/analyst.sql");

/// What gives something else by chance.
const RANDOM: &[&str] = &["uuid()", "random()", "SAMPLE"];

/// What is rewritten on purpose, by a part of its text.
const REWRITTEN: &[(&str, &str)] = &[
    ("ago(INTERVAL 1 HOUR), today()", "times are TIMESTAMP in UTC"),
    ("to_timestamp(1700000000)", "times are TIMESTAMP in UTC"),
    ("SELECT now(), current_timestamp", "times are TIMESTAMP in UTC"),
    ("repeat('  ', duration_ns % 5)", "the length of lpad and rpad may be computed"),
    ("name.upper(), spans.name.lower()", "columns have the names of calls"),
    ("attributes.http.route, spans.attributes", "a dotted name is one attribute"),
];

/// [`rows`], also of what has a VARIANT, which the client cannot decode: in a table it is cast.
fn answer(connection: &Connection, sql: &str) -> Result<Vec<String>, String> {
    match rows(connection, sql) {
        Err(error) if error.contains("decoding Variant columns") => {
            let sql = sql.split(" -- ").next().unwrap_or_default().trim_end_matches(';');
            let table = format!("CREATE OR REPLACE TEMP TABLE answer AS {sql}");
            connection.execute_batch(&table).map_err(|e| e.to_string())?;
            rows(connection, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM answer")
        }
        answer => answer,
    }
}

/// Column names, then the rows in an order of their own.
fn rows(connection: &Connection, sql: &str) -> Result<Vec<String>, String> {
    let mut statement = connection.prepare(sql).map_err(|e| e.to_string())?;
    let batches = statement.query_arrow([]).map_err(|e| e.to_string())?;
    let names: Vec<String> = batches.get_schema().fields().iter().map(|field| field.name().clone()).collect();
    let options = FormatOptions::default().with_display_error(true);
    let mut answer = Vec::new();
    for batch in batches {
        let cell = |column: &ArrayRef, row| match ArrayFormatter::try_new(column, &options) {
            Ok(cells) => cells.value(row).to_string(),
            // A time with a zone that is named.
            Err(_) => format!("{:?}", column.slice(row, 1).to_data()),
        };
        let row = |row| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("|");
        answer.extend((0..batch.num_rows()).map(row));
    }
    answer.sort();
    answer.insert(0, names.join("|"));
    Ok(answer)
}

#[test]
fn what_runs_answers_what_the_text_that_came_does() {
    let dir = tempfile::tempdir().unwrap();
    let connection = instance(dir.path());
    let parser = Parser::new().unwrap();
    let (mut wrong, mut used, mut same) = (Vec::new(), BTreeSet::new(), 0);
    for statement in statements(ORDINARY).chain(statements(ANALYST)) {
        let runs = match parser.validate(statement) {
            Ok(runs) => runs,
            Err(error) => {
                wrong.push(format!("{statement}\n    is refused: {error}"));
                continue;
            }
        };
        // One moment for now().
        connection.execute_batch("BEGIN").unwrap();
        let given = answer(&connection, &runs);
        let meant = answer(&connection, statement);
        connection.execute_batch("ROLLBACK").unwrap();
        let by_chance = RANDOM.iter().any(|word| statement.contains(word));
        let on_purpose = REWRITTEN.iter().find(|(part, _)| statement.contains(part));
        match (&given, &meant) {
            (Err(error), _) => wrong.push(format!("{statement}\n    runs as {runs}\n    which fails: {error}")),
            (Ok(given), Ok(meant)) if given == meant => same += 1,
            _ if by_chance => {}
            _ => match on_purpose {
                Some((part, _)) => drop(used.insert(*part)),
                None => wrong.push(format!(
                    "{statement}\n    runs as {runs}\n    {:?} instead of {:?}",
                    given.as_ref().map(|rows| &rows[..rows.len().min(3)]),
                    meant.as_ref().map(|rows| &rows[..rows.len().min(3)])
                )),
            },
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let unused: Vec<_> = REWRITTEN.iter().filter(|(part, _)| !used.contains(part)).collect();
    assert!(unused.is_empty(), "not rewritten any more: {unused:?}");
    assert!(same > 220, "{same} statements");
}
