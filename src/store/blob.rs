//! How bytes are spelt as text, everywhere: as DuckDB casts a BLOB to VARCHAR, so that an answer, a
//! cast and a comparison agree.

use std::fmt::Write;

/// Appends the bytes: printable ASCII as it is, but for quotes and the backslash; everything else as
/// `\xNN` in upper-case hex.
pub(crate) fn write(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\\' | b'\'' | b'"' => _ = write!(out, "\\x{byte:02X}"),
            b' '..=b'~' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "\\x{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spelt_as_duckdb_does() {
        let duckdb = duckdb::Connection::open_in_memory().unwrap();
        let every: Vec<u8> = (0..=255).collect();
        let theirs: String = duckdb.query_row("SELECT ?::BLOB::VARCHAR", [&every], |row| row.get(0)).unwrap();
        let mut ours = String::new();
        write(&mut ours, &every);
        assert_eq!(ours, theirs);
    }
}
