//! The view: rows as a reader sees them, with links looked up at the moment of reading.
//!
//! In: a row and a path. Out: values; a link to something retired is nothing.
//! Never: a change.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    links::links,
    log::{EventRow, Link},
    schema::{DataType, EVENT_LOG, FieldDef, Schema},
    store::{Entity, Store},
    value::seconds,
};
use crate::clock::Unix;

/// A row of any type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'a> {
    /// With its type.
    Entity(&'a str, &'a Entity),
    /// Of the log.
    Event(&'a EventRow),
}

impl<'a> Row<'a> {
    /// Its id.
    pub(super) fn id(&self) -> i64 {
        match self {
            Self::Entity(_, entity) => entity.fields.get("id").and_then(Value::as_i64).unwrap_or(0),
            Self::Event(row) => row.id,
        }
    }

    fn kind(&self) -> &'a str {
        match self {
            Self::Entity(kind, _) => kind,
            Self::Event(_) => EVENT_LOG,
        }
    }

    /// A field as it is stored.
    fn field(&self, name: &str) -> Cow<'a, Value> {
        match self {
            Self::Entity(_, entity) => entity
                .fields
                .get(name)
                .map_or(Cow::Owned(Value::Null), Cow::Borrowed),
            Self::Event(row) => Cow::Owned(event_field(row, name)),
        }
    }
}

fn event_field(row: &EventRow, name: &str) -> Value {
    let text =
        |text: &Option<std::sync::Arc<str>>| text.as_deref().map_or(Value::Null, Value::from);
    let link = |link: &Option<Link>| link.as_ref().map_or(Value::Null, Link::stored);
    match name {
        "id" => row.id.into(),
        "event_type" => (*row.event_type).into(),
        "attribute_name" => text(&row.attribute),
        "meta" => serde_json::from_str(&row.meta).unwrap_or_default(),
        "entity" => link(&row.entity),
        "project" => link(&row.project),
        "user" => link(&row.user),
        "created_at" => seconds(row.created_at).into(),
        "session_uuid" => text(&row.session_uuid),
        "description" => text(&row.description),
        _ => Value::Null,
    }
}

/// `entity.Shot.sg_sequence.Sequence.code`: links to follow, then a field.
#[derive(Debug)]
pub(super) struct Path {
    steps: Vec<(String, String)>,
    /// The field at the end.
    pub(super) last: String,
    /// What it is.
    pub(super) def: &'static FieldDef,
}

impl Path {
    /// Reads a path from a type on; nothing when a part of it does not exist.
    pub(super) fn read(schema: &'static Schema, kind: &str, text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let (last, linked) = parts.split_last()?;
        if !linked.len().is_multiple_of(2) {
            return None;
        }
        let mut kind = kind;
        let mut steps = Vec::new();
        for pair in linked.chunks_exact(2) {
            schema.get(kind)?.fields.get(pair[0])?;
            steps.push((pair[0].to_owned(), pair[1].to_owned()));
            kind = pair[1];
        }
        Some(Self {
            steps,
            last: (*last).to_owned(),
            def: schema.get(kind)?.fields.get(*last)?,
        })
    }

    /// True for a field of the row itself.
    pub(super) fn is_plain(&self) -> bool {
        self.steps.is_empty()
    }
}

/// The store at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// What there is.
    pub(super) store: &'a Store,
    /// When it is read.
    pub(super) now: Unix,
}

impl<'a> View<'a> {
    /// The row behind a link, retired or not.
    pub(super) fn row(&self, link: &Link) -> Option<Row<'a>> {
        if &*link.kind == EVENT_LOG {
            return self.store.log.get(link.id).map(Row::Event);
        }
        let kind = self.store.schema.name_of(&link.kind)?;
        let entity = self.store.entity(kind, link.id)?;
        Some(Row::Entity(kind, entity))
    }

    /// The live row behind a link.
    pub(super) fn follow(&self, link: &Link) -> Option<Row<'a>> {
        let is_live = |row: &Row<'_>| !matches!(row, Row::Entity(_, entity) if entity.is_retired);
        self.row(link).filter(is_live)
    }

    /// True for a row of a project that was archived, and for such a project.
    pub(super) fn is_archived(&self, row: Row<'a>) -> bool {
        let is_archived = |row: &Row<'_>| *row.field("archived") == Value::Bool(true);
        if row.kind() == "Project" {
            return is_archived(&row);
        }
        let project = Link::read(&row.field("project"));
        project.is_some_and(|link| self.row(&link).is_some_and(|row| is_archived(&row)))
    }

    /// Every value at the end of a path, through lists of links too; one null when the path ends early.
    pub(super) fn values(&self, row: Row<'a>, path: &Path) -> Vec<Value> {
        let mut rows = vec![row];
        for (field, kind) in &path.steps {
            let next = rows.iter().flat_map(|row| links(&row.field(field)));
            rows = next
                .filter(|link| *link.kind == **kind)
                .filter_map(|link| self.follow(&link))
                .collect();
        }
        if rows.is_empty() {
            return vec![Value::Null];
        }
        rows.iter()
            .map(|row| self.seen(path.def.kind, row.field(&path.last)))
            .collect()
    }

    /// A stored value without the links to what is retired.
    fn seen(&self, kind: DataType, value: Cow<'_, Value>) -> Value {
        if kind == DataType::Entity {
            let live = Link::read(&value).filter(|link| self.follow(link).is_some());
            return live.map_or(Value::Null, |link| link.stored());
        }
        if kind.is_multi() {
            let live = links(&value)
                .into_iter()
                .filter(|link| self.follow(link).is_some());
            return live.map(|link| link.stored()).collect();
        }
        value.into_owned()
    }

    /// A link as readers get it.
    pub(super) fn named(&self, link: &Link) -> Value {
        json!({"type": *link.kind, "id": link.id, "name": self.store.name(link)})
    }

    /// A value as readers get it: links with their names.
    pub(super) fn shown(&self, kind: DataType, value: Value) -> Value {
        match value {
            Value::Object(_) if kind == DataType::Entity => {
                Link::read(&value).map_or(Value::Null, |link| self.named(&link))
            }
            Value::Array(_) if kind.is_multi() => {
                links(&value).iter().map(|link| self.named(link)).collect()
            }
            value => value,
        }
    }

    /// A record with these fields, as JSON text; a field that does not exist is left out.
    pub(super) fn record(&self, row: Row<'a>, fields: &[String]) -> String {
        let mut out = format!("{{\"type\":\"{}\",\"id\":{}", row.kind(), row.id());
        for field in fields
            .iter()
            .filter(|f| !matches!(f.as_str(), "id" | "type"))
        {
            let Some(text) = self.field_text(row, field) else {
                continue;
            };
            out.push(',');
            out.push_str(&Value::from(field.as_str()).to_string());
            out.push(':');
            out.push_str(&text);
        }
        out.push('}');
        out
    }

    fn field_text(&self, row: Row<'a>, field: &str) -> Option<Cow<'a, str>> {
        if let (Row::Event(row), "meta") = (row, field) {
            return Some(Cow::Borrowed(&row.meta));
        }
        let path = Path::read(self.store.schema, row.kind(), field)?;
        let first = path.steps.first();
        if first.is_some_and(|(field, _)| row.field(field).is_array()) {
            return None;
        }
        let value = self.values(row, &path).into_iter().next()?;
        Some(Cow::Owned(self.shown(path.def.kind, value).to_string()))
    }
}
