use super::testing::{EXECUTION, INT, LONG, Writer, number, numbers, shop, text};
use super::*;

fn samples(recording: &[u8]) -> Result<Vec<(Kind, u64, String)>, JfrError> {
    let mut found = Vec::new();
    read(recording, |chunk, event| {
        if let Event::Sample(sample) = event {
            let frames = chunk.constants.stack_frames(sample.stack).unwrap_or_default();
            let frames = frames.iter().map(|frame| {
                let (class, method) = chunk.constants.method(frame.method).unwrap_or_default();
                format!("{class}.{method}:{}", frame.line)
            });
            found.push((sample.kind, sample.value, frames.collect::<Vec<_>>().join(" ")));
        }
        Ok::<_, JfrError>(())
    })?;
    Ok(found)
}

#[test]
fn events_come_with_their_stacks() {
    let main = || "shop/Main.main:11".to_owned();
    let add = || "shop/Cart$$Lambda$14/0x0800.add:20 shop/Main.main:10".to_owned();
    let expected = [
        (Kind::Execution, 1, add()),
        (Kind::Execution, 1, add()),
        (Kind::Execution, 1, main()),
        (Kind::MonitorEnter, 50, main()),
        (Kind::AllocationInNewTlab, 64, add()),
    ];
    let recording = shop("cpu");
    assert_eq!(samples(&recording).expect("good"), expected);
    // A recording is any number of chunks.
    assert_eq!(samples(&recording.repeat(2)).expect("good"), [&expected[..], &expected[..]].concat());
}

#[test]
fn a_setting_may_be_a_constant() {
    let mut settings = Vec::new();
    read(&shop("wall"), |chunk, event| {
        if let Event::Setting { name, value } = event {
            settings.push((name.to_string(), value.to_string()));
        }
        assert_eq!(chunk.nanoseconds(50), 5_000);
        Ok::<_, JfrError>(())
    })
    .expect("good");
    assert_eq!(settings, [("event".to_owned(), "wall".to_owned())]);
}

#[test]
fn texts_come_in_all_encodings() {
    let mut cursor = Cursor::new(&[0, 1, 3, 2, 0xc3, 0xa9, 4, 2, 0x41, 0xe9, 0x01, 5, 1, 0xe9, 6], 0);
    let mut texts = Vec::new();
    for _ in 0..5 {
        texts.push(cursor.text().expect("good"));
    }
    let here = |text: &str| cursor::Text::Here(std::borrow::Cow::Owned(text.to_owned()));
    assert_eq!(texts, ["", "", "é", "Aé", "é"].map(here));
    assert_eq!(cursor.text().expect_err("unknown").problem, "a text has an unknown encoding");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let good = shop("cpu");
    let told = |recording: &[u8]| check(recording).expect_err("refused").to_string();
    assert_eq!(told(b""), "there is no chunk at byte 0");
    assert_eq!(told(b"PK"), "no chunk begins at byte 0");
    assert_eq!(told(&good[..good.len() - 1]), "the chunk is cut off at byte 0");
    let at = good.len();
    assert_eq!(told(&[&good[..], b"rest"].concat()), format!("no chunk begins at byte {at}"));
    let mut version = good.clone();
    version[5] = 9;
    assert_eq!(told(&version), "the chunk is of an unknown version at byte 4");
    let mut outside = good.clone();
    outside[16] = 1;
    assert_eq!(told(&outside), "the constants are outside of the chunk at byte 16");
}

#[test]
fn types_without_end_cost_no_more_than_the_chunk_is_large() {
    // A class within itself.
    let mut writer = Writer::new();
    writer.class(50, "a", &[("of", 50, false, false)]).class(
        EXECUTION,
        "jdk.ExecutionSample",
        &[("x", 50, false, false)],
    );
    let told = |writer: &mut Writer| check(&writer.finish()).expect_err("refused").problem;
    assert_eq!(told(writer.event(EXECUTION, &[0])), "a value is nested too deeply");
    // Values that take no bytes, counted without end.
    let mut writer = Writer::new();
    writer.class(50, "empty", &[]).class(EXECUTION, "jdk.ExecutionSample", &[("x", 50, false, true)]);
    let endless = number(u64::MAX >> 1);
    assert_eq!(told(writer.event(EXECUTION, &endless)), "the types ask for more work than the chunk is large");
    // Each class is two of the next one.
    let mut writer = Writer::new();
    for id in 50..65 {
        writer.class(id, "two", &[("a", id + 1, false, false), ("b", id + 1, false, false)]);
    }
    writer.class(65, "end", &[]).class(EXECUTION, "jdk.ExecutionSample", &[("x", 50, false, false)]);
    for _ in 0..4 {
        writer.event(EXECUTION, &[]);
    }
    assert_eq!(told(&mut writer), "the types ask for more work than the chunk is large");
}

