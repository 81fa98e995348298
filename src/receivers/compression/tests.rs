//! Every encoding: whole, cut, wrong, and larger than may be.

use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::codec::inflate::{COUNTED, SNAPPY_STREAM, STEP};
use crate::receivers::admission::{Admission, Config};

const LIMIT: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Identity => bytes.to_vec(),
        Compression::Gzip => gzip(bytes),
        Compression::Zstd => zstd::encode_all(bytes, 1).expect("memory"),
        Compression::SnappyBlock => snap::raw::Encoder::new().compress_vec(bytes).expect("memory"),
        Compression::SnappyFramed => {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).expect("memory");
            encoder.into_inner().expect("memory")
        }
        Compression::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
    }
}

const ALL: [Compression; 6] = [
    Compression::Identity,
    Compression::Gzip,
    Compression::Zstd,
    Compression::SnappyBlock,
    Compression::SnappyFramed,
    Compression::Zlib,
];

fn inflate(compression: Compression, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
    let admission = Arc::new(Admission::new(Config::default()));
    let mut room = admission.reservation();
    let result = inflated(compression, payload, LIMIT, &mut room, |bytes, _| Ok(bytes.to_vec()));
    assert_eq!(admission.in_flight(), 0, "the buffer is given back");
    result
}

fn noise(size: usize) -> Vec<u8> {
    (0..size as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x3f).collect()
}

#[test]
fn what_was_compressed_comes_back() {
    for compression in ALL {
        for size in [1, 1000, STEP, STEP + 1, LIMIT] {
            let bytes = noise(size);
            let got = inflate(compression, &compress(compression, &bytes));
            assert!(got.is_ok_and(|got| got == bytes), "{compression:?} {size}");
        }
    }
}

#[test]
fn what_is_counted_first_comes_back_too() {
    const LARGE: usize = 3 * COUNTED;
    let admission = Arc::new(Admission::new(Config::default()));
    for compression in ALL.into_iter().filter(|c| *c != Compression::Identity) {
        for size in [COUNTED - 1, COUNTED, COUNTED + 1, LARGE, LARGE + 1] {
            let bytes = noise(size);
            let body = compress(compression, &bytes);
            // More than one member is not inflated in one go.
            let body = if compression == Compression::Gzip { [gzip(b""), body].concat() } else { body };
            let mut room = admission.reservation();
            let got = inflated(compression, &body, LARGE, &mut room, |got, _| Ok(got == bytes));
            match size > LARGE {
                true => assert!(matches!(got, Err(Refusal::TooLarge { .. })), "{compression:?} {size}"),
                false => assert!(got.is_ok_and(|same| same), "{compression:?} {size}"),
            }
            assert_eq!(admission.in_flight(), 0);
        }
    }
}

#[test]
fn one_byte_over_the_limit_is_refused() {
    for compression in ALL {
        let got = inflate(compression, &compress(compression, &vec![0; LIMIT + 1]));
        assert!(matches!(got, Err(Refusal::TooLarge { limit: LIMIT })), "{compression:?} {got:?}");
    }
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    for compression in ALL.into_iter().filter(|c| *c != Compression::Identity) {
        let whole = compress(compression, &noise(3000));
        // Between the header and the first block a framed snappy stream may end.
        let first = if compression == Compression::SnappyFramed { SNAPPY_STREAM.len() + 1 } else { 0 };
        for cut in first..whole.len() {
            let got = inflate(compression, &whole[..cut]);
            assert!(matches!(got, Err(Refusal::Malformed(_))), "{compression:?} cut at {cut}");
        }
    }
}

#[test]
fn every_member_is_read_and_nothing_else() {
    for compression in [Compression::Gzip, Compression::Zstd, Compression::SnappyFramed] {
        let two = [compress(compression, b"one"), compress(compression, b"two")].concat();
        assert!(inflate(compression, &two).is_ok_and(|got| got == b"onetwo"), "{compression:?}");
    }
    for compression in ALL.into_iter().filter(|c| *c != Compression::Identity) {
        let garbage = [compress(compression, b"one"), b"garbage".to_vec()].concat();
        assert!(inflate(compression, &garbage).is_err(), "{compression:?}");
    }
}

#[test]
fn both_ways_to_read_gzip_agree() {
    let bytes = noise(5000);
    // Optional header fields, an empty member before or after, the same member twice.
    let named = flate2::GzBuilder::new().filename("x").comment("y").extra(vec![1; 9]);
    let mut named = named.write(Vec::new(), flate2::Compression::best());
    named.write_all(&bytes).expect("memory");
    let named = named.finish().expect("memory");
    let empty = gzip(b"");
    for (body, times) in [
        (named.clone(), 1),
        ([named.clone(), named.clone()].concat(), 2),
        ([empty.clone(), named.clone()].concat(), 1),
        ([named.clone(), empty.clone()].concat(), 1),
    ] {
        assert!(inflate(Compression::Gzip, &body).is_ok_and(|got| got == bytes.repeat(times)));
    }
    assert!(inflate(Compression::Gzip, &empty).is_ok_and(|got| got.is_empty()));
    assert!(inflate(Compression::Gzip, b"").is_err());
    for at in [named.len() - 1, named.len() - 5, named.len() / 2, 0, 3] {
        let mut wrong = named.clone();
        wrong[at] ^= 0x80;
        assert!(inflate(Compression::Gzip, &wrong).is_err(), "byte {at}");
    }
}

#[test]
fn memory_is_not_taken_on_a_promise() {
    // A snappy block of 6 bytes that says it holds 1 MiB.
    let promise = [&[0x80, 0x80, 0x40][..], b"abc"].concat();
    assert!(inflate(Compression::SnappyBlock, &promise).is_err_and(|e| e.to_string().contains("cannot hold")));
    // A zstd frame header that asks for a window of 2 GiB.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    assert!(inflate(Compression::Zstd, &window).is_err());
    let framed = compress(Compression::SnappyFramed, b"x");
    assert!(inflate(Compression::SnappyBlock, &framed).is_err_and(|e| e.to_string().contains("framed")));
}

#[test]
fn no_room_is_not_the_sender_s_fault() {
    let admission =
        Arc::new(Admission::new(Config { memory_budget: bytesize::ByteSize::kib(64), ..Config::default() }));
    let mut other = admission.reservation();
    assert!(other.grow(1));
    let mut room = admission.reservation();
    let got = inflated(Compression::Gzip, &gzip(&[0; 1000]), LIMIT, &mut room, |_, _| Ok(()));
    assert!(matches!(got, Err(Refusal::Busy(_))));
}
