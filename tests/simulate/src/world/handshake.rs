//! Starting and shaking hands, as `src/plugin/task/{start,handshake,candidate}.rs` carry it out.

use std::time::Duration;

use futures::FutureExt as _;
use rustc_hash::FxHashMap;
use sgeventd::{
    dispatch::{Filter, Machine, Policy, SelfIdentity, machine::resume},
    journal::{Op, Place, PluginRecord},
    plugin::{
        flight::Flights,
        life::{Cause, Input, State},
    },
    process::Ladder,
};
use sgeventd_protocol::manifest::{Manifest, OnError, Order};

use super::{
    BUSY, World,
    task::{Phase, Run, Spawning},
    writer::From,
};
use crate::{
    chance::Die,
    plan::{PluginPlan, Vice},
    process::{End, Process, Say, Started},
    queue::Due,
    site::KINDS,
};

/// The handshake, both steps.
const HANDSHAKE: Duration = Duration::from_secs(60);

impl World<'_> {
    pub(super) fn spawn(&mut self, who: usize, is_candidate: bool) {
        let task = &mut self.tasks[who];
        let file = match task.next_file {
            Some(next) if is_candidate => next,
            _ => task.file,
        };
        task.spawning.push_back(Spawning {
            is_candidate,
            is_doomed: false,
            file,
        });
        let takes = 5 + self.chance.below(Die::Spawn, self.steps, who as u64, 300);
        self.queue.after(takes, Due::Spawned(who));
    }

    pub(super) fn spawned(&mut self, who: usize) {
        if self.tasks[who].is_making {
            self.queue.after(BUSY, Due::Spawned(who));
            return;
        }
        let Some(spawning) = self.tasks[who].spawning.pop_front() else {
            return;
        };
        if spawning.file.vice == Vice::Unstartable {
            return self.not_started(who, &spawning);
        }
        let process = self.processes.len();
        self.processes.push(Process {
            plugin: who,
            vice: spawning.file.vice,
            is_alive: true,
            hangs: false,
            end: End::Killed,
        });
        let run = Run {
            process,
            file: spawning.file,
            flights: Flights::default(),
            asked: FxHashMap::default(),
            ladder: None,
            handshake_until: Some(self.mono() + HANDSHAKE),
            phase: Phase::Initialize,
            requests: 0,
        };
        *self.tasks[who].slot(spawning.is_candidate) = Some(run);
        let takes = 1 + self.chance.below(Die::Handshake, process as u64, 0, 200);
        match spawning.file.vice {
            Vice::Stillborn => self.ends(process, End::Code(1), takes),
            Vice::Mute => self.queue.after(takes, Due::Says(process, Say::Closed)),
            Vice::Silent => self.processes[process].hangs = true,
            vice => self.queue.after(
                takes,
                Due::Says(process, Say::Initialized(vice != Vice::Unusable)),
            ),
        }
        if spawning.is_candidate && spawning.is_doomed {
            self.end_candidate(who);
        } else if !spawning.is_candidate
            && matches!(
                self.tasks[who].life.state(),
                State::Draining(_) | State::Stopping(_)
            )
        {
            self.end_run(who);
        }
        self.advance(who);
    }

    /// The kernel refused it.
    fn not_started(&mut self, who: usize, spawning: &Spawning) {
        let error = String::new();
        let is_leaving = matches!(
            self.tasks[who].life.state(),
            State::Draining(_) | State::Stopping(_)
        );
        if spawning.is_candidate {
            if !spawning.is_doomed {
                self.tell_invalid(who);
            }
            self.step(who, Input::CandidateGone);
        } else if is_leaving {
            self.step(
                who,
                Input::Exited {
                    error,
                    counts: false,
                },
            );
        } else {
            self.step(who, Input::StartFailed(error));
        }
        self.advance(who);
    }

    /// The answer to `initialize`.
    pub(super) fn initialized(&mut self, who: usize, is_candidate: bool, is_usable: bool) {
        let Some(run) = self.tasks[who].slot(is_candidate) else {
            return;
        };
        match (is_usable, is_candidate) {
            (true, true) => {
                run.handshake_until = None;
                let (process, vice) = (run.process, run.file.vice);
                match self.chance.below(Die::Handshake, process as u64, 5, 4) {
                    0 if vice == Vice::Flaky => self.ends(process, End::Code(1), 20),
                    1 if vice == Vice::Flaky => {
                        self.queue.after(20, Due::Says(process, Say::Closed));
                    }
                    _ => {}
                }
                self.step(who, Input::Validated);
            }
            (true, false) => self.begin(who),
            (false, true) => self.invalid(who),
            (false, false) => self.step(who, Input::Refused(Cause::Manifest(String::new()))),
        }
    }

    /// The process may work: the dispatcher stands where the journal says.
    pub(super) fn begin(&mut self, who: usize) {
        let now = self.now();
        let task = &mut self.tasks[who];
        let Some(run) = &mut task.run else { return };
        run.handshake_until = Some(now.mono + HANDSHAKE);
        let file = run.file;
        if task.machine.is_some() && task.made_from == Some(file) {
            return self.ask_start(who);
        }
        task.is_making = true;
        task.reading = None;
        let mut ops = Vec::new();
        if let Some(change) = task.machine.as_mut().map(|machine| machine.take_rest(now)) {
            self.check.changed(who, &change);
            let revision = None;
            ops.push(Op::Cursor { change, revision });
        }
        ops.push(Op::Register {
            plugin: self.names[who].clone(),
            start: Place::Oldest,
            imported: None,
            at: self.now().unix,
        });
        self.submit(From::Register(who), ops);
    }

    pub(super) fn record(&self, who: usize) -> Option<PluginRecord> {
        let name = self.names[who].clone();
        let record = self.journal.query(move |reader| reader.plugin(&name));
        record.now_or_never().and_then(Result::ok).flatten()
    }

    pub(super) fn make_machine(&mut self, who: usize) {
        let now = self.now();
        let (Some(record), Some(run)) = (self.record(who), &self.tasks[who].run) else {
            self.tasks[who].is_making = false;
            return;
        };
        let file = run.file;
        let seqs: Vec<_> = record.cursor.open.iter().map(|entry| entry.seq).collect();
        let events = self
            .journal
            .events(&seqs)
            .now_or_never()
            .and_then(Result::ok);
        let events = events.expect("a model answers at once");
        let plan = &self.plan.plugins[who];
        let filter = Filter::new(&manifest(plan, file.version), SelfIdentity::default());
        let policy = policy(plan, file.policy);
        let wants_all = plan.kinds == 0 || file.version % 2 == 1;
        self.check
            .remade(who, policy.order, policy.on_error, wants_all);
        let machine = Machine::new(
            self.names[who].clone(),
            policy,
            filter,
            record.cursor.position,
        );
        let task = &mut self.tasks[who];
        task.machine = Some(resume(
            machine,
            &record.cursor,
            &record.replays,
            &events,
            now,
        ));
        (task.made_from, task.is_making, task.is_writing) = (Some(file), false, false);
        self.ask_start(who);
    }

    fn ask_start(&mut self, who: usize) {
        let Some(run) = &mut self.tasks[who].run else {
            return;
        };
        run.phase = Phase::Start;
        let (process, vice) = (run.process, run.file.vice);
        let dice = self.chance.below(Die::Handshake, process as u64, 1, 20);
        let takes = 1 + self.chance.below(Die::Handshake, process as u64, 2, 50);
        match (vice, dice) {
            (Vice::Misconfigured, 0..=9) => self.ends(process, End::Code(78), takes),
            (Vice::Misconfigured, _) => self
                .queue
                .after(takes, Due::Says(process, Say::Started(Started::Disable))),
            (Vice::Flaky, 0) => self
                .queue
                .after(takes, Due::Says(process, Say::Started(Started::Error))),
            (Vice::Flaky, 1) => self.processes[process].hangs = true,
            _ => self
                .queue
                .after(takes, Due::Says(process, Say::Started(Started::Ok))),
        }
    }

    /// The answer to `start`.
    pub(super) fn started(&mut self, who: usize, started: Started) {
        let Some(run) = &mut self.tasks[who].run else {
            return;
        };
        match started {
            Started::Ok => {
                (run.handshake_until, run.phase) = (None, Phase::Running);
                self.step(who, Input::Ready);
            }
            Started::Disable => {
                run.handshake_until = None;
                self.step(who, Input::Refused(Cause::Itself(String::new())));
            }
            Started::Error => self.step(who, Input::HandshakeFailed(String::new())),
        }
    }

    pub(super) fn check_handshakes(&mut self, who: usize) {
        let now = self.mono();
        for is_candidate in [false, true] {
            let Some(run) = self.tasks[who].slot(is_candidate) else {
                continue;
            };
            if run.ladder.is_some() || run.handshake_until.is_none_or(|until| now < until) {
                continue;
            }
            run.handshake_until = None;
            if is_candidate {
                self.invalid(who);
            } else {
                self.step(who, Input::HandshakeFailed(String::new()));
            }
        }
    }

    /// The changed version does not work; the old one goes on.
    pub(super) fn invalid(&mut self, who: usize) {
        let candidate = self.tasks[who].candidate.as_ref();
        if candidate.is_some_and(|run| run.ladder.is_none()) {
            self.tell_invalid(who);
        }
        self.step(who, Input::Invalid);
    }

    pub(super) fn end_candidate(&mut self, who: usize) {
        let now = self.mono();
        let task = &mut self.tasks[who];
        for spawning in &mut task.spawning {
            spawning.is_doomed |= spawning.is_candidate;
        }
        if let Some(run) = &mut task.candidate
            && run.ladder.is_none()
        {
            let mut ladder = Ladder::drain(now);
            ladder.drained(now);
            run.ladder = Some(ladder);
        }
    }

    /// The changed version takes over.
    pub(super) fn promote(&mut self, who: usize) {
        let task = &mut self.tasks[who];
        if let Some(next) = task.next_file.take() {
            task.file = next;
        }
        let Some(run) = task.candidate.take() else {
            return self.spawn(who, false);
        };
        if let Some(machine) = &mut task.machine {
            machine.enable();
        }
        task.run = Some(run);
        self.begin(who);
    }
}

