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
    let Received { bytes, mut room } = received;
    let Ingest { signal, format, compression, limit, meta, check } = ingest;
    let size = compression::size_hint(compression, &bytes);
    let inline = size <= INLINE && (compression == Compression::Identity || bytes.len() <= INLINE_COMPRESSED);
    let look = {
        let bytes = bytes.clone();
        move |limit| {
            let mut decoded_size = 0;
            let checked = compression::inflated(compression, &bytes, limit, &mut room, |decoded, room| {
                decoded_size = decoded.len();
                check(decoded, room)
            });
            (checked, decoded_size, room)
        }
    };
    let (checked, decoded_size, mut room) = if inline {
        look(limit)
    } else {
        // The turn goes with the work: it lasts as long as that, even if its sender goes away.
        let turn = tokio::time::timeout_at(deadline.at, pipeline.admission.heavy()).await;
        let turn = tally.settle(turn.map_err(|_| deadline.passed(Refusal::Overdue)))?;
        let work = move || {
            let looked = look(limit);
            drop(turn);
            looked
        };
        match blocking::RECEIVERS.run(work).await {
            Ok(looked) => looked,
            Err(error) => return tally.settle(Err(Refusal::Internal(error.to_string()))),
        }
    };
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
    let mut task = tokio::spawn(async move {
        let result = log.append(batch).await;
        drop(room);
        tally.settle(result.map_err(Refusal::from))?;
        tally.acknowledge();
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
