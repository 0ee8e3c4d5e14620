//! Lines as they were written, before the codec forgives: what JSON-RPC 2.0 asks of them. The reader itself is pure.
//!
//! In: the bytes that a plugin writes. Out: the same bytes, and notes about lines that are not as they should be.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use serde_json::Value;
use tokio::io::{AsyncRead, ReadBuf};

/// Longer lines are not looked at.
const LINE_MAX: usize = 1 << 20;
/// More notes say nothing new.
const NOTES_MAX: usize = 20;

/// A line, and what is wrong with it.
pub(super) type Note = (String, &'static str);

/// Notes about lines, shared with the reader.
pub(super) type Notes = Arc<Mutex<Vec<Note>>>;

/// Takes the notes that there are.
pub(super) fn take(notes: &Notes) -> Vec<Note> {
    std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A reader that takes notes.
pub(super) struct Noting<R> {
    inner: R,
    line: Vec<u8>,
    is_too_long: bool,
    count: usize,
    notes: Notes,
}

impl<R> Noting<R> {
    /// Reads from `inner`.
    pub(super) fn new(inner: R, notes: Notes) -> Self {
        Self {
            inner,
            line: Vec::new(),
            is_too_long: false,
            count: 0,
            notes,
        }
    }

    fn see(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            let found = (!self.is_too_long).then(|| look(&self.line)).flatten();
            if let Some(why) = found.filter(|_| self.count < NOTES_MAX) {
                self.count += 1;
                let line = String::from_utf8_lossy(&self.line).into_owned();
                let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.push((line, why));
            }
            self.line.clear();
            self.is_too_long = false;
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LINE_MAX {
            self.line = Vec::new();
            self.is_too_long = true;
        }
        if !self.is_too_long {
            self.line.extend_from_slice(bytes);
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Noting<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = read {
            this.see(buffer.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

/// What is wrong with a line that is meant as a message; none for one that is right, and for stray output.
fn look(line: &[u8]) -> Option<&'static str> {
    let Ok(Value::Object(message)) = serde_json::from_slice(line) else {
        return None;
    };
    let has = |key: &str| message.contains_key(key);
    if !has("method") && !has("id") {
        // Some JSON that was printed.
        return None;
    }
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Some(r#"it has no "jsonrpc":"2.0""#);
    }
    if has("method") {
        let params = message.get("params");
        let is_fit = params.is_none_or(|params| params.is_object() || params.is_array());
        return (!is_fit).then_some("its params are neither an object nor a list");
    }
    match (message.get("error"), has("result")) {
        (None, true) => None,
        (None, false) => Some("it is neither a request nor an answer"),
        (Some(_), true) => Some("it has both a result and an error"),
        (Some(error), false) => {
            let is_fit = error["code"].is_i64() && error["message"].is_string();
            (!is_fit).then_some("its error has no integer `code` and text `message`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_line() {
        for (line, part) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, None),
            (
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}"#,
                None,
            ),
            (r#"{"jsonrpc":"2.0","method":"log","params":{}}"#, None),
            (r#"{"jsonrpc":"2.0","id":7,"method":"state.get"}"#, None),
            (r#"{"printed":"by a library"}"#, None),
            ("no JSON", None),
            ("[1]", None),
            (r#"{"id":1,"result":null}"#, Some("jsonrpc")),
            (r#"{"jsonrpc":2.0,"id":1,"result":null}"#, Some("jsonrpc")),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"m"}}"#,
                Some("both"),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"error":"broken"}"#,
                Some("integer"),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":"E","message":"m"}}"#,
                Some("integer"),
            ),
            (r#"{"jsonrpc":"2.0","id":1}"#, Some("neither")),
            (
                r#"{"jsonrpc":"2.0","method":"log","params":3}"#,
                Some("params"),
            ),
        ] {
            let found = look(line.as_bytes());
            match part {
                None => assert_eq!(found, None, "{line}"),
                Some(part) => assert!(
                    found.is_some_and(|why| why.contains(part)),
                    "{line}: {found:?}"
                ),
            }
        }
    }

    #[tokio::test]
    async fn lines_are_found_wherever_reads_cut_them() {
        use tokio::io::AsyncReadExt as _;
        let text = b"{\"id\":1,\"result\":1}\nprinted\n{\"jsonrpc\":\"2.0\",\"id\":2}\n";
        let notes = Notes::default();
        let (mut ours, theirs) = tokio::io::duplex(3);
        let mut reader = Noting::new(theirs, Arc::clone(&notes));
        let write = async {
            tokio::io::AsyncWriteExt::write_all(&mut ours, text)
                .await
                .expect("a pipe");
            drop(ours);
        };
        let mut all = Vec::new();
        let (read, ()) = tokio::join!(reader.read_to_end(&mut all), write);
        assert_eq!(read.expect("all of it"), text.len());
        assert_eq!(take(&notes).len(), 2);
    }
}
