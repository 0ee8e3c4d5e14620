//! A plugin's key-value state in memory: each run begins with none, and nothing of it is kept.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures::future::BoxFuture;
use serde_json::value::RawValue;

use crate::{
    ident::PluginName,
    journal::STATE_TOTAL_MAX,
    services::{Observer, StateError, StateStore, Withheld},
};

/// The values.
#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Box<RawValue>>>);

impl StateStore for Memory {
    fn get<'a>(
        &'a self,
        _plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Box<RawValue>>, StateError>> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.get(key).cloned();
        Box::pin(async { Ok(value) })
    }

    fn set<'a>(
        &'a self,
        _plugin: &'a PluginName,
        key: &'a str,
        value: Box<RawValue>,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = values.iter().filter(|(known, _)| *known != key);
        let held: usize = others
            .map(|(key, value)| key.len() + value.get().len())
            .sum();
        let limit_bytes = usize::try_from(STATE_TOTAL_MAX).unwrap_or(usize::MAX);
        let is_full = held + key.len() + value.get().len() > limit_bytes;
        if !is_full {
            values.insert(key.to_owned(), value);
        }
        let full = is_full.then_some(StateError::Full { limit_bytes });
        Box::pin(async { full.map_or(Ok(()), Err) })
    }

    fn delete<'a>(
        &'a self,
        _plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.remove(key);
        Box::pin(async { Ok(()) })
    }
}

/// Nobody asks what was withheld in a check.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn withheld(&self, _write: &Withheld<'_>) {}
}
