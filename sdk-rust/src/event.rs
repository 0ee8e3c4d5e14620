//! An event as a handler sees it.

use serde::Deserialize;
use serde_json::Value;

/// One row of the site's event log, and how it came.
#[derive(Debug, Deserialize)]
pub struct Event {
    #[serde(rename = "event")]
    row: Value,
    delivery: Delivery,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    #[serde(default)]
    attempt: u32,
    #[serde(default, rename = "match")]
    matched: Vec<String>,
    #[serde(default)]
    replay: bool,
    #[serde(default)]
    progress: Value,
}

impl Event {
    pub(crate) fn read(params: &str) -> serde_json::Result<Self> {
        serde_json::from_str(params)
    }

    pub(crate) fn matched(&self) -> Vec<String> {
        self.delivery.matched.clone()
    }

    /// Handlers that an earlier attempt has done.
    pub(crate) fn done(&self) -> Vec<String> {
        let done = self.delivery.progress["done"].as_array();
        done.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    /// The site's id: the key under which to do a thing only once.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.row["id"].as_i64().unwrap_or_default()
    }

    /// A member that is text, such as `event_type`.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        self.row[member].as_str()
    }

    /// Any member, such as `entity` or `meta`; null when absent.
    #[must_use]
    pub fn get(&self, member: &str) -> &Value {
        &self.row[member]
    }

    /// Above 1 it is a redelivery.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt
    }

    /// An operator asked for it again.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.delivery.replay
    }
}
