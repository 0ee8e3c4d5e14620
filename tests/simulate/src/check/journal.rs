//! Ingest: every event once, and nothing given up that could have been read.

use std::time::Duration;

use sgeventd::{
    ident::EventId,
    journal::{Append, Appended, Gap},
};

use super::{Check, Known};
use crate::site::Site;

/// Late ids so far below the first row that was ever seen are asked for.
const BELOW_FIRST: i64 = 1000;

impl Check {
    /// An answer was committed. `shown_to`: the answer shows what the site had committed up to then; none: an operator accepted the site.
    /// `given_up`: what was said to be given up by it, by the site's clock at the age that is allowed.
    pub(crate) fn appended(
        &mut self,
        append: &Append,
        appended: &Appended,
        given_up: (&[Gap], Duration),
        site: &Site,
        shown_to: Option<u64>,
        now: u64,
    ) {
        if appended.fresh.len() != append.events.len() {
            let ids: Vec<_> = append
                .events
                .iter()
                .map(|event| event.facts.event_id.0)
                .collect();
            self.fail(|| format!("journaled twice: some of {ids:?}"));
        }
        for event in &append.events {
            let facts = &event.facts;
            if !self.journaled.insert((facts.timeline.0, facts.event_id.0)) {
                self.fail(|| format!("event {} is journaled twice", facts.event_id));
            }
            self.events.push(Known::of(facts, &event.body));
        }
        if appended.first.0 + appended.fresh.len() as u64 != self.events.len() as u64 + 1 {
            self.fail(|| "a position of the journal was left out, or given twice".into());
        }
        let state = &append.ingest;
        if self.began.is_none() && state.is_started {
            let head = state.head.as_ref().map_or(0, |head| head.event_id.0);
            let is_latest = append.events.is_empty();
            // Of ids that are further below the first row than that nobody promises anything.
            let first = append
                .events
                .iter()
                .map(|event| event.facts.event_id.0)
                .min();
            self.accepted_from = first.map_or(0, |first| first - BELOW_FIRST);
            self.began = Some((if is_latest { head } else { 0 }, shown_to.unwrap_or(0)));
        }
        if let Some(shown_to) = shown_to {
            for gap in given_up.0 {
                let age = site.clock(now) - gap.since;
                if age < given_up.1 {
                    self.fail(|| format!("event {} is given up at an age of {age:?}", gap.first));
                }
                self.give_up(gap, state.timeline.0, site, shown_to);
            }
            if self.gaps != state.gaps {
                self.gaps_closed(&state.gaps, state.timeline.0);
            }
        } else {
            self.accepted_from = state.floor.0 + 1;
        }
        if !state.gaps.windows(2).all(|two| two[0].last < two[1].first) {
            self.fail(|| format!("gaps overlap: {:?}", state.gaps));
        }
        self.gaps.clone_from(&state.gaps);
        self.has_head = state.head.is_some();
        (self.floor, self.timeline) = (state.floor, state.timeline.0);
    }

    /// Ids are given up: none of them may have been there to be read.
    fn give_up(&mut self, gap: &Gap, timeline: u32, site: &Site, shown_to: u64) {
        let (first, last) = (gap.first.0, gap.last.0);
        self.given_up.push((timeline, first, last));
        let is_journaled = |check: &Self, id: i64| check.journaled.contains(&(timeline, id));
        let mut missed = site.shown(first, last, shown_to);
        let missed =
            missed.find(|id| !is_journaled(self, *id) && !self.is_before_us(site, Some(*id)));
        if let Some(id) = missed {
            self.fail(|| format!("event {id} is given up though the answer that closed its gap could have shown it"));
        }
    }

    /// Ids that were missing and are so no more came, or were said to be given up.
    fn gaps_closed(&mut self, now: &[Gap], timeline: u32) {
        let mut at = 0;
        for old in std::mem::take(&mut self.gaps) {
            let mut from = old.first.0;
            while at < now.len() && now[at].last < old.first {
                at += 1;
            }
            let mut next = at;
            while from <= old.last.0 {
                let still = now.get(next).filter(|gap| gap.first <= old.last);
                let to = still.map_or(old.last.0, |gap| gap.first.0 - 1);
                self.closed(from, to, timeline);
                from = still.map_or(i64::MAX, |gap| gap.last.0 + 1);
                next += 1;
            }
        }
    }

    fn closed(&mut self, first: i64, last: i64, timeline: u32) {
        let mut ids = first..=last;
        let given_up = &self.given_up;
        let is_given_up = |id: i64| {
            let mut given_up = given_up.iter().rev();
            given_up.any(|(of, first, last)| *of == timeline && (*first..=*last).contains(&id))
        };
        let journaled = &self.journaled;
        let silent = ids.find(|id| !journaled.contains(&(timeline, *id)) && !is_given_up(*id));
        // Rows from before the time that the log is followed from fill a gap and are not journaled.
        if let Some(id) = silent.filter(|_| !self.may_be_before_us) {
            self.fail(|| format!("the gap of event {id} is closed without a word"));
        }
    }

    /// The log was followed from a time on, and this is older.
    fn is_before_us(&self, site: &Site, id: Option<i64>) -> bool {
        let Some(from) = site.wanted_from else {
            return false;
        };
        let row = id.and_then(|id| site.find(EventId(id)));
        row.and_then(|row| row.facts.created_at)
            .is_some_and(|at| at < from)
    }

    /// True when the first page is on disk.
    pub(crate) fn has_head(&self) -> bool {
        self.has_head
    }

    /// Rows that can be read, for a while, and are neither in the journal nor named as given up.
    pub(crate) fn lost(&self, site: &Site, before: u64) -> Vec<i64> {
        let (began, began_at) = self.began.unwrap_or((0, 0));
        let is_lost = |id: i64, at: u64| {
            let is_ours = id > self.floor.0 && id >= self.accepted_from && at < before;
            let was_there = id <= began && at <= began_at;
            let is_given_up = || {
                let mut given_up = self.given_up.iter();
                given_up.any(|(timeline, first, last)| {
                    *timeline == self.timeline && (*first..=*last).contains(&id)
                })
            };
            is_ours
                && !was_there
                && !self.journaled.contains(&(self.timeline, id))
                && !is_given_up()
                && !self.is_before_us(site, Some(id))
        };
        let readable = site.readable();
        readable
            .filter(|(id, at)| is_lost(*id, *at))
            .map(|(id, _)| id)
            .collect()
    }
}
