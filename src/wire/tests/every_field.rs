//! Every field number, with every wire type, in every message of every signal: the tables of the
//! walk are those of prost.

use super::{OTHERS, Signal, agree, delimited, others_agree, put_varint};
use crate::wire::descriptor::{Kind, Message};
use crate::wire::otlp;

/// Calls `f` with every message that can be reached, and the field numbers that lead there.
fn every_message(
    message: &'static Message,
    path: &mut Vec<u32>,
    seen: &mut Vec<&'static str>,
    f: &mut dyn FnMut(&[u32]),
) {
    let id = message as *const Message;
    let name = format!("{}{id:p}", message.name);
    if seen.contains(&name.as_str()) {
        return;
    }
    seen.push(name.leak());
    f(path);
    for field in message.fields {
        if let Kind::Message(child) = field.kind {
            path.push(field.tag);
            every_message(child, path, seen, f);
            path.pop();
        }
    }
}

/// Calls `agree` with every field number, wire type and some contents in every message that can be
/// reached; returns how many messages there are, and how many of the calls said true.
fn every_field(root: &'static Message, agree: impl Fn(&[u8]) -> bool) -> (u32, u32) {
    let contents: [&[u8]; 7] =
        [&[], &[0xff], &[0x80, 0x01], &[0x08, 0x01], &[1; 4], &[1; 8], &[0xc3, 0xa9, 1, 2, 3, 4, 5, 6]];
    let (mut messages, mut accepted) = (0, 0);
    every_message(root, &mut Vec::new(), &mut Vec::new(), &mut |path| {
        messages += 1;
        for (tag, wire, content) in combinations(&contents) {
            let mut field = Vec::new();
            put_varint(u64::from(tag) << 3 | wire, &mut field);
            if wire == 2 {
                put_varint(content.len() as u64, &mut field);
            }
            field.extend_from_slice(content);
            let payload = path.iter().rev().fold(field, |inner, &tag| delimited(tag, &inner));
            accepted += u32::from(agree(&payload));
        }
    });
    (messages, accepted)
}

/// All combinations of field number, wire type and content.
fn combinations<'a>(contents: &'a [&'a [u8]]) -> impl Iterator<Item = (u32, u64, &'a [u8])> {
    (0..40).flat_map(move |tag| (0..8).flat_map(move |wire| contents.iter().map(move |content| (tag, wire, *content))))
}

#[test]
fn tables_are_those_of_prost() {
    for signal in Signal::ALL {
        let (messages, accepted) = every_field(otlp::request(signal), |payload| agree(signal, payload));
        assert!(messages > 10 && accepted > 3000, "{signal}: {messages} messages, {accepted} accepted");
    }
    for (root, prost) in OTHERS {
        let (messages, accepted) = every_field(root, |payload| others_agree(root, prost, payload));
        assert!(messages > 3 && accepted > 1000, "{}: {messages} messages, {accepted} accepted", root.name);
    }
}

#[test]
fn faults_are_named_with_their_place() {
    let cases: [(&[u32], &[u8], &str); 7] = [
        (
            &[1, 2, 2],
            &[0x08, 0x01],
            "resource_spans[1].scope_spans[1].spans[1].trace_id: wrong wire type varint, expected length-delimited, at byte 12",
        ),
        (
            &[1, 2, 2],
            &[0x2a, 0x09, b'a'],
            "resource_spans[1].scope_spans[1].spans[1].name: length of 9 bytes runs past the end, 1 bytes are left, at byte 13",
        ),
        (
            &[1, 2, 2, 9],
            &[0x12, 0x03, 0x1a],
            "resource_spans[1].scope_spans[1].spans[1].attributes[1].value: length of 3 bytes runs past the end, 1 bytes are left, at byte 17",
        ),
        (
            &[1, 2, 2, 9],
            &[0x12, 0x02, 0x18, 0xff],
            "resource_spans[1].scope_spans[1].spans[1].attributes[1].value.int_value: invalid varint (cut short or longer than 64 bits), at byte 19",
        ),
        (&[1, 2, 2], &[0x02], "resource_spans[1].scope_spans[1].spans[1]: invalid field number 0, at byte 12"),
        (&[1], &[0x0f], "resource_spans[1]: invalid wire type 7, at byte 4"),
        (&[], &[0xa4, 0x01], "end of a group that was not begun, at byte 2"),
    ];
    for (path, field, expected) in cases {
        // An empty sibling stands before each, so that the index is 1.
        let payload = path
            .iter()
            .rev()
            .fold(field.to_vec(), |inner, &tag| [delimited(tag, &[]), delimited(tag, &inner)].concat());
        let payload = if path.is_empty() { [delimited(1, &[]), payload].concat() } else { payload };
        let error = crate::wire::check_otlp(Signal::Traces, &payload).expect_err("refused");
        assert_eq!(error.to_string(), expected);
        agree(Signal::Traces, &payload);
    }
}
