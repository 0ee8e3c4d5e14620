//! Lines as they were written, before the codec forgives: what JSON-RPC 2.0 asks of them. The reader itself is pure.
//!
//! In: the bytes that a plugin writes. Out: the same bytes, and notes about lines that are not as they should be.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use serde_json::{Map, Value};
use tokio::io::{AsyncRead, ReadBuf};

/// Longer lines are not looked at.
const LINE_MAX: usize = 1 << 20;
/// More notes say nothing new.
const NOTES_MAX: usize = 20;

/// A line, and what is wrong with it.
pub(super) type Note = (String, &'static str);

/// Notes about lines, shared with the reader.
pub(super) type Notes = Arc<Mutex<Noted>>;

/// What was noted.
#[derive(Debug, Default)]
pub(super) struct Noted {
    notes: Vec<Note>,
    /// What came of a line whose end is not there.
    half: Vec<u8>,
}

fn lock(notes: &Notes) -> MutexGuard<'_, Noted> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the notes that there are.
pub(super) fn take(notes: &Notes) -> Vec<Note> {
    std::mem::take(&mut lock(notes).notes)
}

/// Takes a message that lacks nothing but the end of its line.
pub(super) fn take_half(notes: &Notes) -> Option<String> {
    let half = std::mem::take(&mut lock(notes).half);
    let message: Option<Map<String, Value>> = serde_json::from_slice(&half).ok();
    message.map(|_| String::from_utf8_lossy(&half).into_owned())
}

/// A reader that takes notes.
pub(super) struct Noting<R> {
    inner: R,
    is_too_long: bool,
    count: usize,
    notes: Notes,
}

impl<R> Noting<R> {
    /// Reads from `inner`.
    pub(super) fn new(inner: R, notes: Notes) -> Self {
        Self {
            inner,
            is_too_long: false,
            count: 0,
            notes,
        }
    }

    fn see(&mut self, mut bytes: &[u8]) {
        let notes = Arc::clone(&self.notes);
        let mut noted = lock(&notes);
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&mut noted.half, &bytes[..end]);
            let line = std::mem::take(&mut noted.half);
            let found = (!self.is_too_long).then(|| look(&line)).flatten();
            if let Some(why) = found.filter(|_| self.count < NOTES_MAX) {
                self.count += 1;
                let line = String::from_utf8_lossy(&line).into_owned();
                noted.notes.push((line, why));
            }
            self.is_too_long = false;
            bytes = &bytes[end + 1..];
        }
        self.keep(&mut noted.half, bytes);
    }

    fn keep(&mut self, line: &mut Vec<u8>, bytes: &[u8]) {
        if line.len() + bytes.len() > LINE_MAX {
            *line = Vec::new();
            self.is_too_long = true;
        }
        if !self.is_too_long {
            line.extend_from_slice(bytes);
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
        assert_eq!(take_half(&notes), None);
    }

    #[tokio::test]
    async fn a_message_without_the_end_of_its_line_is_kept() {
        use tokio::io::AsyncReadExt as _;
        for (text, is_message) in [
            ("{\"id\":1}\n{\"id\":2}", true),
            ("{\"id\":1}\n{\"id\":2", false),
            ("{\"id\":1}\n> ", false),
            ("{\"id\":1}\n", false),
        ] {
            let notes = Notes::default();
            let mut reader = Noting::new(text.as_bytes(), Arc::clone(&notes));
            let mut all = Vec::new();
            reader.read_to_end(&mut all).await.expect("all of it");
            let half = take_half(&notes);
            assert_eq!(
                half.as_deref(),
                is_message.then_some("{\"id\":2}"),
                "{text}"
            );
        }
    }
}
