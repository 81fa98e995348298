//! Letters as text for people.

use std::fmt::Write;
use std::io::IsTerminal;

use bytesize::ByteSize;
use serde_json::{Value, json};

use crate::cli::sql::table;

/// A line a dead letter.
pub fn list(letters: &[Value]) -> String {
    if letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let columns = [
        ("id", "VARCHAR"),
        ("signal", "VARCHAR"),
        ("items", "BIGINT"),
        ("size", "VARCHAR"),
        ("set aside", "VARCHAR"),
        ("retries", "BIGINT"),
        ("reason", "VARCHAR"),
    ];
    let columns: Vec<Value> = columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    let rows: Vec<Value> = letters.iter().map(row).collect();
    let width = if std::io::stdout().is_terminal() { table::terminal_width() } else { None };
    table::render(&json!({ "columns": columns, "rows": rows }), width)
}

fn row(letter: &Value) -> Value {
    let text = |name: &str| letter[name].as_str().unwrap_or("?");
    let size = ByteSize(letter["bytes"].as_u64().unwrap_or(0)).to_string();
    match letter["damaged"].as_str() {
        Some(damage) => json!([text("id"), "?", null, size, "?", null, format!("damaged: {damage}")]),
        None => json!([
            text("id"),
            text("signal"),
            letter["items"],
            size,
            text("set_aside"),
            letter["retries"],
            match letter["taken"].as_bool() {
                Some(true) => "taken, and goes once it is sealed",
                _ => text("reason"),
            },
        ]),
    }
}

/// One dead letter, with what is in it.
pub fn letter(letter: &Value) -> String {
    let mut out = String::new();
    let text = |name: &str| letter[name].as_str().map(clean).unwrap_or_default();
    let number = |name: &str| letter[name].as_u64().unwrap_or(0);
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<12}{value}");
    };
    line("letter", text("id"));
    line("destination", text("destination"));
    line("reason", text("reason"));
    line("signal", format!("{}, {} items", text("signal"), number("items")));
    let sizes = format!("{}, {} decompressed", ByteSize(number("bytes")), ByteSize(number("decoded_bytes")));
    line("payload", format!("{}, {}, {sizes}", text("format"), text("compression")));
    line("received", text("received"));
    line("set aside", text("set_aside"));
    if number("retries") > 0 {
        line("sent again", format!("{} times, the last time {}", number("retries"), text("last_retry")));
    }
    if !text("query").is_empty() {
        line("query", text("query"));
    }
    match letter.get("content") {
        Some(content) => {
            // JSON escapes control characters, so nothing in it reaches the terminal.
            let content = serde_json::to_string_pretty(content).unwrap_or_default();
            let _ = writeln!(out, "\n{content}");
        }
        None => {
            let _ = writeln!(out, "\nwhat is in it: {}", text("content_error"));
        }
    }
    out
}

/// What to say of a dead letter that was taken.
pub fn accepted(id: &str, answer: &Value) -> String {
    match answer["rejected_items"].as_u64() {
        Some(rejected @ 1..) => {
            let message = clean(answer["message"].as_str().unwrap_or_default());
            format!("{id}: accepted, but for {rejected} items: {message}\n")
        }
        _ => format!("{id}: accepted\n"),
    }
}

/// Telemetry is foreign text: nothing in it may move the cursor or change colours.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_letter_and_damage_is_named() {
        let letters = [
            json!({"id": "tempo-a1", "signal": "traces", "items": 3, "bytes": 2048, "set_aside": "2026-11-23T02:00:00.000Z",
                "retries": 0, "reason": "HTTP 400: no\u{1b}[31m"}),
            json!({"id": "tempo-a2", "bytes": 10, "damaged": "its head is not what was written"}),
        ];
        let text = list(&letters);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[2].starts_with("tempo-a1") && lines[2].ends_with("HTTP 400: no·[31m"), "{text}");
        assert!(lines[3].contains("damaged: its head"), "{text}");
        assert_eq!(list(&[]), "no dead letters\n");
    }

    #[test]
    fn one_letter_with_its_content() {
        let shown = letter(
            &json!({"id": "tempo-a1", "reason": "no\nnever", "items": 3, "signal": "traces", "content": {"a": 1}}),
        );
        assert!(shown.contains("reason      no·never\n") && shown.contains("\"a\": 1"), "{shown}");
        let shown = letter(&json!({"id": "tempo-a1", "content_error": "take it raw"}));
        assert!(shown.ends_with("what is in it: take it raw\n"), "{shown}");
    }
}
