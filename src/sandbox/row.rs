//! Event rows: what the log says about each kind of doing.
//!
//! In: what was done to which entity. Out: a draft with its meta; the id comes when the transaction is finished.
//! Never: who did it; that is the transaction's.

use serde_json::{Value, json};

use super::{
    cell::{Cell, Kept, Link},
    links::difference,
    log::EventRow,
    name::Name,
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
    /// The field.
    pub(super) attribute: Option<String>,
    entity: Option<Link>,
    project: Option<Link>,
    user: Option<Link>,
    session_uuid: Option<String>,
    /// What was done, behind who did it: `created Shot sh010`.
    deed: Option<String>,
    description: Option<String>,
}

impl Draft {
    /// About an entity; what belongs to it is looked up in the end, when its name and its project are known.
    pub(super) fn about(link: Link, action: &str, meta: Value) -> Self {
        let deed = match action {
            "New" => "created",
            "Retirement" => "deleted",
            "Revival" => "revived",
            _ => "changed",
        };
        Self {
            event_type: format!("Shotgun_{}_{action}", link.kind),
            meta,
            entity: Some(link),
            deed: Some(deed.to_owned()),
            ..Self::default()
        }
    }

    /// Takes a field of a row that a script writes.
    pub(super) fn fill(&mut self, field: &str, value: &Kept) {
        let text = value.as_str().map(str::to_owned);
        match field {
            "event_type" => self.event_type = text.unwrap_or_default(),
            "attribute_name" => self.attribute = text,
            "description" => self.description = text,
            "session_uuid" => self.session_uuid = text,
            "entity" => self.entity = value.link(),
            "project" => self.project = value.link(),
            "user" => self.user = value.link(),
            "meta" => self.meta = value.json(),
            _ => {}
        }
    }

    /// The row with its id.
    pub(super) fn row(
        mut self,
        store: &mut Store,
        ids: &[i64],
        index: usize,
        actor: &Actor,
        created_at: i64,
    ) -> EventRow {
        if let (Some(original), Value::Object(meta)) = (self.original, &mut self.meta) {
            meta.insert("original_event_log_entry_id".into(), ids[original].into());
        }
        if let (Some(sudo), Value::Object(meta)) = (&actor.sudo, &mut self.meta) {
            meta.insert("sudo_actual_user".into(), sudo.bare());
        }
        let session = self.session_uuid.as_deref().map(Into::into);
        let description = self
            .description
            .take()
            .or_else(|| self.sentence(store, actor));
        let project = self
            .project
            .or_else(|| project(store, self.deed.as_ref().and(self.entity)?));
        EventRow {
            id: ids[index],
            event_type: store.log.word(&self.event_type),
            attribute: self.attribute.as_deref().map(|word| store.log.word(word)),
            meta: self.meta.to_string().into(),
            entity: self.entity,
            project,
            user: self.user.or(Some(actor.user)),
            created_at,
            session_uuid: session.or_else(|| actor.session_uuid.clone()),
            description: description.map(Into::into),
            order: 0,
        }
    }

    fn sentence(&self, store: &Store, actor: &Actor) -> Option<String> {
        let (deed, link) = (self.deed.as_ref()?, self.entity?);
        let (who, what) = (store.name(&actor.user), store.name(&link));
        let name = self
            .attribute
            .as_deref()
            .and_then(|field| store.schema.field(link.kind, field));
        let kind = link.kind;
        Some(match name {
            Some(field) => format!("{who} {deed} \"{}\" on {kind} {what}", field.name),
            None => format!("{who} {deed} {kind} {what}"),
        })
    }
}

fn project(store: &Store, link: Link) -> Option<Link> {
    if link.kind == "Project" {
        return Some(link);
    }
    store.entity(link.kind, link.id)?.get("project").link()
}

/// A new entity.
pub(super) fn new_entity(link: Link) -> Draft {
    let meta = json!({"type": "new_entity", "entity_type": link.kind, "entity_id": link.id});
    Draft::about(link, "New", meta)
}

/// A field with another value.
pub(super) fn change(
    store: &Store,
    link: Link,
    def: &FieldDef,
    [old, new]: [&Kept; 2],
    in_create: bool,
) -> Draft {
    let mut meta = json!({
        "type": "attribute_change", "attribute_name": def.field,
        "entity_type": link.kind, "entity_id": link.id, "field_data_type": def.kind,
    });
    if def.kind.is_multi() {
        let (added, removed) = difference(old.links(), new.links());
        meta["added"] = shown_all(store, &added);
        meta["removed"] = shown_all(store, &removed);
    } else {
        meta["old_value"] = shown_or_plain(store, old);
        meta["new_value"] = shown_or_plain(store, new);
    }
    if in_create {
        meta["in_create"] = true.into();
    }
    let mut draft = Draft::about(link, "Change", meta);
    draft.attribute = Some(def.field.to_owned());
    draft
}

