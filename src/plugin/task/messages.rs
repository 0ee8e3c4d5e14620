//! What a plugin says: answers, calls, notifications, and what is none of these.

use std::time::Duration;

use serde_json::{json, value::RawValue};
use sgeventd_protocol::{
    Answer, ErrorCode, Item, RpcError,
    message::{CallParams, Cancel, Progress},
    pending::Answered,
    write,
};

use super::Task;
use crate::{
    alert::PluginError,
    clock::{Mono, Now},
    dispatch::Disposition,
    plugin::{
        life::{Cause, Input, State},
        run::{Asked, Call, CallDone, Run},
    },
    services::{Level, Notice, RESULT_BYTES},
    site::{Kind, methods},
};

/// Answers may lie unread up to so many bytes: two of the largest.
const UNREAD_MAX: usize = 2 * RESULT_BYTES;

impl Task {
    /// Takes everything that was read.
    pub(super) async fn messages(
        &mut self,
        is_candidate: bool,
    ) -> Result<(), crate::journal::JournalError> {
        let now = self.shared.clock.now();
        let Some(run) = self.slot(is_candidate) else {
            return Ok(());
        };
        let items = std::mem::take(&mut run.items);
        for item in items {
            match item {
                Item::Response { id, outcome } => {
                    self.response(id, outcome, is_candidate, now).await?;
                }
                Item::Request { id, method, params } => {
                    self.request(id, method, params, is_candidate, now.mono);
                }
                Item::Notification { method, params } => {
                    self.notification(&method, params.as_deref(), is_candidate, now);
                }
                other => self.odd(other, is_candidate, now),
            }
        }
        Ok(())
    }

    fn slot(&mut self, is_candidate: bool) -> Option<&mut Run> {
        if is_candidate {
            self.candidate.as_mut()
        } else {
            self.run.as_mut()
        }
    }

    async fn response(
        &mut self,
        id: u64,
        outcome: Result<Box<RawValue>, RpcError>,
        is_candidate: bool,
        now: Now,
    ) -> Result<(), crate::journal::JournalError> {
        let Some(run) = self.slot(is_candidate) else {
            return Ok(());
        };
        match run.pending.answer(id) {
            Answered::Open(Asked::Event(_)) => {
                let answer = match &outcome {
                    Ok(result) => Answer::from_result(result.get()),
                    Err(error) => Answer::from_error(error),
                };
                let ended = self.disposition(answer);
                self.answered(id, ended, now);
            }
            Answered::Open(Asked::Initialize) => self.initialized(outcome, is_candidate).await?,
            Answered::Open(Asked::Start) => self.started(outcome),
            Answered::Open(Asked::Shutdown) => {
                if let Some(ladder) = &mut run.ladder {
                    ladder.answered(now.mono);
                }
            }
            Answered::Again | Answered::Unknown => self.odd_answer(&id.to_string(), is_candidate),
        }
        Ok(())
    }

    fn odd_answer(&mut self, id: &str, is_candidate: bool) {
        let name = self.name.clone();
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        run.odd_answers += 1;
        if run.odd_answers == 1 {
            tracing::warn!(plugin = %name, id, "an answer to nothing that is open; further ones are counted");
        }
    }

    fn disposition(&mut self, answer: Answer) -> Disposition {
        match answer {
            Answer::Ok { errors } => {
                for message in errors {
                    self.plugin_error(clean(Some(message), ""));
                }
                Disposition::Ok
            }
            Answer::Skip { .. } => Disposition::Skip,
            Answer::Retry {
                after_ms,
                reason,
                progress,
            } => Disposition::Retry {
                after: after_ms.map(Duration::from_millis),
                reason: clean(reason, "the plugin asked for a retry"),
                progress: progress.map(Into::into),
            },
            Answer::Dead { reason } => Disposition::Dead {
                reason: clean(reason, "the plugin gave it up"),
            },
            Answer::Failed(failed) => {
                let mut error = failed.message;
                if let Some(traceback) = failed.traceback {
                    error = format!("{error}\n{traceback}");
                }
                if let Some(locals) = failed.locals {
                    error = format!("{error}\nlocals: {locals}");
                }
                let error = crate::secret::redact(&error).into_owned();
                tracing::warn!(plugin = %self.name, error, "the handler failed");
                Disposition::Failed {
                    error,
                    progress: failed.progress.map(Into::into),
                }
            }
        }
    }

