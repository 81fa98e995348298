//! The gates against DuckDB: what the gates let through means the same to DuckDB, whatever white space,
//! comments and quotes are around it.
//!
//! Each text that is let through is also run as it came, by an instance of its own without gates. It must
//! give the same rows there, and write nothing.

use std::path::Path;

use duckdb::Connection;
use vispyr::store::sql::parse::Parser;

/// How many texts are made; a million takes more than an hour without optimisation.
const VARIABLE: &str = "VISPYR_SQL_FUZZ";

/// Reproducible: a failure names its text anyway.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const BLANKS: &[&str] = &[
    " ",
    " ",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\x0b",
    "\x0c",
    "\u{a0}",
    "\u{2003}",
    "\u{3000}",
    "\u{200b}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "",
    ";",
    "--\r",
    "--\n",
    "-- x\r\n",
    "--",
    "-- '\n",
    "-- \"\r",
    "/**/",
    "/*/**/*/",
    "/*",
    "*/",
    "/*'*/",
    "/* -- */",
    "/*\n*/",
    "-- */\n",
    "--\u{2028}",
    "--\x0b",
    "--\x0c",
    "--\u{85}",
];

const TOKENS: &[&str] = &[
    "EXPLAIN",
    "explain",
    "ANALYZE",
    "analyse",
    "(ANALYZE)",
    "(FORMAT json)",
    "SELECT",
    "select",
    "1",
    "2",
    "'a'",
    "'a''b'",
    "e'\\''",
    "e'a\\\\'",
    "E'\\n'",
    "'\\'",
    "\"x\"",
    "\"a\"\"b\"",
    "$$a$$",
    "$t$ $$ $t$",
    "$é$a$é$",
    "$1$",
    "'é'",
    "'--'",
    "'/*'",
    "'*/'",
    "$$--$$",
    "''",
    "'",
    "\"",
    "$$",
    "x'ff'",
    "U&'a'",
    "n'a'",
    "(",
    ")",
    ",",
    "+",
    "-",
    "--",
    "@",
    "AS",
    "é",
    "x",
    "FROM t",
    "WHERE true",
    "UNION ALL",
    "VALUES (1)",
    "WITH c AS (SELECT 1) FROM c",
    "TABLE t",
    "DESCRIBE",
    "SUMMARIZE t",
    "SHOW TABLES",
    "LIMIT 1",
    "LIMIT 2",
    "COPY (SELECT 1) TO '{dir}/copied.csv'",
    "CREATE TABLE made AS SELECT 1",
    "DELETE FROM t",
    "INSERT INTO t VALUES (9)",
    "DROP TABLE t",
    "nextval('s')",
    "COPY t TO",
    "'{dir}/other.csv'",
    "SELECT 1",
    "SELECT 'a'",
    "EXPLAIN SELECT 1",
];

fn text(random: &mut Random, dir: &str) -> String {
    let mut text = String::new();
    // Most texts begin as a statement that works, or hardly any would be let through.
    if random.below(4) > 0 {
        text.push_str(random.of(BLANKS));
        text.push_str(random.of(&[
            "SELECT",
            "EXPLAIN",
            "EXPLAIN SELECT",
            "FROM",
            "VALUES",
            "SELECT 1",
            "EXPLAIN --\r",
        ]));
    }
    for _ in 0..=random.below(8) {
        for _ in 0..random.below(3) {
            text.push_str(random.of(BLANKS));
        }
        text.push_str(random.of(TOKENS));
    }
    for _ in 0..random.below(3) {
        text.push_str(random.of(BLANKS));
    }
    text.replace("{dir}", dir)
}

fn instance() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TABLE t AS SELECT 1 AS x, 'é' AS é; CREATE SEQUENCE s").unwrap();
    connection
}

/// All rows of an answer as text, or the kind of the error.
fn answer(connection: &Connection, sql: &str) -> Result<Vec<String>, String> {
    let kind = |e: duckdb::Error| e.to_string().split(':').next().unwrap_or_default().to_owned();
    let mut statement = connection.prepare(sql).map_err(kind)?;
    let mut rows = statement.query([]).map_err(kind)?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next().map_err(kind)? {
        let columns = row.as_ref().column_count();
        let values = (0..columns).map(|i| row.get_ref(i).map(|value| format!("{value:?}")));
        answer.push(values.collect::<Result<Vec<_>, _>>().map_err(kind)?.join("|"));
    }
    Ok(answer)
}

/// What statements could have changed.
fn state(connection: &Connection, dir: &Path) -> (Vec<String>, usize) {
    let sql = "SELECT (SELECT count(*) FROM duckdb_tables()), (SELECT count(*) FROM t), \
               (SELECT last_value FROM duckdb_sequences())";
    (answer(connection, sql).unwrap(), std::fs::read_dir(dir).unwrap().count())
}

#[test]
fn what_the_gates_let_through_is_what_duckdb_reads() {
    let count = std::env::var(VARIABLE).map_or(5_000, |count| count.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let parser = Parser::new().unwrap();
    let (as_it_came, as_it_runs) = (instance(), instance());
    let before = state(&as_it_came, dir.path());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut passed, mut explained, mut wrong) = (0, 0, Vec::new());
    for _ in 0..count {
        let text = text(&mut random, &path);
        let Ok(sql) = parser.validate(&text) else { continue };
        passed += 1;
        explained += usize::from(sql.starts_with("EXPLAIN"));
        // Not always the same text: DuckDB puts VALUES into one more SELECT each time.
        if let Err(error) = parser.validate(&sql) {
            wrong.push(format!("{text:?} becomes {sql:?}, which is refused: {error}"));
        }
        let (meant, given) = (answer(&as_it_came, &text), answer(&as_it_runs, &sql));
        if meant != given {
            wrong.push(format!("{text:?} runs as {sql:?}: {given:?} instead of {meant:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {passed}:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert_eq!(state(&as_it_came, dir.path()), before);
    assert_eq!(state(&as_it_runs, dir.path()), before);
    assert!(passed * 50 > count && explained * 500 > count, "{passed} of {count} passed, {explained} of them EXPLAIN");
    println!("{passed} of {count} texts passed, {explained} of them EXPLAIN");
}

/// DuckDB ends a comment at a carriage return. What stood behind it was run and not looked at.
#[test]
fn a_comment_that_ends_at_a_carriage_return_hides_nothing() {
    let parser = Parser::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("written.csv");
    for hidden in ["ANALYZE COPY (SELECT 1)", "COPY (SELECT 1)"] {
        let text = format!("EXPLAIN --\r{hidden} TO '{}'\nSELECT 1", file.display());
        assert!(parser.validate(&text).is_err(), "{text:?}");
    }
    assert_eq!(parser.validate("EXPLAIN --\rSELECT 1"), Ok("EXPLAIN SELECT 1".to_owned()));
    assert_eq!(parser.validate("SELECT 1 --\r+ 1"), Ok("SELECT (1 + 1)".to_owned()));
}
