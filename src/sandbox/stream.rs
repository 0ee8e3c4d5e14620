//! The activity stream of an entity, and the thread of a note.
//!
//! In: an entity, bounds, more fields. Out: what happened to it and to what is linked to it, newest first; a note with its replies.
//! Never: a promise that nothing is left out; that is the log's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    cell::{Cell, Link},
    check::missing,
    fault::Fault,
    log::EventRow,
    method::Call,
    name::keep,
    payload::wrong,
    read::fields,
    store::Actor,
    value::seconds,
    view::{Row, View},
};

/// Without a limit.
const UPDATES: usize = 50;
/// Changes that people want to hear of.
const TOLD: [&str; 2] = ["sg_status_list", "task_assignees"];
/// What is made about an entity, and the field that says so.
const MADE_ABOUT: [(&str, &str); 4] = [
    ("Note", "note_links"),
    ("Version", "entity"),
    ("PublishedFile", "entity"),
    ("Task", "entity"),
];

impl Call<'_> {
    /// `activity_stream`
    pub(super) fn activity_stream(&self, who: &Actor) -> Result<Value, Fault> {
        const METHOD: &str = "activity_stream";
        let link = self.entity(METHOD, self.text(METHOD, "type")?, &self.payload["id"])?;
        let view = self.view(who);
        if view.row(&link).is_none() {
            return Err(missing(METHOD, link.kind, link.id));
        }
        let above = self.maybe_number(METHOD, "min_id")?.unwrap_or(i64::MIN);
        let below = self.maybe_number(METHOD, "max_id")?.unwrap_or(i64::MAX);
        let limit = self.maybe_number(METHOD, "limit")?;
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(UPDATES);
        let mut updates = BTreeMap::new();
        let sources = self.sources(link).into_iter();
        for (about, primary) in sources.filter(|(about, _)| view.row(about).is_some()) {
            for id in self.store.log.about(about) {
                let is_within = id > above && id < below;
                let row = self.store.log.get(id).filter(|_| is_within);
                let row = row.filter(|row| view.sees(Row::Event(row)));
                if let Some((row, kind)) = row.and_then(|row| Some((row, update_type(row)?))) {
                    updates.insert(id, (row, kind, primary));
                }
            }
        }
        let newest: Vec<_> = updates.into_values().rev().take(limit).collect();
        let told = newest
            .iter()
            .map(|(row, kind, primary)| self.update(view, row, kind, *primary));
        Ok(json!({
            "entity_type": link.kind, "entity_id": link.id, "updates": told.collect::<Value>(),
            "latest_update_id": newest.first().map(|(row, ..)| row.id),
            "earliest_update_id": newest.last().map(|(row, ..)| row.id),
        }))
    }

    /// What rows are about, and whom their updates show.
    fn sources(&self, link: Link) -> Vec<(Link, Link)> {
        let mut sources = vec![(link, link)];
        for (kind, field) in MADE_ABOUT {
            let made = self.store.linked(kind, keep(field), link);
            sources.extend(
                made.map(|row| Link::new(keep(kind), row.id))
                    .map(|made| (made, made)),
            );
        }
        let notes: Vec<Link> = sources
            .iter()
            .map(|(about, _)| *about)
            .filter(|l| l.kind == "Note")
            .collect();
        for note in notes {
            let replies = self.store.linked("Reply", keep("entity"), note);
            sources.extend(replies.map(|reply| (Link::new(keep("Reply"), reply.id), note)));
        }
        sources
    }

    fn update(&self, view: View<'_>, row: &EventRow, kind: &str, primary: Link) -> Value {
        let mut shown = json!({
            "type": primary.kind, "id": primary.id, "name": self.store.name(&primary), "status": null,
        });
        if let Some(row) = view.row(&primary) {
            shown["status"] = row.stored("sg_status_list").json();
            self.add_fields(view, primary, &mut shown);
        }
        let by = row.user.map(|user| {
            let person = view.row(&user);
            let field = |name: &str| person.map_or(Value::Null, |row| row.stored(name).json());
            json!({
                "type": user.kind, "id": user.id, "name": self.store.name(&user),
                "status": field("sg_status_list"), "image": field("image"),
            })
        });
        let meta: Value = serde_json::from_str(&row.meta).unwrap_or_default();
        json!({
            "id": row.id, "update_type": kind, "meta": meta, "created_at": seconds(row.created_at),
            "read": true, "primary_entity": shown, "created_by": by,
        })
    }

    /// The fields of `entity_fields` for the type of an entity.
    fn add_fields(&self, view: View<'_>, link: Link, record: &mut Value) {
        let wanted = view.wanted(
            link.kind,
            &fields(&self.payload["entity_fields"][link.kind]),
        );
        let Some(row) = view.row(&link) else { return };
        let mut text = String::new();
        view.record(row, &wanted, &mut text);
        let more: Value = serde_json::from_str(&text).unwrap_or_default();
        for (name, value) in more.as_object().into_iter().flatten() {
            record[name] = value.clone();
        }
    }

    /// `note_thread_contents`
    pub(super) fn note_thread(&self, who: &Actor) -> Result<Value, Fault> {
        const METHOD: &str = "note_thread_contents";
        let asked = &self.payload["entity_fields"];
        if !asked.is_null() && !asked.is_object() {
            return Err(wrong(METHOD, "hash 'entity_fields'", self.payload));
        }
        let note = self.entity(METHOD, "Note", &self.payload["note_id"])?;
        let view = self.view(who);
        let row = view
            .follow(&note)
            .ok_or_else(|| missing(METHOD, "Note", note.id))?;
        let mut parts: Vec<(i64, Link)> = Vec::new();
        let made = |link: &Link| match view.follow(link)?.stored("created_at") {
            Cell::Moment(at) => Some((at, *link)),
            _ => None,
        };
        for field in ["replies", "attachments"] {
            parts.extend(row.stored(field).links().iter().filter_map(made));
        }
        parts.sort_by_key(|(at, link)| (*at, link.kind != "Reply", link.id));
        let thread = std::iter::once(note).chain(parts.into_iter().map(|(_, link)| link));
        Ok(thread.map(|link| self.part_of_thread(view, link)).collect())
    }

    fn part_of_thread(&self, view: View<'_>, link: Link) -> Value {
        let own: &[&str] = match link.kind {
            "Note" => &["content", "created_at", "created_by"],
            "Reply" => &["content", "created_at", "user"],
            _ => &["created_at", "created_by"],
        };
        let names: Vec<String> = own.iter().map(|name| (*name).to_owned()).collect();
        let mut text = String::new();
        if let Some(row) = view.row(&link) {
            view.record(row, &view.wanted(link.kind, &names), &mut text);
        }
        let mut record: Value = serde_json::from_str(&text).unwrap_or_default();
        self.add_fields(view, link, &mut record);
        if let Some(user) = Link::read(&record["user"]).filter(|_| link.kind == "Reply") {
            let image = view
                .row(&user)
                .map_or(Value::Null, |row| row.stored("image").json());
            record["user"]["image"] = image;
        }
        record
    }
}

/// What the stream calls a row of the log; nothing for rows that it leaves out.
fn update_type(row: &EventRow) -> Option<&'static str> {
    let action = row.event_type.rsplit('_').next()?;
    let is_reply = row.entity.is_some_and(|link| link.kind == "Reply");
    match action {
        "New" if is_reply => Some("create_reply"),
        "New" => Some("create"),
        "Retirement" => Some("delete"),
        "Change" => {
            let field = row.attribute.as_deref()?;
            (TOLD.contains(&field) && !row.meta.contains("\"in_create\":true")).then_some("update")
        }
        _ => None,
    }
}
