//! A transaction: creates, changes, retirements and revivals, with the event rows that each of them writes.
//!
//! In: what to do. Out: ids and whether anything changed; drafts of rows, numbered when it is finished.
//! Never: a row of work that was undone.

use std::sync::Arc;

use super::{
    cell::{Cell, Kept, Link},
    check::{Check, Write, missing},
    fault::Fault,
    keys::{Hidden, Keys},
    links::difference,
    name::{Name, keep},
    people,
    row::{Draft, change, new_entity, new_password, reading, retirement, revival, uuid},
    schema::{DataType, Derived, EVENT_LOG, FieldDef, TypeDef},
    store::{Actor, Commit, Store},
    value::Place,
};
use crate::clock::Unix;

/// What has to be done to take a step back.
#[derive(Debug)]
enum Undo {
    Field(Link, Name, Kept),
    Made(Link),
    Retired(Link, bool),
    Seen(Link, bool),
    Secret(Link, Option<Hidden>),
}

/// Work that is under way.
pub(super) struct Transaction<'a> {
    pub(super) store: &'a mut Store,
    pub(super) actor: &'a Actor,
    now: Unix,
    undo: Vec<Undo>,
    pub(super) drafts: Vec<Draft>,
}

impl<'a> Transaction<'a> {
    /// Begins.
    pub(super) fn new(store: &'a mut Store, actor: &'a Actor, now: Unix) -> Self {
        Self {
            store,
            actor,
            now,
            undo: Vec::new(),
            drafts: Vec::new(),
        }
    }

    /// What is there now, the own changes included.
    pub(super) fn store(&self) -> &Store {
        self.store
    }

    /// Makes an entity: one row for it, one for each field that is filled.
    pub(super) fn create(&mut self, kind: &str, writes: &[Write]) -> Result<i64, Fault> {
        let def = self.store.schema.entity(kind, "create")?.clone();
        let is_given = |field: &str| {
            writes
                .iter()
                .any(|w| w.field == field && !w.value.is_null())
        };
        if def.needs_project && !is_given("project") && !def.unless.is_some_and(is_given) {
            return Err(Fault::request(
                "API create() missing 'project' attribute: {}",
            ));
        }
        if def.kind == EVENT_LOG {
            return self.custom_event(&def, writes);
        }
        let check = Check {
            store: self.store,
            method: "create",
            def: &def,
        };
        let mut values = check.values_of_create(writes)?;
        self.fill_in(&def, &mut values);
        let link = self.make(def.kind);
        self.drafts.push(new_entity(link));
        for (field, value) in values {
            if let Some(field) = def.fields.get(field) {
                self.write(link, field, value, true)?;
            }
        }
        self.keep_secrets(link, &def, writes);
        self.complete_person(link);
        self.connected(link);
        self.tasks_of_template(link)?;
        Ok(link.id)
    }

    /// What the site fills in that no default of the schema says.
    fn fill_in(&self, def: &TypeDef, values: &mut Vec<(Name, Kept)>) {
        let is_text = matches!(def.kind, "Note" | "Reply");
        if is_text && !values.iter().any(|(field, _)| *field == "user") {
            values.push((keep("user"), Cell::Link(self.actor.user)));
        }
    }

    /// An empty row with what the site writes into each without a word in the log.
    pub(super) fn make(&mut self, kind: Name) -> Link {
        let link = Link::new(kind, self.store.take_id(kind));
        self.store.make(link);
        self.undo.push(Undo::Made(link));
        let (at, by) = (Cell::Moment(self.seconds()), Cell::Link(self.actor.user));
        let own = [
            ("created_at", at.clone()),
            ("updated_at", at),
            ("created_by", by.clone()),
            ("updated_by", by),
        ];
        for (field, value) in own {
            self.store.set(link, keep(field), value);
        }
        if self.store.schema.field(kind, "uuid").is_some() {
            self.store.set(link, keep("uuid"), Cell::text(uuid(link)));
        }
        link
    }

