//! Which question comes next.

use super::{Machine, Phase};
use crate::{
    clock::Now,
    ident::EventId,
    ingest::{
        narrow::Narrow,
        question::{Fields, Kind, Question, Range},
    },
};

impl Machine {
    pub(super) fn next_question(&mut self, now: Now) -> Question {
        if std::mem::take(&mut self.asks_limits) {
            return ids(Kind::Limits);
        }
        match &self.phase {
            Phase::Starting(start) => self.first_question(*start),
            // Known rows tell whether the log we followed is back.
            Phase::Halted(None) if self.proof.is_some() => self.known_rows_question(),
            Phase::Following => self.page_question(now),
            Phase::Narrowing(search) if !search.must_probe => self.narrow_question(&search.narrow),
            // The id alone: the newest row may be the one that spoils its answers.
            Phase::Halted(_) | Phase::Probing(_) | Phase::Searching | Phase::Narrowing(_) => {
                ids(Kind::Newest { limit: 1 })
            }
        }
    }

    fn page_question(&mut self, now: Now) -> Question {
        let page = if self.cap.is_some() { 0 } else { self.page() };
        let late = !self.counts_late(now);
        let gaps = self
            .gaps
            .due(self.site_now(now), &self.gap_policy(), page, late);
        let mut ranges: Vec<Range> = gaps
            .iter()
            .map(|gap| Range {
                first: gap.0,
                last: Some(gap.1),
            })
            .collect();
        if let Some(cap) = self.cap {
            clip(&mut ranges, cap);
            return whole(self.with_proof(ranges), self.page());
        }
        let head = self.known_to();
        let is_head_proof = self
            .proof
            .as_ref()
            .is_some_and(|proof| proof.event_id == head);
        let first = if is_head_proof {
            head
        } else {
            EventId(head.0 + 1)
        };
        ranges.push(Range { first, last: None });
        whole(self.with_proof(ranges), self.page())
    }

    fn narrow_question(&self, narrow: &Narrow) -> Question {
        let mut ranges = narrow.ranges();
        if ranges.is_empty() && self.proof.is_none() {
            // Between two ranges lies nothing of interest; a question without any would ask for every row.
            ranges.push(narrow.part());
        }
        if let Some(cap) = self.cap {
            clip(&mut ranges, cap);
        }
        let kind = Kind::Page {
            ranges: self.with_proof(ranges),
            limit: self.page(),
        };
        Question {
            kind,
            fields: narrow.fields(),
        }
    }

    /// Adds the anchor's own row, so that the answer proves itself.
    pub(super) fn with_proof(&self, mut ranges: Vec<Range>) -> Vec<Range> {
        if let Some(id) = self.proof.as_ref().map(|proof| proof.event_id) {
            let covers =
                |range: &Range| range.first <= id && range.last.is_none_or(|last| id <= last);
            if !ranges.iter().any(covers) {
                ranges.push(just(id));
                ranges.sort_by_key(|range| range.first);
            }
        }
        ranges
    }

    /// The anchor and the rows that may take its place, each by itself.
    fn known_rows_question(&self) -> Question {
        let limit = self.page();
        let recent = self.recent.iter().rev().map(|row| row.event_id);
        let proof = self.proof.as_ref().map(|row| row.event_id);
        // One less than a page: a full answer could hide one of them.
        let mut known: Vec<EventId> = proof
            .into_iter()
            .chain(recent)
            .take(limit.saturating_sub(1).max(1))
            .collect();
        known.sort_unstable();
        known.dedup();
        let ranges = known.into_iter().map(just).collect();
        Question {
            kind: Kind::Page { ranges, limit },
            fields: Fields::Least,
        }
    }
}

/// One id.
pub(super) fn just(id: EventId) -> Range {
    Range {
        first: id,
        last: Some(id),
    }
}

pub(super) fn whole(ranges: Vec<Range>, limit: usize) -> Question {
    Question {
        kind: Kind::Page { ranges, limit },
        fields: Fields::Whole,
    }
}

/// Asks for what no content of a row can spoil.
pub(super) fn ids(kind: Kind) -> Question {
    Question {
        kind,
        fields: Fields::Id,
    }
}

/// Cuts ranges off above `cap`.
fn clip(ranges: &mut Vec<Range>, cap: EventId) {
    ranges.retain(|range| range.first <= cap);
    for range in ranges {
        range.last = range.last.map(|last| last.min(cap));
    }
}
