//! How a process is started: in its turn, recorded before it hears a word; the first thing it hears is `initialize`.

use std::{sync::Arc, time::Duration};

use sgeventd_protocol::message::Reason;
use tokio_util::sync::CancellationToken;

use super::{Spawning, Started, Task, fate::forget_child};
use crate::{
    config::{KillScope, TrafficDetail},
    ident::{Generation, PluginName},
    journal::{ChildRecord, Journal, Op},
    plugin::{
        diagnose::explain,
        ground::Ground,
        life::{Input, State},
        run::{Asked, HANDSHAKE, Run, StartTurn},
        scarce::LOOK_AGAIN,
        setup::{Launch, Setup, Shared, run_mark},
        tap::PluginTap,
    },
    process::{self, Child, SpawnError, SpawnSpec},
    telemetry::Detail,
};

/// A start that takes longer hangs, on a dead file server as a rule: others want their turn.
const SPAWN_MAX: Duration = Duration::from_secs(60);
/// A state that was moved away is looked for this often before a start.
const NOT_IN_PLACE: Duration = Duration::from_secs(1);

impl Task {
    /// The setup that a process is started with.
    pub(super) fn setup_for(&self, is_candidate: bool) -> &Setup {
        match &self.next_setup {
            Some(next) if is_candidate => next,
            _ => &self.setup,
        }
    }

    pub(super) fn spawn(&mut self, why: Reason, is_candidate: bool) {
        self.generation = Generation(self.generation.0 + 1);
        let generation = self.generation;
        let setup = self.setup_for(is_candidate);
        let launch = setup.launch.clone();
        let (shared, name, stop) = (self.shared.clone(), self.name.clone(), self.stop.clone());
        let spares = setup.settings.kill == KillScope::Process;
        let ground = Ground {
            state: shared.state.to_path_buf(),
            name: name.to_string(),
            generation: generation.0.into(),
            paths: setup.paths.clone(),
            // What runs goes on working in the folder.
            is_fresh: !is_candidate,
            user: setup.settings.user.clone(),
            limits: setup.settings.limits.effective(),
            spares,
            number: process::number(&shared.whose, &run_mark(&name, generation), spares),
            groups: shared.groups.clone(),
            marks: shared.marks.clone(),
        };
        let gives_up = CancellationToken::new();
        let unwanted = gives_up.clone();
        let done = Box::pin(async move {
            let started = spawn(&shared, &name, launch, ground, &unwanted);
            // Dropped, a start ends what it began.
            tokio::select! {
                () = stop.cancelled() => Err("the daemon stops".to_owned()),
                started = started => started,
            }
        });
        self.spawning.push_back(Spawning {
            generation,
            why,
            is_candidate,
            is_doomed: false,
            gives_up,
            done,
        });
    }

    pub(super) fn spawned(&mut self, done: Started) {
        let Some(spawning) = self.spawning.pop_front() else {
            return;
        };
        match done {
            Ok((child, turn)) => self.begin_run(&spawning, child, turn),
            Err(error) if spawning.is_candidate => {
                if !spawning.is_doomed && !self.stop.is_cancelled() {
                    self.tell_invalid(&error);
                }
                self.step(Input::CandidateGone);
            }
            Err(error) if spawning.gives_up.is_cancelled() => {
                let counts = false;
                self.step(Input::Exited { error, counts });
            }
            Err(error) => {
                self.last_error = Some(error.clone());
                tracing::warn!(plugin = %self.name, error, "the plugin cannot be started");
                self.note_failure(self.shared.clock.now().mono);
                let is_leaving =
                    matches!(self.life.state(), State::Draining(_) | State::Stopping(_));
                if !is_leaving && !self.stop.is_cancelled() {
                    self.tell_no_start(&error);
                }
                self.step(if is_leaving {
                    let counts = false;
                    Input::Exited { error, counts }
                } else {
                    Input::StartFailed(error)
                });
            }
        }
    }

    fn begin_run(&mut self, spawning: &Spawning, child: Child, turn: Option<StartTurn>) {
        let setup = self.setup_for(spawning.is_candidate);
        let detail = setup.settings.traffic.map(|detail| match detail {
            TrafficDetail::Off => Detail::Off,
            TrafficDetail::Headers => Detail::Headers,
            TrafficDetail::Bodies => Detail::Bodies,
        });
        let traffic = self.shared.traffic.for_plugin(&self.name, detail);
        let clock = self.shared.clock;
        let tap = traffic.is_on().then(|| {
            let tap = PluginTap::new(traffic, self.name.clone(), clock);
            Box::new(tap) as Box<dyn crate::peer::Tap>
        });
        let line = usize::try_from(setup.settings.limits.effective().line).unwrap_or(usize::MAX);
        let Some(mut run) = Run::new(child, spawning.generation, line, tap, clock, turn) else {
            return;
        };
        tracing::debug!(plugin = %self.name, generation = spawning.generation.0, "started");
        run.handshake_until = Some(clock.now().mono + HANDSHAKE);
        run.caller = self.first_caller(spawning.is_candidate);
        let hello = self.initialize(spawning.generation, spawning.why, spawning.is_candidate);
        run.ask(Asked::Initialize, "initialize", &hello);
        if spawning.is_candidate {
            self.candidate = Some(run);
            if spawning.is_doomed {
                self.end_candidate();
            }
        } else {
            self.run = Some(run);
            if matches!(self.life.state(), State::Draining(_) | State::Stopping(_)) {
                self.end();
            }
        }
    }
}

