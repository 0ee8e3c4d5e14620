//! One generation of a plugin's process: its pipes, its open requests, its calls, its end.
//!
//! In: what the process writes, prints, and how it ends. Out: [`Happened`], one at a time.
//! Never: what any of it means for events (`task`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use sgeventd_protocol::{Item, Manifest, pending::Pending, write};
use tokio::{
    net::unix::pipe,
    sync::{OwnedSemaphorePermit, mpsc},
    task::AbortHandle,
};

use super::flight::Flights;
use crate::{
    clock::{Clock, Mono},
    ident::{EventId, Generation, Seq},
    peer::{Noise, Peer, RateLimit, Tap, Turn},
    process::{Child, Exit, Ladder, Line, Lines},
    services::{CallContext, Caller, OpenEvent, Phase, RpcError},
};

/// Answers of calls that may wait to be written: every call is bounded by the services' own queue.
const ANSWERS: usize = 64;
/// Stray lines and notifications, and their bytes, a second.
const TALK_PER_SECOND: u32 = 200;
const TALK_BYTES_PER_SECOND: usize = 512 * 1024;
/// What is of no use is read no faster, in bytes a second, once so much was read: who floods its pipe must not cost the others a core.
const NOISE_PER_SECOND: usize = 1024 * 1024;
const NOISE_BURST: usize = 8 * 1024 * 1024;
/// So many bytes that are passed over cost as much as one of a line.
const PASSED_OVER: usize = 128;
/// Last words are read for so long after the end.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);
/// A process that closed a pipe is given so long to end by itself.
const CLOSED: Duration = Duration::from_secs(1);
/// A large answer that is not read on for so long will not be.
const CLOGGED: Duration = Duration::from_secs(10);
/// The handshake, both steps.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(60);
/// Who has said nothing for so long hangs as far as others are concerned: its turn to start is theirs.
const TURN: Duration = Duration::from_secs(5);
/// Of what was printed before the handshake, so much is shown.
const STDOUT_KEPT: usize = 2048;

/// What a request of ours stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Initialize,
    Start,
    Event(Seq),
    Shutdown,
}

/// A turn to start: few processes begin at once. It is over when the process shakes hands, or takes too long for it.
pub(super) struct StartTurn {
    _permit: OwnedSemaphorePermit,
    /// Until when the others wait.
    pub(super) until: Mono,
}

impl StartTurn {
    /// Begins now.
    pub(super) fn new(permit: OwnedSemaphorePermit, now: Mono) -> Self {
        Self {
            _permit: permit,
            until: now + TURN,
        }
    }
}

/// A call that is not answered.
pub(super) struct Call {
    /// Tells it from a later one under the same id.
    pub(super) number: u64,
    /// The request of the event that waits for it.
    pub(super) parent: Option<u64>,
    pub(super) task: AbortHandle,
}

/// The answer of a call.
pub(super) struct CallDone {
    pub(super) id: Box<RawValue>,
    pub(super) number: u64,
    pub(super) is_write: bool,
    pub(super) answer: Result<Box<RawValue>, RpcError>,
}

