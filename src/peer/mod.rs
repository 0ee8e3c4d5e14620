//! Both directions of one plugin's pipe. Knows no Shotgun.
//!
//! [`Peer`] owns a read half, a write half and what waits to be written. The reader never waits for the writer: two full pipes
//! would stand still for ever. Never: a decision about what a message means.

mod limit;
mod noise;
mod record;

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use sgeventd_protocol::{Codec, Item, Side};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use limit::RateLimit;
pub use noise::Noise;

/// A plugin that lets so many bytes lie unread while it goes on calling counts as hung.
pub const UNREAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The same in messages.
pub const UNREAD_MESSAGES_MAX: usize = 1000;
/// Messages of one turn: others want the thread too.
const TURN_MAX: usize = 100;
/// The buffer for what waits keeps so much room.
const OUT_KEPT: usize = 256 * 1024;
/// One read.
const READ_BYTES: usize = 64 * 1024;
/// So much that says nothing is worth a word.
const WASTED_MIN: usize = READ_BYTES;

/// Sees every line that passes.
pub trait Tap: Send {
    /// A line that the plugin is sent, without the newline.
    fn sent(&mut self, line: &[u8]);
    /// A message that the plugin wrote.
    fn received(&mut self, item: &Item);
}

/// How a turn ended.
#[derive(Debug)]
pub enum Turn {
    /// Messages were read; there may be more.
    Messages,
    /// So many bytes were passed over that are no item: empty lines, or a line without end.
    Noise(usize),
    /// The plugin closed its input: what is written to it is lost. Told once.
    Deaf,
    /// The plugin closed its output.
    Eof,
    /// Reading failed; nothing more comes.
    Broken(io::Error),
}

/// One plugin's two pipes.
pub struct Peer<R, W> {
    reader: Option<R>,
    writer: Option<W>,
    codec: Codec,
    chunk: Vec<u8>,
    out: Vec<u8>,
    /// Start of what is not written.
    out_start: usize,
    /// Bytes left of each message that waits, the first one partly written.
    waiting: VecDeque<usize>,
    /// Bytes written so far.
    written: u64,
    /// The last turn left whole messages behind: others have the thread first.
    yields: bool,
    /// The plugin was found to have closed its input, which is not told yet.
    is_deaf: bool,
    tap: Option<Box<dyn Tap>>,
    record: record::Record,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Peer<R, W> {
    /// A peer over two pipes; `line_max`: the longest line that is read.
    pub fn new(reader: R, writer: W, line_max: usize, tap: Option<Box<dyn Tap>>) -> Self {
        Self {
            reader: Some(reader),
            writer: Some(writer),
            codec: Codec::new(Side::Daemon, line_max),
            chunk: vec![0; READ_BYTES],
            out: Vec::new(),
            out_start: 0,
            waiting: VecDeque::new(),
            written: 0,
            yields: false,
            is_deaf: false,
            tap,
            record: record::Record::new(),
        }
    }

    /// Queues one line that `write` appends; it goes out with the next turn.
    pub fn queue(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.writer.is_none() {
            return;
        }
        self.reclaim();
        let start = self.out.len();
        write(&mut self.out);
        self.record.sent(&self.out[start..]);
        if let Some(tap) = &mut self.tap {
            tap.sent(self.out[start..].trim_ascii_end());
        }
        self.waiting.push_back(self.out.len() - start);
    }

    /// What was written makes room for what comes, and a buffer that grew for one large answer is given back.
    fn reclaim(&mut self) {
        if self.out_start == self.out.len() {
            self.out.clear();
            self.out_start = 0;
            self.out.shrink_to(OUT_KEPT);
        } else if self.out_start > OUT_KEPT && self.out_start > self.out.len() / 2 {
            self.out.drain(..self.out_start);
            self.out_start = 0;
        }
    }

    /// True when the plugin reads too little of what it is sent.
    #[must_use]
    pub fn is_clogged(&self) -> bool {
        self.unread_bytes() > UNREAD_BYTES_MAX || self.is_flooded()
    }

    /// True when so many messages lie unread that there is no excuse.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.waiting.len() > UNREAD_MESSAGES_MAX
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        self.out.len() - self.out_start
    }

    /// Bytes that were written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// True when nothing waits to be written.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Closes the plugin's input; what was not written is dropped.
    pub fn close_input(&mut self) {
        self.writer = None;
        self.out = Vec::new();
        self.out_start = 0;
        self.waiting.clear();
    }

