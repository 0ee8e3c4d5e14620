//! How attempts end: by an answer, by silence, with the process; and what becomes of the event then.

use super::{CRASHES_MAX, Machine, Refusal, SKIPPED};
use crate::{
    clock::Now,
    dispatch::policy::{AFTER_MAX, Disposition, OnError, wait_before},
    ident::{EventId, Seq},
    journal::{Counts, NewDead, OpenEntry},
};

/// What is said of an open event whose row nobody has.
const GONE: &str = "its row is not in the journal any more";

impl Machine {
    /// An event that was about to go out does not fit on a line.
    pub fn handle_too_large(&mut self, seq: Seq, error: &str, now: Now) {
        self.out = self.out.saturating_sub(1);
        self.change.counts.delivered = self.change.counts.delivered.saturating_sub(1);
        if let Some(open) = self.open.get_mut(seq) {
            open.entry.deliveries = open.entry.deliveries.saturating_sub(1);
        }
        self.bury(seq, "too_large", error, now);
    }

    /// How the attempt at an event ended. `is_charged`: false when the site was away meanwhile.
    pub fn handle_answer(
        &mut self,
        seq: Seq,
        ended: Disposition,
        is_charged: bool,
        now: Now,
        random: f32,
    ) {
        if !self.open.get_mut(seq).is_some_and(|open| open.is_out) {
            return;
        }
        self.out -= 1;
        match ended {
            Disposition::Ok => {
                self.exhausted = 0;
                self.settle(seq, |counts| counts.ok += 1, now);
            }
            Disposition::Skip => self.settle(seq, |counts| counts.skipped += 1, now),
            Disposition::Dead { reason } => {
                self.charge(seq, is_charged);
                self.bury(seq, "dead", &reason, now);
            }
            Disposition::Retry {
                after,
                reason,
                progress,
            } => {
                self.again(
                    seq,
                    &reason,
                    progress,
                    after.map(|wait| wait.min(AFTER_MAX)),
                    is_charged,
                    now,
                    random,
                );
            }
            Disposition::Failed { error, progress } => match self.policy.on_error {
                OnError::Skip if is_charged => {
                    self.charge(seq, is_charged);
                    self.bury(seq, "skip", &error, now);
                }
                OnError::Stop if is_charged => {
                    self.refusal = Some(Refusal::OnError(seq));
                    self.hold(seq, &error, progress, now);
                }
                _ => self.again(seq, &error, progress, None, is_charged, now, random),
            },
        }
    }

    /// The process ended with events out. `is_own`: by itself, not by a stop or a signal from outside.
    pub fn handle_exit(&mut self, is_own: bool, error: &str, now: Now) {
        let out: Vec<Seq> = self
            .open
            .iter_mut()
            .filter(|(_, open)| open.is_out)
            .map(|(seq, _)| *seq)
            .collect();
        self.out = 0;
        let is_lone = out.len() == 1;
        if is_own {
            self.suspects.extend(&out);
        }
        for seq in out {
            self.open.put_back(seq);
            // In company nobody knows whose fault it was.
            if is_own && is_lone {
                self.crashed_alone(seq, error, now);
            }
        }
        self.note(now, is_own && is_lone);
    }

    fn crashed_alone(&mut self, seq: Seq, error: &str, now: Now) {
        let Some(open) = self.open.get_mut(seq) else {
            return;
        };
        open.entry.crashes += 1;
        open.entry.last_error = Some(error.into());
        open.is_changed = true;
        self.holds_for_commit = true;
        if open.entry.crashes < CRASHES_MAX {
            return;
        }
        if self.policy.on_error == OnError::Stop {
            self.refusal = Some(Refusal::OnError(seq));
        } else {
            self.exhausted += 1;
            self.bury(seq, "crashed_plugin", error, now);
        }
    }

    /// The oldest open event that is not out becomes a dead letter, as an operator wants; its id, if there is one.
    pub fn skip_oldest(&mut self, now: Now) -> Option<EventId> {
        let first = self.open.iter_mut().find(|(_, open)| !open.is_out);
        let (&seq, open) = first?;
        let event_id = open.event.facts.event_id;
        let error = open.entry.last_error.clone().unwrap_or_default();
        self.bury(seq, SKIPPED, &error, now);
        Some(event_id)
    }

    fn charge(&mut self, seq: Seq, is_charged: bool) {
        if let Some(open) = self.open.get_mut(seq) {
            open.entry.attempts += u32::from(is_charged);
        }
    }

    pub(super) fn settle(&mut self, seq: Seq, count: impl FnOnce(&mut Counts), now: Now) {
        self.suspects.remove(&seq);
        self.touched = self.touched.max(seq);
        if let Some(open) = self.open.remove(seq) {
            count(&mut self.change.counts);
            if open.is_kept {
                self.change.settled.push(seq);
            }
            self.change.unwritten += 1;
            self.note(now, false);
        }
    }

    pub(super) fn bury(&mut self, seq: Seq, reason: &str, error: &str, now: Now) {
        self.suspects.remove(&seq);
        self.touched = self.touched.max(seq);
        if let Some(open) = self.open.remove(seq) {
            self.change.unwritten += 1;
            self.change.counts.dead += 1;
            let (attempts, at) = (open.entry.tries(), now.unix);
            let event_id = open.event.facts.event_id;
            self.change.given_up.insert(seq, event_id);
            self.change.dead.push(NewDead {
                seq,
                reason: reason.into(),
                error: error.into(),
                attempts,
                at,
                version: self.version.clone(),
            });
            self.note(now, true);
        }
    }

    /// An open event has no row any more: it cannot be handed out, and nobody shall wait for it.
    pub(super) fn handle_gone(&mut self, entry: &OpenEntry, now: Now) {
        self.change.unwritten += 1;
        self.change.counts.dead += 1;
        self.change.dead.push(NewDead {
            seq: entry.seq,
            reason: "gone".into(),
            error: GONE.into(),
            attempts: entry.attempts,
            at: now.unix,
            version: self.version.clone(),
        });
        self.note(now, true);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one place for what a later attempt depends on"
    )]
    fn again(
        &mut self,
        seq: Seq,
        error: &str,
        progress: Option<Box<str>>,
        after: Option<std::time::Duration>,
        is_charged: bool,
        now: Now,
        random: f32,
    ) {
        let Some(open) = self.open.get_mut(seq) else {
            return;
        };
        open.entry.attempts += u32::from(is_charged);
        if open.entry.attempts >= self.policy.max_attempts {
            self.exhausted += 1;
            return self.bury(seq, "attempts", error, now);
        }
        let wait = after.unwrap_or_else(|| wait_before(open.entry.attempts.max(1), random));
        open.entry.next_at = Some(now.unix + wait);
        open.due = Some(now.mono + wait);
        self.change.counts.retried += 1;
        self.hold(seq, error, progress, now);
    }

    fn hold(&mut self, seq: Seq, error: &str, progress: Option<Box<str>>, now: Now) {
        if let Some(open) = self.open.get_mut(seq) {
            open.entry.last_error = Some(error.into());
            open.entry.progress = progress.or(open.entry.progress.take());
            open.is_changed = true;
        }
        self.open.put_back(seq);
        self.note(now, true);
    }
}
