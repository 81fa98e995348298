//! What is written is read, and nothing else.

use proptest::prelude::*;

use super::*;
use crate::signal::{Compression, Format, Meta};

fn any_signal() -> impl Strategy<Value = Signal> {
    (0..4usize).prop_map(|n| Signal::ALL[n])
}

fn any_record() -> impl Strategy<Value = Record> {
    let numbers = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>());
    (any_signal(), 1..7u8, 0..6u8, numbers, ".{0,20}", ".{0,20}", any::<Vec<u8>>()).prop_map(
        |(signal, format, compression, (position, items, decoded_size, received), query, content_type, payload)| {
            let (format, compression) = (Format::from_u8(format).unwrap(), Compression::from_u8(compression).unwrap());
            let meta = Meta { query, content_type };
            let payload = payload.into();
            let batch = Batch { signal, format, compression, items, decoded_size, received, meta, payload };
            Record { position: Position(position), batch }
        },
    )
}

fn any_quarantined() -> impl Strategy<Value = Quarantined> {
    let part = prop_oneof![
        Just(Part::Record),
        proptest::collection::vec(any::<u64>(), 0..5).prop_map(Part::Items),
        any_record().prop_map(|record| Part::Batch(record.batch)),
    ];
    let numbers = (any::<u128>(), any::<u128>(), any::<u64>());
    (numbers, any_signal(), ".{0,40}", part).prop_map(|((id, log, position), signal, reason, part)| Quarantined {
        id: Uuid::from_u128(id),
        log: Uuid::from_u128(log),
        signal,
        position: Position(position),
        reason,
        part,
    })
}

fn any_resent() -> impl Strategy<Value = Resent> {
    prop_oneof![Just(Resent::Visible), Just(Resent::Sealed), ".{0,40}".prop_map(Resent::Refused)]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let cursor = || (any_signal(), any::<u64>().prop_map(Position));
    let log = (any::<u128>(), any::<u64>(), any::<u64>()).prop_map(|(id, oldest, next)| LogState {
        id: Uuid::from_u128(id),
        oldest: Position(oldest),
        next: Position(next),
    });
    let progress = (any::<u64>(), any::<u64>())
        .prop_map(|(wanted, sealed)| Progress { wanted: Position(wanted), sealed: Position(sealed) });
    prop_oneof![
        (any::<u32>(), [log.clone(), log.clone(), log.clone(), log])
            .prop_map(|(version, logs)| Frame::Hello { version, logs }),
        [progress.clone(), progress.clone(), progress.clone(), progress].prop_map(Frame::Welcome),
        ".{0,40}".prop_map(Frame::Refused),
        any_record().prop_map(Frame::Record),
        cursor().prop_map(|(s, p)| Frame::Visible(s, p)),
        cursor().prop_map(|(s, p)| Frame::Sealed(s, p)),
        any_quarantined().prop_map(Frame::Quarantined),
        any::<u128>().prop_map(|id| Frame::Kept(Uuid::from_u128(id))),
        any::<u128>().prop_map(|id| Frame::Released(Uuid::from_u128(id))),
        (any::<u64>(), any::<[u64; 4]>()).prop_map(|(at, next)| Frame::Reach(Reach { at, next: next.map(Position) })),
        Just(Frame::SealSoon),
        (any::<u128>(), any_record())
            .prop_map(|(id, record)| Frame::Resend(Resend { id: Uuid::from_u128(id), batch: record.batch })),
        (any::<u128>(), any_resent()).prop_map(|(id, resent)| Frame::Resent(Uuid::from_u128(id), resent)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(frames in proptest::collection::vec(any_frame(), 1..5)) {
        let mut wire: Vec<u8> = Vec::new();
        for frame in &frames {
            wire.extend_from_slice(&frame.encode());
        }
        let mut from = wire.as_slice();
        for frame in &frames {
            prop_assert_eq!(&read_frame(&mut from).unwrap().unwrap(), frame);
        }
        prop_assert!(read_frame(&mut from).unwrap().is_none());
    }

    #[test]
    fn garbage_is_an_error_and_no_panic(garbage in any::<Vec<u8>>(), kind in 0..12u8) {
        let mut body = vec![kind];
        body.extend(garbage);
        let _ = Frame::decode(body.into());
    }

    #[test]
    fn a_cut_frame_is_an_error(frame in any_frame(), cut in 1..8usize) {
        let wire = frame.encode();
        let end = wire.len().saturating_sub(cut).max(LENGTH_BYTES + 1);
        let whole = end == wire.len();
        let answer = Frame::decode(wire.slice(LENGTH_BYTES..end));
        // Text and payload fill what is left of a frame, so those may be shorter.
        let open_ended = matches!(
            frame,
            Frame::Refused(_) | Frame::Quarantined(_) | Frame::Record(_) | Frame::Resend(_) | Frame::Resent(..)
        );
        prop_assert!(whole || open_ended || answer.is_err());
    }
}

#[test]
fn a_length_beyond_reason_is_refused() {
    let wire = u32::MAX.to_le_bytes();
    assert!(matches!(read_frame(&mut wire.as_slice()), Err(ProtocolError::TooLong(_))));
}
