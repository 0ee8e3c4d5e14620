//! The books of one plugin: what is on disk of it, what was handed out, how it ended and what that must have counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rustc_hash::{FxHashMap, FxHashSet};
use sgeventd::{
    clock::Unix,
    ident::Seq,
    journal::{Counts, Replay},
};
use sgeventd_protocol::manifest::{OnError, Order};

use super::{Known, Lane};
use crate::plan::PluginPlan;

/// How an attempt ended, as the plugin or the daemon had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Ok,
    Skip,
    Dead,
    /// Again later: it failed, or asked for it.
    Again,
    /// The handler failed, or nothing came in time.
    Failed,
}

/// What is known of one plugin.
#[derive(Debug)]
pub(crate) struct Book {
    pub(super) order: Order,
    on_error: OnError,
    pub(super) max_attempts: u32,
    pub(super) wants: Wants,
    /// The version that runs wants all types.
    wants_all: bool,
    /// As committed.
    pub(super) position: u64,
    pub(super) open: BTreeMap<u64, Tries>,
    /// Handed out, and not settled on disk.
    pub(super) recent: BTreeMap<u64, Lane>,
    pub(super) lanes: FxHashMap<Lane, LaneBook>,
    pub(super) tries: FxHashMap<u64, Tries>,
    /// It stopped at these, whatever is configured now: they get another try.
    pub(super) tolerated: FxHashSet<u64>,
    /// An operator asked for it again: it keeps no order.
    pub(super) exempt: FxHashSet<u64>,
    /// Settled, or a dead letter, or passed over for a reason.
    pub(crate) done: FxHashSet<u64>,
    pub(super) dead: BTreeSet<u64>,
    /// What may become a dead letter, and why.
    pub(super) due: FxHashMap<u64, Vec<&'static str>>,
    /// Triggered before their turn, which comes all the same.
    pub(super) early: FxHashSet<u64>,
    /// Ranges to be handed out again and how far they are, as committed.
    pub(super) replays: BTreeMap<(u64, u64), u64>,
    /// Handed out by a replay since the dispatcher was made.
    pub(super) again: FxHashSet<u64>,
    pub(super) replayed: FxHashMap<Lane, LaneBook>,
    /// More than one range is handed out again, or what was open when one began: there is no one order.
    pub(super) is_mixed: bool,
    /// Where it began; what is not above it is not its.
    pub(super) from: u64,
    /// At work when the process ended by itself: one at a time until these are settled.
    pub(super) suspects: BTreeSet<u64>,
    /// Since the last change was made.
    pub(super) tally: Counts,
    /// Settlements that no change tells of yet, and those of the change that is on its way to the disk.
    pub(super) unwritten: (usize, usize),
    /// A change is on its way to the disk.
    pub(super) is_at_sea: bool,
    /// Passed over because of their age, and counted as that.
    pub(super) too_old: (u64, u64),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tries {
    pub(super) attempts: u32,
    pub(super) crashes: u32,
}

/// Where a lane stands.
#[derive(Debug, Default)]
pub(super) struct LaneBook {
    pub(super) highest: u64,
    pub(super) unsettled: BTreeSet<u64>,
}

impl LaneBook {
    /// Its turn has come: it is new, or the first of those that wait.
    pub(super) fn is_next(&self, seq: u64) -> bool {
        match self.unsettled.first() {
            Some(first) if *first == seq => true,
            first => seq > self.highest && first.is_none_or(|first| seq < *first),
        }
    }

    pub(super) fn hand_out(&mut self, seq: u64) {
        self.highest = self.highest.max(seq);
        self.unsettled.insert(seq);
    }
}

/// What a plugin always wants, whatever version of it runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    kinds: u8,
    by_meta: bool,
    /// Those that are older may be passed over; zero: none may.
    max_age: Duration,
}

impl Wants {
    pub(super) fn has(self, known: &Known) -> bool {
        (self.kinds == 0 || self.kinds & known.kind > 0) && (!self.by_meta || known.is_fin)
    }

    /// True for one that wants each event, so that each number is known.
    pub(super) fn is_all(self) -> bool {
        self.kinds == 0 && !self.by_meta
    }

    /// It may be passed over because of its age.
    pub(super) fn is_too_old(self, known: &Known, site_now: Unix) -> bool {
        let age = known.created_at.map(|at| site_now - at);
        !self.max_age.is_zero() && age.is_some_and(|age| age > self.max_age)
    }
}

