//! Calls over one connection, with as little of this process's own time as can be: no runtime, no JSON.
//!
//! In: bodies. Out: bodies. Never: two calls at once on one connection.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// A connection to a site that is kept.
pub(crate) struct Wire {
    socket: TcpStream,
    host: String,
    read: Vec<u8>,
    /// Bytes of the answer before this one.
    used: usize,
}

impl Wire {
    /// Connects to `http://host:port`.
    pub(crate) fn open(url: &str) -> Self {
        let host = url.strip_prefix("http://").expect("plain HTTP").to_owned();
        let socket = TcpStream::connect(&host).expect("it listens");
        socket.set_nodelay(true).expect("a socket");
        Self {
            socket,
            host,
            read: Vec::new(),
            used: 0,
        }
    }

    /// What goes out for a body.
    pub(crate) fn request(&self, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST /api3/json HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self, request: &[u8]) {
        self.socket.write_all(request).expect("it reads");
    }

    /// Waits for the body of the next answer.
    pub(crate) fn answer(&mut self) -> &[u8] {
        self.read.drain(..self.used);
        let body = loop {
            if let Some(body) = whole(&self.read) {
                break body;
            }
            let mut buffer = [0; 16 * 1024];
            let got = self.socket.read(&mut buffer).expect("it answers");
            assert!(got > 0, "it closed the connection");
            self.read.extend_from_slice(&buffer[..got]);
        };
        self.used = body.end;
        &self.read[body]
    }
}

/// Where the body of the first answer lies, when all of it is there.
fn whole(read: &[u8]) -> Option<std::ops::Range<usize>> {
    let head = read.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&read[..head]).expect("a head is text");
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let length = name.eq_ignore_ascii_case("content-length");
        length.then(|| value.trim().parse::<usize>().expect("a number"))
    });
    let body = head + 4..head + 4 + length.expect("answers say their length");
    (body.end <= read.len()).then_some(body)
}
