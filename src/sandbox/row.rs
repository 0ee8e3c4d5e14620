//! Event rows: what the log says about each kind of doing.
//!
//! In: what was done to which entity. Out: a draft with its meta; the id comes when the transaction is finished.
//! Never: who did it; that is the transaction's.

use serde_json::{Value, json};

use super::{
    links::difference,
    log::{EventRow, Link},
    schema::FieldDef,
    store::{Actor, Store},
    value::seconds,
};

/// A row before it has an id.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Only of rows that scripts write themselves.
    pub(super) id: Option<i64>,
    /// `Shotgun_Task_Change`.
    pub(super) event_type: String,
    /// What the row says.
    pub(super) meta: Value,
    /// The draft that caused this one; its id goes into the meta.
    pub(super) original: Option<usize>,
    attribute: Option<String>,
    entity: Option<Link>,
    project: Option<Link>,
    session_uuid: Option<String>,
    description: Option<String>,
}

impl Draft {
    fn about(store: &Store, link: &Link, action: &str, meta: Value) -> Self {
        Self {
            event_type: format!("Shotgun_{}_{action}", link.kind),
            meta,
            entity: Some(link.clone()),
            project: project(store, link),
            description: Some(sentence(store, action, link)),
            ..Self::default()
        }
    }

    /// Looks once more at what the row is about: while an entity was made it had no project and no name yet.
    pub(super) fn look_again(&mut self, store: &Store) {
        if let Some(link) = &self.entity {
            let action = self.event_type.rsplit('_').next().unwrap_or_default();
            self.project = project(store, link);
            self.description = Some(sentence(store, action, link));
        }
    }

    /// Takes a field of a row that a script writes.
    pub(super) fn fill(&mut self, field: &str, value: Value) {
        let text = value.as_str().map(str::to_owned);
        match field {
            "event_type" => self.event_type = text.unwrap_or_default(),
            "attribute_name" => self.attribute = text,
            "description" => self.description = text,
            "session_uuid" => self.session_uuid = text,
            "entity" => self.entity = Link::read(&value),
            "project" => self.project = Link::read(&value),
            "meta" => self.meta = value,
            _ => {}
        }
    }

    /// The row with its id.
    pub(super) fn row(
        &self,
        ids: &[i64],
        index: usize,
        actor: &Actor,
        created_at: i64,
    ) -> EventRow {
        let mut meta = self.meta.clone();
        if let Some(original) = self.original {
            meta["original_event_log_entry_id"] = ids[original].into();
        }
        if let (Some(sudo), Value::Object(meta)) = (&actor.sudo, &mut meta) {
            meta.insert("sudo_actual_user".into(), sudo.stored());
        }
        let session = self.session_uuid.as_deref().map(Into::into);
        EventRow {
            id: ids[index],
            event_type: self.event_type.as_str().into(),
            attribute: self.attribute.as_deref().map(Into::into),
            meta: meta.to_string().into(),
            entity: self.entity.clone(),
            project: self.project.clone(),
            user: Some(actor.user.clone()),
            created_at,
            session_uuid: session.or_else(|| actor.session_uuid.clone()),
            description: self.description.as_deref().map(Into::into),
            order: 0,
        }
    }
}

fn sentence(store: &Store, action: &str, link: &Link) -> String {
    format!("{action} of {} {}", link.kind, store.name(link))
}

fn project(store: &Store, link: &Link) -> Option<Link> {
    if &*link.kind == "Project" {
        return Some(link.clone());
    }
    let entity = store.entity(&link.kind, link.id)?;
    Link::read(entity.fields.get("project")?)
}

/// A new entity.
pub(super) fn new_entity(store: &Store, link: &Link) -> Draft {
    let meta = json!({"type": "new_entity", "entity_type": *link.kind, "entity_id": link.id});
    Draft::about(store, link, "New", meta)
}

/// A field with another value.
pub(super) fn change(
    store: &Store,
    link: &Link,
    (field, def): (&str, &FieldDef),
    [old, new]: [&Value; 2],
    in_create: bool,
) -> Draft {
    let mut meta = json!({
        "type": "attribute_change", "attribute_name": field,
        "entity_type": *link.kind, "entity_id": link.id, "field_data_type": def.kind,
    });
    if def.kind.is_multi() {
        let (added, removed) = difference(old, new);
        meta["added"] = shown_all(store, &added);
        meta["removed"] = shown_all(store, &removed);
    } else {
        meta["old_value"] = shown_or_plain(store, old);
        meta["new_value"] = shown_or_plain(store, new);
    }
    if in_create {
        meta["in_create"] = true.into();
    }
    let mut draft = Draft::about(store, link, "Change", meta);
    draft.attribute = Some(field.to_owned());
    draft
}

/// A list of links with one more (`added`) or one less (`link`).
pub(super) fn multi_change(
    store: &Store,
    target: &Link,
    field: &str,
    added: Option<&Link>,
    link: &Link,
) -> Draft {
    let one = shown_all(store, std::slice::from_ref(link));
    let (added, removed) = match added {
        Some(_) => (one, json!([])),
        None => (json!([]), one),
    };
    let meta = json!({
        "type": "attribute_change", "attribute_name": field, "added": added, "removed": removed,
    });
    let mut draft = Draft::about(store, target, "Change", meta);
    draft.attribute = Some(field.to_owned());
    draft
}

/// The two rows of a retirement.
pub(super) fn retirement(store: &Store, link: &Link, at: i64) -> [Draft; 2] {
    // 2026-09-04 17:42:34 UTC, not as everywhere else.
    let at = seconds(at).replace('T', " ").replace('Z', " UTC");
    let meta = json!({
        "type": "attribute_change", "attribute_name": "retirement_date",
        "entity_type": *link.kind, "entity_id": link.id, "old_value": null, "new_value": at,
    });
    let mut change = Draft::about(store, link, "Change", meta);
    change.attribute = Some("retirement_date".into());
    let mut meta = whole(store, link, "entity_retirement");
    meta["retirement_date"] = at.into();
    [change, Draft::about(store, link, "Retirement", meta)]
}

/// A retired entity that is back.
pub(super) fn revival(store: &Store, link: &Link) -> Draft {
    let meta = whole(store, link, "entity_revival");
    Draft::about(store, link, "Revival", meta)
}

fn whole(store: &Store, link: &Link, kind: &str) -> Value {
    json!({
        "type": kind, "class_name": *link.kind, "display_name": store.name(link),
        "entity_type": *link.kind, "entity_id": link.id, "id": link.id,
    })
}

fn shown_or_plain(store: &Store, value: &Value) -> Value {
    match Link::read(value) {
        Some(link) => shown(store, &link),
        None => value.clone(),
    }
}

fn shown_all(store: &Store, links: &[Link]) -> Value {
    links.iter().map(|link| shown(store, link)).collect()
}

/// A link as the meta of a row shows it.
fn shown(store: &Store, link: &Link) -> Value {
    let Link { kind, id } = link;
    // Made up, and the same on every run.
    let uuid = format!("{:08x}-0000-4000-8000-{id:012x}", kind.len());
    json!({"type": **kind, "id": id, "name": store.name(link), "valid": "valid", "uuid": uuid})
}
