//! A whole daemon in one thread under virtual time: the product's own machines, carried out against a model of the site,
//! models of plugins and the journal's twin in memory.
//!
//! What is modelled besides is what the tasks do around the machines (`src/ingest/task.rs`, `src/plugin/task`): which
//! message wakes whom, what waits for the disk, and what is forgotten when the daemon dies.

mod alerts;
mod fate;
mod faults;
mod feed;
mod handshake;
mod ingest;
mod said;
mod task;
mod writer;

use sgeventd::{
    clock::{Mono, Now, Unix},
    ident::{PluginName, Seq},
    journal::{Journal, Model, OPEN_MAX},
    plugin::life::State,
};

pub(crate) use self::fate::{word_of, word_of_input};
use self::{alerts::Alerts, ingest::Ingest, task::Task, writer::Writer};
use crate::{
    chance::{Chance, Die},
    check::{Check, book::Book},
    coverage::Coverage,
    plan::{Plan, Start, Vice},
    process::Process,
    queue::{Due, Queue},
    site::{EPOCH, Site},
    story::Story,
};

/// After the last fault everything must be settled within this.
const SETTLED_WITHIN: u64 = 80 * 60_000;
/// The same where a plugin stays as bad as it is: each of its events may take all its attempts and their time.
const GIVEN_UP_WITHIN: u64 = 24 * 60 * 60_000;
/// It goes on for so long at least: idling may be wrong, too.
pub(crate) const STEPS_MIN: u64 = 2000;
/// How often that is looked at.
const LOOK: u64 = 20_000;
/// What comes for a task that waits for the journal waits in its queue: it is looked at again after this.
const BUSY: u64 = 10;
/// A run whose faults do not end goes on for so long at least.
const AFTERWARDS: u64 = 5 * 60_000;
/// One of so many seeds lives through the hour after which what was given up is tried again.
const LONG_EVERY: u64 = 32;
const LONG: u64 = 65 * 60_000;
/// So many things at one moment are one thing without end.
const AT_ONCE_MAX: u32 = 50_000;

/// What a plugin's file is: its version, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    version: u32,
    vice: Vice,
    /// How the operator's config has it handed events.
    policy: u8,
}

/// See the module.
pub(crate) struct World<'a> {
    plan: &'a Plan,
    chance: Chance,
    queue: Queue,
    pub(crate) site: Site,
    /// How often the site was restored.
    restores: u64,
    /// Where its ids began again, until that is accepted.
    restored_to: Option<i64>,
    model: Model,
    pub(crate) check: Check,
    pub(crate) story: Story,
    cover: &'a mut Coverage,
    processes: Vec<Process>,
    files: Vec<File>,
    names: Vec<PluginName>,
    /// True while the daemon runs.
    is_up: bool,
    is_stopping: bool,
    asleep_until: u64,
    born: u64,
    /// By how much our wall clock is ahead.
    ahead: i64,
    journal: Journal,
    head: Seq,
    ingest: Ingest,
    tasks: Vec<Task>,
    writer: Writer,
    alerts: Alerts,
    is_disk_full: bool,
    /// The next write fails.
    is_disk_broken: bool,
    /// Faults are over, and somebody looks after the site.
    is_mended: bool,
    /// All is well but this plugin, which nobody mends.
    stays_broken: Option<usize>,
    /// All is well but the site, which nobody accepts as it was restored.
    stays_rewound: bool,
    last_commit: u64,
    works: u64,
    crashes: u64,
    pub(crate) steps: u64,
    at_once: u32,
}

