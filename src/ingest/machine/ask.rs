//! Which question comes next.

use super::{MANY_LATE, Machine};
use crate::{
    clock::{Now, Unix},
    ident::EventId,
    ingest::{
        narrow::Narrow,
        question::{Fields, Kind, Question, Range, StartFrom},
    },
};

impl Machine {
    pub(super) fn first_question(&self) -> Question {
        match self.policy.start_from {
            StartFrom::Time(time) => least(Kind::Since(time)),
            _ => least(Kind::Newest {
                limit: self.policy.page,
            }),
        }
    }

    pub(super) fn page_question(&mut self, now: Now) -> Question {
        let site_now = self.site_now(now);
        if let Some(id) = self
            .cap
            .is_none()
            .then(|| self.gaps.due_alone(site_now, &self.gap_policy()))
            .flatten()
        {
            return whole(
                self.with_proof(vec![Range {
                    first: id,
                    last: Some(id),
                }]),
                self.policy.page,
            );
        }
        if let Some(count) = self.count_question(site_now) {
            return count;
        }
        let page = if self.cap.is_some() {
            0
        } else {
            self.policy.page
        };
        let gaps = self.gaps.due(site_now, &self.gap_policy(), page);
        let mut ranges: Vec<Range> = gaps
            .iter()
            .map(|gap| Range {
                first: gap.0,
                last: Some(gap.1),
            })
            .collect();
        if let Some(cap) = self.cap {
            clip(&mut ranges, cap);
            return whole(self.with_proof(ranges), self.policy.page);
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
        whole(self.with_proof(ranges), self.policy.page)
    }

    pub(super) fn count_question(&mut self, site_now: Option<Unix>) -> Option<Question> {
        let (many, span) = self.gaps.late_due(site_now?, &self.gap_policy());
        if many <= MANY_LATE || self.late.pages > 0 {
            return None;
        }
        let (first, last) = span?;
        Some(least(Kind::Count(first, last)))
    }

    pub(super) fn narrow_question(&self, narrow: &Narrow) -> Question {
        let mut ranges = narrow.ranges();
        if let Some(cap) = self.cap {
            clip(&mut ranges, cap);
        }
        let kind = Kind::Page {
            ranges: self.with_proof(ranges),
            limit: self.policy.page,
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
                ranges.push(Range {
                    first: id,
                    last: Some(id),
                });
                ranges.sort_by_key(|range| range.first);
            }
        }
        ranges
    }
}

pub(super) fn whole(ranges: Vec<Range>, limit: usize) -> Question {
    Question {
        kind: Kind::Page { ranges, limit },
        fields: Fields::Whole,
    }
}

pub(super) fn least(kind: Kind) -> Question {
    Question {
        kind,
        fields: Fields::Least,
    }
}

/// Cuts ranges off above `cap`.
fn clip(ranges: &mut Vec<Range>, cap: EventId) {
    ranges.retain(|range| range.first <= cap);
    for range in ranges {
        range.last = range.last.map(|last| last.min(cap));
    }
}
