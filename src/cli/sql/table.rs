//! An answer as aligned columns of text.

use serde_json::Value;

/// Columns narrower than this are not made narrower still.
const NARROWEST: usize = 12;

/// What stands for NULL, so that it is told from an empty string.
const NULL: &str = "NULL";

/// The width of the terminal in characters, if it says.
pub fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}

/// The answer as a table. With a width, values are cut so that a line fits.
pub fn render(answer: &Value, width: Option<usize>) -> String {
    let columns = answer["columns"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = answer["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let right: Vec<bool> = columns.iter().map(|c| is_number(c["type"].as_str().unwrap_or_default())).collect();
    let header: Vec<String> = columns.iter().map(|c| clean(c["name"].as_str().unwrap_or_default())).collect();
    let body: Vec<Vec<String>> =
        rows.iter().map(|row| row.as_array().map_or(&[][..], Vec::as_slice).iter().map(cell).collect()).collect();
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in &body {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if let Some(width) = width {
        fit(&mut widths, width);
    }
    let mut out = String::new();
    line(&mut out, &header, &widths, &right);
    for (i, width) in widths.iter().enumerate() {
        out.push_str(if i > 0 { "──" } else { "" });
        out.push_str(&"─".repeat(*width));
    }
    out.push('\n');
    for row in &body {
        line(&mut out, row, &widths, &right);
    }
    out
}

/// Part of a line around a place, and where the place is in the part.
pub fn excerpt(line: &str, at: usize, width: usize) -> (String, usize) {
    let start = at.saturating_sub(width / 2);
    let shown: String = line.chars().skip(start).take(width).map(|c| if c == '\t' { ' ' } else { c }).collect();
    (shown, at - start)
}

fn line(out: &mut String, cells: &[String], widths: &[usize], right: &[bool]) {
    let start = out.len();
    for (i, ((cell, width), right)) in cells.iter().zip(widths).zip(right).enumerate() {
        if i > 0 {
            out.push_str("  ");
        }
        let length = cell.chars().count();
        if length > *width {
            out.extend(cell.chars().take(width.saturating_sub(1)));
            out.push('…');
            continue;
        }
        let padding = " ".repeat(width - length);
        if *right {
            out.push_str(&padding);
            out.push_str(cell);
        } else {
            out.push_str(cell);
            out.push_str(&padding);
        }
    }
    out.truncate(start + out[start..].trim_end().len());
    out.push('\n');
}

/// Takes from the widest columns until a line fits, or nothing more can be taken.
fn fit(widths: &mut [usize], line: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    loop {
        let total: usize = widths.iter().sum::<usize>() + gaps;
        let Some(widest) = widths.iter_mut().max() else { return };
        if total <= line || *widest <= NARROWEST {
            return;
        }
        *widest = (*widest - 1).max(NARROWEST);
    }
}

fn is_number(kind: &str) -> bool {
    let bare = kind.split('(').next().unwrap_or_default();
    !kind.ends_with(']')
        && matches!(
            bare,
            "TINYINT"
                | "SMALLINT"
                | "INTEGER"
                | "BIGINT"
                | "HUGEINT"
                | "UTINYINT"
                | "USMALLINT"
                | "UINTEGER"
                | "UBIGINT"
                | "UHUGEINT"
                | "FLOAT"
                | "DOUBLE"
                | "DECIMAL"
        )
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => NULL.to_owned(),
        Value::String(text) => clean(text),
        other => other.to_string(),
    }
}

/// Telemetry is foreign text: nothing in it may move the cursor or change colours.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '↵',
            '\t' => ' ',
            c if c.is_control() => '·',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "columns": [{"name": "name", "type": "VARCHAR"}, {"name": "n", "type": "BIGINT"}],
            "rows": [["GET /", 5], [null, 12345], ["a\u{1b}[31m\nb", null]],
        })
    }

    #[test]
    fn numbers_stand_right_and_null_is_seen() {
        let expected = ["name          n", "───────────────", "GET /         5", "NULL      12345", "a·[31m↵b   NULL"];
        assert_eq!(render(&answer(), None).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn values_are_cut_to_the_terminal() {
        let wide = json!({"columns": [{"name": "a", "type": "VARCHAR"}, {"name": "b", "type": "VARCHAR"}],
            "rows": [["x".repeat(200), "short"]]});
        let text = render(&wide, Some(40));
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.contains('…') && text.contains("short"));
        assert!(render(&wide, None).contains(&"x".repeat(200)));
    }

    #[test]
    fn a_caret_fits_its_excerpt() {
        assert_eq!(excerpt("select nope", 7, 100), ("select nope".to_owned(), 7));
        let long = format!("{}nope", "x".repeat(500));
        let (shown, at) = excerpt(&long, 500, 100);
        assert_eq!(&shown[at..], "nope");
    }
}
