//! The way of calls: each names the event it belongs to.
//!
//! In: methods and params. Out: the daemon's results, or its errors.

use serde_json::{Value, value::RawValue};

use crate::{error::CallError, pipe::Pipe};

/// What a call comes to.
pub type Called<T> = Result<T, CallError>;

/// Calls for one event.
pub(crate) struct Caller<'c> {
    pipe: &'c mut Pipe,
    parent: u64,
}

impl<'c> Caller<'c> {
    pub(crate) fn new(pipe: &'c mut Pipe, parent: u64) -> Self {
        Self { pipe, parent }
    }

    pub(crate) fn call(&mut self, method: &str, mut params: Value) -> Called<Box<RawValue>> {
        params["_meta"]["parent"] = self.parent.into();
        self.pipe.call(method, &params).map_err(CallError::from)
    }
}
