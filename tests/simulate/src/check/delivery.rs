//! Delivery: in order per lane, nothing again that is settled on disk, attempts charged as the contract says, dead
//! letters once, nothing without a bound.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};
use sgeventd::{
    ident::Seq,
    journal::{Counts, CursorChange},
};
use sgeventd_protocol::manifest::{OnError, Order};

use super::{Check, Known, Lane};
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
    order: Order,
    on_error: OnError,
    max_attempts: u32,
    /// It stopped at events that failed, whatever is configured now: they get another try.
    has_stopped: bool,
    wants: Wants,
    /// The version that runs wants all types.
    wants_all: bool,
    /// As committed.
    position: u64,
    open: BTreeMap<u64, Tries>,
    /// Handed out, and not settled on disk.
    recent: BTreeMap<u64, Lane>,
    lanes: FxHashMap<Lane, LaneBook>,
    tries: FxHashMap<u64, Tries>,
    /// An operator asked for it again: it keeps no order.
    exempt: FxHashSet<u64>,
    /// Settled, or a dead letter, or passed over for a reason.
    pub(crate) done: FxHashSet<u64>,
    dead: BTreeSet<u64>,
    /// Triggered before their turn, which comes all the same.
    early: FxHashSet<u64>,
    /// Where it began; what is not above it is not its.
    from: u64,
    /// At work when the process ended by itself: one at a time until these are settled.
    suspects: BTreeSet<u64>,
    /// Since the last change was made.
    tally: Counts,
    /// What it counted in all, as committed.
    counts: Counts,
    /// What is in a change that is not committed yet.
    at_sea: Counts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tries {
    attempts: u32,
    crashes: u32,
}

/// Where a lane stands.
#[derive(Debug, Default)]
struct LaneBook {
    highest: u64,
    unsettled: BTreeSet<u64>,
}

/// What a plugin always wants, whatever version of it runs.
#[derive(Debug, Clone, Copy)]
struct Wants {
    kinds: u8,
    by_meta: bool,
    /// Some may be passed over because of their age.
    may_be_old: bool,
}

impl Wants {
    fn has(self, known: &Known) -> bool {
        (self.kinds == 0 || self.kinds & known.kind > 0) && (!self.by_meta || known.is_fin)
    }
}

impl Book {
    pub(crate) fn new(plan: &PluginPlan) -> Self {
        Self {
            order: plan.order,
            on_error: plan.on_error,
            max_attempts: plan.max_attempts,
            has_stopped: plan.on_error == OnError::Stop,
            wants: Wants {
                kinds: plan.kinds,
                by_meta: plan.by_meta,
                may_be_old: plan.max_age_s > 0,
            },
            wants_all: plan.kinds == 0,
            position: 0,
            open: BTreeMap::new(),
            recent: BTreeMap::new(),
            lanes: FxHashMap::default(),
            tries: FxHashMap::default(),
            exempt: FxHashSet::default(),
            done: FxHashSet::default(),
            dead: BTreeSet::new(),
            early: FxHashSet::default(),
            from: 0,
            suspects: BTreeSet::new(),
            tally: Counts::default(),
            counts: Counts::default(),
            at_sea: Counts::default(),
        }
    }

    /// A new name got its place.
    pub(crate) fn placed(&mut self, position: Seq) {
        (self.position, self.from) = (position.0, position.0);
    }

    /// An attempt ended.
    pub(crate) fn ended(&mut self, seq: Seq, ended: Ended, is_charged: bool) {
        let tries = self.tries.entry(seq.0).or_default();
        match ended {
            Ended::Ok => self.tally.ok += 1,
            Ended::Skip => self.tally.skipped += 1,
            Ended::Dead => {}
            // It stops at this event and resumes with it: nothing is used up.
            Ended::Failed if self.on_error == OnError::Stop && is_charged => {}
            Ended::Again | Ended::Failed => tries.attempts += u32::from(is_charged),
        }
        let is_over = match ended {
            Ended::Ok | Ended::Skip => {
                self.done.insert(seq.0);
                true
            }
            Ended::Dead => true,
            Ended::Failed if is_charged && self.on_error == OnError::Skip => true,
            Ended::Failed if is_charged && self.on_error == OnError::Stop => false,
            Ended::Failed | Ended::Again => tries.attempts >= self.max_attempts,
        };
        if is_over {
            self.settled(seq.0);
        }
    }

