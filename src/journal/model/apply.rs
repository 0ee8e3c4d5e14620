//! What each operation does, in memory.

use super::{Plugin, Row, World};
use crate::{
    clock::Unix,
    ident::{EventId, PluginName, Seq},
    journal::{
        Answer, Append, Appended, Counts, CursorChange, Imported, IngestState, MARK_MS, NewDead,
        OPEN_MAX, Op, OpenEntry, Origin, Outcome, Place, Pruned, Refused, Replay, STATE_KEY_MAX,
        STATE_TOTAL_MAX, STATE_VALUE_MAX,
        op::{ORPHANED, ORPHANED_ERROR},
    },
};

impl World {
    pub(super) fn apply(&mut self, op: &Op) -> Answer {
        match op {
            Op::Append { append, at } => self.append(append, *at),
            Op::Cursor { change, revision } => self.change(change, *revision),
            Op::SetDisabled { plugin, reason } => {
                self.plugin(plugin)?.disabled.clone_from(reason);
                Ok(Outcome::Done)
            }
            Op::Register {
                plugin,
                start,
                imported,
                at,
            } => Ok(self.register(plugin, *start, imported.as_ref(), *at)),
            Op::Seen { plugins, at } => {
                for plugin in plugins {
                    if let Some(known) = self.plugins.get_mut(plugin) {
                        known.last_seen = known.last_seen.max(*at);
                    }
                }
                Ok(Outcome::Done)
            }
            Op::Rename { from, to } => self.rename(from, to),
            Op::Forget { plugin } => {
                self.plugin(plugin)?;
                self.files.remove(plugin);
                self.plugins.remove(plugin);
                self.dead.retain(|_, letter| letter.plugin != *plugin);
                Ok(Outcome::Done)
            }
            Op::Seek { plugin, to } => self.seek(plugin, *to),
            Op::Replay { plugin, replay } => self.replay(plugin, replay),
            Op::Trigger { plugin, seq } => self.trigger(plugin, *seq),
            Op::Redrive { ids } => Ok(self.redrive(ids)),
            Op::DropDead { ids } => {
                let removed = ids.iter().filter(|id| self.dead.remove(id).is_some());
                Ok(Outcome::Removed(removed.count() as u64))
            }
            Op::StateSet { plugin, key, value } => self.state_set(plugin, key, value),
            Op::StateDelete { plugin, key } => {
                let removed = self.plugin(plugin)?.state.remove(key);
                Ok(Outcome::Removed(u64::from(removed.is_some())))
            }
            Op::PluginFile { plugin, file } => {
                self.files.insert(plugin.clone(), file.clone());
                Ok(Outcome::Done)
            }
            Op::ChildPut(child) => {
                let key = (child.pid, child.start_time);
                self.children.insert(key, child.clone());
                Ok(Outcome::Done)
            }
            Op::ChildRemove { pid, start_time } => {
                let removed = self.children.remove(&(*pid, *start_time));
                Ok(Outcome::Removed(u64::from(removed.is_some())))
            }
            Op::Site { url } => match &self.site {
                // Before the first answer the address may be mended.
                Some(found) if found != url && self.ingest != IngestState::default() => {
                    Err(Refused::OtherSite {
                        found: found.clone(),
                        asked: url.clone(),
                    })
                }
                _ => self.adopt(url),
            },
            Op::AdoptSite { url } => self.adopt(url),
            Op::DropBodies { up_to, at_most } => Ok(self.drop_bodies(*up_to, *at_most)),
            Op::DropRows {
                up_to,
                at_most,
                orphans,
                at,
            } => Ok(self.drop_rows((*up_to, *at_most), orphans, *at)),
        }
    }

    fn plugin(&mut self, name: &PluginName) -> Result<&mut Plugin, Refused> {
        self.plugins
            .get_mut(name)
            .ok_or_else(|| Refused::UnknownPlugin(name.clone()))
    }

    fn adopt(&mut self, url: &str) -> Answer {
        self.site = Some(url.into());
        Ok(Outcome::Done)
    }

    fn append(&mut self, append: &Append, at: Unix) -> Answer {
        let found = self.ingest.head.as_ref().map(|head| head.event_id);
        if found != append.expected_head {
            return Err(Refused::Head {
                expected: append.expected_head,
                found,
            });
        }
        let first = self.last.next();
        let mut fresh = Vec::new();
        for (index, event) in (0..).zip(&append.events) {
            let key = (event.facts.event_id, event.facts.timeline);
            if self.ids.contains_key(&key) {
                continue;
            }
            self.last = self.last.next();
            let row = Row {
                facts: event.facts.clone(),
                body: Some(event.body.clone()),
            };
            self.insert(self.last, row);
            fresh.push(index);
        }
        let mark = self.marks.last_key_value().map(|(_, mark)| mark.0);
        let is_covered = mark.is_some_and(|mark| at.0 >= mark && at.0 < mark + MARK_MS);
        if !fresh.is_empty() && !is_covered {
            self.marks.insert(first, at);
        }
        self.ingest = append.ingest.clone();
        Ok(Outcome::Appended(Appended { first, fresh }))
    }

