//! Reading, in memory.

use super::{Model, Row, World};
use crate::{
    clock::Unix,
    event::{Body, Event},
    ident::{EventId, PluginName, Seq, Timeline},
    journal::{
        ChildRecord, Cursor, DeadLetter, DeadQuery, Extent, IngestState, JournalError, MARK_MS,
        Place, PluginRecord, Reader, Replay, Sizes, body_of,
    },
};

type Read<T> = Result<T, JournalError>;

impl Reader for Model {
    fn page(&mut self, after: Seq, rows: usize, bytes: usize) -> Read<Vec<Event>> {
        let world = self.world();
        let mut weight = 0;
        let page = world
            .events
            .range(after.next()..)
            .take(rows)
            .take_while(|(_, row)| {
                let is_first = weight == 0;
                weight += size_of::<Event>() + row.facts.event_type.len();
                is_first || weight <= bytes
            });
        Ok(page
            .map(|(seq, row)| event(*seq, row, Body::Unread))
            .collect())
    }

    fn bodies(&mut self, seqs: &[Seq]) -> Read<Vec<Body>> {
        let world = self.world();
        let body = |seq: &Seq| world.events.get(seq).and_then(|row| row.body.clone());
        Ok(seqs.iter().map(|seq| body_of(body(seq))).collect())
    }

    fn events(&mut self, seqs: &[Seq]) -> Read<Vec<Event>> {
        let world = self.world();
        let rows = seqs
            .iter()
            .filter_map(|seq| Some((*seq, world.events.get(seq)?)));
        Ok(rows
            .map(|(seq, row)| event(seq, row, body_of(row.body.clone())))
            .collect())
    }

    fn find(&mut self, id: EventId, timeline: Option<Timeline>) -> Read<Option<Seq>> {
        let world = self.world();
        let range = match timeline {
            Some(timeline) => (id, timeline)..=(id, timeline),
            None => (id, Timeline(0))..=(id, Timeline(u32::MAX)),
        };
        let found = world.ids.range(range).next_back();
        Ok(found.map(|(_, seq)| *seq))
    }

    fn locate(&mut self, place: Place) -> Read<Seq> {
        Ok(self.world().locate(place))
    }

    fn aged(&mut self, before: Unix) -> Read<Seq> {
        let world = self.world();
        let is_old = |at: &Unix| at.0 <= before.0.saturating_sub(MARK_MS);
        let mut marks = world.marks.iter().rev().skip_while(|(_, at)| !is_old(at));
        let Some((mark, _)) = marks.next() else {
            return Ok(Seq(0));
        };
        let next = world.marks.range(mark.next()..).next();
        Ok(next.map_or(world.last, |(next, _)| Seq(next.0 - 1)))
    }

    fn plugins(&mut self) -> Read<Vec<PluginRecord>> {
        let world = self.world();
        let names = world.plugins.keys();
        Ok(names.filter_map(|name| record(&world, name)).collect())
    }

    fn plugin(&mut self, name: &PluginName) -> Read<Option<PluginRecord>> {
        Ok(record(&self.world(), name))
    }

    fn dead(&mut self, query: &DeadQuery) -> Read<Vec<DeadLetter>> {
        let world = self.world();
        let letters = world
            .dead
            .range(query.after.saturating_add(1)..)
            .map(|(_, letter)| letter);
        let is_wanted = |letter: &&DeadLetter| {
            let plugin = query.plugin.as_ref();
            plugin.is_none_or(|plugin| letter.plugin == *plugin)
        };
        Ok(letters
            .filter(is_wanted)
            .take(query.rows)
            .cloned()
            .collect())
    }

    fn dead_counts(&mut self) -> Read<Vec<(PluginName, u64)>> {
        let mut counts = std::collections::BTreeMap::<PluginName, u64>::new();
        for letter in self.world().dead.values() {
            *counts.entry(letter.plugin.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    fn state(&mut self, plugin: &PluginName, key: &str) -> Read<Option<Box<str>>> {
        let world = self.world();
        let plugin = world.plugins.get(plugin);
        Ok(plugin.and_then(|plugin| plugin.state.get(key).cloned()))
    }

    fn ingest(&mut self) -> Read<IngestState> {
        Ok(self.world().ingest.clone())
    }

    fn children(&mut self) -> Read<Vec<ChildRecord>> {
        Ok(self.world().children.values().cloned().collect())
    }

    fn files(&mut self) -> Read<Vec<(PluginName, Box<str>)>> {
        let world = self.world();
        let files = world.files.iter();
        Ok(files
            .map(|(name, file)| (name.clone(), file.clone()))
            .collect())
    }

    fn site(&mut self) -> Read<Option<Box<str>>> {
        Ok(self.world().site.clone())
    }

    fn extent(&mut self) -> Read<Extent> {
        let world = self.world();
        Ok(Extent {
            first: world.rows_from,
            last: world.last,
            bodies_from: world.bodies_from,
            body_bytes: world.body_bytes(),
            oldest: world.marks.first_key_value().map(|(_, at)| *at),
            newest: world.marks.last_key_value().map(|(_, at)| *at),
        })
    }

    fn sizes(&mut self) -> Read<Sizes> {
        let used_bytes = self.world().body_bytes();
        Ok(Sizes {
            used_bytes,
            file_bytes: 0,
        })
    }
}

fn event(seq: Seq, row: &Row, body: Body) -> Event {
    Event {
        seq,
        facts: row.facts.clone().into(),
        body,
    }
}

fn record(world: &World, name: &PluginName) -> Option<PluginRecord> {
    let plugin = world.plugins.get(name)?;
    let replay = |(&(first, last), &next): (&(Seq, Seq), &Seq)| Replay { first, last, next };
    Some(PluginRecord {
        name: name.clone(),
        first_seen: plugin.first_seen,
        last_seen: plugin.last_seen,
        disabled: plugin.disabled.clone(),
        cursor: Cursor {
            position: plugin.position,
            open: plugin.open.values().cloned().collect(),
        },
        revision: plugin.revision,
        replays: plugin.replays.iter().map(replay).collect(),
        imported: plugin.imported.clone(),
        counts: plugin.counts,
    })
}