/// What a link did to a field of the entity on its other side: `Shot.tasks` after `Task.entity`.
///
/// The meta is about the side where it was written.
pub(super) fn back_reference(
    store: &Store,
    (link, def): (Link, &FieldDef),
    (target, field): (Link, Name),
    [old, new]: [&Kept; 2],
    original: usize,
) -> Draft {
    let mut meta = json!({
        "type": "attribute_change", "attribute_name": field,
        "entity_type": link.kind, "entity_id": link.id, "field_data_type": def.kind,
        "actual_attribute_changed": format!("{}.{}", link.kind, def.field),
    });
    let (added, removed) = difference(old.links(), new.links());
    meta["added"] = shown_all(store, &added);
    meta["removed"] = shown_all(store, &removed);
    let mut draft = Draft::about(target, "Change", meta);
    draft.attribute = Some(field.to_owned());
    draft.original = Some(original);
    draft
}

/// The two rows of a retirement.
pub(super) fn retirement(store: &Store, link: Link, at: i64) -> [Draft; 2] {
    // 2026-09-04 17:42:34 UTC, not as everywhere else.
    let at = seconds(at).replace('T', " ").replace('Z', " UTC");
    let meta = json!({
        "type": "attribute_change", "attribute_name": "retirement_date",
        "entity_type": link.kind, "entity_id": link.id, "old_value": null, "new_value": at,
    });
    let mut change = Draft::about(link, "Change", meta);
    change.attribute = Some("retirement_date".into());
    let mut meta = whole(store, link, "entity_retirement");
    meta["retirement_date"] = at.into();
    [change, Draft::about(link, "Retirement", meta)]
}

/// A retired entity that is back.
pub(super) fn revival(store: &Store, link: Link) -> Draft {
    let meta = whole(store, link, "entity_revival");
    Draft::about(link, "Revival", meta)
}

/// A note that somebody has read, or not any more.
pub(super) fn reading(note: Link, [old, new]: [&str; 2]) -> Draft {
    const FIELD: &str = "read_by_current_user";
    let meta = json!({
        "type": "attribute_change", "attribute_name": FIELD, "old_value": old, "new_value": new,
    });
    let mut draft = Draft::about(note, "Change", meta);
    draft.event_type = "Shotgun_Reading_Change".into();
    draft.attribute = Some(FIELD.into());
    draft
}

/// Somebody signed in.
pub(super) fn signed_in(user: Link) -> Draft {
    Draft {
        event_type: "Shotgun_User_Login".into(),
        entity: Some(user),
        deed: Some("signed in as".into()),
        ..Draft::default()
    }
}

/// Somebody has another password.
pub(super) fn new_password(user: Link) -> Draft {
    Draft {
        event_type: "Shotgun_User_PasswordChange".into(),
        deed: Some("changed the password of".into()),
        ..signed_in(user)
    }
}

/// Somebody made a webhook, changed it or took it away.
pub(super) fn webhook(action: &str, id: &str) -> Draft {
    Draft {
        event_type: format!("Shotgun_Webhook_{action}"),
        meta: json!({"type": "webhook", "webhook_id": id}),
        ..Draft::default()
    }
}

/// Somebody looked at an entity: the row is about the page that showed it.
pub(super) fn viewed(page: Link, link: Link) -> Draft {
    let meta = json!({"link_entity_type": link.kind, "link_entity_id": link.id});
    Draft {
        event_type: format!("Shotgun_{}_View", link.kind),
        meta,
        entity: Some(page),
        deed: Some("looked at".into()),
        ..Draft::default()
    }
}

fn whole(store: &Store, link: Link, kind: &str) -> Value {
    json!({
        "type": kind, "class_name": link.kind, "display_name": store.name(&link),
        "entity_type": link.kind, "entity_id": link.id, "id": link.id,
    })
}

fn shown_or_plain(store: &Store, value: &Kept) -> Value {
    match value {
        Cell::Link(link) => shown(store, link),
        value => value.json(),
    }
}

fn shown_all(store: &Store, links: &[Link]) -> Value {
    links.iter().map(|link| shown(store, link)).collect()
}

/// A link as the meta of a row shows it.
fn shown(store: &Store, link: &Link) -> Value {
    let Link { kind, id } = link;
    let mut shown = json!({
        "type": kind, "id": id, "name": store.name(link), "valid": "valid", "uuid": uuid(*link),
    });
    let status = store
        .entity(kind, *id)
        .map(|entity| entity.get("sg_status_list"));
    if let Some(status) = status.and_then(Cell::as_str) {
        shown["status"] = status.into();
    }
    shown
}

/// Made up, and the same on every run.
pub(super) fn uuid(link: Link) -> String {
    let kind = link.kind.bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    format!("{kind:08x}-0000-4000-8000-{:012x}", link.id)
}
