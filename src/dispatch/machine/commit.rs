//! What the journal hears of, and when.

use super::{LAZY, Machine, Pending};
use crate::{clock::Now, ident::Seq, journal::CursorChange};

impl Machine {
    /// What the journal must hear of now; answered by [`Self::handle_committed`].
    pub fn poll_commit(&mut self, now: Now) -> Option<CursorChange> {
        let since = self.change.since?;
        let is_due = self.change.is_urgent
            || self.change.unwritten >= self.policy.settle_count
            || now.mono >= since + self.commit_wait();
        if self.committing || !is_due {
            return None;
        }
        self.committing = true;
        self.under_way = self.change.unwritten;
        Some(self.take_change())
    }

    /// Everything that was not written yet, at a stop, with what was read ahead.
    pub fn take_rest(&mut self, now: Now) -> CursorChange {
        self.touched = self.position;
        // Who goes on from here has the wall clock only, as it is now and not as it was when the wait began.
        for (_, open) in self.open.iter_mut() {
            let next_at = open.due.map(|due| now.unix + (due - now.mono));
            open.is_changed |= open.entry.next_at != next_at;
            open.entry.next_at = next_at;
        }
        self.take_change()
    }

    /// Everything up to here was looked at and is settled or in the open list of the journal.
    fn known_to(&self) -> Seq {
        match self.open.first_above(self.touched) {
            // One that an operator triggered may stand above all that was looked at.
            Some(ahead) => Seq(ahead.0.saturating_sub(1)).min(self.position),
            None => self.position,
        }
    }

    fn take_change(&mut self) -> CursorChange {
        let Pending {
            settled,
            dead,
            replays,
            counts,
            given_up,
            ..
        } = std::mem::take(&mut self.change);
        self.given_up = given_up;
        let position = self.known_to();
        let mut put = Vec::new();
        for (seq, open) in self.open.iter_mut() {
            // What was triggered before its turn is known to the disk, and so is what became of it.
            let is_new = *seq <= position && !open.is_kept;
            if is_new || (open.is_kept && open.is_changed) {
                (open.is_kept, open.is_changed) = (true, false);
                put.push(open.entry.clone());
            }
        }
        CursorChange {
            plugin: self.plugin.clone(),
            position,
            put,
            settled,
            dead,
            replays,
            counts,
        }
    }

    /// The last change is on disk.
    pub fn handle_committed(&mut self) {
        self.committing = false;
        self.under_way = 0;
        // A crash that came while the commit was under way waits for its own.
        self.holds_for_commit = self
            .open
            .iter_mut()
            .any(|(_, open)| open.is_changed && open.entry.crashes > 0);
    }

    pub(super) fn commit_wait(&self) -> std::time::Duration {
        if self.change.unwritten > 0 {
            self.policy.settle_wait
        } else {
            LAZY
        }
    }
}
