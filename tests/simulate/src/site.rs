//! A model of the site: rows that are reserved early and committed late, and answers that come late, fail or lie.
//!
//! Never: what the daemon makes of an answer.

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use bytes::Bytes;
use sgeventd::{
    clock::Unix,
    event::{Facts, Link},
    ident::{EventId, Timeline},
    ingest::{Answer, Failure, Fields, Kind, Question, Row, Trouble},
};

use crate::chance::{Chance, Die};

/// The moment at which a run begins, by a site's clock that is right.
pub(crate) const EPOCH: i64 = 1_700_000_000_000;
/// The event types of the site.
pub(crate) const KINDS: [&str; 6] = [
    "Shotgun_Shot_Change",
    "Shotgun_Task_Change",
    "Shotgun_Version_New",
    "Shotgun_Note_New",
    "Shotgun_Asset_Change",
    "Shotgun_User_Login",
];
const BODIES: [&[u8]; 2] = [
    br#"{"meta":{"new_value":"fin"}}"#,
    br#"{"meta":{"new_value":"ip"}}"#,
];

/// A restore leaves so many rows at least.
const KEPT: u64 = 10;

/// A row as it is kept.
#[derive(Debug, Clone)]
struct Stored {
    row: Row,
    /// When it became readable.
    at: u64,
    /// What cannot be read: 0 nothing, 1 some field, 2 all but its id, 3 not even that.
    spoilt: u8,
}

/// How the site behaves for now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mood {
    pub(crate) is_down: bool,
    pub(crate) is_faulty: bool,
    pub(crate) is_refusing: bool,
    pub(crate) asks_for_pauses: bool,
    pub(crate) is_slow: bool,
    pub(crate) is_shuffling: bool,
    pub(crate) cannot_count: bool,
    /// Nothing that was committed after this is shown.
    pub(crate) stands_at: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Site {
    rows: BTreeMap<i64, Stored>,
    pub(crate) next_id: i64,
    pub(crate) mood: Mood,
    /// By how much its clock is ahead.
    pub(crate) ahead: u64,
    page_max: Option<(usize, bool)>,
    /// Rows that were written before this time are not ours, if the log is followed from a time on.
    pub(crate) wanted_from: Option<Unix>,
    chance: Chance,
    asked: u64,
}

impl Site {
    pub(crate) fn new(chance: Chance, page_max: Option<(usize, bool)>) -> Self {
        Self {
            rows: BTreeMap::new(),
            next_id: 1,
            mood: Mood::default(),
            ahead: 0,
            page_max,
            wanted_from: None,
            chance,
            asked: 0,
        }
    }

    /// An answer that is given now shows what was committed up to then.
    pub(crate) fn shows_up_to(&self, now: u64) -> u64 {
        self.mood.stands_at.map_or(now, |at| at.min(now))
    }

    /// Its clock.
    pub(crate) fn clock(&self, now: u64) -> Unix {
        Unix(EPOCH + now as i64 + self.ahead as i64)
    }

