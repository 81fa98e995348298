//! Bare messages of PostgreSQL's protocol.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Vispyr;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Raw {
    stream: TcpStream,
    /// The number of the connection, for requests to cancel.
    pub number: i32,
    /// What [`Raw::message`] has read last.
    pub last: Vec<u8>,
}

impl Raw {
    pub async fn open(vispyr: &Vispyr) -> Self {
        Raw { stream: TcpStream::connect(vispyr.address("postgres")).await.unwrap(), number: 0, last: Vec::new() }
    }

    pub async fn login(vispyr: &Vispyr, user: &str) -> Self {
        let mut raw = Raw::open(vispyr).await;
        let body = [&196_608_i32.to_be_bytes()[..], format!("user\0{user}\0\0").as_bytes()].concat();
        let length = i32::try_from(body.len() + 4).unwrap();
        raw.send(&[&length.to_be_bytes()[..], &body].concat()).await;
        for (kind, body) in raw.until_ready().await {
            if kind == b'K' {
                raw.number = i32::from_be_bytes(body[..4].try_into().unwrap());
            }
        }
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends to somebody who may have closed the connection.
    pub async fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads one message into `last`.
    pub async fn message(&mut self) {
        let mut head = [0; 5];
        tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut head)).await.expect("a message").unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
        self.last = vec![0; length];
        self.stream.read_exact(&mut self.last).await.unwrap();
    }

    pub async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    pub async fn query(&mut self, text: &str) {
        self.send(&message(b'Q', format!("{text}\0").as_bytes())).await;
    }

    /// All messages up to `ReadyForQuery`.
    pub async fn until_ready(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            let mut head = [0; 5];
            let read = tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut head)).await;
            read.expect("a message").unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await.unwrap();
            let is_ready = head[0] == b'Z';
            messages.push((head[0], body));
            if is_ready {
                return messages;
            }
        }
    }

    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("an end");
        bytes
    }
}

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

pub fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

pub fn bind(portal: &str, statement: &str, values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0").into_bytes();
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        body.extend(value.map_or(-1, |value| i32::try_from(value.len()).unwrap()).to_be_bytes());
        body.extend(value.unwrap_or_default());
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

pub fn execute(portal: &str, rows: i32) -> Vec<u8> {
    message(b'E', &[format!("{portal}\0").as_bytes(), &rows.to_be_bytes()].concat())
}

pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind][..], format!("{name}\0").as_bytes()].concat())
}

pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}
