//! One call of a plugin, from method and params to result or error.
//!
//! In: the moment (phase, open events), a method, params. Out: raw JSON, or an error with its code.
//! Never: an answer that is late because another plugin is slow; `site/gate.rs` and `queue.rs` keep them apart.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use sgeventd_protocol::{
    ErrorCode,
    calls::{CALLS, Touches, touches},
};

use super::{
    arguments,
    broker::{Broker, Observer, Origin},
    caller::Caller,
    error::RpcError,
    files::{self, Desk},
    parent::{self, CallContext, OpenEvent, Phase},
    state::{self, StateStore},
    sugar::{self, Plan, find},
};
use crate::{
    site::{Kind, RESULT_BYTES, methods},
    text::nearest,
};

/// What plugins may call; copies share everything.
#[derive(Clone)]
pub struct Services(Arc<Shared>);

struct Shared {
    broker: Broker,
    desk: Desk,
    store: Arc<dyn StateStore>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow, default)]
    parent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    script: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sudo_as_login: Option<Cow<'a, str>>,
}

impl Services {
    /// The services over a store and somebody who is told of withheld writes.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>, observer: Arc<dyn Observer>) -> Self {
        let broker = Broker {
            schema: super::schema::SchemaCache::default(),
            ids: super::dry::NegativeIds::default(),
            observer,
        };
        Self(Arc::new(Shared {
            broker,
            desk: Desk::default(),
            store,
        }))
    }

    /// The event log shows that the schema changed (`Shotgun_DisplayColumn_*`).
    pub fn schema_changed(&self) {
        self.0.broker.schema.clear();
    }

    /// Answers one request of a plugin.
    ///
    /// # Errors
    /// With the codes of the protocol; `data` is always an object.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws the call. A write that is under way may still happen.
    pub async fn call(
        &self,
        caller: &Caller,
        context: &CallContext,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Box<RawValue>, RpcError> {
        if context.phase == Phase::ShuttingDown {
            let message = "the plugin is being stopped; nothing new is served";
            return Err(RpcError::new(
                ErrorCode::ShuttingDown,
                message,
                &json!({ "method": method }),
            ));
        }
        let touches = touches(method).ok_or_else(|| unknown(method))?;
        let params = keywords(method, params)?;
        let _place = caller.queue.enter(params.get().len()).await?;
        if touches == Touches::State {
            if context.phase == Phase::Handshake {
                return Err(not_started(method));
            }
            return state::answer(&*self.0.store, caller.plugin(), method, params).await;
        }
        let meta = meta(method, params)?;
        let plan = sugar::plan(method, params).map_err(|what| RpcError::params(method, what))?;
        let event = parent::resolve(context, meta.parent)?;
        admit(caller, context.phase, event, &plan, method)?;
        let sudo_as_login = meta.sudo_as_login.as_deref();
        if let Some(login) = sudo_as_login {
            caller.check_sudo(login)?;
        }
        let origin = Origin {
            caller,
            session: caller.session(meta.script.as_deref())?,
            event,
            sudo_as_login,
        };
        self.perform(&origin, method, plan).await
    }

    async fn perform(
        &self,
        origin: &Origin<'_>,
        method: &str,
        plan: Plan,
    ) -> Result<Box<RawValue>, RpcError> {
        match plan {
            Plan::Answered(result) => Ok(result),
            Plan::Find(plan) => self.find(origin, &plan).await,
            Plan::File(plan) => {
                let Shared { desk, broker, .. } = &*self.0;
                files::perform(desk, broker, origin, method, &plan).await
            }
            Plan::Rpc {
                method,
                payload,
                shape,
            } => {
                let broker = &self.0.broker;
                broker.check(origin, &method, payload.as_deref())?;
                let result = broker
                    .carry_out(origin, &method, payload.as_deref())
                    .await?;
                bounded(sugar::records::shaped(result, shape), &method)
            }
        }
    }

    /// All rows up to the limit, page by page, as the official client reads them.
    async fn find(
        &self,
        origin: &Origin<'_>,
        plan: &find::Find,
    ) -> Result<Box<RawValue>, RpcError> {
        let broker = &self.0.broker;
        broker.check(origin, "read", Some(&plan.payload(1, 1, true)))?;
        let known = origin.session.capabilities().await;
        let mut pages = find::Pages::new(plan, known.map_or(find::PAGE, |known| known.page_max));
        loop {
            let payload = pages.payload(plan);
            let answer = broker.carry_out(origin, "read", Some(&payload)).await?;
            let is_done = pages.take(&answer).map_err(|what| odd(&what))?;
            if pages.bytes() > RESULT_BYTES {
                return Err(RpcError::too_large(RESULT_BYTES, false));
            }
            if is_done {
                return Ok(pages.finish(plan));
            }
        }
    }
}

