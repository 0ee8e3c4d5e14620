//! Starting, shaking hands, ending: what the life machine says is carried out here.

use std::{sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use sgeventd_protocol::message::Reason;
use tokio::sync::OwnedSemaphorePermit;

use super::{Spawning, Task};
use crate::{
    clock::Mono,
    ident::Generation,
    journal::{ChildRecord, JournalError, Op},
    plugin::{
        diagnose::explain,
        life::{Action, Cause, Input, State, Then},
        run::{Asked, HANDSHAKE, Happened, Run},
        setup::{Launch, Shared, run_mark},
        tap::PluginTap,
    },
    process::{self, Child, Exit, Ladder, RUN_MARK, Step},
    services::Phase,
};

/// Open events are waited for so long when the daemon stops.
const DRAIN: Duration = Duration::from_secs(30);
/// The exit code by which a plugin says that it cannot be configured: `EX_CONFIG`.
const EXIT_CONFIG: i32 = 78;

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
                if let Some(setup) = self.next_setup.take() {
                    self.setup = setup;
                }
                self.spawn(why, false);
            }
            Action::Validate => self.spawn(Reason::Changed, true),
            Action::Promote => self.promote(),
            Action::Drain => self.drain(),
            Action::End => self.end(),
            Action::TellDisabled => self.tell_disabled(),
            Action::TellRecovered => self.tell_recovered(),
        }
    }

    fn spawn(&mut self, why: Reason, is_candidate: bool) {
        self.generation = Generation(self.generation.0 + 1);
        let generation = self.generation;
        let setup = match (&self.next_setup, is_candidate) {
            (Some(next), true) => next,
            _ => &self.setup,
        };
        let shared = self.shared.clone();
        let (name, launch, tmp) = (
            self.name.clone(),
            setup.launch.clone(),
            setup.paths.1.clone(),
        );
        let done = Box::pin(async move { spawn(&shared, &name, launch, &tmp, generation).await });
        self.spawning.push_back(Spawning {
            generation,
            why,
            is_candidate,
            done,
        });
    }

    pub(super) fn spawned(&mut self, done: Result<(Child, OwnedSemaphorePermit), String>) {
        let Some(spawning) = self.spawning.pop_front() else {
            return;
        };
        let (child, permit) = match done {
            Ok(done) => done,
            Err(error) if spawning.is_candidate => return self.invalid(&error),
            Err(error) => {
                self.last_error = Some(error.clone());
                tracing::warn!(plugin = %self.name, error, "the plugin cannot be started");
                self.note_failure(self.shared.clock.now().mono);
                let is_leaving =
                    matches!(self.life.state(), State::Draining(_) | State::Stopping(_));
                self.step(if is_leaving {
                    Input::Exited {
                        error,
                        counts: false,
                    }
                } else {
                    Input::StartFailed(error)
                });
                return;
            }
        };
        let traffic = self
            .shared
            .traffic
            .for_plugin(&self.name, self.traffic_detail());
        let tap = traffic.is_on().then(|| {
            let tap = PluginTap::new(traffic, self.name.clone(), self.shared.clock);
            Box::new(tap) as Box<dyn crate::peer::Tap>
        });
        let line = self.setup.settings.limits.effective().line;
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let clock = self.shared.clock;
        let Some(mut run) = Run::new(child, spawning.generation, line, tap, clock, permit) else {
            return;
        };
        tracing::debug!(plugin = %self.name, generation = spawning.generation.0, "started");
        run.handshake_until = Some(clock.now().mono + HANDSHAKE);
        run.ask(
            Asked::Initialize,
            "initialize",
            &self.initialize(spawning.generation, spawning.why),
        );
        if spawning.is_candidate {
            self.candidate = Some(run);
            if !matches!(self.life.state(), State::Ready { .. }) {
                self.end_candidate();
            }
        } else {
            self.run = Some(run);
            if matches!(self.life.state(), State::Draining(_) | State::Stopping(_)) {
                self.end();
            }
        }
    }

    fn traffic_detail(&self) -> Option<crate::telemetry::Detail> {
        use crate::{config::TrafficDetail, telemetry::Detail};
        self.setup.settings.traffic.map(|detail| match detail {
            TrafficDetail::Off => Detail::Off,
            TrafficDetail::Headers => Detail::Headers,
            TrafficDetail::Bodies => Detail::Bodies,
        })
    }

    /// The changed version does not work; the old one goes on.
    pub(super) fn invalid(&mut self, error: &str) {
        self.tell_invalid(error);
        self.end_candidate();
        self.step(Input::Invalid);
    }

    fn end_candidate(&mut self) {
        let now = self.shared.clock.now().mono;
        if let Some(run) = &mut self.candidate
            && run.ladder.is_none()
        {
            let mut ladder = Ladder::drain(now);
            ladder.drained(now);
            run.ladder = Some(ladder);
        }
    }

    fn promote(&mut self) {
        if let Some(setup) = self.next_setup.take() {
            self.setup = setup;
        }
        let Some(run) = self.candidate.take() else {
            // It ended meanwhile: as if the changed file were started now.
            return self.spawn(Reason::Changed, false);
        };
        if let Some(machine) = &mut self.machine {
            machine.enable();
        }
        let both = (run.manifest.clone(), run.raw_manifest.clone());
        self.run = Some(run);
        if let (Some(manifest), Some(raw)) = both {
            self.promoted = Some((manifest, raw));
        }
    }

    fn drain(&mut self) {
        let now = self.shared.clock.now().mono;
        let is_leaving = matches!(self.life.state(), State::Draining(Then::Rest));
        if is_leaving {
            self.end_candidate();
        }
        let Some(run) = &mut self.run else {
            return self.gone_already();
        };
        let open = run.open.values().map(|open| open.deadline).max();
        let until = match (is_leaving, open) {
            (_, None) => now,
            (true, _) => now + DRAIN,
            (false, Some(deadline)) => deadline,
        };
        run.ladder.get_or_insert_with(|| Ladder::drain(until));
    }

    fn end(&mut self) {
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
        }
    }

    /// The stop ladder of either process.
    pub(super) fn climb(&mut self, now: Mono, is_candidate: bool) {
        let kills_group = self.setup.settings.kill == crate::config::KillScope::Group;
        let run = if is_candidate {
            &mut self.candidate
        } else {
            &mut self.run
        };
        let Some(run) = run else { return };
        let Some(ladder) = &mut run.ladder else {
            return;
        };
        if ladder.is_draining() && run.open.is_empty() {
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
                self.tell_unkillable();
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
            Happened::Closed => self.closed(is_candidate),
            Happened::Exited => self.sweep(is_candidate),
            Happened::Over(exit) => self.over(exit, is_candidate),
        }
        self.begin_promoted().await
    }

    /// It lives on, but can answer nothing any more.
    fn closed(&mut self, is_candidate: bool) {
        let error = "it closed its output, and lives on without an answer";
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
    fn sweep(&self, is_candidate: bool) {
        let run = if is_candidate {
            &self.candidate
        } else {
            &self.run
        };
        let Some(run) = run else { return };
        if self.setup.settings.kill != crate::config::KillScope::Group {
            return;
        }
        let (pid, mark) = (run.child.pid, run_mark(&self.name, run.generation));
        process::kill_group(pid);
        drop(tokio::task::spawn_blocking(move || {
            process::end_escaped(pid, &mark)
        }));
    }

    fn over(&mut self, exit: Exit, is_candidate: bool) {
        let run = if is_candidate {
            self.candidate.take()
        } else {
            self.run.take()
        };
        let Some(mut run) = run else { return };
        run.end_calls();
        self.forget_child(&run);
        let error = with_last_words(&run, &exit.to_string());
        if is_candidate {
            if run.ladder.is_none() {
                self.tell_invalid(&error);
                self.step(Input::Invalid);
            }
            return;
        }
        self.main_over(exit, &run, error);
    }

    fn main_over(&mut self, exit: Exit, run: &Run, error: String) {
        let now = self.shared.clock.now();
        let is_asked = run.ladder.is_some();
        let term = Signal::SIGTERM as i32;
        let int = Signal::SIGINT as i32;
        let is_from_outside =
            matches!(exit, Exit::Signal(signal) if signal == term || signal == int);
        let is_own = !is_asked && !is_from_outside;
        let is_lone = run.open.len() == 1;
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
        let counts = is_own && !is_lone;
        self.step(Input::Exited { error, counts });
    }

    fn note_failure(&self, now: Mono) {
        if self.shared.host.failed(&self.name, now) {
            self.tell_host();
        }
    }

    fn forget_child(&self, run: &Run) {
        let journal = self.shared.journal.clone();
        let op = Op::ChildRemove {
            pid: run.child.pid,
            start_time: run.child.start_time,
        };
        // A record that stays is found to be dead by the next daemon.
        drop(tokio::spawn(async move { journal.write(op).await }));
    }
}

