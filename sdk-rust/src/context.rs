//! What a handler may do besides returning.
//!
//! In: calls and words of one event's handler. Out: messages that name the event.

use std::time::Duration;

use serde_json::{Value, json, value::RawValue};

use crate::{CallError, caller::Caller, pipe::Pipe, site::Shotgun, state::State};

/// The daemon, as seen from a handler.
pub struct Context<'p> {
    pipe: &'p mut Pipe,
    parent: u64,
    config: &'p Value,
}

impl<'p> Context<'p> {
    pub(crate) fn new(pipe: &'p mut Pipe, parent: &str, config: &'p Value) -> Self {
        Self {
            pipe,
            parent: parent.parse().unwrap_or_default(),
            config,
        }
    }

    /// The site: `context.sg().find("Shot", json!([["code", "is", "sh010"]]), &["code"])?`.
    pub fn sg(&mut self) -> Shotgun<'_> {
        Shotgun::new(self.caller())
    }

    /// Values that outlive the process.
    pub fn state(&mut self) -> State<'_> {
        State::new(self.caller())
    }

    /// The plugin's table in the operator's config.
    #[must_use]
    pub fn config(&self) -> &Value {
        self.config
    }

    /// Calls any method of the daemon and waits for its result; the params must be an object.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Box<RawValue>, CallError> {
        if !params.is_object() {
            return Err(CallError::bad_call(format!(
                "the params of {method} must be an object, not {params}"
            )));
        }
        self.caller().call(method, params)
    }

    /// Writes to the daemon's log; levels are `debug`, `info`, `warning`, `error`.
    pub fn log(&mut self, level: &str, message: &str) {
        self.log_with(level, message, json!({}));
    }

    /// Writes to the daemon's log, with fields.
    pub fn log_with(&mut self, level: &str, message: &str, fields: Value) {
        let params = json!({
            "level": level, "message": message, "fields": fields, "_meta": { "parent": self.parent },
        });
        self.pipe.tell("log", &params);
    }

    /// Tells the people who look after the plugin.
    pub fn alert(&mut self, message: &str) {
        let params = json!({ "message": message, "_meta": { "parent": self.parent } });
        self.pipe.tell("alert", &params);
    }

    /// Says how far this event is, in words and from 0 to 100.
    pub fn progress(&mut self, message: &str, percent: f64) {
        let params = json!({ "id": self.parent, "message": message, "percent": percent });
        self.pipe.tell("$/progress", &params);
    }

    /// Moves the deadline of this event: so long from now.
    pub fn extend(&mut self, time: Duration) {
        let params = json!({ "id": self.parent, "extend_ms": millis(time) });
        self.pipe.tell("$/progress", &params);
    }

    /// Asks for no new events for a while, ten minutes at most.
    pub fn pause(&mut self, time: Duration, reason: &str) {
        let params = json!({ "for_ms": millis(time), "reason": reason });
        self.pipe.tell("pause", &params);
    }

    /// Says that this process is no good any more; the daemon starts a new one.
    pub fn unhealthy(&mut self, reason: &str) {
        self.pipe.tell("unhealthy", &json!({ "reason": reason }));
    }

    /// True when the daemon gave up waiting for this event; the handler should return at once.
    pub fn is_cancelled(&mut self) -> bool {
        self.pipe.is_cancelled(self.parent)
    }

    fn caller(&mut self) -> Caller<'_> {
        Caller::new(self.pipe, self.parent)
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
