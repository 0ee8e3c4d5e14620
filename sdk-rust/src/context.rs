//! What a handler may do besides returning.

use serde_json::{Value, json, value::RawValue};
use sgeventd_protocol::RpcError;

use crate::pipe::Pipe;

/// The daemon, as seen from a handler.
pub struct Context<'p> {
    pipe: &'p mut Pipe,
    parent: u64,
}

impl<'p> Context<'p> {
    pub(crate) fn new(pipe: &'p mut Pipe, parent: &str) -> Self {
        Self {
            pipe,
            parent: parent.parse().unwrap_or_default(),
        }
    }

    /// Calls a method of the daemon, such as `sg.find` or `state.set`, and waits for its result.
    ///
    /// # Errors
    /// What the daemon answers; see the error codes of the protocol.
    pub fn call(&mut self, method: &str, mut params: Value) -> Result<Box<RawValue>, RpcError> {
        params["_meta"]["parent"] = json!(self.parent);
        self.pipe.call(method, &params)
    }

    /// Writes to the daemon's log; levels are `debug`, `info`, `warning`, `error`.
    pub fn log(&mut self, level: &str, message: &str) {
        self.pipe
            .notify("log", &json!({ "level": level, "message": message }));
    }

    /// Tells a person.
    pub fn alert(&mut self, message: &str) {
        self.pipe.notify("alert", &json!({ "message": message }));
    }

    /// Moves the deadline of this event by so many milliseconds from now.
    pub fn extend(&mut self, extend_ms: u64) {
        self.pipe.notify(
            "$/progress",
            &json!({ "id": self.parent, "extend_ms": extend_ms }),
        );
    }
}