/// Starts a process in its turn and records it before it hears a word.
async fn spawn(
    shared: &Shared,
    name: &PluginName,
    launch: Launch,
    ground: Ground,
    unwanted: &CancellationToken,
) -> Started {
    let Launch::Spec(spec) = launch else {
        let Launch::Impossible(why) = launch else {
            return Err(String::new());
        };
        return Err(why);
    };
    if let Some(until) = shared.host.rests_until(shared.clock.now().mono) {
        tokio::time::sleep_until(shared.clock.instant(until)).await;
    }
    let (spec, mut turn) = in_time(prepare(shared, *spec, ground)).await??;
    let number = spec.number;
    let mut waiting = None;
    let started = loop {
        let once = within_turn(shared, &mut turn, shared.spawner.spawn(spec.clone()));
        match in_time(once).await? {
            Err(SpawnError::Descriptors) => {}
            started => break started,
        }
        // Whoever waits for room holds up nobody who may find some.
        turn = None;
        waiting.get_or_insert_with(|| shared.scarce.wait(name, &shared.alerts));
        tokio::select! {
            () = unwanted.cancelled() => break Err(SpawnError::Stopping),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        turn = Some(take_turn(shared).await?);
    };
    drop(waiting);
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            if let Some(number) = number {
                shared.marks.take_back(number);
            }
            let said = tokio::task::spawn_blocking(move || explain(&error));
            return Err(said.await.unwrap_or_default());
        }
    };
    in_time(record(shared, name, &child)).await??;
    Ok((child, turn))
}

/// A step of a start, and words when it takes too long.
async fn in_time<T>(step: impl Future<Output = T>) -> Result<T, String> {
    let done = tokio::time::timeout(SPAWN_MAX, step).await;
    done.map_err(|_| {
        let seconds = SPAWN_MAX.as_secs();
        format!("it could not be started within {seconds} s: a file server may hang")
    })
}

/// Waits for a turn to start.
async fn take_turn(shared: &Shared) -> Result<StartTurn, String> {
    let permit = Arc::clone(&shared.starts).acquire_owned().await;
    let permit = permit.map_err(|_| "the daemon stops".to_owned())?;
    Ok(StartTurn::new(permit, shared.clock.now().mono))
}

/// Takes a turn, and makes ready what the process is started on.
async fn prepare(
    shared: &Shared,
    mut spec: SpawnSpec,
    ground: Ground,
) -> Result<(SpawnSpec, Option<StartTurn>), String> {
    let mut turn = Some(take_turn(shared).await?);
    // Its folders lie in the state: nothing is made in what took its place. The daemon notices soon, and ends.
    let is_in_place = || {
        let journal = shared.journal.clone();
        tokio::task::spawn_blocking(move || journal.is_in_place())
    };
    while !is_in_place().await.unwrap_or(true) {
        tokio::time::sleep(NOT_IN_PLACE).await;
    }
    let prepared = tokio::task::spawn_blocking(move || ground.prepare(&mut spec).map(|()| spec));
    let prepared = within_turn(shared, &mut turn, prepared).await;
    let spec = prepared.map_err(|error| error.to_string())??;
    Ok((spec, turn))
}

/// Records a process, and ends it when that cannot be.
async fn record(shared: &Shared, name: &PluginName, child: &Child) -> Result<(), String> {
    let mut unrecorded = Unrecorded {
        is_over: false,
        journal: shared.journal.clone(),
        pid: child.pid,
        start_time: child.start_time,
    };
    let record = ChildRecord {
        plugin: name.clone(),
        pid: child.pid,
        start_time: child.start_time,
        boot_id: process::boot_id().into(),
    };
    let recorded = shared.journal.write(Op::ChildPut(record)).await;
    recorded.map_err(|error| format!("the process cannot be recorded: {error}"))?;
    crate::fail::at("spawn.recorded");
    unrecorded.is_over = true;
    Ok(())
}

/// Waits for a step of a start; when it takes too long, the others need not wait for it.
async fn within_turn<T>(
    shared: &Shared,
    turn: &mut Option<StartTurn>,
    step: impl Future<Output = T>,
) -> T {
    tokio::pin!(step);
    if let Some(until) = turn.as_ref().map(|turn| shared.clock.instant(turn.until))
        && let Ok(done) = tokio::time::timeout_at(until, &mut step).await
    {
        return done;
    }
    *turn = None;
    step.await
}

/// A process that is not recorded must not live on, and its record not without it: that may be on its way.
struct Unrecorded {
    is_over: bool,
    journal: Journal,
    pid: i32,
    start_time: u64,
}

impl Drop for Unrecorded {
    fn drop(&mut self) {
        if !self.is_over {
            process::kill_group(self.pid);
            forget_child(&self.journal, self.pid, self.start_time);
        }
    }
}
