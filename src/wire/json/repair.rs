//! JSON with broken text, repaired: U+FFFD takes the place of bytes that are no UTF-8 and of halves
//! of surrogate pairs (`"cut \ud83d"`), which JavaScript writes for text that was cut in the middle
//! of an emoji.

/// The repaired body and how many places were wrong in it; `None` if there was none.
pub(super) fn repair(body: &[u8]) -> Option<(Vec<u8>, u64)> {
    let mut text = Vec::with_capacity(body.len());
    let mut replaced = 0;
    for chunk in body.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            text.extend_from_slice("\u{fffd}".as_bytes());
            replaced += 1;
        }
    }
    replaced += lone_surrogates(&mut text);
    (replaced > 0).then_some((text, replaced))
}

/// Replaces the escapes of lone surrogates, in place: an escape of U+FFFD is as long. A backslash
/// can only stand within a string; anywhere else the body is no JSON.
fn lone_surrogates(text: &mut [u8]) -> u64 {
    let (mut at, mut replaced) = (0, 0);
    while let Some(next) = text.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += next;
        at += match (code_unit(text, at), code_unit(text, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                if let Some(digits) = text.get_mut(at + 2..at + 6) {
                    digits.copy_from_slice(b"fffd");
                    replaced += 1;
                }
                6
            }
            (Some(_), _) => 6,
            // Another escape: that of a backslash must not be read as the start of one.
            (None, _) => 2,
        };
    }
    replaced
}

/// The code unit of the escape `\uXXXX` that begins at `at`.
fn code_unit(text: &[u8], at: usize) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = text.get(at..at + 6)? else { return None };
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_and_bad_bytes_are_replaced() {
        for good in [r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\u00e9\n\"""#, "\"\u{e9}\u{1f600}\"", r#""\u"#, "\\"] {
            assert_eq!(repair(good.as_bytes()), None, "{good}");
        }
        for (bad, good, places) in [
            (&br#""cut \ud83d""#[..], r#""cut \ufffd""#, 1),
            (br#""\uDE00 cut""#, r#""\ufffd cut""#, 1),
            (br#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#, 1),
            (br#""\ud83dA\\\ud83d""#, r#""\ufffdA\\\ufffd""#, 2),
            (b"\"a\xffb\"", "\"a\u{fffd}b\"", 1),
            (br#""\ud83d"#, r#""\ufffd"#, 1),
        ] {
            let (text, replaced) = repair(bad).expect("repaired");
            assert_eq!((std::str::from_utf8(&text), replaced), (Ok(good), places));
        }
    }
}