    /// Changes fields: one row for each that has another value afterwards.
    pub(super) fn update(&mut self, kind: &str, id: i64, writes: &[Write]) -> Result<(), Fault> {
        let def = self.store.schema.entity(kind, "update")?.clone();
        let link = Link::new(def.kind, id);
        if def.kind == EVENT_LOG {
            return Err(Fault::operation(format!(
                "API update() CRUD ERROR #5.1: Entity EventLogEntry {id} can not be updated by this user."
            )));
        }
        if self.store.live(&link).is_none() {
            return Err(missing("update", kind, id));
        }
        let mut is_changed = false;
        for write in writes {
            let check = Check {
                store: self.store,
                method: "update",
                def: &def,
            };
            let (field, value) = check.value(write, Some(id))?;
            if let Some(field) = def.fields.get(field) {
                is_changed |= self.write(link, field, value, false)?;
            }
        }
        if self.keep_secrets(link, &def, writes) && def.kind == "HumanUser" {
            self.drafts.push(new_password(link));
        }
        if is_changed {
            let (at, by) = (Cell::Moment(self.seconds()), Cell::Link(self.actor.user));
            self.set(link, keep("updated_at"), at);
            self.set(link, keep("updated_by"), by);
            self.complete_person(link);
            if writes.iter().any(|write| write.field == "task_template") {
                self.tasks_of_template(link)?;
            }
        }
        Ok(())
    }

    /// Retires an entity; false when it was retired already.
    pub(super) fn delete(&mut self, kind: &str, id: i64) -> Result<bool, Fault> {
        self.flip("delete", kind, id, true)
    }

    /// Brings a retired entity back; false when it was live.
    pub(super) fn revive(&mut self, kind: &str, id: i64) -> Result<bool, Fault> {
        self.flip("revive", kind, id, false)
    }

    fn flip(&mut self, method: &str, kind: &str, id: i64, retire: bool) -> Result<bool, Fault> {
        let kind = self.store.schema.entity(kind, method)?.kind;
        if kind == EVENT_LOG {
            return Err(Fault::operation(format!(
                "API {method}() CRUD ERROR #4.1: Entity EventLogEntry {id} can not be deleted by this user."
            )));
        }
        let entity = self.store.entity(kind, id);
        let was = entity.ok_or_else(|| missing(method, kind, id))?.is_retired;
        if was == retire {
            return Ok(false);
        }
        let link = Link::new(kind, id);
        if !retire {
            self.is_still_unique(method, link)?;
        }
        self.retire(link, retire);
        let drafts = if retire {
            retirement(self.store, link, self.seconds()).into()
        } else {
            vec![revival(self.store, link)]
        };
        self.drafts.extend(drafts);
        self.disconnected(link, retire);
        Ok(true)
    }

    /// What is unique was not given to another meanwhile.
    fn is_still_unique(&self, method: &str, link: Link) -> Result<(), Fault> {
        let def = self.store.schema.entity(link.kind, method)?;
        let Some(entity) = self.store.entity(link.kind, link.id) else {
            return Ok(());
        };
        let check = Check {
            store: self.store,
            method,
            def,
        };
        for (field, field_def) in def.fields.iter().filter(|(_, field)| field.unique) {
            let place = Place {
                method,
                kind: link.kind,
                field,
            };
            check.is_free(&place, field_def, entity.get(field), Some(link.id))?;
        }
        Ok(())
    }

    /// Hides a row or shows it again, without a word in the log.
    pub(super) fn retire(&mut self, link: Link, is_retired: bool) {
        self.store.retire(link, is_retired);
        self.undo.push(Undo::Retired(link, !is_retired));
    }

    /// Writes a field and drafts its row, and the rows of those that list this entity. False when nothing changed.
    pub(super) fn write(
        &mut self,
        link: Link,
        def: &Arc<FieldDef>,
        value: Kept,
        in_create: bool,
    ) -> Result<bool, Fault> {
        if let Some(derived) = def.derived {
            return Ok(self.see(link, derived, &value));
        }
        let value = if def.kind == DataType::Url {
            self.file(link, def, value, in_create)?
        } else {
            value
        };
        let old = self.store.entity(link.kind, link.id);
        let mut old = old.map_or(Cell::Null, |entity| entity.get(def.field).clone());
        // A box that was never touched reads as unchecked.
        if def.kind == DataType::Checkbox && old == Cell::Null && !in_create {
            old = Cell::Bool(false);
        }
        if old == value || (old.is_empty() && value.is_empty()) {
            return Ok(false);
        }
        self.set(link, def.field, value.clone());
        let (added, removed) = difference(old.links(), value.links());
        if def.kind.is_multi() && added.is_empty() && removed.is_empty() {
            // Only in another order.
            return Ok(false);
        }
        if def.field == "image" && value.is_empty() {
            // Without a word in the log: it is only seen with the other.
            self.set(link, keep("filmstrip_image"), Cell::Null);
        }
        if def.at_create {
            return Ok(true);
        }
        let draft = change(self.store, link, def, [&old, &value], in_create);
        let original = self.drafts.len();
        self.drafts.push(draft);
        self.other_sides(link, def, [&old, &value], original);
        Ok(true)
    }

