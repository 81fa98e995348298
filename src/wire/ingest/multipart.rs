//! `multipart/form-data` (RFC 7578) of a body that is there as a whole: the parts are slices of
//! it.

use memchr::memmem;

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Name of the field.
    pub name: String,
    /// Its content.
    pub data: &'a [u8],
}

/// More parts than a profile has; a body of nothing but delimiters would make millions.
const MAX_PARTS: usize = 64;

/// Whether the content type says that the body is a form.
pub fn is_form(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("multipart/form-data")
}

/// The parts of `body`, delimited as `content_type` says.
///
/// # Errors
/// Says what is missing.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, String> {
    let boundary = parameter(content_type, "boundary").ok_or("the content type names no boundary")?;
    if boundary.is_empty() || boundary.len() > 70 {
        return Err(format!("the boundary has {} characters, expected 1 to 70", boundary.len()));
    }
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    // The first delimiter may stand at the very start, without the line break before it.
    let mut rest = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(rest) => rest,
        None => match finder.find(body) {
            Some(at) => &body[at + delimiter.len()..],
            None => return Err(format!("no part: boundary {boundary:?} is not in the body")),
        },
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() == MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} parts"));
        }
        let padding = rest.iter().take_while(|&&b| b == b' ' || b == b'\t').count();
        let start = rest[padding..].strip_prefix(b"\r\n").ok_or("no line break after a boundary")?;
        let end = finder.find(start).ok_or_else(|| format!("part {} has no end", parts.len() + 1))?;
        parts.push(part(&start[..end]).ok_or_else(|| format!("part {} has no name", parts.len() + 1))?);
        rest = &start[end + delimiter.len()..];
    }
    Ok(parts)
}

/// The header lines, an empty line, the content.
fn part(part: &[u8]) -> Option<Part<'_>> {
    let end = memmem::find(part, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&part[..end]);
    let name = head.split("\r\n").find_map(|line| {
        let (header, value) = line.split_once(':')?;
        header.trim().eq_ignore_ascii_case("content-disposition").then(|| parameter(value, "name")).flatten()
    })?;
    Some(Part { name, data: &part[end + 4..] })
}

/// A parameter of a header: `value; name=token; name="quoted"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = header.split_once(';')?;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next.trim_start().strip_prefix(';')?;
    }
}

/// What stands before the closing quote, with escapes undone, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; charset=utf-8; boundary=\"a b\"";

    #[test]
    fn parts_are_found_with_or_without_a_preamble() {
        let form =
            b"--a b\r\nContent-Disposition: form-data; name=\"profile\"; filename=\"p;q\"\r\nX: y\r\n\r\n\x1f\x8b\r\n\
                     --a b\r\ncontent-disposition: form-data; filename=x; name=labels\r\n\r\n\r\n--a b--\r\nepilogue";
        for preamble in [&b""[..], b"\r\n", b"hello\r\n"] {
            let body = [preamble, form].concat();
            let got = parts(TYPE, &body).expect("good");
            assert_eq!(got.len(), 2);
            assert_eq!((got[0].name.as_str(), got[0].data), ("profile", &b"\x1f\x8b"[..]));
            assert_eq!((got[1].name.as_str(), got[1].data), ("labels", &b""[..]));
        }
        assert_eq!(parts(TYPE, b"--a b--").expect("good"), []);
    }

    #[test]
    fn says_what_is_missing() {
        for (content_type, body, want) in [
            ("multipart/form-data", &b""[..], "no boundary"),
            (TYPE, b"", "not in the body"),
            (TYPE, b"--a b\r\nContent-Disposition: form-data; name=x\r\n\r\nabc", "part 1 has no end"),
            (TYPE, b"--a b\r\nX: y\r\n\r\nabc\r\n--a b--", "part 1 has no name"),
            (TYPE, b"--a b?", "no line break"),
        ] {
            let got = parts(content_type, body).expect_err(want);
            assert!(got.contains(want), "{got}");
        }
        let endless = b"--a b\r\nContent-Disposition: f; name=x\r\n\r\n\r\n".repeat(100);
        assert!(parts(TYPE, &endless).expect_err("too many").contains("more than 64"));
    }

    mod any_input {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn never_panics(content_type in ".{0,60}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
                let _ = parts(&format!("multipart/form-data;{content_type}"), &body);
                let _ = parts("multipart/form-data; boundary=a", &body);
            }
        }
    }
}
