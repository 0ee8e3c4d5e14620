//! The view: rows as a reader sees them, with links looked up at the moment of reading.
//!
//! In: a row and a path. Out: values, JSON; a link to something retired is nothing.
//! Never: a change.

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use super::{
    cell::{Cell, Link, number_text, quote},
    log::EventRow,
    path::{Path, Step},
    rights::Rights,
    schema::{DataType, Derived, EVENT_LOG, FieldDef, NEVER_TOLD, Schema},
    store::Store,
    table::Entity,
    value::MASKED,
};
use crate::clock::Unix;

/// A row of any type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'a> {
    /// With its type.
    Entity(&'static str, &'a Entity),
    /// Of the log.
    Event(&'a EventRow),
}

impl<'a> Row<'a> {
    /// Its id.
    pub(super) fn id(&self) -> i64 {
        match self {
            Self::Entity(_, entity) => entity.id,
            Self::Event(row) => row.id,
        }
    }

    /// Its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Entity(kind, _) => kind,
            Self::Event(_) => EVENT_LOG,
        }
    }

    /// A link to it.
    pub(super) fn link(&self) -> Link {
        Link::new(self.kind(), self.id())
    }

    /// A field as it is stored.
    pub(super) fn stored(&self, name: &str) -> Cell<'a> {
        match self {
            Self::Entity(_, entity) if name == "id" => Cell::Int(entity.id),
            Self::Entity(_, entity) => entity.get(name).lent(),
            Self::Event(row) => event_field(row, name),
        }
    }
}

fn event_field<'a>(row: &'a EventRow, name: &str) -> Cell<'a> {
    let link = |link: &Option<Link>| link.map_or(Cell::Null, Cell::Link);
    match name {
        "id" => Cell::Int(row.id),
        "event_type" => Cell::text(&*row.event_type),
        "attribute_name" => Cell::maybe(row.attribute.as_deref()),
        "meta" => Cell::Json(Arc::new(
            serde_json::from_str(&row.meta).unwrap_or_default(),
        )),
        "entity" => link(&row.entity),
        "project" => link(&row.project),
        "user" => link(&row.user),
        "created_at" => Cell::Moment(row.created_at),
        "session_uuid" => Cell::maybe(row.session_uuid.as_deref()),
        "description" => Cell::maybe(row.description.as_deref()),
        _ => Cell::Null,
    }
}

/// A field that is asked for, looked up once for all rows.
#[derive(Debug)]
pub(super) struct Wanted {
    /// `,"code":`
    key: String,
    path: Path,
}

/// The store at one moment, for somebody.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// What there is.
    pub(super) store: &'a Store,
    /// The types and fields that are seen.
    pub(super) schema: &'a Schema,
    /// Which rows are seen.
    pub(super) rights: &'a Rights,
    /// When it is read.
    pub(super) now: Unix,
    /// Who reads.
    pub(super) viewer: Option<Link>,
}

