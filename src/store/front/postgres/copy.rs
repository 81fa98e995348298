//! `COPY ... TO STDOUT`: a row as a line, in PostgreSQL's text format or as CSV, or all in PostgreSQL's bytes.

use bytes::{BufMut, BytesMut};
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};

use super::command::copy::{CopyFormat, CopyOut};
use super::rows::{BINARY, Rows};
use super::running::{Break, Form, Running, Stop};
use super::session::Session;
use super::types::Column;

/// What the binary format begins with: its signature, no flags, nothing more in the header (PostgreSQL's
/// documentation, "COPY", "Binary Format").
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with: a row of -1 columns.
const BINARY_END: &[u8] = &[0xff, 0xff];

impl Session {
    /// Gives the rows of a query to `COPY`.
    pub(super) async fn copy(&mut self, running: &mut Running, options: &CopyOut, stop: &Stop) -> Result<(), Break> {
        let columns = i16::try_from(running.answer.columns.len()).unwrap_or(i16::MAX);
        let is_binary = options.format == CopyFormat::Binary;
        let formats = vec![if is_binary { BINARY } else { 0 }; running.answer.columns.len()];
        self.wire.put(&Message::CopyOutResponse(CopyOutResponse::new(i8::from(is_binary), columns, formats)))?;
        put_header(options, &running.answer.columns, &mut self.wire.out);
        let sent = running.send(&mut self.wire, Form::Copy(options), None, stop).await?;
        if is_binary {
            let header = if sent.rows == 0 { BINARY_HEADER } else { &[] };
            put_data(&[header, BINARY_END].concat(), &mut self.wire.out);
        }
        self.wire.put(&Message::CopyDone(CopyDone::new()))?;
        self.complete(running, &format!("COPY {}", sent.rows))
    }
}

/// Puts the line with the names, if one is wanted, as `CopyData`.
pub fn put_header(copy: &CopyOut, columns: &[Column], out: &mut BytesMut) {
    if copy.header {
        let names: Vec<Option<&[u8]>> = columns.iter().map(|column| Some(column.name.as_bytes())).collect();
        put_line(copy, names, out);
    }
}

/// Puts a row in bytes, with the header before it in one message, as clients expect it. One row.
pub fn put_first(rows: &Rows<'_>, row: usize, out: &mut BytesMut) -> usize {
    let mut message = BytesMut::new();
    let put = rows.put(row..row + 1, 1, &mut message);
    put_data(&[BINARY_HEADER, &message[5..]].concat(), out);
    put
}

/// Puts a row.
pub fn put_row(copy: &CopyOut, rows: &Rows<'_>, row: usize, out: &mut BytesMut) {
    let mut values: Vec<Option<Vec<u8>>> = Vec::new();
    rows.texts(row, |value| values.push(value.map(<[u8]>::to_vec)));
    put_line(copy, values.iter().map(Option::as_deref), out);
}

fn put_line<'a>(copy: &CopyOut, values: impl IntoIterator<Item = Option<&'a [u8]>>, out: &mut BytesMut) {
    let mut line = BytesMut::new();
    let mut delimiter = [0; 4];
    let delimiter = copy.delimiter.encode_utf8(&mut delimiter).as_bytes();
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            line.put_slice(delimiter);
        }
        match value {
            None => line.put_slice(copy.null.as_bytes()),
            Some(value) if copy.format == CopyFormat::Csv => put_csv(copy, value, delimiter, &mut line),
            Some(value) => put_text(value, delimiter, &mut line),
        }
    }
    line.put_u8(b'\n');
    put_data(&line, out);
}

fn put_data(data: &[u8], out: &mut BytesMut) {
    out.put_u8(b'd');
    out.put_i32(i32::try_from(data.len() + 4).unwrap_or(i32::MAX));
    out.put_slice(data);
}

fn put_csv(copy: &CopyOut, value: &[u8], delimiter: &[u8], line: &mut BytesMut) {
    let mut quote = [0; 4];
    let quote = copy.quote.encode_utf8(&mut quote).as_bytes();
    let holds = |part: &[u8]| memchr::memmem::find(value, part).is_some();
    // What would be taken for NULL, or for the end of the data, stands in quotes.
    let needs = holds(delimiter)
        || holds(quote)
        || memchr::memchr2(b'\n', b'\r', value).is_some()
        || value == copy.null.as_bytes()
        || value == b"\\.";
    if !needs {
        line.put_slice(value);
        return;
    }
    line.put_slice(quote);
    let mut rest = value;
    while let Some(at) = memchr::memmem::find(rest, quote) {
        line.put_slice(&rest[..at]);
        line.put_slice(quote);
        line.put_slice(quote);
        rest = &rest[at + quote.len()..];
    }
    line.put_slice(rest);
    line.put_slice(quote);
}

fn put_text(value: &[u8], delimiter: &[u8], line: &mut BytesMut) {
    for byte in value {
        match byte {
            b'\\' => line.put_slice(b"\\\\"),
            b'\n' => line.put_slice(b"\\n"),
            b'\r' => line.put_slice(b"\\r"),
            b'\t' => line.put_slice(b"\\t"),
            0x08 => line.put_slice(b"\\b"),
            0x0b => line.put_slice(b"\\v"),
            0x0c => line.put_slice(b"\\f"),
            byte if delimiter == [*byte] => line.put_slice(&[b'\\', *byte]),
            byte => line.put_u8(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::{Command, parse};
    use super::*;

    fn line(options: &str, values: &[Option<&str>]) -> String {
        let Ok(Command::Copy(copy)) = parse(&format!("COPY x TO STDOUT {options}")) else { panic!("{options}") };
        let mut out = BytesMut::new();
        put_line(&copy, values.iter().map(|value| value.map(str::as_bytes)), &mut out);
        assert_eq!((out[0], out[1..5].to_vec()), (b'd', (out.len() as u32 - 1).to_be_bytes().to_vec()));
        String::from_utf8(out[5..].to_vec()).unwrap()
    }

    #[test]
    fn lines() {
        let values = [Some("a"), None, Some(""), Some("b\t\\\nc"), Some("d,\"e\"")];
        assert_eq!(line("", &values), "a\t\\N\t\tb\\t\\\\\\nc\td,\"e\"\n");
        assert_eq!(line("CSV", &values), "a,,\"\",\"b\t\\\nc\",\"d,\"\"e\"\"\"\n");
        assert_eq!(line("(FORMAT csv, DELIMITER ';', NULL '-')", &[Some("a;b"), None, Some("-")]), "\"a;b\";-;\"-\"\n");
    }
}
