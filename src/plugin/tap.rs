//! The traffic log of one plugin's pipe: every message as one line, answers with how long they took.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sgeventd_protocol::Item;

use crate::{
    clock::{Clock, Now, Unix},
    ident::{EventId, PluginName},
    peer::Tap,
    telemetry::{Direction, Traffic, TrafficRecord},
};

/// Open requests that are remembered for their latency.
const OPEN_MAX: usize = 4096;

/// See the module.
pub(super) struct PluginTap {
    traffic: Traffic,
    plugin: PluginName,
    clock: Clock,
    open: HashMap<u64, Open>,
}

struct Open {
    method: Box<str>,
    event_id: Option<EventId>,
    at: Now,
}

#[derive(Deserialize, Default)]
struct Sent<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EventParams<'a> {
    #[serde(borrow)]
    event: EventRow<'a>,
}

#[derive(Deserialize)]
struct EventRow<'a> {
    #[serde(default)]
    id: Option<i64>,
    #[serde(borrow, default)]
    created_at: Option<Cow<'a, str>>,
}

impl PluginTap {
    pub(super) fn new(traffic: Traffic, plugin: PluginName, clock: Clock) -> Self {
        Self {
            traffic,
            plugin,
            clock,
            open: HashMap::new(),
        }
    }

    fn record(&self, direction: Direction, at: Now, method: &str) -> TrafficRecord {
        TrafficRecord {
            time: at.unix,
            plugin: Some(self.plugin.clone()),
            direction,
            event_id: None,
            method: method.into(),
            id: None,
            bytes: 0,
            latency: None,
            delay: None,
            status: None,
            body: None,
        }
    }

    fn body(&self, line: &[u8]) -> Option<Bytes> {
        self.traffic
            .wants_bodies()
            .then(|| Bytes::copy_from_slice(line))
    }

    /// What is neither request nor answer.
    fn odd(&self, method: &str, id: Option<&str>, text: &[u8]) {
        let mut record = self.odd_record(method, id);
        record.bytes = text.len() as u64;
        record.body = self.body(text).filter(|body| !body.is_empty());
        self.traffic.record(record);
    }

    fn odd_record(&self, method: &str, id: Option<&str>) -> TrafficRecord {
        let mut record = self.record(Direction::FromPlugin, self.clock.now(), method);
        record.id = id.map(Into::into);
        record.status = Some("odd".into());
        record
    }

    fn answered(&mut self, id: u64, outcome: &Result<Box<RawValue>, sgeventd_protocol::RpcError>) {
        let now = self.clock.now();
        let open = self.open.remove(&id);
        let method = open.as_ref().map_or("response", |open| &*open.method);
        let mut record = self.record(Direction::FromPlugin, now, method);
        record.id = Some(id.to_string().into());
        record.event_id = open.as_ref().and_then(|open| open.event_id);
        record.latency = open.map(|open| now.mono - open.at.mono);
        let (text, status) = match outcome {
            Ok(result) => (result.get(), "ok".into()),
            Err(error) => (error.message.as_str(), error.code.to_string().into()),
        };
        record.bytes = text.len() as u64;
        record.status = Some(status);
        record.body = self.body(text.as_bytes());
        self.traffic.record(record);
    }
}

impl Tap for PluginTap {
    fn sent(&mut self, line: &[u8]) {
        let sent: Sent<'_> = serde_json::from_slice(line).unwrap_or_default();
        let now = self.clock.now();
        let method = sent.method.as_deref().unwrap_or("response");
        let mut record = self.record(Direction::ToPlugin, now, method);
        record.bytes = line.len() as u64;
        record.id = sent.id.map(|id| id.get().into());
        record.body = self.body(line);
        if sent.method.is_none() {
            record.status = Some(if sent.error.is_some() { "error" } else { "ok" }.into());
        }
        if method == "event"
            && let Some(params) = sent.params
            && let Ok(params) = serde_json::from_str::<EventParams<'_>>(params.get())
        {
            record.event_id = params.event.id.map(EventId);
            record.delay = params.event.created_at.and_then(|at| since(&at, now.unix));
        }
        let id = sent.id.and_then(|id| id.get().parse().ok());
        if let Some(id) = id.filter(|_| sent.method.is_some() && self.open.len() < OPEN_MAX) {
            let open = Open {
                method: method.into(),
                event_id: record.event_id,
                at: now,
            };
            self.open.insert(id, open);
        }
        self.traffic.record(record);
    }

    fn received(&mut self, item: &Item) {
        let (method, id, params) = match item {
            Item::Response { id, outcome } => return self.answered(*id, outcome),
            Item::Request { id, method, params } => (method.as_str(), Some(id), params.as_ref()),
            Item::Notification { method, params } => (method.as_str(), None, params.as_ref()),
            Item::Stray(text) => return self.odd("stray", None, text.as_bytes()),
            Item::Unasked { id } => return self.odd("unasked", Some(id), b""),
            Item::Echo => return self.odd("echo", None, b""),
            Item::Invalid { id } => return self.odd("invalid", Some(id.get()), b""),
            Item::TooLong { id, bytes } => {
                let id = id.as_ref().map(|id| id.get());
                let mut record = self.odd_record("too_long", id);
                record.bytes = *bytes as u64;
                return self.traffic.record(record);
            }
        };
        let mut record = self.record(Direction::FromPlugin, self.clock.now(), method);
        record.id = id.map(|id| id.get().into());
        record.bytes = params.map_or(0, |params| params.get().len() as u64);
        record.body = params.and_then(|params| self.body(params.get().as_bytes()));
        self.traffic.record(record);
    }
}

fn since(created_at: &str, now: Unix) -> Option<Duration> {
    let at: jiff::Timestamp = created_at.parse().ok()?;
    Some(now - Unix(at.as_millisecond()))
}