    fn plugin_error(&self, message: String) {
        self.shared.alerts.plugin_error(PluginError {
            plugin: self.name.clone(),
            message,
            recipients: self.setup.recipients(self.emails.as_ref()),
        });
    }

    /// A call of the plugin: answered by a task of its own, so that nobody waits for it.
    fn request(
        &mut self,
        id: Box<RawValue>,
        method: String,
        params: Option<Box<RawValue>>,
        is_candidate: bool,
        now: Mono,
    ) {
        let services = self.shared.services.clone();
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        if run.does_not_read(now) {
            let error = "it goes on calling and does not read the answers".to_owned();
            return if is_candidate {
                self.invalid(&error);
            } else {
                self.hung(error);
            };
        }
        let key: Box<str> = id.get().into();
        let caller = if run.calls.contains_key(&key) {
            let words = "a call under this id is not answered yet";
            Err(RpcError::new(ErrorCode::InvalidRequest, words))
        } else {
            let words = "not before `initialize` was sent";
            let none = || RpcError::new(ErrorCode::NotStarted, words);
            run.caller.clone().ok_or_else(none)
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(error) => return run.peer.queue(|out| write::error(out, &id, &error)),
        };
        let named: CallParams = params
            .as_ref()
            .and_then(|params| serde_json::from_str(params.get()).ok())
            .unwrap_or_default();
        let parent = named.meta.parent.or_else(|| run.only_open());
        let context = run.context();
        if let Some(parent) = parent {
            run.flights.call_begun(parent);
        }
        let answers = run.answers.0.clone();
        run.calls_made += 1;
        let number = run.calls_made;
        let is_of_site = !method.starts_with("state.");
        let call = tokio::spawn(async move {
            let answer = services
                .call(&caller, &context, &method, params.as_deref())
                .await;
            let is_write = is_write(&method, params.as_deref());
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
                run.peer.queue(|out| write::error(out, &done.id, &error));
            }
            Ok(result) => run.peer.queue(|out| write::result(out, &done.id, result)),
            Err(error) => {
                let error = RpcError {
                    code: error.code as i64,
                    message: error.message.clone(),
                    data: Some(error.data.clone()),
                };
                run.peer.queue(|out| write::error(out, &done.id, &error));
            }
        }
        self.writes += u64::from(is_written);
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

    fn notification(
        &mut self,
        method: &str,
        params: Option<&RawValue>,
        is_candidate: bool,
        now: Now,
    ) {
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        if !run.talk.allows(now.mono) {
            return;
        }
        let text = params.map_or("null", RawValue::get);
        match (method, Notice::parse(method, params)) {
            (_, Some(Ok(notice @ Notice::Log { .. }))) => self.notice(notice, params, now),
            // A version that is tried is not at work: only its log counts.
            (_, Some(Ok(_))) if is_candidate => {}
            (_, Some(Ok(notice))) => self.notice(notice, params, now),
            (_, Some(Err(error))) => {
                tracing::warn!(plugin = %self.name, %error, "a notification cannot be read");
            }
            ("$/progress", None) if !is_candidate => {
                if let Ok(progress) = serde_json::from_str::<Progress>(text) {
                    self.progress(&progress, now);
                }
            }
            ("$/cancel", None) => {
                if let Ok(cancel) = serde_json::from_str::<Cancel>(text) {
                    self.cancel(&cancel.id, is_candidate, now);
                }
            }
            _ => tracing::debug!(plugin = %self.name, method, "an unknown notification"),
        }
    }

    fn notice(&mut self, notice: Notice, params: Option<&RawValue>, now: Now) {
        let name = &self.name;
        match notice {
            Notice::Log {
                level,
                message,
                fields,
            } => {
                let named = params.and_then(|params| serde_json::from_str(params.get()).ok());
                let named: CallParams = named.unwrap_or_default();
                let run = self.run.as_ref();
                let event_id = run.and_then(|run| run.event_of(named.meta.parent));
                let event_id = event_id.map(|id| id.0);
                match level {
                    Level::Trace => tracing::trace!(plugin = %name, event_id, fields, "{message}"),
                    Level::Debug => tracing::debug!(plugin = %name, event_id, fields, "{message}"),
                    Level::Info => tracing::info!(plugin = %name, event_id, fields, "{message}"),
                    Level::Warn => tracing::warn!(plugin = %name, event_id, fields, "{message}"),
                    Level::Error => {
                        tracing::error!(plugin = %name, event_id, fields, "{message}");
                        self.plugin_error(message);
                    }
                }
            }
            Notice::Alert { level, message } => self.alert(level, message),
            Notice::Pause { wait, reason } => {
                tracing::info!(plugin = %name, reason, elapsed_ms = crate::clock::millis(wait), "the plugin pauses");
                self.paused_until = Some(now.mono + wait);
            }
            Notice::Unhealthy { reason } => {
                if matches!(self.life.state(), State::Ready { .. }) {
                    self.step(Input::Refused(Cause::Itself(reason)));
                }
            }
        }
    }

    fn progress(&mut self, progress: &Progress, now: Now) {
        let ceiling = self.setup.settings.delivery.effective().ceiling;
        let Some(run) = &mut self.run else { return };
        let Some(event) = run.flights.event(progress.id) else {
            return;
        };
        let event_id = event.facts.event_id.0;
        if let Some(more) = progress.extend_ms {
            let more = Duration::from_millis(more);
            run.flights.extend(progress.id, more, ceiling, now.mono);
        }
        tracing::debug!(plugin = %self.name, event_id, message = progress.message, percent = progress.percent, "progress");
    }

    /// The plugin withdraws a call; it is answered all the same.
    fn cancel(&mut self, id: &RawValue, is_candidate: bool, now: Now) {
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

    /// What is no message for us: never answered but where an id was seen, never a reason to kill.
    fn odd(&mut self, item: Item, is_candidate: bool, now: Now) {
        let name = self.name.clone();
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        match item {
            Item::Unasked { id } => self.odd_answer(&id, is_candidate),
            Item::TooLong { id, bytes } => {
                tracing::warn!(plugin = %name, bytes, "a line that is too long was thrown away");
                let request = id.as_ref().and_then(|id| id.get().parse::<u64>().ok());
                if let Some(request) = request.filter(|request| run.flights.contains(*request)) {
                    // It answered, with more than we take: silence until the deadline would say less.
                    run.pending.answer(request);
                    let error = format!("its answer is a line of more than {bytes} bytes");
                    let progress = None;
                    self.answered(request, Disposition::Failed { error, progress }, now);
                } else if let Some(id) = id {
                    let error = RpcError::new(ErrorCode::InvalidRequest, "the line is too long");
                    let error = error.with(&json!({ "bytes": bytes }));
                    run.peer.queue(|out| write::error(out, &id, &error));
                }
            }
            Item::Invalid { id } => {
                let error = RpcError::new(ErrorCode::InvalidRequest, "neither request nor answer");
                run.peer.queue(|out| write::error(out, &id, &error));
            }
            Item::Stray(text) => {
                run.keep_stdout(&text);
                if !std::mem::replace(&mut run.has_stray, true) {
                    tracing::warn!(plugin = %name, "stray output on the protocol's pipe: print to standard error, or use `log`; this is said once");
                }
                if run.talk.allows(now.mono) {
                    tracing::info!(plugin = %name, "{}", crate::secret::redact(&text));
                }
            }
            Item::Echo if !std::mem::replace(&mut run.has_stray, true) => {
                tracing::warn!(plugin = %name, "the plugin echoes what it is sent; this is said once");
            }
            _ => {}
        }
    }
}

/// What a plugin says, without secrets.
pub(super) fn clean(text: Option<String>, otherwise: &str) -> String {
    text.map_or_else(
        || otherwise.to_owned(),
        |text| crate::secret::redact(&text).into_owned(),
    )
}

/// Whether a call changes the site.
fn is_write(method: &str, params: Option<&RawValue>) -> bool {
    #[derive(serde::Deserialize)]
    struct Rpc<'a> {
        #[serde(borrow)]
        method: std::borrow::Cow<'a, str>,
    }
    match method {
        "sg.create"
        | "sg.update"
        | "sg.delete"
        | "sg.revive"
        | "sg.batch"
        | "sg.upload"
        | "sg.upload_thumbnail"
        | "sg.upload_filmstrip_thumbnail"
        | "sg.share_thumbnail" => true,
        "sg.rpc" => params
            .and_then(|params| serde_json::from_str::<Rpc<'_>>(params.get()).ok())
            .is_some_and(|rpc| methods::kind(&rpc.method) != Kind::Read),
        _ => false,
    }
}
