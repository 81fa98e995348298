//! Records joined into one request. OTLP's traces, metrics and logs requests hold a single
//! repeated field, so that one encoding after the other is the encoding of both (`protocols.md`,
//! section 3); the body is then the records' own bytes, one after the other. Everything else goes
//! a record a request: profiles and remote write 2.0 share tables, Pyroscope's have no frame.
//!
//! Compressed members may stand one after the other too (RFC 1952, RFC 8878), but not every
//! server reads past the first, and what follows is then lost without a word. So members are
//! joined only for destinations that are known to read all of them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::chunks::Chunks;
use super::config::Config;
use super::encoding::{self, compress, inflate};
use crate::signal::{Batch, Compression, Format, Signal};

/// Small enough to be compressed or decompressed where it is: 16 KiB take some 100 us.
const INLINE: u64 = 16 << 10;

/// What a destination takes, and how much of it at once.
#[derive(Debug, Clone)]
pub struct Joining {
    /// What may go as it came, besides what is not compressed.
    pub passes: Vec<Compression>,
    /// What is made of the rest.
    pub target: Compression,
    /// Whether compressed members may be joined.
    pub join_compressed: bool,
    /// Uncompressed bytes of a joined request.
    pub max_size: u64,
    /// Items of a joined request.
    pub max_items: u64,
    /// The turn of a large payload that is decompressed on its way: one at a time, since a slow
    /// destination holds what the decoder remembers, some MiB.
    pub large: Arc<Semaphore>,
}

impl Joining {
    /// By the config, for a destination that takes `passes` as it came.
    pub fn new(config: &Config, passes: &[Compression]) -> Self {
        let target = config.compression.compression();
        let mut passes = passes.to_vec();
        if target != Compression::Identity && !passes.contains(&target) {
            passes.push(target);
        }
        Joining {
            passes,
            target,
            join_compressed: config.join_compressed(),
            max_size: config.max_batch_size.as_u64(),
            max_items: u64::from(config.max_batch_items),
            large: Arc::new(Semaphore::new(1)),
        }
    }

    /// How this record's bytes will be in the body if it goes alone.
    fn travels_as(&self, batch: &Batch) -> Compression {
        match batch.compression {
            Compression::Identity => self.target,
            as_it_is if self.passes.contains(&as_it_is) => as_it_is,
            _ => self.target,
        }
    }

    /// Whether the record's own bytes are sent.
    fn goes_as_it_came(&self, batch: &Batch) -> bool {
        batch.compression == self.travels_as(batch)
    }

    /// Whether `next` may be in one request with `first`, sizes aside.
    pub fn together(&self, first: &Batch, next: &Batch) -> bool {
        let joins = |batch: &Batch| {
            let concatenates = batch.format == Format::Otlp && batch.signal != Signal::Profiles;
            let whole = batch.compression != Compression::Identity && self.goes_as_it_came(batch);
            // Snappy's frames may be joined by their specification; nobody is known to rely on it.
            concatenates && (!whole || self.join_compressed && batch.compression != Compression::SnappyFramed)
        };
        let same = |a: &Batch, b: &Batch| {
            self.goes_as_it_came(a) == self.goes_as_it_came(b) && self.travels_as(a) == self.travels_as(b)
        };
        joins(first) && joins(next) && same(first, next)
    }
}

/// A body and how it is compressed.
#[derive(Debug)]
pub struct Body {
    /// Its bytes.
    pub chunks: Chunks,
    /// Its compression.
    pub compression: Compression,
}

/// The body of records that [`Joining::together`] lets be one request. Costs nothing where they
/// go as they came.
///
/// # Errors
/// A payload that cannot be decompressed any more.
pub async fn body<'a>(joining: &Joining, batches: impl Iterator<Item = &'a Batch> + Clone) -> io::Result<Body> {
    let Some(first) = batches.clone().next() else {
        return Ok(Body { chunks: Chunks::default(), compression: Compression::Identity });
    };
    let compression = joining.travels_as(first);
    if joining.goes_as_it_came(first) {
        let chunks = Chunks::new(batches.map(|batch| batch.payload.clone()));
        return Ok(Body { chunks, compression });
    }
    let size: u64 = batches.clone().map(|batch| batch.decoded_size).sum();
    let parts: Vec<(Bytes, Compression, u64)> =
        batches.map(|batch| (batch.payload.clone(), batch.compression, batch.decoded_size)).collect();
    if compression == Compression::Identity {
        return Ok(Body { chunks: inflated(joining, parts, size).await?, compression });
    }
    let work = move || encoding::transcode(&parts, compression);
    let body =
        if size <= INLINE { work()? } else { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?? };
    Ok(Body { chunks: Chunks::new([body]), compression })
}

/// The body of one record, without its compression.
///
/// # Errors
/// A payload that cannot be decompressed any more.
pub async fn plain(joining: &Joining, batch: &Batch) -> io::Result<Chunks> {
    inflated(joining, vec![(batch.payload.clone(), batch.compression, batch.decoded_size)], batch.decoded_size).await
}

