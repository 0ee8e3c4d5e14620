//! The machine of ingest: which question to ask the site next, and what an answer means.
//!
//! ```text
//!   poll_question ──► task asks the site ──► answered / failed ──► Append for the journal, notices for people
//!   poll_beside   ──► … at the same time ──► beside_answered / beside_failed
//! ```
//! In: answers, failures, times, a random number. Out: [`Question`], [`Append`], [`Notice`].
//! Never: I/O, a clock, the journal. Ages of gaps are by the site's clock.

mod anchor;
mod ask;
mod beside;
mod page;
mod start;
mod take;
mod trouble;

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

pub use self::anchor::anchors;

use self::{beside::Beside, start::Start, trouble::Outage};
use super::{
    gaps::{GapPolicy, Gaps},
    narrow::Narrow,
    pace::{Pace, PacePolicy},
    question::{Answer, Kind, Notice, Policy, Question, Range, Row},
};
use crate::{
    clock::{Mono, Now, Unix},
    ident::{EventId, Timeline},
    journal::{Anchor, Append, IngestState, NewEvent},
};

/// A head row that is missing from its answers for so long is looked into.
const ANCHOR_PATIENCE: Duration = Duration::from_secs(60);
/// A halted ingest looks again so often: a lagging replica may have looked like a restored site.
const HALTED_EVERY: Duration = Duration::from_secs(60);
/// Rows that may serve as anchor when the head row is gone from sight.
const RECENT: usize = 64;
/// Ids below the very first row that may still be committing.
const FIRST_REACH: i64 = 1000;
/// Late gaps above this number are counted before they are listed.
const MANY_LATE: usize = 100;
/// The site's clock was moved when it is off by this from what it must show by now; an answer may be under way for less.
const CLOCK_STEP_MS: u64 = 5 * 60 * 1000;
/// Rows without an id are told again after this.
const BAD_ROWS_AGAIN: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The first answer is to come.
    Starting(Start),
    /// The usual.
    Following,
    /// The page fails: is it the page or the site?
    Probing(Vec<Range>),
    /// One row spoils its page.
    Narrowing(Search),
    /// The head row is missing from its answers: what is the newest?
    Searching,
    /// Restored, or the key sees less; with a known row that is still to be seen, the newest is asked for.
    Halted(Option<Anchor>),
}

/// The search for a row that spoils its page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Search {
    narrow: Narrow,
    since: Mono,
    /// The last part failed: see whether the site lives.
    must_probe: bool,
    /// It did not: what failed says nothing of the part.
    was_away: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    /// The site's own limit of a page, when it told one.
    page_max: Option<usize>,
    /// The site is to be asked for it.
    asks_limits: bool,
    state: IngestState,
    gaps: Gaps,
    recent: VecDeque<Anchor>,
    /// The row that proves answers; the head but when that is gone from sight.
    proof: Option<Anchor>,
    phase: Phase,
    pace: Pace,
    next_at: Mono,
    asked: Option<Asked>,
    beside: Beside,
    site_clock: Option<(Unix, Mono)>,
    /// The head row is missing since.
    lost_since: Option<Mono>,
    /// A full page ended below the anchor: ask no further than this, and for the anchor.
    cap: Option<EventId>,
    page_failures: u32,
    outage: Option<Outage>,
    /// What the site said when it refused to show the log.
    fault: Option<String>,
    refused: bool,
    late: LateCount,
    /// While halted: the highest known row that is as it was, when none below it differs.
    same_to: Option<EventId>,
    /// While halted: so many of the highest known rows are left out, because a question for them failed.
    left_out: usize,
    /// Known ids under which another row was shown since it halted, and theirs not again.
    others: BTreeSet<EventId>,
    /// Rows without an id, as last told.
    bad_rows: Option<(usize, Mono)>,
    notices: Vec<Notice>,
}

/// Whether many late gaps are counted or listed.
#[derive(Debug, Clone, Default)]
struct LateCount {
    /// The span and its rows at the last count.
    last: Option<((EventId, EventId), u64)>,
    /// Counts in a row that found nothing new.
    same: u32,
    /// Pages to ask before the next count.
    pages: usize,
}

#[derive(Debug, Clone)]
struct Asked {
    question: Question,
    site_time: Option<Unix>,
    /// It was asked after something failed beside the polls: it tells whether that was the site.
    settles_doubt: bool,
}

