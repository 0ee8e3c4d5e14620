//! What the machine of a plugin's life says is carried out here, as `src/plugin/task/fate.rs` does; and how a process ends.

use std::time::Duration;

use sgeventd::{
    plugin::{
        flight::{Blame, blame},
        life::{Action, Cause, Input, State, Then},
    },
    process::{Ladder, Step},
};
use sgeventd_protocol::message::Reason;

use super::{BUSY, World};
use crate::{
    chance::Die,
    plan::Vice,
    process::{End, Say},
    queue::Due,
};

/// Open events are waited for so long when the daemon stops.
const DRAIN: Duration = Duration::from_secs(30);
/// No event may take longer.
const DRAIN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The exit code by which a plugin says that it cannot be configured.
const EXIT_CONFIG: u8 = 78;

impl World<'_> {
    pub(super) fn step(&mut self, who: usize, input: Input) {
        let now = self.now();
        let random = self.chance.unit(Die::Random, self.steps, 2);
        let life = &mut self.tasks[who].life;
        let (before, what) = (word_of(life.state()), word_of_input(&input));
        let actions = life.step(input, now, random);
        let after = word_of(life.state());
        if before != after || !actions.is_empty() {
            self.cover.note("life", before, what, after);
            self.story.tell(self.queue.now, || {
                format!("plugin {who}: {what}: from {before} to {after}")
            });
        }
        for action in actions {
            self.act(who, action);
        }
    }

    fn act(&mut self, who: usize, action: Action) {
        match action {
            Action::Spawn(why) => {
                let task = &mut self.tasks[who];
                if why != Reason::Crash
                    && let Some(machine) = &mut task.machine
                {
                    machine.enable();
                }
                task.paused_until = None;
                if let Some(next) = task.next_file.take() {
                    task.file = next;
                }
                self.spawn(who, false);
            }
            Action::Validate => self.spawn(who, true),
            Action::Promote => self.promote(who),
            Action::EndCandidate => self.end_candidate(who),
            Action::Drain => self.drain(who),
            Action::End => self.end_run(who),
            Action::TellDisabled => self.tell_disabled(who),
            Action::TellRecovered => self.tell_recovered(who),
        }
    }

    fn drain(&mut self, who: usize) {
        let now = self.mono();
        let task = &mut self.tasks[who];
        let is_leaving = matches!(task.life.state(), State::Draining(Then::Rest));
        let Some(run) = &mut task.run else {
            return self.gone_already(who);
        };
        let until = now + if is_leaving { DRAIN } else { DRAIN_MAX };
        let ladder = run.ladder.get_or_insert_with(|| Ladder::drain(until));
        ladder.cap(until);
    }

    pub(super) fn end_run(&mut self, who: usize) {
        let now = self.mono();
        let Some(run) = &mut self.tasks[who].run else {
            return self.gone_already(who);
        };
        match &mut run.ladder {
            Some(ladder) => ladder.hangs(now),
            None => run.ladder = Some(Ladder::hung(now)),
        }
    }

    fn gone_already(&mut self, who: usize) {
        if self.tasks[who]
            .spawning
            .iter()
            .all(|spawning| spawning.is_candidate)
        {
            let error = String::new();
            self.step(
                who,
                Input::Exited {
                    error,
                    counts: false,
                },
            );
        }
    }

    /// The stop ladder of either process.
    pub(super) fn climb(&mut self, who: usize, is_candidate: bool) {
        let now = self.mono();
        let Some(run) = self.tasks[who].slot(is_candidate) else {
            return;
        };
        let Some(ladder) = &mut run.ladder else {
            return;
        };
        if ladder.is_draining() && run.flights.is_empty() {
            ladder.drained(now);
        }
        let process = run.process;
        let Some(step) = ladder.tick(now) else { return };
        let hangs = self.processes[process].hangs;
        match step {
            Step::Ask if !hangs => {
                let takes = 3 + self
                    .chance
                    .below(Die::Handshake, process as u64, 3, 4)
                    .pow(5);
                self.queue.after(takes, Due::Says(process, Say::Bye));
            }
            Step::CloseInput if !hangs => self.ends(process, End::Code(0), 3),
            // One that hangs in a handler takes no SIGTERM either.
            Step::Terminate if !hangs || self.processes[process].vice != Vice::Hanging => {
                let takes = 2 + self
                    .chance
                    .below(Die::Handshake, process as u64, 4, 4)
                    .pow(5);
                self.ends(process, End::Killed, takes);
            }
            Step::Kill => self.ends(process, End::Killed, 2),
            Step::Unkillable => self
                .check
                .fail(|| format!("plugin {who}: a killed process does not end")),
            _ => {}
        }
    }

    /// It lives on, but can answer nothing any more.
    pub(super) fn closed(&mut self, who: usize, is_candidate: bool) {
        match self.tasks[who].slot(is_candidate) {
            Some(run) if run.ladder.is_some() => {}
            Some(_) if is_candidate => self.invalid(who),
            Some(_) => self.step(who, Input::Hung("it closed its output".into())),
            None => {}
        }
    }

    /// A process ends after a while.
    pub(super) fn ends(&mut self, process: usize, end: End, after: u64) {
        self.processes[process].end = end;
        self.queue.after(after, Due::Exited(process));
    }

    /// A process has ended, and what it said before was heard.
    pub(super) fn exited(&mut self, process: usize) {
        if !self.processes[process].is_alive {
            return;
        }
        let who = self.processes[process].plugin;
        if self.tasks[who].is_making {
            self.queue.after(BUSY, Due::Exited(process));
            return;
        }
        self.processes[process].is_alive = false;
        let end = self.processes[process].end;
        let is_of = |slot: &Option<super::task::Run>| {
            slot.as_ref().is_some_and(|run| run.process == process)
        };
        if is_of(&self.tasks[who].run) {
            self.run_over(who, end);
        } else if is_of(&self.tasks[who].candidate) {
            let run = self.tasks[who].candidate.take();
            if run.is_some_and(|run| run.ladder.is_none()) {
                self.tell_invalid(who);
            }
            self.step(who, Input::CandidateGone);
        }
        self.advance(who);
    }

    fn run_over(&mut self, who: usize, end: End) {
        let now = self.now();
        let Some(mut run) = self.tasks[who].run.take() else {
            return;
        };
        for (open, ended) in run.flights.over() {
            self.settle(who, &open, ended);
        }
        let is_asked = run.ladder.is_some();
        let is_signal = end == End::Killed;
        let at_work: Vec<_> = run
            .flights
            .unanswered()
            .map(|(_, event)| event.seq)
            .collect();
        let Blame { is_own, counts } = blame(is_asked, is_signal, at_work.len());
        // What the contract says, in other words than the product's.
        if let ([seq], End::Code(_), false) = (&at_work[..], end, is_asked) {
            self.check.plugins[who].crashed_alone(*seq);
        }
        if is_own {
            self.check.plugins[who].crashed(&at_work);
        }
        if !at_work.is_empty() {
            let what = match (is_own, at_work.len()) {
                (false, _) => "ended from outside",
                (true, 1) => "crash alone",
                (true, _) => "crash in company",
            };
            self.cover.note("event", "out", what, "back");
        }
        if let Some(machine) = &mut self.tasks[who].machine {
            machine.handle_exit(is_own, "it ended", now);
        }
        if is_own && end == End::Code(EXIT_CONFIG) {
            let cause = Cause::Itself(String::new());
            // There is no process: what the machine asks for is done.
            let before = word_of(self.tasks[who].life.state());
            let _actions = self.tasks[who].life.step(Input::Refused(cause), now, 0.0);
            let after = word_of(self.tasks[who].life.state());
            self.cover.note("life", before, "refused", after);
        }
        let error = String::new();
        self.step(who, Input::Exited { error, counts });
    }
}