/// Payloads without their compression: at once, or if that is much, on their way.
async fn inflated(joining: &Joining, parts: Vec<(Bytes, Compression, u64)>, size: u64) -> io::Result<Chunks> {
    if size > encoding::LARGE {
        let turn = joining.large.clone().acquire_owned().await.map_err(io::Error::other)?;
        return Ok(Chunks::inflating(parts).holding(turn));
    }
    let work = move || -> io::Result<Vec<Bytes>> {
        let plain = parts.iter().map(|(payload, from, size)| inflate(payload, *from, *size));
        Ok(plain.collect::<Result<Vec<Bytes>, _>>()?)
    };
    let plain =
        if size <= INLINE { work()? } else { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?? };
    Ok(Chunks::new(plain))
}

/// The body of one record, in this compression whatever it came in.
pub async fn recoded(batch: &Batch, compression: Compression) -> io::Result<Bytes> {
    if batch.compression == compression {
        return Ok(batch.payload.clone());
    }
    let (payload, from, size) = (batch.payload.clone(), batch.compression, batch.decoded_size);
    let work = move || {
        let _turn = encoding::turn(size);
        compress(&[inflate(&payload, from, size)?], compression)
    };
    if size <= INLINE { work() } else { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporters::config::{Encoding, Kind};
    use crate::signal::Meta;

    fn batch(payload: &'static [u8], compression: Compression) -> Batch {
        let plain = Bytes::from_static(payload);
        Batch {
            signal: Signal::Traces,
            format: Format::Otlp,
            compression,
            items: 1,
            decoded_size: plain.len() as u64,
            received: 0,
            meta: Meta::default(),
            payload: compress(&[plain], compression).unwrap(),
        }
    }

    fn joining(compression: Encoding, join_compressed: bool) -> Joining {
        let config =
            Config { kind: Some(Kind::Otlp), compression, join_compressed: Some(join_compressed), ..Config::default() };
        Joining::new(&config, &[Compression::Gzip])
    }

    async fn sent(joining: &Joining, batches: &[Batch]) -> (Vec<u8>, Compression) {
        use http_body_util::BodyExt;
        let body = body(joining, batches.iter()).await.unwrap();
        let size = body.chunks.size();
        let bytes = body.chunks.collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(size, bytes.len() as u64);
        (bytes, body.compression)
    }

    #[tokio::test]
    async fn bytes_go_as_they_came_where_they_may() {
        let (plain, gzip) = (batch(b"one", Compression::Identity), batch(b"two", Compression::Gzip));
        let zstd = batch(b"three", Compression::Zstd);
        let none = joining(Encoding::None, false);
        let (body, as_what) = sent(&none, &[plain.clone(), plain.clone()]).await;
        assert_eq!((&body[..], as_what), (&b"oneone"[..], Compression::Identity));
        let (body, as_what) = sent(&none, std::slice::from_ref(&gzip)).await;
        assert_eq!((&body[..], as_what), (&gzip.payload[..], Compression::Gzip));
        // Nobody has to take zstd, so it is inflated.
        let (body, as_what) = sent(&none, std::slice::from_ref(&zstd)).await;
        assert_eq!((&body[..], as_what), (&b"three"[..], Compression::Identity));
        let (body, as_what) = sent(&joining(Encoding::Zstd, false), std::slice::from_ref(&zstd)).await;
        assert_eq!((&body[..], as_what), (&zstd.payload[..], Compression::Zstd));
        let (body, as_what) = sent(&joining(Encoding::Gzip, false), &[plain.clone(), zstd.clone()]).await;
        assert_eq!(as_what, Compression::Gzip);
        assert_eq!(inflate(&body.into(), as_what, 0).unwrap(), b"onethree"[..]);
        let (body, as_what) = sent(&joining(Encoding::None, true), &[gzip.clone(), gzip.clone()]).await;
        assert_eq!(as_what, Compression::Gzip);
        assert_eq!(inflate(&body.into(), as_what, 0).unwrap(), b"twotwo"[..]);
    }

    #[test]
    fn only_what_may_be_joined_is() {
        let (plain, gzip) = (batch(b"one", Compression::Identity), batch(b"two", Compression::Gzip));
        let zstd = batch(b"three", Compression::Zstd);
        for (encoding, members, a, b, want) in [
            (Encoding::None, false, &plain, &plain, true),
            (Encoding::None, false, &gzip, &gzip, false),
            (Encoding::None, true, &gzip, &gzip, true),
            (Encoding::None, true, &plain, &gzip, false),
            // Both go uncompressed, one of them as it came: not joined, so that one is not copied.
            (Encoding::None, true, &plain, &zstd, false),
            (Encoding::Gzip, false, &plain, &zstd, true),
            // Made by us, or as it came: two members or one.
            (Encoding::Gzip, true, &plain, &gzip, false),
            (Encoding::Zstd, false, &zstd, &zstd, false),
            (Encoding::Zstd, true, &zstd, &zstd, true),
        ] {
            assert_eq!(joining(encoding, members).together(a, b), want, "{encoding:?} {members}");
        }
        let mut profiles = plain.clone();
        profiles.signal = Signal::Profiles;
        assert!(!joining(Encoding::None, true).together(&profiles, &profiles));
        let mut series = plain;
        series.format = Format::RemoteWriteV1;
        assert!(!joining(Encoding::None, true).together(&series, &series));
    }
}
