//! What a call of the daemon may fail with.
//!
//! In: the error object of the protocol. Out: a kind to match on, and what the daemon said with it.

use std::{fmt, time::Duration};

use serde_json::{Value, value::RawValue};
use sgeventd_protocol::{ErrorCode, RpcError};

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The site refused the call: bad field, bad filter, no such entity.
    Fault,
    /// The operator did not grant it; see [`CallError::needed`].
    Permission,
    /// Too many calls are under way; see [`CallError::retry_after`].
    Busy,
    /// The site is away; see [`CallError::maybe_done`].
    SiteUnavailable,
    /// A result, a value or a message is above its limit.
    TooLarge,
    /// This daemon does not offer the call.
    NotSupported,
    /// The arguments cannot be right.
    BadCall,
    /// The call was cancelled.
    Cancelled,
    /// Before `start` only reads and the log are served.
    NotStarted,
    /// The call does not say to which of several open events it belongs.
    UnknownParent,
    /// The daemon has gone, or is going.
    Disconnected,
    /// The daemon's answer is not of the type that was asked for.
    Answer,
    /// Anything else.
    Other,
}

/// A call of the daemon failed.
#[derive(Debug, Clone)]
pub struct CallError {
    kind: ErrorKind,
    code: i64,
    message: String,
    data: Value,
}

impl CallError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The number of the protocol; 0 when the error was found on this side.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The words, without the kind.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the daemon said besides, as it said it; null when nothing.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// Of a fault: the site's own code (102 who are you, 103 malformed, 104 cannot be done).
    #[must_use]
    pub fn fault_code(&self) -> Option<i64> {
        self.data["fault"]["code"].as_i64()
    }

    /// Of a missing permission: what to write into the config, a section and its key, or a member of the manifest.
    #[must_use]
    pub fn needed(&self) -> Option<&str> {
        self.data["needed"].as_str()
    }

    /// When too many calls are under way: after this long another try is worth it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.data["retry_after_ms"]
            .as_u64()
            .map(Duration::from_millis)
    }

    /// True when it was a write and some of it left: it may have happened.
    #[must_use]
    pub fn maybe_done(&self) -> bool {
        self.data["sent"] == true
    }

    pub(crate) fn answer(method: &str, error: &serde_json::Error) -> Self {
        Self::own(
            ErrorKind::Answer,
            format!("the answer to {method}: {error}"),
        )
    }

    pub(crate) fn bad_call(message: String) -> Self {
        Self::own(ErrorKind::BadCall, message)
    }

    fn own(kind: ErrorKind, message: String) -> Self {
        Self {
            kind,
            code: 0,
            message,
            data: Value::Null,
        }
    }
}

impl From<RpcError> for CallError {
    fn from(error: RpcError) -> Self {
        let data = error.data.as_deref().map_or("null", RawValue::get);
        Self {
            kind: kind(error.code),
            code: error.code,
            data: serde_json::from_str(data).unwrap_or_default(),
            message: error.message,
        }
    }
}

fn kind(code: i64) -> ErrorKind {
    use {ErrorCode as C, ErrorKind as K};
    let known = [
        (C::Fault, K::Fault),
        (C::Permission, K::Permission),
        (C::Busy, K::Busy),
        (C::SiteUnavailable, K::SiteUnavailable),
        (C::TooLarge, K::TooLarge),
        (C::MethodNotFound, K::NotSupported),
        (C::InvalidParams, K::BadCall),
        (C::Cancelled, K::Cancelled),
        (C::NotStarted, K::NotStarted),
        (C::Parent, K::UnknownParent),
        (C::ShuttingDown, K::Disconnected),
    ];
    let found = known.iter().find(|(known, _)| *known as i64 == code);
    found.map_or(K::Other, |(_, kind)| *kind)
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.needed() {
            Some(needed) if !self.message.contains("; needed: ") => write!(f, "; needed: {needed}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for CallError {}
