//! An engine in memory, simple enough to be right: the twin that SQLite is compared with, and the journal of tests and simulations.
//!
//! Never: a disk, a thread. It forgets everything when the last handle goes.

mod apply;
mod dead;
mod read;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock, RwLockReadGuard},
};

use bytes::Bytes;

use super::{
    Answer, ChildRecord, Counts, DeadLetter, Engine, Imported, IngestState, JournalError, Op,
    OpenEntry, Place, Reader, Replay,
};
use crate::{
    clock::Unix,
    event::Facts,
    ident::{EventId, PluginName, Seq, Timeline},
};

/// The engine in memory. Clones are handles of the same journal, so a test can close one and open another.
#[derive(Debug, Clone, Default)]
pub struct Model(Arc<RwLock<World>>);

/// Everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct World {
    events: BTreeMap<Seq, Row>,
    ids: BTreeMap<(EventId, Timeline), Seq>,
    marks: BTreeMap<Seq, Unix>,
    last: Seq,
    rows_from: Seq,
    bodies_from: Seq,
    ingest: IngestState,
    plugins: BTreeMap<PluginName, Plugin>,
    dead: BTreeMap<i64, DeadLetter>,
    dead_count: i64,
    children: BTreeMap<(i32, u64), ChildRecord>,
    files: BTreeMap<PluginName, Box<str>>,
    site: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    facts: Facts,
    body: Option<Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plugin {
    first_seen: Unix,
    last_seen: Unix,
    disabled: Option<Box<str>>,
    position: Seq,
    revision: u64,
    open: BTreeMap<Seq, OpenEntry>,
    replays: BTreeMap<(Seq, Seq), Seq>,
    imported: Option<Imported>,
    counts: Counts,
    state: BTreeMap<Box<str>, Box<str>>,
}

impl Plugin {
    /// A replay as far as it is; one that is over goes.
    fn replay(&mut self, replay: &Replay) {
        let key = (replay.first, replay.last);
        if replay.next <= replay.last {
            self.replays.insert(key, replay.next);
        } else {
            self.replays.remove(&key);
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            ids: BTreeMap::new(),
            marks: BTreeMap::new(),
            last: Seq(0),
            rows_from: Seq(1),
            bodies_from: Seq(1),
            ingest: IngestState::default(),
            plugins: BTreeMap::new(),
            dead: BTreeMap::new(),
            dead_count: 0,
            children: BTreeMap::new(),
            files: BTreeMap::new(),
            site: None,
        }
    }
}

impl World {
    fn insert(&mut self, seq: Seq, row: Row) {
        self.ids
            .insert((row.facts.event_id, row.facts.timeline), seq);
        self.events.insert(seq, row);
    }

    fn body_bytes(&self) -> u64 {
        let bodies = self.events.values().filter_map(|row| row.body.as_ref());
        bodies.map(|body| body.len() as u64).sum()
    }

    fn locate(&self, place: Place) -> Seq {
        let timeline = self.ingest.timeline;
        let fits = |row: &Row| match place {
            Place::Latest | Place::Seq(_) => false,
            Place::Oldest => true,
            Place::Event(id) => row.facts.timeline == timeline && row.facts.event_id >= id,
            Place::Time(at) => row.facts.created_at.is_some_and(|created| created >= at),
        };
        if let Place::Seq(seq) = place {
            return seq.min(self.last);
        }
        let found = self.events.iter().find(|(_, row)| fits(row));
        found.map_or(self.last, |(seq, _)| Seq(seq.0 - 1))
    }

    /// The lowest position that somebody but these still needs.
    fn needed_from(&self, orphans: &[PluginName]) -> Option<Seq> {
        let orphans: BTreeSet<_> = orphans.iter().collect();
        let needed = self
            .plugins
            .iter()
            .filter(|(name, _)| !orphans.contains(name))
            .flat_map(|(_, plugin)| {
                let open = plugin.open.keys().copied();
                let replays = plugin.replays.values().copied();
                open.chain(replays).chain([plugin.position.next()])
            });
        needed.min()
    }
}

impl Model {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn world(&self) -> RwLockReadGuard<'_, World> {
        self.0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Engine for Model {
    fn commit(&mut self, ops: &[Op]) -> Result<Vec<Answer>, JournalError> {
        let mut world = self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(ops.iter().map(|op| world.apply(op)).collect())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        Ok(Box::new(self.clone()))
    }

    fn housekeep(&mut self, _is_idle: bool) -> Result<(), JournalError> {
        Ok(())
    }
}