impl Machine {
    /// Goes on where the journal says we stood. `recent`: the last journaled rows, ascending, other anchors should the head row vanish.
    #[must_use]
    pub fn new(policy: Policy, state: IngestState, recent: Vec<Anchor>) -> Self {
        let oldest = recent.first().map(|row| row.event_id);
        let is_older = |row: &&Anchor| oldest.is_none_or(|oldest| row.event_id < oldest);
        let begun_with = state.begun_with.iter().filter(is_older).cloned();
        let recent = begun_with.chain(recent).collect();
        let mut machine = Self {
            policy,
            page_max: None,
            asks_limits: true,
            gaps: Gaps::new(state.gaps.clone()),
            proof: state.anchor.clone().or_else(|| state.head.clone()),
            recent,
            phase: Phase::Following,
            state,
            pace: Pace::default(),
            next_at: Mono(0),
            asked: None,
            beside: Beside::default(),
            site_clock: None,
            lost_since: None,
            cap: None,
            page_failures: 0,
            outage: None,
            fault: None,
            refused: false,
            late: LateCount::default(),
            same_to: None,
            left_out: 0,
            others: BTreeSet::new(),
            bad_rows: None,
            notices: Vec::new(),
        };
        if !machine.state.is_started {
            machine.begin();
        }
        machine
    }

    /// Takes a changed config.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// What is known so far.
    #[must_use]
    pub fn state(&self) -> &IngestState {
        &self.state
    }

