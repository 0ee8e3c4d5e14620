//! The one place through which a plugin's rpc reaches the site: permission, mode, cache, session.
//!
//! In: an rpc with its payload and context. Out: the site's result, or an answer for a write that is withheld.
//! Never: an rpc past the permissions, whatever it was called by.

use serde_json::value::RawValue;

use super::{
    caller::{Caller, Mode},
    dry::{self, NegativeIds},
    error::RpcError,
    parent::OpenEvent,
    schema::{Question, SchemaCache},
};
use crate::{
    ident::{EventId, PluginName},
    site::{Call, Kind, Session, methods},
};

/// A write that was not sent.
#[derive(Debug, Clone, Copy)]
pub struct Withheld<'a> {
    /// Whose.
    pub plugin: &'a PluginName,
    /// The event being handled.
    pub event_id: Option<EventId>,
    /// `DryRun`, or `Shadow`: then it is kept for the report.
    pub mode: Mode,
    /// The script that would have written.
    pub script: &'a str,
    /// The login it would have acted for.
    pub sudo_as_login: Option<&'a str>,
    /// The rpc.
    pub method: &'a str,
    /// What would have been sent.
    pub payload: Option<&'a RawValue>,
    /// What the plugin was told.
    pub result: &'a RawValue,
}

/// Is told what was withheld. Called inside the calling task: it must not block.
pub trait Observer: Send + Sync {
    /// Takes note of a write that was not sent.
    fn withheld(&self, write: &Withheld<'_>);
}

/// What all rpcs of all plugins share.
pub(super) struct Broker {
    pub(super) schema: SchemaCache,
    pub(super) ids: NegativeIds,
    pub(super) observer: std::sync::Arc<dyn Observer>,
}

/// Who makes one call, within which event.
pub(super) struct Origin<'a> {
    pub(super) caller: &'a Caller,
    pub(super) session: &'a Session,
    pub(super) event: Option<&'a OpenEvent>,
    pub(super) sudo_as_login: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// A call to the site in this name.
    pub(super) fn call<'c>(&'c self, method: &'c str, payload: Option<&'c RawValue>) -> Call<'c>
    where
        'a: 'c,
    {
        let uses_uuid = self.caller.setup.uses_session_uuid;
        let session_uuid = self.event.and_then(|event| event.session_uuid.as_deref());
        Call {
            session_uuid: session_uuid.filter(|_| uses_uuid),
            sudo_as_login: self.sudo_as_login,
            plugin: Some(self.caller.plugin()),
            event_id: self.event.map(|event| event.event_id),
            ..Call::new(method, payload)
        }
    }
}

impl Broker {
    /// Judges one rpc: may this plugin make it?
    pub(super) fn check(
        &self,
        origin: &Origin<'_>,
        method: &str,
        payload: Option<&RawValue>,
    ) -> Result<(), RpcError> {
        let caller = origin.caller;
        let granted = caller.setup.granted.check(method, payload);
        granted.map_err(|refusal| RpcError::refused(&refusal, &caller.setup))
    }

    /// Carries out one rpc that was judged.
    pub(super) async fn carry_out(
        &self,
        origin: &Origin<'_>,
        method: &str,
        payload: Option<&RawValue>,
    ) -> Result<Box<RawValue>, RpcError> {
        let is_write = methods::kind(method) == Kind::Write;
        if is_write && origin.caller.setup.mode != Mode::Live {
            return self.withhold(origin, method, payload);
        }
        if methods::is_schema_read(method) {
            let question = Question {
                script: origin.session.script().to_owned(),
                login: origin.sudo_as_login.map(str::to_owned),
                method: method.to_owned(),
                payload: payload.map_or_else(String::new, |payload| payload.get().to_owned()),
            };
            let ask = || send(origin, method, payload);
            return self.schema.get(question, ask).await;
        }
        let result = send(origin, method, payload).await;
        if method.starts_with("schema_") {
            self.schema.clear();
        }
        result
    }

    fn withhold(
        &self,
        origin: &Origin<'_>,
        method: &str,
        payload: Option<&RawValue>,
    ) -> Result<Box<RawValue>, RpcError> {
        let result = dry::answer(method, payload, &self.ids);
        let result = result.map_err(|what| RpcError::params(method, what))?;
        self.note(origin, method, payload, &result);
        Ok(result)
    }

    /// Says that a write was not sent.
    pub(super) fn note(
        &self,
        origin: &Origin<'_>,
        method: &str,
        payload: Option<&RawValue>,
        result: &RawValue,
    ) {
        let caller = origin.caller;
        self.observer.withheld(&Withheld {
            plugin: caller.plugin(),
            event_id: origin.event.map(|event| event.event_id),
            mode: caller.setup.mode,
            script: origin.session.script(),
            sudo_as_login: origin.sudo_as_login,
            method,
            payload,
            result,
        });
    }
}

async fn send(
    origin: &Origin<'_>,
    method: &str,
    payload: Option<&RawValue>,
) -> Result<Box<RawValue>, RpcError> {
    let call = origin.call(method, payload);
    let reply = origin.session.call(&call).await;
    let reply = reply.map_err(|error| RpcError::site(&error, method))?;
    Ok(reply.to_raw())
}
