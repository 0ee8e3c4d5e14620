//! A transaction: creates, changes, retirements and revivals, with the event rows that each of them writes.
//!
//! In: what to do. Out: ids and whether anything changed; drafts of rows, numbered when it is finished.
//! Never: a row of work that was undone.

use serde_json::{Value, json};

use super::{
    check::{Check, Write, missing},
    fault::Fault,
    links::{Mode, combine, difference},
    log::Link,
    row::{Draft, change, multi_change, new_entity, retirement, revival},
    schema::{DataType, EVENT_LOG, TypeDef},
    store::{Actor, Commit, Entity, Store},
    value::seconds,
};
use crate::clock::Unix;

struct Undo {
    kind: String,
    id: i64,
    before: Option<Entity>,
}

/// Work that is under way.
pub(super) struct Transaction<'a> {
    store: &'a mut Store,
    actor: &'a Actor,
    now: Unix,
    undo: Vec<Undo>,
    drafts: Vec<Draft>,
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
        let def = self.store.schema.entity(kind, "create")?;
        if def.needs_project && !writes.iter().any(|w| w.field == "project") {
            return Err(Fault::request(
                "API create() missing 'project' attribute: {}",
            ));
        }
        if kind == EVENT_LOG {
            return self.custom_event(def, writes);
        }
        let values = self.check("create", kind, def).values_of_create(writes)?;
        let id = self.store.take_id(kind);
        self.begin(kind, id, def, &values);
        let link = Link::new(kind, id);
        let first = self.drafts.len();
        let draft = new_entity(self.store, &link);
        self.drafts.push(draft);
        for (field, value) in values {
            self.write(&link, def, &field, value, true)?;
        }
        for draft in &mut self.drafts[first..] {
            draft.look_again(self.store);
        }
        Ok(id)
    }

    /// Changes fields: one row for each that has another value afterwards.
    pub(super) fn update(&mut self, kind: &str, id: i64, writes: &[Write]) -> Result<(), Fault> {
        let def = self.store.schema.entity(kind, "update")?;
        let link = Link::new(kind, id);
        if kind == EVENT_LOG {
            return Err(Fault::operation(format!(
                "API update() CRUD ERROR #5.1: Entity EventLogEntry {id} can not be updated by this user."
            )));
        }
        if self.store.live(&link).is_none() {
            return Err(missing("update", kind, id));
        }
        for write in writes {
            let value = self.check("update", kind, def).value(write, Some(id))?;
            self.write(&link, def, &write.field, value, false)?;
        }
        let (at, by) = (seconds(self.seconds()), self.actor.user.stored());
        let entity = self.change(kind, id);
        entity.fields.insert("updated_at".into(), at.into());
        entity.fields.insert("updated_by".into(), by);
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
        self.store.schema.entity(kind, method)?;
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
        self.change(kind, id).is_retired = retire;
        let drafts = if retire {
            retirement(self.store, &link, self.seconds()).into()
        } else {
            vec![revival(self.store, &link)]
        };
        self.drafts.extend(drafts);
        Ok(true)
    }

    fn check<'b>(&'b self, method: &'b str, kind: &'b str, def: &'b TypeDef) -> Check<'b> {
        Check {
            store: self.store,
            method,
            kind,
            def,
        }
    }

    /// The row before its fields are written: what the site fills in without a word in the log.
    fn begin(&mut self, kind: &str, id: i64, def: &TypeDef, values: &[(String, Value)]) {
        let (at, by) = (seconds(self.seconds()), self.actor.user.stored());
        let mut entity = Entity::default();
        for (name, field) in &def.fields {
            let empty = if field.kind.is_multi() {
                json!([])
            } else {
                Value::Null
            };
            entity.fields.insert(name.clone(), empty);
        }
        let filled = [
            ("id", id.into()),
            ("created_at", at.clone().into()),
            ("updated_at", at.into()),
            ("created_by", by.clone()),
            ("updated_by", by),
        ];
        for (name, value) in filled {
            entity.fields.insert(name.into(), value);
        }
        if kind == "HumanUser" {
            let part = |name| {
                let found = values.iter().find(|(field, _)| field == name);
                found.and_then(|(_, value)| value.as_str()).unwrap_or("")
            };
            let name = format!("{} {}", part("firstname"), part("lastname"));
            entity.fields.insert("name".into(), name.trim().into());
        }
        self.keep(kind, id);
        self.store.put(kind, id, Some(entity));
    }

    /// Writes a field and drafts its row, and the rows of those that list this entity.
    fn write(
        &mut self,
        link: &Link,
        def: &TypeDef,
        field: &str,
        value: Value,
        in_create: bool,
    ) -> Result<(), Fault> {
        let Some(field_def) = def.fields.get(field) else {
            return Ok(());
        };
        let fields = &mut self.change(&link.kind, link.id).fields;
        let old = fields.insert(field.to_owned(), value.clone());
        let old = old.unwrap_or_default();
        if old == value {
            return Ok(());
        }
        let draft = change(
            self.store,
            link,
            (field, field_def),
            [&old, &value],
            in_create,
        );
        let original = self.drafts.len();
        self.drafts.push(draft);
        if let Some(back) = &field_def.back {
            let (added, removed) = difference(&old, &value);
            let sides = [(added, true), (removed, false)];
            for (target, is_added) in sides
                .iter()
                .flat_map(|(l, a)| l.iter().map(move |l| (l, *a)))
            {
                self.back_reference(
                    link,
                    (field, field_def.kind),
                    back,
                    target,
                    is_added,
                    original,
                );
            }
        }
        Ok(())
    }

    /// `Shot.tasks` follows `Task.entity`, with a row of its own that names the row it comes from.
    fn back_reference(
        &mut self,
        link: &Link,
        (field, kind): (&str, DataType),
        back: &str,
        target: &Link,
        is_added: bool,
        original: usize,
    ) {
        let target_def = self.store.schema.get(&target.kind);
        if target_def.is_none_or(|def| !def.fields.contains_key(back)) {
            return;
        }
        let fields = &mut self.change(&target.kind, target.id).fields;
        let list = fields.entry(back.to_owned()).or_insert_with(|| json!([]));
        let mode = if is_added { Mode::Add } else { Mode::Remove };
        *list = combine(Some(list), &json!([link.stored()]), mode);
        let mut draft = multi_change(self.store, target, back, is_added.then_some(link), link);
        draft.meta["entity_type"] = (*link.kind).into();
        draft.meta["entity_id"] = link.id.into();
        draft.meta["field_data_type"] = kind.word().into();
        draft.meta["actual_attribute_changed"] = format!("{}.{field}", link.kind).into();
        draft.original = Some(original);
        self.drafts.push(draft);
    }

    /// A row that a script writes itself.
    fn custom_event(&mut self, def: &TypeDef, writes: &[Write]) -> Result<i64, Fault> {
        let mut draft = Draft::default();
        for write in writes {
            let value = self.check("create", EVENT_LOG, def).value(write, None)?;
            draft.fill(&write.field, value);
        }
        if draft.event_type.is_empty() {
            draft.event_type = "Shotgun_EventLogEntry_New".into();
        }
        let id = self.store.log.reserve(1);
        draft.id = Some(id);
        self.drafts.push(draft);
        Ok(id)
    }

    fn seconds(&self) -> i64 {
        self.now.0.div_euclid(1000)
    }

    /// An entity that exists, to change; what it was is kept.
    fn change(&mut self, kind: &str, id: i64) -> &mut Entity {
        self.keep(kind, id);
        self.store
            .entity_mut(kind, id)
            .expect("who calls has looked that it exists")
    }

    fn keep(&mut self, kind: &str, id: i64) {
        let before = self.store.entity(kind, id).cloned();
        self.undo.push(Undo {
            kind: kind.to_owned(),
            id,
            before,
        });
    }

    /// Takes everything back; ids that were taken stay taken.
    pub(super) fn undo(self) {
        for step in self.undo.into_iter().rev() {
            self.store.put(&step.kind, step.id, step.before);
        }
    }

    /// Numbers the rows and makes them readable.
    pub(super) fn finish(self, commit: Commit) {
        let count = self.drafts.iter().filter(|d| d.id.is_none()).count();
        let logged = |draft: &Draft| self.actor.is_logged || draft.id.is_some();
        let first = if self.actor.is_logged {
            self.store.log.reserve(count)
        } else {
            0
        };
        if commit == Commit::Never {
            return self.undo();
        }
        let mut ids = Vec::with_capacity(self.drafts.len());
        let mut next = first;
        for draft in &self.drafts {
            ids.push(draft.id.unwrap_or(next));
            next += i64::from(draft.id.is_none());
        }
        let at = self.now.0.div_euclid(1000);
        for (index, draft) in self.drafts.iter().enumerate().filter(|(_, d)| logged(d)) {
            let row = draft.row(&ids, index, self.actor, at);
            match commit {
                Commit::At(at) => self.store.log.publish_at(at, row),
                Commit::Now | Commit::Never => self.store.log.publish(row),
            }
        }
    }
}
