//! Failures: is it the key, the site, or one row of a page?

use std::time::Duration;

use super::{Asked, Machine, Phase, Search};
use crate::{
    clock::{Mono, Now},
    ident::EventId,
    ingest::{
        narrow::{Narrow, Verdict},
        question::{Answer, Failure, Kind, Notice, Range, Trouble},
    },
    journal::Append,
};

/// Failures of one page after which the newest row is tried.
const PAGE_FAILURES: u32 = 3;
/// An outage that lasts so long is told.
const OUTAGE_ALERT: Duration = Duration::from_secs(120);
/// Between a part that failed and the look whether the site lives.
const PART_PAUSE: Duration = Duration::from_millis(250);
/// A search may hold the polls up for so long; then it goes on beside them.
const SEARCH_PATIENCE: Duration = Duration::from_secs(60);
/// Pages of ids that are set aside when the search takes long: the row is among the first page of rows.
const SET_ASIDE_PAGES: usize = 4;

/// The log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    since: Now,
    /// The last failure in words.
    message: String,
    is_told: bool,
    /// Nothing but the question for its limits failed.
    is_of_limits: bool,
    /// The site answers, and refuses.
    is_fault: bool,
}

impl Machine {
    /// Takes a failure.
    pub fn failed(&mut self, failure: Failure, now: Now, random: f32) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let trouble = match failure {
            Failure::Refused(message) => return self.refuse(message, now),
            Failure::Failed(trouble) => trouble,
        };
        if asked.question.kind == Kind::Limits && trouble.retry_after.is_none() {
            // What the site does not tell is found out by asking for rows.
            self.next_at = now.mono;
            return;
        }
        self.drop_doubt();
        let asked_kind = asked.question.kind.clone();
        let may_be_a_row = trouble.retry_after.is_none();
        if may_be_a_row && self.part_failed(&asked) {
            self.next_at = now.mono + PART_PAUSE;
            return;
        }
        if let Phase::Narrowing(search) = &mut self.phase {
            search.was_away = true;
        }
        let wait = self
            .pace
            .failed(&self.pace_policy(), trouble.retry_after, random);
        self.next_at = now.mono + wait;
        if may_be_a_row {
            self.page_failed(asked);
        }
        let is_of_limits = asked_kind == Kind::Limits;
        self.is_down(trouble, is_of_limits, now);
    }

    /// True when it was a part of a search: whether the site lives is seen next, and says what this means.
    fn part_failed(&mut self, asked: &Asked) -> bool {
        match (&mut self.phase, &asked.question.kind) {
            (Phase::Narrowing(search), Kind::Page { .. }) => {
                search.must_probe = true;
                true
            }
            _ => false,
        }
    }

    /// A page failed: try the newest row after a few times.
    fn page_failed(&mut self, asked: Asked) {
        self.page_failures += 1;
        let is_lasting = self.page_failures >= PAGE_FAILURES;
        match (&self.phase, asked.question.kind) {
            (Phase::Starting(start), _) => self.start_failed(*start, is_lasting),
            (Phase::Following, Kind::Page { ranges, .. }) if is_lasting => {
                self.phase = Phase::Probing(ranges);
            }
            // One of the known rows may have begun to spoil its answers: the next question does without the highest.
            (Phase::Halted(None), Kind::Page { .. }) => self.left_out += 1,
            _ => {}
        }
    }

    /// The newest row can be read: it is the page, not the site.
    pub(super) fn probed(&mut self, answer: &Answer, now: Now) -> Option<Append> {
        self.next_at = now.mono;
        let newest = answer
            .rows
            .first()
            .map_or(EventId(0), |row| row.facts.event_id);
        match std::mem::replace(&mut self.phase, Phase::Following) {
            Phase::Probing(span) => {
                let newest = newest.max(self.known_to());
                if let Some(narrow) = Narrow::new(span, newest, self.proof.is_some()) {
                    self.phase = Phase::Narrowing(Search {
                        narrow,
                        since: now.mono,
                        must_probe: false,
                        was_away: false,
                    });
                }
                None
            }
            Phase::Narrowing(search) => self.narrowed(search, answer, now),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// A part could not be read though the site lives.
    fn narrowed(&mut self, mut search: Search, answer: &Answer, now: Now) -> Option<Append> {
        if std::mem::take(&mut search.was_away) {
            // Neither the failure nor the time was the row's.
            search.since = now.mono;
            self.keep_searching(search);
            return None;
        }
        match search.narrow.failed() {
            Verdict::Unreadable(id) => {
                self.notices.push(Notice::Unreadable(id));
                return Some(self.set_aside(id, id, answer.site_time));
            }
            Verdict::AnchorSpoils => self.move_anchor(self.known_to()),
            Verdict::Go if now.mono - search.since >= SEARCH_PATIENCE => {
                let ids = i64::try_from(self.page() * SET_ASIDE_PAGES).unwrap_or(i64::MAX);
                let anchor = self.proof.as_ref().map(|proof| proof.event_id);
                if let Some((first, last)) = search.narrow.rest(anchor, ids) {
                    let range = Range {
                        first,
                        last: Some(last),
                    };
                    self.notices.push(Notice::SetAside(range));
                    return Some(self.set_aside(first, last, answer.site_time));
                }
                self.keep_searching(search);
            }
            Verdict::Go => self.keep_searching(search),
        }
        None
    }

    fn keep_searching(&mut self, search: Search) {
        self.phase = Phase::Narrowing(Search {
            must_probe: false,
            ..search
        });
    }

    /// One bad row seldom comes alone: the next failure is looked into at once.
    pub(super) fn expect_more(&mut self) {
        self.page_failures = PAGE_FAILURES - 1;
    }

    fn refuse(&mut self, message: String, now: Now) {
        self.next_at = now.mono + self.pace.refused();
        self.drop_doubt();
        (self.outage, self.fault, self.refused) = (None, None, true);
        self.notices.push(Notice::Refused(message));
    }

    fn is_down(&mut self, trouble: Trouble, is_of_limits: bool, now: Now) {
        let (message, is_fault) = (trouble.message, !trouble.is_outage);
        self.refused = false;
        self.fault = is_fault.then(|| message.clone());
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            message: String::new(),
            is_told: false,
            is_of_limits,
            is_fault,
        });
        message.clone_into(&mut outage.message);
        outage.is_of_limits &= is_of_limits;
        if outage.is_fault != is_fault {
            (outage.is_fault, outage.is_told) = (is_fault, false);
        }
        self.tell_outage(now);
        self.notices.push(if is_fault {
            Notice::Fault(message)
        } else {
            Notice::Down(message)
        });
    }

    /// When an outage is to be told, whatever the next failure: the site may have asked for a long pause.
    pub(super) fn outage_told_at(&self) -> Option<Mono> {
        let outage = self.outage.as_ref().filter(|outage| !outage.is_told)?;
        Some(outage.since.mono + OUTAGE_ALERT)
    }

    /// Tells of an outage that lasts.
    pub(super) fn tell_outage(&mut self, now: Now) {
        if self.outage_told_at().is_some_and(|at| at <= now.mono)
            && let Some(outage) = &mut self.outage
        {
            outage.is_told = true;
            self.notices.push(Notice::Outage {
                since: outage.since.unix,
                message: outage.message.clone(),
                is_fault: outage.is_fault,
            });
        }
    }

    pub(super) fn is_up(&mut self) {
        let outage = self.outage.take();
        let was_refused = std::mem::take(&mut self.refused);
        self.fault = None;
        if outage.is_some() || was_refused {
            // An upgrade, which may change it, looks like this; a site that will not tell is not asked for ever.
            self.asks_limits =
                was_refused || outage.as_ref().is_some_and(|outage| !outage.is_of_limits);
            self.notices.push(Notice::Up(
                was_refused || outage.is_some_and(|outage| outage.is_told),
            ));
        }
    }
}
