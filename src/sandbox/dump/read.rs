//! Reading a dump: line by line, each checked against what came before it; in the end every link has to lead somewhere.
//!
//! In: lines. Out: the site, or the first line that is wrong, with what was found and what is allowed.
//! Never: half a site.

use std::{collections::HashMap, io::BufRead, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{DayLine, EventLine, FileLine, Head, Line, Ref, RowLine, VERSION};
use crate::{
    clock::Unix,
    sandbox::{
        cell::{Cell, Kept, Link},
        keys::Keys,
        log::EventRow,
        name::keep,
        schema::{DataType, EVENT_LOG, FieldDef, Schema},
        social::{Calendar, DayRule},
        store::Store,
        table::Entity,
        value::{date, date_time},
    },
};

/// Types without which there is no site.
const NEEDED: [&str; 4] = ["HumanUser", "ApiUser", "Project", EVENT_LOG];
/// Of what was found, so much is repeated.
const FOUND_MAX: usize = 120;

/// Why a file is no site.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A line is not what it should be.
    #[error("{file}:{line}: {what}")]
    Line {
        /// Its name.
        file: String,
        /// From 1.
        line: usize,
        /// What was found, and what is allowed.
        what: String,
    },
    /// The whole is not what it should be.
    #[error("{file}: {what}")]
    File {
        /// Its name.
        file: String,
        /// What was found, and what is allowed.
        what: String,
    },
    /// It cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// Its name.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The types that a schema has to have and has not.
pub(in crate::sandbox) fn missing(schema: &Schema) -> Option<String> {
    let missing = NEEDED.iter().filter(|kind| schema.get(kind).is_none());
    let missing: Vec<&str> = missing.copied().collect();
    let all = NEEDED.join(", ");
    (!missing.is_empty()).then(|| {
        format!(
            "there is no {}; a site needs {all}",
            missing.join(" and no ")
        )
    })
}

/// Reads a site.
pub(in crate::sandbox) fn read(lines: impl BufRead, file: &str) -> Result<Store, LoadError> {
    let mut reader = Reader::default();
    for (index, line) in lines.split(b'\n').enumerate() {
        let line = line.map_err(|source| LoadError::Read {
            file: file.to_owned(),
            source,
        })?;
        reader.line += 1;
        reader.take(&line).map_err(|what| LoadError::Line {
            file: file.to_owned(),
            line: index + 1,
            what,
        })?;
    }
    let line = reader.line.max(1);
    reader.finish().map_err(|(at, what)| LoadError::Line {
        file: file.to_owned(),
        line: at.unwrap_or(line),
        what,
    })
}

#[derive(Default)]
struct Reader {
    line: usize,
    head: Option<Head>,
    schema: Schema,
    /// Once there are no more types to come.
    store: Option<Store>,
    /// Where each row stands.
    rows: HashMap<Link, usize>,
    is_whole: bool,
}

impl Reader {
    fn take(&mut self, text: &[u8]) -> Result<(), String> {
        if self.is_whole {
            return Err(format!(
                "found {}; nothing comes after the line \"end\"",
                found(text)
            ));
        }
        let line: Line = serde_json::from_slice(text)
            .map_err(|error| format!("found {}; {error}", found(text)))?;
        match (&self.head, line) {
            (None, Line::Site(head)) if head.version == VERSION => {
                self.head = Some(head);
                Ok(())
            }
            (None, Line::Site(head)) => Err(format!(
                "found a dump of version {} (by sgeventd {}); allowed: version {VERSION}",
                head.version, head.program
            )),
            (None, _) => Err(format!(
                "found {}; the first line is {{\"site\": {{\"version\": {VERSION}, …}}}}",
                found(text)
            )),
            (Some(_), Line::Site(_)) => {
                Err("a second line \"site\"; there is one, the first".into())
            }
            (Some(_), line) => self.part(line),
        }
    }

    fn part(&mut self, line: Line) -> Result<(), String> {
        if self.store.is_some() && matches!(line, Line::Statuses(_) | Line::Type(_)) {
            return Err("a type after rows or events; types come first".into());
        }
        match line {
            Line::Site(_) => {}
            Line::Statuses(all) => self.schema.statuses = all,
            Line::Type(line) => self.schema.add(&line.r#type, line.def)?,
            Line::Row(row) => self.row(row)?,
            Line::Ids(ids) => {
                let kind = self.kind(&ids.r#type)?;
                self.store().reserve_ids(kind, ids.last);
            }
            Line::Event(event) => self.event(*event)?,
            Line::Follow(line) => {
                let entity = self.link(&line.entity)?;
                self.store().social.follows.insert((line.person, entity));
            }
            Line::Seen(line) => {
                let pair = (self.link(&line.by)?, self.link(&line.entity)?);
                self.store().social.seen.insert(pair);
            }
            Line::Accessed(line) => {
                let by = self.link(&line.by)?;
                let key = (by, line.project);
                self.store().social.accessed.insert(key, line.at);
            }
            Line::Day(line) => self.day(line)?,
            Line::Plan(line) => {
                self.store().social.plans.insert(line.person, line.plan);
            }
            Line::Secret(line) => {
                let of = self.link(&line.of)?;
                self.store().keys.keep(of, Some(Keys::hide(&line.secret)));
            }
            Line::SecondFactor(line) => self.store().keys.ask_second(&line.login, Some(line.code)),
            Line::Session(line) => {
                let of = self.link(&line.of)?;
                self.store().keys.open(line.token, of);
            }
            Line::File(line) => self.file(line)?,
            Line::End(end) if end.lines == self.line => self.is_whole = true,
            Line::End(end) => {
                return Err(format!(
                    "line {} ends a dump of {} lines: some are missing or new",
                    self.line, end.lines
                ));
            }
        }
        Ok(())
    }

    fn store(&mut self) -> &mut Store {
        let schema = &mut self.schema;
        self.store
            .get_or_insert_with(|| Store::with(std::mem::take(schema)))
    }

    fn kind(&mut self, kind: &str) -> Result<&'static str, String> {
        let def = self.store().schema.get(kind).map(|def| def.kind);
        def.ok_or_else(|| {
            format!("found the type \"{kind}\"; allowed: the types of the lines \"type\"")
        })
    }

    fn link(&mut self, link: &Ref) -> Result<Link, String> {
        Ok(Link::new(self.kind(&link.r#type)?, link.id))
    }

    fn row(&mut self, row: RowLine) -> Result<(), String> {
        let kind = self.kind(&row.r#type)?;
        let (link, line) = (Link::new(kind, row.id), self.line);
        let place = format!("{kind} {}", row.id);
        if row.id < 1 || kind == EVENT_LOG {
            return Err(format!(
                "found {place}; allowed: ids from 1 up, and events as lines \"event\""
            ));
        }
        if let Some(first) = self.rows.insert(link, line) {
            return Err(format!(
                "{place} is there a second time; the first is in line {first}"
            ));
        }
        let store = self.store();
        let def = store.schema.get(kind).cloned();
        let def = def.ok_or_else(|| format!("found {place}; its type is gone"))?;
        store.make(link);
        for (name, value) in row.fields {
            let field = def.field_or_trash(&name);
            let field = field.ok_or_else(|| {
                format!("found the field \"{name}\" in {place}; allowed: those of the line \"type\" of {kind}")
            })?;
            let kept = kept(&store.schema, field, &value).ok_or_else(|| {
                let (word, value) = (field.kind.word(), found(value.to_string().as_bytes()));
                format!("found {value} in {place}.{name}; allowed: a value of the type {word}")
            })?;
            store.set(link, field.field, kept);
        }
        store.retire(link, row.retired);
        Ok(())
    }

    fn event(&mut self, line: EventLine) -> Result<(), String> {
        let next = self.head.as_ref().map_or(0, |head| head.next_event);
        let id = line.id;
        if id < 1 || id >= next {
            return Err(format!(
                "found the event {id}; allowed: 1 to {}, below next_event of the first line",
                next - 1
            ));
        }
        let log = &mut self.store().log;
        if log.get(id).is_some() || log.later().any(|(_, row)| row.id == id) {
            return Err(format!("the event {id} is there a second time"));
        }
        // Rows may be about what no type is for, such as the fields of a schema.
        let link = |link: Option<Ref>| link.map(|link| Link::new(keep(&link.r#type), link.id));
        let row = EventRow {
            id,
            event_type: log.word(&line.event_type),
            attribute: line.attribute_name.map(|word| log.word(&word)),
            meta: line.meta.get().into(),
            entity: link(line.entity),
            project: link(line.project),
            user: link(line.user),
            created_at: line.created_at,
            session_uuid: line.session_uuid.map(Into::into),
            description: line.description.map(Into::into),
            order: 0,
        };
        match line.readable_at {
            Some(at) => log.publish_at(Unix(at), row),
            None => log.publish(row),
        }
        Ok(())
    }

    fn day(&mut self, line: DayLine) -> Result<(), String> {
        let calendar = match (line.project, line.user) {
            (None, None) => Calendar::Studio,
            (Some(project), None) => Calendar::Project(project),
            (None, Some(user)) => Calendar::User(user),
            (Some(_), Some(_)) => {
                return Err("found a project and a user; allowed: one of them".into());
            }
        };
        let day = date(&line.date);
        let day = day.ok_or_else(|| {
            format!(
                "found the date \"{}\"; allowed: such as 2026-07-15",
                line.date
            )
        })?;
        let rule = DayRule {
            working: line.working,
            description: line.description,
        };
        self.store().social.days.insert((calendar, day), rule);
        Ok(())
    }

    fn file(&mut self, line: FileLine) -> Result<(), String> {
        let bytes = STANDARD.decode(&line.base64);
        let bytes =
            bytes.map_err(|error| format!("the bytes of {} are not base64: {error}", line.name))?;
        let named = [line.name.as_str(), &line.content_type];
        let files = &mut self.store().files;
        files.put_back(line.attachment, named, bytes.into(), Unix(line.ready_at))
    }

    fn finish(mut self) -> Result<Store, (Option<usize>, String)> {
        if !self.is_whole {
            return Err((
                None,
                "the file ends without the line \"end\": it is not whole".into(),
            ));
        }
        let next = self.head.as_ref().map_or(1, |head| head.next_event);
        self.store().log.go_on_at(next);
        let store = self.store.take().unwrap_or_else(Store::new);
        if let Some(what) = missing(&store.schema) {
            return Err((None, what));
        }
        for (link, line) in &self.rows {
            let row = store.entity(link.kind, link.id);
            let mut fields = row.into_iter().flat_map(Entity::fields);
            let lost = fields.find_map(|(field, value)| {
                let mut links = value.links().iter();
                let is_there =
                    |to: &&Link| to.kind == EVENT_LOG || store.entity(to.kind, to.id).is_some();
                let lost = links.find(|to| !is_there(to))?;
                Some(format!(
                    "{} {}.{field} links to {} {}, which is not in the file",
                    link.kind, link.id, lost.kind, lost.id
                ))
            });
            if let Some(what) = lost {
                return Err((Some(*line), what));
            }
        }
        Ok(store)
    }
}

/// A value as it was kept; nothing when the field takes no such value.
fn kept(schema: &Schema, field: &FieldDef, value: &Value) -> Option<Kept> {
    use DataType as D;
    let link = |value: &Value| Link::read(value).filter(|link| schema.get(link.kind).is_some());
    match (field.kind, value) {
        (D::Serializable | D::Jsonb | D::Url | D::TagList, value) => match value {
            Value::Null => None,
            value => Some(Cell::Json(Arc::new(value.clone()))),
        },
        (D::DateTime, Value::String(text)) => date_time(text).map(Cell::Moment),
        (D::Entity, value) => link(value).map(Cell::Link),
        (kind, Value::Array(list)) if kind.is_multi() => {
            let links = list.iter().map(link).collect::<Option<Vec<Link>>>()?;
            Some(Cell::Links(links.into()))
        }
        (D::Checkbox, Value::Bool(yes)) => Some(Cell::Bool(*yes)),
        (D::Checkbox | D::MultiEntity | D::Addressing | D::DateTime, _) => None,
        (kind, Value::Number(_)) if kind.is_number() || kind == D::Image => Some(Kept::from(value)),
        (kind, _) if kind.is_number() => None,
        (D::Image, Value::String(_)) => Some(Kept::from(value)),
        (D::Image, _) | (_, Value::Null | Value::Array(_) | Value::Object(_) | Value::Bool(_)) => {
            None
        }
        // Lists with numbers as their default, from before it was a word.
        (_, Value::Number(_) | Value::String(_)) => Some(Kept::from(value)),
    }
}

/// What was found, short.
fn found(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut letters = text.chars();
    let short: String = letters.by_ref().take(FOUND_MAX).collect();
    let rest = if letters.next().is_some() { "…" } else { "" };
    format!("`{}{rest}`", short.trim_end())
}

impl LoadError {
    /// About a whole file.
    pub(in crate::sandbox) fn whole(file: &str, what: String) -> Self {
        Self::File {
            file: file.to_owned(),
            what,
        }
    }
}