/// A version of a plugin: every other one wants more than it always does.
fn manifest(plan: &PluginPlan, version: u32) -> Manifest {
    let condition = r#""where":[["meta.new_value","is","fin"]]"#;
    let mut kinds: Vec<&str> = KINDS
        .iter()
        .enumerate()
        .filter(|(at, _)| plan.kinds & (1 << at) > 0)
        .map(|(_, kind)| *kind)
        .collect();
    if version % 2 == 1 && plan.kinds > 0 {
        kinds = KINDS.to_vec();
    }
    let events = if plan.kinds == 0 {
        String::new()
    } else {
        let kinds = kinds.iter().map(|kind| format!("\"{kind}\":null"));
        format!("\"events\":{{{}}}", kinds.collect::<Vec<_>>().join(","))
    };
    let parts = [
        events,
        if plan.by_meta {
            condition.to_owned()
        } else {
            String::new()
        },
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let text = format!("{{\"subscriptions\":[{{{}}}]}}", parts.join(","));
    serde_json::from_str(&text).expect("a manifest")
}

/// How events are handed out, as the operator has it now.
fn policy(plan: &PluginPlan, change: u8) -> Policy {
    let order = match change {
        0 => plan.order,
        1..=2 => Order::All,
        3..=4 => Order::Entity,
        5 => Order::Project,
        _ => Order::None,
    };
    Policy {
        window: plan.window,
        order,
        timeout: Duration::from_secs(plan.timeout_s),
        max_attempts: plan.max_attempts,
        on_error: if change == 7 {
            OnError::Retry
        } else {
            plan.on_error
        },
        max_age: Duration::from_secs(plan.max_age_s),
        settle_wait: Duration::from_millis(plan.settle.0),
        settle_count: plan.settle.1,
    }
}
