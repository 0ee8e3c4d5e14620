//! The protocol's pipe: our own copies of descriptors 0 and 1, so that nothing else can write into it.
//!
//! In: the daemon's bytes. Out: messages one by one; answers, gathered while further input is there.
//! Never: descriptor 0, 1 or 2 once it is taken over.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use sgeventd_protocol::{
    Codec, ErrorCode, Item, RpcError, Side, codec::LINE_MAX, message::Cancel, pending::Pending,
    write,
};

use crate::outlet::Outlet;

/// One read: what a Linux pipe holds.
const CHUNK: usize = 64 * 1024;

/// Where bytes come from.
pub(crate) trait Input: Read {
    /// Whether a read would not wait.
    fn is_ready(&self) -> bool;
}

impl Input for File {
    fn is_ready(&self) -> bool {
        let mut look = [PollFd::new(self, PollFlags::IN)];
        poll(&mut look, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

pub(crate) struct Pipe {
    input: Box<dyn Input>,
    outlet: Outlet,
    chunk: Box<[u8]>,
    codec: Codec,
    waiting: VecDeque<Item>,
    cancelled: Vec<u64>,
    calls: Pending<()>,
    is_ended: bool,
}

impl Pipe {
    /// Takes descriptors 0 and 1 away from everybody else: prints go to the log, reads find nothing.
    pub(crate) fn take_over() -> io::Result<Self> {
        let input = File::from(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?);
        let output = File::from(rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?);
        rustix::stdio::dup2_stdout(io::stderr())?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(Self::new(Box::new(input), Outlet::new(Box::new(output))))
    }

    pub(crate) fn new(input: Box<dyn Input>, outlet: Outlet) -> Self {
        Self {
            input,
            outlet,
            chunk: vec![0; CHUNK].into(),
            codec: Codec::new(Side::Plugin, LINE_MAX),
            waiting: VecDeque::new(),
            cancelled: Vec::new(),
            calls: Pending::from(1),
            is_ended: false,
        }
    }

    /// The next message; none when the daemon has closed our input.
    pub(crate) fn next_item(&mut self) -> Option<Item> {
        self.waiting.pop_front().or_else(|| self.read_item())
    }

    /// A handler begins: answers that are held back go out while it works.
    pub(crate) fn begin(&mut self) {
        self.outlet.linger();
    }

    pub(crate) fn answer(&mut self, id: &RawValue, result: &RawValue) {
        self.outlet.hold(|out| write::result(out, id, result));
    }

    pub(crate) fn refuse(&mut self, id: &RawValue, error: &RpcError) {
        self.outlet.hold(|out| write::error(out, id, error));
    }

    /// Tells the daemon something now: the handler may go on for minutes.
    pub(crate) fn tell(&mut self, method: &str, params: &Value) {
        self.outlet
            .hold(|out| write::notification(out, method, params));
        self.flush();
    }

    /// Asks, and reads until the answer is there; what comes between is kept for later.
    pub(crate) fn call(
        &mut self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Box<RawValue>, RpcError> {
        let ours = self.calls.ask(());
        self.outlet
            .hold(|out| write::request(out, ours, method, params));
        while let Some(item) = self.read_item() {
            match item {
                Item::Response { id, outcome } if id == ours => {
                    self.calls.answer(id);
                    return outcome;
                }
                other => self.waiting.push_back(other),
            }
        }
        Err(RpcError::new(
            ErrorCode::ShuttingDown,
            format!("the daemon closed the pipe before it answered {method}"),
        ))
    }

    /// Whether the daemon has withdrawn a request; looks into the pipe without waiting.
    pub(crate) fn is_cancelled(&mut self, request: u64) -> bool {
        // What has been read already comes first: the cancellation may stand there.
        loop {
            while let Some(item) = self.parsed() {
                self.waiting.push_back(item);
            }
            if self.is_ended || !self.input.is_ready() {
                break;
            }
            self.read();
        }
        self.cancelled.contains(&request)
    }

    /// A request is answered: whether it was withdrawn is of no interest any more.
    pub(crate) fn forget(&mut self, request: &RawValue) {
        if let Ok(request) = request.get().parse::<u64>() {
            self.cancelled.retain(|id| *id != request);
        }
    }

    pub(crate) fn flush(&mut self) {
        self.is_ended |= !self.outlet.flush();
    }

    fn read_item(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.parsed() {
                return Some(item);
            }
            // About to wait: what was answered goes out first.
            self.flush();
            if self.is_ended {
                return None;
            }
            self.read();
        }
    }

    /// What the bytes say that are here; cancellations are noted on the way.
    fn parsed(&mut self) -> Option<Item> {
        while let Some(mut items) = self.codec.next_item() {
            let first = items.next()?;
            self.waiting.extend(items);
            match first {
                Item::Notification { method, params } if method == "$/cancel" => {
                    let params = params.as_ref().map_or("", |params| params.get());
                    let named = serde_json::from_str::<Cancel>(params).ok();
                    self.cancelled
                        .extend(named.and_then(|named| named.id.get().parse::<u64>().ok()));
                }
                item => return Some(item),
            }
        }
        None
    }

    fn read(&mut self) {
        match self.input.read(&mut self.chunk) {
            Ok(0) => self.is_ended = true,
            Ok(read) => self.codec.push(&self.chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.is_ended = true,
        }
    }
}
