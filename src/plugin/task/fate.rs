//! Starting, shaking hands, ending: what the life machine says is carried out here.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use nix::sys::signal::Signal;
use sgeventd_protocol::message::Reason;

use super::{Task, messages::ERROR_MAX, words::step_of};
use crate::{
    clock::Mono,
    config::{KillScope, Limits, write_size},
    journal::{Journal, JournalError, Op, When},
    plugin::{
        diagnose::{broken_script, limit_met},
        flight::{Blame, blame},
        life::{Action, Cause, Input, State, Then},
        run::{Asked, Happened, Run},
        setup::Launch,
    },
    process::{self, Exit, Ladder, Step},
    services::Phase,
    text::shorten,
};

/// Open events are waited for so long when the daemon stops.
const DRAIN: Duration = Duration::from_secs(30);
/// No event may take longer.
const DRAIN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The exit code by which a plugin says that it cannot be configured: `EX_CONFIG`.
const EXIT_CONFIG: i32 = 78;
/// The exit codes by which `env` and shells say that a program cannot be executed, and that it is not found.
const EXIT_NOT_RUN: [i32; 2] = [126, 127];
/// Where the C library looks for programs when there is no `PATH`.
const PATH_DEFAULT: &str = "/bin:/usr/bin";
/// A file server that does not show a script's first line within so long hangs.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// So much of what was printed in place of the protocol stands in the first line.
const STDOUT_MAX: usize = 80;

