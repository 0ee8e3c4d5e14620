//! Gaps: ids below the head that have not appeared yet.
//!
//! In: ids that appeared, answers with the site's time. Out: which ranges to ask for again, which to give up.
//! Never: the network, our clock (ages are the site's), the journal.

use std::{collections::BTreeSet, time::Duration};

use crate::{clock::Unix, ident::EventId, journal::Gap};

/// Ranges in one request: a filter with more conditions is slow on real sites.
pub const RANGES_MAX: usize = 100;
/// A part that was set aside and was not asked by itself yet.
const NOT_YET: Unix = Unix(0);
/// Ranges with fewer ids between them are asked as one.
const MERGE_BELOW: i64 = 50;
/// The part of a page that known ids between merged ranges may cost, so that new events always find room in it.
const MERGE_SHARE: usize = 5;
/// Rows that spoil their answers are remembered up to this many; a forgotten one is found again.
const SPOILERS_MAX: usize = 1000;
/// A late gap is asked this often …
const LATE_EVERY: Duration = Duration::from_secs(60);
/// … for so long after it became late, …
const LATE_FOR: Duration = Duration::from_secs(3600);
/// … and then this often.
const OLD_EVERY: Duration = Duration::from_secs(600);

/// When a gap is late and when it is given up, by the site's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapPolicy {
    /// Young until the row above it is this old.
    pub timeout: Duration,
    /// Closed for good after this.
    pub give_up: Duration,
}

/// The open gaps, ascending and disjoint.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    list: Vec<Gap>,
    /// Known rows that spoil an answer that holds them whole.
    spoilers: BTreeSet<EventId>,
}

impl Gaps {
    /// Takes what a journal kept.
    #[must_use]
    pub fn new(list: Vec<Gap>) -> Self {
        Self {
            list,
            spoilers: BTreeSet::new(),
        }
    }

    /// All of them, ascending.
    #[must_use]
    pub fn list(&self) -> &[Gap] {
        &self.list
    }

    /// Opens a range above all others; an empty one is ignored.
    pub fn open(&mut self, gap: Gap) {
        if gap.first <= gap.last {
            debug_assert!(self.list.last().is_none_or(|below| below.last < gap.first));
            self.list.push(gap);
        }
    }

    /// True when the id is missing.
    #[must_use]
    pub fn contains(&self, id: EventId) -> bool {
        self.find(id).is_some()
    }

    /// Takes an id that appeared out of its gap; false when it was in none.
    pub fn fill(&mut self, id: EventId) -> bool {
        let Some(at) = self.find(id) else {
            return false;
        };
        let gap = self.list[at];
        let below = Gap {
            last: EventId(id.0 - 1),
            ..gap
        };
        let above = Gap {
            first: EventId(id.0 + 1),
            ..gap
        };
        self.list.splice(
            at..=at,
            [below, above]
                .into_iter()
                .filter(|part| part.first <= part.last),
        );
        true
    }

    /// Sets ids aside that spoil their answers, as far as they are missing: they are asked alone from now on. False when none is missing.
    pub fn mark_unreadable(&mut self, first: EventId, last: EventId, asked: Unix) -> bool {
        let mut is_any = false;
        let mut list = Vec::with_capacity(self.list.len() + 2);
        for gap in self.list.drain(..) {
            if gap.last < first || last < gap.first {
                list.push(gap);
                continue;
            }
            is_any = true;
            let inside = Gap {
                first: gap.first.max(first),
                last: gap.last.min(last),
                asked,
                is_unreadable: true,
                ..gap
            };
            let below = Gap {
                last: EventId(inside.first.0 - 1),
                ..gap
            };
            let above = Gap {
                first: EventId(inside.last.0 + 1),
                ..gap
            };
            let parts = [below, inside, above].into_iter();
            list.extend(parts.filter(|part| part.first <= part.last));
        }
        self.list = list;
        is_any
    }

    /// These ids failed again though the site lives: halves of more than one are asked next, a single one when its time comes.
    /// True when it is a single one that was found just now.
    pub fn failed_alone(&mut self, range: (EventId, EventId), site_now: Unix) -> bool {
        let Some(at) = self.find_set_aside(range.0) else {
            return false;
        };
        let gap = self.list[at];
        if gap.first == gap.last {
            self.list[at].asked = gap.asked.max(site_now);
            return gap.asked == NOT_YET;
        }
        let middle = EventId(gap.first.0 + (gap.last.0 - gap.first.0) / 2);
        let lower = Gap {
            last: middle,
            asked: NOT_YET,
            ..gap
        };
        let upper = Gap {
            first: EventId(middle.0 + 1),
            asked: NOT_YET,
            ..gap
        };
        self.list.splice(at..=at, [lower, upper]);
        false
    }

