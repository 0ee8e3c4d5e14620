//! Delivery: in order per lane, nothing again that is settled on disk, attempts charged as the contract says, dead
//! letters once, nothing without a bound, nothing passed over without a word.

use sgeventd::{
    clock::Unix,
    dispatch::machine::UNCOMMITTED_MAX,
    ident::Seq,
    journal::{CursorChange, Origin},
};

use super::{
    Check, Lane,
    book::{Book, Tries},
};
use crate::plan::PluginPlan;

/// What is handed out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandOut {
    pub(crate) seq: Seq,
    /// Says that it was asked for.
    pub(crate) is_replay: bool,
    /// How many are at work beside it.
    pub(crate) at_work: usize,
    pub(crate) site_now: Unix,
}

impl Check {
    /// An event is handed out.
    pub(crate) fn delivered(&mut self, who: usize, out: HandOut) {
        let HandOut { seq, at_work, .. } = out;
        let Some(known) = self.known(seq).copied() else {
            return self.fail(|| format!("position {seq} is handed out and is not on disk"));
        };
        let book = &mut self.plugins[who];
        let is_exempt = book.exempt.contains(&seq.0);
        let is_again = out.is_replay && !is_exempt;
        let is_first = is_again
            && book.is_replaying(seq.0)
            && !book.open.contains_key(&seq.0)
            && !book.again.contains(&seq.0);
        if is_first {
            book.begins_again(seq.0);
        }
        book.tally.delivered += 1;
        let tries = book.tries.get(&seq.0).copied().unwrap_or_default();
        let lane = known.lane(book.order, seq);
        let mut wrong = book.may_go(out, tries, is_again);
        let wants = book.wants;
        let may_pass = |waiting: u64| {
            let known = self.events.get(waiting as usize - 1);
            known.is_some_and(|known| wants.is_too_old(known, out.site_now))
        };
        let lane_book = book.lanes.entry(lane).or_default();
        // What waited for long may have become too old.
        while let Some(first) = lane_book.unsettled.first().copied()
            && (first < seq.0 || is_again)
            && may_pass(first)
        {
            lane_book.unsettled.pop_first();
        }
        if is_again {
            wrong = wrong.or_else(|| book.replay_turn(lane, seq.0));
        } else if !is_exempt {
            let lane_book = book.lanes.entry(lane).or_default();
            if !lane_book.is_next(seq.0) {
                let (waiting, highest) = (lane_book.unsettled.first(), lane_book.highest);
                wrong = wrong.or(Some(format!("event {seq} of {lane:?} is handed out; {waiting:?} waits, {highest} was the highest")));
            }
            lane_book.hand_out(seq.0);
            book.recent.insert(seq.0, lane);
        }
        if let Some(wrong) = wrong {
            self.fail(|| format!("plugin {who}, {at_work} at work: {wrong}"));
        }
    }

    /// One of a lane is out at a time, whatever brought it there, and no more lanes than are allowed.
    pub(crate) fn beside(&mut self, who: usize, window: usize, out: HandOut, beside: &[Seq]) {
        let HandOut { seq, at_work, .. } = out;
        let order = self.plugins[who].order;
        let lane = |seq: Seq| self.known(seq).map(|known| known.lane(order, seq));
        let other = beside.iter().find(|other| lane(**other) == lane(seq));
        let allowed = if order == sgeventd_protocol::manifest::Order::All {
            1
        } else {
            window
        };
        if let Some(other) = other.copied() {
            self.fail(|| {
                format!("plugin {who}: event {seq} is handed out beside {other} of its lane")
            });
        }
        if at_work >= allowed {
            self.fail(|| format!("plugin {who}: {at_work} are at work, and event {seq} is handed out; {allowed} are allowed"));
        }
    }

    /// A change of a cursor was made: it counts what happened since the last one, no more and no less.
    pub(crate) fn changed(&mut self, who: usize, change: &CursorChange) {
        let book = &mut self.plugins[who];
        let tally = std::mem::take(&mut book.tally);
        book.unwritten = (0, book.unwritten.0);
        let wrong = book.writes_charges(change);
        book.is_at_sea = true;
        let counts = change.counts;
        let mut expected = tally;
        // Who wants more with another version skips what the older one opened.
        let is_skipped = counts.skipped >= tally.skipped;
        if !book.wants.is_all() {
            expected.skipped = counts.skipped;
        }
        // Held against the ages when it is on disk.
        expected.too_old = counts.too_old;
        if counts != expected || !is_skipped || counts.dead != change.dead.len() as u64 {
            self.fail(|| format!("plugin {who}: {tally:?} happened, and {counts:?} is counted"));
        }
        if let Some(wrong) = wrong {
            self.fail(|| format!("plugin {who}: {wrong}"));
        }
    }