/// What happened.
pub(super) enum Happened {
    /// Messages were read.
    Messages,
    /// A call is done.
    Call(CallDone),
    /// It printed a line.
    Printed(Line),
    /// It closed a pipe some time ago and has not ended: which, in words.
    Closed(&'static str),
    /// It ended; last words follow.
    Exited,
    /// It ended and said all.
    Over(Exit),
}

/// See the module.
pub(super) struct Run {
    pub(super) generation: Generation,
    pub(super) child: Child,
    pub(super) peer: Peer<pipe::Receiver, pipe::Sender>,
    pub(super) pending: Pending<Asked>,
    pub(super) last_request_id: u64,
    pub(super) phase: Phase,
    pub(super) manifest: Option<Arc<Manifest>>,
    pub(super) raw_manifest: Option<Arc<RawValue>>,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) flights: Flights,
    pub(super) ladder: Option<Ladder>,
    /// Until when the handshake must be done.
    pub(super) handshake_until: Option<Mono>,
    pub(super) calls: HashMap<Box<str>, Call>,
    /// Calls that were made so far.
    pub(super) calls_made: u64,
    pub(super) answers: (mpsc::Sender<CallDone>, mpsc::Receiver<CallDone>),
    pub(super) talk: RateLimit,
    /// Stray output, dropped notifications, answers to nothing, calls that were refused.
    pub(super) noise: Noise,
    pub(super) has_stray: bool,
    pub(super) stdout: String,
    pub(super) odd_answers: u64,
    pub(super) turn: Option<StartTurn>,
    pub(super) items: Vec<Item>,
    /// The kernel ended a process of its control group for want of memory.
    pub(super) ran_out_of_memory: bool,
    lines: Vec<Lines>,
    is_eof: bool,
    exit: Option<Exit>,
    words_until: Option<Mono>,
    /// Which pipe it closed, in words, and how long its end is waited for.
    closed: Option<(&'static str, Mono)>,
    /// What it had read when it was first found clogged, and when that was.
    clogged: Option<(u64, Mono)>,
    clock: Clock,
}

impl Run {
    pub(super) fn new(
        mut child: Child,
        generation: Generation,
        line_max: usize,
        tap: Option<Box<dyn Tap>>,
        clock: Clock,
        turn: Option<StartTurn>,
    ) -> Option<Self> {
        let (reader, writer) = child.pipes.take()?;
        let lines = std::mem::take(&mut child.log);
        let lines = lines.into_iter().map(|log| Lines::new(log, clock));
        Some(Self {
            generation,
            peer: Peer::new(reader, writer, line_max, tap),
            lines: lines.collect(),
            child,
            pending: Pending::default(),
            last_request_id: sgeventd_protocol::FIRST_REQUEST_ID - 1,
            phase: Phase::Handshake,
            manifest: None,
            raw_manifest: None,
            caller: None,
            flights: Flights::default(),
            ladder: None,
            handshake_until: None,
            calls: HashMap::new(),
            calls_made: 0,
            answers: mpsc::channel(ANSWERS),
            talk: RateLimit::new(TALK_PER_SECOND, TALK_BYTES_PER_SECOND),
            noise: Noise::new(NOISE_PER_SECOND, NOISE_BURST),
            has_stray: false,
            stdout: String::new(),
            odd_answers: 0,
            turn,
            items: Vec::new(),
            ran_out_of_memory: false,
            is_eof: false,
            exit: None,
            words_until: None,
            closed: None,
            clogged: None,
            clock,
        })
    }

    /// Asks something; what it is answered with is known by what it stands for.
    pub(super) fn ask(&mut self, what: Asked, method: &str, params: &impl serde::Serialize) {
        let id = self.pending.ask(what);
        self.last_request_id = id;
        self.peer
            .queue(|out| write::request(out, id, method, params));
    }

    /// Waits for the next thing that happens to it.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Happened {
        loop {
            if let Some(exit) = self.exit {
                let has_said_all = self.is_eof && self.lines.iter().all(Lines::is_ended);
                let is_late = self
                    .words_until
                    .is_some_and(|at| self.clock.now().mono >= at);
                if has_said_all || is_late {
                    return Happened::Over(exit);
                }
            }
            if self.exit.is_none()
                && let Some((what, _)) = self.closed.take_if(|(_, at)| self.clock.now().mono >= *at)
            {
                return Happened::Closed(what);
            }
            // Of one that has ended there is no more than a pipe holds.
            let rest = match self.exit {
                Some(_) => None,
                None => self.noise.rests_until(self.clock.now().mono),
            };
            let wake = self.words_until.or(self.closed.map(|(_, at)| at));
            let wake = wake.into_iter().chain(rest).min();
            let wake = wake.map(|at| self.clock.instant(at));
            let (first, second) = two(&mut self.lines);
            tokio::select! {
                turn = self.peer.turn(&mut self.items, rest.is_none()), if !self.is_eof || !self.peer.is_flushed() => {
                    let closed = match turn {
                        Turn::Messages => None,
                        Turn::Noise(bytes) => {
                            self.noise.add(bytes / PASSED_OVER, self.clock.now().mono);
                            None
                        }
                        Turn::Deaf => Some("input"),
                        Turn::Eof | Turn::Broken(_) => Some("output"),
                    };
                    self.is_eof |= closed == Some("output");
                    if let Some(what) = closed {
                        self.closed.get_or_insert((what, self.clock.now().mono + CLOSED));
                    }
                    if !self.items.is_empty() {
                        return Happened::Messages;
                    }
                }
                exit = self.child.wait(), if self.exit.is_none() => {
                    self.exit = Some(exit);
                    self.words_until = Some(self.clock.now().mono + LAST_WORDS);
                    return Happened::Exited;
                }
                Some(done) = self.answers.1.recv() => return Happened::Call(done),
                // Its end is looked at above: it may be the last thing that a process leaves.
                line = next_line(first) => if let Some(line) = line { return Happened::Printed(line) },
                line = next_line(second) => if let Some(line) = line { return Happened::Printed(line) },
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Lines of its log, stray ones and notifications that were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        let lines = self.lines.iter().map(Lines::dropped);
        self.talk.dropped() + lines.sum::<u64>()
    }

    /// The last lines that it printed to its log.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.lines.iter().flat_map(Lines::last).collect()
    }

