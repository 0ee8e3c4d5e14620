//! One process under check: what it says is written down, its calls are answered.
//!
//! In: bytes of its pipes, its end. Out: a transcript. Never: what a plan does next (`run.rs`).

use std::{sync::Arc, time::Duration};

use serde_json::{json, value::RawValue};
use sgeventd_protocol::{ErrorCode, Item, RpcError, pending::Pending, write};
use tokio::{net::unix::pipe, task::JoinSet, time::Instant};

use super::{
    oddity::{self, Notes, Noting},
    plan::Calls,
    run::{Runner, UNKNOWN},
    stage::Stage,
    transcript::{KEPT, Said, Transcript, What, shortened},
};
use crate::{
    clock::{Clock, millis},
    peer::{Peer, Turn},
    plugin::{setup::Setup, task::caller},
    process::{Child, Exit, Lines, end_escaped, kill_group},
    services::{CallContext, Caller, OpenEvent, Phase, Services},
    site::RESULT_BYTES,
};

/// What comes after the last answer, such as a second one, comes by then.
const SETTLE: Duration = Duration::from_millis(300);
/// Last words are read for so long after the end.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// A plugin that calls while so many bytes lie unread will not read them: one large answer is no flood.
const UNREAD_MAX: usize = RESULT_BYTES;
/// Lines and messages beyond this are not written down.
const ENTRIES_MAX: usize = 20_000;

/// The answer of a call.
pub(super) struct Done {
    pub(super) id: Box<RawValue>,
    pub(super) method: String,
    pub(super) answer: Result<Box<RawValue>, RpcError>,
}

/// One process.
pub(super) struct Live<'a> {
    pub(super) stage: &'a Stage,
    pub(super) services: Services,
    pub(super) setup: Setup,
    pub(super) child: Child,
    pub(super) peer: Peer<Noting<pipe::Receiver>, pipe::Sender>,
    pub(super) notes: Notes,
    pub(super) lines: Vec<Lines>,
    pub(super) pending: Pending<()>,
    pub(super) last_id: u64,
    pub(super) open: Vec<OpenEvent>,
    pub(super) phase: Phase,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) calls: JoinSet<Done>,
    pub(super) mode: Calls,
    pub(super) timeout: Duration,
    pub(super) start_timeout: Duration,
    pub(super) items: Vec<Item>,
    pub(super) is_eof: bool,
    /// It does not read: nothing more is answered.
    pub(super) is_clogged: bool,
    pub(super) exit: Option<Exit>,
    pub(super) began: Instant,
    pub(super) log: Transcript,
}

impl<'a> Live<'a> {
    pub(super) fn new(
        runner: &Runner<'a>,
        setup: Setup,
        mut child: Child,
        reader: pipe::Receiver,
        writer: pipe::Sender,
        mode: Calls,
    ) -> Self {
        let notes = Notes::default();
        let reader = Noting::new(reader, Arc::clone(&notes));
        let line = usize::try_from(setup.settings.limits.effective().line).unwrap_or(usize::MAX);
        let clock = Clock::start();
        let lines = std::mem::take(&mut child.log).into_iter();
        let first = caller(&runner.stage.name, &setup, &Default::default());
        Self {
            stage: runner.stage,
            services: Stage::services(),
            child,
            peer: Peer::new(reader, writer, line, None),
            notes,
            lines: lines.map(|log| Lines::new(log, clock)).collect(),
            pending: Pending::default(),
            last_id: sgeventd_protocol::FIRST_REQUEST_ID - 1,
            open: Vec::new(),
            phase: Phase::Handshake,
            caller: first.ok().map(|(caller, _)| caller),
            calls: JoinSet::new(),
            mode,
            timeout: runner.timeout,
            start_timeout: runner.start_timeout,
            items: Vec::new(),
            is_eof: false,
            is_clogged: false,
            exit: None,
            began: Instant::now(),
            log: Transcript::default(),
            setup,
        }
    }