/// A result that is here and longer than was announced is not handed over either.
fn bounded(result: Box<RawValue>, method: &str) -> Result<Box<RawValue>, RpcError> {
    if result.get().len() <= RESULT_BYTES {
        return Ok(result);
    }
    let is_sent = methods::kind(method) == Kind::Write;
    Err(RpcError::too_large(RESULT_BYTES, is_sent))
}

/// Params are by keyword; none is as good as no members.
fn keywords<'a>(method: &str, params: Option<&'a RawValue>) -> Result<&'a RawValue, RpcError> {
    match params.unwrap_or(RawValue::NULL).get() {
        "null" => Ok(serde_json::from_str("{}").expect("an empty object is JSON")),
        text if text.starts_with('{') => Ok(params.unwrap_or(RawValue::NULL)),
        _ => Err(RpcError::params(
            method,
            "params must be an object: arguments go by keyword",
        )),
    }
}

fn meta<'a>(method: &str, params: &'a RawValue) -> Result<Meta<'a>, RpcError> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, default, rename = "_meta")]
        meta: Option<Meta<'a>>,
    }
    let params: Params<'_> =
        arguments::read(params.get()).map_err(|what| RpcError::params(method, what))?;
    Ok(params.meta.unwrap_or_default())
}

/// Whether the moment allows this call: reads before `start`, everything within an event, else in the background.
fn admit(
    caller: &Caller,
    phase: Phase,
    event: Option<&OpenEvent>,
    plan: &Plan,
    method: &str,
) -> Result<(), RpcError> {
    let is_read = match plan {
        Plan::Find(_) => true,
        // A download is a read of the site, and a write here.
        Plan::Answered(_) | Plan::File(_) => false,
        Plan::Rpc { method, .. } => methods::kind(method) == Kind::Read,
    };
    match (phase, event) {
        (Phase::Handshake, _) if !is_read => Err(not_started(method)),
        (Phase::Handshake | Phase::Starting, _) if is_read => Ok(()),
        (_, Some(_)) => Ok(()),
        (_, None) => caller.check_background(),
    }
}

fn not_started(method: &str) -> RpcError {
    let message = format!("{method}: before `start` only reads of the site and `log` are served");
    RpcError::new(ErrorCode::NotStarted, message, &json!({ "method": method }))
}

fn unknown(method: &str) -> RpcError {
    let shown: String = method.chars().take(80).collect();
    let allowed = CALLS.map(|(name, _)| name);
    let instead = nearest(&shown, allowed).map_or_else(
        || "`data.allowed` has all that there are".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    let data = json!({ "method": shown, "allowed": allowed });
    RpcError::new(
        ErrorCode::MethodNotFound,
        format!("there is no method {shown:?}; {instead}"),
        &data,
    )
}

fn odd(what: &str) -> RpcError {
    let message = format!("the site's answer to read cannot be used: {what}");
    let data = json!({ "sent": false, "method": "read" });
    RpcError::new(ErrorCode::SiteUnavailable, message, &data)
}
