//! From a complete body to the log: check it without decoding, append it as it came, keep the
//! ledger.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::Pipeline;
use super::admission::Reservation;
use super::body::{self, Received};
use super::compression;
use super::refusal::Refusal;
use crate::blocking;
use crate::net::server::Peer;
use crate::signal::{Batch, Compression, Format, Meta, Signal, now_nanos};
use crate::telemetry::Telemetry;
use crate::wire::Summary;

/// Bodies whose decompressed size is likely above this are checked off the async threads.
const INLINE: usize = 1 << 20;
/// The same for the compressed size: inflating takes about 2 ms a MiB of output.
const INLINE_COMPRESSED: usize = 64 << 10;

/// What is decompressed on an async thread at most, in some milliseconds.
const INLINE_MOST: usize = 2 * INLINE;

/// One request in the ledger: counted as received, and as acknowledged or refused, at the same
/// moment, so that the ledger adds up at any time. What is on disk counts as acknowledged even if
/// its sender went away before it could be told.
#[derive(Debug)]
pub(crate) struct Tally {
    telemetry: Telemetry,
    receiver: &'static str,
    signal: Signal,
    /// Items in the body; 0 until they are counted.
    pub(crate) items: u64,
    /// Bytes of the body as it came.
    pub(crate) bytes: u64,
    peer: Option<SocketAddr>,
    open: bool,
}

impl Tally {
    /// A request of which nothing is known yet.
    pub(crate) fn new(telemetry: &Telemetry, receiver: &'static str, signal: Signal) -> Self {
        Tally { telemetry: telemetry.clone(), receiver, signal, items: 0, bytes: 0, peer: None, open: true }
    }

    /// Of this request: whom the log names.
    pub(crate) fn of<B>(mut self, request: &Request<B>) -> Self {
        self.peer = peer(request);
        self
    }

    /// It is on disk, or there was nothing in it.
    pub(crate) fn acknowledge(mut self) {
        self.open = false;
        self.telemetry.received(self.receiver, self.signal, self.items, self.bytes);
        self.telemetry.acknowledged(self.receiver, self.signal, self.items, self.bytes);
    }

    /// It was not taken, if this is a refusal.
    pub(crate) fn settle<T>(&mut self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.inspect_err(|refusal| self.refuse(refusal))
    }

    /// It was not taken.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        // The authenticator logs those itself.
        let log = !matches!(refusal, Refusal::Unauthenticated(_));
        self.count_refused(refusal.reason(), &refusal.to_string(), log);
    }

    fn count_refused(&mut self, reason: &'static str, why: &str, log: bool) {
        self.open = false;
        self.telemetry.received(self.receiver, self.signal, self.items, self.bytes);
        self.telemetry.refused(self.receiver, self.signal, reason, self.items, self.bytes);
        self.telemetry.refusals().note((self.receiver, self.signal.name(), reason), why, self.peer, log);
    }
}

/// Who sent a request.
pub(crate) fn peer<B>(request: &Request<B>) -> Option<SocketAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0)
}

impl Drop for Tally {
    /// The client went away in the middle.
    fn drop(&mut self) {
        if self.open {
            self.count_refused("cancelled", "the client went away before it was answered", false);
        }
    }
}

/// When a request has to be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// The moment.
    pub(crate) at: Instant,
    /// Whether the client has set it (`grpc-timeout`), rather than our settings.
    pub(crate) by_client: bool,
}

impl Deadline {
    /// Now plus our own limit.
    pub(crate) fn ours(pipeline: &Pipeline) -> Self {
        Deadline { at: Instant::now() + pipeline.admission.config().request_timeout, by_client: false }
    }

    /// What to answer when it has passed for a `reason` of ours.
    pub(crate) fn passed(self, reason: Refusal) -> Refusal {
        if self.by_client { Refusal::Deadline } else { reason }
    }
}

/// Reads the body of an HTTP request, unless what its headers say (`known`) is a refusal already.
pub(crate) async fn receive<T>(
    known: Result<T, Refusal>,
    incoming: Incoming,
    limit: usize,
    deadline: Deadline,
    pipeline: &Pipeline,
    mut tally: Tally,
) -> Result<(T, Received, Tally), Refusal> {
    let read = match known {
        Ok(known) => {
            let read = body::read(incoming, limit, &pipeline.admission, deadline, &mut tally, |_| None).await;
            read.map(|received| (known, received))
        }
        Err(refusal) => {
            crate::net::drain_body(incoming);
            Err(refusal)
        }
    };
    let (known, received) = tally.settle(read)?;
    Ok((known, received, tally))
}

