//! `state.get`, `state.set`, `state.delete`: a plugin's own key-value store, answered when it is on disk.
//!
//! In: params. Out: what the store says. The store itself is the journal's, behind a trait.
//! Never: another plugin's keys, a value rebuilt.

use futures::future::BoxFuture;
use serde::{Deserialize, Deserializer};
use serde_json::{json, value::RawValue};
use sgeventd_protocol::ErrorCode;

use super::{arguments, error::RpcError};
use crate::ident::PluginName;

/// The largest value.
const VALUE_BYTES: usize = 64 << 10;
/// The longest key.
const KEY_BYTES: usize = 1 << 10;

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum StateError {
    /// The plugin's values would be larger than allowed, all together.
    #[error("the plugin's state would be larger than {} MiB", limit_bytes >> 20)]
    Full {
        /// In bytes.
        limit_bytes: usize,
    },
    /// The journal cannot be written or read.
    #[error("the state cannot be reached: {0}")]
    Unavailable(String),
}

/// Keeps the values. A change is answered when it is on disk.
pub trait StateStore: Send + Sync {
    /// The value of a key, as it was set.
    fn get<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Box<RawValue>>, StateError>>;

    /// Sets a value.
    fn set<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
        value: Box<RawValue>,
    ) -> BoxFuture<'a, Result<(), StateError>>;

    /// Forgets a key; one that is not there is no error.
    fn delete<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), StateError>>;
}

#[derive(Deserialize)]
struct Params<'a> {
    key: String,
    #[serde(borrow, default, deserialize_with = "there")]
    value: Option<&'a RawValue>,
}

/// A value that is there, `null` too.
fn there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Answers one of the three methods.
pub(super) async fn answer(
    store: &dyn StateStore,
    plugin: &PluginName,
    method: &str,
    params: &RawValue,
) -> Result<Box<RawValue>, RpcError> {
    let params: Params<'_> =
        arguments::read(params.get()).map_err(|what| RpcError::params(method, what))?;
    let key = &*params.key;
    if key.is_empty() || key.len() > KEY_BYTES {
        let found = key.len();
        let what = format!("`key` has {found} bytes; allowed: 1 to {KEY_BYTES}");
        return Err(RpcError::params(method, what));
    }
    let done = match method {
        "state.get" => return got(store.get(plugin, key).await.map_err(failed)?),
        "state.delete" => store.delete(plugin, key).await,
        _ => {
            // A value that is null reads as none afterwards; one that was forgotten is no wish to forget.
            let value = params
                .value
                .ok_or_else(|| RpcError::params(method, "missing field `value`"))?;
            if value.get().len() > VALUE_BYTES {
                return Err(value_too_large(value.get().len()));
            }
            store.set(plugin, key, value.to_owned()).await
        }
    };
    done.map_err(failed)?;
    Ok(raw("{}".to_owned()))
}

fn got(value: Option<Box<RawValue>>) -> Result<Box<RawValue>, RpcError> {
    let value = value.as_deref().unwrap_or(RawValue::NULL);
    Ok(raw(format!("{{\"value\":{}}}", value.get())))
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("an object around JSON is JSON")
}

fn value_too_large(found: usize) -> RpcError {
    let message = format!("`value` has {found} bytes; allowed: {VALUE_BYTES}");
    let data = json!({ "limit_bytes": VALUE_BYTES });
    RpcError::new(ErrorCode::TooLarge, message, &data)
}

fn failed(error: StateError) -> RpcError {
    let (code, data) = match &error {
        StateError::Full { limit_bytes } => {
            (ErrorCode::TooLarge, json!({ "limit_bytes": limit_bytes }))
        }
        StateError::Unavailable(_) => (ErrorCode::Internal, json!({ "retry": true })),
    };
    RpcError::new(code, error.to_string(), &data)
}