    /// A change of a cursor is on disk.
    pub(crate) fn committed(
        &mut self,
        who: usize,
        change: &CursorChange,
        plan: &PluginPlan,
        site_now: Unix,
    ) {
        let mut wrong = self.moved(who, change);
        let book = &mut self.plugins[who];
        for entry in &change.put {
            let seq = entry.seq.0;
            let is_new = book.is_new_again(seq, change);
            if entry.origin == Origin::Replay {
                if is_new {
                    book.begins_again(seq);
                }
                book.own_turn_is_over(seq);
            }
        }
        let before = book.position;
        for letter in &change.dead {
            wrong = wrong.or(book.buried(letter.seq.0, &letter.reason, letter.attempts, plan));
        }
        let dead = change.dead.iter().map(|letter| letter.seq);
        for seq in change.settled.iter().copied().chain(dead) {
            book.open.remove(&seq.0);
            book.exempt.remove(&seq.0);
        }
        for entry in &change.put {
            let (attempts, crashes) = (entry.attempts, entry.crashes);
            book.open.insert(entry.seq.0, Tries { attempts, crashes });
        }
        book.position = change.position.0;
        (book.unwritten.1, book.is_at_sea) = (0, false);
        let (position, open) = (book.position, &book.open);
        book.recent
            .retain(|seq, _| *seq > position || open.contains_key(seq));
        book.exempt
            .retain(|seq| *seq > position || open.contains_key(seq));
        wrong = wrong.or_else(|| self.passed_over(who, before, change, site_now));
        wrong = wrong.or_else(|| self.replayed(who, change));
        if let Some(wrong) = wrong {
            self.fail(|| format!("plugin {who}: {wrong}"));
        }
    }

    fn moved(&self, who: usize, change: &CursorChange) -> Option<String> {
        let (last, found) = (self.events.len() as u64, self.plugins[who].position);
        let is_wrong = change.position.0 < found || change.position.0 > last;
        is_wrong.then(|| {
            format!(
                "its position goes from {found} to {}, the journal ends at {last}",
                change.position
            )
        })
    }

    /// What it has behind it now is settled, or open, or was too old.
    fn passed_over(
        &mut self,
        who: usize,
        before: u64,
        change: &CursorChange,
        site_now: Unix,
    ) -> Option<String> {
        let book = &mut self.plugins[who];
        let settled = change.settled.iter().map(|seq| seq.0);
        let candidates =
            (before + 1..=change.position.0).chain(settled.filter(|seq| *seq <= before));
        for seq in candidates {
            let Some(known) = self.events.get(seq as usize - 1) else {
                return Some(format!("event {seq} is not in the journal"));
            };
            if book.done.contains(&seq) || book.open.contains_key(&seq) || !book.wants.has(known) {
                continue;
            }
            if !book.wants.is_too_old(known, site_now) {
                return Some(format!("event {seq} is passed over without a word"));
            }
            book.done.insert(seq);
            book.forget_turn(seq);
            book.too_old.0 += 1;
        }
        // It counts when it looks, which may be earlier and, after a crash, again.
        book.too_old.1 += change.counts.too_old;
        let (passed, counted) = book.too_old;
        (counted < passed).then(|| format!("{passed} events were too old, {counted} are counted"))
    }

    /// A replay got further: what it has behind it was handed out again, or will be.
    fn replayed(&mut self, who: usize, change: &CursorChange) -> Option<String> {
        let book = &mut self.plugins[who];
        for replay in &change.replays {
            let key = (replay.first.0, replay.last.0);
            let Some(before) = book.replays.get(&key).copied() else {
                return Some(format!("nobody asked for {replay:?}"));
            };
            if replay.next.0 < before {
                return Some(format!("{replay:?} was at {before}"));
            }
            for seq in before..replay.next.0.min(replay.last.0 + 1) {
                let Some(known) = self.events.get(seq as usize - 1) else {
                    return Some(format!("event {seq} is not in the journal"));
                };
                let is_over = book.done.contains(&seq) || book.open.contains_key(&seq);
                let is_to_come = seq > book.position;
                if book.wants.has(known) && !is_over && !is_to_come {
                    return Some(format!("{replay:?} passes over event {seq} without a word"));
                }
            }
            if replay.next > replay.last {
                book.replays.remove(&key);
            } else {
                book.replays.insert(key, replay.next.0);
            }
        }
        None
    }

    /// Events that a plugin always wants and that nothing became of.
    pub(crate) fn unsettled(&self, who: usize) -> Vec<u64> {
        let book = &self.plugins[who];
        let wanted = (1..).zip(&self.events);
        let wanted = wanted.filter(|(seq, known)| *seq > book.from && book.wants.has(known));
        let open =
            wanted.filter(|(seq, _)| !book.done.contains(seq) || book.open.contains_key(seq));
        open.map(|(seq, _)| seq).collect()
    }

    /// True when it has looked at everything, and everything that was asked for again is over.
    pub(crate) fn is_at_end(&self, who: usize) -> bool {
        let book = &self.plugins[who];
        let is_behind = book.position < self.events.len() as u64;
        !is_behind && book.open.is_empty() && book.replays.is_empty()
    }

    /// Where it stands on disk, for a story.
    pub(crate) fn stands(&self, who: usize) -> String {
        let book = &self.plugins[who];
        format!(
            "position {} of {}, open {:?}, replays {:?}",
            book.position,
            self.events.len(),
            book.open.keys().take(5).collect::<Vec<_>>(),
            book.replays
        )
    }
}

