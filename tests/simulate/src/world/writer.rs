//! The writer as a model: everything that is queued goes to the disk as one transaction, and is answered after it.

use std::time::Duration;

use futures::FutureExt as _;
use sgeventd::{
    ident::Seq,
    journal::{Answer, Op, Outcome, When},
};

use super::World;
use crate::{chance::Die, queue::Due};

/// How soon a commit that found no room is tried again.
const RETRY: u64 = 1000;

/// Who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Ingest: up to when the answer shows what was committed; none: an operator accepted the site.
    Ingest(Option<u64>),
    /// A plugin's settlements.
    Task(usize),
    /// A plugin's place is asked for.
    Register(usize),
    /// An operator's word about a plugin.
    Operator(usize),
    /// Its last settlements before the end.
    Last(usize),
    Nobody,
}

#[derive(Debug)]
struct Job {
    from: From,
    ops: Vec<Op>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Writer {
    queued: Vec<Job>,
    at_sea: Vec<Job>,
}

impl Writer {
    pub(super) fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.at_sea.is_empty()
    }
}

impl World<'_> {
    pub(super) fn submit(&mut self, from: From, ops: Vec<Op>) {
        self.writer.queued.push(Job { from, ops });
        self.put_to_sea();
    }

    fn put_to_sea(&mut self) {
        if self.writer.at_sea.is_empty() && !self.writer.queued.is_empty() {
            self.writer.at_sea = std::mem::take(&mut self.writer.queued);
            let takes = 1 + self.chance.below(Die::Disk, self.steps, 0, 20);
            self.queue.after(takes, Due::Disk);
        }
    }

    /// The disk has done its work, or could not.
    pub(super) fn disk(&mut self) {
        if self.is_disk_full {
            self.queue.after(RETRY, Due::Disk);
            return;
        }
        if std::mem::take(&mut self.is_disk_broken) {
            self.story
                .tell(self.queue.now, || "a write fails: the daemon ends".into());
            self.writer.at_sea.clear();
            return self.end(1000);
        }
        for (from, answers) in self.write_at_sea() {
            if self.is_up {
                self.landed(from, answers);
            }
        }
        if self.is_up {
            self.put_to_sea();
        }
    }

    /// One transaction for everything that is under way.
    pub(super) fn write_at_sea(&mut self) -> Vec<(From, Vec<Answer>)> {
        let mut landed = Vec::new();
        for Job { from, ops } in std::mem::take(&mut self.writer.at_sea) {
            // The twin knows no half of a transaction: job by job is the same as all at once.
            let kept = ops.clone();
            let ticket = self.journal.try_submit(ops, When::Now);
            let ticket =
                ticket.unwrap_or_else(|_| unreachable!("nothing waits in an inline journal"));
            let answers = ticket
                .now_or_never()
                .and_then(Result::ok)
                .expect("a model commits at once");
            for (op, answer) in kept.iter().zip(&answers) {
                self.book(from, op, answer);
            }
            landed.push((from, answers));
        }
        landed
    }

    /// What is on disk now, for the checks.
    fn book(&mut self, from: From, op: &Op, answer: &Answer) {
        let who = match from {
            From::Task(who) | From::Register(who) | From::Operator(who) | From::Last(who) => {
                Some(who)
            }
            _ => None,
        };
        let outcome = match answer {
            Ok(outcome) => outcome,
            Err(refused) => {
                let is_the_operators = matches!(
                    op,
                    Op::Trigger { .. }
                        | Op::Seek { .. }
                        | Op::Replay { .. }
                        | Op::Rename { .. }
                        | Op::SetDisabled { .. }
                );
                if !is_the_operators {
                    self.check
                        .fail(|| format!("the journal refuses: {refused}"));
                }
                return;
            }
        };
        match (op, outcome, from) {
            (Op::Append { append, .. }, Outcome::Appended(appended), From::Ingest(shown_to)) => {
                let given_up = std::mem::take(&mut self.ingest.given_up);
                let allowed = Duration::from_secs(self.plan.gap_give_up_s);
                let now = self.queue.now;
                self.check.appended(
                    append,
                    appended,
                    (&given_up, allowed),
                    &self.site,
                    shown_to,
                    now,
                );
            }
            (Op::Cursor { change, .. }, Outcome::Cursor { .. }, _) => {
                if let Some(who) = who {
                    let site_now = self.site.clock(self.queue.now);
                    let plan = &self.plan.plugins[who];
                    self.check.committed(who, change, plan, site_now);
                }
            }
            (
                Op::Register { .. },
                Outcome::Registered {
                    position,
                    is_new: true,
                },
                From::Register(who),
            ) => {
                self.check.plugins[who].placed(*position);
            }
            (Op::Seek { .. }, Outcome::Placed { position, .. }, From::Operator(who)) => {
                let there = self.there(position.next(), self.head);
                self.check.plugins[who].sought(*position, &there);
            }
            (Op::Replay { replay, .. }, Outcome::Done, From::Operator(who)) => {
                let there = self.there(replay.first, replay.last);
                self.check.plugins[who].replays(replay, &there);
            }
            (Op::Redrive { .. }, Outcome::Redriven(redriven), _) => {
                for (name, seq) in redriven {
                    if let Some(who) = self.names.iter().position(|known| known == name) {
                        self.check.plugins[who].reopened(*seq);
                    }
                }
            }
            (Op::Rename { to, .. }, _, From::Operator(who)) => self.names[who] = to.clone(),
            (Op::Trigger { seq, .. }, Outcome::Done, From::Operator(who)) => {
                self.check.plugins[who].reopened(*seq);
            }
            _ => {}
        }
    }

    /// Rows that are still there.
    fn there(&self, first: Seq, last: Seq) -> Vec<Seq> {
        let seqs: Vec<Seq> = (first.0..=last.0).map(Seq).collect();
        let events = self.journal.query(move |reader| reader.events(&seqs));
        let events = events.now_or_never();
        let events = events
            .and_then(Result::ok)
            .expect("a model answers at once");
        events.iter().map(|event| event.seq).collect()
    }

    fn landed(&mut self, from: From, answers: Vec<Answer>) {
        match from {
            From::Ingest(_) => {
                self.ingest.is_committing = false;
                self.head_moves();
                self.advance_ingest();
            }
            From::Task(who) => self.settlements_landed(who),
            From::Register(who) => self.registered(who),
            From::Operator(who) => self.operator_done(who),
            From::Last(who) => self.task_over(who),
            From::Nobody => drop(answers),
        }
    }

    fn head_moves(&mut self) {
        let head: Seq = *self.journal.head().borrow();
        if head != self.head {
            self.head = head;
            for who in 0..self.tasks.len() {
                self.advance(who);
            }
        }
    }
}
