//! What must always hold, kept apart from the code that is judged: its own books, written from what was committed,
//! handed out and answered.

pub(crate) mod book;
pub(crate) mod delivery;
mod journal;

use rustc_hash::FxHashSet;
use sgeventd::{
    clock::Unix,
    event::Facts,
    ident::{EventId, Seq},
    journal::Gap,
};
use sgeventd_protocol::manifest::{OnError, Order};

use crate::{plan::PluginPlan, site::KINDS};

/// An event of the journal, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Its type, as a bit.
    pub(crate) kind: u8,
    entity: Option<i64>,
    project: Option<i64>,
    /// Its `meta.new_value` is `fin`.
    pub(crate) is_fin: bool,
    created_at: Option<Unix>,
}

/// What keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lane {
    All,
    Entity(Option<i64>),
    Project(Option<i64>),
    Alone(u64),
}

impl Known {
    fn of(facts: &Facts, body: &[u8]) -> Self {
        let kind = KINDS.iter().position(|kind| *kind == &*facts.event_type);
        Self {
            kind: kind.map_or(0, |at| 1 << at),
            entity: facts.entity.as_ref().map(|link| link.id),
            project: facts.project.as_ref().map(|link| link.id),
            is_fin: body.ends_with(b"\"fin\"}}"),
            created_at: facts.created_at,
        }
    }

    pub(crate) fn lane(&self, order: Order, seq: Seq) -> Lane {
        match order {
            Order::All => Lane::All,
            Order::Entity => Lane::Entity(self.entity),
            Order::Project => Lane::Project(self.project),
            Order::None => Lane::Alone(seq.0),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Check {
    /// The first thing that was wrong.
    pub(crate) wrong: Option<String>,
    /// The journal, by position.
    pub(crate) events: Vec<Known>,
    journaled: FxHashSet<(u32, i64)>,
    /// Ids that were given up, by timeline.
    given_up: Vec<(u32, i64, i64)>,
    /// As of the last append that was committed.
    gaps: Vec<Gap>,
    floor: EventId,
    timeline: u32,
    /// The first answer: what it showed is behind us.
    began: Option<(i64, u64)>,
    has_head: bool,
    /// An operator accepted the site from these ids on.
    accepted_from: i64,
    /// The log is followed from a time on: what is older fills gaps and is not journaled.
    pub(crate) may_be_before_us: bool,
    pub(crate) plugins: Vec<book::Book>,
}

impl Check {
    /// Books without an entry.
    pub(crate) fn new(plugins: &[PluginPlan]) -> Self {
        Self {
            plugins: plugins.iter().map(book::Book::new).collect(),
            ..Self::default()
        }
    }

    /// Something is wrong; the first counts.
    pub(crate) fn fail(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            self.wrong = Some(what());
        }
    }

    /// A plugin's dispatcher was made anew.
    pub(crate) fn remade(&mut self, who: usize, order: Order, on_error: OnError, wants_all: bool) {
        self.plugins[who].remade(order, on_error, wants_all, &self.events);
    }

    pub(crate) fn known(&self, seq: Seq) -> Option<&Known> {
        self.events
            .get(usize::try_from(seq.0).ok()?.checked_sub(1)?)
    }
}
