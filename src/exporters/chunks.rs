//! A request's body in pieces.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::encoding;
use crate::signal::Compression;

/// Bytes that are decompressed at once: some 100 us on the thread that sends them.
const PIECE: u64 = 64 << 10;

/// A request's body: pieces that go out one after the other, none of them copied. What has to be
/// decompressed first is so only when the peer takes it: a slow one holds no more than a piece.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    left: VecDeque<Chunk>,
    size: u64,
    /// Given back when the body is sent or given up.
    _turn: Option<Arc<OwnedSemaphorePermit>>,
}

#[derive(Debug, Clone)]
enum Chunk {
    Plain(Bytes),
    Compressed(Inflating),
}

/// A payload that is decompressed on its way.
struct Inflating {
    payload: Bytes,
    compression: Compression,
    /// Once it has begun.
    decoder: Option<Box<dyn Read + Send + Sync>>,
    /// Bytes that are still to come.
    left: u64,
}

impl Clone for Inflating {
    /// What has not begun: a request that is sent to another address.
    fn clone(&self) -> Self {
        Inflating { payload: self.payload.clone(), compression: self.compression, decoder: None, left: self.left }
    }
}

impl Inflating {
    /// The next bytes; none at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => encoding::decoder(
                std::mem::take(&mut self.payload).reader(),
                self.compression,
                encoding::ZSTD_ANY_WINDOW,
            )?,
        };
        let mut piece = Vec::with_capacity(self.left.min(PIECE) as usize);
        (&mut decoder).take(self.left.min(PIECE)).read_to_end(&mut piece)?;
        if piece.is_empty() && self.left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= piece.len() as u64;
        // The checksum stands behind the last byte.
        if self.left == 0 && decoder.read(&mut [0])? > 0 {
            return Err(io::Error::other("the payload is larger than it was"));
        }
        self.decoder = Some(decoder);
        Ok(piece.into())
    }
}

impl std::fmt::Debug for Inflating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflating").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Chunks {
    /// A body of these pieces.
    pub fn new(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        let left: VecDeque<Bytes> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let size = left.iter().map(|chunk| chunk.len() as u64).sum();
        Chunks { left: left.into_iter().map(Chunk::Plain).collect(), size, _turn: None }
    }

    /// A body of these payloads without their compression, each with its size then.
    pub fn inflating(parts: impl IntoIterator<Item = (Bytes, Compression, u64)>) -> Self {
        let mut chunks = Chunks::default();
        for (payload, compression, left) in parts {
            let (size, chunk) = match compression {
                Compression::Identity => (payload.len() as u64, Chunk::Plain(payload)),
                _ => (left, Chunk::Compressed(Inflating { payload, compression, decoder: None, left })),
            };
            chunks.size += size;
            chunks.left.push_back(chunk);
        }
        chunks
    }

    /// With a turn that lasts as long as the body.
    pub fn holding(self, turn: OwnedSemaphorePermit) -> Self {
        Chunks { _turn: Some(Arc::new(turn)), ..self }
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// With one more piece before them.
    pub fn preceded_by(mut self, first: Bytes) -> Self {
        self.size += first.len() as u64;
        self.left.push_front(Chunk::Plain(first));
        self
    }

    /// The next piece; nothing at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(chunk) = self.left.front_mut() {
            let piece = match chunk {
                Chunk::Plain(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.left.pop_front();
                    bytes
                }
                Chunk::Compressed(inflating) => {
                    let piece = inflating.next()?;
                    if inflating.left == 0 {
                        self.left.pop_front();
                    }
                    piece
                }
            };
            if !piece.is_empty() {
                self.size -= piece.len() as u64;
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.next().transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.size == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_payload_is_decompressed_piece_by_piece() {
        let plain = Bytes::from(vec![7; 10 << 20]);
        for compression in (0..6).filter_map(Compression::from_u8) {
            let packed = encoding::compress(std::slice::from_ref(&plain), compression).unwrap();
            let parts =
                [(packed, compression, plain.len() as u64), (Bytes::from_static(b"end"), Compression::Identity, 3)];
            let mut chunks = Chunks::inflating(parts).preceded_by(Bytes::from_static(b"head"));
            assert_eq!(chunks.size(), plain.len() as u64 + 7);
            let mut all = Vec::new();
            while let Some(piece) = chunks.next().unwrap() {
                assert!(piece.len() as u64 <= PIECE || compression == Compression::Identity);
                all.extend_from_slice(&piece);
                assert_eq!(chunks.size(), plain.len() as u64 + 7 - all.len() as u64);
            }
            assert!(all.starts_with(b"head\x07") && all.ends_with(b"\x07end"), "{compression:?}");
            assert!(chunks.is_end_stream());
        }
    }

    #[test]
    fn another_size_than_it_was_is_an_error() {
        let packed = encoding::compress(&[Bytes::from_static(b"short")], Compression::Gzip).unwrap();
        let mut chunks = Chunks::inflating([(packed.clone(), Compression::Gzip, 6)]);
        assert_eq!(chunks.next().unwrap().unwrap(), "short");
        assert!(chunks.next().is_err());
        assert!(Chunks::inflating([(packed, Compression::Gzip, 4)]).next().is_err());
    }
}