    /// True while the site seems restored and ingest waits for an operator.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        matches!(self.phase, Phase::Halted(_))
    }

    /// What it is at, in a word.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Starting(_) => "starting",
            Phase::Following => "following",
            Phase::Probing(_) => "probing",
            Phase::Narrowing(_) => "narrowing",
            Phase::Searching => "searching",
            Phase::Halted(_) => "halted",
        }
    }

    /// Where the next timeline would begin when the site were accepted now: above the known rows that are as they were.
    #[must_use]
    pub fn would_accept_from(&self) -> Option<EventId> {
        let same_to = self.same_to.filter(|_| self.is_halted())?;
        Some(EventId(same_to.0 + 1))
    }

    /// Why the site, which answers, does not show the log.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The age of the oldest gap by the site's clock.
    #[must_use]
    pub fn oldest_gap(&self, now: Now) -> Option<Duration> {
        let since = self.gaps.list().iter().map(|gap| gap.since).min()?;
        Some(self.site_now(now)? - since)
    }

    /// What happened since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// When [`Self::poll_question`] is to be called again; none while a question is under way.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let told_at = self.outage_told_at().unwrap_or(Mono(u64::MAX));
        self.asked.is_none().then_some(self.next_at.min(told_at))
    }

    /// Asks soon: somebody knows that there is something new.
    pub fn nudge(&mut self, now: Now) {
        if self.outage.is_none() && !self.refused {
            self.next_at = self.next_at.min(now.mono);
        }
    }

    /// An operator accepts a restored site: the next timeline starts at `from`. What is under way is of the old one and must be forgotten.
    #[must_use]
    pub fn accept(&mut self, from: EventId, now: Now) -> Append {
        let expected_head = self.head_id();
        // What is missing of the old timeline can never come any more.
        self.give_up(self.gaps.list().to_vec());
        self.notices.push(Notice::Accepted(from));
        self.state = IngestState {
            is_started: true,
            timeline: Timeline(self.state.timeline.0 + 1),
            floor: EventId(from.0 - 1),
            given_up: self.state.given_up,
            filled: self.state.filled,
            ..IngestState::default()
        };
        self.gaps = Gaps::default();
        self.recent.clear();
        self.beside = Beside::default();
        self.late = LateCount::default();
        (self.proof, self.cap, self.lost_since, self.asked) = (None, None, None, None);
        self.phase = Phase::Following;
        self.others.clear();
        self.page_failures = 0;
        self.next_at = now.mono;
        Append {
            expected_head,
            events: Vec::new(),
            ingest: self.state.clone(),
        }
    }

    /// The question to ask now, if any. It must be followed by [`Self::answered`] or [`Self::failed`].
    pub fn poll_question(&mut self, now: Now) -> Option<Question> {
        self.tell_outage(now);
        if self.asked.is_some() || now.mono < self.next_at {
            return None;
        }
        let question = self.next_question(now);
        self.asked = Some(Asked {
            question: question.clone(),
            site_time: self.site_now(now),
            settles_doubt: self.beside.has_doubt(),
        });
        Some(question)
    }

    /// Takes an answer; what it returns must be committed before the next one is.
    pub fn answered(&mut self, answer: Answer, now: Now) -> Option<Append> {
        let mut asked = self.asked.take()?;
        if asked.question.kind == Kind::Limits {
            self.page_max = answer.page_max;
            return None;
        }
        let step = self.site_clock_moved(answer.site_time, now);
        asked.site_time = asked.site_time.map(|at| at.moved(step));
        self.pace.lives();
        self.is_up();
        self.tell_bad_rows(answer.bad_rows, now);
        if asked.settles_doubt {
            self.settle_doubt(answer.site_time);
        }
        match (&asked.question.kind, &self.phase) {
            (_, Phase::Starting(_)) => self.start(&asked.question.kind, answer, now),
            (Kind::Newest { .. }, Phase::Searching) => self.found_newest(&answer, now),
            (Kind::Newest { .. }, Phase::Halted(_)) => self.seen_again(&answer, now),
            (Kind::Newest { .. }, _) => self.probed(&answer, now),
            (Kind::Page { .. }, Phase::Halted(_)) => self.look_again(answer, now),
            (Kind::Page { ranges, limit }, _) => {
                let (ranges, limit) = (ranges.clone(), *limit);
                self.learn_limit(&answer, limit);
                self.read_page(&asked, &ranges, limit, answer, now)
            }
            (Kind::Since(_) | Kind::Count(..) | Kind::Limits, _) => None,
        }
    }

    fn tell_bad_rows(&mut self, count: usize, now: Now) {
        let is_told = self
            .bad_rows
            .is_some_and(|(told, at)| told == count && now.mono - at < BAD_ROWS_AGAIN);
        if count > 0 && !is_told {
            self.bad_rows = Some((count, now.mono));
            self.notices.push(Notice::BadRows(count));
        }
    }

    fn append(&mut self, expected_head: Option<EventId>, events: Vec<NewEvent>) -> Append {
        self.state.gaps = self.gaps.list().to_vec();
        self.state.anchor = self
            .proof
            .clone()
            .filter(|proof| Some(proof) != self.state.head.as_ref());
        Append {
            expected_head,
            events,
            ingest: self.state.clone(),
        }
    }

    fn head_id(&self) -> Option<EventId> {
        self.state.head.as_ref().map(|head| head.event_id)
    }

    /// Ids up to here are known or missing, never new.
    fn known_to(&self) -> EventId {
        self.head_id().unwrap_or(self.state.floor)
    }

    /// Takes the site's clock from an answer. When it was moved meanwhile, ages of gaps and of what is under way go on as if it
    /// were not: nothing is given up for it. Returns by how much, in milliseconds.
    fn site_clock_moved(&mut self, site_time: Unix, now: Now) -> i64 {
        let expected = self.site_now(now).unwrap_or(site_time);
        self.site_clock = Some((site_time, now.mono));
        let step = site_time.0.saturating_sub(expected.0);
        if step.unsigned_abs() < CLOCK_STEP_MS {
            return 0;
        }
        self.gaps.clock_moved(step);
        self.beside.clock_moved(step);
        step
    }

    /// The site's clock now, from its last answer.
    fn site_now(&self, now: Now) -> Option<Unix> {
        self.site_clock.map(|(site, at)| site + (now.mono - at))
    }

    /// Rows of one answer.
    fn page(&self) -> usize {
        self.policy.page.min(self.page_max.unwrap_or(usize::MAX))
    }

    fn gap_policy(&self) -> GapPolicy {
        GapPolicy {
            timeout: self.policy.gap_timeout,
            give_up: self.policy.gap_give_up,
        }
    }

    fn pace_policy(&self) -> PacePolicy {
        let Policy {
            interval,
            max_interval,
            max_retry_wait,
            ..
        } = self.policy;
        PacePolicy {
            interval,
            max_interval,
            max_retry_wait,
        }
    }
}

fn ascending(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| row.facts.event_id);
    rows.dedup_by_key(|row| row.facts.event_id);
    rows
}
