//! Answers that no server should send: without an end, of a wrong length, or too big, byte by byte past hyper.
//!
//! In: a socket and what is wrong. Out: bytes, until they end, the caller goes away or the site stops.
//! Never: the state.

use std::{io, os::fd::OwnedFd, time::Duration};

use flate2::{Compress, Compression, FlushCompress};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::trouble::Kind;

/// Between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_secs(1);
/// Between two lines of headers that never end: slow enough for whoever has a limit of their size.
const LINE: Duration = Duration::from_millis(50);
/// What is too big, after decompression.
const HUGE: usize = 2 << 30;
/// Written at once.
const CHUNK: usize = 1 << 20;
/// Right, as far as it goes.
const BODY: &str = r#"{"results": {"entities": [], "paging_info": {"has_next_page": false}}}"#;
/// The beginning of a page that never ends.
const OPEN: &str = r#"{"results": {"entities": ["#;

/// Writes an answer to a connection that ends after it.
pub(super) async fn write(kind: Kind, socket: OwnedFd) -> io::Result<()> {
    let stream = std::net::TcpStream::from(socket);
    let mut stream = TcpStream::from_std(stream)?;
    match kind {
        Kind::Drip => {
            head(&mut stream, "Content-Length: 100000").await?;
            for byte in OPEN.bytes().chain(std::iter::repeat(b' ')) {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(DRIP).await;
            }
        }
        Kind::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"X-More: to come\r\n").await?;
                tokio::time::sleep(LINE).await;
            }
        }
        Kind::Bomb => {
            let length = "Transfer-Encoding: chunked\r\nContent-Encoding: gzip";
            head(&mut stream, length).await?;
            // The least that a gzip stream begins with; its end never comes.
            let mut part = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
            let packed = packed()?;
            for _ in 0..HUGE / CHUNK {
                part.extend_from_slice(&packed);
                chunk(&mut stream, &part).await?;
                part.clear();
            }
        }
        Kind::HugePage => {
            head(&mut stream, "Transfer-Encoding: chunked").await?;
            chunk(&mut stream, OPEN.as_bytes()).await?;
            let spaces = vec![b' '; CHUNK];
            for _ in 0..HUGE / CHUNK {
                chunk(&mut stream, &spaces).await?;
            }
        }
        Kind::ShortLength => {
            let length = BODY.len() / 2;
            head(&mut stream, &format!("Content-Length: {length}")).await?;
            stream.write_all(BODY.as_bytes()).await?;
        }
        Kind::HugeLength => head(&mut stream, &format!("Content-Length: {HUGE}")).await?,
        _ => {
            let length = BODY.len() * 2;
            head(&mut stream, &format!("Content-Length: {length}")).await?;
            stream.write_all(BODY.as_bytes()).await?;
        }
    }
    stream.flush().await
}

async fn head(stream: &mut TcpStream, length: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await
}

async fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let size = format!("{:x}\r\n", bytes.len());
    stream.write_all(size.as_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.write_all(b"\r\n").await
}

/// A part of a compressed stream that may be repeated: it needs nothing that came before it.
fn packed() -> io::Result<Vec<u8>> {
    let mut packer = Compress::new(Compression::best(), false);
    let mut packed = Vec::with_capacity(CHUNK);
    packer
        .compress_vec(&vec![b' '; CHUNK], &mut packed, FlushCompress::Full)
        .map_err(io::Error::other)?;
    Ok(packed)
}
