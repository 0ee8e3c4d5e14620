//! Faults as they begin and end, and what operators do.

use futures::FutureExt as _;
use sgeventd::{
    clock::Unix,
    ident::{PluginName, Seq},
    journal::{Counts, CursorChange, DeadQuery, NewDead, Op, Place, Replay},
    plugin::life::{Cause, Input, State},
};

use super::{
    BUSY, File, World,
    task::{Order, Task},
    writer::From,
};
use crate::{
    chance::Die,
    plan::{Fault, Vice},
    process::End,
    queue::Due,
};

/// What is wrong with a plugin that nobody mends.
const BROKEN: [Vice; 10] = [
    Vice::Failing,
    Vice::Unusable,
    Vice::Misconfigured,
    Vice::Stillborn,
    Vice::Silent,
    Vice::Unstartable,
    Vice::Mute,
    Vice::Hanging,
    Vice::Poisoned,
    Vice::Crashing,
];

impl World<'_> {
    pub(super) fn fault(&mut self, at: usize) {
        let (_, fault) = self.plan.faults[at];
        let now = self.queue.now;
        self.story.tell(now, || format!("FAULT: {fault}"));
        let mood = &mut self.site.mood;
        match fault {
            Fault::Kill(restart) => self.crash(false, restart),
            Fault::PowerCut(restart) => self.crash(true, restart),
            Fault::Stop(_) => self.stop(),
            Fault::Pause(ms) if self.is_up => self.asleep_until = now + ms,
            Fault::WallClock(by) => self.ahead += by,
            Fault::SiteClock(by) => self.site.ahead += by,
            Fault::Outage(_) => mood.is_down = true,
            Fault::Faulty(_) => mood.is_faulty = true,
            Fault::Refused(_) => mood.is_refusing = true,
            Fault::RetryAfter(_) => mood.asks_for_pauses = true,
            Fault::Slow(_) => mood.is_slow = true,
            Fault::Shuffled(_) => mood.is_shuffling = true,
            Fault::Lag(_) => mood.stands_at = Some(now),
            Fault::NoCount(_) => mood.cannot_count = true,
            Fault::Restore(rows) => self.restore(rows),
            // Before the first page nobody knows of the rows that go, and when none is left that is known, a restored
            // site cannot be told from one that goes on.
            Fault::Purge(_) if !self.check.has_head() || self.restores > 0 => {}
            Fault::Purge(keep) => self.site.purge(keep),
            Fault::Archive => drop(self.site.archive()),
            Fault::Spoil(how, back) => drop(self.site.spoil(how, back)),
            Fault::Burst(rows) => {
                for _ in 0..rows {
                    let id = self.site.reserve();
                    self.commits(id, 0);
                }
            }
            Fault::Hole(ids) => self.site.next_id += ids as i64,
            Fault::DiskFull(_) => self.is_disk_full = true,
            Fault::DiskBroken => self.is_disk_broken = self.is_up,
            Fault::Prune(keep) => self.prune(keep),
            Fault::Change(who, vice) => self.change(usize::from(who), vice),
            Fault::Policy(who, policy) => {
                let file = &mut self.files[usize::from(who)];
                *file = File { policy, ..*file };
                self.tell_change(usize::from(who));
            }
            Fault::Signal(who) => self.signal(usize::from(who)),
            Fault::Vanish(who, _) => self.tell(usize::from(who), Input::Vanished),
            Fault::Disable(who, _) => self.disable(usize::from(who), true),
            Fault::Off(who, _) => {
                if let Some(task) = self.tasks.get_mut(usize::from(who)) {
                    task.is_off = true;
                }
                self.tell(usize::from(who), Input::Off);
            }
            Fault::Seek(who, back) => self.order(usize::from(who), Order::Seek(back)),
            Fault::Skip(who) => self.order(usize::from(who), Order::Skip),
            Fault::Replay(who, back, rows) => {
                self.order(usize::from(who), Order::Replay(back, rows));
            }
            Fault::Redrive(who) => self.order(usize::from(who), Order::Redrive),
            Fault::Trigger(who, back) => self.order(usize::from(who), Order::Trigger(back)),
            Fault::Rename(who) => self.order(usize::from(who), Order::Rename),
            Fault::Pause(_) => {}
        }
        if fault.lasts() > 0 {
            self.queue.after(fault.lasts(), Due::FaultOver(at));
        }
    }

    fn restore(&mut self, rows: u64) {
        let head = self.ingest.machine.state().head.as_ref();
        // Of a head that could only be read by its id nobody can say that it is another row now.
        if head.is_none_or(|head| !head.event_type.is_empty()) {
            self.restores += 1;
            let begins = self.site.restore(rows) + 1;
            let before = self.restored_to.unwrap_or(begins);
            self.restored_to = Some(begins.min(before));
        }
    }

    pub(super) fn fault_over(&mut self, at: usize) {
        let (_, fault) = self.plan.faults[at];
        self.story.tell(self.queue.now, || format!("OVER: {fault}"));
        let mood = &mut self.site.mood;
        match fault {
            Fault::Outage(_) => mood.is_down = false,
            Fault::Faulty(_) => mood.is_faulty = false,
            Fault::Refused(_) => mood.is_refusing = false,
            Fault::RetryAfter(_) => mood.asks_for_pauses = false,
            Fault::Slow(_) => mood.is_slow = false,
            Fault::Shuffled(_) => mood.is_shuffling = false,
            Fault::Lag(_) => mood.stands_at = None,
            Fault::NoCount(_) => mood.cannot_count = false,
            Fault::DiskFull(_) => self.is_disk_full = false,
            Fault::Restore(_) => {
                self.ingest.to_accept = self.is_up && self.ingest.machine.is_halted();
                self.advance_ingest();
            }
            Fault::Vanish(who, _) => self.appears(usize::from(who)),
            Fault::Disable(who, _) => self.disable(usize::from(who), false),
            Fault::Off(who, _) => {
                if let Some(task) = self.tasks.get_mut(usize::from(who)) {
                    task.is_off = false;
                }
                self.tell(usize::from(who), Input::Start);
            }
            // A stop that takes too long ends as the service manager ends it.
            Fault::Stop(_) if self.is_stopping => self.crash(false, 1000),
            _ => {}
        }
    }

    /// All is well from now on, and operators see to it.
    pub(super) fn mend(&mut self) {
        self.story
            .tell(self.queue.now, || "all faults are over".into());
        self.is_mended = true;
        self.leave_broken();
        self.asleep_until = 0;
        self.site.mood = Default::default();
        self.site.mend();
        (self.is_disk_full, self.is_disk_broken) = (false, false);
        if self.is_stopping {
            self.crash(false, 1000);
        }
        for who in 0..self.files.len() {
            // Whom nothing is wrong with nobody touches: what it forgot itself nothing else reminds it of.
            let is_left = self.stays_broken == Some(who);
            if !is_left && self.is_well(who) && self.chance.below(Die::Mend, who as u64, 0, 4) > 0 {
                continue;
            }
            self.disable(who, false);
            if let Some(task) = self.tasks.get_mut(who) {
                task.is_off = false;
            }
            let broken = BROKEN[self.chance.below(Die::Mend, 2, 0, BROKEN.len() as u64) as usize];
            self.change(who, if is_left { broken } else { Vice::Nothing });
            self.tell(who, Input::Start);
        }
    }

    /// Not everybody is mended by somebody, and then that is said.
    fn leave_broken(&mut self) {
        let who = self.chance.below(Die::Mend, 0, 1, self.files.len() as u64);
        let is_left = self.chance.below(Die::Mend, 1, 1, 5) == 0;
        self.stays_broken = is_left.then_some(who as usize);
        self.stays_rewound = self.chance.below(Die::Mend, 2, 1, 5) == 0;
        let (who, is_rewound) = (self.stays_broken, self.stays_rewound);
        self.story.tell(self.queue.now, || {
            format!("left as it is: plugin {who:?}; a restored site: {is_rewound}")
        });
    }

    /// True when an operator who looks at `status` finds nothing to do for it.
    fn is_well(&self, who: usize) -> bool {
        let is_on = |task: &Task| {
            let state = task.life.state();
            !task.is_off && !matches!(state, State::Disabled { .. } | State::Missing)
        };
        let is_good = matches!(
            self.files[who].vice,
            Vice::Nothing | Vice::Slow | Vice::Calling
        );
        let is_enabled = self
            .record(who)
            .is_none_or(|record| record.disabled.is_none());
        is_good && is_enabled && self.tasks.get(who).is_none_or(is_on)
    }

    /// Stops as asked.
    fn stop(&mut self) {
        if !self.is_up || self.is_stopping || self.tasks.iter().any(|task| !task.is_registered) {
            return;
        }
        self.is_stopping = true;
        for who in 0..self.tasks.len() {
            self.tell(who, Input::Shutdown);
            if !self.is_up {
                return;
            }
        }
    }

    /// A task is told something, if there is one.
    fn tell(&mut self, who: usize, input: Input) {
        let Some(task) = self.tasks.get_mut(who) else {
            return;
        };
        if self.is_up && task.is_registered {
            task.told.push_back(input);
            self.hear(who);
        }
    }

    /// Hears what it was told, in order; while the journal is asked it waits in the task's queue.
    pub(super) fn hear(&mut self, who: usize) {
        while let Some(task) = self.tasks.get_mut(who) {
            if task.is_making {
                return self.queue.after(BUSY, Due::Told(who));
            }
            let Some(input) = task.told.pop_front() else {
                return;
            };
            self.step(who, input);
            self.advance(who);
        }
    }

    /// The file changes.
    fn change(&mut self, who: usize, vice: Vice) {
        let file = &mut self.files[who];
        *file = File {
            version: file.version + 1,
            vice,
            policy: file.policy,
        };
        self.tell_change(who);
    }

    fn tell_change(&mut self, who: usize) {
        let file = self.files[who];
        if let Some(task) = self.tasks.get_mut(who) {
            task.next_file = Some(file);
        }
        self.tell(who, Input::Changed);
    }

    fn appears(&mut self, who: usize) {
        let file = self.files[who];
        if let Some(task) = self.tasks.get_mut(who) {
            task.next_file = Some(file);
        }
        self.tell(who, Input::Start);
    }

    /// A signal from outside.
    fn signal(&mut self, who: usize) {
        let run = self.tasks.get(who).and_then(|task| task.run.as_ref());
        if let Some(process) = run.map(|run| run.process) {
            self.ends(process, End::Killed, 1);
        }
    }

    /// An operator disables it, or enables it again; both are on disk.
    fn disable(&mut self, who: usize, is_disabled: bool) {
        if !self.is_up {
            return;
        }
        let op = Op::SetDisabled {
            plugin: self.names[who].clone(),
            reason: is_disabled.then(|| "{}".into()),
        };
        self.submit(From::Nobody, vec![op]);
        self.tell(
            who,
            if is_disabled {
                Input::Disable
            } else {
                Input::Enable
            },
        );
    }

    /// What an operator wants of the cursor waits until the plugin rests.
    fn order(&mut self, who: usize, order: Order) {
        let is_free = self
            .tasks
            .get(who)
            .is_some_and(|task| task.is_registered && task.order.is_none());
        if self.is_up && !self.is_stopping && is_free {
            self.tasks[who].order = Some(order);
            self.tell(who, Input::Disable);
        }
    }

    /// The plugin rests: the order goes to the journal, with all that was not written.
    pub(super) fn obey(&mut self, who: usize) {
        let now = self.now();
        let task = &mut self.tasks[who];
        let is_resting = matches!(
            task.life.state(),
            State::Disabled {
                cause: Cause::Operator,
                ..
            }
        );
        if task.order.is_none() || !is_resting || task.is_writing || self.is_stopping {
            return;
        }
        let Some(order) = task.order.clone() else {
            return;
        };
        (task.is_writing, task.is_making) = (true, true);
        let rest = task.machine.as_mut().map(|machine| machine.take_rest(now));
        let first_open = task.machine.as_ref().and_then(|machine| {
            let seq = machine.oldest()?.seq;
            Some((machine.position(), seq))
        });
        let mut ops = Vec::new();
        if let Some(change) = rest {
            self.check.changed(who, &change);
            let revision = None;
            ops.push(Op::Cursor { change, revision });
        }
        let plugin = self.names[who].clone();
        ops.push(match order {
            Order::Seek(back) => Op::Seek {
                plugin,
                to: Place::Seq(Seq(self.head.0.saturating_sub(back))),
            },
            Order::Skip => {
                if let Some((_, seq)) = first_open {
                    self.check.plugins[who].skipped_by_operator(seq);
                }
                skip(plugin, first_open, now.unix)
            }
            Order::Replay(back, rows) => Op::Replay {
                plugin,
                replay: range(self.head, back, rows),
            },
            Order::Redrive => Op::Redrive {
                ids: self.dead_letters(&plugin),
            },
            Order::Trigger(back) => Op::Trigger {
                plugin,
                seq: Seq(self.head.0.saturating_sub(back)),
            },
            Order::Rename => {
                // What was said under the old name is over with it.
                self.tell_recovered(who);
                let to = PluginName::new(format!("{plugin}x"));
                Op::Rename { from: plugin, to }
            }
        });
        self.submit(From::Operator(who), ops);
    }

    fn dead_letters(&self, plugin: &PluginName) -> Vec<i64> {
        let query = DeadQuery {
            plugin: Some(plugin.clone()),
            after: 0,
            rows: 1000,
        };
        let letters = self.journal.dead(query).now_or_never().and_then(Result::ok);
        letters
            .unwrap_or_default()
            .iter()
            .map(|letter| letter.id)
            .collect()
    }

    /// The order is on disk: the dispatcher is made anew, and the plugin goes on.
    pub(super) fn operator_done(&mut self, who: usize) {
        let task = &mut self.tasks[who];
        (task.order, task.machine, task.made_from) = (None, None, None);
        (task.is_writing, task.is_making, task.reading) = (false, false, None);
        self.step(who, Input::Enable);
        self.advance(who);
    }

    /// Old bodies go, and the rows that nobody needs.
    fn prune(&mut self, keep: u64) {
        if !self.is_up {
            return;
        }
        let up_to = Seq(self.head.0.saturating_sub(keep));
        let at = self.now().unix;
        let ops = vec![
            Op::DropBodies {
                up_to,
                at_most: 10_000,
            },
            Op::DropRows {
                up_to: Seq(up_to.0 / 2),
                at_most: 10_000,
                orphans: Vec::new(),
                at,
            },
        ];
        self.submit(From::Nobody, ops);
    }
}

/// A range of the journal, so far back and so long.
fn range(head: Seq, back: u64, rows: u64) -> Replay {
    let first = Seq(head.0.saturating_sub(back).max(1));
    let last = Seq(first.0 + rows).min(head);
    let next = first;
    Replay { first, last, next }
}

/// The first open event becomes a dead letter; the position stays.
fn skip(plugin: PluginName, first_open: Option<(Seq, Seq)>, at: Unix) -> Op {
    let Some((position, seq)) = first_open else {
        let plugins = vec![plugin];
        return Op::Seen { plugins, at };
    };
    let letter = NewDead {
        seq,
        reason: "skipped_by_operator".into(),
        error: "".into(),
        attempts: 0,
        at,
        version: None,
    };
    let change = CursorChange {
        plugin,
        position,
        put: Vec::new(),
        settled: Vec::new(),
        dead: vec![letter],
        replays: Vec::new(),
        counts: Counts {
            dead: 1,
            ..Counts::default()
        },
    };
    let revision = None;
    Op::Cursor { change, revision }
}
