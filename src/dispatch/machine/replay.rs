//! Replays of a range: events that the plugin has behind it enter the open list once more, as there is room.

use std::sync::Arc;

use super::{Kept, Machine, READ_ROWS, Verdict, new_entry};
use crate::{
    clock::Now,
    event::Event,
    ident::Seq,
    journal::{OPEN_MAX, OpenEntry, Origin, Replay},
};

impl Machine {
    /// How many rows of a replay to read, and after which position; none while there is no room. Few are open at a
    /// time, so that new events always find room beside them.
    #[must_use]
    pub fn poll_replay(&self) -> Option<(Seq, usize)> {
        let is_busy = self.replay_needs_body.is_some() || self.refusal.is_some();
        let has_room =
            self.open.replays() < READ_ROWS && self.open.len() + READ_ROWS <= OPEN_MAX && !is_busy;
        let replay = self.replays.get(self.current_replay()?)?;
        has_room.then_some((Seq(replay.next.0.saturating_sub(1)), READ_ROWS))
    }

    /// Looks at the rows that [`Self::poll_replay`] asked for, in order; stops at one whose body is needed.
    pub fn handle_replay(&mut self, rows: &[Arc<Event>], now: Now) {
        let Some(at) = self.current_replay() else {
            return;
        };
        let replay = self.replays[at];
        let end = replay.last.min(self.position);
        for event in rows {
            if event.seq < replay.next || event.seq > end {
                continue;
            }
            match self.judge(event) {
                Verdict::NeedsBody => {
                    self.replay_needs_body = Some(Arc::clone(event));
                    return self.replayed_to(at, event.seq, now);
                }
                Verdict::No => {}
                // It comes by anyway.
                Verdict::Match(_) if self.open.contains(event.seq) => {}
                Verdict::Match(matched) => {
                    self.note_unread(event);
                    self.open_again(event, matched);
                }
            }
        }
        let is_all = rows.last().is_none_or(|event| event.seq >= end);
        let next = match rows.last() {
            Some(last) if !is_all => last.seq.next(),
            _ => end.next(),
        };
        self.replayed_to(at, next, now);
    }

    /// Nobody has the body that decides whether the event was wanted: it becomes a dead letter.
    pub(super) fn handle_lost_replay(&mut self, event: &Arc<Event>, reason: &str, now: Now) {
        let Some(at) = self.current_replay() else {
            return;
        };
        if self.replays[at].next == event.seq && !self.open.contains(event.seq) {
            self.open_again(event, Vec::new());
            self.bury(event.seq, "pruned", reason, now);
        }
        self.replayed_to(at, event.seq.next(), now);
    }

    fn open_again(&mut self, event: &Arc<Event>, matched: Vec<u16>) {
        // It goes with the next change: the replay does not come back to it.
        self.touched = self.touched.max(event.seq);
        let entry = OpenEntry {
            origin: Origin::Replay,
            ..new_entry(event.seq)
        };
        let event = Arc::clone(event);
        let order = self.policy.order;
        self.open.add(order, event, matched, entry, Kept::default());
    }

    /// The first that has something to hand out: what is above the position comes by of itself first.
    fn current_replay(&self) -> Option<usize> {
        let is_open = |replay: &Replay| replay.next <= replay.last.min(self.position);
        self.replays.iter().position(is_open)
    }

    fn replayed_to(&mut self, at: usize, next: Seq, now: Now) {
        let replay = &mut self.replays[at];
        if replay.next == next {
            return;
        }
        replay.next = next;
        let replay = *replay;
        let is_same = |other: &Replay| (other.first, other.last) == (replay.first, replay.last);
        self.change.replays.retain(|other| !is_same(other));
        self.change.replays.push(replay);
        if replay.next > replay.last {
            self.replays.remove(at);
        }
        self.change.since.get_or_insert(now.mono);
    }
}
