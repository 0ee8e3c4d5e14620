//! The open list in its lanes: wanted events that are not settled.
//!
//! At most one event of a lane is out; a delayed retry holds up its own lane only. Each step costs the logarithm of the list.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher as _,
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::policy::Order;
use crate::{
    clock::Mono,
    event::{Body, Event, Facts},
    ident::Seq,
    journal::{OpenEntry, Origin},
};

/// What keeps its order with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Everything.
    All,
    /// The events of one entity, by the hash of its type and its id; none: those without one. Two types with one hash
    /// would share a lane, which only keeps more in order.
    Entity(Option<(u64, i64)>),
    /// The events of one project; none: those without one.
    Project(Option<i64>),
    /// Nothing: each event alone.
    Alone(Seq),
}

impl Lane {
    pub(super) fn of(order: Order, seq: Seq, facts: &Facts) -> Self {
        match order {
            Order::All => Self::All,
            Order::Entity => Self::Entity(
                facts
                    .entity_or_subject()
                    .map(|link| (FxBuildHasher.hash_one(&link.kind), link.id)),
            ),
            Order::Project => Self::Project(facts.project.as_ref().map(|link| link.id)),
            Order::None => Self::Alone(seq),
        }
    }
}

/// Whose turn it is in a lane: what is new goes before what is handed out once more by a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_replay: bool,
    seq: Seq,
}

/// The open events of one lane.
#[derive(Debug, Default)]
struct Queue {
    turns: BTreeSet<Turn>,
    /// The one that is ready, delayed or out.
    front: Option<Turn>,
}

/// One open event.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) event: Arc<Event>,
    pub(super) matched: Vec<u16>,
    pub(super) entry: OpenEntry,
    pub(super) is_out: bool,
    /// The journal knows it.
    pub(super) is_kept: bool,
    /// The journal must hear of it.
    pub(super) is_changed: bool,
    /// Not before this; the wall time in its entry is for the next start only, for that clock may jump.
    pub(super) due: Option<Mono>,
    lane: Lane,
}

impl Open {
    fn turn(&self) -> Turn {
        Turn {
            is_replay: self.entry.origin == Origin::Replay,
            seq: self.event.seq,
        }
    }
}

/// What is known of one that is added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    /// The journal knows it.
    pub(super) is_kept: bool,
    /// Not before this.
    pub(super) due: Option<Mono>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct OpenList {
    all: BTreeMap<Seq, Open>,
    lanes: FxHashMap<Lane, Queue>,
    /// First of their lanes, not out, their time has come.
    ready: BTreeSet<Turn>,
    /// First of their lanes, not out, to wait.
    delayed: BTreeSet<(Mono, Turn)>,
    /// How many belong to replays.
    replays: usize,
}

impl OpenList {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many belong to replays.
    pub(super) fn replays(&self) -> usize {
        self.replays
    }

    /// True when it is open.
    pub(super) fn contains(&self, seq: Seq) -> bool {
        self.all.contains_key(&seq)
    }

    /// The event at the lowest open position; what belongs to a replay was settled before.
    pub(super) fn first_event(&self) -> Option<&Arc<Event>> {
        let mut open = self.all.values();
        let first = open.find(|open| open.entry.origin != Origin::Replay);
        first.map(|open| &open.event)
    }

    /// The first one that waits for another attempt.
    pub(super) fn retrying(&self) -> Option<&Open> {
        let (_, turn) = self.delayed.first()?;
        self.all.get(&turn.seq)
    }

    pub(super) fn get(&self, seq: Seq) -> Option<&Open> {
        self.all.get(&seq)
    }

    pub(super) fn get_mut(&mut self, seq: Seq) -> Option<&mut Open> {
        self.all.get_mut(&seq)
    }

    /// The lowest open position above another.
    pub(super) fn first_above(&self, seq: Seq) -> Option<Seq> {
        let above = (Bound::Excluded(seq), Bound::Unbounded);
        self.all.range(above).next().map(|(seq, _)| *seq)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Seq, &mut Open)> {
        self.all.iter_mut()
    }

