//! The traffic log: every message on a plugin's pipe and every call to the site, one JSON line each.
//!
//! In: a [`TrafficRecord`] from whoever moved the message. Out: a line in the file and to whoever follows.
//! Off costs one branch. Never: a wait, a key, a body that nobody asked for.

use std::{collections::HashSet, fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::broadcast;

use super::{format::utc, queue::Queue, redact::clean};
use crate::{
    clock::Unix,
    ident::{EventId, PluginName},
};

/// A follower that is this many lines behind loses the oldest, and is told.
const FOLLOW_LINES: usize = 1024;
/// A longer body is cut: the line must stay a line.
const MAX_BODY: usize = 256 << 10;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing.
    Off,
    /// A line a message, without the message.
    Headers,
    /// With the message.
    Bodies,
}

impl From<crate::config::TrafficDetail> for Detail {
    fn from(detail: crate::config::TrafficDetail) -> Self {
        match detail {
            crate::config::TrafficDetail::Off => Self::Off,
            crate::config::TrafficDetail::Headers => Self::Headers,
            crate::config::TrafficDetail::Bodies => Self::Bodies,
        }
    }
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Down a plugin's pipe.
    ToPlugin,
    /// Up a plugin's pipe.
    FromPlugin,
    /// A call to the site.
    ToSite,
    /// The site's answer.
    FromSite,
}

/// One message.
#[derive(Debug, Clone)]
pub struct TrafficRecord {
    /// When.
    pub time: Unix,
    /// Whose; none: the daemon's own call to the site.
    pub plugin: Option<PluginName>,
    /// Which way.
    pub direction: Direction,
    /// The event it belongs to.
    pub event_id: Option<EventId>,
    /// The method, or that of the request that it answers.
    pub method: Box<str>,
    /// The request's id as raw JSON, or as the site's session counts.
    pub id: Option<Box<str>>,
    /// The message's length.
    pub bytes: u64,
    /// From request to answer.
    pub latency: Option<Duration>,
    /// From the event's `created_at` to now.
    pub delay: Option<Duration>,
    /// Such as `ok`, `retry`, `error -32010`, `503`.
    pub status: Option<Box<str>>,
    /// The message itself; see [`Traffic::wants_bodies`].
    pub body: Option<Bytes>,
}

impl TrafficRecord {
    /// What it holds in memory, about.
    pub(super) fn size(&self) -> usize {
        256 + self.body.as_ref().map_or(0, Bytes::len)
    }

    /// The record as one line of JSON with its newline, cleaned.
    pub(super) fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            plugin: Option<&'a PluginName>,
            direction: Direction,
            #[serde(skip_serializing_if = "Option::is_none")]
            event_id: Option<EventId>,
            method: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a str>,
            bytes: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            latency_ms: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            delay_ms: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<&'a str>,
        }
        let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let line = Line {
            time: utc(self.time),
            plugin: self.plugin.as_ref(),
            direction: self.direction,
            event_id: self.event_id,
            method: &self.method,
            id: self.id.as_deref(),
            bytes: self.bytes,
            latency_ms: self.latency.map(ms),
            delay_ms: self.delay.map(ms),
            status: self.status.as_deref(),
        };
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        if let Some(body) = &self.body {
            text.pop();
            let _ = write!(text, ",\"body\":{}}}", body_json(body));
        }
        let mut text = clean(&text).into_owned();
        text.push('\n');
        text
    }
}

/// A record and what the file gets of it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) record: TrafficRecord,
    pub(super) detail: Detail,
}

/// The body as it is when it is one line of JSON, else as a string, cut when it is long.
fn body_json(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.len() > MAX_BODY {
        let end = (0..=MAX_BODY)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        return serde_json::Value::from(format!(
            "{}… ({} bytes more)",
            &text[..end],
            text.len() - end
        ))
        .to_string();
    }
    match serde_json::from_str::<&serde_json::value::RawValue>(&text) {
        Ok(raw) if !raw.get().contains(['\n', '\r']) => raw.get().to_owned(),
        Ok(raw) => String::from_utf8_lossy(&crate::event::one_line(raw.get())).into_owned(),
        Err(_) => serde_json::Value::from(text.as_ref()).to_string(),
    }
}

#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    followers: broadcast::Sender<Arc<str>>,
    /// What the file gets of plugins that say nothing themselves; off without a file.
    detail: Detail,
    has_file: bool,
    only: Option<HashSet<String>>,
}

/// The handle of everybody who moves messages.
#[derive(Debug, Clone)]
pub struct Traffic {
    shared: Option<Arc<Shared>>,
    detail: Detail,
    is_followable: bool,
}

impl Traffic {
    /// A handle that does nothing.
    #[must_use]
    pub fn off() -> Self {
        Self {
            shared: None,
            detail: Detail::Off,
            is_followable: false,
        }
    }

    /// A handle that writes to the queue; `detail` is what the file gets.
    pub(super) fn new(queue: Arc<Queue>, options: &crate::config::TrafficLog) -> Self {
        let detail = match (&options.file, options.bodies) {
            (None, _) => Detail::Off,
            (Some(_), false) => Detail::Headers,
            (Some(_), true) => Detail::Bodies,
        };
        let only = options
            .plugins
            .as_ref()
            .map(|names| names.iter().cloned().collect());
        let followers = broadcast::Sender::new(FOLLOW_LINES);
        let shared = Shared {
            queue,
            followers,
            detail,
            has_file: options.file.is_some(),
            only,
        };
        Self {
            shared: Some(Arc::new(shared)),
            detail,
            is_followable: true,
        }
    }

    /// The handle for one plugin: `own` is its `traffic` key, which wins over the filter of `[log.traffic]`.
    #[must_use]
    pub fn for_plugin(&self, plugin: &PluginName, own: Option<Detail>) -> Self {
        let Some(shared) = &self.shared else {
            return Self::off();
        };
        let is_listed = shared
            .only
            .as_ref()
            .is_none_or(|only| only.contains(plugin.as_str()));
        let detail = match own {
            _ if !shared.has_file => Detail::Off,
            Some(own) => own,
            None if is_listed => shared.detail,
            None => Detail::Off,
        };
        Self {
            shared: self.shared.clone(),
            detail,
            is_followable: own != Some(Detail::Off),
        }
    }

    /// True when records are wanted by the file or by somebody who follows.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.detail > Detail::Off || self.is_followed()
    }

    /// True when records should carry the message itself.
    #[must_use]
    pub fn wants_bodies(&self) -> bool {
        self.detail == Detail::Bodies || self.is_followed()
    }

    fn is_followed(&self) -> bool {
        self.is_followable
            && self
                .shared
                .as_ref()
                .is_some_and(|shared| shared.followers.receiver_count() > 0)
    }

    /// Takes a record. Never waits: what does not fit is dropped and counted.
    pub fn record(&self, record: TrafficRecord) {
        if self.is_on()
            && let Some(shared) = &self.shared
        {
            shared.queue.push_traffic(Message {
                record,
                detail: self.detail,
            });
        }
    }

    /// Every line from now on, bodies included, for `sgeventd traffic` and the dashboard.
    #[must_use]
    pub fn follow(&self) -> Option<broadcast::Receiver<Arc<str>>> {
        self.shared
            .as_ref()
            .map(|shared| shared.followers.subscribe())
    }

    /// Hands a line to whoever follows.
    pub(super) fn publish(&self, line: impl FnOnce() -> String) {
        if let Some(shared) = &self.shared
            && shared.followers.receiver_count() > 0
        {
            // Nobody there any more is no error.
            drop(shared.followers.send(line().trim_end().into()));
        }
    }
}