    /// Ids that were set aside could be read up to `covered_to`: what is still missing of them is an ordinary gap.
    pub fn read_alone(&mut self, range: (EventId, EventId), covered_to: EventId) {
        let Some(at) = self.find_set_aside(range.0) else {
            return;
        };
        let gap = self.list[at];
        let read = Gap {
            last: gap.last.min(covered_to),
            is_unreadable: false,
            ..gap
        };
        let rest = Gap {
            first: EventId(read.last.0.saturating_add(1)),
            asked: NOT_YET,
            ..gap
        };
        let parts = [read, rest].into_iter();
        self.list
            .splice(at..=at, parts.filter(|part| part.first <= part.last));
    }

    /// Notes a row that was read with fewer fields only.
    pub fn note_spoiler(&mut self, id: EventId) {
        self.spoilers.insert(id);
        if self.spoilers.len() > SPOILERS_MAX {
            self.spoilers.pop_first();
        }
    }

    /// The ranges to ask for now: the young ones always, the late ones when their time has come; longest unasked first.
    /// `page`: rows of the answer, 0: ranges are not joined. `late`: false while the late ones are being counted.
    #[must_use]
    pub fn due(
        &self,
        site_now: Option<Unix>,
        policy: &GapPolicy,
        page: usize,
        late: bool,
    ) -> Vec<(EventId, EventId)> {
        let is_wanted = |gap: &&Gap| {
            !gap.is_unreadable
                && is_due(gap, site_now, policy)
                && (late || !is_counted(gap, site_now, policy))
        };
        let mut due: Vec<&Gap> = self.list.iter().filter(is_wanted).collect();
        due.sort_by_key(|gap| gap.asked);
        due.truncate(RANGES_MAX);
        due.sort_by_key(|gap| gap.first);
        self.merge(&due, i64::try_from(page / MERGE_SHARE).unwrap_or(i64::MAX))
    }

    /// At most `ids_max` ids that were set aside and whose time has come: the lower half of a search first, then the longest unasked.
    #[must_use]
    pub fn due_alone(
        &mut self,
        site_now: Unix,
        policy: &GapPolicy,
        ids_max: usize,
    ) -> Option<(EventId, EventId)> {
        let late =
            |(_, gap): &(_, &Gap)| gap.is_unreadable && is_late_due(gap, Some(site_now), policy);
        let (at, gap) = self
            .list
            .iter()
            .enumerate()
            .filter(late)
            .min_by_key(|(_, gap)| gap.asked)?;
        let gap = *gap;
        let reach = i64::try_from(ids_max).unwrap_or(i64::MAX);
        let last = gap.last.min(EventId(gap.first.0.saturating_add(reach - 1)));
        let rest = Gap {
            first: EventId(last.0 + 1),
            ..gap
        };
        if rest.first <= rest.last {
            self.list[at].last = last;
            self.list.insert(at + 1, rest);
        }
        Some((gap.first, last))
    }

    /// How many late gaps wait to be asked, and the span they lie in.
    #[must_use]
    pub fn late_due(
        &self,
        site_now: Unix,
        policy: &GapPolicy,
    ) -> (usize, Option<(EventId, EventId)>) {
        let late = |gap: &&Gap| {
            !gap.is_unreadable
                && is_counted(gap, Some(site_now), policy)
                && is_due(gap, Some(site_now), policy)
        };
        let mut due = self.list.iter().filter(late);
        let Some(first) = due.next() else {
            return (0, None);
        };
        let (count, last) = due.fold((1, first.last), |(count, _), gap| (count + 1, gap.last));
        (count, Some((first.first, last)))
    }

    /// Notes that nothing in the span filled, without an answer that listed it: nothing is given up by this.
    pub fn postpone(&mut self, span: (EventId, EventId), site_now: Unix, policy: &GapPolicy) {
        for gap in self
            .list
            .iter_mut()
            .filter(|gap| gap.first >= span.0 && gap.last <= span.1)
        {
            // One whose time is over ends by an answer that lists it, nothing less.
            if site_now - gap.since < policy.give_up {
                gap.asked = gap.asked.max(site_now);
            }
        }
    }

    /// Notes a successful answer that covered `ranges` up to `covered_to`, and returns what it gives up: gaps whose time was over when the question was asked.
    pub fn cover(
        &mut self,
        ranges: &[(EventId, EventId)],
        covered_to: EventId,
        answered: Unix,
        asked: Option<Unix>,
        policy: &GapPolicy,
    ) -> Vec<Gap> {
        let mut given_up = Vec::new();
        self.list.retain_mut(|gap| {
            let is_covered = gap.last <= covered_to
                && ranges.iter().any(|r| r.0 <= gap.first && gap.last <= r.1);
            if !is_covered {
                return true;
            }
            gap.asked = gap.asked.max(answered);
            let is_over = asked.is_some_and(|asked| asked - gap.since >= policy.give_up);
            if is_over {
                given_up.push(*gap);
            }
            !is_over
        });
        given_up
    }