/// Where a life stands, in a word.
pub(crate) fn word_of(state: &State) -> &'static str {
    match state {
        State::Stopped => "stopped",
        State::Starting => "starting",
        State::Ready { .. } => "ready",
        State::Draining(then) => match then {
            Then::Rest => "draining, then rest",
            Then::Start(_) => "draining, then start",
            Then::Swap => "draining, then swap",
            Then::Disable(_) => "draining, then disable",
            Then::Miss => "draining, then miss",
            Then::Fail(_) => "draining, then fail",
        },
        State::Stopping(then) => match then {
            Then::Rest => "stopping, then rest",
            Then::Start(_) => "stopping, then start",
            Then::Swap => "stopping, then swap",
            Then::Disable(_) => "stopping, then disable",
            Then::Miss => "stopping, then miss",
            Then::Fail(_) => "stopping, then fail",
        },
        State::Backoff { .. } => "backoff",
        State::Missing => "missing",
        State::Disabled {
            cause: Cause::Operator,
            ..
        } => "disabled by an operator",
        State::Disabled { .. } => "disabled",
    }
}

/// What came, in a word.
pub(crate) fn word_of_input(input: &Input) -> &'static str {
    match input {
        Input::Boot => "boot",
        Input::Start => "start",
        Input::Ready => "ready",
        Input::StartFailed(_) => "start failed",
        Input::HandshakeFailed(_) => "handshake failed",
        Input::Refused(_) => "refused",
        Input::Hung(_) => "hung",
        Input::Exited { counts: true, .. } => "exited, counts",
        Input::Exited { counts: false, .. } => "exited, free",
        Input::Changed => "changed",
        Input::Validated => "validated",
        Input::Invalid => "invalid",
        Input::CandidateGone => "candidate gone",
        Input::Vanished => "vanished",
        Input::Enable => "enable",
        Input::Disable => "disable",
        Input::Off => "off",
        Input::Shutdown => "shutdown",
        Input::Tick => "tick",
    }
}