    fn change(&mut self, change: &CursorChange, seen: Option<u64>) -> Answer {
        let last = self.last;
        let plugin = self.plugin(&change.plugin)?;
        if let Some(seen) = seen.filter(|seen| *seen != plugin.revision) {
            return Err(Refused::Revision {
                plugin: change.plugin.clone(),
                seen,
                found: plugin.revision,
            });
        }
        if change.position < plugin.position || change.position > last {
            return Err(Refused::Position {
                plugin: change.plugin.clone(),
                asked: change.position,
                found: plugin.position,
                last,
            });
        }
        let put = change.put.iter().map(|entry| entry.seq);
        let dead = change.dead.iter().map(|letter| letter.seq);
        let replays = change
            .replays
            .iter()
            .map(|replay| replay.first.max(replay.last));
        let mut named = put.chain(dead).chain(replays);
        if let Some(seq) = named.find(|seq| *seq > last || *seq == Seq(0)) {
            return Err(Refused::NoEvent(seq));
        }
        plugin.position = change.position;
        plugin.revision += 1;
        add(&mut plugin.counts, &change.counts);
        let dead = change.dead.iter().map(|letter| letter.seq);
        for seq in change.settled.iter().copied().chain(dead) {
            plugin.open.remove(&seq);
        }
        for entry in &change.put {
            plugin.open.insert(entry.seq, entry.clone());
        }
        for replay in &change.replays {
            plugin.replay(replay);
        }
        let revision = plugin.revision;
        for letter in &change.dead {
            self.bury(&change.plugin, letter);
        }
        Ok(Outcome::Cursor { revision })
    }

    fn register(
        &mut self,
        name: &PluginName,
        start: Place,
        imported: Option<&Imported>,
        at: Unix,
    ) -> Outcome {
        let position = self.locate(start);
        let is_new = !self.plugins.contains_key(name);
        let fresh = || Plugin {
            first_seen: at,
            last_seen: at,
            disabled: None,
            position,
            revision: 0,
            open: Default::default(),
            replays: Default::default(),
            imported: imported.cloned(),
            counts: Counts::default(),
            state: Default::default(),
        };
        let plugin = self.plugins.entry(name.clone()).or_insert_with(fresh);
        plugin.last_seen = plugin.last_seen.max(at);
        Outcome::Registered {
            position: plugin.position,
            is_new,
        }
    }

    fn rename(&mut self, from: &PluginName, to: &PluginName) -> Answer {
        self.plugin(from)?;
        if from == to {
            return Ok(Outcome::Done);
        }
        self.files.remove(from);
        let Some(mut old) = self.plugins.remove(from) else {
            return Ok(Outcome::Done);
        };
        if let Some(new) = self.plugins.remove(to) {
            old.first_seen = old.first_seen.min(new.first_seen);
            old.last_seen = old.last_seen.max(new.last_seen);
            old.disabled = old.disabled.or(new.disabled);
            old.position = old.position.min(new.position);
            old.revision = old.revision.max(new.revision);
            old.imported = old.imported.or(new.imported);
            add(&mut old.counts, &new.counts);
            old.open = merged(new.open, old.open);
            old.replays = merged(new.replays, old.replays);
            old.state = merged(new.state, old.state);
        }
        old.revision += 1;
        self.plugins.insert(to.clone(), old);
        self.rename_dead(from, to);
        Ok(Outcome::Done)
    }

    fn seek(&mut self, name: &PluginName, to: Place) -> Answer {
        let position = self.locate(to);
        let plugin = self.plugin(name)?;
        let skipped = plugin.open.len() as u64;
        plugin.open.clear();
        plugin.counts.skipped += skipped;
        plugin.position = position;
        plugin.revision += 1;
        Ok(Outcome::Placed {
            position,
            revision: plugin.revision,
            skipped,
        })
    }

    fn replay(&mut self, name: &PluginName, replay: &Replay) -> Answer {
        let last = self.last;
        let plugin = self.plugin(name)?;
        let highest = replay.first.max(replay.last);
        if highest > last {
            return Err(Refused::NoEvent(highest));
        }
        plugin.replay(replay);
        Ok(Outcome::Done)
    }

    fn trigger(&mut self, name: &PluginName, seq: Seq) -> Answer {
        self.plugin(name)?;
        if !self.events.contains_key(&seq) {
            return Err(Refused::NoEvent(seq));
        }
        if !self.has_room(name, seq) {
            let plugin = name.clone();
            return Err(Refused::OpenFull { plugin });
        }
        self.reopen(name, seq, Origin::Trigger);
        Ok(Outcome::Done)
    }

    /// Another one finds room in the open list.
    pub(super) fn has_room(&self, name: &PluginName, seq: Seq) -> bool {
        let plugin = self.plugins.get(name);
        plugin.is_none_or(|plugin| plugin.open.len() < OPEN_MAX || plugin.open.contains_key(&seq))
    }

