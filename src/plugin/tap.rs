//! The traffic log of one plugin's pipe: every message as one line, answers with how long they took, and what belongs to an
//! event with its id.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sgeventd_protocol::{Item, message::CallParams};

use crate::{
    clock::{Clock, Now, Unix},
    ident::{EventId, PluginName},
    peer::Tap,
    telemetry::{Direction, Traffic, TrafficRecord},
};

/// Open requests that are remembered, of either side.
const OPEN_MAX: usize = 4096;

/// See the module.
pub(super) struct PluginTap {
    traffic: Traffic,
    plugin: PluginName,
    clock: Clock,
    open: OpenRequests,
}

/// What waits for an answer, in either direction.
#[derive(Default)]
struct OpenRequests {
    /// Requests of the daemon, by their ids.
    ours: HashMap<u64, Open>,
    /// Calls of the plugin that belong to an event, by their ids as they came.
    calls: HashMap<Box<str>, EventId>,
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

/// What a notification that begins with `$/` is about.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
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

impl OpenRequests {
    fn asked(&mut self, id: u64, open: Open) {
        if self.ours.len() < OPEN_MAX {
            self.ours.insert(id, open);
        }
    }

    /// The event that a message of the plugin belongs to: the one that it names, or the only one that is open.
    fn event_of(&self, params: Option<&RawValue>) -> Option<EventId> {
        let named = params.and_then(|params| serde_json::from_str::<CallParams>(params.get()).ok());
        if let Some(parent) = named.and_then(|named| named.meta.parent) {
            return self.ours.get(&parent)?.event_id;
        }
        let mut events = self.ours.values().filter_map(|open| open.event_id);
        let only = events.next()?;
        events.next().is_none().then_some(only)
    }

    /// A call of the plugin begins; the event that it belongs to.
    fn called(&mut self, id: &RawValue, params: Option<&RawValue>) -> Option<EventId> {
        let event_id = self.event_of(params)?;
        if self.calls.len() < OPEN_MAX {
            self.calls.insert(id.get().into(), event_id);
        }
        Some(event_id)
    }

    /// The event that a notification belongs to.
    fn told(&self, method: &str, params: Option<&RawValue>) -> Option<EventId> {
        if !method.starts_with("$/") {
            return self.event_of(params);
        }
        let about: About<'_> = serde_json::from_str(params?.get()).ok()?;
        let ours = about
            .id
            .get()
            .parse()
            .ok()
            .and_then(|id| self.ours.get(&id));
        let of_call = || self.calls.get(about.id.get()).copied();
        ours.and_then(|open| open.event_id).or_else(of_call)
    }
}

impl PluginTap {
    pub(super) fn new(traffic: Traffic, plugin: PluginName, clock: Clock) -> Self {
        Self {
            traffic,
            plugin,
            clock,
            open: OpenRequests::default(),
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
        let open = self.open.ours.remove(&id);
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
            record.event_id = sent.id.and_then(|id| self.open.calls.remove(id.get()));
        } else if sent.id.is_none() {
            record.event_id = self.open.told(method, sent.params);
        }
        if method == "event"
            && let Some(params) = sent.params
            && let Ok(params) = serde_json::from_str::<EventParams<'_>>(params.get())
        {
            record.event_id = params.event.id.map(EventId);
            record.delay = params.event.created_at.and_then(|at| since(&at, now.unix));
        }
        let id = sent.id.and_then(|id| id.get().parse().ok());
        if let Some(id) = id.filter(|_| sent.method.is_some()) {
            let open = Open {
                method: method.into(),
                event_id: record.event_id,
                at: now,
            };
            self.open.asked(id, open);
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
        record.event_id = match id {
            Some(id) => self.open.called(id, params.map(|params| &**params)),
            None => self.open.told(method, params.map(|params| &**params)),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn what_belongs_to_an_event_has_its_id() {
        let mut open = OpenRequests::default();
        let at = Clock::start().now();
        for (id, event_id) in [(1_000_001, None), (1_000_002, Some(EventId(70)))] {
            let method = "event".into();
            open.asked(
                id,
                Open {
                    method,
                    event_id,
                    at,
                },
            );
        }
        let parent = |id: u64| raw(&format!(r#"{{"_meta":{{"parent":{id}}}}}"#));
        let nameless = raw("{}");
        assert_eq!(
            open.event_of(Some(&nameless)),
            Some(EventId(70)),
            "the only one"
        );
        assert_eq!(open.called(&raw("\"a\""), None), Some(EventId(70)));
        let (method, event_id) = ("event".into(), Some(EventId(71)));
        open.asked(
            1_000_003,
            Open {
                method,
                event_id,
                at,
            },
        );
        for (id, expected) in [(1_000_003, Some(EventId(71))), (1_000_001, None), (7, None)] {
            assert_eq!(open.called(&raw("8"), Some(&parent(id))), expected, "{id}");
        }
        assert_eq!(open.event_of(Some(&nameless)), None, "one of two");
        for (method, params, expected) in [
            ("$/progress", r#"{"id":1000002}"#, Some(EventId(70))),
            ("$/cancel", r#"{"id":"a"}"#, Some(EventId(70))),
            ("$/cancel", r#"{"id":"b"}"#, None),
            (
                "log",
                r#"{"message":"m","_meta":{"parent":1000003}}"#,
                Some(EventId(71)),
            ),
        ] {
            assert_eq!(
                open.told(method, Some(&raw(params))),
                expected,
                "{method} {params}"
            );
        }
        // Its event is answered: what comes now is outside.
        open.ours.remove(&1_000_002);
        assert_eq!(open.event_of(Some(&parent(1_000_002))), None);
        assert_eq!(
            open.calls.remove("\"a\""),
            Some(EventId(70)),
            "its answer still belongs to it"
        );
    }
}