/// What a check has found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Spans, data points, log records or profiles.
    pub(crate) items: u64,
    /// Nothing in it is worth keeping.
    pub(crate) empty: bool,
    /// The payload to keep, uncompressed, if it is not the body itself.
    pub(crate) translated: Option<Bytes>,
    /// Spans whose trace or span id is not what OTLP asks for. They are kept all the same.
    pub(crate) invalid_ids: u64,
    /// Strings in which U+FFFD stands for what was not UTF-8.
    pub(crate) replaced: u64,
    /// Samples, histograms and exemplars, for the reply to a remote write.
    pub(crate) written: [u64; 3],
}

impl From<Summary> for Checked {
    fn from(summary: Summary) -> Self {
        Checked {
            items: summary.items,
            empty: summary.items == 0,
            replaced: summary.damaged_strings,
            ..Checked::default()
        }
    }
}

impl Checked {
    /// Keeps `payload` in place of the body.
    pub(crate) fn translate(&mut self, payload: Vec<u8>, limit: usize, room: &mut Reservation) -> Result<(), Refusal> {
        if payload.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        if !room.grow(payload.len()) {
            return Err(Refusal::Busy("memory"));
        }
        self.translated = Some(Bytes::from(payload));
        Ok(())
    }
}

/// Looks at a decompressed body. The reservation is for what it has to keep meanwhile.
pub(crate) type Check = Box<dyn FnOnce(&[u8], &mut Reservation) -> Result<Checked, Refusal> + Send>;

/// How a body is to be understood.
pub(crate) struct Ingest {
    /// Which log.
    pub(crate) signal: Signal,
    /// What the payload is once decompressed.
    pub(crate) format: Format,
    /// How the body is compressed.
    pub(crate) compression: Compression,
    /// Largest decompressed size.
    pub(crate) limit: usize,
    /// What goes with the body.
    pub(crate) meta: Meta,
    /// What must hold for it.
    pub(crate) check: Check,
}

/// Checks a body, appends it, and counts it. `Ok` means that it is on disk, or was empty.
pub(crate) async fn take(
    pipeline: &Pipeline,
    received: Received,
    ingest: Ingest,
    deadline: Deadline,
    mut tally: Tally,
) -> Result<Checked, Refusal> {
    let Received { bytes, room } = received;
    let Ingest { signal, format, compression, limit, meta, check } = ingest;
    let look = Look { bytes: bytes.clone(), compression, check, room };
    let looked = match look.inline(limit) {
        Ok(looked) => looked,
        Err(look) => {
            // The turn goes with the work: it lasts as long as that, even if its sender goes away.
            let turn = tokio::time::timeout_at(deadline.at, pipeline.admission.heavy()).await;
            let turn = tally.settle(turn.map_err(|_| deadline.passed(Refusal::Overdue)))?;
            let work = move || {
                let looked = look.whole(limit);
                drop(turn);
                looked
            };
            match blocking::RECEIVERS.run(work).await {
                Ok(looked) => looked,
                Err(error) => return tally.settle(Err(Refusal::Internal(error.to_string()))),
            }
        }
    };
    let Looked { checked, decoded_size, mut room } = looked;
    let mut checked = tally.settle(checked)?;
    tally.items = checked.items;
    if checked.empty {
        tally.acknowledge();
        return Ok(checked);
    }
    let (payload, compression, decoded_size) = match checked.translated.take() {
        Some(payload) => {
            // The check has taken room for the translation; the body as it came goes.
            let size = payload.len();
            room.shrink(bytes.len());
            drop(bytes);
            (payload, Compression::Identity, size)
        }
        None => (bytes, compression, decoded_size),
    };
    let batch = Batch {
        signal,
        format,
        compression,
        items: u32::try_from(checked.items).unwrap_or(u32::MAX),
        decoded_size: decoded_size as u64,
        received: now_nanos(),
        meta,
        payload,
    };
    if checked.invalid_ids > 0 {
        pipeline.telemetry.invalid_ids(tally.receiver, checked.invalid_ids);
    }
    if checked.replaced > 0 {
        pipeline.telemetry.replaced_text(tally.receiver, signal, checked.replaced);
    }
    append(pipeline, batch, room, deadline, tally).await?;
    Ok(checked)
}

/// A body that is to be decompressed and checked.
struct Look {
    bytes: Bytes,
    compression: Compression,
    check: Check,
    room: Reservation,
}

/// What came of it.
struct Looked {
    checked: Result<Checked, Refusal>,
    decoded_size: usize,
    room: Reservation,
}