/// How a run went.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) wrong: Option<String>,
    pub(crate) steps: u64,
    pub(crate) virtual_ms: u64,
    pub(crate) journaled: usize,
    pub(crate) crashes: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(plan: &'a Plan, cover: &'a mut Coverage, lines: usize) -> Self {
        let chance = Chance(plan.seed);
        let model = Model::new();
        let journal = Journal::inline(Box::new(model.clone())).expect("a model has readers");
        let files = plan.plugins.iter().map(|plugin| File {
            version: 0,
            vice: plugin.vice,
            policy: 0,
        });
        let mut site = Site::new(chance, plan.site_page);
        site.wanted_from = (plan.start == Start::Time).then_some(Unix(EPOCH + 30_000));
        let mut check = Check::new(&plan.plugins);
        check.may_be_before_us = plan.start == Start::Time;
        Self {
            chance,
            queue: Queue::default(),
            site,
            restores: 0,
            restored_to: None,
            model,
            check,
            story: Story::new(lines),
            cover,
            processes: Vec::new(),
            files: files.collect(),
            names: (0..plan.plugins.len())
                .map(|at| PluginName::new(format!("plugin{at}")))
                .collect(),
            is_up: false,
            is_stopping: false,
            asleep_until: 0,
            born: 0,
            ahead: 0,
            journal,
            head: Seq(0),
            ingest: Ingest::none(),
            tasks: Vec::new(),
            writer: Writer::default(),
            alerts: Alerts::new(),
            is_disk_full: false,
            is_disk_broken: false,
            is_mended: false,
            stays_broken: None,
            stays_rewound: false,
            last_commit: 0,
            works: 0,
            crashes: 0,
            steps: 0,
            at_once: 0,
            plan,
        }
    }

    /// Lives through the whole plan.
    pub(crate) fn run(&mut self) -> Outcome {
        self.queue.after(0, Due::Work);
        self.queue.after(60_000, Due::Boot);
        for (at, (when, _)) in self.plan.faults.iter().enumerate() {
            self.queue.after(*when, Due::Fault(at));
        }
        let faults_end = self.plan.faults_end();
        self.live_until(faults_end);
        if self.plan.is_liveness && self.check.wrong.is_none() {
            // What is reserved is committed, or never will be.
            self.live_until(faults_end.max(self.last_commit + 1));
            self.queue.after(0, Due::Mend);
            self.outlive();
        } else {
            let is_long = self.plan.seed.is_multiple_of(LONG_EVERY);
            let after = if is_long { LONG } else { AFTERWARDS };
            self.live_until(faults_end + after);
            while self.steps < STEPS_MIN && self.check.wrong.is_none() {
                self.live_until(self.queue.now + LOOK);
            }
        }
        Outcome {
            wrong: self.check.wrong.clone(),
            steps: self.steps,
            virtual_ms: self.queue.now,
            journaled: self.check.events.len(),
            crashes: self.crashes,
        }
    }

    /// Lives until everything is settled, or fails.
    fn outlive(&mut self) {
        let within = |world: &Self| match world.stays_broken {
            Some(_) => GIVEN_UP_WITHIN,
            None => SETTLED_WITHIN,
        };
        let began = self.queue.now;
        loop {
            self.live_until(self.queue.now + LOOK);
            if self.check.wrong.is_some() {
                return;
            }
            let left = self.left();
            match left {
                None if self.steps >= STEPS_MIN => return,
                None => {}
                Some(left) if self.queue.now >= began + within(self) => {
                    return self.check.fail(|| {
                        format!(
                            "{} min after the last fault: {left}",
                            (self.queue.now - began) / 60_000
                        )
                    });
                }
                Some(_) => {}
            }
        }
    }

    /// What is not settled yet, in words.
    fn left(&self) -> Option<String> {
        // Nothing is followed: that is said, and everything that was journaled is settled all the same.
        let is_stuck = self.stays_rewound && self.ingest.machine.is_halted();
        let lost = self.check.lost(&self.site, self.queue.now);
        if !lost.is_empty() && !is_stuck {
            let ids = &lost[..lost.len().min(5)];
            let (phase, state) = (self.ingest.machine.phase(), self.ingest.machine.state());
            let is_gap = |id: i64| {
                state
                    .gaps
                    .iter()
                    .any(|gap| gap.first.0 <= id && id <= gap.last.0)
            };
            let missing = ids.iter().filter(|id| is_gap(**id)).count();
            return Some(format!(
                "{} events of the site are not in the journal, such as {ids:?}; ingest is {phase}, {missing} of these are gaps, {} gaps in all",
                lost.len(),
                state.gaps.len()
            ));
        }
        for who in 0..self.tasks.len() {
            let open = self.check.unsettled(who);
            if self.stays_broken == Some(who) && self.is_said_to_be_stuck(who) {
                continue;
            }
            if !open.is_empty() || !self.check.is_at_end(who) {
                let open = &open[..open.len().min(5)];
                let state = self.tasks[who].life.state();
                return Some(format!(
                    "plugin {who} has not settled {open:?}; {}; {state:?}",
                    self.check.stands(who)
                ));
            }
        }
        let stuck = self.stays_broken.map(|who| &self.names[who]);
        let mut open = self.alerts.open().filter(|alert| {
            let is_expected = alert.plugin.as_ref() == stuck && stuck.is_some();
            !(is_expected || is_stuck && alert.plugin.is_none())
        });
        open.next()
            .map(|alert| format!("the alert {} still stands", alert.key))
    }

    /// It gets nothing more, and a person is told.
    fn is_said_to_be_stuck(&self, who: usize) -> bool {
        matches!(self.tasks[who].life.state(), State::Disabled { .. })
            && self.alerts.says(who, "disabled")
    }

    fn live_until(&mut self, end: u64) {
        while self.check.wrong.is_none() {
            let before = self.queue.now;
            let Some(due) = self.queue.pop(end) else {
                self.queue.now = end;
                return;
            };
            self.at_once = if self.queue.now == before {
                self.at_once + 1
            } else {
                0
            };
            if self.at_once > AT_ONCE_MAX {
                return self
                    .check
                    .fail(|| format!("it does the same without end: {due:?}"));
            }
            let waits = match due {
                Due::Fault(at) | Due::FaultOver(at) => self.plan.faults[at].1.needs_us_awake(),
                _ => due.is_ours(),
            };
            if waits && self.queue.now < self.asleep_until {
                self.queue.after(self.asleep_until - self.queue.now, due);
                continue;
            }
            self.steps += 1;
            self.happen(due);
            self.judge();
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Work => self.work(),
            Due::Commit(id, made, restores) if restores == self.restores => {
                self.site.commit(id, made, self.queue.now, restores);
            }
            Due::Commit(..) => {}
            Due::Fault(at) => self.fault(at),
            Due::FaultOver(at) => self.fault_over(at),
            Due::Mend => self.mend(),
            Due::Boot => self.boot(),
            Due::Answer { is_beside } => self.site_answers(is_beside),
            Due::Disk => self.disk(),
            Due::Ingest => {
                self.ingest.armed = None;
                self.advance_ingest();
            }
            Due::Task(who) => self.ring(who),
            Due::Spawned(who) => self.spawned(who),
            Due::Read(who) => self.read_done(who),
            Due::Says(process, say) => self.says(process, say),
            Due::Exited(process) => self.exited(process),
            Due::Told(who) => self.hear(who),
            Due::Alert => self.alert_tick(),
        }
    }

    /// What must hold at every moment.
    fn judge(&mut self) {
        self.judge_alerts();
        for who in 0..self.tasks.len() {
            let Some(machine) = &self.tasks[who].machine else {
                continue;
            };
            let open = machine.open_len();
            if open > OPEN_MAX {
                self.check
                    .fail(|| format!("plugin {who} has {open} open events"));
            }
        }
    }

    /// The daemon's clocks.
    fn now(&self) -> Now {
        Now {
            mono: self.mono(),
            unix: Unix(EPOCH + self.queue.now as i64 + self.ahead),
        }
    }

    fn mono(&self) -> Mono {
        Mono(self.queue.now - self.born)
    }

    /// Puts something at a moment of the daemon's clock.
    fn at(&mut self, at: Mono, due: Due) -> u64 {
        let at = (at.0.saturating_add(self.born)).max(self.queue.now);
        self.queue.after(at - self.queue.now, due);
        at
    }

    /// Artists reserve ids, and commit most of them at once.
    fn work(&mut self) {
        self.works += 1;
        let (chance, works) = (self.chance, self.works);
        let rows = 1 + chance.below(Die::WorkSize, works, 0, 3);
        for row in 0..rows {
            let id = self.site.reserve();
            let dice = chance.below(Die::WorkLate, works, row, 100);
            let some = chance.below(Die::Commit, works, row, 1000);
            let late = match dice {
                0..=79 => some / 100,
                80..=89 => some,
                90..=93 => some * 60,
                94 => some * 600,
                95 => some * 1200,
                // Rolled back.
                _ => continue,
            };
            self.commits(id, late);
        }
        // Where the faults do not end, the work does not, until there was enough of it.
        let goes_on = !self.plan.is_liveness && self.steps < STEPS_MIN;
        if self.queue.now < self.plan.work_ms || goes_on {
            let wait = chance.below(Die::WorkWait, works, 0, 2 * self.plan.pace_ms);
            self.queue.after(wait, Due::Work);
        }
    }

    /// A reserved id becomes readable after a while.
    fn commits(&mut self, id: i64, late: u64) {
        let now = self.queue.now;
        self.last_commit = self.last_commit.max(now + late);
        if late == 0 {
            self.site.commit(id, now, now, self.restores);
        } else {
            self.queue.after(late, Due::Commit(id, now, self.restores));
        }
    }

    /// The daemon starts, with what is on disk.
    fn boot(&mut self) {
        if self.is_up {
            return;
        }
        self.story
            .tell(self.queue.now, || "the daemon starts".into());
        self.queue.life += 1;
        (self.is_up, self.is_stopping) = (true, false);
        self.born = self.queue.now;
        self.asleep_until = 0;
        self.journal = Journal::inline(Box::new(self.model.clone())).expect("a model has readers");
        self.head = *self.journal.head().borrow();
        self.writer = Writer::default();
        self.alerts = Alerts::new();
        self.ingest = self.start_ingest();
        self.tasks.clear();
        for who in 0..self.plan.plugins.len() {
            self.tasks.push(Task::new(self.files[who], self.now()));
            self.register(who);
        }
        self.advance_ingest();
    }

    /// The daemon dies. What is with the disk may have got there, unless the power failed.
    fn crash(&mut self, is_power_cut: bool, restart: u64) {
        if !self.is_up {
            return;
        }
        self.crashes += 1;
        let is_written = !is_power_cut && self.chance.below(Die::Crash, self.crashes, 0, 2) == 0;
        if is_written && !self.is_disk_full {
            self.write_at_sea();
        }
        self.end(restart);
    }

    /// There is no daemon any more, and none of its processes.
    fn end(&mut self, restart: u64) {
        self.is_up = false;
        self.queue.life += 1;
        for process in &mut self.processes {
            process.is_alive = false;
        }
        self.tasks.clear();
        self.check.plugins.iter_mut().for_each(Book::forget);
        self.queue.after(restart.max(1), Due::Boot);
    }
}