impl Task {
    /// One step of the life machine, and what it asks for.
    pub(super) fn step(&mut self, input: Input) -> bool {
        let now = self.shared.clock.now();
        let before = self.life.state().clone();
        let actions = self.life.step(input, now, fastrand::f32());
        let has_moved = before != *self.life.state();
        for action in actions {
            self.act(action);
        }
        has_moved
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(why) => {
                if why != Reason::Crash {
                    if let Some(machine) = &mut self.machine {
                        machine.enable();
                    }
                    self.is_unkillable = false;
                }
                self.pause = None;
                if let Some(setup) = self.next_setup.take() {
                    self.setup = setup;
                }
                self.spawn(why, false);
            }
            Action::Validate => self.spawn(Reason::Changed, true),
            Action::Promote => self.promote(),
            Action::EndCandidate => self.end_candidate(),
            Action::Drain => self.drain(),
            Action::End => self.end(),
            Action::TellDisabled => self.tell_disabled(),
            Action::TellRecovered => self.tell_recovered(),
        }
    }

    fn drain(&mut self) {
        let now = self.shared.clock.now().mono;
        let is_leaving = matches!(self.life.state(), State::Draining(Then::Rest));
        let Some(run) = &mut self.run else {
            return self.gone_already();
        };
        // A restart waits as long as the open events may take: each has its own deadline.
        let until = now + if is_leaving { DRAIN } else { DRAIN_MAX };
        let ladder = run.ladder.get_or_insert_with(|| Ladder::drain(until));
        ladder.cap(until);
    }

    pub(super) fn end(&mut self) {
        let now = self.shared.clock.now().mono;
        let Some(run) = &mut self.run else {
            return self.gone_already();
        };
        match &mut run.ladder {
            Some(ladder) => ladder.hangs(now),
            None => run.ladder = Some(Ladder::hung(now)),
        }
    }

    fn gone_already(&mut self) {
        if self.spawning.iter().all(|spawning| spawning.is_candidate) {
            let error = String::new();
            self.step(Input::Exited {
                error,
                counts: false,
            });
            return;
        }
        for spawning in self.spawning.iter().filter(|one| !one.is_candidate) {
            spawning.gives_up.cancel();
        }
    }

    /// The stop ladder of either process.
    pub(super) fn climb(&mut self, now: Mono, is_candidate: bool) {
        let kills_group = self.setup.settings.kill == KillScope::Group;
        let run = if is_candidate {
            &mut self.candidate
        } else {
            &mut self.run
        };
        let Some(run) = run else { return };
        let Some(ladder) = &mut run.ladder else {
            return;
        };
        if ladder.is_draining() && run.flights.is_empty() {
            ladder.drained(now);
        }
        let pid = run.child.pid;
        match ladder.tick(now) {
            None => {}
            Some(Step::Ask) => {
                run.phase = Phase::ShuttingDown;
                run.ask(Asked::Shutdown, "shutdown", &serde_json::json!({}));
            }
            Some(Step::CloseInput) => run.peer.close_input(),
            Some(Step::Terminate) if kills_group => process::signal_group(pid, Signal::SIGTERM),
            Some(Step::Terminate) => process::signal_one(pid, Signal::SIGTERM),
            Some(Step::Kill) if kills_group => process::kill_group(pid),
            Some(Step::Kill) => process::signal_one(pid, Signal::SIGKILL),
            Some(Step::Unkillable) => {
                self.is_unkillable = true;
                self.tell_unkillable(pid);
            }
        }
    }

    /// Something of a process happened.
    pub(super) async fn happened(
        &mut self,
        happened: Happened,
        is_candidate: bool,
    ) -> Result<(), JournalError> {
        match happened {
            Happened::Messages => self.messages(is_candidate).await?,
            Happened::Call(done) => self.call_done(done, is_candidate),
            Happened::Printed(line) => {
                tracing::info!(plugin = %self.name, "{}", crate::secret::redact(&line.text));
            }
            Happened::Closed(what) => self.closed(what, is_candidate),
            Happened::Exited => self.sweep(is_candidate),
            Happened::Over(exit) => {
                let suspect = self.suspect(exit, is_candidate);
                let broken = look_at_script(suspect).await;
                self.over(exit, broken, is_candidate);
            }
        }
        self.begin_promoted().await
    }

    /// It lives on, but can be told or can answer nothing any more.
    fn closed(&mut self, what: &str, is_candidate: bool) {
        let error = &format!("it closed its {what}, and lives on");
        let run = if is_candidate {
            &self.candidate
        } else {
            &self.run
        };
        match run {
            Some(run) if run.ladder.is_some() => {}
            Some(run) if is_candidate => self.invalid(&with_last_words(run, error)),
            Some(run) => self.hung(with_last_words(run, error)),
            None => {}
        }
    }

    /// It does not do what it must: it is ended, which counts as a failure.
    pub(super) fn hung(&mut self, error: String) {
        self.failed(Input::Hung, error);
    }

    pub(super) fn failed(&mut self, input: fn(String) -> Input, error: String) {
        tracing::warn!(plugin = %self.name, error, "the plugin is ended");
        self.last_error = Some(error.clone());
        self.note_failure(self.shared.clock.now().mono);
        self.step(input(error));
    }

    /// What the process left behind is ended at once, else its pipes would stay open.
    fn sweep(&mut self, is_candidate: bool) {
        let kills_group = self.setup.settings.kill == KillScope::Group;
        let run = if is_candidate {
            &mut self.candidate
        } else {
            &mut self.run
        };
        let Some(run) = run else { return };
        let (pid, number) = (run.child.pid, run.child.number);
        let group = run.child.group.take();
        // Asked now: it goes away with what is in it.
        run.ran_out_of_memory = group
            .as_ref()
            .is_some_and(|group| group.ran_out_of_memory());
        let marks = self.shared.marks.clone();
        if kills_group {
            process::kill_group(pid);
        }
        drop(tokio::task::spawn_blocking(move || {
            if let Some(group) = group {
                group.end();
            }
            if let Some(number) = number.filter(|_| kills_group) {
                process::end_escaped(pid, number);
                marks.take_back(number);
            }
        }));
    }

    /// The program whose first line may be why its process ended before it answered `initialize`, and the `PATH` it had.
    fn suspect(&self, exit: Exit, is_candidate: bool) -> Option<(PathBuf, OsString)> {
        let run = if is_candidate {
            &self.candidate
        } else {
            &self.run
        };
        let is_early = |run: &Run| run.manifest.is_none() && run.ladder.is_none();
        let is_not_run = matches!(exit, Exit::Code(code) if EXIT_NOT_RUN.contains(&code));
        if !is_not_run || !run.as_ref().is_some_and(is_early) {
            return None;
        }
        let Launch::Spec(spec) = &self.setup_for(is_candidate).launch else {
            return None;
        };
        let path = spec.env.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or_else(|| OsString::from(PATH_DEFAULT), |(_, value)| value.clone());
        Some((spec.base.join(&spec.program), path))
    }

    /// Its process has ended; `broken`: its program's first line is why, in words.
    fn over(&mut self, exit: Exit, broken: Option<String>, is_candidate: bool) {
        let run = if is_candidate {
            self.candidate.take()
        } else {
            self.run.take()
        };
        let Some(mut run) = run else { return };
        run.end_calls();
        self.lost_lines += run.dropped();
        if run.odd_answers > 1 {
            let answers = run.odd_answers;
            tracing::warn!(plugin = %self.name, generation = run.generation.0, answers, "answers to nothing that was open");
        }
        self.forget_child(&run);
        if is_candidate {
            return self.candidate_over(exit, &run, broken);
        }
        // Answered, and nobody makes their calls any more: settled before the exit is judged.
        let now = self.shared.clock.now();
        for (open, ended) in run.flights.over() {
            self.settle(&open, ended, now);
        }
        let limits = self.setup.settings.limits.effective();
        let error = broken.unwrap_or_else(|| ending(&run, exit, &limits));
        self.main_over(exit, &run, error);
    }

    fn main_over(&mut self, exit: Exit, run: &Run, error: String) {
        let now = self.shared.clock.now();
        let is_asked = run.ladder.is_some();
        let term = Signal::SIGTERM as i32;
        let int = Signal::SIGINT as i32;
        let is_from_outside =
            matches!(exit, Exit::Signal(signal) if signal == term || signal == int);
        let Blame { is_own, counts } = blame(is_asked, is_from_outside, run.flights.len());
        if let Some(machine) = &mut self.machine {
            machine.handle_exit(is_own, &error, now);
        }
        if is_own {
            self.last_error = Some(error.clone());
            tracing::warn!(plugin = %self.name, generation = run.generation.0, error, "the plugin's process ended");
        }
        if is_own && exit == Exit::Code(EXIT_CONFIG) {
            // There is no process: what the machine asks for is done.
            let cause = Cause::Itself(error.clone());
            let _actions = self.life.step(Input::Refused(cause), now, 0.0);
        }
        if is_own {
            self.note_failure(now.mono);
        }
        self.step(Input::Exited { error, counts });
    }

    pub(super) fn note_failure(&self, now: Mono) {
        if self.shared.host.failed(&self.name, now) {
            self.tell_host();
        }
    }

    fn forget_child(&self, run: &Run) {
        forget_child(&self.shared.journal, run.child.pid, run.child.start_time);
    }
}

