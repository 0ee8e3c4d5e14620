//! A few values that outlive the process, kept by the daemon beside the plugin's place.
//!
//! In: keys and JSON values (64 KiB each, 16 MiB in all). Out: the same, once they are on disk.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};

use crate::{
    CallError,
    caller::{Called, Caller},
};

/// The plugin's durable values; made by [`Context::state`](crate::Context::state).
pub struct State<'c> {
    caller: Caller<'c>,
}

impl<'c> State<'c> {
    pub(crate) fn new(caller: Caller<'c>) -> Self {
        Self { caller }
    }

    /// The value of a key, none when there is none.
    ///
    /// # Errors
    /// What the daemon answers; a value that is not of the type.
    pub fn get<T: DeserializeOwned>(&mut self, key: &str) -> Called<Option<T>> {
        #[derive(serde::Deserialize)]
        struct Found<T> {
            value: Option<T>,
        }
        let found: Box<RawValue> = self.caller.call("state.get", json!({ "key": key }))?;
        let found: serde_json::Result<Found<T>> = serde_json::from_str(found.get());
        found
            .map(|found| found.value)
            .map_err(|error| CallError::answer("state.get", &error))
    }

    /// Keeps a value; it is on disk when this returns.
    ///
    /// # Errors
    /// What the daemon answers; a value that has no JSON form.
    pub fn set(&mut self, key: &str, value: &impl Serialize) -> Called<()> {
        let value = serde_json::to_value(value)
            .map_err(|error| CallError::bad_call(format!("the value of {key:?}: {error}")))?;
        self.caller
            .call("state.set", json!({ "key": key, "value": value }))?;
        Ok(())
    }

    /// Forgets a key; one that is not there is no error.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn delete(&mut self, key: &str) -> Called<()> {
        self.caller.call("state.delete", json!({ "key": key }))?;
        Ok(())
    }
}
