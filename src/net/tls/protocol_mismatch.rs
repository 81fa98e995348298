//! Clients that speak plain text to a port with TLS, or TLS to a port without it. They get an answer
//! that their programs show, where the protocol has room for a message.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What every TLS connection begins with: a record of type handshake (RFC 8446, section 5.1). No
/// HTTP request does.
const HANDSHAKE: u8 = 0x16;

/// For a client without TLS at a port with it.
const NO_TLS: &str = "this port speaks TLS: use https";
/// For a client with TLS at a port without it.
const TLS: &str = "this port speaks plain HTTP, without TLS: use http";

/// Whether these are the first bytes of TLS.
pub(super) fn is_tls(start: &[u8]) -> bool {
    start.first() == Some(&HANDSHAKE)
}

/// Answers a client without TLS. One of HTTP/2, hence of gRPC, gets the same: clients recognise the
/// start of HTTP/1 and say so ("Trying to connect an http1.x server"), and wait before they come
/// again. GOAWAY has room for a message, but the SETTINGS that must come before make the connection a
/// good one for gRPC: its C core then comes again at once, hundreds of times a second (tried).
pub(super) async fn refuse_plain(stream: TcpStream) {
    answer_and_close(stream, &bad_request(NO_TLS)).await;
}

/// Answers a client with TLS. An alert has no message and would point at versions or
/// certificates; plain HTTP is what clients recognise ("server gave HTTP response to HTTPS client").
pub(super) async fn refuse_tls(stream: TcpStream) {
    answer_and_close(stream, &bad_request(TLS)).await;
}

fn bad_request(message: &str) -> Vec<u8> {
    let length = message.len() + 1;
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{message}\n"
    )
    .into_bytes()
}

/// Writes, then reads on for a moment: a client whose bytes are not read gets a reset, and may
/// never see what was written.
async fn answer_and_close(mut stream: TcpStream, answer: &[u8]) {
    const TIME: Duration = Duration::from_secs(1);
    const MOST: usize = 64 << 10;
    let answered = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let (mut rest, mut read) = ([0; 4096], 0);
        while read < MOST {
            match stream.read(&mut rest).await? {
                0 => break,
                n => read += n,
            }
        }
        std::io::Result::Ok(())
    };
    // A client that is gone already cannot be told.
    let _ = tokio::time::timeout(TIME, answered).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells() {
        assert!(is_tls(&[0x16, 0x03, 0x01]));
        for plain in [&b"POST / HTTP/1.1"[..], b"PRI * HTTP/2.0", b""] {
            assert!(!is_tls(plain));
        }
    }

    #[test]
    fn the_answer_is_whole() {
        let answer = String::from_utf8(bad_request(TLS)).unwrap();
        assert!(answer.ends_with(&format!("content-length: {}\r\nconnection: close\r\n\r\n{TLS}\n", TLS.len() + 1)));
    }
}
