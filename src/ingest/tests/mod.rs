//! What the machine promises, against a model of a site that reserves ids early and commits late.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use proptest::prelude::*;

mod following;
mod property;
mod starting;
mod trouble;

use super::*;
use crate::{
    clock::{Mono, Now, Unix},
    event::Facts,
    ident::{EventId, Timeline},
    journal::{Append, IngestState},
};

const PAGE: usize = 20;
/// Nothing is lost and nothing is doubled.
const NOTHING: (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());

fn policy() -> Policy {
    Policy {
        interval: Duration::from_secs(1),
        max_interval: Duration::from_secs(5),
        page: PAGE,
        start_from: StartFrom::Id(EventId(1)),
        gap_timeout: Duration::from_secs(300),
        gap_give_up: Duration::from_secs(86_400),
        gap_hold: Duration::ZERO,
        max_retry_wait: Duration::from_secs(60),
    }
}

fn row(id: i64, created_at: i64) -> Row {
    let facts = Facts {
        timeline: Timeline(0),
        event_id: EventId(id),
        created_at: Some(Unix(created_at)),
        event_type: "Shotgun_Shot_Change".into(),
        attribute_name: None,
        session_uuid: None,
        project: None,
        entity: None,
        user: None,
        subject: None,
        sudo_user: None,
        is_partial: false,
    };
    Row {
        facts,
        body: Bytes::new(),
    }
}

/// A site in a few lines: rows by id, and rows that spoil what holds them.
#[derive(Default)]
struct Site {
    rows: BTreeMap<i64, Row>,
    /// These cannot be read whole, …
    spoils_whole: BTreeSet<i64>,
    /// … these not at all but for their id, …
    spoils_all: BTreeSet<i64>,
    /// … and these not even so.
    spoils_id: BTreeSet<i64>,
    is_down: bool,
    /// It answers, and refuses to show the log.
    is_faulty: bool,
    /// It cannot count.
    cannot_count: bool,
    /// A replica that shows nothing above this id.
    lag: Option<i64>,
    /// The most rows of one answer, whatever is asked for.
    page_max: Option<usize>,
    /// It does not say so.
    hides_limits: bool,
    /// Its clock is ahead of ours by so much.
    ahead: Duration,
    /// A question that fails takes so long.
    failing_takes: Duration,
    /// Rows without an id in every answer.
    without_id: usize,
}

fn trouble(is_outage: bool) -> Failure {
    Failure::Failed(Trouble {
        message: "500".into(),
        retry_after: None,
        is_outage,
    })
}

impl Site {
    fn commit(&mut self, id: i64, at: Unix) {
        self.rows.insert(id, row(id, at.0));
    }

    fn visible(&self) -> impl DoubleEndedIterator<Item = &Row> {
        let to = self.lag.unwrap_or(i64::MAX);
        self.rows.range(..=to).map(|(_, row)| row)
    }

    fn ask(&self, question: &Question, at: Unix) -> Result<Answer, Failure> {
        if self.is_down {
            return Err(trouble(true));
        }
        let site_time = at + self.ahead;
        let Some((wanted, limit)) = self.wanted(&question.kind) else {
            return self.told(&question.kind, site_time);
        };
        if self.is_faulty {
            return Err(trouble(false));
        }
        let cut = limit.min(self.page_max.unwrap_or(usize::MAX));
        let mut rows: Vec<Row> = wanted.take(cut.saturating_add(1)).cloned().collect();
        let has_more = rows.len() > cut;
        rows.truncate(cut);
        if rows.iter().any(|row| self.is_spoiled(row, question.fields)) {
            return Err(trouble(true));
        }
        let cut = |row: Row| match question.fields {
            Fields::Id => Row {
                facts: Facts {
                    event_type: "".into(),
                    created_at: None,
                    ..row.facts
                },
                ..row
            },
            _ => row,
        };
        Ok(Answer {
            rows: rows.into_iter().map(cut).collect(),
            bad_rows: self.without_id,
            has_more,
            site_time,
            ..Answer::default()
        })
    }

    /// The rows that a question is about, and how many it wants.
    fn wanted<'a>(
        &'a self,
        kind: &'a Kind,
    ) -> Option<(Box<dyn Iterator<Item = &'a Row> + 'a>, usize)> {
        Some(match kind {
            Kind::Newest { limit } => (Box::new(self.visible().rev()), *limit),
            Kind::Since(time) => {
                let since = |row: &&Row| row.facts.created_at >= Some(*time);
                (Box::new(self.visible().filter(since)), 1)
            }
            Kind::Page { ranges, limit } => {
                assert!(!ranges.is_empty(), "a question without ids asks for all");
                let rows = ranges.iter().flat_map(|range| {
                    let to = self.lag.unwrap_or(i64::MAX);
                    let last = range.last.map_or(to, |last| last.0.min(to));
                    let first = range.first.0.min(last);
                    let rows = self.rows.range(first..=last).map(|(_, row)| row);
                    rows.filter(|row| row.facts.event_id >= range.first)
                });
                (Box::new(rows), *limit)
            }
            Kind::Count(..) | Kind::Limits => return None,
        })
    }

    fn told(&self, kind: &Kind, site_time: Unix) -> Result<Answer, Failure> {
        let mut answer = Answer {
            site_time,
            ..Answer::default()
        };
        match kind {
            Kind::Count(first, last) => {
                if self.cannot_count || self.is_faulty {
                    return Err(trouble(false));
                }
                let within = |row: &&Row| (*first..=*last).contains(&row.facts.event_id);
                answer.count = Some(self.visible().filter(within).count() as u64);
            }
            _ if self.hides_limits => return Err(trouble(false)),
            _ => answer.page_max = self.page_max,
        }
        Ok(answer)
    }

    fn is_spoiled(&self, row: &Row, fields: Fields) -> bool {
        let id = row.facts.event_id.0;
        self.spoils_id.contains(&id)
            || (fields != Fields::Id && self.spoils_all.contains(&id))
            || (fields == Fields::Whole && self.spoils_whole.contains(&id))
    }
}