    /// Reserves an id.
    pub(crate) fn reserve(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// A reserved id becomes readable. `made`: when it was reserved.
    pub(crate) fn commit(&mut self, id: i64, made: u64, now: u64, epoch: u64) {
        let stored = Stored {
            row: self.row(id, made, epoch),
            at: now,
            spoilt: 0,
        };
        self.rows.insert(id, stored);
    }

    fn row(&self, id: i64, made: u64, epoch: u64) -> Row {
        let dice = |die, n| self.chance.below(die, id as u64, epoch, n);
        let entity = dice(Die::Entity, 13) as i64;
        let link = |kind: &str, id| Link {
            kind: kind.into(),
            id,
            name: None,
        };
        let facts = Facts {
            timeline: Timeline(0),
            event_id: EventId(id),
            created_at: Some(self.clock(made)),
            event_type: KINDS[dice(Die::Kind, KINDS.len() as u64) as usize].into(),
            attribute_name: None,
            session_uuid: None,
            project: (entity % 3 > 0).then(|| link("Project", entity % 3)),
            entity: (entity > 0).then(|| link("Shot", entity)),
            user: None,
            subject: None,
            sudo_user: None,
            is_partial: false,
        };
        let body = BODIES[usize::from(dice(Die::Kind, 3) > 0)];
        Row {
            facts,
            body: Bytes::from_static(body),
        }
    }

    /// Those that are readable, by id and time.
    pub(crate) fn readable(&self) -> impl Iterator<Item = (i64, u64)> {
        let rows = self.rows.iter().filter(|(_, stored)| stored.spoilt < 2);
        rows.map(|(id, stored)| (*id, stored.at))
    }

    /// Ids of a range that could be read by who looks at what was committed up to then.
    pub(crate) fn shown(&self, first: i64, last: i64, up_to: u64) -> impl Iterator<Item = i64> {
        let rows = self.rows.range(first..=last);
        let shown = rows.filter(move |(_, stored)| stored.spoilt < 2 && stored.at <= up_to);
        shown.map(|(id, _)| *id)
    }

    /// The newest id.
    pub(crate) fn newest(&self) -> i64 {
        self.rows.last_key_value().map_or(0, |(id, _)| *id)
    }

    /// A row spoils its answers from now on: the newest but so many.
    pub(crate) fn spoil(&mut self, how: u8, back: u64) -> Option<i64> {
        let (id, stored) = self.rows.iter_mut().rev().nth(back as usize)?;
        stored.spoilt = how + 1;
        Some(*id)
    }

    /// Every row can be read again.
    pub(crate) fn mend(&mut self) {
        for stored in self.rows.values_mut() {
            stored.spoilt = 0;
        }
    }

    /// The newest row goes from sight.
    pub(crate) fn archive(&mut self) -> Option<i64> {
        self.rows.pop_last().map(|(id, _)| id)
    }

    /// The oldest rows go, all but so many.
    pub(crate) fn purge(&mut self, keep: u64) {
        while self.rows.len() as u64 > keep {
            self.rows.pop_first();
        }
    }

    /// It is as it was so many rows ago; ids are given out anew. Returns the newest id that is left.
    pub(crate) fn restore(&mut self, back: u64) -> i64 {
        for _ in 0..back.min((self.rows.len() as u64).saturating_sub(KEPT)) {
            self.rows.pop_last();
        }
        self.next_id = self.newest() + 1;
        self.newest()
    }

    /// The row as it is now, for a body that was pruned: none when it is gone.
    pub(crate) fn find(&self, id: EventId) -> Option<&Row> {
        self.rows.get(&id.0).map(|stored| &stored.row)
    }

    /// True when it can be asked for a row.
    pub(crate) fn is_there(&self) -> bool {
        !self.mood.is_down && !self.mood.is_faulty && !self.mood.is_refusing
    }

    /// Answers a question as it is now.
    pub(crate) fn ask(&mut self, question: &Question, now: u64) -> Result<Answer, Failure> {
        self.asked += 1;
        if self.mood.is_down {
            return Err(trouble(true, None));
        }
        if self.mood.is_refusing {
            return Err(Failure::Refused("wrong key".into()));
        }
        if self.mood.asks_for_pauses && self.chance.below(Die::SiteLie, self.asked, 1, 3) > 0 {
            return Err(trouble(true, Some(Duration::from_secs(20))));
        }
        let site_time = self.clock(now);
        let Some((wanted, limit)) = self.wanted(&question.kind) else {
            return self.told(&question.kind, site_time);
        };
        if self.mood.is_faulty {
            return Err(trouble(false, None));
        }
        let cut = limit.min(self.page_max.map_or(usize::MAX, |(most, _)| most));
        let mut found: Vec<&Stored> = wanted.take(cut.saturating_add(1)).collect();
        let has_more = found.len() > cut;
        found.truncate(cut);
        let most = match question.fields {
            Fields::Whole => 0,
            Fields::NoMeta => 1,
            Fields::Least => 1,
            Fields::Id => 2,
        };
        if found.iter().any(|stored| stored.spoilt > most) {
            return Err(trouble(true, None));
        }
        let mut rows: Vec<Row> = found
            .iter()
            .map(|stored| cut_to(&stored.row, question.fields))
            .collect();
        if self.mood.is_shuffling {
            self.shuffle(&mut rows);
        }
        Ok(Answer {
            rows,
            has_more,
            site_time,
            ..Answer::default()
        })
    }

    /// Another order, and one row twice.
    fn shuffle(&self, rows: &mut Vec<Row>) {
        for at in (1..rows.len()).rev() {
            let other = self
                .chance
                .below(Die::SiteLie, self.asked, at as u64, at as u64 + 1);
            rows.swap(at, other as usize);
        }
        if let Some(row) = rows.first().cloned() {
            rows.push(row);
        }
    }

    fn visible(&self) -> impl DoubleEndedIterator<Item = &Stored> {
        self.between(i64::MIN, i64::MAX)
    }

    fn between(&self, first: i64, last: i64) -> impl DoubleEndedIterator<Item = &Stored> {
        let to = self.mood.stands_at.unwrap_or(u64::MAX);
        let last = last.max(first);
        let rows = self
            .rows
            .range((Bound::Included(first), Bound::Included(last)));
        rows.map(|(_, stored)| stored)
            .filter(move |stored| stored.at <= to)
    }

    fn wanted<'a>(
        &'a self,
        kind: &'a Kind,
    ) -> Option<(Box<dyn Iterator<Item = &'a Stored> + 'a>, usize)> {
        Some(match kind {
            Kind::Newest { limit } => (Box::new(self.visible().rev()), *limit),
            Kind::Since(time) => {
                let since = |stored: &&Stored| stored.row.facts.created_at >= Some(*time);
                (Box::new(self.visible().filter(since)), 1)
            }
            Kind::Page { ranges, limit } => {
                assert!(
                    !ranges.is_empty(),
                    "a question without ids asks for every row"
                );
                let rows = ranges.iter().flat_map(|range| {
                    let last = range.last.map_or(i64::MAX, |last| last.0);
                    self.between(range.first.0, last)
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
                if self.mood.cannot_count || self.mood.is_faulty {
                    return Err(trouble(false, None));
                }
                answer.count = Some(self.between(first.0, last.0).count() as u64);
            }
            _ => match self.page_max {
                Some((_, false)) => return Err(trouble(false, None)),
                page_max => answer.page_max = page_max.map(|(most, _)| most),
            },
        }
        Ok(answer)
    }
}

fn trouble(is_outage: bool, retry_after: Option<Duration>) -> Failure {
    Failure::Failed(Trouble {
        message: "503".into(),
        retry_after,
        is_outage,
    })
}

fn cut_to(row: &Row, fields: Fields) -> Row {
    let mut row = row.clone();
    match fields {
        Fields::Whole => {}
        Fields::NoMeta => row.body = Bytes::from_static(b"{}"),
        Fields::Least => {
            row.body = Bytes::from_static(b"{}");
            (row.facts.project, row.facts.entity) = (None, None);
        }
        Fields::Id => {
            row.body = Bytes::from_static(b"{}");
            (row.facts.project, row.facts.entity) = (None, None);
            (row.facts.event_type, row.facts.created_at) = ("".into(), None);
        }
    }
    row
}
