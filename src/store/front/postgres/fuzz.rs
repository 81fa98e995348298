//! Messages of clients that were changed at random: nothing that arrives ends the process, and a message is either
//! refused or taken as one that PostgreSQL's documentation has.
//!
//! `just fuzz-postgres` runs it longer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Bytes, BytesMut};
use pgwire::api::Type;
use pgwire::messages::PgWireFrontendMessage as Message;

use super::{command, frame, lexer, login, parameters, startup};

/// Bytes of a message that are taken.
const LIMIT: usize = 4096;

/// Messages that are as they should be.
fn corpus() -> Vec<Vec<u8>> {
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    };
    let mut corpus = vec![
        message(b'Q', b"SELECT 'it''s', $$a;b$$; COPY (SELECT 1) TO STDOUT (FORMAT csv, HEADER, NULL 'x')\0"),
        message(b'Q', b"SET SESSION x.y TO 'a', b; DECLARE c CURSOR FOR SELECT 1; FETCH 5 FROM c -- end\0"),
        message(b'P', b"name\0SELECT $1::int, $2 /* $3 */ FROM \"spans\"\0\0\x02\0\0\0\x17\0\0\x04\x13"),
        message(
            b'B',
            b"portal\0name\0\0\x02\0\0\0\x01\0\x03\0\0\0\x04\0\0\0\x05\xff\xff\xff\xff\0\0\0\x03abc\0\x01\0\x01",
        ),
        message(b'D', b"Sname\0"),
        message(b'E', b"portal\0\0\0\0\x64"),
        message(b'C', b"Pportal\0"),
        message(b'S', b""),
        message(b'H', b""),
        message(b'd', b"1\t2\n"),
        message(b'c', b""),
        message(b'f', b"why\0"),
        message(b'p', b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=fyko+d2lbbFgONRv9qkxdawL"),
        message(b'p', b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
        message(b'X', b""),
        // Before the login.
        b"\0\0\0\x2c\0\x03\0\0user\0me\0database\0shop\0options\0-c a=b\0\0".to_vec(),
        b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\x01\x02\x03\x04".to_vec(),
    ];
    // Values in binary.
    let numeric = [0, 2, 0, 1, 0x40, 0, 0, 4, 0, 12, 0x0d, 0x80];
    let array = b"\0\0\0\x01\0\0\0\x01\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x05\xff\xff\xff\xff";
    for value in [&numeric[..], array, b"\x01{\"a\": 1}", &[0; 16]] {
        let body =
            [&b"\0\0\0\x01\0\x01\0\x01"[..], &u32::try_from(value.len()).unwrap().to_be_bytes(), value, &[0, 1, 0, 1]];
        corpus.push(message(b'B', &body.concat()));
    }
    corpus
}

/// Numbers that look like chance (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

/// Changes a message in one to four places.
fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len());
        match chance.below(8) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
            2 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            3 => bytes.insert(at, [0, 1, b'\'', b'"', b'$', b'{', 0x7f, 0xff][chance.below(8)]),
            4 if !bytes.is_empty() => drop(bytes.remove(at)),
            // A part of another message.
            5 => {
                let other = &corpus[chance.below(corpus.len())];
                let from = chance.below(other.len());
                let part = &other[from..(from + chance.below(24)).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
            // A number of two or four bytes that is about as large as numbers can be.
            6 if bytes.len() >= 4 => {
                let at = at.min(bytes.len() - 4);
                let number = [0, 1, 4, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000_u32][chance.below(8)];
                bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
            // The length is made right again, so that what is inside is looked at.
            _ if bytes.len() >= 5 => {
                let length = u32::try_from(bytes.len() - 1).unwrap();
                bytes[1..5].copy_from_slice(&length.to_be_bytes());
            }
            _ => {}
        }
    }
}

/// Everything that a message goes through before a statement is asked of somebody.
fn take(bytes: &[u8]) -> usize {
    let mut taken = 0;
    let mut first = BytesMut::from(bytes);
    if let Ok(Some(first)) = frame::take_first(&mut first, LIMIT) {
        assert!(first.len() >= 8);
        let _ = startup::parameters(&first[8..]);
    }
    let mut arrived = BytesMut::from(bytes);
    while let Ok(Some((kind, message))) = frame::take(&mut arrived, LIMIT) {
        assert!(message.len() <= LIMIT + 1 && message[0] == kind);
        if kind == b'p' {
            let _ = login::initial(&message[5..]);
        }
        let Ok(message) = frame::decode(kind, message) else { break };
        taken += 1;
        match message {
            Message::Query(query) => statements(&query.query),
            Message::Parse(parse) => {
                statements(&parse.query);
                let _ = lexer::parameters(&parse.query);
            }
            Message::Bind(bind) => {
                for kind in
                    [Type::INT4, Type::NUMERIC, Type::INT4_ARRAY, Type::TIMESTAMPTZ, Type::JSONB, Type::INTERVAL]
                {
                    let types = vec![Some(kind); bind.parameters.len()];
                    let _ = parameters::values(&bind.parameters, &bind.parameter_format_codes, &types);
                }
                let texts: Vec<Option<Bytes>> = bind.parameters;
                let _ = parameters::values(&texts, &[], &vec![None; texts.len()]);
            }
            _ => {}
        }
    }
    taken
}

fn statements(text: &str) {
    for (at, statement) in lexer::statements(text) {
        assert_eq!(&text[at..at + statement.len()], statement);
        let _ = command::parse(statement);
    }
}

#[test]
fn changed_messages_are_refused_or_taken_and_end_nothing() {
    let runs = std::env::var("FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(200_000_u64);
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
    let corpus = corpus();
    for bytes in &corpus[..15] {
        assert_eq!(take(bytes), 1, "{}", String::from_utf8_lossy(bytes));
    }
    let (mut chance, mut taken, mut refused) = (Chance(seed), 0_u64, 0_u64);
    let mut bytes = Vec::new();
    for _ in 0..runs {
        bytes.clone_from(&corpus[chance.below(corpus.len())]);
        change(&mut bytes, &corpus, &mut chance);
        match catch_unwind(AssertUnwindSafe(|| take(&bytes))) {
            Ok(0) => refused += 1,
            Ok(_) => taken += 1,
            Err(_) => panic!("this ends it: {bytes:?}"),
        }
    }
    // Both happen: it is not that everything stops at the first byte.
    assert!(taken > runs / 20 && refused > runs / 20, "{taken} of {runs} were taken, {refused} not");
}