    fn settled(&mut self, seq: u64) {
        self.suspects.remove(&seq);
        if let Some(lane) = self.recent.get(&seq)
            && let Some(book) = self.lanes.get_mut(lane)
        {
            book.unsettled.remove(&seq);
        }
    }

    /// The process ended by itself with one event at work.
    pub(crate) fn crashed_alone(&mut self, seq: Seq) {
        let tries = self.tries.entry(seq.0).or_default();
        tries.crashes += 1;
        if tries.crashes >= 2 && self.on_error != OnError::Stop {
            self.settled(seq.0);
        }
    }

    /// Nobody has its body any more: it becomes a dead letter.
    pub(crate) fn pruned(&mut self, seq: Seq) {
        self.settled(seq.0);
    }

    /// The process ended by itself with these at work.
    pub(crate) fn crashed(&mut self, at_work: &[Seq]) {
        self.suspects.extend(at_work.iter().map(|seq| seq.0));
    }

    /// The daemon ended: what was not committed is forgotten.
    pub(crate) fn forget(&mut self) {
        self.tries = self
            .open
            .iter()
            .map(|(seq, tries)| (*seq, *tries))
            .collect();
        self.lanes
            .values_mut()
            .for_each(|lane| lane.unsettled.clear());
        for (seq, lane) in &self.recent {
            self.lanes.entry(*lane).or_default().unsettled.insert(*seq);
        }
        (self.tally, self.at_sea) = (Counts::default(), Counts::default());
        self.suspects.clear();
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

    /// An operator placed it: what was open is skipped, and so is what lies between.
    pub(crate) fn sought(&mut self, position: Seq) {
        let skipped: Vec<u64> = self.open.keys().copied().collect();
        self.counts.skipped += skipped.len() as u64;
        self.done.extend(skipped);
        self.done.extend(self.position..=position.0);
        self.position = position.0;
        // What is handed out again may be given up again: the later letter takes the place of the earlier.
        self.dead.split_off(&(position.0 + 1));
        self.open.clear();
        self.recent.clear();
        self.lanes.clear();
        self.tries.clear();
    }
}

impl Check {
    /// An event is handed out.
    pub(crate) fn delivered(&mut self, who: usize, seq: Seq, is_replay: bool, at_work: usize) {
        let Some(known) = self.known(seq).copied() else {
            return self.fail(|| format!("position {seq} is handed out and is not on disk"));
        };
        let book = &mut self.plugins[who];
        book.tally.delivered += 1;
        let tries = book.tries.get(&seq.0).copied().unwrap_or_default();
        let on_disk = book.open.get(&seq.0).copied().unwrap_or_default();
        let is_used_up =
            !book.has_stopped && (tries.attempts >= book.max_attempts || tries.crashes >= 2);
        let is_in_company = at_work > 0 && !book.suspects.is_empty();
        let is_settled = seq.0 <= book.position && !book.open.contains_key(&seq.0);
        let lane = known.lane(book.order, seq);
        let is_exempt = is_replay || book.exempt.contains(&seq.0);
        let lane_book = book.lanes.entry(lane).or_default();
        let waiting = lane_book.unsettled.first().copied();
        let highest = lane_book.highest;
        // What waited for long may have become too old.
        let is_passed_over =
            book.wants.may_be_old && waiting.is_some_and(|waiting| waiting < seq.0);
        let is_fresh = seq.0 > highest && waiting.is_none_or(|waiting| seq.0 < waiting);
        let is_next = waiting == Some(seq.0) || is_passed_over || is_fresh;
        if is_passed_over {
            lane_book.unsettled = lane_book.unsettled.split_off(&seq.0);
        }
        if !is_exempt {
            lane_book.highest = highest.max(seq.0);
            lane_book.unsettled.insert(seq.0);
            book.recent.insert(seq.0, lane);
        }
        if is_settled {
            self.fail(|| {
                format!(
                    "plugin {who}: event {seq} is handed out again, and its settlement is on disk"
                )
            });
        }
        if is_used_up {
            self.fail(|| format!("plugin {who}: event {seq} is handed out again after {tries:?}"));
        }
        if tries.crashes > on_disk.crashes {
            self.fail(|| {
                format!("plugin {who}: event {seq} is handed out again before its crash is on disk")
            });
        }
        if is_in_company {
            self.fail(|| format!("plugin {who}: event {seq} is handed out beside another before those that crashed are settled"));
        }
        if !is_next && !is_exempt {
            self.fail(|| format!("plugin {who}: event {seq} of {lane:?} is handed out; {waiting:?} waits, {highest} was the highest"));
        }
    }

