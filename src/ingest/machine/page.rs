//! A page of rows: what it proves, covers, brings, and how soon the next one is asked for.

use super::{Asked, Machine, Phase};
use crate::{
    clock::Now,
    ident::EventId,
    ingest::question::{Answer, Fields, Range, Row},
    journal::Append,
};

/// The anchor, a row, and one more, so that the page is not full.
const PAGE_MIN: usize = 3;

impl Machine {
    pub(super) fn read_page(
        &mut self,
        asked: &Asked,
        ranges: &[Range],
        limit: usize,
        answer: Answer,
        now: Now,
    ) -> Option<Append> {
        let site_time = answer.site_time;
        let is_full = is_full(&answer, limit);
        let mut rows = super::ascending(answer.rows);
        let covered_to = covered_to(&rows, is_full);
        let before = (self.state.clone(), self.gaps.list().len());
        if !self.is_proven(&rows, covered_to, now) {
            return None;
        }
        self.page_failures = 0;
        self.late.pages = self.late.pages.saturating_sub(1);
        let held = self.hold(&mut rows, site_time);
        let expected = self.head_id();
        let is_partial = asked.question.fields != Fields::Whole;
        let events = self.take_rows(rows, is_partial, site_time);
        self.cover(asked.site_time, ranges, covered_to, site_time);
        let was_capped = self.cap.is_some();
        let cap = self.cap.take().unwrap_or(covered_to);
        self.narrow_on(covered_to.min(cap), is_partial && !events.is_empty());
        let is_changed =
            !events.is_empty() || before.1 != self.gaps.list().len() || before.0 != self.state;
        let is_narrowing = matches!(self.phase, Phase::Narrowing(_));
        // A full page that brought nothing would be asked again without end.
        let wait = self.pace.answered(
            &self.pace_policy(),
            !events.is_empty(),
            ((is_full || was_capped) && is_changed && !held) || is_narrowing,
        );
        self.next_at = now.mono + wait;
        is_changed.then(|| self.append(expected, events))
    }

    /// A site that has more and stops short has a limit of its own, which it may not have told.
    pub(super) fn learn_limit(&mut self, answer: &Answer, limit: usize) {
        let rows = answer.rows.len() + answer.bad_rows;
        if answer.has_more && rows < limit {
            self.page_max = Some(rows.max(PAGE_MIN));
        }
    }

    /// A part could be read; the search ends with the last.
    fn narrow_on(&mut self, covered_to: EventId, was_found: bool) {
        if let Phase::Narrowing(search) = &mut self.phase
            && search.narrow.read(covered_to)
        {
            self.phase = Phase::Following;
            if was_found {
                self.expect_more();
            }
        }
    }
}

/// A full answer says nothing about ids above its last row.
pub(super) fn is_full(answer: &Answer, limit: usize) -> bool {
    answer.has_more || answer.rows.len() + answer.bad_rows >= limit
}

/// Up to which id an answer, ascending, says what there is.
pub(super) fn covered_to(rows: &[Row], is_full: bool) -> EventId {
    match rows.last() {
        Some(row) if is_full => row.facts.event_id,
        None if is_full => EventId(i64::MIN),
        _ => EventId(i64::MAX),
    }
}