/// A child has ended: queued at once, so that it is on disk when the daemon ends right after it.
pub(super) fn forget_child(journal: &Journal, pid: i32, start_time: u64) {
    let op = Op::ChildRemove { pid, start_time };
    if let Err(ops) = journal.try_submit(vec![op], When::Now) {
        // There is no room now. A record that stays is found to be dead by the next daemon.
        let journal = journal.clone();
        drop(tokio::spawn(
            async move { journal.submit(ops, When::Now).await },
        ));
    }
}

/// What is wrong with the first line of a script that `env` could not run, if anything is. It is not waited for long.
async fn look_at_script(suspect: Option<(PathBuf, OsString)>) -> Option<String> {
    let (program, path) = suspect?;
    let look = tokio::task::spawn_blocking(move || broken_script(&program, &path));
    let said = tokio::time::timeout(LOOK_MAX, look).await.ok()?.ok()??;
    Some(crate::secret::shown(&said, ERROR_MAX))
}

/// How it ended, the limit that it met, as far as the kernel or its own words tell, and what it said last.
pub(super) fn ending(run: &Run, exit: Exit, limits: &Limits) -> String {
    let met = match run.ran_out_of_memory {
        true => Some(format!(
            "killed by OOM: it used more memory than `limits.memory`, {}",
            write_size(limits.memory)
        )),
        false => limit_met(exit, &run.last_lines(), limits),
    };
    let mut text = exit.to_string();
    if run.handshake_until.is_some() && run.ladder.is_none() {
        text = format!("{text} before it answered `{}`", step_of(run));
    }
    if let Some(met) = met {
        text = format!("{text}; {met}");
    }
    with_last_words(run, &text)
}

/// What it said last, for people.
pub(super) fn with_last_words(run: &Run, what: &str) -> String {
    let lines = run.last_lines();
    let last: Vec<_> = lines.iter().rev().take(20).rev().cloned().collect();
    let mut text = what.to_owned();
    let is_early = run.phase == Phase::Handshake;
    let printed = if is_early { run.stdout.trim() } else { "" };
    let said = last.iter().rfind(|line| !line.trim().is_empty());
    // The first line is all that a table shows: the last words of a traceback say the most.
    match (said, printed.lines().next()) {
        (Some(word), _) => {
            text = format!("{text}; last words on stderr: \"{}\"", word.trim());
        }
        (None, Some(first)) => {
            let first = shorten(first.trim(), STDOUT_MAX);
            text = format!("{text}; on stdout: \"{first}\"");
        }
        (None, None) => {}
    }
    if last.len() > 1 {
        text = format!("{text}\n{}", last.join("\n"));
    }
    if !printed.is_empty() {
        text = format!("{text}\non stdout: {printed}");
    }
    crate::secret::shown(&text, ERROR_MAX)
}
