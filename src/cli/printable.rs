//! Text of others on a terminal.

/// Text as it may stand on a terminal: nothing in it moves the cursor or changes colours. Telemetry is
/// foreign text, and so is what a destination says of it, and an error that quotes it. Line breaks stay.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_reaches_the_terminal_as_a_command() {
        assert_eq!(printable("a\u{1b}[2J\u{9b}31m\r\tb\nc é 温\n"), "a·[2J·31m··b\nc é 温\n");
    }
}
