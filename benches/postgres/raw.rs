//! A client that costs as little as can be: it counts rows and does not look at them.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub struct Raw {
    stream: BufReader<TcpStream>,
}

impl Raw {
    pub fn login(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Raw { stream: BufReader::with_capacity(1 << 20, stream) };
        let body = [&196_608_i32.to_be_bytes()[..], b"user\0bench\0\0"].concat();
        let length = i32::try_from(body.len() + 4).unwrap();
        raw.send(&[&length.to_be_bytes()[..], &body].concat());
        raw.until_ready();
        raw
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Rows of the answer in binary, and their bytes.
    pub fn rows(&mut self, statement: &str) -> (u64, u64) {
        let messages = [
            message(b'P', format!("\0{statement}\0\0\0").as_bytes()),
            // No parameters; all columns in binary.
            message(b'B', b"\0\0\0\0\0\0\0\x01\0\x01"),
            message(b'D', b"P\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        self.send(&messages.concat());
        self.until_ready()
    }

    fn until_ready(&mut self) -> (u64, u64) {
        let (mut rows, mut bytes) = (0, 0);
        let mut body = Vec::new();
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
            body.resize(length, 0);
            self.stream.read_exact(&mut body).unwrap();
            match head[0] {
                b'E' => panic!("{}", String::from_utf8_lossy(&body)),
                b'Z' => return (rows, bytes),
                b'D' => (rows, bytes) = (rows + 1, bytes + length as u64 + 5),
                _ => {}
            }
        }
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}
