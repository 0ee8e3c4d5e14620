//! The protocol's pipe: our own copies of descriptors 0 and 1, so that nothing else can write into it.
//!
//! Answers are gathered and go out when no further input is there: one write for many answers.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Write},
};

use serde_json::{Value, value::RawValue};
use sgeventd_protocol::{
    Codec, ErrorCode, Item, RpcError, Side, codec::LINE_MAX, pending::Pending, write,
};

/// One read.
const CHUNK: usize = 64 * 1024;

pub(crate) struct Pipe {
    input: Box<dyn Read>,
    output: Box<dyn Write>,
    codec: Codec,
    waiting: VecDeque<Item>,
    out: Vec<u8>,
    calls: Pending<()>,
    is_ended: bool,
}

impl Pipe {
    /// Takes descriptors 0 and 1 away from everybody else: prints go to the log, reads find nothing.
    pub(crate) fn take_over() -> io::Result<Self> {
        let input = File::from(rustix::io::dup(io::stdin())?);
        let output = File::from(rustix::io::dup(io::stdout())?);
        rustix::stdio::dup2_stdout(io::stderr())?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(Self::new(Box::new(input), Box::new(output)))
    }

    fn new(input: Box<dyn Read>, output: Box<dyn Write>) -> Self {
        let codec = Codec::new(Side::Plugin, LINE_MAX);
        let (waiting, out, calls) = (VecDeque::new(), Vec::new(), Pending::from(1));
        Self {
            input,
            output,
            codec,
            waiting,
            out,
            calls,
            is_ended: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn over(input: Vec<u8>) -> (Self, std::sync::Arc<std::sync::Mutex<Vec<u8>>>) {
        #[derive(Clone, Default)]
        struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("a lock").extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let output = Shared::default();
        (
            Self::new(Box::new(io::Cursor::new(input)), Box::new(output.clone())),
            output.0,
        )
    }

    /// The next message; none when the daemon has closed our input.
    pub(crate) fn next_item(&mut self) -> Option<Item> {
        self.waiting.pop_front().or_else(|| self.read_item())
    }

    pub(crate) fn answer(&mut self, id: &RawValue, result: &Value) {
        if let Ok(result) = serde_json::value::to_raw_value(result) {
            write::result(&mut self.out, id, &result);
        }
    }

    pub(crate) fn refuse(&mut self, id: &RawValue, error: &RpcError) {
        write::error(&mut self.out, id, error);
    }

    pub(crate) fn notify(&mut self, method: &str, params: &Value) {
        write::notification(&mut self.out, method, params);
    }

    /// Asks, and reads until the answer is there; what comes between is kept for later.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Box<RawValue>, RpcError> {
        let ours = self.calls.ask(());
        write::request(&mut self.out, ours, method, params);
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
            "the daemon closed the pipe",
        ))
    }

    fn read_item(&mut self) -> Option<Item> {
        loop {
            if let Some(items) = self.codec.next_item() {
                let mut items = items;
                let first = items.next();
                self.waiting.extend(items);
                return first;
            }
            // About to wait: what was answered goes out first.
            self.flush();
            if self.is_ended {
                return None;
            }
            let mut chunk = vec![0; CHUNK];
            match self.input.read(&mut chunk) {
                Ok(0) => self.is_ended = true,
                Ok(read) => self.codec.push(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.is_ended = true,
            }
        }
    }

    fn flush(&mut self) {
        if self
            .output
            .write_all(&self.out)
            .and_then(|()| self.output.flush())
            .is_err()
        {
            // The daemon is gone: there is nobody to answer to.
            self.is_ended = true;
        }
        self.out.clear();
    }
}