    /// Puts an event into the open list as new, unless it stands there already.
    pub(super) fn reopen(&mut self, name: &PluginName, seq: Seq, origin: Origin) {
        let fresh = OpenEntry {
            seq,
            origin,
            attempts: 0,
            crashes: 0,
            deliveries: 0,
            next_at: None,
            last_error: None,
            progress: None,
        };
        if let Some(plugin) = self.plugins.get_mut(name) {
            plugin.open.entry(seq).or_insert(fresh);
        }
    }

    fn state_set(&mut self, name: &PluginName, key: &str, value: &str) -> Answer {
        let limits = [
            ("key", key, STATE_KEY_MAX),
            ("value", value, STATE_VALUE_MAX),
        ];
        if let Some((what, text, allowed)) = limits.into_iter().find(|(_, t, max)| t.len() > *max) {
            return Err(Refused::TooLong {
                what,
                bytes: text.len(),
                allowed,
            });
        }
        let plugin = self.plugin(name)?;
        let others = plugin.state.iter().filter(|(other, _)| ***other != *key);
        let others: usize = others.map(|(key, value)| key.len() + value.len()).sum();
        let bytes = (others + key.len() + value.len()) as u64;
        if bytes > STATE_TOTAL_MAX {
            return Err(Refused::StateFull {
                plugin: name.clone(),
                bytes,
            });
        }
        plugin.state.insert(key.into(), value.into());
        Ok(Outcome::Done)
    }

    fn drop_bodies(&mut self, up_to: Seq, at_most: u32) -> Outcome {
        let first = self.bodies_from;
        let most = Seq((first.0 + u64::from(at_most)).saturating_sub(1));
        let last = up_to.min(self.last).min(most);
        let mut pruned = Pruned {
            up_to: Seq(first.0.saturating_sub(1)),
            ..Pruned::default()
        };
        if last < first {
            return Outcome::Pruned(pruned);
        }
        let before = self.body_bytes();
        for (_, row) in self.events.range_mut(first..=last) {
            row.body = None;
        }
        self.bodies_from = last.next();
        pruned.up_to = last;
        pruned.rows = last.0 + 1 - first.0;
        pruned.bytes = before - self.body_bytes();
        Outcome::Pruned(pruned)
    }

    fn drop_rows(
        &mut self,
        (up_to, at_most): (Seq, u32),
        orphans: &[PluginName],
        at: Unix,
    ) -> Outcome {
        let first = self.rows_from;
        let needed = self.needed_from(orphans).unwrap_or(Seq(u64::MAX));
        let last = [
            up_to.0,
            self.bodies_from.0.saturating_sub(1),
            self.last.0.saturating_sub(1),
            needed.0.saturating_sub(1),
            (first.0 + u64::from(at_most)).saturating_sub(1),
        ];
        let last = Seq(last.into_iter().min().unwrap_or(0));
        if last < first {
            return Outcome::Pruned(Pruned {
                up_to: Seq(first.0.saturating_sub(1)),
                ..Pruned::default()
            });
        }
        let lost = self.lose(last, at);
        let (rows_before, bytes_before) = (self.events.len(), self.body_bytes());
        self.events = self.events.split_off(&last.next());
        self.ids.retain(|_, seq| *seq > last);
        let keep_from = self.marks.range(..=last.next()).next_back();
        if let Some((&keep_from, _)) = keep_from {
            self.marks = self.marks.split_off(&keep_from);
        }
        self.rows_from = last.next();
        Outcome::Pruned(Pruned {
            up_to: last,
            rows: (rows_before - self.events.len()) as u64,
            bytes: bytes_before - self.body_bytes(),
            lost,
        })
    }
}

impl World {
    /// Makes dead letters of open entries whose rows go. Only orphans can have any.
    fn lose(&mut self, last: Seq, at: Unix) -> Vec<(PluginName, EventId)> {
        let mut gone = Vec::new();
        for (name, plugin) in &mut self.plugins {
            let kept = plugin.open.split_off(&last.next());
            let open = std::mem::replace(&mut plugin.open, kept);
            plugin.counts.dead += open.len() as u64;
            gone.extend(open.into_values().map(|entry| (name.clone(), entry)));
        }
        let mut lost = Vec::new();
        for (name, entry) in gone {
            let letter = NewDead {
                seq: entry.seq,
                reason: ORPHANED.into(),
                error: ORPHANED_ERROR.into(),
                attempts: entry.attempts,
                at,
                version: None,
            };
            self.bury(&name, &letter);
            let row = self.events.get(&entry.seq);
            lost.push((name, row.map_or(EventId(0), |row| row.facts.event_id)));
        }
        lost
    }
}

/// Both maps; where both have a key, the second one counts.
fn merged<K: Ord, V>(
    mut first: std::collections::BTreeMap<K, V>,
    second: std::collections::BTreeMap<K, V>,
) -> std::collections::BTreeMap<K, V> {
    first.extend(second);
    first
}

fn add(counts: &mut Counts, more: &Counts) {
    counts.delivered += more.delivered;
    counts.ok += more.ok;
    counts.skipped += more.skipped;
    counts.retried += more.retried;
    counts.dead += more.dead;
    counts.too_old += more.too_old;
}
