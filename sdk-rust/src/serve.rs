//! What each message of the daemon means.
//!
//! In: messages from the pipe. Out: answers; the author's handlers called one after the other.
//! Never: an event without an answer, whatever its handler does.

use std::panic::AssertUnwindSafe;

use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use sgeventd_protocol::{ErrorCode, Item, PROTOCOL, RpcError};

use crate::{CallError, Context, Event, Outcome, Plugin, context::millis, pipe::Pipe};

type Answer = Result<Box<RawValue>, RpcError>;

/// Works until the daemon closes our input or says `shutdown`; returns the exit code.
pub(crate) fn serve(plugin: &mut Plugin, pipe: &mut Pipe) -> u8 {
    let ok = raw(&json!({ "status": "ok" }));
    while let Some(item) = pipe.next_item() {
        let Item::Request { id, method, params } = item else {
            continue;
        };
        let params = params.as_ref().map_or("{}", |raw| raw.get());
        if method == "event" {
            pipe.begin();
            match handle(plugin, pipe, id.get(), params) {
                Ok(None) => pipe.answer(&id, &ok),
                Ok(Some(other)) => pipe.answer(&id, &raw(&other)),
                Err(error) => pipe.refuse(&id, &error),
            }
            pipe.forget(&id);
            continue;
        }
        match answer(plugin, &method, params) {
            Ok(result) => pipe.answer(&id, &result),
            Err(error) => pipe.refuse(&id, &error),
        }
        if method == "shutdown" {
            break;
        }
    }
    pipe.flush();
    0
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn answer(plugin: &mut Plugin, method: &str, params: &str) -> Answer {
    match method {
        "initialize" => Ok(raw(&json!({
            "protocol": PROTOCOL, "manifest": plugin.manifest(), "features": { "cancel": true, "progress": true },
        }))),
        "start" => Ok(raw(&start(plugin, params))),
        "shutdown" => Ok(raw(&json!({}))),
        _ => Err(RpcError::new(
            ErrorCode::MethodNotFound,
            format!("this plugin knows no method {method:?}"),
        )),
    }
}

fn start(plugin: &mut Plugin, params: &str) -> Value {
    let params: Value = serde_json::from_str(params).unwrap_or_default();
    plugin.config = params["config"].clone();
    let Some(function) = &mut plugin.on_start else {
        return json!({});
    };
    match function(&plugin.config) {
        Ok(()) => json!({}),
        Err(reason) => json!({ "disable": reason }),
    }
}

/// Runs the handlers that match, in their order, but for those that an earlier attempt has done. None: plain ok.
fn handle(
    plugin: &mut Plugin,
    pipe: &mut Pipe,
    id: &str,
    params: &str,
) -> Result<Option<Value>, RpcError> {
    let event = Event::read(params)
        .map_err(|error| RpcError::new(ErrorCode::InvalidParams, error.to_string()))?;
    let mut done = event.done();
    let mut skipped = None;
    let mut context = Context::new(pipe, id, &plugin.config);
    for name in event.matched() {
        let index = name.parse::<usize>().ok();
        let handler = index.and_then(|index| plugin.handlers.get_mut(index));
        let Some((_, handler)) = handler.filter(|_| !done.iter().any(|done| done == name)) else {
            continue;
        };
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| handler(&event, &mut context)));
        match ended {
            Ok(Ok(Outcome::Ok)) => done.push(name.to_owned()),
            Ok(Ok(Outcome::Skip(reason))) => skipped = Some(reason),
            Ok(Ok(Outcome::Retry(after, reason))) => {
                let mut answer = json!({ "status": "retry", "reason": reason });
                if let Some(after) = after {
                    answer["after_ms"] = millis(after).into();
                }
                if !done.is_empty() {
                    answer["progress"] = json!({ "done": done });
                }
                return Ok(Some(answer));
            }
            Ok(Ok(Outcome::Dead(reason))) => {
                return Ok(Some(json!({ "status": "dead", "reason": reason })));
            }
            Ok(Err(error)) => {
                let call = error.downcast_ref::<CallError>();
                let kind = call.map_or_else(|| "error".to_owned(), |c| format!("{:?}", c.kind()));
                return Err(failed(&error.to_string(), &kind, &done));
            }
            Err(panic) => return Err(failed(&panic_words(panic.as_ref()), "panic", &done)),
        }
    }
    Ok(match skipped {
        Some(reason) if done.is_empty() => Some(json!({ "status": "skip", "reason": reason })),
        _ => None,
    })
}

fn failed(message: &str, kind: &str, done: &[String]) -> RpcError {
    let mut data = json!({ "type": kind });
    if !done.is_empty() {
        data["progress"] = json!({ "done": done });
    }
    RpcError::new(ErrorCode::Handler, message).with(&data)
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the handler panicked".to_owned())
}