impl Book {
    pub(crate) fn new(plan: &PluginPlan) -> Self {
        Self {
            order: plan.order,
            on_error: plan.on_error,
            max_attempts: plan.max_attempts,
            wants: Wants {
                kinds: plan.kinds,
                by_meta: plan.by_meta,
                max_age: Duration::from_secs(plan.max_age_s),
            },
            wants_all: plan.kinds == 0,
            position: 0,
            open: BTreeMap::new(),
            recent: BTreeMap::new(),
            lanes: FxHashMap::default(),
            tries: FxHashMap::default(),
            tolerated: FxHashSet::default(),
            exempt: FxHashSet::default(),
            done: FxHashSet::default(),
            dead: BTreeSet::new(),
            due: FxHashMap::default(),
            early: FxHashSet::default(),
            replays: BTreeMap::new(),
            again: FxHashSet::default(),
            replayed: FxHashMap::default(),
            is_mixed: false,
            from: 0,
            suspects: BTreeSet::new(),
            tally: Counts::default(),
            unwritten: (0, 0),
            is_at_sea: false,
            too_old: (0, 0),
        }
    }

    /// A new name got its place.
    pub(crate) fn placed(&mut self, position: Seq) {
        (self.position, self.from) = (position.0, position.0);
    }

    /// An attempt ended.
    pub(crate) fn ended(&mut self, seq: Seq, ended: Ended, is_charged: bool) {
        let tries = self.tries.entry(seq.0).or_default();
        // It stops at this event and resumes with it: nothing is used up.
        let stops = self.on_error == OnError::Stop && is_charged;
        let skips = self.on_error == OnError::Skip && is_charged;
        match ended {
            Ended::Ok | Ended::Skip => {
                if ended == Ended::Ok {
                    self.tally.ok += 1;
                } else {
                    self.tally.skipped += 1;
                }
                self.done.insert(seq.0);
                self.settled(seq.0);
            }
            Ended::Dead => self.falls_due(seq.0, "dead"),
            Ended::Failed if stops => {}
            Ended::Failed if skips => {
                tries.attempts += 1;
                self.falls_due(seq.0, "skip");
            }
            Ended::Again | Ended::Failed => {
                tries.attempts += u32::from(is_charged);
                if tries.attempts >= self.max_attempts {
                    self.falls_due(seq.0, "attempts");
                } else {
                    self.tally.retried += 1;
                }
            }
        }
    }

    /// It becomes a dead letter.
    fn falls_due(&mut self, seq: u64, reason: &'static str) {
        self.tally.dead += 1;
        self.due.entry(seq).or_default().push(reason);
        self.settled(seq);
    }

    fn settled(&mut self, seq: u64) {
        self.unwritten.0 += 1;
        self.forget_turn(seq);
    }

    /// Nothing waits for it in its lane any more.
    pub(super) fn forget_turn(&mut self, seq: u64) {
        self.suspects.remove(&seq);
        if let Some(lane) = self.recent.get(&seq)
            && let Some(book) = self.lanes.get_mut(lane)
        {
            book.unsettled.remove(&seq);
        }
        if self.again.contains(&seq) {
            for book in self.replayed.values_mut() {
                book.unsettled.remove(&seq);
            }
        }
    }

    /// The process ended by itself with one event at work.
    pub(crate) fn crashed_alone(&mut self, seq: Seq) {
        let tries = self.tries.entry(seq.0).or_default();
        tries.crashes += 1;
        if self.on_error == OnError::Stop {
            self.tolerated.insert(seq.0);
        } else if tries.crashes >= 2 {
            self.falls_due(seq.0, "crashed_plugin");
        }
    }

    /// Nobody has its body any more: it becomes a dead letter.
    pub(crate) fn pruned(&mut self, seq: Seq) {
        self.falls_due(seq.0, "pruned");
    }

    /// The process ended by itself with these at work.
    pub(crate) fn crashed(&mut self, at_work: &[Seq]) {
        self.suspects.extend(at_work.iter().map(|seq| seq.0));
    }

    /// The daemon ended: what was not committed is forgotten.
    pub(crate) fn forget(&mut self) {
        let on_disk = self.open.iter().map(|(seq, tries)| (*seq, *tries));
        self.tries = on_disk.collect();
        self.lanes
            .values_mut()
            .for_each(|lane| lane.unsettled.clear());
        for (seq, lane) in &self.recent {
            self.lanes.entry(*lane).or_default().unsettled.insert(*seq);
        }
        (self.tally, self.unwritten) = (Counts::default(), (0, 0));
        self.is_at_sea = false;
        self.due.clear();
        self.suspects.clear();
        self.replays_anew();
    }

