//! An event and what may be answered to it.

use schemars::JsonSchema;
use serde_json::Value;

use super::calls::Link;
use crate::message::{Delivery, EventMeta};

/// Params of `event`.
#[derive(JsonSchema)]
#[schemars(rename = "EventParams")]
pub(super) struct Event {
    /// About this attempt.
    pub(super) delivery: Delivery,
    #[serde(rename = "_meta")]
    pub(super) meta: EventMeta,
    /// The last member.
    pub(super) event: LogEntry,
}

/// A row of the site's event log, `EventLogEntry`, as the site gave it. A row that spoils its page comes with fewer fields.
#[derive(JsonSchema)]
pub(super) struct LogEntry {
    /// Always `EventLogEntry`.
    pub(super) r#type: String,
    /// The idempotency key.
    pub(super) id: i64,
    /// Such as `Shotgun_Shot_Change`.
    pub(super) event_type: Option<String>,
    /// The field that changed.
    pub(super) attribute_name: Option<String>,
    /// By kind; see the site's documentation.
    pub(super) meta: Option<Value>,
    /// Null when it is retired by now.
    pub(super) entity: Option<Link>,
    pub(super) user: Option<Link>,
    pub(super) project: Option<Link>,
    pub(super) session_uuid: Option<String>,
    /// ISO 8601, UTC.
    pub(super) created_at: Option<String>,
}

/// Result of `event`: what was done with it. Anything else counts as a failure.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum Answer {
    /// Done, `null` or an object without `status`.
    Done(Option<NoStatus>),
    /// With words for what was done.
    Said(Status),
}

/// An object without `status`: done.
#[derive(JsonSchema)]
pub(super) struct NoStatus {
    /// Absent or null.
    pub(super) status: Option<()>,
}

/// What was done with an event.
#[derive(JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum Status {
    /// Done.
    Ok {
        /// What went wrong on the way: an alert goes out all the same.
        errors: Option<Vec<Value>>,
    },
    /// Not for this plugin; counted apart.
    Skip { reason: Option<String> },
    /// Again later; costs an attempt.
    Retry {
        /// At most an hour; none: the schedule applies.
        #[schemars(range(min = 0, max = 3_600_000))]
        after_ms: Option<f64>,
        reason: Option<String>,
        /// Comes back as `delivery.progress`: JSON up to 4 KiB.
        progress: Option<Value>,
    },
    /// Never again; kept as a dead letter.
    Dead { reason: Option<String> },
}

/// `data` of the error that answers `event` when its handler failed.
#[derive(JsonSchema)]
pub(super) struct Failure {
    /// The exception's type.
    pub(super) r#type: Option<String>,
    pub(super) traceback: Option<String>,
    /// Local variables, as text.
    pub(super) locals: Option<Value>,
    /// Comes back as `delivery.progress`: JSON up to 4 KiB.
    pub(super) progress: Option<Value>,
}

/// An object without meaning.
#[derive(JsonSchema)]
pub(super) struct Empty {}