    /// Writes what can be written and, with `reads`, reads what is there: at most 100 messages, appended to `items`. After so many
    /// the task yields, for a plugin that never ends its speech would keep the thread else.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn turn(&mut self, items: &mut Vec<Item>, reads: bool) -> Turn {
        poll_fn(|cx| self.poll_turn(cx, items, reads)).await
    }

    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Vec<Item>,
        reads: bool,
    ) -> Poll<Turn> {
        self.poll_write(cx);
        if std::mem::take(&mut self.is_deaf) {
            return Poll::Ready(Turn::Deaf);
        }
        if !reads {
            return Poll::Pending;
        }
        if std::mem::take(&mut self.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if self.take_items(items) {
                return Poll::Ready(Turn::Messages);
            }
            if self.codec.wasted() >= WASTED_MIN {
                return Poll::Ready(Turn::Noise(self.codec.take_wasted()));
            }
            let Some(reader) = &mut self.reader else {
                return Poll::Pending;
            };
            let mut chunk = ReadBuf::new(&mut self.chunk);
            let read = ready!(Pin::new(reader).poll_read(cx, &mut chunk));
            let filled = chunk.filled().len();
            if let Err(error) = read {
                self.reader = None;
                return Poll::Ready(Turn::Broken(error));
            }
            if filled == 0 {
                self.reader = None;
                self.record.end();
                let before = items.len();
                items.extend(self.codec.finish().into_iter().flatten());
                self.show(&items[before..]);
                return Poll::Ready(Turn::Eof);
            }
            self.record.received(&self.chunk[..filled]);
            self.codec.push(&self.chunk[..filled]);
        }
    }

    fn take_items(&mut self, items: &mut Vec<Item>) -> bool {
        let before = items.len();
        while items.len() - before < TURN_MAX
            && let Some(found) = self.codec.next_item()
        {
            items.extend(found);
        }
        self.show(&items[before..]);
        self.yields = items.len() - before >= TURN_MAX;
        items.len() > before
    }

    fn show(&mut self, items: &[Item]) {
        if let Some(tap) = &mut self.tap {
            items.iter().for_each(|item| tap.received(item));
        }
    }

    /// Writes until the pipe is full. A closed pipe is told once; as a rule the exit follows.
    fn poll_write(&mut self, cx: &mut Context<'_>) {
        while self.out_start < self.out.len() {
            let Some(writer) = &mut self.writer else {
                return;
            };
            match Pin::new(writer).poll_write(cx, &self.out[self.out_start..]) {
                Poll::Pending => return,
                Poll::Ready(Ok(written)) if written > 0 => self.wrote(written),
                Poll::Ready(_) => {
                    self.is_deaf = true;
                    return self.close_input();
                }
            }
        }
    }

    fn wrote(&mut self, mut written: usize) {
        self.out_start += written;
        self.written += written as u64;
        while let Some(first) = self.waiting.front_mut() {
            if *first > written {
                *first -= written;
                return;
            }
            written -= *first;
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn two_full_pipes_do_not_stand_still() {
        let (ours, theirs) = duplex(1024);
        let (reader, writer) = tokio::io::split(ours);
        let mut peer = Peer::new(reader, writer, 1 << 20, None);
        for _ in 0..200 {
            peer.queue(|out| out.extend_from_slice(&[b"x".repeat(100), b"\n".to_vec()].concat()));
        }
        assert!(!peer.is_flushed());
        let (mut their_reader, mut their_writer) = tokio::io::split(theirs);
        // The plugin writes all it has before it reads a byte.
        let plugin = tokio::spawn(async move {
            for _ in 0..200 {
                their_writer
                    .write_all(b"{\"id\":1,\"method\":\"sg.find\"}\n")
                    .await
                    .expect("a pipe");
            }
            let mut all = vec![0; 200 * 101];
            their_reader.read_exact(&mut all).await.expect("all of it");
        });
        let mut items = Vec::new();
        while items.len() < 200 || !peer.is_flushed() {
            tokio::select! {
                _ = peer.turn(&mut items, true) => {}
                () = tokio::task::yield_now(), if items.len() >= 200 => {}
            }
        }
        plugin.await.expect("the plugin read all");
    }

    #[tokio::test]
    async fn while_it_rests_it_writes_and_what_says_nothing_is_told() {
        let (ours, mut theirs) = duplex(1 << 20);
        let (reader, writer) = tokio::io::split(ours);
        let mut peer = Peer::new(reader, writer, 1 << 10, None);
        let mut items = Vec::new();
        let flood = [b"\n".repeat(100_000), b"x".repeat(200_000)].concat();
        theirs.write_all(&flood).await.expect("a pipe");
        theirs.write_all(b"\nhello\n").await.expect("a pipe");
        peer.queue(|out| out.extend_from_slice(b"ping\n"));
        {
            let mut resting = std::pin::pin!(peer.turn(&mut items, false));
            assert!(futures::poll!(&mut resting).is_pending());
        }
        let mut ping = [0; 5];
        theirs.read_exact(&mut ping).await.expect("it was written");
        assert!(items.is_empty());
        let mut wasted = 0;
        while items.len() < 2 {
            if let Turn::Noise(bytes) = peer.turn(&mut items, true).await {
                wasted += bytes;
            }
        }
        assert!(matches!(&items[0], Item::TooLong { .. }), "{items:?}");
        assert!(matches!(&items[1], Item::Stray(text) if text == "hello"));
        assert!(wasted > 100_000 * 64, "{wasted}");
    }

    #[tokio::test]
    async fn a_flood_of_messages_leaves_the_thread_to_others() {
        let (ours, mut theirs) = duplex(1 << 20);
        let (reader, writer) = tokio::io::split(ours);
        let mut peer = Peer::new(reader, writer, 1 << 20, None);
        let flood = b"x\n".repeat(10 * TURN_MAX);
        theirs.write_all(&flood).await.expect("a pipe");
        let (mut items, mut yielded) = (Vec::new(), 0);
        while items.len() < 10 * TURN_MAX {
            let mut turn = std::pin::pin!(peer.turn(&mut items, true));
            while futures::poll!(&mut turn).is_pending() {
                yielded += 1;
            }
        }
        assert_eq!(yielded, 9, "between any two heaps of messages");
    }

    #[tokio::test]
    async fn a_closed_input_is_told_once() {
        let (reader, _said) = duplex(1024);
        let (writer, heard) = duplex(1024);
        let mut peer = Peer::new(reader, writer, 1 << 20, None);
        drop(heard);
        peer.queue(|out| out.push(b'\n'));
        let mut items = Vec::new();
        assert!(matches!(peer.turn(&mut items, true).await, Turn::Deaf));
        let next = peer.turn(&mut items, true);
        assert!(futures::poll!(std::pin::pin!(next)).is_pending());
    }

    #[tokio::test]
    async fn last_words_are_read_at_the_end() {
        let (ours, mut theirs) = duplex(1024);
        let (reader, writer) = tokio::io::split(ours);
        let mut peer = Peer::new(reader, writer, 1 << 20, None);
        theirs
            .write_all(b"{\"id\":5,\"result\":1}\n{\"id\":6,\"result\":1}")
            .await
            .expect("a pipe");
        drop(theirs);
        let mut items = Vec::new();
        while !matches!(peer.turn(&mut items, true).await, Turn::Eof) {}
        assert_eq!(items.len(), 2);
    }

    #[tokio::test]
    async fn what_was_written_makes_room_though_something_always_waits() {
        let (ours, mut theirs) = duplex(1024);
        let (reader, writer) = tokio::io::split(ours);
        let mut peer = Peer::new(reader, writer, 1 << 20, None);
        let mut items = Vec::new();
        let mut read = vec![0; 1024];
        for _ in 0..2000 {
            peer.queue(|out| out.extend_from_slice(&[b'x'; 1024]));
            tokio::select! {
                biased;
                _ = peer.turn(&mut items, true) => {}
                () = std::future::ready(()) => {}
            }
            theirs.read_exact(&mut read[..1000]).await.expect("a pipe");
        }
        assert!(peer.out.len() < 4 * OUT_KEPT, "{}", peer.out.len());
    }

    #[test]
    fn what_lies_unread_counts_as_clogged() {
        let (ours, _theirs) = duplex(16);
        let (reader, writer) = tokio::io::split(ours);
        let mut peer = Peer::new(reader, writer, 1 << 20, None);
        for _ in 0..=UNREAD_MESSAGES_MAX {
            assert!(!peer.is_clogged());
            peer.queue(|out| out.push(b'\n'));
        }
        assert!(peer.is_clogged());
    }
}