    /// The dispatcher was made anew: what it does not want any more is skipped, and another order begins from here.
    pub(crate) fn remade(
        &mut self,
        order: Order,
        on_error: OnError,
        wants_all: bool,
        events: &[Known],
    ) {
        self.on_error = on_error;
        self.suspects.clear();
        self.replays_anew();
        let wants = self.wants;
        let is_wanted = |seq: u64| {
            let known = usize::try_from(seq - 1).ok().and_then(|at| events.get(at));
            known.is_some_and(|known| {
                (wants_all && (!wants.by_meta || known.is_fin)) || wants.has(known)
            })
        };
        let is_wider = wants_all && !self.wants_all;
        self.wants_all = wants_all;
        for lane in self.lanes.values_mut() {
            lane.unsettled.retain(|seq| is_wanted(*seq));
            if is_wider {
                // What it passed over and has not written down is looked at again.
                lane.highest = lane.highest.min(self.position);
            }
        }
        if self.order != order {
            self.order = order;
            self.exempt
                .extend(self.recent.keys().copied().chain(self.open.keys().copied()));
            self.recent.clear();
            self.lanes.clear();
        }
    }

    /// An operator asked for an event again.
    pub(crate) fn reopened(&mut self, seq: Seq) {
        // One that is open already stays as it is.
        if self
            .open
            .insert(seq.0, self.open.get(&seq.0).copied().unwrap_or_default())
            .is_none()
        {
            self.tries.remove(&seq.0);
        }
        self.exempt.insert(seq.0);
        if seq.0 > self.position {
            self.early.insert(seq.0);
        }
        self.done.remove(&seq.0);
        self.dead.remove(&seq.0);
    }

    /// An operator wants a range again. What he names is still there, and what the plugin has not come to is new to it.
    pub(crate) fn replays(&mut self, replay: &Replay, there: &[Seq]) {
        if replay.next > replay.last {
            return;
        }
        self.is_mixed = !self.replays.is_empty() || !self.open.is_empty();
        self.replays
            .insert((replay.first.0, replay.last.0), replay.next.0);
        for seq in there.iter().filter(|seq| seq.0 <= self.position) {
            self.done.remove(&seq.0);
        }
        self.replays_anew();
    }

    fn replays_anew(&mut self) {
        self.again.clear();
        self.replayed.clear();
    }

    /// A replay has yet to come by it, as far as the disk knows.
    pub(super) fn is_replaying(&self, seq: u64) -> bool {
        let mut replays = self.replays.iter();
        replays.any(|((_, last), next)| (*next..=*last).contains(&seq))
    }

    /// An operator placed it: what was open is skipped, and so is what lies between. Going back, what is still there
    /// comes again.
    pub(crate) fn sought(&mut self, position: Seq, there: &[Seq]) {
        self.done.extend(self.open.keys().copied());
        self.done.extend(self.position..=position.0);
        for seq in there.iter().filter(|seq| **seq > position) {
            self.done.remove(&seq.0);
        }
        self.position = position.0;
        // What is handed out again may be given up again: the later letter takes the place of the earlier.
        self.dead.split_off(&(position.0 + 1));
        self.open.clear();
        self.exempt.clear();
        self.recent.clear();
        self.lanes.clear();
        self.tries.clear();
        self.replays_anew();
    }

    /// An operator skips an event.
    pub(crate) fn skipped_by_operator(&mut self, seq: Seq) {
        let due = self.due.entry(seq.0).or_default();
        due.push("skipped_by_operator");
    }

    /// It stands in the open list for a replay: it was settled when it was new.
    pub(super) fn own_turn_is_over(&mut self, seq: u64) {
        if let Some(lane) = self.recent.remove(&seq)
            && let Some(book) = self.lanes.get_mut(&lane)
        {
            book.unsettled.remove(&seq);
        }
    }

    /// Its first hand-out by a replay: nothing is used up, and it may become a dead letter once more.
    pub(super) fn begins_again(&mut self, seq: u64) {
        self.tries.remove(&seq);
        self.tolerated.remove(&seq);
        self.dead.remove(&seq);
        self.again.insert(seq);
    }
}