/// The machine with a clock and what it journaled.
struct World {
    site: Site,
    machine: Machine,
    policy: Policy,
    now: Now,
    journaled: Vec<i64>,
    state: IngestState,
    notices: Vec<Notice>,
    requests: usize,
    beside: Option<Beside>,
}

/// A question beside the polls that is under way.
struct Beside {
    question: Question,
    until: Mono,
}

impl World {
    fn new(policy: Policy) -> Self {
        Self {
            site: Site {
                failing_takes: Duration::from_millis(10),
                ..Site::default()
            },
            machine: Machine::new(policy, IngestState::default(), Vec::new()),
            policy,
            now: Now {
                mono: Mono(0),
                unix: Unix(1_000_000_000),
            },
            journaled: Vec::new(),
            state: IngestState::default(),
            notices: Vec::new(),
            requests: 0,
            beside: None,
        }
    }

    fn commit(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.site.commit(id, self.now.unix);
        }
    }

    fn pass(&mut self, wait: Duration) {
        self.now = Now {
            mono: self.now.mono + wait,
            unix: self.now.unix + wait,
        };
    }

    fn keep(&mut self, append: Append) {
        self.journaled
            .extend(append.events.iter().map(|event| event.facts.event_id.0));
        self.state = append.ingest;
    }

    /// Asks what is due now, until nothing is.
    fn turn(&mut self) {
        let before = self.requests;
        self.turn_beside();
        while let Some(question) = self.machine.poll_question(self.now) {
            self.requests += 1;
            assert!(
                self.requests < before + 5000,
                "asks without end: {question:?} {:?}",
                self.notices.last()
            );
            match self.site.ask(&question, self.now.unix) {
                Ok(answer) => {
                    self.pass(Duration::from_millis(10));
                    if let Some(append) = self.machine.answered(answer, self.now) {
                        self.keep(append);
                    }
                }
                Err(failure) => {
                    self.pass(self.site.failing_takes);
                    self.machine.failed(failure, self.now, 0.5);
                }
            }
            self.notices.extend(self.machine.take_notices());
            self.turn_beside();
        }
    }

    /// What goes on beside the polls takes its own time.
    fn turn_beside(&mut self) {
        if let Some(beside) = self.beside.take_if(|beside| beside.until <= self.now.mono) {
            match self.site.ask(&beside.question, self.now.unix) {
                Ok(answer) => {
                    if let Some(append) = self.machine.beside_answered(answer) {
                        self.keep(append);
                    }
                }
                Err(failure) => self.machine.beside_failed(&failure, self.now),
            }
            self.notices.extend(self.machine.take_notices());
        }
        if self.beside.is_none()
            && let Some(question) = self.machine.poll_beside(self.now)
        {
            self.requests += 1;
            let until = self.now.mono + self.site.failing_takes;
            self.beside = Some(Beside { question, until });
        }
    }

    /// Lives for so long, a second at a time.
    fn live(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        while self.now.mono < end {
            self.turn();
            self.pass(Duration::from_secs(1));
        }
    }

    /// Lives for so long while somebody works once a second; returns by how many seconds the head was behind at worst.
    fn work(&mut self, seconds: u64) -> u64 {
        let mut next = self.site.rows.keys().last().copied().unwrap_or(0);
        let mut committed: Vec<(i64, Mono)> = Vec::new();
        let end = self.now.mono + Duration::from_secs(seconds);
        let mut worst = 0;
        while self.now.mono < end {
            next += 1;
            self.commit([next]);
            committed.push((next, self.now.mono));
            self.live(1);
            let head = self.state.head.as_ref().map_or(0, |head| head.event_id.0);
            committed.retain(|(id, _)| *id > head);
            if let Some((_, since)) = committed.first() {
                worst = worst.max((self.now.mono - *since).as_secs());
            }
        }
        worst
    }

    /// What can be read on the site and is not journaled, and what is journaled twice.
    fn wrong(&self) -> (Vec<i64>, Vec<i64>) {
        let bad = |id: &i64| self.site.spoils_all.contains(id) || self.site.spoils_id.contains(id);
        let journaled: BTreeSet<i64> = self.journaled.iter().copied().collect();
        let ids = self.site.rows.keys().copied();
        let lost = ids.filter(|id| !bad(id) && !journaled.contains(id));
        let sorted = self.sorted();
        let twice = sorted.windows(2).filter(|two| two[0] == two[1]);
        (lost.collect(), twice.map(|two| two[0]).collect())
    }

    fn sorted(&self) -> Vec<i64> {
        let mut sorted = self.journaled.clone();
        sorted.sort_unstable();
        sorted
    }

    /// How often something was told.
    fn count(&self, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.notices.iter().filter(|n| wanted(n)).count()
    }

    /// The daemon dies and starts again with what was committed.
    fn restart(&mut self) {
        self.machine = Machine::new(self.policy, self.state.clone(), Vec::new());
        self.beside = None;
    }

    fn has(&self, wanted: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(wanted)
    }
}
