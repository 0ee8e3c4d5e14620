//! The anchor: the row that every answer must show again, else it proves nothing.
//!
//! A missing one is waited for, then looked for; another row under its id, a newest row below it, or no known row at all
//! halts ingest until a known row is seen again or an operator accepts the site as it is.

use std::collections::BTreeSet;

use super::{ANCHOR_PATIENCE, HALTED_EVERY, Machine, Phase};
use crate::{
    clock::{Mono, Now},
    event::{Event, Facts},
    ident::{EventId, Timeline},
    ingest::question::{Answer, Lost, Notice, Row},
    journal::{Anchor, Append},
};

impl Machine {
    /// True when the anchor's row came back as we know it, or cannot be expected.
    pub(super) fn is_proven(&mut self, rows: &[Row], covered_to: EventId, now: Now) -> bool {
        let Some(proof) = self.proof.clone() else {
            // No known row is visible: rows above the head are all that can be believed.
            let is_ahead = rows
                .last()
                .is_some_and(|row| row.facts.event_id > self.known_to());
            let is_narrowing = matches!(self.phase, Phase::Narrowing(_));
            if !is_ahead && !is_narrowing && self.state.head.is_some() {
                self.next_at = now.mono + self.policy.max_interval;
                return false;
            }
            return true;
        };
        match rows.iter().find(|row| row.facts.event_id == proof.event_id) {
            Some(row) if is_same(row, &proof) => {
                self.lost_since = None;
                self.learn(row);
                true
            }
            Some(_) => {
                let newest = rows.last().map(|row| row.facts.event_id);
                self.halt(Lost::Another, proof.event_id, newest, now);
                false
            }
            None if proof.event_id > covered_to => {
                self.cap_below(rows, now);
                false
            }
            None => {
                self.miss_anchor(now);
                false
            }
        }
    }

    /// An anchor of which only the id was known can be told from another row under that id from now on.
    fn learn(&mut self, row: &Row) {
        let Facts {
            event_id,
            event_type,
            created_at,
            ..
        } = &row.facts;
        let known = self.recent.iter_mut().chain(&mut self.proof);
        let known = known.chain(&mut self.state.head);
        for anchor in
            known.filter(|known| known.event_id == *event_id && known.event_type.is_empty())
        {
            anchor.event_type.clone_from(event_type);
            anchor.created_at = *created_at;
        }
    }

    /// A full page that ends below the anchor proves nothing: ask again for most of it and for the anchor.
    fn cap_below(&mut self, rows: &[Row], now: Now) {
        // Two less than a page: the anchor itself needs room, and a full page proves nothing again.
        let room = self.page().saturating_sub(2);
        let ids = rows.iter().map(|row| row.facts.event_id);
        let missing = ids
            .clone()
            .filter(|id| self.gaps.contains(*id))
            .take(room)
            .last();
        // A part that is narrowed holds known rows too, and moves on over them.
        let is_narrowing = matches!(self.phase, Phase::Narrowing(_));
        let was_capped = self.cap.is_some();
        self.cap = missing
            .filter(|_| !is_narrowing)
            .or_else(|| ids.take(room).last());
        // One that shows no way on, or a second one in a row, is no reason to hurry.
        self.next_at = if was_capped || self.cap.is_none() {
            now.mono + self.policy.interval
        } else {
            now.mono
        };
    }

    fn miss_anchor(&mut self, now: Now) {
        let since = *self.lost_since.get_or_insert(now.mono);
        self.next_at = now.mono + self.policy.interval;
        if now.mono - since >= ANCHOR_PATIENCE {
            self.phase = Phase::Searching;
        }
    }

    pub(super) fn found_newest(&mut self, answer: &Answer, now: Now) -> Option<Append> {
        let newest = answer.rows.first().map(|row| row.facts.event_id);
        let head = self.head_id()?;
        if newest.is_none_or(|newest| newest < head) {
            self.halt(Lost::Below, head, newest, now);
            return None;
        }
        let proof = self.proof.as_ref().map_or(head, |proof| proof.event_id);
        if !self.recent.iter().any(|row| row.event_id < proof) {
            // The last known row is gone as well: what is above the head may be another log's.
            self.halt(Lost::All, head, newest, now);
            return None;
        }
        self.move_anchor(head);
        self.phase = Phase::Following;
        // The next anchor gets no patience of its own: the site was found to be alive and ahead.
        self.lost_since = Some(Mono(
            now.mono
                .0
                .saturating_sub(crate::clock::millis(ANCHOR_PATIENCE)),
        ));
        self.next_at = now.mono;
        None
    }

