//! What an answer changes: rows that are new, the head, gaps that open, fill and end.

use std::time::Duration;

use super::{FIRST_REACH, MANY_LATE, Machine, Phase, RECENT};
use crate::{
    clock::{Now, Unix},
    event::Facts,
    ident::EventId,
    ingest::{
        gaps::RANGES_MAX,
        question::{Answer, Notice, Range, Row, StartFrom},
    },
    journal::{Anchor, Append, Gap, NewEvent},
};

/// Equal counts after which late gaps are listed all the same.
const LIST_EVERY: u32 = 10;

impl Machine {
    /// Drops what lies behind a gap that is younger than `gap.hold`; true when something was dropped.
    pub(super) fn hold(&mut self, rows: &mut Vec<Row>, site_time: Unix) -> bool {
        if self.policy.gap_hold.is_zero() {
            return false;
        }
        let mut below = self.known_to();
        let is_held = |row: &Row, below: EventId| {
            let age = row
                .facts
                .created_at
                .map_or(Duration::MAX, |at| site_time - at);
            row.facts.event_id.0 > below.0 + 1 && age < self.policy.gap_hold
        };
        let cut = rows.iter().position(|row| {
            let held = row.facts.event_id > below && is_held(row, below);
            below = below.max(row.facts.event_id);
            held
        });
        rows.truncate(cut.unwrap_or(rows.len()));
        cut.is_some()
    }

    /// Keeps the rows that are new: in a gap, or above the head.
    pub(super) fn take_rows(
        &mut self,
        rows: Vec<Row>,
        is_partial: bool,
        site_time: Unix,
    ) -> Vec<NewEvent> {
        let mut filled = Vec::new();
        let mut events = Vec::with_capacity(rows.len());
        for Row { mut facts, body } in rows {
            let id = facts.event_id;
            let is_anchor = self
                .proof
                .as_ref()
                .is_some_and(|proof| proof.event_id == id);
            if is_partial && !is_anchor {
                facts.is_partial = true;
                self.gaps.note_spoiler(id);
                self.notices.push(Notice::Partial(id));
            }
            if self.gaps.fill(id) {
                filled.push(id);
            } else if id > self.known_to() {
                self.climb(&facts, site_time);
            } else {
                continue;
            }
            // Below the first row of our time lie rows of others.
            if self.is_before_us(&facts) {
                continue;
            }
            facts.timeline = self.state.timeline;
            events.push(NewEvent { facts, body });
        }
        if !filled.is_empty() {
            self.state.filled += filled.len() as u64;
            self.notices.push(Notice::GapFilled(filled));
        }
        events
    }

    fn is_before_us(&self, facts: &Facts) -> bool {
        match (self.policy.start_from, facts.created_at) {
            (StartFrom::Time(time), Some(at)) => self.state.timeline.0 == 0 && at < time,
            _ => false,
        }
    }

    /// True when ids down to the floor are ours by somebody's word, not only by what the site happened to show.
    fn is_floor_fixed(&self) -> bool {
        self.state.floor.0 > 0
            || self.state.timeline.0 > 0
            || matches!(self.policy.start_from, StartFrom::Id(_))
    }

    /// Makes a row the head and opens a gap below it.
    pub(super) fn climb(&mut self, facts: &Facts, site_time: Unix) {
        let id = facts.event_id;
        let reach = if self.state.head.is_some() || self.is_floor_fixed() {
            i64::MAX
        } else {
            FIRST_REACH
        };
        let first = EventId((self.known_to().0 + 1).max(id.0.saturating_sub(reach)));
        let since = facts.created_at.unwrap_or(site_time);
        let gap = Gap {
            first,
            last: EventId(id.0 - 1),
            since,
            asked: site_time,
            is_unreadable: false,
        };
        if gap.first <= gap.last {
            self.gaps.open(gap);
            self.notices.push(Notice::GapOpened(gap));
        }
        let anchor = Anchor {
            event_id: id,
            event_type: facts.event_type.clone(),
            created_at: facts.created_at,
        };
        // A row that spoils its answers can be the head, but proves nothing.
        if !facts.is_partial {
            self.recent.push_back(anchor.clone());
            self.proof = Some(anchor.clone());
        }
        if self.recent.len() > RECENT {
            self.recent.pop_front();
            let oldest = self.recent.front().map(|row| row.event_id);
            let is_older = |row: &Anchor| oldest.is_some_and(|oldest| row.event_id < oldest);
            if self.state.begun_with.last().is_some_and(is_older) {
                self.state.begun_with.clear();
            }
        }
        self.state.head = Some(anchor);
    }

