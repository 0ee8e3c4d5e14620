//! What `data` of an error holds, code by code, when there is some.

use schemars::JsonSchema;

use super::{
    event::Failure,
    methods::{Make, of},
};
use crate::ErrorCode;

/// The schema of a code's `data`; none: no data.
pub(super) fn data_of(code: ErrorCode) -> Option<Make> {
    Some(match code {
        ErrorCode::Parse | ErrorCode::Cancelled => return None,
        ErrorCode::InvalidRequest => of::<TooLong>,
        ErrorCode::MethodNotFound => of::<NotThere>,
        ErrorCode::InvalidParams => of::<Unfit>,
        ErrorCode::Internal => of::<Broken>,
        ErrorCode::NotStarted | ErrorCode::ShuttingDown => of::<NotNow>,
        ErrorCode::UnsupportedVersion => of::<Versions>,
        ErrorCode::Fault => of::<Refused>,
        ErrorCode::Busy => of::<Busy>,
        ErrorCode::Permission => of::<NotGranted>,
        ErrorCode::Parent => of::<NoParent>,
        ErrorCode::TooLarge => of::<TooLarge>,
        ErrorCode::SiteUnavailable => of::<Away>,
        ErrorCode::Handler => of::<Failure>,
    })
}

/// `data` of -32600, for a line that is too long.
#[derive(JsonSchema)]
struct TooLong {
    /// How long it was, at least.
    bytes: Option<u64>,
}

/// `data` of -32601.
#[derive(JsonSchema)]
struct NotThere {
    /// What was asked for.
    method: Option<String>,
    /// All methods that there are.
    allowed: Option<Vec<String>>,
}

/// `data` of -32602.
#[derive(JsonSchema)]
struct Unfit {
    method: Option<String>,
    /// Where a file is to blame.
    path: Option<String>,
}

/// `data` of -32603.
#[derive(JsonSchema)]
struct Broken {
    /// True when the same call may work a moment later.
    retry: Option<bool>,
    method: Option<String>,
    /// Where a file is to blame.
    path: Option<String>,
}

/// `data` of -32001 and -32003.
#[derive(JsonSchema)]
struct NotNow {
    method: Option<String>,
}

/// `data` of -32002.
#[derive(JsonSchema)]
struct Versions {
    /// Those that are spoken.
    supported: Vec<u32>,
}

/// `data` of -32010.
#[derive(JsonSchema)]
struct Refused {
    fault: Fault,
    /// The method of the site's own API.
    method: String,
}

/// What the site said.
#[derive(JsonSchema)]
struct Fault {
    /// In its words.
    message: String,
    /// Its own number, where it gave one.
    code: Option<i64>,
}

/// `data` of -32011.
#[derive(JsonSchema)]
struct Busy {
    retry_after_ms: u64,
}

/// `data` of -32012.
#[derive(JsonSchema)]
struct NotGranted {
    /// What allows it, whole, with what is granted already: a section of the config and its key, on two lines, or a member of the manifest; null: nothing does.
    needed: Option<String>,
}

/// `data` of -32013.
#[derive(JsonSchema)]
struct NoParent {
    /// The ids of the event requests that are open: one of them must be named.
    open: Vec<u64>,
    /// What was named, as it was written; absent: nothing was.
    parent: Option<String>,
}

/// `data` of -32014.
#[derive(JsonSchema)]
struct TooLarge {
    /// The most that is allowed: of a result, a value, all values of a plugin, a file, or all answers that are not read.
    limit_bytes: u64,
    /// Of a result: whether a write has happened.
    sent: Option<bool>,
    method: Option<String>,
    /// Where a file is to blame.
    path: Option<String>,
}

/// `data` of -32015.
#[derive(JsonSchema)]
struct Away {
    /// Whether a write may have happened.
    sent: bool,
    /// The status of HTTP that the site answered with, if it did.
    status: Option<u16>,
    /// The method of the site's own API.
    method: String,
}
