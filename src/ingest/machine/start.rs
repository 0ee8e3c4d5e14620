//! The first answer: it fixes where we begin.
//!
//! A row that spoils the first page cannot keep us from beginning: the ids alone do as well.

use super::{FIRST_REACH, Machine, Phase};
use crate::{
    clock::Now,
    ident::EventId,
    ingest::question::{Answer, Fields, Kind, Question, StartFrom},
    journal::Append,
};

/// So many rows of the first answer are remembered: they are in no journal.
const BEGUN_WITH: usize = 8;

/// How much is asked for; it becomes less when the first page fails though the site lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Start {
    /// The rows as they prove themselves.
    #[default]
    Rows,
    /// They failed: does the site live?
    RowsFailed,
    /// Their ids only.
    Ids,
    /// Even that failed: the newest id will do, if it can be had.
    IdsFailed,
}

impl Machine {
    /// An empty journal: begins at once where the config names an id, else with a question.
    pub(super) fn begin(&mut self) {
        match self.policy.start_from {
            StartFrom::Oldest => self.start_at(EventId(1)),
            StartFrom::Id(id) => self.start_at(id),
            StartFrom::Latest | StartFrom::Time(_) => self.phase = Phase::Starting(Start::Rows),
        }
    }

    /// Ids from `first` on are ours.
    fn start_at(&mut self, first: EventId) {
        self.state.floor = EventId((first.0 - 1).max(0));
        self.state.is_started = true;
        self.phase = Phase::Following;
    }

    pub(super) fn first_question(&self, start: Start) -> Question {
        let fields = if start == Start::Rows {
            Fields::Least
        } else {
            Fields::Id
        };
        let kind = match (start, self.policy.start_from) {
            (Start::RowsFailed | Start::IdsFailed, _) => Kind::Newest { limit: 1 },
            (_, StartFrom::Time(time)) => Kind::Since(time),
            _ => Kind::Newest { limit: self.page() },
        };
        Question { kind, fields }
    }

    pub(super) fn start(&mut self, asked: &Kind, answer: Answer, now: Now) -> Option<Append> {
        self.next_at = now.mono;
        match (&self.phase, asked) {
            // A time cannot be replaced by the newest row: what lies between would be lost.
            (Phase::Starting(Start::IdsFailed), _) if self.is_start_time() => {
                self.phase = Phase::Starting(Start::Ids);
                None
            }
            (Phase::Starting(Start::RowsFailed), _) => {
                self.phase = Phase::Starting(Start::Ids);
                None
            }
            (_, Kind::Since(_)) => self.start_at_time(&answer),
            (Phase::Starting(start), _) => {
                let reach = if *start == Start::IdsFailed {
                    FIRST_REACH
                } else {
                    0
                };
                self.start_at_newest(answer, reach)
            }
            _ => None,
        }
    }

    fn is_start_time(&self) -> bool {
        matches!(self.policy.start_from, StartFrom::Time(_))
    }

    /// The newest page fixes where we begin: its rows are behind us, the ids missing between them are gaps.
    fn start_at_newest(&mut self, answer: Answer, reach: i64) -> Option<Append> {
        let rows = super::ascending(answer.rows);
        self.start_at(rows.first().map_or(EventId(1), |row| {
            EventId(row.facts.event_id.0.saturating_sub(reach))
        }));
        for row in &rows {
            self.climb(&row.facts, answer.site_time);
        }
        let skip = self.recent.len().saturating_sub(BEGUN_WITH);
        self.state.begun_with = self.recent.iter().skip(skip).cloned().collect();
        Some(self.append(None, Vec::new()))
    }

    fn start_at_time(&mut self, answer: &Answer) -> Option<Append> {
        let Some(row) = answer.rows.first() else {
            // Nothing is that new: begin at the newest row.
            self.policy.start_from = StartFrom::Latest;
            return None;
        };
        // Ids below the first row may still be committing, with a time that is ours.
        let first = row.facts.event_id.0.saturating_sub(FIRST_REACH);
        self.start_at(EventId(first));
        Some(self.append(None, Vec::new()))
    }

    /// A first question failed so often that something may be wrong with a row.
    pub(super) fn start_failed(&mut self, start: Start, is_lasting: bool) {
        let next = match start {
            Start::Rows if is_lasting => Start::RowsFailed,
            Start::Ids if is_lasting => Start::IdsFailed,
            // It was the site.
            Start::RowsFailed | Start::IdsFailed => Start::Rows,
            same => same,
        };
        if next != start {
            self.page_failures = 0;
        }
        self.phase = Phase::Starting(next);
    }
}
