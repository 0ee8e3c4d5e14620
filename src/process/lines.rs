//! What a plugin prints, line by line: bounded, and never a reason for the plugin to wait.

use std::collections::VecDeque;

use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{clock::Clock, peer::RateLimit};

/// The longest line that is kept; the rest of it is cut.
const LINE_MAX: usize = 8 * 1024;
/// One read; 50 idle plugins must not cost more than their share of memory.
const CHUNK: usize = 4 * 1024;
/// Lines a second; more are dropped and counted.
const PER_SECOND: u32 = 200;
/// Lines that are kept for a diagnosis.
const KEPT: usize = 50;

/// A line of log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text, without the newline.
    pub text: String,
    /// Lines that were dropped in all, before this one.
    pub dropped: u64,
}

/// Reads one pipe of log.
pub struct Lines {
    pipe: pipe::Receiver,
    chunk: Box<[u8]>,
    clock: Clock,
    partial: Vec<u8>,
    ready: VecDeque<Line>,
    limit: RateLimit,
    is_cut: bool,
    is_ended: bool,
    last: VecDeque<String>,
}

impl Lines {
    /// Reads this pipe.
    #[must_use]
    pub fn new(pipe: pipe::Receiver, clock: Clock) -> Self {
        Self {
            pipe,
            chunk: vec![0; CHUNK].into(),
            clock,
            partial: Vec::new(),
            ready: VecDeque::new(),
            limit: RateLimit::new(PER_SECOND),
            is_cut: false,
            is_ended: false,
            last: VecDeque::new(),
        }
    }

    /// The next line; none at the end.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.is_ended {
                return None;
            }
            match self.pipe.read(&mut self.chunk).await {
                Ok(0) | Err(_) => {
                    self.is_ended = true;
                    if !self.partial.is_empty() {
                        self.end_line();
                    }
                }
                Ok(read) => {
                    let chunk = std::mem::take(&mut self.chunk);
                    self.take(&chunk[..read]);
                    self.chunk = chunk;
                }
            }
        }
    }

    /// True when nothing more comes.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.is_ended && self.ready.is_empty()
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.partial.len());
        self.is_cut |= bytes.len() > room;
        self.partial
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self) {
        let mut text = String::from_utf8_lossy(self.partial.trim_ascii_end()).into_owned();
        self.partial.clear();
        if std::mem::take(&mut self.is_cut) {
            text.push('…');
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(text.clone());
        if self.limit.allows(self.clock.now().mono) {
            self.ready.push_back(Line {
                text,
                dropped: self.limit.dropped(),
            });
        }
    }
}
