//! A file that is read by threads of its own: a dead file server holds those and nobody else.
//!
//! In: an open file. Out: chunks, as fast as they are taken.
//! Never: more than a few chunks in memory, more bytes than the file had when it was opened.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{Arc, OnceLock},
    thread,
};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;

use super::desk::Place;
use crate::site::Source;

/// A chunk.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait to be sent: while one goes out, the next is read.
const CHUNKS: usize = 2;

/// A file on its way to the site.
pub(super) struct Reader {
    shared: Arc<Shared>,
    name: String,
    size: u64,
}

struct Shared {
    file: File,
    path: String,
    trouble: OnceLock<String>,
    /// Held by the thread too: one that hangs keeps its place.
    _place: Place,
}

impl Reader {
    pub(super) fn new(file: File, size: u64, path: &str, place: Place) -> Self {
        Self {
            name: super::roots::name_of(path),
            shared: Arc::new(Shared {
                file,
                path: path.to_owned(),
                trouble: OnceLock::new(),
                _place: place,
            }),
            size,
        }
    }
}

impl Source for Reader {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, from: u64, bytes: u64) -> BoxStream<'static, io::Result<Bytes>> {
        let (to, mut chunks) = mpsc::channel(CHUNKS);
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("file".into());
        if let Err(error) = thread.spawn(move || shared.read(from, bytes, &to)) {
            let words = format!("no thread can be started to read a file: {error}");
            let _first_counts = self.shared.trouble.set(words);
            return stream::once(async { Err(error) }).boxed();
        }
        stream::poll_fn(move |context| chunks.poll_recv(context)).boxed()
    }

    fn trouble(&self) -> Option<String> {
        self.shared.trouble.get().cloned()
    }
}

impl Shared {
    fn read(&self, mut from: u64, mut left: u64, to: &mpsc::Sender<io::Result<Bytes>>) {
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let mut chunk = vec![0; room];
            let read = match self.file.read_at(&mut chunk, from) {
                Ok(0) => Err(io::Error::other("it became shorter while it was read")),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other,
            };
            let chunk = read.map(|read| {
                chunk.truncate(read);
                (from, left) = (from + read as u64, left - read as u64);
                Bytes::from(chunk)
            });
            let is_over = chunk.is_err();
            if let Err(error) = &chunk {
                let words = format!("{:?} cannot be read: {error}", self.path);
                let _first_counts = self.trouble.set(words);
            }
            // Nobody takes it when the upload was broken off.
            if to.blocking_send(chunk).is_err() || is_over {
                return;
            }
        }
    }
}
