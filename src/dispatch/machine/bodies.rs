//! Bodies that are not at hand: those that decide whether an event is wanted, and those of wanted events.

use std::sync::Arc;

use bytes::Bytes;

use super::{Kept, Machine, PRUNED, Verdict, new_entry};
use crate::{
    clock::Now,
    event::{Body, Event},
    ident::Seq,
};

impl Machine {
    /// The event whose body decides whether it is wanted.
    #[must_use]
    pub fn poll_body(&self) -> Option<&Arc<Event>> {
        let fresh = self.needs_body.as_ref();
        fresh.or(self.replay_needs_body.as_ref())
    }

    /// The body of that event; none: neither the journal nor the site has it any more. Whether it was wanted cannot
    /// be told then, so it becomes a dead letter instead of being passed over.
    pub fn handle_body(&mut self, event: &Arc<Event>, body: Option<Bytes>, now: Now) {
        // What is new stands above the position.
        let is_replay = event.seq <= self.position;
        let waiting = if is_replay {
            &mut self.replay_needs_body
        } else {
            &mut self.needs_body
        };
        if waiting.take().is_none() {
            return;
        }
        if let Some(body) = body {
            let body = Body::Here(body);
            let event = Event {
                body,
                ..Event::clone(event)
            };
            let rows = [Arc::new(event)];
            if is_replay {
                self.handle_replay(&rows, now);
            } else {
                self.handle_rows(&rows, now);
            }
            return;
        }
        let seq = event.seq;
        if is_replay {
            self.handle_lost_replay(event, PRUNED, now);
        } else {
            let entry = new_entry(seq);
            self.open.add(
                self.policy.order,
                Arc::clone(event),
                Vec::new(),
                entry,
                Kept::default(),
            );
            self.bury(seq, "pruned", PRUNED, now);
            self.passed(seq, now);
        }
    }

    /// Wanted events whose bodies are not read: their lanes wait for them.
    #[must_use]
    pub fn poll_unread(&self) -> &[Seq] {
        &self.unread
    }

    /// Those bodies; none: neither the journal nor the site has it any more, the event becomes a dead letter.
    pub fn handle_bodies(&mut self, bodies: Vec<(Seq, Option<Bytes>)>, now: Now) {
        for (seq, body) in bodies {
            self.unread.retain(|unread| *unread != seq);
            match body {
                Some(body) => self.fill(seq, body, now),
                None => self.bury(seq, "pruned", PRUNED, now),
            }
        }
    }

    fn fill(&mut self, seq: Seq, body: Bytes, now: Now) {
        self.open.fill(seq, body);
        let Some(open) = self.open.get_mut(seq) else {
            return;
        };
        // One of the journal's open list whose body decided: now it can be said.
        if open.matched.is_empty() {
            let event = Arc::clone(&open.event);
            match self.judge(&event) {
                Verdict::Match(matched) => {
                    if let Some(open) = self.open.get_mut(seq) {
                        open.matched = matched;
                    }
                }
                _ => self.settle(seq, |counts| counts.skipped += 1, now),
            }
        }
    }
}
