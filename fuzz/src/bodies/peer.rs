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
    /// What the plugin got.
    got: Vec<u8>,
    /// What the tap saw.
    tapped: Vec<Item>,
    tapped_lines: usize,
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
                let bytes: Vec<u8> = world.input.drain(..count).collect();
                buffer.put_slice(&bytes);
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
        world.got.extend_from_slice(&bytes[..count]);
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
        self.0.lock().expect("one thread").tapped.push(item.clone());
    }
}

/// A peer, its other end, and what must have passed between them.
struct Trial {
    peer: Peer<Ours, Ours>,
    world: Arc<Mutex<World>>,
    /// All that the plugin wrote.
    written: Vec<u8>,
    /// All that was queued while the plugin's input was open.
    queued: Vec<u8>,
    lines: usize,
    is_closed: bool,
    items: Vec<Item>,
    end: Option<Turn>,
}

/// Items in words. Of a line that is too long it depends on the reads how much is searched for an id: this one is cut early.
fn told(items: &[Item]) -> Vec<String> {
    let one = |item: &Item| match item {
        Item::TooLong { .. } => "too long".to_owned(),
        other => format!("{other:?}"),
    };
    items.iter().map(one).collect()
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
        queued: Vec::new(),
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
                self.queue(number * 1200);
            }
        }
        rest
    }

    fn queue(&mut self, size: usize) {
        let letter = b'a' + u8::try_from(self.lines % 26).expect("a letter");
        let mut line = vec![letter; size];
        line.push(b'\n');
        let is_deaf = self.is_closed;
        self.peer.queue(|out| out.extend_from_slice(&line));
        if !is_deaf {
            self.queued.extend_from_slice(&line);
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
        self.is_closed |= world.is_deaf && world.got.len() < self.queued.len();
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
        assert!(
            self.queued.starts_with(&world.got),
            "what arrives is what was queued"
        );
        assert_eq!(self.peer.written(), world.got.len() as u64);
        let left = match self.is_closed {
            true => 0,
            false => self.queued.len() - world.got.len(),
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
            world.room += self.queued.len();
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
        assert_eq!(told(&expected), told(&self.items));
        let tapped = told(&self.world.lock().expect("one thread").tapped);
        assert_eq!(tapped, told(&self.items), "each item is seen");
    }
}
