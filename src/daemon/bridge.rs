//! Small adapters between folders that know nothing of each other.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::value::RawValue;

use crate::{
    clock::Clock,
    ident::PluginName,
    journal::{Journal, JournalError, Op, Refused, STATE_TOTAL_MAX},
    services::{Observer, StateError, StateStore, Withheld},
    site::{CallRecord, CallTap},
    telemetry::{Detail, Direction, Traffic, TrafficRecord},
};

/// The plugins' key-value state, in the journal.
pub(super) struct Store(pub(super) Journal);

impl StateStore for Store {
    fn get<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Box<RawValue>>, StateError>> {
        let (plugin, key) = (plugin.clone(), key.to_owned());
        Box::pin(async move {
            let value = self
                .0
                .query(move |reader| reader.state(&plugin, &key))
                .await
                .map_err(unavailable)?;
            let raw = value.map(|text| RawValue::from_string(text.into()));
            raw.transpose()
                .map_err(|error| StateError::Unavailable(error.to_string()))
        })
    }

    fn set<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
        value: Box<RawValue>,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        let op = Op::StateSet {
            plugin: plugin.clone(),
            key: key.into(),
            value: value.get().into(),
        };
        Box::pin(self.write(op))
    }

    fn delete<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        let op = Op::StateDelete {
            plugin: plugin.clone(),
            key: key.into(),
        };
        Box::pin(self.write(op))
    }
}

impl Store {
    async fn write(&self, op: Op) -> Result<(), StateError> {
        match self.0.write(op).await {
            Ok(_) => Ok(()),
            Err(JournalError::Refused(Refused::StateFull { .. })) => Err(StateError::Full {
                limit_bytes: usize::try_from(STATE_TOTAL_MAX).unwrap_or(usize::MAX),
            }),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn unavailable(error: JournalError) -> StateError {
    StateError::Unavailable(error.to_string())
}

/// Writes that a mode holds back are in the log.
pub(super) struct LogWithheld;

impl Observer for LogWithheld {
    fn withheld(&self, withheld: &Withheld<'_>) {
        let payload = withheld.payload.map(RawValue::get).unwrap_or_default();
        tracing::info!(plugin = %withheld.plugin, event_id = withheld.event_id.map(|id| id.0), method = withheld.method, payload, "not sent: the plugin's mode withholds writes");
    }
}

/// Every call to the site, one line each way, as far as its plugin's `traffic` goes.
#[derive(Clone)]
pub(super) struct TrafficOfCalls {
    traffic: Traffic,
    /// Plugins with a `traffic` key of their own.
    own: Arc<RwLock<BTreeMap<PluginName, Detail>>>,
}

impl TrafficOfCalls {
    pub(super) fn new(traffic: Traffic) -> Self {
        let own = Arc::default();
        Self { traffic, own }
    }

    /// What a plugin's config says now.
    pub(super) fn set(&self, plugin: &PluginName, detail: Option<Detail>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        match detail {
            Some(detail) => own.insert(plugin.clone(), detail),
            None => own.remove(plugin),
        };
    }

    fn of(&self, plugin: Option<&PluginName>) -> Traffic {
        let Some(plugin) = plugin else {
            return self.traffic.clone();
        };
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        self.traffic.for_plugin(plugin, own.get(plugin).copied())
    }
}

impl CallTap for TrafficOfCalls {
    fn tried(&self, call: &CallRecord<'_>) {
        let traffic = self.of(call.plugin);
        if !traffic.is_on() {
            return;
        }
        let with_bodies = traffic.wants_bodies();
        let body = |bytes: Option<&[u8]>| bytes.filter(|_| with_bodies).map(Bytes::copy_from_slice);
        let record = |direction| TrafficRecord {
            time: Clock::unix(),
            plugin: call.plugin.cloned(),
            direction,
            event_id: call.event_id,
            method: call.method.into(),
            id: call.request_id.map(Into::into),
            bytes: call.sent_bytes,
            latency: None,
            delay: None,
            status: None,
            body: body(call.payload.map(str::as_bytes)),
        };
        traffic.record(record(Direction::ToSite));
        let status = match (call.error, call.status) {
            (Some(error), _) => error.to_string(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "ok".to_owned(),
        };
        traffic.record(TrafficRecord {
            bytes: call.received_bytes,
            latency: Some(call.elapsed),
            status: Some(status.into()),
            body: body(call.result),
            ..record(Direction::FromSite)
        });
    }
}

/// Shares an adapter.
pub(super) fn observer() -> Arc<dyn Observer> {
    Arc::new(LogWithheld)
}
