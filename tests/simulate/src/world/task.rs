//! One plugin's task: what it holds, and in which order it does what can be done now.

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;
use sgeventd::{
    clock::{Mono, Now},
    dispatch::Machine,
    event::Event,
    ident::Seq,
    journal::{Op, Place},
    plugin::{
        flight::{Flights, Needs, lateness},
        life::{Input, Life},
    },
    process::Ladder,
};

use super::{File, World, writer::From};
use crate::queue::Due;

/// A process that is being started.
#[derive(Debug)]
pub(super) struct Spawning {
    pub(super) is_candidate: bool,
    pub(super) is_doomed: bool,
    pub(super) file: File,
}

/// What a process is asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Initialize,
    Start,
    Running,
}

/// One generation of the process.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) process: usize,
    pub(super) file: File,
    pub(super) flights: Flights,
    pub(super) asked: FxHashMap<u64, Seq>,
    pub(super) ladder: Option<Ladder>,
    pub(super) handshake_until: Option<Mono>,
    pub(super) phase: Phase,
    pub(super) requests: u64,
}

/// What is read from the journal.
#[derive(Debug)]
pub(super) enum Reading {
    Rows(Seq, usize),
    Replay(Seq, usize),
    Body(Arc<Event>),
    Bodies(Vec<Seq>),
}

/// What an operator wants done while the plugin rests.
#[derive(Debug, Clone)]
pub(super) enum Order {
    Seek(u64),
    Skip,
    /// So many rows back, and so many of them.
    Replay(u64, u64),
    Redrive,
    Trigger(u64),
    Rename,
}

/// See the module.
pub(super) struct Task {
    pub(super) life: Life,
    pub(super) machine: Option<Machine>,
    /// What the machine was made from.
    pub(super) made_from: Option<File>,
    /// The dispatcher is made anew: the journal is asked, and all else waits.
    pub(super) is_making: bool,
    pub(super) is_registered: bool,
    pub(super) file: File,
    pub(super) next_file: Option<File>,
    /// What it was told and has no time for.
    pub(super) told: VecDeque<Input>,
    pub(super) run: Option<Run>,
    pub(super) candidate: Option<Run>,
    pub(super) spawning: VecDeque<Spawning>,
    pub(super) reading: Option<Reading>,
    pub(super) is_writing: bool,
    pub(super) needs: Needs,
    /// The site was down when the answer came, as this task had heard.
    pub(super) paused_until: Option<Mono>,
    pub(super) ask_bodies_at: Option<Mono>,
    pub(super) settled: Seq,
    pub(super) is_off: bool,
    pub(super) order: Option<Order>,
    pub(super) is_over: bool,
    wake: Option<Mono>,
    armed: Option<u64>,
}

impl Task {
    pub(super) fn new(file: File, now: Now) -> Self {
        Self {
            life: Life::new(false, now),
            machine: None,
            made_from: None,
            is_making: false,
            is_registered: false,
            file,
            next_file: None,
            told: VecDeque::new(),
            run: None,
            candidate: None,
            spawning: VecDeque::new(),
            reading: None,
            is_writing: false,
            needs: Needs::default(),
            paused_until: None,
            ask_bodies_at: None,
            settled: Seq(0),
            is_off: false,
            order: None,
            is_over: false,
            wake: None,
            armed: None,
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.run.is_none() && self.candidate.is_none() && self.spawning.is_empty()
    }

    pub(super) fn slot(&mut self, is_candidate: bool) -> &mut Option<Run> {
        if is_candidate {
            &mut self.candidate
        } else {
            &mut self.run
        }
    }
}

impl World<'_> {
    /// A name is registered before anything else; a known one keeps its place.
    pub(super) fn register(&mut self, who: usize) {
        let op = Op::Register {
            plugin: self.names[who].clone(),
            start: Place::Oldest,
            imported: None,
            at: self.now().unix,
        };
        self.submit(From::Register(who), vec![op]);
    }