impl Look {
    /// Looks at a body here and now if that is soon done; else gives it back. What a body says of its
    /// size is not to be trusted: no more than [`INLINE_MOST`] is decompressed.
    fn inline(self, limit: usize) -> Result<Looked, Look> {
        let Look { bytes, compression, check, mut room } = self;
        let likely = compression::size_hint(compression, &bytes);
        if likely > INLINE || compression != Compression::Identity && bytes.len() > INLINE_COMPRESSED {
            return Err(Look { bytes, compression, check, room });
        }
        let (mut check, mut decoded_size) = (Some(check), 0);
        let checked = compression::inflated(compression, &bytes, limit.min(INLINE_MOST), &mut room, |decoded, room| {
            decoded_size = decoded.len();
            check.take().map_or_else(|| Ok(Checked::default()), |check| check(decoded, room))
        });
        match (checked, check) {
            (Err(Refusal::TooLarge { .. }), Some(check)) if limit > INLINE_MOST => {
                Err(Look { bytes, compression, check, room })
            }
            (checked, _) => Ok(Looked { checked, decoded_size, room }),
        }
    }

    /// Looks at a body however long that takes.
    fn whole(self, limit: usize) -> Looked {
        let Look { bytes, compression, check, mut room } = self;
        let mut decoded_size = 0;
        let checked = compression::inflated(compression, &bytes, limit, &mut room, |decoded, room| {
            decoded_size = decoded.len();
            check(decoded, room)
        });
        Looked { checked, decoded_size, room }
    }
}

/// Appends in a task of its own: the batch will be on disk whether or not its sender stays, and
/// has to be counted.
async fn append(
    pipeline: &Pipeline,
    batch: Batch,
    room: Reservation,
    deadline: Deadline,
    mut tally: Tally,
) -> Result<(), Refusal> {
    let log = pipeline.logs.of(batch.signal).clone();
    let tapped = pipeline.tap.is_open(batch.signal).then(|| (pipeline.tap.clone(), batch.clone()));
    let mut task = tokio::spawn(async move {
        let result = log.append(batch).await;
        drop(room);
        tally.settle(result.map_err(Refusal::from))?;
        tally.acknowledge();
        if let Some((tap, batch)) = tapped {
            tap.offer(batch);
        }
        Ok(())
    });
    match tokio::time::timeout_at(deadline.at, &mut task).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Refusal::Internal(error.to_string())),
        Err(_) => Err(deadline.passed(Refusal::Overdue)),
    }
}

/// Limits of this pipeline's admission, for handlers.
pub(crate) fn limit(pipeline: &Pipeline) -> usize {
    pipeline.admission.max_request_size()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;
    use crate::receivers::admission::{Admission, Config};

    fn look(compression: Compression, bytes: Vec<u8>) -> Look {
        let room = Arc::new(Admission::new(Config::default())).reservation();
        let check: Check = Box::new(|decoded, _| Ok(Checked { items: decoded.len() as u64, ..Checked::default() }));
        Look { bytes: bytes.into(), compression, check, room }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_is_not_decompressed_on_an_async_thread() {
        let (limit, zeros) = (64 << 20, vec![0; 32 << 20]);
        // The second member is empty, and so is what the last bytes say of the size.
        let two = [gzip(&zeros), gzip(b"")].concat();
        let mut lie = gzip(&zeros);
        let size = lie.len() - 4;
        lie[size..].copy_from_slice(&9u32.to_le_bytes());
        for (compression, bytes, whole) in [
            (Compression::Gzip, two, Ok(32 << 20)),
            (Compression::Gzip, lie, Err(())),
            (Compression::Zstd, zstd::encode_all(&zeros[..], 1).unwrap(), Ok(32 << 20)),
        ] {
            assert!(bytes.len() < INLINE_COMPRESSED && compression::size_hint(compression, &bytes) < INLINE);
            let look = look(compression, bytes).inline(limit).err().expect("it is given back");
            assert_eq!(look.room.admission().in_flight(), 0);
            assert_eq!(look.whole(limit).checked.map(|checked| checked.items).map_err(drop), whole);
        }
        for size in [0, 10, INLINE_MOST] {
            let looked = look(Compression::Gzip, gzip(&zeros[..size])).inline(limit);
            let given_back = size > INLINE;
            assert_eq!(looked.err().is_some(), given_back, "{size}");
        }
        // Above the limit, which is low: refused at once.
        let looked = look(Compression::Zstd, zstd::encode_all(&zeros[..], 1).unwrap()).inline(1 << 10);
        assert!(looked.is_ok_and(|looked| matches!(looked.checked, Err(Refusal::TooLarge { .. }))));
    }
}
