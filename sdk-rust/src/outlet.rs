//! What goes out: answers are gathered, and none waits for a slow handler.
//!
//! In: lines. Out: few writes. A thread of its own looks every few milliseconds for answers that are held back while a
//! handler works; it is started when that happens first, and sleeps for good while nothing is held.
//! Never: a line in two pieces with another between them.

use std::{
    io::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// So long may an answer be held back: far below every deadline, and enough to gather hundreds.
const HELD_MAX: Duration = Duration::from_millis(5);
/// After so many looks that found nothing the thread sleeps until it is called.
const LOOKS_IN_VAIN: u32 = 20;
/// Answers go out at this size, whoever waits: what a pipe takes at once.
const FULL: usize = 64 * 1024;

pub(crate) struct Outlet {
    shared: Arc<Shared>,
    looker: Option<thread::Thread>,
}

struct Shared {
    held: Mutex<Held>,
    is_asleep: AtomicBool,
}

struct Held {
    lines: Vec<u8>,
    output: Box<dyn Write + Send>,
    /// The daemon reads no more: there is nobody to answer to.
    is_broken: bool,
}

impl Outlet {
    pub(crate) fn new(output: Box<dyn Write + Send>) -> Self {
        let held = Held {
            lines: Vec::new(),
            output,
            is_broken: false,
        };
        Self {
            shared: Arc::new(Shared {
                held: Mutex::new(held),
                is_asleep: AtomicBool::new(false),
            }),
            looker: None,
        }
    }

    /// Keeps what is written for the next flush.
    pub(crate) fn hold(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut held = self.shared.lock();
        write(&mut held.lines);
        if held.lines.len() >= FULL {
            held.flush();
        }
    }

    /// Writes now, behind what was held. False when nobody reads any more.
    pub(crate) fn flush(&mut self) -> bool {
        let mut held = self.shared.lock();
        held.flush();
        !held.is_broken
    }

    /// A handler is about to work, for nobody knows how long: what is held goes out soon all the same.
    pub(crate) fn linger(&mut self) {
        if self.shared.lock().lines.is_empty() {
            return;
        }
        match &self.looker {
            Some(looker) if self.shared.is_asleep.load(Ordering::Acquire) => looker.unpark(),
            Some(_) => {}
            None => self.start(),
        }
    }

    fn start(&mut self) {
        let shared = self.shared.clone();
        let started = thread::Builder::new()
            .name("sgeventd-outlet".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || shared.look());
        match started {
            Ok(thread) => self.looker = Some(thread.thread().clone()),
            // The limit of threads: nothing is held back then.
            Err(_) => {
                self.flush();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let mut in_vain = 0;
        loop {
            if in_vain < LOOKS_IN_VAIN {
                thread::park_timeout(HELD_MAX);
            } else {
                self.is_asleep.store(true, Ordering::Release);
                // Between the last look and the flag somebody may have held a line and called nobody.
                if self.lock().lines.is_empty() {
                    thread::park();
                }
                self.is_asleep.store(false, Ordering::Release);
            }
            let mut held = self.lock();
            in_vain = if held.lines.is_empty() {
                in_vain + 1
            } else {
                0
            };
            held.flush();
            if held.is_broken {
                return;
            }
        }
    }
}

impl Held {
    fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let written = self.output.write_all(&self.lines);
        self.is_broken |= written.and_then(|()| self.output.flush()).is_err();
        self.lines.clear();
    }
}