#[test]
fn constants_that_name_one_another_end() {
    let mut recording = shop("cpu");
    let last = u64::from_be_bytes(recording[16..24].try_into().expect("eight bytes")) as usize;
    // Size (4 bytes), type, start, duration, and where the piece before is: 9 bytes.
    recording[last + 7..last + 16].copy_from_slice(&[0xff; 9]);
    check(&recording).expect_err("one byte before is no piece");
    recording[last + 7..last + 16].copy_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
    check(&recording).expect_err("far outside");
}

#[test]
fn pieces_of_constants_within_each_other_cost_no_more_than_the_chunk_is_large() {
    const PIECES: usize = 200;
    const EMPTY_POOLS: usize = 2000;
    let mut recording = Writer::new().finish();
    // Each piece has a text that reaches over the pieces behind it, then the same empty pools.
    let piece = |i: usize| {
        let content = |behind: usize, inside: usize| {
            let before = if i == 0 { 0 } else { inside.wrapping_neg() as u64 };
            let padded = |value: usize| [0, 7, 14].map(|bits| (value >> bits) as u8 | 0x80).to_vec();
            [
                [padded(behind), vec![0]].concat(),
                vec![1, 0, 0],
                if i == 0 { vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0] } else { number(before) },
                vec![0],
                [padded(EMPTY_POOLS + 1), vec![0]].concat(),
                numbers(&[testing::STRING, 1, 0, 3]),
                [padded((PIECES - 1 - i) * inside), vec![0]].concat(),
            ]
            .concat()
        };
        let inside = content(0, 1).len();
        content((PIECES - i) * inside + 2 * EMPTY_POOLS, inside)
    };
    let pieces: Vec<Vec<u8>> = (0..PIECES).map(piece).collect();
    let last = recording.len() + pieces[..PIECES - 1].concat().len();
    recording.extend(pieces.concat());
    recording.extend([0; 2 * EMPTY_POOLS]);
    let size = recording.len();
    recording[8..16].copy_from_slice(&(size as u64).to_be_bytes());
    recording[16..24].copy_from_slice(&(last as u64).to_be_bytes());
    let refusal = check(&recording).expect_err("too much work");
    assert_eq!(refusal.problem, "the types ask for more work than the chunk is large");
}

#[test]
fn a_missing_constant_costs_its_sample_its_name_only() {
    let mut writer = Writer::new();
    writer.class(
        EXECUTION,
        "jdk.ExecutionSample",
        &[("stackTrace", testing::STACK, true, false), ("n", INT, false, false)],
    );
    writer.stack(1, &[(77, 3)]);
    writer.event(EXECUTION, &numbers(&[1, 0])).event(EXECUTION, &numbers(&[9, 0]));
    let expected = [(Kind::Execution, 1, ".:3".to_owned()), (Kind::Execution, 1, String::new())];
    assert_eq!(samples(&writer.finish()).expect("good"), expected);
}

#[test]
fn unknown_fields_are_read_over() {
    let mut writer = Writer::new();
    writer.class(4, "double", &[]).class(5, "boolean", &[]);
    let pair = [("text", testing::STRING, false, false), ("number", LONG, false, false)];
    writer.class(50, "pair", &pair);
    let fields = [
        ("pairs", 50, false, true),
        ("ratio", 4, false, false),
        ("is", 5, false, false),
        ("references", 50, true, true),
        ("stackTrace", testing::STACK, true, false),
    ];
    writer.class(EXECUTION, "jdk.ExecutionSample", &fields).method(1, "a/B", "c").stack(6, &[(1, 2)]);
    let pairs = [numbers(&[2]), text("x"), numbers(&[300]), text(""), numbers(&[1])].concat();
    writer.event(EXECUTION, &[&pairs[..], &[0; 8], &[1], &numbers(&[2, 8, 9]), &numbers(&[6])].concat());
    assert_eq!(samples(&writer.finish()).expect("good"), [(Kind::Execution, 1, "a/B.c:2".to_owned())]);
}

mod any_input {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = check(&bytes);
        }

        /// A recording with some bytes changed, in which its header is left as it is or not.
        #[test]
        fn never_panics_on_what_is_nearly_good(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            spare_header in any::<bool>(),
        ) {
            let mut recording = shop("wall");
            let from = if spare_header { HEADER } else { 0 };
            for (at, byte) in changes {
                let at = from + at.index(recording.len() - from);
                recording[at] = byte;
            }
            let _ = check(&recording);
        }
    }
}