    /// Its place is known: at the start, or for a dispatcher that is made anew.
    pub(super) fn registered(&mut self, who: usize) {
        if self.tasks[who].is_making {
            self.make_machine(who);
        } else {
            self.tasks[who].is_registered = true;
            let record = self.record(who);
            // An operator who finds it disabled when all is well enables it.
            let is_disabled =
                !self.is_mended && record.is_some_and(|record| record.disabled.is_some());
            self.tasks[who].life = Life::new(is_disabled, self.now());
            let is_away = self.ingest.health != sgeventd::site::Health::Up;
            self.site_changed(who, is_away);
            self.step(who, Input::Boot);
        }
        self.advance(who);
    }

    /// The alarm of a task rings.
    pub(super) fn ring(&mut self, who: usize) {
        let now = self.mono();
        let task = &mut self.tasks[who];
        task.armed = None;
        let due = task.wake.filter(|at| *at <= now);
        let late = lateness(due.unwrap_or(now), due, now);
        self.move_deadlines(who, late);
        self.advance(who);
    }

    /// Does everything that can be done without waiting, and sets the next time to wake up.
    pub(super) fn advance(&mut self, who: usize) {
        if !self.is_up
            || !self.tasks[who].is_registered
            || self.tasks[who].is_making
            || self.tasks[who].is_over
        {
            return;
        }
        let now = self.now();
        if self.tasks[who]
            .life
            .poll_timeout()
            .is_some_and(|at| now.mono >= at)
        {
            self.step(who, Input::Tick);
        }
        self.climb(who, false);
        self.climb(who, true);
        self.check_handshakes(who);
        self.check_deadlines(who);
        self.feed(who);
        self.commit(who);
        self.publish_settled(who);
        self.obey(who);
        if self.is_stopping && self.tasks[who].is_at_rest() {
            return self.finish(who);
        }
        self.arm(who);
    }

    fn arm(&mut self, who: usize) {
        let now = self.now();
        let task = &self.tasks[who];
        let runs = [&task.run, &task.candidate].into_iter().flatten();
        let of_runs = runs.filter_map(|run| run_wake(run, task.needs)).min();
        let times = [
            task.life.poll_timeout(),
            task.machine
                .as_ref()
                .and_then(|machine| machine.poll_timeout(now)),
            of_runs,
            task.paused_until,
            task.ask_bodies_at,
        ];
        let wake = times.into_iter().flatten().min();
        self.tasks[who].wake = wake;
        if let Some(wake) = wake
            && self.tasks[who]
                .armed
                .is_none_or(|armed| wake.0.saturating_add(self.born) < armed)
        {
            let at = self.at(wake, Due::Task(who));
            self.tasks[who].armed = Some(at);
        }
    }

    fn finish(&mut self, who: usize) {
        let now = self.now();
        let task = &mut self.tasks[who];
        if task.is_writing || task.is_over {
            return;
        }
        task.is_over = true;
        let Some(last) = task.machine.as_mut().map(|machine| machine.take_rest(now)) else {
            return self.task_over(who);
        };
        self.check.changed(who, &last);
        let op = Op::Cursor {
            change: last,
            revision: None,
        };
        self.submit(From::Last(who), vec![op]);
    }

    /// Its last settlements are on disk. When all are over, the daemon is.
    pub(super) fn task_over(&mut self, who: usize) {
        self.tasks[who].is_over = true;
        let is_last = self.tasks.iter().all(|task| task.is_over) && self.writer.is_idle();
        if is_last && !self.ingest.is_committing {
            self.story
                .tell(self.queue.now, || "the daemon has stopped".into());
            self.end(1000);
        }
    }
}

fn run_wake(run: &Run, needs: Needs) -> Option<Mono> {
    let deadline = run.flights.next_deadline().filter(|_| !needs.waits());
    let ladder = run.ladder.as_ref().map(Ladder::until);
    let handshake = run.handshake_until.filter(|_| run.ladder.is_none());
    [deadline, ladder, handshake].into_iter().flatten().min()
}
