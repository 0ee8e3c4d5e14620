//! The store: entities by type and id, the event log, and transactions over both.
//!
//! In: work on a transaction, with who does it and when. Out: what the work says; its rows in the log, or nothing at all.
//! Never: I/O, a clock, chance.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    fault::Fault,
    log::{EventRow, Link, Log},
    schema::Schema,
    transaction::Transaction,
};
use crate::clock::Unix;

/// The first event of a site that has had a life before; small ids would hide mistakes with their width.
const FIRST_EVENT: i64 = 1001;

/// A shot, a task, a person.
#[derive(Debug, Clone, Default)]
pub(super) struct Entity {
    /// Values by field, links bare; `id` too.
    pub(super) fields: BTreeMap<String, Value>,
    /// Deleted in the site's sense: still there, hidden.
    pub(super) is_retired: bool,
}

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<i64, Entity>,
    last: i64,
}

/// Who does something.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    /// Who stands in the rows as the user.
    pub(super) user: Link,
    /// Who really called, when it is for somebody else.
    pub(super) sudo: Option<Link>,
    /// The browser session to name.
    pub(super) session_uuid: Option<Arc<str>>,
    /// False for scripts whose doings are not logged.
    pub(super) is_logged: bool,
}

impl Actor {
    /// Somebody in the browser.
    pub(super) fn human(id: i64) -> Self {
        Self {
            user: Link::new("HumanUser", id),
            sudo: None,
            session_uuid: None,
            is_logged: true,
        }
    }
}

/// When the rows of a transaction become readable. Their ids are taken at once in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// With the answer.
    Now,
    /// Later: meanwhile there is a gap.
    At(Unix),
    /// Never: the work is undone and leaves a gap for ever.
    Never,
}

/// Everything that the site knows.
#[derive(Debug)]
pub(super) struct Store {
    /// Its types.
    pub(super) schema: &'static Schema,
    /// Its events.
    pub(super) log: Log,
    tables: BTreeMap<String, Table>,
}

impl Store {
    /// An empty site.
    pub(super) fn new() -> Self {
        Self {
            schema: Schema::builtin(),
            log: Log::new(FIRST_EVENT),
            tables: BTreeMap::new(),
        }
    }

    /// Does work all or nothing.
    pub(super) fn transact<T>(
        &mut self,
        actor: &Actor,
        now: Unix,
        commit: Commit,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut transaction = Transaction::new(self, actor, now);
        match work(&mut transaction) {
            Ok(done) => {
                transaction.finish(commit);
                Ok(done)
            }
            Err(fault) => {
                transaction.undo();
                Err(fault)
            }
        }
    }

    /// An entity, retired or not.
    pub(super) fn entity(&self, kind: &str, id: i64) -> Option<&Entity> {
        self.tables.get(kind)?.rows.get(&id)
    }

    /// The entity behind a link, unless it is retired.
    pub(super) fn live(&self, link: &Link) -> Option<&Entity> {
        self.entity(&link.kind, link.id)
            .filter(|entity| !entity.is_retired)
    }

    /// All entities of a type by id.
    pub(super) fn entities(&self, kind: &str) -> impl DoubleEndedIterator<Item = &Entity> {
        self.tables
            .get(kind)
            .into_iter()
            .flat_map(|table| table.rows.values())
    }

    /// The name that a link shows.
    pub(super) fn name(&self, link: &Link) -> String {
        let name = self
            .schema
            .get(&link.kind)
            .zip(self.entity(&link.kind, link.id))
            .and_then(|(def, entity)| entity.fields.get(&def.display)?.as_str());
        name.map_or_else(|| format!("{} {}", link.kind, link.id), str::to_owned)
    }

    /// Takes the next id of a type away.
    pub(super) fn take_id(&mut self, kind: &str) -> i64 {
        let table = self.tables.entry(kind.to_owned()).or_default();
        table.last += 1;
        table.last
    }

    /// Puts an entity there, or takes it away; returns what was there.
    pub(super) fn put(&mut self, kind: &str, id: i64, entity: Option<Entity>) -> Option<Entity> {
        let table = self.tables.entry(kind.to_owned()).or_default();
        match entity {
            Some(entity) => table.rows.insert(id, entity),
            None => table.rows.remove(&id),
        }
    }

    /// An entity to change; who calls has kept a copy for undo.
    pub(super) fn entity_mut(&mut self, kind: &str, id: i64) -> Option<&mut Entity> {
        self.tables.get_mut(kind)?.rows.get_mut(&id)
    }

    /// Rows without a story behind them, for measurements: dense, readable at once, of ten event types.
    pub(super) fn bulk(&mut self, count: usize, now: Unix) {
        const KINDS: [&str; 5] = ["Task", "Shot", "Version", "Asset", "Note"];
        let types: Vec<Arc<str>> = KINDS
            .iter()
            .flat_map(|kind| {
                ["New", "Change"].map(|action| format!("Shotgun_{kind}_{action}").into())
            })
            .collect();
        let project = Link::new("Project", 1);
        let first = self.log.reserve(count);
        for (id, step) in (first..).zip(0..count) {
            let kind = KINDS[step / 2 % KINDS.len()];
            self.log.publish(EventRow {
                id,
                event_type: types[step % types.len()].clone(),
                attribute: (step % 2 == 1).then(|| "sg_status_list".into()),
                meta: bulk_meta(kind, step).into(),
                entity: Some(Link::new(kind, 1)),
                project: Some(project.clone()),
                user: Some(Link::new("HumanUser", 1)),
                created_at: now.0.div_euclid(1000),
                session_uuid: None,
                description: None,
                order: 0,
            });
        }
    }
}

fn bulk_meta(kind: &str, step: usize) -> String {
    if step.is_multiple_of(2) {
        return format!(r#"{{"type":"new_entity","entity_type":"{kind}","entity_id":1}}"#);
    }
    format!(
        r#"{{"type":"attribute_change","attribute_name":"sg_status_list","entity_type":"{kind}","entity_id":1,"field_data_type":"status_list","old_value":"wtg","new_value":"ip"}}"#
    )
}
