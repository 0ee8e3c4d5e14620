//! What a plugin prints, line by line: bounded, and never a reason for the plugin to wait.

use std::collections::VecDeque;

use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{clock::Clock, peer::RateLimit};

/// The longest line that is kept; the rest of it is cut.
const LINE_MAX: usize = 8 * 1024;
/// One read; 50 idle plugins must not cost more than their share of memory.
const CHUNK: usize = 4 * 1024;
/// Lines and bytes a second; more are dropped and counted.
const PER_SECOND: u32 = 200;
const BYTES_PER_SECOND: usize = 512 * 1024;
/// Lines that are kept for a diagnosis.
const KEPT: usize = 50;

/// A line of log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text, without the newline.
    pub text: String,
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
    last: VecDeque<Vec<u8>>,
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
            limit: RateLimit::new(PER_SECOND, BYTES_PER_SECOND),
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
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        self.last.iter().map(text).collect()
    }

    /// Lines that were dropped so far: more than may pass in a second.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.limit.dropped()
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
        let line = self.partial.trim_ascii_end();
        let end = if std::mem::take(&mut self.is_cut) {
            "…"
        } else {
            ""
        };
        if self.limit.allows(line.len(), self.clock.now().mono) {
            let text = String::from_utf8_lossy(line).into_owned() + end;
            self.ready.push_back(Line { text });
        }
        // The buffer of the oldest is used again: a flood costs a copy for each line and nothing else.
        let mut kept = match self.last.len() {
            KEPT => self.last.pop_front().unwrap_or_default(),
            _ => Vec::new(),
        };
        kept.clear();
        kept.extend_from_slice(line);
        self.last.push_back(kept);
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_dropped_is_counted_and_the_last_lines_are_kept() {
        let (mut sender, receiver) = pipe::pipe().expect("a pipe");
        let writing = tokio::spawn(async move {
            for number in 0..10_000 {
                let line = format!("frame {number}\n");
                sender.write_all(line.as_bytes()).await.expect("a pipe");
            }
            let long = [b"y".repeat(2 * LINE_MAX), b"\nhalf".to_vec()].concat();
            sender.write_all(&long).await.expect("a pipe");
        });
        let mut lines = Lines::new(receiver, Clock::start());
        let mut shown = 0;
        while lines.next().await.is_some() {
            shown += 1;
        }
        writing.await.expect("all was written");
        assert_eq!(shown + lines.dropped(), 10_002);
        assert!(lines.dropped() > 0, "all in a few seconds");
        let last = lines.last();
        let lengths = (last.len(), last[KEPT - 2].len(), last[KEPT - 1].as_str());
        assert_eq!(lengths, (KEPT, LINE_MAX, "half"));
        assert_eq!(last[KEPT - 3], "frame 9999");
    }
}
