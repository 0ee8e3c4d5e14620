//! A plugin's call in one line: services over a store in memory, a caller that tests change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures::{FutureExt as _, future::BoxFuture};
use serde_json::{Value, value::RawValue};

use crate::{
    ident::{EventId, PluginName},
    services::{
        BothSides, CallContext, Caller, CallerSetup, Mode, Observer, OpenEvent, Phase, RpcError,
        Services, StateError, StateStore, Withheld,
    },
    site::{
        permissions::{Granted, Grants},
        tests::session,
    },
};

/// A store that takes 100 KiB.
#[derive(Default)]
pub(in crate::services) struct Memory(Mutex<HashMap<String, Box<RawValue>>>);

const LIMIT: usize = 100 << 10;

impl StateStore for Memory {
    fn get<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Box<RawValue>>, StateError>> {
        let found = self
            .0
            .lock()
            .unwrap()
            .get(&format!("{plugin}/{key}"))
            .cloned();
        async { Ok(found) }.boxed()
    }

    fn set<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
        value: Box<RawValue>,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        let mut kept = self.0.lock().unwrap();
        let held: usize = kept.values().map(|value| value.get().len()).sum();
        let result = match held + value.get().len() > LIMIT {
            true => Err(StateError::Full { limit_bytes: LIMIT }),
            false => {
                kept.insert(format!("{plugin}/{key}"), value);
                Ok(())
            }
        };
        async { result }.boxed()
    }

    fn delete<'a>(
        &'a self,
        plugin: &'a PluginName,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), StateError>> {
        self.0.lock().unwrap().remove(&format!("{plugin}/{key}"));
        async { Ok(()) }.boxed()
    }
}

/// Keeps what was withheld.
#[derive(Default)]
pub(in crate::services) struct Notes(pub(in crate::services) Mutex<Vec<String>>);

impl Observer for Notes {
    fn withheld(&self, write: &Withheld<'_>) {
        let note = format!(
            "{:?} {} {:?} {}",
            write.mode, write.method, write.event_id, write.result
        );
        self.0.lock().unwrap().push(note);
    }
}

/// One plugin and the services.
pub(in crate::services) struct Bench {
    pub(in crate::services) services: Services,
    pub(in crate::services) notes: Arc<Notes>,
    pub(in crate::services) caller: Caller,
}

impl Bench {
    /// A plugin that may do everything, with a change.
    pub(in crate::services) fn new(url: &str, change: impl FnOnce(&mut CallerSetup)) -> Self {
        let notes = Arc::new(Notes::default());
        let mut setup = CallerSetup {
            plugin: PluginName::new("notes"),
            sessions: vec![session(url)],
            granted: Granted::everything(),
            background: BothSides {
                manifest: true,
                operator: true,
            },
            upload: BothSides {
                manifest: true,
                operator: true,
            },
            files: Arc::default(),
            sudo: Vec::new(),
            mode: Mode::Live,
            uses_session_uuid: true,
        };
        change(&mut setup);
        Self {
            services: Services::new(Arc::new(Memory::default()), notes.clone()),
            notes,
            caller: Caller::new(setup),
        }
    }

    /// A call while these events are open.
    pub(in crate::services) async fn call_in(
        &self,
        context: &CallContext,
        method: &str,
        params: &str,
    ) -> Result<String, RpcError> {
        let params = RawValue::from_string(params.to_owned()).unwrap();
        let answer = self
            .services
            .call(&self.caller, context, method, Some(&params))
            .await;
        answer.map(|raw| raw.get().to_owned())
    }

    /// A call within one event.
    pub(in crate::services) async fn call(
        &self,
        method: &str,
        params: &str,
    ) -> Result<String, RpcError> {
        self.call_in(&within(1), method, params).await
    }

    /// The code and the data of a call that fails.
    pub(in crate::services) async fn refused(&self, method: &str, params: &str) -> (i32, Value) {
        let error = self.call(method, params).await.expect_err("it is refused");
        (
            error.code as i32,
            serde_json::from_str(error.data.get()).unwrap(),
        )
    }
}

/// So many open events, with ids from 70 on.
pub(in crate::services) fn within(events: u64) -> CallContext {
    let open = (0..events).map(|n| OpenEvent {
        request_id: sgeventd_protocol::FIRST_REQUEST_ID + n,
        event_id: EventId(70 + i64::try_from(n).unwrap()),
        session_uuid: Some(format!("uuid-{n}").into()),
    });
    CallContext {
        phase: Phase::Running,
        open: open.collect(),
        last_request_id: sgeventd_protocol::FIRST_REQUEST_ID + 10,
    }
}

/// Grants of the operator; the manifest asks for everything.
pub(in crate::services) fn allowing(grants: &[&str]) -> Granted {
    Granted {
        manifest: Grants::everything(),
        operator: Grants::parse(grants).unwrap(),
    }
}