    /// Takes the next known row below as anchor.
    pub(super) fn move_anchor(&mut self, head: EventId) {
        let from = self.proof.as_ref().map_or(head, |proof| proof.event_id);
        self.recent.retain(|row| row.event_id < from);
        self.proof = self.recent.back().cloned();
        self.notices.push(Notice::AnchorMoved {
            from,
            to: self.proof.as_ref().map(|row| row.event_id),
        });
    }

    fn halt(&mut self, lost: Lost, head: EventId, newest: Option<EventId>, now: Now) {
        // The first look at the other known rows follows at once: it says where the log was cut.
        self.next_at = if self.is_halted() {
            now.mono + HALTED_EVERY
        } else {
            self.notices.push(Notice::Rewound { lost, head, newest });
            self.same_to = None;
            self.left_out = 0;
            self.others.clear();
            now.mono
        };
        if lost == Lost::Another {
            self.others
                .extend(self.proof.as_ref().map(|proof| proof.event_id));
        }
        self.phase = Phase::Halted(None);
    }

    /// Halted, and the known rows were asked for: the anchor ends it; one of the others does when the site is ahead of us.
    pub(super) fn look_again(&mut self, answer: Answer, now: Now) -> Option<Append> {
        let rows = super::ascending(answer.rows);
        self.next_at = now.mono + HALTED_EVERY;
        let known = self.recent.iter().chain(&self.proof);
        let shown: Vec<(&Anchor, bool)> = known
            .filter_map(|known| {
                let same = |row: &&Row| row.facts.event_id == known.event_id;
                let row = rows.iter().find(same)?;
                Some((known, is_same(row, known)))
            })
            .collect();
        let ids = |wanted: bool| {
            let rows = shown.iter().filter(move |(_, is_same)| *is_same == wanted);
            rows.map(|(row, _)| row.event_id)
        };
        let other = ids(false).min();
        self.same_to = ids(true)
            .filter(|id| other.is_none_or(|other| *id < other))
            .max();
        // Another row under a known id: the ids were given out anew. That it is left out of a question, or goes from sight,
        // proves nothing; only the row itself does, as a replica shows it that stands still.
        let same: BTreeSet<EventId> = ids(true).collect();
        let others: BTreeSet<EventId> = ids(false).collect();
        self.others.extend(others);
        self.others.retain(|id| !same.contains(id));
        if !self.others.is_empty() {
            return None;
        }
        let (highest, _) = shown.into_iter().max_by_key(|(row, _)| row.event_id)?;
        let highest = highest.clone();
        if Some(&highest) == self.proof.as_ref() {
            self.resume(now);
        } else {
            self.phase = Phase::Halted(Some(highest));
            self.next_at = now.mono;
        }
        None
    }

    /// Halted, a known row below the anchor is still as it was: when the site is ahead of us, the anchor is only gone from sight.
    pub(super) fn seen_again(&mut self, answer: &Answer, now: Now) -> Option<Append> {
        let newest = answer.rows.first().map(|row| row.facts.event_id);
        let head = self.head_id()?;
        self.next_at = now.mono + HALTED_EVERY;
        if let Phase::Halted(Some(row)) = std::mem::replace(&mut self.phase, Phase::Halted(None))
            && newest >= Some(head)
        {
            self.notices.push(Notice::AnchorMoved {
                from: self.proof.as_ref().map_or(head, |proof| proof.event_id),
                to: Some(row.event_id),
            });
            self.recent.retain(|known| known.event_id <= row.event_id);
            self.proof = Some(row);
            self.resume(now);
        }
        None
    }

    fn resume(&mut self, now: Now) {
        self.phase = Phase::Following;
        self.others.clear();
        self.lost_since = None;
        self.next_at = now.mono;
        self.notices.push(Notice::Resumed);
    }
}

/// The rows of a timeline that may serve as anchors, ascending by id: one that was read with fewer fields spoils its answers.
#[must_use]
pub fn anchors(recent: &[Event], timeline: Timeline) -> Vec<Anchor> {
    let facts = recent.iter().map(|event| &event.facts);
    let fit = facts.filter(|facts| facts.timeline == timeline && !facts.is_partial);
    let mut anchors: Vec<Anchor> = fit
        .map(|facts| Anchor {
            event_id: facts.event_id,
            event_type: facts.event_type.clone(),
            created_at: facts.created_at,
        })
        .collect();
    anchors.sort_by_key(|anchor| anchor.event_id);
    anchors
}

/// A row that was set aside, or begun with, was never read: its id alone must do.
pub(super) fn is_same(row: &Row, anchor: &Anchor) -> bool {
    anchor.event_type.is_empty()
        || (row.facts.event_type == anchor.event_type && row.facts.created_at == anchor.created_at)
}