impl Book {
    /// What speaks against handing it out, but for its turn.
    fn may_go(&self, out: HandOut, tries: Tries, is_again: bool) -> Option<String> {
        let seq = out.seq.0;
        let on_disk = self.open.get(&seq).copied().unwrap_or_default();
        let is_poison = tries.crashes >= 2 && !self.tolerated.contains(&seq);
        let is_kept = self.open.contains_key(&seq) || (is_again && self.is_replaying(seq));
        let waiting = self.unwritten.0 + self.unwritten.1;
        if seq <= self.position && !is_kept {
            return Some(format!(
                "event {seq} is handed out again, and its settlement is on disk"
            ));
        }
        if tries.attempts >= self.max_attempts || is_poison {
            return Some(format!("event {seq} is handed out again after {tries:?}"));
        }
        if tries.crashes > on_disk.crashes {
            return Some(format!(
                "event {seq} is handed out again before its crash is on disk"
            ));
        }
        if out.at_work > 0 && !self.suspects.is_empty() {
            return Some(format!(
                "event {seq} is handed out beside another before those that crashed are settled"
            ));
        }
        (waiting >= UNCOMMITTED_MAX).then(|| {
            format!("event {seq} is handed out while {waiting} settlements are not on disk")
        })
    }

    /// What a replay brings comes in order, behind what is open in its lane.
    fn replay_turn(&mut self, lane: Lane, seq: u64) -> Option<String> {
        let waiting = self
            .lanes
            .get(&lane)
            .and_then(|lane| lane.unsettled.first());
        let overtakes = waiting
            .filter(|waiting| **waiting != seq && self.open.contains_key(waiting))
            .map(|waiting| format!("event {seq} of a replay is handed out; {waiting} waits"));
        let book = self.replayed.entry(lane).or_default();
        let is_next = book.is_next(seq) || self.is_mixed;
        let (first, highest) = (book.unsettled.first().copied(), book.highest);
        book.hand_out(seq);
        self.again.insert(seq);
        overtakes.or_else(|| (!is_next).then(|| {
            format!("event {seq} of a replay is handed out; {first:?} waits, {highest} was the highest")
        }))
    }

    /// A replay brings it, and it is not one that was handed out by it already.
    fn is_new_again(&self, seq: u64, change: &CursorChange) -> bool {
        let dead = change.dead.iter().map(|letter| letter.seq);
        let mut over = dead.chain(change.settled.iter().copied());
        let is_open = self.open.contains_key(&seq) && !over.any(|over| over.0 == seq);
        !is_open && !self.again.contains(&seq)
    }

    /// Each attempt and crash that was charged is written down, and none that was none.
    fn writes_charges(&self, change: &CursorChange) -> Option<String> {
        for entry in &change.put {
            let seq = entry.seq.0;
            let found = Tries {
                attempts: entry.attempts,
                crashes: entry.crashes,
            };
            let is_new = entry.origin == Origin::Replay && self.is_new_again(seq, change);
            let expected = match self.tries.get(&seq).copied() {
                Some(tries) if !is_new => tries,
                _ => Tries::default(),
            };
            if found != expected {
                return Some(format!(
                    "event {seq} is charged {found:?}, the contract says {expected:?}"
                ));
            }
        }
        // What the change before tells is not on disk yet.
        let mut known = self.open.iter().filter(|_| !self.is_at_sea);
        let is_told = |seq: u64| {
            let dead = change.dead.iter().map(|letter| letter.seq);
            let put = change.put.iter().map(|entry| entry.seq);
            let mut told = put.chain(dead).chain(change.settled.iter().copied());
            told.any(|told| told.0 == seq)
        };
        let silent = known.find(|(seq, on_disk)| {
            let tries = self.tries.get(seq);
            tries.is_some_and(|tries| tries != *on_disk) && !is_told(**seq)
        });
        silent.map(|(seq, on_disk)| {
            let tries = self.tries.get(seq);
            format!("event {seq} is charged {tries:?}, and the disk goes on to say {on_disk:?}")
        })
    }

    /// It is a dead letter now.
    fn buried(
        &mut self,
        seq: u64,
        reason: &str,
        attempts: u32,
        plan: &PluginPlan,
    ) -> Option<String> {
        let tries = self.tries.get(&seq).copied().unwrap_or_default();
        let due = self.due.get_mut(&seq).and_then(|due| {
            let at = due.iter().position(|due| *due == reason)?;
            Some(due.remove(at))
        });
        let is_used_up = reason != "attempts" || attempts >= plan.max_attempts;
        let is_new = self.dead.insert(seq) || self.early.contains(&seq) || self.is_replaying(seq);
        self.forget_turn(seq);
        self.done.insert(seq);
        if due.is_none() || !is_used_up {
            return Some(format!(
                "event {seq} is given up ({reason}) after {tries:?}, which is not due"
            ));
        }
        (!is_new).then(|| format!("event {seq} becomes a dead letter twice"))
    }
}