    /// A change of a cursor was made: it counts what happened since the last one, no more and no less.
    pub(crate) fn changed(&mut self, who: usize, change: &CursorChange) {
        let book = &mut self.plugins[who];
        let tally = std::mem::take(&mut book.tally);
        let same = (tally.delivered, tally.ok) == (change.counts.delivered, change.counts.ok);
        let is_skipped = change.counts.skipped >= tally.skipped;
        let is_dead = change.counts.dead == change.dead.len() as u64;
        book.at_sea = change.counts;
        if !same || !is_skipped || !is_dead {
            let counts = change.counts;
            self.fail(|| format!("plugin {who}: {tally:?} happened, and {counts:?} is counted"));
        }
    }

    /// A change of a cursor is on disk.
    pub(crate) fn committed(&mut self, who: usize, change: &CursorChange, plan: &PluginPlan) {
        let last = self.events.len() as u64;
        let book = &mut self.plugins[who];
        let mut wrong = None;
        if change.position.0 < book.position || change.position.0 > last {
            wrong = Some(format!(
                "its position goes from {} to {}, the journal ends at {last}",
                book.position, change.position
            ));
        }
        for entry in &change.put {
            let found = Tries {
                attempts: entry.attempts,
                crashes: entry.crashes,
            };
            let expected = book.tries.get(&entry.seq.0).copied().unwrap_or_default();
            // A change under way may be overtaken by what happens meanwhile, never ahead of it.
            let is_ahead = found.attempts > expected.attempts || found.crashes > expected.crashes;
            if is_ahead {
                wrong = Some(format!(
                    "event {} is charged {found:?}, the contract says {expected:?}",
                    entry.seq
                ));
            }
        }
        for letter in &change.dead {
            let seq = letter.seq.0;
            let tries = book.tries.get(&seq).copied().unwrap_or_default();
            let is_due = match &*letter.reason {
                "attempts" => {
                    tries.attempts >= plan.max_attempts && letter.attempts >= plan.max_attempts
                }
                "crashed_plugin" => tries.crashes >= 2,
                _ => true,
            };
            if !is_due {
                wrong = Some(format!(
                    "event {seq} is given up ({}) after {tries:?}",
                    letter.reason
                ));
            }
            if !book.dead.insert(seq) && !book.early.contains(&seq) {
                wrong = Some(format!("event {seq} becomes a dead letter twice"));
            }
            book.settled(seq);
            book.done.insert(seq);
        }
        for seq in change
            .settled
            .iter()
            .chain(change.dead.iter().map(|letter| &letter.seq))
        {
            book.open.remove(&seq.0);
            book.exempt.remove(&seq.0);
        }
        for entry in &change.put {
            let (attempts, crashes) = (entry.attempts, entry.crashes);
            book.open.insert(entry.seq.0, Tries { attempts, crashes });
        }
        book.position = change.position.0;
        let (position, open) = (book.position, &book.open);
        book.recent
            .retain(|seq, _| *seq > position || open.contains_key(seq));
        // What it looked at and neither opened nor settled it does not want, or says so in its counts.
        book.counts.add(&change.counts);
        book.at_sea = Counts::default();
        if let Some(wrong) = wrong {
            self.fail(|| format!("plugin {who}: {wrong}"));
        }
    }

    /// Events that a plugin always wants and that nothing became of.
    pub(crate) fn unsettled(&self, who: usize) -> Vec<u64> {
        let book = &self.plugins[who];
        let wanted = (1..).zip(&self.events);
        let wanted = wanted.filter(|(seq, known)| *seq > book.from && book.wants.has(known));
        let open =
            wanted.filter(|(seq, _)| !book.done.contains(seq) || book.open.contains_key(seq));
        let open: Vec<u64> = open.map(|(seq, _)| seq).collect();
        if book.wants.may_be_old && book.open.is_empty() {
            return Vec::new();
        }
        open
    }

    /// True when it has looked at everything.
    pub(crate) fn is_at_end(&self, who: usize) -> bool {
        let book = &self.plugins[who];
        book.position == self.events.len() as u64 && book.open.is_empty()
    }

    /// Where it stands on disk, for a story.
    pub(crate) fn stands(&self, who: usize) -> String {
        let book = &self.plugins[who];
        format!(
            "position {} of {}, open {:?}",
            book.position,
            self.events.len(),
            book.open.keys().take(5).collect::<Vec<_>>()
        )
    }
}