    /// Takes the next thing that happens; false when the time is over.
    pub(super) async fn turn(&mut self, until: Instant) -> bool {
        let (first, second) = match self.lines.as_mut_slice() {
            [] => (None, None),
            [one] => (Some(one), None),
            [one, other, ..] => (Some(one), Some(other)),
        };
        tokio::select! {
            turn = self.peer.turn(&mut self.items, true), if !self.is_eof || !self.peer.is_flushed() => {
                self.is_eof |= matches!(turn, Turn::Eof | Turn::Broken(_));
                self.take_items();
            }
            exit = self.child.wait(), if self.exit.is_none() => {
                self.exit = Some(exit);
                self.last_words().await;
                self.write_down(What::Ended(exit));
            }
            Some(Ok(done)) = self.calls.join_next(), if !self.calls.is_empty() => {
                self.called(done);
                // All that are done: calls come a hundred at a time.
                while let Some(Ok(done)) = self.calls.try_join_next() {
                    self.called(done);
                }
            }
            Some(line) = next_line(first) => self.write_down(What::Printed(line)),
            Some(line) = next_line(second) => self.write_down(What::Printed(line)),
            () = tokio::time::sleep_until(until) => return false,
        }
        true
    }

    /// What is still in the pipes of a process that has ended counts.
    async fn last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        loop {
            let (first, second) = match self.lines.as_mut_slice() {
                [] => (None, None),
                [one] => (Some(one), None),
                [one, other, ..] => (Some(one), Some(other)),
            };
            let has_log =
                |lines: &Option<&mut Lines>| lines.as_ref().is_some_and(|one| !one.is_ended());
            let is_over = self.is_eof && !has_log(&first) && !has_log(&second);
            if is_over {
                return;
            }
            tokio::select! {
                turn = self.peer.turn(&mut self.items, true), if !self.is_eof => {
                    self.is_eof |= matches!(turn, Turn::Eof | Turn::Broken(_));
                    self.take_items();
                }
                line = next_line(first) => if let Some(line) = line { self.write_down(What::Printed(line)) },
                line = next_line(second) => if let Some(line) = line { self.write_down(What::Printed(line)) },
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    /// Writes down a message whose line does not end: nobody reads it.
    pub(super) fn take_half(&mut self) {
        if let Some(line) = oddity::take_half(&self.notes) {
            self.write_down(What::Came(Said::Unended(line)));
        }
    }

    fn take_items(&mut self) {
        if self.is_eof {
            self.take_half();
        }
        for (line, why) in oddity::take(&self.notes) {
            self.write_down(What::Came(Said::Odd { line, why }));
        }
        for item in std::mem::take(&mut self.items) {
            self.take(item);
        }
    }

    fn take(&mut self, item: Item) {
        let text = |params: &Option<Box<RawValue>>| {
            params.as_ref().map_or("null", |raw| raw.get()).to_owned()
        };
        let said = match item {
            Item::Response { id, outcome } => {
                self.pending.answer(id);
                self.open.retain(|event| event.request_id != id);
                let outcome = outcome.map(|raw| String::from(Box::<str>::from(raw)));
                let id = id.to_string();
                Said::Answer { id, outcome }
            }
            // Of the requests that are made of it the codec does not know this one.
            Item::Request { method, .. } if method == UNKNOWN => Said::Echo,
            // More of a flood says nothing new.
            Item::Request { .. } if self.is_clogged => return,
            Item::Request { id, method, params } => {
                let said = Said::Request {
                    id: id.get().to_owned(),
                    method: method.clone(),
                    params: text(&params),
                };
                self.write_down(What::Came(said));
                return self.call(id, method, params);
            }
            Item::Notification { method, params } => {
                let params = text(&params);
                Said::Notification { method, params }
            }
            Item::Unasked { id } => Said::Unasked(id),
            Item::Echo => Said::Echo,
            Item::Stray(text) => Said::Stray(text),
            Item::TooLong { bytes, .. } => Said::TooLong(bytes),
            // Its line has been noted as odd.
            Item::Invalid { .. } => return,
        };
        self.write_down(What::Came(said));
    }

    /// Answers a call, as the plan says.
    fn call(&mut self, id: Box<RawValue>, method: String, params: Option<Box<RawValue>>) {
        let unread = self.peer.unread_bytes();
        if (self.peer.is_flooded() || unread > UNREAD_MAX) && !self.is_clogged {
            self.is_clogged = true;
            self.calls.abort_all();
            self.write_down(What::Clogged(unread));
        }
        if self.is_clogged {
            return;
        }
        let is_in_event = self.phase == Phase::Running;
        if is_in_event && self.mode == Calls::Away && method.starts_with("sg.") {
            let error = RpcError::new(ErrorCode::SiteUnavailable, "the site is away");
            let error = error.with(&json!({ "sent": false, "status": null, "method": method }));
            return self.called(Done {
                id,
                method,
                answer: Err(error),
            });
        }
        let late = match self.mode {
            Calls::Late(wait) if is_in_event => wait,
            _ => Duration::ZERO,
        };
        let Some(caller) = self.caller.clone() else {
            return;
        };
        let context = CallContext {
            phase: self.phase,
            open: self.open.clone().into(),
            last_request_id: self.last_id,
        };
        let services = self.services.clone();
        self.calls.spawn(async move {
            tokio::time::sleep(late).await;
            let answer = services
                .call(&caller, &context, &method, params.as_deref())
                .await;
            let answer = answer.map_err(|error| RpcError {
                code: error.code as i64,
                message: error.message,
                data: Some(error.data),
            });
            Done { id, method, answer }
        });
    }

    fn called(&mut self, done: Done) {
        if matches!(self.mode, Calls::Late(_)) && self.phase == Phase::Running {
            self.notify("$/a_later_method", &json!({ "while": done.method }));
        }
        let id = done.id.get().to_owned();
        let outcome = match done.answer {
            Ok(result) => {
                self.peer.queue(|out| write::result(out, &done.id, &result));
                Ok(kept(result.get()))
            }
            Err(error) => {
                self.peer.queue(|out| write::error(out, &done.id, &error));
                Err(error)
            }
        };
        self.write_down(What::Sent(Said::Answer { id, outcome }));
    }

    pub(super) fn close(&mut self) {
        self.peer.close_input();
        self.write_down(What::Closed);
    }

    pub(super) fn write_down(&mut self, what: What) {
        // A plugin that floods us must not cost more than this; how it ended is always told.
        let is_told = matches!(what, What::Ended(_) | What::GaveUp(..) | What::Clogged(_));
        if is_told || self.log.entries.len() < ENTRIES_MAX {
            self.log.entries.push(what);
        }
    }

    /// Sees what still comes, and ends the process with all that it started.
    pub(super) async fn end(mut self, number: u64) -> Transcript {
        if self.exit.is_none() {
            let until = Instant::now() + SETTLE;
            if !self
                .log
                .entries
                .iter()
                .any(|what| matches!(what, What::Closed))
            {
                self.close();
            }
            while self.exit.is_none() && self.turn(until).await {}
        }
        let pid = self.child.pid;
        kill_group(pid);
        if self.exit.is_none() {
            self.exit = Some(self.child.wait().await);
        }
        // A process that escaped and cannot be found changes no finding.
        let _joined = tokio::task::spawn_blocking(move || end_escaped(pid, number)).await;
        self.log.elapsed_ms = millis(self.began.elapsed());
        self.log
    }
}

async fn next_line(lines: Option<&mut Lines>) -> Option<String> {
    match lines {
        Some(lines) => lines.next().await.map(|line| line.text),
        None => std::future::pending().await,
    }
}

/// What the transcript keeps of a text.
pub(super) fn kept(text: &str) -> String {
    shortened(text, KEPT)
}
