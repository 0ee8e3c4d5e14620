//! Calls of a plugin: each is answered by a task of its own, within what one plugin may have open.
//!
//! In: requests, their results. Out: answers on the pipe. Never: what a call means (`services`).

use serde_json::{json, value::RawValue};
use sgeventd_protocol::{
    ErrorCode, RpcError,
    calls::{Touches, touches},
    message::CallParams,
    write,
};

use super::Task;
use crate::{
    clock::{Mono, Now},
    plugin::run::{Call, CallDone},
    services::{self, AT_WORK, WAITING},
    site::{Kind, RESULT_BYTES, methods},
};

/// Answers may lie unread up to so many bytes: two of the largest.
const UNREAD_MAX: usize = 2 * RESULT_BYTES;

impl Task {
    /// A call of the plugin: answered by a task of its own, so that nobody waits for it.
    pub(super) fn request(
        &mut self,
        id: Box<RawValue>,
        method: String,
        params: Option<Box<RawValue>>,
        is_candidate: bool,
        now: Mono,
    ) {
        let services = self.shared.services.clone();
        if self.does_not_read(is_candidate, now) {
            return;
        }
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        let key: Box<str> = id.get().into();
        let caller = if run.calls.contains_key(&key) {
            let words = "a call under this id is not answered yet";
            Err(RpcError::new(ErrorCode::InvalidRequest, words))
        } else if run.calls.len() >= AT_WORK + WAITING {
            // Before a task is made for it: a plugin calls faster than tasks end.
            Err(on_the_wire(&services::busy()))
        } else {
            let words = "not before `initialize` was sent";
            let none = || RpcError::new(ErrorCode::NotStarted, words);
            run.caller.clone().ok_or_else(none)
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(error) => {
                run.noise.add(0, now);
                return run.peer.queue(|out| write::error(out, &id, &error));
            }
        };
        let named: CallParams = params
            .as_ref()
            .and_then(|params| serde_json::from_str(params.get()).ok())
            .unwrap_or_default();
        let context = run.context();
        let parent = named.meta.parent.or_else(|| run.only_open());
        let parent = parent.filter(|parent| run.flights.call_begun(*parent));
        let answers = run.answers.0.clone();
        run.calls_made += 1;
        let number = run.calls_made;
        let is_of_site = touches(&method) != Some(Touches::State);
        let call = tokio::spawn(async move {
            let answer = services
                .call(&caller, &context, &method, params.as_deref())
                .await;
            let is_write = is_write(&method, params.as_deref());
            // An answer may have to wait for its turn; what was asked need not.
            drop(params);
            let done = CallDone {
                id,
                number,
                is_write,
                answer,
            };
            // The process may have ended meanwhile.
            let _gone = answers.send(done).await;
        });
        let task = call.abort_handle();
        let call = Call {
            number,
            parent,
            task,
        };
        run.calls.insert(key, call);
        if is_of_site && !is_candidate {
            self.needs.called();
        }
    }

    /// True when it goes on asking and does not read the answers: it is ended, and gets none.
    pub(super) fn does_not_read(&mut self, is_candidate: bool, now: Mono) -> bool {
        let Some(run) = self.slot(is_candidate) else {
            return false;
        };
        if !run.does_not_read(now) {
            return false;
        }
        let error = "it goes on calling and does not read the answers".to_owned();
        // Said once: it may go on for as long as its end takes.
        match run.is_cut() {
            true => {}
            false if is_candidate => self.invalid(&error),
            false => self.hung(error),
        }
        true
    }

    /// A call is done: its answer is written, and an event that waited for it is settled.
    pub(super) fn call_done(&mut self, done: CallDone, is_candidate: bool) {
        let now = self.shared.clock.now();
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        // One that was cancelled meanwhile is answered already.
        let is_known = |call: &Call| call.number == done.number;
        if !run.calls.get(done.id.get()).is_some_and(is_known) {
            return;
        }
        let Some(call) = run.calls.remove(done.id.get()) else {
            return;
        };
        let is_written = done.is_write && done.answer.is_ok();
        match &done.answer {
            Ok(result) if run.peer.unread_bytes() + result.get().len() > UNREAD_MAX => {
                let error = RpcError::new(
                    ErrorCode::TooLarge,
                    "the answers before this one are not read yet",
                );
                let error = error.with(&json!({ "limit_bytes": UNREAD_MAX }));
                run.peer.queue(|out| write::error(out, &done.id, &error));
            }
            Ok(result) => run.peer.queue(|out| write::result(out, &done.id, result)),
            Err(error) => {
                let error = on_the_wire(error);
                run.peer.queue(|out| write::error(out, &done.id, &error));
            }
        }
        self.writes += u64::from(is_written);
        if !is_candidate {
            self.tell_keys();
        }
        self.call_over(call.parent, is_candidate, now);
    }

    fn call_over(&mut self, parent: Option<u64>, is_candidate: bool, now: Now) {
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        let over = parent.and_then(|parent| run.flights.call_over(parent));
        if let Some((open, ended)) = over {
            self.settle(&open, ended, now);
        }
    }

    /// The plugin withdraws a call; it is answered all the same.
    pub(super) fn cancel(&mut self, id: &RawValue, is_candidate: bool, now: Now) {
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        let Some(call) = run.calls.remove(id.get()) else {
            return;
        };
        call.task.abort();
        let error = RpcError::new(ErrorCode::Cancelled, "the call was cancelled");
        run.peer.queue(|out| write::error(out, id, &error));
        self.call_over(call.parent, is_candidate, now);
    }
}

fn on_the_wire(error: &services::RpcError) -> RpcError {
    RpcError {
        code: error.code as i64,
        message: error.message.clone(),
        data: Some(error.data.clone()),
    }
}

/// Whether a call changes the site.
fn is_write(method: &str, params: Option<&RawValue>) -> bool {
    #[derive(serde::Deserialize)]
    struct Rpc<'a> {
        #[serde(borrow)]
        method: std::borrow::Cow<'a, str>,
    }
    match touches(method) {
        Some(Touches::SiteAsWriter) => true,
        Some(Touches::Raw) => params
            .and_then(|params| serde_json::from_str::<Rpc<'_>>(params.get()).ok())
            .is_some_and(|rpc| methods::kind(&rpc.method) != Kind::Read),
        _ => false,
    }
}