    pub(super) fn cover(
        &mut self,
        asked: Option<Unix>,
        ranges: &[Range],
        covered_to: EventId,
        site_time: Unix,
    ) {
        let closed: Vec<(EventId, EventId)> = ranges
            .iter()
            .map(|range| (range.first, range.last.unwrap_or(EventId(i64::MAX))))
            .collect();
        let given_up = self
            .gaps
            .cover(&closed, covered_to, site_time, asked, &self.gap_policy());
        self.give_up(given_up);
    }

    pub(super) fn give_up(&mut self, given_up: Vec<Gap>) {
        if !given_up.is_empty() {
            let ids = given_up
                .iter()
                .map(|gap| gap.last.0.abs_diff(gap.first.0) + 1)
                .sum::<u64>();
            self.state.given_up += ids;
            self.notices.push(Notice::GivenUp(given_up));
        }
    }

    /// Ids that cannot be read stay a late gap; what is above them goes on.
    pub(super) fn set_aside(&mut self, first: EventId, last: EventId, site_time: Unix) -> Append {
        self.phase = Phase::Following;
        self.expect_more();
        let expected = self.head_id();
        let is_missing = self.gaps.mark_unreadable(first, last, site_time);
        let known_to = self.known_to();
        if last > known_to {
            let gap = |first, last, is_unreadable| Gap {
                first,
                last,
                since: site_time,
                asked: site_time,
                is_unreadable,
            };
            let first = first.max(EventId(known_to.0 + 1));
            self.gaps
                .open(gap(EventId(known_to.0 + 1), EventId(first.0 - 1), false));
            self.gaps.open(gap(first, last, true));
            let created_at = self.state.head.as_ref().and_then(|head| head.created_at);
            self.state.head = Some(Anchor {
                event_id: last,
                event_type: "".into(),
                created_at,
            });
        } else if !is_missing && first == last {
            // It is journaled already, and only in the way of its neighbours.
            self.gaps.note_spoiler(first);
        }
        self.append(expected, Vec::new())
    }

    /// True when late gaps are so many that a count comes before they are listed.
    pub(super) fn counts_late(&self, now: Now) -> bool {
        let Some(site_now) = self.site_now(now) else {
            return false;
        };
        let (many, _) = self.gaps.late_due(site_now, &self.gap_policy());
        many > MANY_LATE && self.late.pages == 0
    }

    pub(super) fn counted(&mut self, span: (EventId, EventId), answer: &Answer) {
        let count = answer.count.unwrap_or(0);
        let is_same = self.late.last.replace((span, count)) == Some((span, count));
        self.late.same = if is_same { self.late.same + 1 } else { 0 };
        // A row that came and one that went would look the same: list all now and then.
        if is_same && !self.late.same.is_multiple_of(LIST_EVERY) {
            self.gaps
                .postpone(span, answer.site_time, &self.gap_policy());
        } else {
            self.list_late(answer.site_time);
        }
    }

    /// The count says nothing, or that something came: the next pages list the late gaps.
    pub(super) fn list_late(&mut self, site_time: Unix) {
        let (many, _) = self.gaps.late_due(site_time, &self.gap_policy());
        self.late.pages = many / RANGES_MAX + 1;
    }
}
