//! Dead letters, in memory.

use super::{Row, World};
use crate::{
    event::Facts,
    ident::{EventId, PluginName, Seq, Timeline},
    journal::{DeadLetter, NewDead, Origin, Outcome},
};

impl World {
    /// Makes or replaces the letter of this plugin and event.
    pub(super) fn bury(&mut self, plugin: &PluginName, dead: &NewDead) {
        let mut letters = self.dead.values_mut();
        let known = letters.find(|letter| letter.plugin == *plugin && letter.dead.seq == dead.seq);
        if let Some(letter) = known {
            letter.dead = dead.clone();
            return;
        }
        let row = self.events.get(&dead.seq);
        self.dead_count += 1;
        let letter = DeadLetter {
            id: self.dead_count,
            plugin: plugin.clone(),
            facts: row.map_or_else(unknown, |row| row.facts.clone()),
            body: row.and_then(|row| row.body.clone()),
            dead: dead.clone(),
        };
        self.dead.insert(self.dead_count, letter);
    }

    pub(super) fn redrive(&mut self, ids: &[i64]) -> Outcome {
        let mut redriven = Vec::new();
        for id in ids {
            let Some(letter) = self.dead.get(id).cloned() else {
                continue;
            };
            let seq = letter.dead.seq;
            if !self.has_room(&letter.plugin, seq) || !self.restore(&letter, seq) {
                continue;
            }
            self.dead.remove(id);
            self.reopen(&letter.plugin, seq, Origin::Redrive);
            redriven.push((letter.plugin, seq));
        }
        Outcome::Redriven(redriven)
    }

    /// Sees to it that the event's row, and its body if the letter has it, are in the journal; false when nobody has them.
    fn restore(&mut self, letter: &DeadLetter, seq: Seq) -> bool {
        if let Some(row) = self.events.get_mut(&seq) {
            row.body = row.body.take().or_else(|| letter.body.clone());
            return true;
        }
        let key = (letter.facts.event_id, letter.facts.timeline);
        if letter.facts.event_id == EventId(0) || self.ids.contains_key(&key) {
            return false;
        }
        let row = Row {
            facts: letter.facts.clone(),
            body: letter.body.clone(),
        };
        self.insert(seq, row);
        true
    }

    pub(super) fn rename_dead(&mut self, from: &PluginName, to: &PluginName) {
        let moved = |letter: &&DeadLetter| letter.plugin == *from;
        let seqs: Vec<Seq> = self
            .dead
            .values()
            .filter(moved)
            .map(|l| l.dead.seq)
            .collect();
        self.dead
            .retain(|_, letter| letter.plugin != *to || !seqs.contains(&letter.dead.seq));
        for letter in self.dead.values_mut() {
            if letter.plugin == *from {
                letter.plugin = to.clone();
            }
        }
    }
}

/// The facts of an event whose row is gone.
fn unknown() -> Facts {
    Facts {
        timeline: Timeline(0),
        event_id: EventId(0),
        created_at: None,
        event_type: Box::default(),
        attribute_name: None,
        session_uuid: None,
        project: None,
        entity: None,
        user: None,
        subject: None,
        sudo_user: None,
        is_partial: true,
    }
}
