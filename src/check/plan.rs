//! What a run does, step by step. Data only: `run.rs` carries it out, `scenario.rs` writes it.

use std::time::Duration;

use serde_json::{Value, json};
use sgeventd_protocol::message::{Delivery, EventMeta};

use super::made::Made;

/// How `initialize` is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hello {
    /// As the daemon does.
    Plain,
    /// With members and features of a later daemon.
    Newer,
    /// By a daemon that speaks only a version that does not exist.
    OtherVersion,
}

/// How the plugin's calls are answered while it handles events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// By the services, at once.
    Served,
    /// By the services, after a time, and a `$/…` notification before.
    Late(Duration),
    /// The site is away.
    Away,
}

/// A step.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// `initialize`, and its answer is waited for.
    Initialize(Hello),
    /// `start`, and its answer is waited for.
    Start(Hello),
    /// A request that no daemon makes; its answer is waited for.
    Unknown,
    /// A notification.
    Notify(&'static str, Value),
    /// An event; its answer is waited for.
    Event(Box<Delivered>),
    /// An event that is cancelled at once; its answer is waited for.
    Cancelled(Box<Delivered>),
    /// Several events; all answers are waited for.
    Together(Vec<Delivered>),
    /// Nothing is said for so long.
    Quiet(Duration),
    /// `shutdown`, and its answer or end is waited for.
    Shutdown,
    /// The input is closed, and the end waited for.
    Eof,
}

/// An event as it is delivered.
#[derive(Debug, Clone)]
pub(super) struct Delivered {
    /// `params.delivery`.
    pub(super) delivery: Delivery,
    /// The row, one line.
    pub(super) body: Vec<u8>,
    /// With members of a later daemon.
    pub(super) is_newer: bool,
}

/// A run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// In this order; the first that is waited for in vain is the last.
    pub(super) steps: Vec<Step>,
    /// How calls are answered.
    pub(super) calls: Calls,
}

/// `_meta` of every event: here nobody follows a trace.
pub(super) fn meta() -> EventMeta {
    EventMeta {
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    }
}

impl Plan {
    /// A handshake as the daemon does it, then these steps.
    pub(super) fn after_handshake(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut all = vec![Step::Initialize(Hello::Plain), Step::Start(Hello::Plain)];
        all.extend(steps);
        Self {
            steps: all,
            calls: Calls::Served,
        }
    }

    /// The same with other answers to calls.
    pub(super) fn with(self, calls: Calls) -> Self {
        Self { calls, ..self }
    }
}

impl Delivered {
    /// An event for the first time.
    pub(super) fn of(made: &Made) -> Self {
        Self {
            delivery: Delivery {
                attempt: 1,
                deadline_ms: 120_000,
                behind: 0,
                matched: made.matched.clone(),
                replay: false,
                progress: None,
            },
            body: made.row.to_string().into_bytes(),
            is_newer: false,
        }
    }

    /// The same event once more: a later attempt, by an operator's wish.
    pub(super) fn again(made: &Made) -> Self {
        let mut one = Self::of(made);
        one.delivery.attempt = 2;
        one.delivery.replay = true;
        // As an SDK writes it: nothing is done yet.
        one.delivery.progress = serde_json::value::to_raw_value(&json!({ "done": [] })).ok();
        one
    }

    /// With another row.
    pub(super) fn with_row(made: &Made, change: impl FnOnce(&mut Value)) -> Self {
        let mut made = made.clone();
        change(&mut made.row);
        Self::of(&made)
    }

    /// Params as a later daemon may write them; `event` stays last.
    pub(super) fn newer_params(&self) -> Value {
        let row: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let mut delivery = serde_json::to_value(&self.delivery).unwrap_or_default();
        delivery["a_later_member"] = json!({ "of": ["any", "kind"] });
        json!({
            "_meta": { "traceparent": meta().traceparent, "a_later_member": 1 },
            "a_later_member": [null],
            "delivery": delivery,
            "event": row,
        })
    }
}
