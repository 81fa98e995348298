//! Statements that clients are known to send, with what PostgreSQL itself answers to each: `clients.sql`, which
//! `ask-postgresql` has written.

use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::connect;
use crate::harness::Vispyr;

/// A type as `ask-postgresql` names it: those that differ only in how PostgreSQL keeps them are one.
fn class_of(kind: &Type) -> String {
    if let Kind::Array(item) = kind.kind() {
        return format!("{}[]", class_of(item));
    }
    match kind.name() {
        "int2" | "int4" | "int8" => "int",
        "text" | "varchar" => "text",
        "float4" | "float8" => "float",
        "timestamp" | "timestamptz" | "date" => "time",
        "json" | "jsonb" => "json",
        other => other,
    }
    .to_owned()
}

async fn answer(client: &Client, statement: &str) -> String {
    let prepared = match client.prepare(statement).await {
        Ok(prepared) => prepared,
        Err(error) => return format!("error {}", error.as_db_error().map_or("none", |error| error.message())),
    };
    // Unprepared, too: that is the other half of the protocol, and rows are texts there.
    let messages = match client.simple_query(statement).await {
        Ok(messages) => messages,
        Err(error) => return format!("error when run: {error:?}"),
    };
    let rows = messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count();
    if prepared.columns().is_empty() {
        return "nothing".to_owned();
    }
    let columns = prepared.columns().iter().map(|column| format!("{} {}", column.name(), class_of(column.type_())));
    let binary =
        client.query(&prepared, &[]).await.map_or_else(|error| error.to_string(), |rows| rows.len().to_string());
    if binary != rows.to_string() {
        return format!("{rows} rows as texts, in binary {binary}");
    }
    format!("{} | {}", columns.collect::<Vec<_>>().join(", "), if rows > 0 { "rows" } else { "no rows" })
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_clients_are_answered_as_by_postgresql() {
    let vispyr = Vispyr::serve().await;
    let client = connect(&vispyr).await;
    let SimpleQueryMessage::Row(spans) =
        client.simple_query("SELECT 'spans'::regclass::oid").await.unwrap().swap_remove(1)
    else {
        panic!("no row")
    };
    let spans = spans.get(0).unwrap().to_owned();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for block in include_str!("clients.sql").split("\n---").map(|block| block.trim_start_matches("---")) {
        // The first line is a title.
        let (_, block) = block.split_once('\n').unwrap();
        let is_answer = |line: &&str| line.starts_with("--> ") || line.starts_with("--! ");
        let statement: Vec<&str> = block.lines().filter(|line| !is_answer(line)).collect();
        let statement = statement.join("\n").replace("{spans}", &spans);
        let expected = block.lines().find(is_answer).expect("an answer")[4..].split(" # ").next().unwrap();
        count += 1;
        let found = answer(&client, &statement).await;
        if found != expected {
            wrong.push(format!("{statement}\n    PostgreSQL: {expected}\n    here:       {found}"));
        }
    }
    assert!(count > 200, "{count} statements");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n\n"));
}