    /// True when it goes on calling although its answers lie unread: many of them, or much for a while.
    pub(super) fn does_not_read(&mut self, now: Mono) -> bool {
        if !self.peer.is_clogged() {
            self.clogged = None;
            return false;
        }
        let written = self.peer.written();
        match self.clogged {
            Some((at, since)) if at == written => now - since >= CLOGGED || self.peer.is_flooded(),
            _ => {
                self.clogged = Some((written, now));
                self.peer.is_flooded()
            }
        }
    }

    /// Keeps the beginning of what is printed where the protocol should be.
    pub(super) fn keep_stdout(&mut self, text: &str) {
        let room = STDOUT_KEPT.saturating_sub(self.stdout.len());
        if room > 0 {
            self.stdout.extend(text.chars().take(room));
            self.stdout.push('\n');
        }
    }

    /// The moment of a call.
    pub(super) fn context(&self) -> CallContext {
        CallContext {
            phase: self.phase,
            open: self
                .flights
                .unanswered()
                .map(|(request_id, event)| OpenEvent {
                    request_id,
                    event_id: event.facts.event_id,
                    session_uuid: event.facts.session_uuid.clone(),
                })
                .collect(),
            last_request_id: self.last_request_id,
        }
    }

    /// The request that a message belongs to which names none: the only one that is not answered.
    pub(super) fn only_open(&self) -> Option<u64> {
        let mut open = self.flights.unanswered();
        let (id, _) = open.next()?;
        open.next().is_none().then_some(id)
    }

    /// The event of an open request.
    pub(super) fn event_of(&self, request: Option<u64>) -> Option<EventId> {
        let event = self.flights.event(request.or_else(|| self.only_open())?)?;
        Some(event.facts.event_id)
    }

    /// True once it is being stopped and no longer waited for.
    pub(super) fn is_cut(&self) -> bool {
        self.ladder
            .as_ref()
            .is_some_and(|ladder| !ladder.is_draining())
    }

    /// Ends its calls: nobody waits for their answers.
    pub(super) fn end_calls(&mut self) {
        for (_, call) in self.calls.drain() {
            call.task.abort();
        }
    }
}

fn two(lines: &mut [Lines]) -> (Option<&mut Lines>, Option<&mut Lines>) {
    match lines {
        [] => (None, None),
        [one] => (Some(one), None),
        [one, other, ..] => (Some(one), Some(other)),
    }
}

/// The next line, and none at the end, which is told once: after it there is nothing to wait for.
async fn next_line(lines: Option<&mut Lines>) -> Option<Line> {
    match lines.filter(|lines| !lines.is_ended()) {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_log_wakes_whoever_waits_and_is_told_once() {
        let (theirs, ours) = pipe::pipe().expect("a pipe");
        let mut lines = Lines::new(ours, Clock::start());
        drop(theirs);
        assert!(next_line(Some(&mut lines)).await.is_none());
        assert!(futures::poll!(pin!(next_line(Some(&mut lines)))).is_pending());
        assert!(futures::poll!(pin!(next_line(None))).is_pending());
    }
}
