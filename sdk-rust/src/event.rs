//! An event as a handler sees it.
//!
//! In: the params of an `event` request. Out: its members, taken apart when they are first asked for.

use std::cell::OnceCell;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// One row of the site's event log, and how it came.
#[derive(Debug)]
pub struct Event<'a> {
    raw: &'a RawValue,
    /// Costs more than all the rest, and many handlers never look.
    row: OnceCell<Value>,
    delivery: Delivery<'a>,
}

#[derive(Debug, Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow, default)]
    delivery: Delivery<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Delivery<'a> {
    #[serde(default)]
    attempt: u32,
    #[serde(default)]
    behind: u64,
    #[serde(borrow, default, rename = "match")]
    matched: Vec<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    replay: bool,
    #[serde(borrow, default)]
    progress: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Progress {
    #[serde(default)]
    done: Vec<String>,
}

impl<'a> Event<'a> {
    pub(crate) fn read(params: &'a str) -> serde_json::Result<Self> {
        let Params { event, delivery } = serde_json::from_str(params)?;
        Ok(Self {
            raw: event,
            row: OnceCell::new(),
            delivery,
        })
    }

    pub(crate) fn matched(&self) -> impl Iterator<Item = &str> {
        self.delivery.matched.iter().map(AsRef::as_ref)
    }

    /// Handlers that an earlier attempt has done.
    pub(crate) fn done(&self) -> Vec<String> {
        let progress = self.delivery.progress.map(RawValue::get);
        let progress = progress.and_then(|text| serde_json::from_str::<Progress>(text).ok());
        progress.unwrap_or_default().done
    }

    fn row(&self) -> &Value {
        self.row
            .get_or_init(|| serde_json::from_str(self.raw.get()).unwrap_or_default())
    }

    /// The row as the site wrote it.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        self.raw
    }

    /// The row as a type of yours.
    ///
    /// # Errors
    /// The row is not of that type.
    pub fn read_as<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.raw.get())
    }

    /// The site's id: the key under which to do a thing only once.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.row()["id"].as_i64().unwrap_or_default()
    }

    /// For instance `Shotgun_Task_Change`.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.text("event_type").unwrap_or_default()
    }

    /// A member that is text, such as `attribute_name`.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        self.row()[member].as_str()
    }

    /// Any member, such as `entity` or `meta`; null when absent.
    #[must_use]
    pub fn get(&self, member: &str) -> &Value {
        &self.row()[member]
    }

    /// Above 1 it is a redelivery.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt.max(1)
    }

    /// How many events stand behind this one in the daemon's journal.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.delivery.behind
    }

    /// An operator asked for it again.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.delivery.replay
    }
}
