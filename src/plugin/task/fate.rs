//! Starting, shaking hands, ending: what the life machine says is carried out here.

use std::{sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use serde_json::value::RawValue;
use sgeventd_protocol::{
    Manifest, PROTOCOL, RpcError,
    message::{self, Reason},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Spawning, Task};
use crate::{
    clock::Mono,
    dispatch::{Filter, Machine, SelfIdentity, machine::resume},
    ident::Generation,
    journal::{ChildRecord, JournalError, Op, When},
    plugin::{
        life::{Action, Cause, Input, State, Then},
        run::{Asked, HANDSHAKE, Happened, Run},
        setup::{Launch, Shared, run_mark},
        tap::PluginTap,
    },
    process::{self, Child, Exit, Ladder, RUN_MARK, Step},
    services::{AT_WORK, Background, Caller, CallerSetup, Mode, Phase, RESULT_BYTES, WAITING},
    site::permissions::Granted,
};

/// Open events are waited for so long when the daemon stops.
const DRAIN: Duration = Duration::from_secs(30);
/// A handshake whose call waits for the site is looked at again after this.
const PATIENCE: Duration = Duration::from_secs(1);
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

    fn initialize(&self, generation: Generation, reason: Reason) -> message::Initialize {
        let features = ["cancel", "progress"].map(|name| (name.to_owned(), true.into()));
        message::Initialize {
            protocol: message::Supported {
                supported: vec![PROTOCOL],
            },
            daemon: message::Program {
                name: "sgeventd".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            plugin: message::PluginInfo {
                name: self.name.to_string(),
                generation: generation.0,
                reason,
            },
            limits: message::Limits {
                line_bytes: self.setup.settings.limits.effective().line,
                result_bytes: RESULT_BYTES as u64,
                calls: u32::try_from(AT_WORK).unwrap_or(u32::MAX),
                queued_calls: u32::try_from(WAITING).unwrap_or(u32::MAX),
            },
            features: features.into_iter().collect(),
        }
    }

    /// The answer to `initialize`: the manifest is read, the dispatcher made, `start` sent.
    pub(super) async fn initialized(
        &mut self,
        outcome: Result<Box<RawValue>, RpcError>,
        is_candidate: bool,
    ) -> Result<(), JournalError> {
        match read_manifest(outcome) {
            Ok((manifest, raw)) if is_candidate => {
                if let Some(run) = &mut self.candidate {
                    run.manifest = Some(Arc::new(manifest));
                    run.raw_manifest = Some(raw);
                    run.handshake_until = None;
                    run.permit = None;
                }
                self.step(Input::Validated);
                Ok(())
            }
            Ok((manifest, raw)) => self.begin(Arc::new(manifest), raw).await,
            Err(error) if is_candidate => {
                self.invalid(&error);
                Ok(())
            }
            Err(error) => {
                self.last_error = Some(error.clone());
                self.step(Input::Refused(Cause::Manifest(error)));
                Ok(())
            }
        }
    }

    /// The process may work: its dispatcher stands where the journal says.
    async fn begin(
        &mut self,
        manifest: Arc<Manifest>,
        raw: Arc<RawValue>,
    ) -> Result<(), JournalError> {
        let (caller, granted) = match self.caller(&manifest) {
            Ok(both) => both,
            Err(error) => {
                self.step(Input::Refused(Cause::Manifest(error)));
                return Ok(());
            }
        };
        self.subscriptions = manifest
            .subscriptions
            .iter()
            .map(tell_subscription)
            .collect();
        self.version.clone_from(&manifest.version);
        self.watch.send_if_modified(|watch| {
            let has_changed = *watch != manifest.watch;
            watch.clone_from(&manifest.watch);
            has_changed
        });
        self.make_machine(&manifest, &raw).await?;
        let start = message::Start {
            config: self.setup.settings.config.clone().into(),
            granted,
            paths: message::Paths {
                data: self.setup.paths.0.display().to_string(),
                tmp: self.setup.paths.1.display().to_string(),
            },
            site: message::SiteInfo {
                url: self.shared.site.origin(),
            },
            log_level: "info".to_owned(),
        };
        if let Some(run) = &mut self.run {
            run.manifest = Some(manifest);
            run.caller = Some(caller);
            run.phase = Phase::Starting;
            run.ask(Asked::Start, "start", &start);
        }
        Ok(())
    }

    fn caller(&self, manifest: &Manifest) -> Result<(Arc<Caller>, message::Granted), String> {
        let permissions = &self.setup.settings.permissions;
        let granted = Granted::new(
            manifest.permissions.sg.as_deref(),
            permissions.sg.as_deref(),
        )
        .map_err(|error| error.to_string())?;
        let effective = granted.effective();
        let background = Background {
            manifest: manifest.permissions.background.unwrap_or(false),
            operator: permissions.background.unwrap_or(false),
        };
        let settings = &self.setup.settings;
        let caller = Caller::new(CallerSetup {
            plugin: self.name.clone(),
            sessions: self.setup.sessions.clone(),
            granted,
            background,
            sudo: settings
                .sudo
                .iter()
                .map(|login| login.as_str().into())
                .collect(),
            mode: match settings.mode {
                crate::config::Mode::Live => Mode::Live,
                crate::config::Mode::DryRun => Mode::DryRun,
                crate::config::Mode::Shadow => Mode::Shadow,
            },
            uses_session_uuid: self.setup.uses_session_uuid,
        });
        let told = message::Granted {
            sg: effective,
            upload: false,
            background: background.manifest && background.operator,
        };
        Ok((Arc::new(caller), told))
    }

    /// Keeps the dispatcher when nothing that it was made from changed, else makes it anew from the journal.
    async fn make_machine(
        &mut self,
        manifest: &Manifest,
        raw: &Arc<RawValue>,
    ) -> Result<(), JournalError> {
        let made_from = format!("{raw}{:?}", self.setup.settings.delivery);
        if self.machine.is_some() && self.made_from.as_deref() == Some(&made_from) {
            return Ok(());
        }
        if let Some(ticket) = self.ticket.take() {
            let done = ticket.await?;
            self.committed(done);
        }
        let journal = self.shared.journal.clone();
        if let Some(change) = self.unsent.take() {
            journal.settle(change, When::Now).await?;
        }
        if let Some(machine) = &mut self.machine {
            let change = machine.take_change();
            self.counts.add(&change.counts);
            journal.settle(change, When::Now).await?;
        }
        self.reading = None;
        self.record = journal.register(&self.name, self.setup.start, None).await?;
        let cursor = self.record.cursor.clone();
        let seqs: Vec<_> = cursor.open.iter().map(|entry| entry.seq).collect();
        let events = journal.events(&seqs).await?;
        let policy = self.setup.policy(&manifest.delivery, self.shared.settle);
        let scripts = self.setup.sessions.iter();
        let identity = SelfIdentity {
            scripts: scripts.map(|session| session.script().to_owned()).collect(),
        };
        let filter = Filter::new(manifest, identity);
        let machine = Machine::new(self.name.clone(), policy, filter, cursor.position);
        let now = self.shared.clock.now();
        self.machine = Some(resume(machine, &cursor, &events, now));
        self.made_from = Some(made_from);
        Ok(())
    }

    /// The answer to `start`.
    pub(super) fn started(&mut self, outcome: Result<Box<RawValue>, RpcError>) {
        let Some(run) = &mut self.run else { return };
        match outcome {
            Ok(result) => {
                let started: message::Started =
                    serde_json::from_str(result.get()).unwrap_or_default();
                run.handshake_until = None;
                run.permit = None;
                if let Some(reason) = started.disable {
                    self.step(Input::Refused(Cause::Itself(reason)));
                    return;
                }
                run.phase = Phase::Running;
                tracing::info!(plugin = %self.name, generation = run.generation.0, "ready");
                self.step(Input::Ready);
            }
            Err(error) => {
                let text = format!("its answer to `start` is an error: {error}");
                self.last_error = Some(text.clone());
                self.step(Input::HandshakeFailed(text));
            }
        }
    }

    pub(super) fn check_handshakes(&mut self, now: Mono) {
        for is_candidate in [false, true] {
            let run = if is_candidate {
                &mut self.candidate
            } else {
                &mut self.run
            };
            let Some(run) = run else { continue };
            if run.ladder.is_some() || run.handshake_until.is_none_or(|until| now < until) {
                continue;
            }
            if !run.calls.is_empty() {
                run.handshake_until = Some(now + PATIENCE);
                continue;
            }
            run.handshake_until = None;
            let step = if run.phase == Phase::Handshake {
                "initialize"
            } else {
                "start"
            };
            let what = format!("sent no answer to {step} within {} s", HANDSHAKE.as_secs());
            let error = with_last_words(run, &what);
            if is_candidate {
                self.invalid(&error);
            } else {
                self.last_error = Some(error.clone());
                self.step(Input::HandshakeFailed(error));
            }
        }
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

    /// A promoted version is started as soon as the journal may be asked.
    pub(super) async fn begin_promoted(&mut self) -> Result<(), JournalError> {
        match self.promoted.take() {
            Some((manifest, raw)) => {
                if let Some(run) = &mut self.run {
                    run.handshake_until = Some(self.shared.clock.now().mono + HANDSHAKE);
                }
                self.begin(manifest, raw).await
            }
            None => Ok(()),
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
            Happened::Exited => self.sweep(is_candidate),
            Happened::Over(exit) => self.over(exit, is_candidate),
        }
        self.begin_promoted().await
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
        let counts = is_own && !is_lone;
        self.step(Input::Exited { error, counts });
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
fn with_last_words(run: &Run, what: &str) -> String {
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

/// Reads the answer to `initialize`.
fn read_manifest(
    outcome: Result<Box<RawValue>, RpcError>,
) -> Result<(Manifest, Arc<RawValue>), String> {
    #[derive(serde::Deserialize)]
    struct Wire<'a> {
        protocol: Option<serde_json::Value>,
        #[serde(borrow)]
        manifest: Option<&'a RawValue>,
    }
    let result =
        outcome.map_err(|error| format!("its answer to `initialize` is an error: {error}"))?;
    let wire: Wire<'_> = serde_json::from_str(result.get()).map_err(|error| {
        format!("its answer to `initialize` is no object with `protocol` and `manifest`: {error}")
    })?;
    let version = wire.protocol.unwrap_or_default();
    if version != serde_json::json!(PROTOCOL) {
        return Err(format!(
            "it speaks protocol {version}; allowed: {PROTOCOL} (`protocol` in its answer to `initialize`)"
        ));
    }
    let raw = wire.manifest.map_or("{}", RawValue::get);
    let manifest: Manifest = serde_json::from_str(raw).map_err(|error| error.to_string())?;
    let raw = RawValue::from_string(raw.to_owned()).map_err(|error| error.to_string())?;
    Ok((manifest, raw.into()))
}

/// `Shotgun_Task_Change(sg_status_list)`, as `status` shows it.
fn tell_subscription(subscription: &sgeventd_protocol::manifest::Subscription) -> String {
    use sgeventd_protocol::manifest::Attributes;
    let Some(events) = &subscription.events else {
        return "every event".to_owned();
    };
    let one = |(kind, wanted): (&String, &Attributes)| match wanted {
        Attributes::Any => kind.clone(),
        Attributes::These(names) => format!("{kind}({})", names.join(", ")),
    };
    events.iter().map(one).collect::<Vec<_>>().join(", ")
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
    let program = spec.program.clone();
    let child = shared.spawner.spawn(*spec).await;
    let child = child.map_err(|error| why_not(&program, &error))?;
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

fn why_not(program: &std::path::Path, error: &process::SpawnError) -> String {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    let _path = program;
    text
}