impl<'a> View<'a> {
    /// The row behind a link, retired or not, if it is seen.
    pub(super) fn row(&self, link: &Link) -> Option<Row<'a>> {
        let row = if link.kind == EVENT_LOG {
            self.store.log.get(link.id).map(Row::Event)
        } else {
            let entity = self.store.entity(link.kind, link.id);
            entity.map(|entity| Row::Entity(link.kind, entity))
        };
        row.filter(|row| self.sees(*row))
    }

    /// Whether a row is seen.
    pub(super) fn sees(&self, row: Row<'a>) -> bool {
        self.rights.sees(self.store, row)
    }

    /// The live row behind a link.
    pub(super) fn follow(&self, link: &Link) -> Option<Row<'a>> {
        self.row(link)
            .filter(|row| !matches!(row, Row::Entity(_, entity) if entity.is_retired))
    }

    /// True for a row of a project that was archived, and for such a project.
    pub(super) fn is_archived(&self, row: Row<'a>) -> bool {
        let is_archived = |row: &Row<'_>| row.stored("archived") == Cell::Bool(true);
        if row.kind() == "Project" {
            return is_archived(&row);
        }
        let project = row.stored("project").link();
        project.is_some_and(|link| self.row(&link).is_some_and(|row| is_archived(&row)))
    }

    /// A field of a row, without the links to what is retired.
    pub(super) fn value(&self, row: Row<'a>, def: &FieldDef) -> Cell<'a> {
        if let Some(derived) = def.derived {
            return self.derive(row, derived);
        }
        match row.stored(def.field) {
            _ if def.kind == DataType::Password => Cell::text(MASKED),
            Cell::Null if def.kind.is_multi() => Cell::Links(Cow::Borrowed(&[])),
            Cell::Null if def.kind == DataType::Checkbox => Cell::Bool(false),
            value if matches!(def.kind, DataType::Url | DataType::Image) => {
                self.store.files.seen(value.kept(), self.now)
            }
            Cell::Link(link) if self.follow(&link).is_none() => Cell::Null,
            Cell::Links(links) if links.iter().any(|link| self.follow(link).is_none()) => {
                let live = links.iter().filter(|link| self.follow(link).is_some());
                Cell::Links(live.copied().collect())
            }
            value => value,
        }
    }

    fn derive(&self, row: Row<'a>, derived: Derived) -> Cell<'a> {
        let store = self.store;
        let links = |field: &str| row.stored(field).links().to_vec();
        let live = |field: &str| {
            links(field)
                .iter()
                .filter(|link| self.follow(link).is_some())
                .count()
        };
        let number = |number: usize| Cell::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let mine = |is_seen: [&'static str; 2]| {
            let seen = self
                .viewer
                .is_some_and(|me| store.social.seen.contains(&(me, row.link())));
            Cell::text(is_seen[usize::from(!seen)])
        };
        match derived {
            Derived::DisplayName => Cell::Text(match row {
                Row::Event(row) => Cow::Borrowed(row.description.as_deref().unwrap_or_default()),
                Row::Entity(kind, entity) => store.name(&Link::new(kind, entity.id)),
            }),
            Derived::OpenNotes | Derived::OpenNotesCount => {
                let is_open = |link: &&Link| {
                    let note = self.follow(link);
                    note.is_some_and(|note| note.stored("sg_status_list").as_str() == Some("opn"))
                };
                let notes = links("notes");
                let open = notes.iter().filter(is_open);
                match derived {
                    Derived::OpenNotes => Cell::Links(open.copied().collect()),
                    _ => number(open.count()),
                }
            }
            Derived::LastAccessed => {
                let at = self
                    .viewer
                    .and_then(|me| store.social.accessed.get(&(me, row.id())));
                at.map_or(Cell::Null, |at| Cell::Moment(*at))
            }
            Derived::TimeLogsSum => Cell::Int(self.minutes(row)),
            Derived::OverUnderBid => {
                let bid = row.stored("est_in_mins").as_i64();
                bid.map_or(Cell::Null, |bid| Cell::Int(self.minutes(row) - bid))
            }
            Derived::PercentOfBid => {
                let bid = row.stored("est_in_mins").as_i64().filter(|bid| *bid != 0);
                bid.map_or(Cell::Null, |bid| Cell::Int(self.minutes(row) * 100 / bid))
            }
            Derived::Unassigned => Cell::Bool(live("task_assignees") == 0),
            Derived::AssigneeCount => number(live("task_assignees")),
            Derived::Read => mine(["read", "unread"]),
            Derived::Viewed => mine(["viewed", "unviewed"]),
        }
    }

    fn minutes(&self, row: Row<'a>) -> i64 {
        let logs = row.stored("time_logs");
        let logs = logs.links().iter().filter_map(|link| self.store.live(link));
        logs.filter_map(|log| log.get("duration").as_i64()).sum()
    }

    /// Whether any value at the end of a path is what is looked for; a path that ends early has nothing at its end.
    pub(super) fn any(
        &self,
        row: Row<'a>,
        path: &Path,
        is_met: &mut dyn FnMut(&Cell<'_>) -> bool,
    ) -> bool {
        if path.is_plain() {
            return is_met(&self.value(row, &path.def));
        }
        let rows = self.ends(row, path);
        if rows.is_empty() {
            return is_met(&Cell::Null);
        }
        rows.iter().any(|row| is_met(&self.value(*row, &path.def)))
    }

    /// The first value at the end of a path.
    pub(super) fn first(&self, row: Row<'a>, path: &Path) -> Cell<'a> {
        if path.is_plain() {
            return self.value(row, &path.def);
        }
        let row = self.ends(row, path).into_iter().next();
        row.map_or(Cell::Null, |row| self.value(row, &path.def))
    }

    fn ends(&self, row: Row<'a>, path: &Path) -> Vec<Row<'a>> {
        let mut rows = vec![row];
        for step in &path.steps {
            let mut next = Vec::new();
            for row in rows {
                match step {
                    Step::To(def, kind) => {
                        let value = self.value(row, def);
                        let links = value.links().iter().filter(|link| link.kind == *kind);
                        next.extend(links.filter_map(|link| self.follow(link)));
                    }
                    Step::From(kind, def) if *kind == EVENT_LOG => {
                        let ids = self.store.log.about(row.link()).into_iter();
                        let rows = ids.filter(|_| def.field == "entity");
                        let rows = rows.filter_map(|id| self.store.log.get(id)).map(Row::Event);
                        next.extend(rows.filter(|row| self.sees(*row)));
                    }
                    Step::From(kind, def) => {
                        let rows = self.store.linked(kind, def.field, row.link());
                        let rows = rows.map(|entity| Row::Entity(kind, entity));
                        next.extend(rows.filter(|row| self.sees(*row)));
                    }
                }
            }
            rows = next;
        }
        rows
    }

    /// Appends a link as readers get it.
    fn name(&self, link: &Link, out: &mut String) {
        out.push_str("{\"type\":\"");
        out.push_str(link.kind);
        out.push_str("\",\"id\":");
        number_text(out, link.id);
        out.push_str(",\"name\":");
        quote(out, &self.store.name(link));
        out.push('}');
    }

    /// Appends a value as readers get it: links with their names.
    pub(super) fn write(&self, value: &Cell<'_>, out: &mut String) {
        value.write(out, |link, out| self.name(link, out));
    }

    /// A value as readers get it.
    pub(super) fn shown(&self, value: &Cell<'_>) -> Value {
        match value {
            Cell::Link(_) | Cell::Links(_) => {
                let mut text = String::new();
                self.write(value, &mut text);
                serde_json::from_str(&text).unwrap_or_default()
            }
            value => value.json(),
        }
    }

    /// Looks fields up; one that does not exist is left out, and one through a list of links.
    pub(super) fn wanted(&self, kind: &str, fields: &[String]) -> Vec<Wanted> {
        let fields = fields
            .iter()
            .filter(|name| !matches!(name.as_str(), "id" | "type"));
        let wanted = fields.filter_map(|name| {
            let path = Path::read(self.schema, kind, name)
                .filter(|path| !path.is_many() && path.def.field != NEVER_TOLD)?;
            let mut key = String::from(",");
            quote(&mut key, name);
            key.push(':');
            Some(Wanted { key, path })
        });
        wanted.collect()
    }

    /// Appends a record.
    pub(super) fn record(&self, row: Row<'a>, fields: &[Wanted], out: &mut String) {
        out.push_str("{\"type\":\"");
        out.push_str(row.kind());
        out.push_str("\",\"id\":");
        number_text(out, row.id());
        for Wanted { key, path } in fields {
            out.push_str(key);
            match row {
                Row::Event(row) if path.is_plain() && path.def.field == "meta" => {
                    out.push_str(&row.meta);
                }
                row => self.write(&self.first(row, path), out),
            }
        }
        out.push('}');
    }
}
