//! An answer as a Parquet file: made of the Arrow stream while that comes, a row group at a time.

use std::io::{self, Read, Write};

use arrow::ipc::reader::StreamReader;
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::sync::mpsc;

/// Rows of a row group: so much is held in memory.
const GROUP: usize = 50_000;

/// Pieces under way on each side.
const PIECES: usize = 8;

/// Bytes that are written at once.
const PIECE: usize = 64 << 10;

/// The body of a file, of the body of an Arrow stream. What breaks off breaks the file off.
pub fn of_arrow(arrow: Body) -> Body {
    let (from_store, pieces) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    let (written, mut to_browser) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    // A browser that leaves drops this body: the writing then fails, and after it the reading, which ends the statement.
    tokio::spawn(async move {
        let mut data = arrow.into_data_stream();
        while let Some(piece) = data.next().await {
            if from_store.send(piece.map_err(io::Error::other)).await.is_err() {
                return;
            }
        }
    });
    tokio::task::spawn_blocking(move || {
        let output = Pieces { sender: written.clone(), waiting: Vec::new() };
        if let Err(error) = convert(Received { pieces, rest: Bytes::new() }, output) {
            // Nobody is there to be told if this fails.
            let _ = written.blocking_send(Err(error));
        }
    });
    Body::from_stream(futures_util::stream::poll_fn(move |context| to_browser.poll_recv(context)))
}

fn convert(input: Received, output: Pieces) -> io::Result<()> {
    let reader = StreamReader::try_new(input, None).map_err(io::Error::other)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP))
        .build();
    let mut writer = ArrowWriter::try_new(output, reader.schema(), Some(properties)).map_err(io::Error::other)?;
    for batch in reader {
        writer.write(&batch.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    writer.into_inner().map_err(io::Error::other)?.flush()
}

/// What the store sends, for a thread that may wait.
struct Received {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let taken = self.rest.split_to(self.rest.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// What goes to the browser.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    waiting: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.waiting));
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
