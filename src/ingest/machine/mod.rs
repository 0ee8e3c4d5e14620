//! The machine of ingest: which question to ask the site next, and what an answer means.
//!
//! ```text
//!   poll_question ──► task asks the site ──► answered / failed ──► Append for the journal, notices for people
//! ```
//! In: answers, failures, times, a random number. Out: [`Question`], [`Append`], [`Notice`].
//! Never: I/O, a clock, the journal. Ages of gaps are by the site's clock.

mod anchor;
mod ask;
mod take;

use std::{collections::VecDeque, time::Duration};

use self::ask::{least, whole};
use super::{
    gaps::{GapPolicy, Gaps},
    narrow::{Narrow, Verdict},
    pace::{Pace, PacePolicy},
    question::{Answer, Failure, Fields, Kind, Notice, Policy, Question, Range, Row, StartFrom},
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
/// Failures of one page after which the newest row is tried.
const PAGE_FAILURES: u32 = 3;
/// Rows that may serve as anchor when the head row is gone from sight.
const RECENT: usize = 64;
/// Ids below the very first row that may still be committing.
const FIRST_REACH: i64 = 1000;
/// An outage that lasts so long is told.
const OUTAGE_ALERT: Duration = Duration::from_secs(120);
/// Late gaps above this number are counted before they are listed.
const MANY_LATE: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The first answer is to come.
    Starting,
    /// The usual.
    Following,
    /// The page fails: is it the page or the site?
    Probing(Vec<Range>),
    /// One row spoils its page; `true`: the last part failed, see whether the site lives.
    Narrowing(Narrow, bool),
    /// The head row is missing from its answers: what is the newest?
    Searching,
    /// Restored, or the key sees less.
    Halted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outage {
    since: Now,
    is_told: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    state: IngestState,
    gaps: Gaps,
    recent: VecDeque<Anchor>,
    /// The row that proves answers; the head but when that is gone from sight.
    proof: Option<Anchor>,
    phase: Phase,
    pace: Pace,
    next_at: Mono,
    asked: Option<Asked>,
    site_clock: Option<(Unix, Mono)>,
    /// The head row is missing since.
    lost_since: Option<Mono>,
    /// A full page ended below the anchor: ask no further than this, and for the anchor.
    cap: Option<EventId>,
    page_failures: u32,
    outage: Option<Outage>,
    refused: bool,
    late: LateCount,
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
}

impl Machine {
    /// Goes on where the journal says we stood. `recent`: the last journaled rows, ascending, other anchors should the head row vanish.
    #[must_use]
    pub fn new(policy: Policy, state: IngestState, recent: Vec<Anchor>) -> Self {
        let phase = if state.is_started {
            Phase::Following
        } else {
            Phase::Starting
        };
        let mut machine = Self {
            policy,
            gaps: Gaps::new(state.gaps.clone()),
            proof: state.anchor.clone().or_else(|| state.head.clone()),
            recent: recent.into(),
            state,
            phase,
            pace: Pace::default(),
            next_at: Mono(0),
            asked: None,
            site_clock: None,
            lost_since: None,
            cap: None,
            page_failures: 0,
            outage: None,
            refused: false,
            late: LateCount::default(),
            notices: Vec::new(),
        };
        match (&machine.phase, policy.start_from) {
            (Phase::Starting, StartFrom::Oldest) => machine.start_at(EventId(1)),
            (Phase::Starting, StartFrom::Id(id)) => machine.start_at(id),
            _ => {}
        }
        machine
    }

    /// Ids from `first` on are ours.
    fn start_at(&mut self, first: EventId) {
        self.state.floor = EventId(first.0 - 1);
        self.state.is_started = true;
        self.phase = Phase::Following;
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
        self.phase == Phase::Halted
    }

    /// What happened since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// When the next question may be asked; none while one is under way.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.asked.is_none().then_some(self.next_at)
    }

    /// Asks soon: somebody knows that there is something new.
    pub fn nudge(&mut self, now: Now) {
        if self.outage.is_none() && !self.refused {
            self.next_at = self.next_at.min(now.mono);
        }
    }

    /// An operator accepts a restored site: the next timeline starts at `from`.
    #[must_use]
    pub fn accept(&mut self, from: EventId, now: Now) -> Append {
        let expected_head = self.state.head.as_ref().map(|head| head.event_id);
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
        (self.proof, self.cap, self.lost_since, self.asked) = (None, None, None, None);
        self.phase = Phase::Following;
        self.next_at = now.mono;
        Append {
            expected_head,
            events: Vec::new(),
            ingest: self.state.clone(),
        }
    }

    /// The question to ask now, if any. It must be followed by [`Self::answered`] or [`Self::failed`].
    pub fn poll_question(&mut self, now: Now) -> Option<Question> {
        if self.asked.is_some() || now.mono < self.next_at {
            return None;
        }
        let question = match &self.phase {
            Phase::Starting => self.first_question(),
            // The anchor alone tells whether the log we followed is back.
            Phase::Halted => whole(self.with_proof(Vec::new()), self.policy.page),
            Phase::Following => self.page_question(now),
            Phase::Probing(_) | Phase::Searching | Phase::Narrowing(_, true) => {
                least(Kind::Newest { limit: 1 })
            }
            Phase::Narrowing(narrow, false) => self.narrow_question(narrow),
        };
        self.asked = Some(Asked {
            question: question.clone(),
            site_time: self.site_now(now),
        });
        Some(question)
    }

    /// Takes an answer; what it returns must be committed before the next one is.
    pub fn answered(&mut self, answer: Answer, now: Now, random: f32) -> Option<Append> {
        let asked = self.asked.take()?;
        self.site_clock = Some((answer.site_time, now.mono));
        self.is_up();
        if answer.bad_rows > 0 {
            self.notices.push(Notice::BadRows(answer.bad_rows));
        }
        match (&asked.question.kind, &self.phase) {
            (Kind::Newest { .. }, Phase::Starting) => self.start_at_newest(answer, now),
            (Kind::Since(_), _) => self.start_at_time(&answer, now),
            (Kind::Newest { .. }, Phase::Searching) => self.found_newest(&answer, now),
            (Kind::Newest { .. }, _) => self.probed(&answer, now, random),
            (Kind::Count(first, last), _) => {
                let span = (*first, *last);
                self.counted(span, &answer, now)
            }
            (Kind::Page { ranges, limit }, _) => {
                let (ranges, limit) = (ranges.clone(), *limit);
                self.read_page(&asked, &ranges, limit, answer, now)
            }
        }
    }

    /// Takes a failure.
    pub fn failed(&mut self, failure: Failure, now: Now, random: f32) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let (message, retry_after) = match failure {
            Failure::Refused(message) => return self.refuse(message, now),
            Failure::Failed {
                message,
                retry_after,
            } => (message, retry_after),
        };
        let is_page = matches!(asked.question.kind, Kind::Page { .. });
        self.next_at = now.mono + self.pace.failed(&self.pace_policy(), retry_after, random);
        if is_page && retry_after.is_none() {
            self.page_failed(asked.question);
        }
        self.is_down(message, now);
    }

    /// A page failed: try the newest row after a few times, at once while narrowing.
    fn page_failed(&mut self, question: Question) {
        self.page_failures += 1;
        match (&mut self.phase, question.kind) {
            (Phase::Narrowing(_, must_probe), _) => *must_probe = true,
            (Phase::Following, Kind::Page { ranges, .. })
                if self.page_failures >= PAGE_FAILURES =>
            {
                self.phase = Phase::Probing(ranges);
            }
            _ => {}
        }
    }

    fn refuse(&mut self, message: String, now: Now) {
        self.next_at = now.mono + self.pace.refused();
        if !std::mem::replace(&mut self.refused, true) {
            self.notices.push(Notice::Refused(message));
        }
    }

    fn is_down(&mut self, message: String, now: Now) {
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            is_told: false,
        });
        if now.mono - outage.since.mono >= OUTAGE_ALERT
            && !std::mem::replace(&mut outage.is_told, true)
        {
            let since = outage.since.unix;
            self.notices.push(Notice::Outage {
                since,
                message: message.clone(),
            });
        }
        self.notices.push(Notice::Down(message));
    }

    fn is_up(&mut self) {
        let outage = self.outage.take();
        let was_refused = std::mem::take(&mut self.refused);
        if outage.is_some() || was_refused {
            self.notices.push(Notice::Up(
                was_refused || outage.is_some_and(|outage| outage.is_told),
            ));
        }
    }

    /// The newest page fixes where we begin: its rows are behind us, the ids missing between them are gaps.
    fn start_at_newest(&mut self, answer: Answer, now: Now) -> Option<Append> {
        let rows = ascending(answer.rows);
        self.state.floor = rows
            .first()
            .map_or(EventId(0), |row| EventId(row.facts.event_id.0 - 1));
        self.state.is_started = true;
        self.phase = Phase::Following;
        self.next_at = now.mono;
        for row in &rows {
            self.climb(&row.facts, answer.site_time);
        }
        Some(self.append(None, Vec::new()))
    }

    fn start_at_time(&mut self, answer: &Answer, now: Now) -> Option<Append> {
        let Some(row) = answer.rows.first() else {
            // Nothing is that new: begin at the newest row.
            self.policy.start_from = StartFrom::Latest;
            self.next_at = now.mono;
            return None;
        };
        self.start_at(row.facts.event_id);
        self.next_at = now.mono;
        Some(self.append(None, Vec::new()))
    }

    /// The newest row can be read: it is the page, not the site.
    fn probed(&mut self, answer: &Answer, now: Now, _random: f32) -> Option<Append> {
        self.next_at = now.mono;
        let newest = answer
            .rows
            .first()
            .map_or(EventId(0), |row| row.facts.event_id);
        match std::mem::replace(&mut self.phase, Phase::Following) {
            Phase::Probing(span) => {
                if let Some(narrow) =
                    Narrow::new(span, newest.max(self.known_to()), self.proof.is_some())
                {
                    self.phase = Phase::Narrowing(narrow, false);
                }
            }
            Phase::Narrowing(mut narrow, true) => match narrow.failed() {
                Verdict::Go => self.phase = Phase::Narrowing(narrow, false),
                Verdict::Unreadable(id) => return self.set_aside(id, answer.site_time),
                Verdict::AnchorSpoils => self.move_anchor(self.known_to()),
            },
            other => self.phase = other,
        }
        None
    }

    fn read_page(
        &mut self,
        asked: &Asked,
        ranges: &[Range],
        limit: usize,
        answer: Answer,
        now: Now,
    ) -> Option<Append> {
        let site_time = answer.site_time;
        let is_full = answer.rows.len() + answer.bad_rows >= limit;
        let mut rows = ascending(answer.rows);
        let covered_to = match rows.last() {
            Some(row) if is_full => row.facts.event_id,
            _ => EventId(i64::MAX),
        };
        if !self.is_proven(&rows, covered_to, now) {
            return None;
        }
        self.page_failures = 0;
        self.late.pages = self.late.pages.saturating_sub(1);
        let held = self.hold(&mut rows, site_time);
        let expected = self.head_id();
        let before = (self.state.clone(), self.gaps.list().len());
        let is_partial = asked.question.fields != Fields::Whole;
        let events = self.take_rows(rows, is_partial, site_time);
        self.cover(asked, ranges, covered_to, site_time);
        let cap = self.cap.take().unwrap_or(covered_to);
        self.turn_phase(covered_to.min(cap));
        let narrowing = matches!(self.phase, Phase::Narrowing(..));
        let wait = self.pace.answered(
            &self.pace_policy(),
            !events.is_empty(),
            (is_full && !held) || narrowing,
        );
        self.next_at = now.mono + wait;
        let is_changed =
            !events.is_empty() || before.1 != self.gaps.list().len() || before.0 != self.state;
        is_changed.then(|| self.append(expected, events))
    }

    fn turn_phase(&mut self, covered_to: EventId) {
        if let Phase::Narrowing(narrow, _) = &mut self.phase
            && narrow.read(covered_to)
        {
            self.phase = Phase::Following;
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

    /// The site's clock now, from its last answer.
    fn site_now(&self, now: Now) -> Option<Unix> {
        self.site_clock.map(|(site, at)| site + (now.mono - at))
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
