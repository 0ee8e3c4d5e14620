//! Beside the polls: ids that spoil their answers are tried again, and late gaps are counted. However slow this is, and
//! however often it fails, no poll waits for it.
//!
//! What a failure means is decided by the next poll: when that succeeds, it was the row; when not, it was the site.

use super::{
    Machine, Phase, anchor,
    ask::{ids, just},
    page::{covered_to, is_full},
};
use crate::{
    clock::{Mono, Now, Unix},
    ident::{EventId, Timeline},
    ingest::question::{Answer, Failure, Fields, Kind, Notice, Question, Range},
    journal::{Anchor, Append},
};

/// The ids that were set aside, both ends inside.
type Ids = (EventId, EventId);

/// What goes on beside the polls.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    asked: Option<About>,
    next_at: Mono,
    /// These failed, and no poll has said yet whether it was the site.
    doubt: Option<(Ids, Fields)>,
    /// This row is asked next, with fewer fields.
    fewer: Option<(EventId, Fields)>,
}

#[derive(Debug, Clone)]
enum About {
    Ids {
        ids: Ids,
        fields: Fields,
        limit: usize,
        /// The row that proves the answer: another one may be the anchor when it comes. None when no row is known at all.
        proof: Option<Anchor>,
        timeline: Timeline,
        site_time: Unix,
    },
    Late(EventId, EventId),
}

impl Beside {
    pub(super) fn has_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// What is under way was asked by a clock that was moved since.
    pub(super) fn clock_moved(&mut self, ms: i64) {
        if let Some(About::Ids { site_time, .. }) = &mut self.asked {
            *site_time = site_time.moved(ms);
        }
    }
}

impl Machine {
    /// A question to ask beside the polls, if any. It must be followed by [`Self::beside_answered`] or [`Self::beside_failed`].
    pub fn poll_beside(&mut self, now: Now) -> Option<Question> {
        let is_quiet = self.phase == Phase::Following && self.outage.is_none() && !self.refused;
        let is_free = self.beside.asked.is_none() && self.beside.doubt.is_none();
        if !is_quiet || !is_free || now.mono < self.beside.next_at {
            return None;
        }
        let site_time = self.site_now(now)?;
        let (about, question) = self
            .ask_alone(site_time)
            .or_else(|| self.ask_count(site_time, now))?;
        self.beside.asked = Some(about);
        self.beside.next_at = now.mono + self.policy.interval;
        Some(question)
    }

    fn ask_alone(&mut self, site_time: Unix) -> Option<(About, Question)> {
        let proof = self.proof.clone();
        let limit = self.page();
        // The anchor needs room, and a full page could hide it.
        let ids_max = limit.saturating_sub(2).max(1);
        let due = self
            .gaps
            .due_alone(site_time, &self.gap_policy(), ids_max)?;
        let (ids, fields) = match self.beside.fewer.take() {
            Some((id, fields)) if self.gaps.contains(id) => ((id, id), fields),
            _ => (due, Fields::Whole),
        };
        let mut ranges = vec![Range {
            first: ids.0,
            last: Some(ids.1),
        }];
        if let Some(proof) = proof.as_ref().map(|proof| proof.event_id)
            && !(ids.0..=ids.1).contains(&proof)
        {
            ranges.push(just(proof));
            ranges.sort_by_key(|range| range.first);
        }
        let question = Question {
            kind: Kind::Page { ranges, limit },
            fields,
        };
        let about = About::Ids {
            ids,
            fields,
            limit,
            proof,
            timeline: self.state.timeline,
            site_time,
        };
        Some((about, question))
    }

    fn ask_count(&self, site_time: Unix, now: Now) -> Option<(About, Question)> {
        if !self.counts_late(now) {
            return None;
        }
        let (_, span) = self.gaps.late_due(site_time, &self.gap_policy());
        let (first, last) = span?;
        Some((About::Late(first, last), ids(Kind::Count(first, last))))
    }

    /// Takes an answer; what it returns must be committed before the next one is.
    pub fn beside_answered(&mut self, answer: Answer) -> Option<Append> {
        match self.beside.asked.take()? {
            About::Late(first, last) => {
                self.counted((first, last), &answer);
                None
            }
            About::Ids { timeline, .. } if timeline != self.state.timeline => None,
            About::Ids {
                ids,
                fields,
                limit,
                proof,
                site_time,
                ..
            } => {
                let shows = |proof: Anchor| {
                    let mut rows = answer.rows.iter();
                    rows.any(|row| {
                        row.facts.event_id == proof.event_id && anchor::is_same(row, &proof)
                    })
                };
                match proof.map(shows) {
                    Some(false) => None,
                    // Rows are rows; that there are none is proven by nothing.
                    None if answer.rows.is_empty() => None,
                    Some(true) | None => self.read_alone(ids, fields, limit, answer, site_time),
                }
            }
        }
    }

    fn read_alone(
        &mut self,
        ids: Ids,
        fields: Fields,
        limit: usize,
        answer: Answer,
        asked: Unix,
    ) -> Option<Append> {
        let (site_time, is_full) = (answer.site_time, is_full(&answer, limit));
        let mut rows = super::ascending(answer.rows);
        let covered_to = covered_to(&rows, is_full);
        rows.retain(|row| (ids.0..=ids.1).contains(&row.facts.event_id));
        let expected = self.head_id();
        self.gaps.read_alone(ids, covered_to);
        let events = self.take_rows(rows, fields != Fields::Whole, site_time);
        let range = Range {
            first: ids.0,
            last: Some(ids.1),
        };
        self.cover(Some(asked), &[range], covered_to, site_time);
        Some(self.append(expected, events))
    }

    /// Takes a failure.
    pub fn beside_failed(&mut self, failure: &Failure, now: Now) {
        match self.beside.asked.take() {
            Some(About::Late(..)) => {
                if let Some(site_now) = self.site_now(now) {
                    self.list_late(site_now);
                }
            }
            Some(About::Ids { ids, fields, .. }) => {
                let is_of_the_row =
                    matches!(failure, Failure::Failed(trouble) if trouble.retry_after.is_none());
                self.beside.doubt = is_of_the_row.then_some((ids, fields));
            }
            None => {}
        }
    }

    /// The site lives: what failed beside the polls failed by itself.
    pub(super) fn settle_doubt(&mut self, site_time: Unix) {
        let Some((ids, fields)) = self.beside.doubt.take() else {
            return;
        };
        let is_single = ids.0 == ids.1;
        if is_single && let Some(fewer) = fields.fewer() {
            self.beside.fewer = Some((ids.0, fewer));
        } else if self.gaps.failed_alone(ids, site_time) {
            self.notices.push(Notice::Unreadable(ids.0));
        }
    }

    /// It was the site: the ids are asked again when it is back.
    pub(super) fn drop_doubt(&mut self) {
        self.beside.doubt = None;
        self.beside.fewer = None;
    }
}
