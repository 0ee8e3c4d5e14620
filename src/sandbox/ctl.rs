//! Orders: what may be sent to `/_sandbox/ctl`.
//!
//! In: JSON such as `{"verb": "fail", "kind": "http503", "calls": 3}`. Out: an order that is well formed.
//! Never: its effect; that is the state's.

use serde::Deserialize;

use super::trouble::Kind;

/// An order.
#[derive(Debug, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Verb {
    /// The next calls go wrong; without `calls`, all of them until cleared.
    Fail {
        /// How.
        kind: Kind,
        /// How many.
        calls: Option<u32>,
        /// Seconds, of `http503` and `http429`.
        retry_after: Option<u32>,
        /// Only calls of this method.
        method: Option<String>,
        /// Only this row, of the kinds about rows.
        id: Option<i64>,
    },
    /// Every page with this row fails, unless only ids are asked for.
    Poison {
        /// The row.
        id: i64,
        /// Only when this field is asked for.
        field: Option<String>,
    },
    /// Every answer takes this much longer.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// Leaves a hole in the ids.
    Jump {
        /// How wide.
        by: i64,
    },
    /// The log forgets all rows above an id and continues there.
    Restore {
        /// The id.
        to: i64,
    },
    /// The next polls of the log do not see its newest rows.
    Lag {
        /// How many rows.
        rows: usize,
        /// For how many polls.
        polls: u32,
    },
    /// A script's key is refused; without a name, every key.
    RevokeKey {
        /// The script.
        script: Option<String>,
    },
    /// The key works again.
    RestoreKey {
        /// The script.
        script: Option<String>,
    },
    /// Appends rows, dense and readable at once.
    Bulk {
        /// How many.
        count: usize,
    },
    /// Artists do things; with `late_ms`, their rows become readable so much later.
    Work {
        /// How often.
        #[serde(default = "once")]
        times: u32,
        /// Milliseconds.
        late_ms: Option<i64>,
    },
    /// Artists do things that are rolled back: gaps for ever.
    Abandon {
        /// How often.
        #[serde(default = "once")]
        times: u32,
    },
    /// Everything works again; keys and the log stay as they are.
    Clear,
}

fn once() -> u32 {
    1
}