    /// The site's clock was moved by so many milliseconds: ages stay as they were.
    pub fn clock_moved(&mut self, ms: i64) {
        for gap in &mut self.list {
            gap.since = gap.since.moved(ms);
            if gap.asked != NOT_YET {
                gap.asked = gap.asked.moved(ms);
            }
        }
    }

    fn find(&self, id: EventId) -> Option<usize> {
        let at = self.list.partition_point(|gap| gap.last < id);
        self.list.get(at).filter(|gap| gap.first <= id).map(|_| at)
    }

    fn find_set_aside(&self, id: EventId) -> Option<usize> {
        self.find(id).filter(|at| self.list[*at].is_unreadable)
    }

    /// Joins neighbours, but never across a row that spoils its answer.
    fn merge(&self, due: &[&Gap], mut budget: i64) -> Vec<(EventId, EventId)> {
        let mut ranges: Vec<(EventId, EventId)> = Vec::with_capacity(due.len());
        for gap in due {
            let between = ranges.last().map(|last| gap.first.0 - last.1.0 - 1);
            match (ranges.last_mut(), between) {
                (Some(last), Some(known))
                    if known < MERGE_BELOW
                        && known <= budget
                        && !self.has_unreadable(last.1, gap.first) =>
                {
                    budget -= known;
                    last.1 = gap.last;
                }
                _ => ranges.push((gap.first, gap.last)),
            }
        }
        ranges
    }

    fn has_unreadable(&self, above: EventId, below: EventId) -> bool {
        if self.spoilers.range(above..below).next().is_some() {
            return true;
        }
        let from = self.list.partition_point(|gap| gap.first <= above);
        self.list[from..]
            .iter()
            .take_while(|gap| gap.first < below)
            .any(|gap| gap.is_unreadable)
    }
}

/// Before the site's first answer its clock is unknown: everything is due.
fn is_due(gap: &Gap, site_now: Option<Unix>, policy: &GapPolicy) -> bool {
    site_now.is_none_or(|now| now - gap.since < policy.timeout)
        || is_late_due(gap, site_now, policy)
}

/// A late gap whose time is not over: a count of rows tells whether anything filled.
fn is_counted(gap: &Gap, site_now: Option<Unix>, policy: &GapPolicy) -> bool {
    site_now.is_some_and(|now| {
        let age = now - gap.since;
        policy.timeout <= age && age < policy.give_up
    })
}