/// What it said last, for people.
pub(super) fn with_last_words(run: &Run, what: &str) -> String {
    let lines = run.last_lines();
    let last: Vec<_> = lines.iter().rev().take(20).rev().cloned().collect();
    let mut text = what.to_owned();
    if !last.is_empty() {
        text = format!("{text}; last words on stderr:\n{}", last.join("\n"));
    }
    if run.phase == Phase::Handshake && !run.stdout.is_empty() {
        text = format!("{text}\non stdout: {}", run.stdout.trim_end());
    }
    crate::secret::redact(&text).into_owned()
}

/// Starts a process in its turn and records it before it hears a word.
async fn spawn(
    shared: &Shared,
    name: &crate::ident::PluginName,
    launch: Launch,
    tmp: &std::path::Path,
    generation: Generation,
) -> Result<(Child, OwnedSemaphorePermit), String> {
    let Launch::Spec(mut spec) = launch else {
        let Launch::Impossible(why) = launch else {
            return Err(String::new());
        };
        return Err(why);
    };
    let stopping = |_| "the daemon stops".to_owned();
    if let Some(until) = shared.host.rests_until(shared.clock.now().mono) {
        tokio::time::sleep_until(shared.clock.instant(until)).await;
    }
    let permit = Arc::clone(&shared.starts).acquire_owned().await;
    let permit = permit.map_err(stopping)?;
    let (tmp, cwd) = (tmp.to_owned(), spec.cwd.clone());
    let made = tokio::task::spawn_blocking(move || {
        // Emptied at every start; one that cannot be is told by the process itself.
        let _absent = std::fs::remove_dir_all(&tmp);
        std::fs::create_dir_all(&tmp).and_then(|()| std::fs::create_dir_all(&cwd))
    });
    drop(made.await);
    let mark = run_mark(name, generation);
    spec.env.push((RUN_MARK.into(), mark.into()));
    let child = match shared.spawner.spawn(*spec).await {
        Ok(child) => child,
        Err(error) => {
            let said = tokio::task::spawn_blocking(move || explain(&error));
            return Err(said.await.unwrap_or_default());
        }
    };
    let record = ChildRecord {
        plugin: name.clone(),
        pid: child.pid,
        start_time: child.start_time,
        boot_id: process::boot_id().into(),
    };
    let recorded = shared.journal.write(Op::ChildPut(record)).await;
    if let Err(error) = recorded {
        process::kill_group(child.pid);
        return Err(format!("the process cannot be recorded: {error}"));
    }
    Ok((child, permit))
}
