//! Both directions of a pipe: nothing is lost, doubled or reordered, however little the other end takes, gives or lives.

use std::{
    collections::VecDeque,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use sgeventd::peer::{Peer, Tap, Turn};
use sgeventd_protocol::{Codec, Item, Side};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest line.
const LINE_MAX: usize = 300;
/// Items of one turn: a hundred, and one more when the last line has two.
const TURN_MAX: usize = 101;
/// So much is queued in large lines: more than what the buffer keeps of its room. Still more takes time and shows nothing new.
const LARGE_MAX: usize = 310_000;
/// Bytes that are compared at once: each comparison of its own is counted by libFuzzer.
const BLOCK: usize = 4096;

/// The plugin's end of both pipes.
#[derive(Default)]
struct World {
    /// Written by the plugin, not yet read.
    input: VecDeque<u8>,
    /// The most that one read gives.
    gulp: usize,
    is_eof: bool,
    is_broken: bool,
    /// What the plugin's pipe still takes.
    room: usize,
    is_deaf: bool,
    /// Lines that the plugin has not got, the first one maybe in part: the letter, how many of it are left.
    due: VecDeque<(u8, usize)>,
    /// Bytes that it got.
    got: usize,
    /// What the tap saw, in words.
    tapped: Vec<String>,
    tapped_lines: usize,
}

impl World {
    /// The plugin gets bytes, which must be the next ones of what was queued.
    fn get(&mut self, mut bytes: &[u8]) {
        self.got += bytes.len();
        while !bytes.is_empty() {
            let (letter, left) = self.due.front_mut().expect("more arrives than was queued");
            let (now, rest) = bytes.split_at((*left).min(bytes.len()));
            let expected = [*letter; BLOCK];
            for part in now.chunks(BLOCK) {
                assert_eq!(part, &expected[..part.len()], "another line arrives");
            }
            *left -= now.len();
            bytes = rest;
            if let Some((end, rest)) = bytes.split_first().filter(|_| *left == 0) {
                assert_eq!(*end, b'\n', "a line that does not end");
                self.due.pop_front();
                bytes = rest;
            }
        }
    }
}

struct Ours(Arc<Mutex<World>>);

impl AsyncRead for Ours {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut world = self.0.lock().expect("one thread");
        let count = world.input.len().min(world.gulp).min(buffer.remaining());
        match count {
            0 if world.is_broken => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            0 if world.is_eof => Poll::Ready(Ok(())),
            0 => Poll::Pending,
            _ => {
                let (front, _) = world.input.as_slices();
                let count = count.min(front.len());
                buffer.put_slice(&front[..count]);
                world.input.drain(..count);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Ours {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut world = self.0.lock().expect("one thread");
        if world.is_deaf {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(world.room);
        if count == 0 {
            return Poll::Pending;
        }
        world.room -= count;
        world.get(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Listens(Arc<Mutex<World>>);

impl Tap for Listens {
    fn sent(&mut self, line: &[u8]) {
        assert!(!line.ends_with(b"\n"));
        self.0.lock().expect("one thread").tapped_lines += 1;
    }

    fn received(&mut self, item: &Item) {
        self.0.lock().expect("one thread").tapped.push(told(item));
    }
}

/// A peer, its other end, and what must have passed between them.
struct Trial {
    peer: Peer<Ours, Ours>,
    world: Arc<Mutex<World>>,
    /// All that the plugin wrote.
    written: Vec<u8>,
    /// Bytes that were queued while the plugin's input was open.
    queued: usize,
    lines: usize,
    is_closed: bool,
    items: Vec<Item>,
    end: Option<Turn>,
}

/// An item in words. Of a line that is too long it depends on the reads how much is searched for an id: this one is cut early.
fn told(item: &Item) -> String {
    match item {
        Item::TooLong { .. } => "too long".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The bytes are steps: a kind, a number, and for what the plugin writes so many bytes.
///
/// # Panics
/// When something does not hold.
pub fn try_out(data: &[u8]) {
    let world = Arc::new(Mutex::new(World {
        gulp: 1,
        ..World::default()
    }));
    let tap = Box::new(Listens(world.clone()));
    let mut trial = Trial {
        peer: Peer::new(
            Ours(world.clone()),
            Ours(world.clone()),
            LINE_MAX,
            Some(tap),
        ),
        world,
        written: Vec::new(),
        queued: 0,
        lines: 0,
        is_closed: false,
        items: Vec::new(),
        end: None,
    };
    let mut script = data;
    while let [kind, number, rest @ ..] = script {
        script = trial.step(*kind, usize::from(*number), rest);
        trial.holds();
    }
    trial.rest();
}

impl Trial {
    /// Takes one step; what is left of the script comes back.
    fn step<'a>(&mut self, kind: u8, number: usize, rest: &'a [u8]) -> &'a [u8] {
        let mut world = self.world.lock().expect("one thread");
        match kind % 8 {
            0 | 1 => {
                let (bytes, rest) = rest.split_at(number.min(rest.len()));
                if !world.is_eof && !world.is_broken {
                    world.input.extend(bytes);
                    self.written.extend_from_slice(bytes);
                }
                return rest;
            }
            2 => world.room += number,
            3 => {
                drop(world);
                self.queue(number);
            }
            4 => {
                drop(world);
                self.turn();
            }
            5 => world.gulp = number + 1,
            6 => match number % 4 {
                0 => world.is_eof = true,
                1 => world.is_broken = true,
                2 => world.is_deaf = true,
                _ => {
                    drop(world);
                    self.peer.close_input();
                    self.is_closed = true;
                }
            },
            // A large one: beyond what the buffer keeps of its room.
            _ => {
                drop(world);
                let large = number * 1200;
                let fits = self.queued + large <= LARGE_MAX;
                self.queue(if fits { large } else { number });
            }
        }
        rest
    }

    fn queue(&mut self, size: usize) {
        let letter = b'a' + u8::try_from(self.lines % 26).expect("a letter");
        self.peer.queue(|out| {
            out.resize(out.len() + size, letter);
            out.push(b'\n');
        });
        if !self.is_closed {
            let mut world = self.world.lock().expect("one thread");
            world.due.push_back((letter, size));
            self.queued += size + 1;
            self.lines += 1;
        }
    }

    fn turn(&mut self) -> bool {
        let before = self.items.len();
        let mut context = Context::from_waker(Waker::noop());
        let turn = pin!(self.peer.turn(&mut self.items, true)).poll(&mut context);
        assert!(
            self.items.len() - before <= TURN_MAX,
            "a turn without an end"
        );
        // A pipe that broke while it was written to is closed.
        let world = self.world.lock().expect("one thread");
        self.is_closed |= world.is_deaf && world.got < self.queued;
        match turn {
            Poll::Pending => false,
            Poll::Ready(Turn::Messages | Turn::Noise(_) | Turn::Deaf) => true,
            Poll::Ready(end) => {
                assert!(self.end.is_none(), "it ends twice");
                self.end = Some(end);
                true
            }
        }
    }

    fn holds(&self) {
        let world = self.world.lock().expect("one thread");
        assert_eq!(self.peer.written(), world.got as u64);
        let left = match self.is_closed {
            true => 0,
            false => self.queued - world.got,
        };
        assert_eq!(self.peer.unread_bytes(), left);
        assert_eq!(self.peer.is_flushed(), left == 0);
        assert_eq!(world.tapped_lines, self.lines, "each line is seen");
        assert_eq!(world.tapped.len(), self.items.len(), "each item is seen");
    }

    /// Lets everything through that still can be, and judges the whole.
    fn rest(mut self) {
        {
            let mut world = self.world.lock().expect("one thread");
            world.room += self.queued;
            world.gulp = 1 << 16;
        }
        // Between two turns that are full it lets others have the thread.
        while self.turn() || self.turn() {}
        self.holds();
        if !self.is_closed {
            assert_eq!(self.world.lock().expect("one thread").got, self.queued);
        }
        let mut codec = Codec::new(Side::Daemon, LINE_MAX);
        codec.push(&self.written);
        let mut expected = Vec::new();
        while let Some(found) = codec.next_item() {
            expected.extend(found);
        }
        if matches!(self.end, Some(Turn::Eof)) {
            expected.extend(codec.finish().into_iter().flatten());
        }
        let told_all = |items: &[Item]| items.iter().map(told).collect::<Vec<String>>();
        let read = told_all(&self.items);
        assert_eq!(told_all(&expected), read);
        let world = self.world.lock().expect("one thread");
        assert_eq!(world.tapped, read, "each item is seen");
    }
}