    /// Keeps passwords apart: rows and events have masks. True when there was one.
    fn keep_secrets(&mut self, link: Link, def: &TypeDef, writes: &[Write]) -> bool {
        let mut any = false;
        for write in writes {
            let field = def.fields.get(write.field.as_str());
            if field.is_some_and(|field| field.kind == DataType::Password) {
                let secret = write.value.as_str().map(Keys::hide);
                let was = self.store.keys.keep(link, secret);
                self.undo.push(Undo::Secret(link, was));
                any = true;
            }
        }
        any
    }

    /// What somebody has read, or has not.
    fn see(&mut self, link: Link, derived: Derived, value: &Kept) -> bool {
        let me = self.actor.user;
        let was = self.store.social.seen.contains(&(me, link));
        let is = matches!(value.as_str(), Some("read" | "viewed"));
        if was == is {
            return false;
        }
        if is {
            self.store.social.seen.insert((me, link));
        } else {
            self.store.social.seen.remove(&(me, link));
        }
        self.undo.push(Undo::Seen(link, was));
        if derived == Derived::Read {
            let words = if is {
                ["unread", "read"]
            } else {
                ["read", "unread"]
            };
            self.drafts.push(reading(link, words));
        }
        false
    }

    /// People have a name and its two parts, whichever of them was written.
    fn complete_person(&mut self, link: Link) {
        let Some(entity) = self.store.entity(link.kind, link.id) else {
            return;
        };
        for (field, value) in people::missing_parts(link.kind, entity) {
            self.set(link, field, value);
        }
    }

    /// A row that a script writes itself.
    fn custom_event(&mut self, def: &TypeDef, writes: &[Write]) -> Result<i64, Fault> {
        let mut draft = Draft::default();
        for write in writes {
            let check = Check {
                store: self.store,
                method: "create",
                def,
            };
            let (field, value) = check.value(write, None)?;
            draft.fill(field, &value);
        }
        if draft.event_type.is_empty() {
            draft.event_type = "Shotgun_EventLogEntry_New".into();
        }
        let id = self.store.log.reserve(1);
        draft.id = Some(id);
        self.drafts.push(draft);
        Ok(id)
    }

    pub(super) fn seconds(&self) -> i64 {
        self.now.0.div_euclid(1000)
    }

    /// Writes a value without a word in the log.
    pub(super) fn set(&mut self, link: Link, field: Name, value: Kept) {
        let old = self.store.set(link, field, value);
        self.undo.push(Undo::Field(link, field, old));
    }

    /// Takes everything back; ids that were taken stay taken.
    pub(super) fn undo(self) {
        for step in self.undo.into_iter().rev() {
            match step {
                Undo::Field(link, field, old) => {
                    self.store.set(link, field, old);
                }
                Undo::Made(link) => self.store.forget(link),
                Undo::Retired(link, was) => self.store.retire(link, was),
                Undo::Secret(link, was) => {
                    self.store.keys.keep(link, was);
                }
                Undo::Seen(link, true) => {
                    self.store.social.seen.insert((self.actor.user, link));
                }
                Undo::Seen(link, false) => {
                    self.store.social.seen.remove(&(self.actor.user, link));
                }
            }
        }
    }

    /// Numbers the rows and makes them readable.
    pub(super) fn finish(mut self, commit: Commit) {
        let count = self.drafts.iter().filter(|d| d.id.is_none()).count();
        let is_logged = self.actor.is_logged;
        let first = if is_logged {
            self.store.log.reserve(count)
        } else {
            0
        };
        if commit == Commit::Never {
            return self.undo();
        }
        let drafts = std::mem::take(&mut self.drafts);
        let mut ids = Vec::with_capacity(drafts.len());
        let mut next = first;
        for draft in &drafts {
            ids.push(draft.id.unwrap_or(next));
            next += i64::from(draft.id.is_none());
        }
        let at = self.seconds();
        let mut held = Vec::new();
        for (index, draft) in drafts.into_iter().enumerate() {
            if !is_logged && draft.id.is_none() {
                continue;
            }
            let row = draft.row(self.store, &ids, index, self.actor, at);
            match commit {
                Commit::At(at) => self.store.log.publish_at(at, row),
                Commit::Held => held.push(row),
                Commit::Now | Commit::Never => self.store.log.publish(row),
            }
        }
        if !held.is_empty() {
            self.store.log.hold(held);
        }
    }
}
