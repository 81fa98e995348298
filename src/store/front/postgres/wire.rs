//! A connection as messages in and out. A peer that does not read is waited for so long, and no longer.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::PgError;
use super::frame::{self, FrameError};
use crate::net::Stream;

/// Bytes that are gathered before they are written.
const CHUNK: usize = 64 << 10;

/// Bytes that may arrive while a statement runs. More waits in the socket.
const AHEAD: usize = 64 << 10;

/// Buffers larger than this are given back when a connection has nothing to do.
const KEPT: usize = 1 << 10;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The socket, or the peer has left.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer does not read.
    #[error("the client does not read")]
    Unread,
    /// A message that cannot be.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message of ours that cannot be written.
    #[error("cannot write a message: {0}")]
    Encode(String),
}

/// See the module.
pub struct Wire {
    stream: Stream,
    arrived: BytesMut,
    /// What is to be written.
    pub out: BytesMut,
    /// How long the peer may leave unread what is written.
    write_timeout: Duration,
    /// Bytes of one message.
    pub limit: usize,
}

impl Wire {
    /// On a stream of which these bytes have been read already.
    pub fn new(stream: Stream, arrived: BytesMut, write_timeout: Duration, limit: usize) -> Self {
        Wire { stream, arrived, out: BytesMut::new(), write_timeout, limit }
    }

    /// The next message with its type; `None` at the end.
    ///
    /// # Errors
    /// The socket's, or if there can be no message.
    pub async fn next(&mut self) -> Result<Option<(u8, BytesMut)>, WireError> {
        loop {
            if let Some(message) = frame::take(&mut self.arrived, self.limit)? {
                return Ok(Some(message));
            }
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next message without a type.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn first(&mut self) -> Result<Option<BytesMut>, WireError> {
        loop {
            if let Some(message) = frame::take_first(&mut self.arrived, self.limit)? {
                return Ok(Some(message));
            }
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Whether a message has begun to arrive.
    pub fn has_more(&self) -> bool {
        !self.arrived.is_empty()
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.arrived.capacity() - self.arrived.len() < 64 {
            self.arrived.reserve(KEPT);
        }
        self.stream.read_buf(&mut self.arrived).await
    }

    /// Waits until the peer has left, and takes in what it sends meanwhile.
    pub async fn left(&mut self) {
        while self.arrived.len() < AHEAD {
            match self.read().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    /// Puts a message behind what is to be written.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(&mut self, message: &PgWireBackendMessage) -> Result<(), WireError> {
        message.encode(&mut self.out).map_err(|error| WireError::Encode(error.to_string()))
    }

    /// Puts an error.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_error(&mut self, error: &PgError) -> Result<(), WireError> {
        self.put(&PgWireBackendMessage::ErrorResponse(error.response()))
    }

    /// Writes if much is to be written.
    ///
    /// # Errors
    /// The socket's, or if the peer does not read.
    pub async fn flush_much(&mut self) -> Result<(), WireError> {
        if self.out.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    /// Writes all.
    ///
    /// # Errors
    /// The socket's, or if the peer does not read.
    pub async fn flush(&mut self) -> Result<(), WireError> {
        while self.out.has_remaining() {
            // Each part has the whole time.
            let written = tokio::time::timeout(self.write_timeout, self.stream.write(&self.out)).await;
            let written = written.map_err(|_| WireError::Unread)??;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            self.out.advance(written);
        }
        tokio::time::timeout(self.write_timeout, self.stream.flush()).await.map_err(|_| WireError::Unread)??;
        Ok(())
    }

    /// Gives back what a connection without anything to do need not have.
    pub fn rest(&mut self) {
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
        if self.arrived.is_empty() && self.arrived.capacity() > KEPT {
            self.arrived = BytesMut::new();
        }
    }

    /// Ends the connection.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }
}