    pub(super) fn add(
        &mut self,
        order: Order,
        event: Arc<Event>,
        matched: Vec<u16>,
        entry: OpenEntry,
        kept: Kept,
    ) {
        let seq = event.seq;
        let lane = Lane::of(order, seq, &event.facts);
        let open = Open {
            event,
            matched,
            entry,
            is_out: false,
            is_kept: kept.is_kept,
            is_changed: false,
            due: kept.due,
            lane,
        };
        let turn = open.turn();
        self.lanes.entry(lane).or_default().turns.insert(turn);
        self.replays += usize::from(turn.is_replay);
        self.all.insert(seq, open);
        self.line_up(&lane);
    }

    /// Removes one that is settled; the next of its lane may go.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Open> {
        let open = self.all.remove(&seq)?;
        let (lane, turn) = (open.lane, open.turn());
        self.replays -= usize::from(turn.is_replay);
        self.ready.remove(&turn);
        if let Some(due) = open.due {
            self.delayed.remove(&(due, turn));
        }
        if let Some(queue) = self.lanes.get_mut(&lane) {
            queue.turns.remove(&turn);
            queue.front = queue.front.filter(|front| *front != turn);
            if queue.turns.is_empty() {
                self.lanes.remove(&lane);
            }
        }
        self.line_up(&lane);
        Some(open)
    }

    /// The body of one that was not read; its lane may go.
    pub(super) fn fill(&mut self, seq: Seq, body: Bytes) {
        if let Some(open) = self.all.get_mut(&seq) {
            open.event = Arc::new(Event {
                body: Body::Here(body),
                ..Event::clone(&open.event)
            });
            let lane = open.lane;
            self.line_up(&lane);
        }
    }

    /// Takes one back that was out.
    pub(super) fn put_back(&mut self, seq: Seq) {
        if let Some(open) = self.all.get_mut(&seq) {
            open.is_out = false;
            let lane = open.lane;
            self.line_up(&lane);
        }
    }

    /// The next one that may go out, lowest `seq` first and replays last; it counts as out from now on.
    pub(super) fn take_ready(&mut self, now: Mono, ceiling: Seq) -> Option<Seq> {
        while let Some((at, turn)) = self.delayed.first().copied()
            && at <= now
        {
            self.delayed.pop_first();
            self.ready.insert(turn);
        }
        let replays = Turn {
            is_replay: true,
            seq: Seq(0),
        };
        let may_go = |turn: &&Turn| turn.seq <= ceiling;
        let fresh = self.ready.first().filter(may_go);
        let replayed = || self.ready.range(replays..).next().filter(may_go);
        let turn = fresh.or_else(replayed).copied()?;
        self.ready.remove(&turn);
        self.all.get_mut(&turn.seq)?.is_out = true;
        Some(turn.seq)
    }

    /// When the next delayed one may go.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.delayed.first().map(|(at, _)| *at)
    }

    /// Puts the first of a lane where it belongs, and takes another one off that stood there.
    fn line_up(&mut self, lane: &Lane) {
        let Some(queue) = self.lanes.get_mut(lane) else {
            return;
        };
        let Some(first) = queue.turns.first().copied() else {
            return;
        };
        if let Some(front) = queue.front {
            let Some(open) = self.all.get(&front.seq) else {
                return;
            };
            if open.is_out {
                return;
            }
            if front != first {
                self.ready.remove(&front);
                if let Some(at) = open.due {
                    self.delayed.remove(&(at, front));
                }
            }
        }
        queue.front = Some(first);
        let Some(open) = self.all.get(&first.seq) else {
            return;
        };
        match open.due {
            _ if !matches!(open.event.body, Body::Here(_)) => {}
            Some(at) => {
                self.delayed.insert((at, first));
            }
            None => {
                self.ready.insert(first);
            }
        }
    }
}
