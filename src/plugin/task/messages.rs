//! What a plugin says: answers, calls, notifications, and what is none of these.

use std::time::Duration;

use serde_json::{json, value::RawValue};
use sgeventd_protocol::{
    Answer, ErrorCode, Item, RpcError,
    message::{CallParams, Cancel, Progress},
    pending::Answered,
    write,
};

use super::{Pause, Task};
use crate::{
    alert::PluginError,
    clock::Now,
    dispatch::Disposition,
    plugin::{
        life::{Cause, Input, State},
        run::{Asked, Run},
    },
    secret::shown,
    services::{Level, Notice},
};

/// A longer stray line is cut, as one of the log is.
const STRAY_MAX: usize = 8 * 1024;
/// A longer error of a plugin, with its traceback, is cut.
pub(super) const ERROR_MAX: usize = 64 * 1024;

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

    pub(super) fn slot(&mut self, is_candidate: bool) -> Option<&mut Run> {
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
                let event_id = run.event_of(Some(id));
                let ended = self.disposition(answer, event_id.map(|id| id.0));
                self.answered(id, ended, now);
            }
            Answered::Open(Asked::Initialize) => self.initialized(outcome, is_candidate).await?,
            Answered::Open(Asked::Start) => self.started(outcome),
            Answered::Open(Asked::Shutdown) => {
                if let Some(ladder) = &mut run.ladder {
                    ladder.answered(now.mono);
                }
            }
            Answered::Again | Answered::Unknown => {
                run.noise.add(0, now.mono);
                self.odd_answer(&id.to_string(), is_candidate);
            }
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

    fn disposition(&mut self, answer: Answer, event_id: Option<i64>) -> Disposition {
        match answer {
            Answer::Ok { errors } => {
                for message in errors {
                    let message = clean(Some(message), "");
                    tracing::error!(plugin = %self.name, event_id, %message, "an event is done, with an error");
                    self.plugin_error(message);
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
                let error = shown(&error, ERROR_MAX);
                tracing::warn!(plugin = %self.name, event_id, error, "the handler failed");
                Disposition::Failed {
                    error,
                    progress: failed.progress.map(Into::into),
                }
            }
        }
    }

    fn plugin_error(&mut self, message: String) {
        self.note_complaint(&message);
        self.shared.alerts.plugin_error(PluginError {
            plugin: self.name.clone(),
            message,
            recipients: self.setup.recipients(self.emails.as_ref()),
        });
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
        let bytes = params.map_or(0, |params| params.get().len());
        if !run.talk.allows(bytes.min(STRAY_MAX), now.mono) {
            run.noise.add(bytes, now.mono);
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
                let ends = crate::clock::time_of_day(now.unix + wait);
                self.pause = Some(Pause {
                    until: now.mono + wait,
                    words: format!("it wants no events until {ends} UTC: {reason}"),
                });
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

    /// What is no message for us: never answered but where an id was seen, never a reason to kill.
    fn odd(&mut self, item: Item, is_candidate: bool, now: Now) {
        let name = self.name.clone();
        let has_id = matches!(
            item,
            Item::Invalid { .. } | Item::TooLong { id: Some(_), .. }
        );
        if has_id && self.does_not_read(is_candidate, now.mono) {
            return;
        }
        let Some(run) = self.slot(is_candidate) else {
            return;
        };
        run.noise.add(length(&item), now.mono);
        match item {
            Item::Unasked { id } => self.odd_answer(&id, is_candidate),
            Item::TooLong { id, bytes } => {
                if run.talk.allows(0, now.mono) {
                    tracing::warn!(plugin = %name, bytes, "a line that is too long was thrown away");
                }
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
                if run.talk.allows(text.len().min(STRAY_MAX), now.mono) {
                    tracing::info!(plugin = %name, "{}", shown(&text, STRAY_MAX));
                }
            }
            Item::Echo if !std::mem::replace(&mut run.has_stray, true) => {
                tracing::warn!(plugin = %name, "the plugin echoes what it is sent; this is said once");
            }
            _ => {}
        }
    }
}

/// Of what is no message for us, in bytes.
fn length(item: &Item) -> usize {
    match item {
        Item::Stray(text) => text.len(),
        Item::TooLong { bytes, .. } => *bytes,
        _ => 0,
    }
}

/// What a plugin says in a line, without secrets.
pub(super) fn clean(text: Option<String>, otherwise: &str) -> String {
    text.map_or_else(|| otherwise.to_owned(), |text| shown(&text, STRAY_MAX))
}