fn is_late_due(gap: &Gap, site_now: Option<Unix>, policy: &GapPolicy) -> bool {
    let Some(now) = site_now else { return true };
    let age = now - gap.since;
    let every = if age < policy.timeout + LATE_FOR {
        LATE_EVERY
    } else {
        OLD_EVERY
    };
    now - gap.asked >= every || (age >= policy.give_up && gap.asked - gap.since < policy.give_up)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: GapPolicy = GapPolicy {
        timeout: Duration::from_secs(300),
        give_up: Duration::from_secs(86_400),
    };

    fn gap(first: i64, last: i64, since: i64, asked: i64) -> Gap {
        Gap {
            first: EventId(first),
            last: EventId(last),
            since: Unix(since),
            asked: Unix(asked),
            is_unreadable: false,
        }
    }

    fn pairs(ranges: &[(EventId, EventId)]) -> Vec<(i64, i64)> {
        ranges.iter().map(|r| (r.0.0, r.1.0)).collect()
    }

    #[test]
    fn when_a_gap_is_asked() {
        let minute = 60_000;
        for (age, unasked, is_asked) in [
            (0, 0, true),
            (299_000, 0, true),
            (300_000, minute - 1, false),
            (300_000, minute, true),
            (3_899_000, minute, true),
            (3_900_000, minute, false),
            (3_900_000, 10 * minute, true),
        ] {
            let now = 100_000_000;
            let gaps = Gaps::new(vec![gap(5, 6, now - age, now - unasked)]);
            assert_eq!(
                !gaps.due(Some(Unix(now)), &POLICY, 500, true).is_empty(),
                is_asked,
                "age {age} unasked {unasked}"
            );
        }
    }

    #[test]
    fn near_ranges_are_asked_as_one_but_not_across_an_unreadable_row() {
        let mut gaps = Gaps::new(vec![
            gap(1, 2, 0, 0),
            gap(40, 40, 0, 0),
            gap(100, 101, 0, 0),
        ]);
        assert_eq!(
            pairs(&gaps.due(Some(Unix(1)), &POLICY, 500, true)),
            [(1, 40), (100, 101)]
        );
        gaps = Gaps::new(vec![
            gap(1, 2, 0, 0),
            gap(20, 20, 0, 0),
            gap(40, 40, 0, 0),
            gap(100, 101, 0, 0),
        ]);
        assert!(gaps.mark_unreadable(EventId(20), EventId(20), Unix(0)));
        assert_eq!(
            pairs(&gaps.due(Some(Unix(1)), &POLICY, 500, true)),
            [(1, 2), (40, 40), (100, 101)]
        );
        assert_eq!(
            gaps.due_alone(Unix(90_000_000), &POLICY, 9),
            Some((EventId(20), EventId(20)))
        );
    }

    #[test]
    fn a_known_row_that_spoils_its_answers_opens_no_gap() {
        let mut gaps = Gaps::new(vec![gap(1, 2, 0, 0), gap(40, 40, 0, 0)]);
        assert!(!gaps.mark_unreadable(EventId(20), EventId(20), Unix(0)));
        assert!(!gaps.contains(EventId(20)));
        assert_eq!(gaps.list().len(), 2);
    }

    #[test]
    fn what_was_set_aside_is_halved_until_one_is_left() {
        let mut gaps = Gaps::new(vec![gap(1, 99, 5_000, 5_000)]);
        assert!(gaps.mark_unreadable(EventId(10), EventId(40), Unix(NOT_YET.0)));
        let now = Unix(100_000_000);
        let mut asked = 0;
        while let Some(range) = gaps.due_alone(now, &POLICY, 20) {
            asked += 1;
            assert!(range.1.0 - range.0.0 < 20);
            let is_bad = (range.0.0..=range.1.0).contains(&17);
            if is_bad {
                assert_eq!(gaps.failed_alone(range, now), range.0 == range.1);
            } else {
                gaps.read_alone(range, EventId(i64::MAX));
            }
        }
        assert!(asked <= 11, "{asked}");
        let bad: Vec<&Gap> = gaps.list().iter().filter(|gap| gap.is_unreadable).collect();
        assert_eq!((bad.len(), bad[0].first.0, bad[0].last.0), (1, 17, 17));
        let missing: i64 = gaps.list().iter().map(|g| g.last.0 - g.first.0 + 1).sum();
        assert_eq!(missing, 99);
        assert!(
            !gaps.failed_alone((EventId(17), EventId(17)), now),
            "found before: not told again"
        );
    }

    #[test]
    fn the_longest_unasked_come_first() {
        let many: Vec<Gap> = (0..250)
            .map(|n| gap(n * 100, n * 100, 0, 1000 - n))
            .collect();
        let due = Gaps::new(many).due(Some(Unix(1)), &POLICY, 500, true);
        assert_eq!(due.len(), RANGES_MAX);
        assert_eq!(due[0].0, EventId(15_000));
    }

    #[test]
    fn a_gap_ends_only_by_an_answer_asked_after_its_time_that_covers_it() {
        let over = Unix(86_400_000);
        let all = [(EventId(1), EventId(9))];
        for (ranges, covered_to, asked, ends) in [
            (&all[..], 100, Some(over), true),
            (&all[..], 100, Some(Unix(over.0 - 1)), false),
            (&all[..], 100, None, false),
            (&all[..], 4, Some(over), false),
            (&[(EventId(6), EventId(9))][..], 100, Some(over), false),
        ] {
            let mut gaps = Gaps::new(vec![gap(5, 5, 0, 0)]);
            let given_up = gaps.cover(
                ranges,
                EventId(covered_to),
                Unix(over.0 + 5),
                asked,
                &POLICY,
            );
            assert_eq!(
                given_up.len() == 1,
                ends,
                "{ranges:?} {covered_to} {asked:?}"
            );
            assert_eq!(gaps.list().is_empty(), ends);
        }
    }

    proptest! {
        #[test]
        fn what_appears_leaves_its_gap_and_nothing_else(ids in prop::collection::vec(1i64..60, 0..60)) {
            let mut gaps = Gaps::new(vec![gap(5, 20, 0, 0), gap(30, 50, 0, 0)]);
            let mut model: BTreeSet<i64> = (5..=20).chain(30..=50).collect();
            for id in ids {
                prop_assert_eq!(gaps.fill(EventId(id)), model.remove(&id));
                let left: Vec<i64> = gaps.list().iter().flat_map(|g| g.first.0..=g.last.0).collect();
                prop_assert_eq!(left, model.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
