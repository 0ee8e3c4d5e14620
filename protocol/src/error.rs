//! Error codes of the protocol, and the error object of JSON-RPC.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Declares the codes once: the enum, and the list of all with their words.
macro_rules! codes {
    ($($(#[doc = $words:literal])+ $name:ident = $code:literal,)+) => {
        /// The codes that both sides use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode {
            $($(#[doc = $words])+ $name = $code,)+
        }

        impl ErrorCode {
            /// Every code with what it means, in the order of the manual.
            pub const ALL: &[(Self, &str)] = &[$((Self::$name, concat!($($words),+)),)+];
        }
    };
}

codes! {
    /// What came is no JSON.
    Parse = -32700,
    /// It is JSON, but no request.
    InvalidRequest = -32600,
    /// The method is not known.
    MethodNotFound = -32601,
    /// The params are wrong.
    InvalidParams = -32602,
    /// Something broke inside.
    Internal = -32603,
    /// The request was cancelled.
    Cancelled = -32800,
    /// Not before `start`.
    NotStarted = -32001,
    /// None of our versions is supported; `data.supported`.
    UnsupportedVersion = -32002,
    /// The daemon ends.
    ShuttingDown = -32003,
    /// A fault of the site; `data.fault`.
    Fault = -32010,
    /// Too many calls; `data.retry_after_ms`.
    Busy = -32011,
    /// Not granted; `data.needed` is what to write into the config.
    Permission = -32012,
    /// `_meta.parent` names no open event, or several are open.
    Parent = -32013,
    /// A result or value is too large.
    TooLarge = -32014,
    /// The site cannot be reached; `data.sent` tells whether a write may have happened.
    SiteUnavailable = -32015,
    /// A handler failed.
    Handler = -32000,
}

/// The error object of JSON-RPC.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// What kind of error; see [`ErrorCode`].
    pub code: i64,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// For programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

impl RpcError {
    /// An error with a code and words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: code as i64,
            message: message.into(),
            data: None,
        }
    }

    /// Adds data; what cannot be JSON is left out.
    #[must_use]
    pub fn with(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::value::to_raw_value(data).ok();
        self
    }
}
