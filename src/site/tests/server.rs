//! A server that does what a list says, one move a request, and keeps what it was asked.

use std::{
    collections::VecDeque,
    io::Write as _,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Move {
    /// Writes these bytes; the connection stays open.
    Raw(Vec<u8>),
    /// Writes these bytes, then closes.
    Cut(Vec<u8>),
    /// Says nothing and holds the connection.
    Hang,
    /// A byte at a time, for ever.
    Trickle,
}

impl Move {
    /// A 200 with JSON.
    pub(crate) fn json(body: &str) -> Self {
        Self::status(
            "200 OK",
            "content-type: application/json\r\n",
            body.as_bytes(),
        )
    }

    /// A 200 with `results`.
    pub(crate) fn results(body: &str) -> Self {
        Self::json(&format!("{{\"results\":{body}}}"))
    }

    /// Any status with more headers.
    pub(crate) fn status(status: &str, headers: &str, body: &[u8]) -> Self {
        let mut raw = head(status, headers, body.len());
        raw.extend_from_slice(body);
        Self::Raw(raw)
    }

    /// A 200 whose body is compressed.
    pub(crate) fn gzip(body: &[u8]) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).expect("a vector takes it");
        let body = encoder.finish().expect("a vector takes it");
        Self::status(
            "200 OK",
            "content-type: application/json\r\ncontent-encoding: gzip\r\n",
            &body,
        )
    }

    /// The first part of a 200, then the end of the connection.
    pub(crate) fn cut(body: &str, announced: usize) -> Self {
        let mut raw = head("200 OK", "content-type: application/json\r\n", announced);
        raw.extend_from_slice(body.as_bytes());
        Self::Cut(raw)
    }
}

fn head(status: &str, headers: &str, length: usize) -> Vec<u8> {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    format!("HTTP/1.1 {status}\r\n{date}{headers}content-length: {length}\r\n\r\n").into_bytes()
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a request is JSON")
    }
}

struct State {
    moves: VecDeque<Move>,
    asked: Vec<Asked>,
}

/// The server; it lives as long as the runtime of the test.
#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    pub(crate) url: String,
}

impl Server {
    /// Listens; each request takes the next move, the last one stays.
    pub(crate) async fn start(moves: impl IntoIterator<Item = Move>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            url: format!("http://{}", listener.local_addr().expect("bound")),
            state: Arc::new(Mutex::new(State {
                moves: moves.into_iter().collect(),
                asked: Vec::new(),
            })),
        };
        let clone = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(clone.clone().serve(stream));
            }
        });
        server
    }

    /// From now on it does what another list says.
    pub(crate) fn then(&self, moves: impl IntoIterator<Item = Move>) {
        let mut state = self.state.lock().expect("no panic inside");
        state.moves = moves.into_iter().collect();
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("no panic inside").asked.clone()
    }

    /// How often a method was asked.
    pub(crate) fn count(&self) -> usize {
        self.asked().len()
    }

    fn next(&self, asked: Asked) -> Move {
        let mut state = self.state.lock().expect("no panic inside");
        state.asked.push(asked);
        match state.moves.len() {
            0 => Move::results("null"),
            1 => state.moves[0].clone(),
            _ => state.moves.pop_front().expect("it has two"),
        }
    }

    /// Serves one connection.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) {
        while let Some(asked) = read_request(&mut stream).await {
            let (raw, stays) = match self.next(asked) {
                Move::Raw(raw) => (raw, true),
                Move::Cut(raw) => (raw, false),
                Move::Hang => std::future::pending().await,
                Move::Trickle => {
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await);
                    while stream.write_all(b"a").await.is_ok() {
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                    return;
                }
            };
            if stream.write_all(&raw).await.is_err() || !stays {
                drop(stream.shutdown().await);
                return;
            }
        }
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Asked> {
    let mut text = Vec::new();
    let head_end = loop {
        if let Some(at) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&text[..head_end]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length: usize = length
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
        .unwrap_or(0);
    while text.len() < head_end + length {
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked {
        head: String::from_utf8_lossy(&text[..head_end]).into_owned(),
        body: String::from_utf8_lossy(&text[head_end..head_end + length]).into_owned(),
    })
}
