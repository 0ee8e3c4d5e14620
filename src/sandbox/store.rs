//! The store: entities by type and id, the event log, and transactions over both.
//!
//! In: work on a transaction, with who does it and when. Out: what the work says; its rows in the log, or nothing at all.
//! Never: I/O, a clock, chance.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use super::{
    cell::{Kept, Link},
    fault::Fault,
    files::Files,
    keys::Keys,
    launcher::Launcher,
    log::{EventRow, Log},
    name::{Name, keep},
    rights::Rights,
    schema::Schema,
    social::Social,
    table::{Entity, Table},
    transaction::Transaction,
};
use crate::clock::Unix;

/// The first event of a site that has had a life before; small ids would hide mistakes with their width.
const FIRST_EVENT: i64 = 1001;

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
    /// What they may see and do.
    pub(super) rights: Arc<Rights>,
}

impl Actor {
    /// Somebody in the browser.
    pub(super) fn human(id: i64) -> Self {
        Self {
            user: Link::new(keep("HumanUser"), id),
            sudo: None,
            session_uuid: None,
            is_logged: true,
            rights: Rights::all(),
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
    /// When what is held is released.
    Held,
}

/// What becomes of writes that would commit with their answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    /// That.
    #[default]
    Committed,
    /// Their rows are readable so many milliseconds later.
    Late(u64),
    /// Their rows are not readable until they are released.
    Held,
    /// They are undone and refused; the ids of their rows are taken.
    RolledBack,
}

/// Everything that the site knows.
#[derive(Debug)]
pub(super) struct Store {
    /// Its types.
    pub(super) schema: Schema,
    /// What was uploaded.
    pub(super) files: Files,
    /// Its events.
    pub(super) log: Log,
    /// Who follows what, has read what, works when.
    pub(super) social: Social,
    /// Passwords and sessions.
    pub(super) keys: Keys,
    /// Programs that wait for somebody to sign in.
    pub(super) launcher: Launcher,
    /// What becomes of the writes that come now; decided outside.
    pub(super) fate: Fate,
    /// True when one came since.
    pub(super) is_fated: bool,
    tables: HashMap<Name, Table>,
}

impl Store {
    /// An empty site.
    pub(super) fn new() -> Self {
        Self::with(Schema::builtin())
    }

    /// An empty site of a schema.
    pub(super) fn with(schema: Schema) -> Self {
        let tables = schema.types().map(|def| (def.kind, Table::new(def)));
        Self {
            tables: tables.collect(),
            schema,
            files: Files::default(),
            log: Log::new(FIRST_EVENT),
            social: Social::default(),
            keys: Keys::default(),
            launcher: Launcher::default(),
            fate: Fate::default(),
            is_fated: false,
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
        let done = match work(&mut transaction) {
            Ok(done) => done,
            Err(fault) => {
                transaction.undo();
                return Err(fault);
            }
        };
        if commit != Commit::Now {
            transaction.finish(commit);
            return Ok(done);
        }
        let has_rows = !transaction.drafts.is_empty();
        let fate = transaction.store.fate;
        transaction.finish(match fate {
            // A write that changes nothing has nothing to be late or lost.
            _ if !has_rows => Commit::Now,
            Fate::Committed => Commit::Now,
            Fate::Late(ms) => Commit::At(now + Duration::from_millis(ms)),
            Fate::Held => Commit::Held,
            Fate::RolledBack => Commit::Never,
        });
        self.is_fated |= has_rows;
        if has_rows && fate == Fate::RolledBack {
            return Err(Fault::operation(
                "API the transaction was rolled back: trouble on demand",
            ));
        }
        Ok(done)
    }

    /// The rows of a type.
    pub(super) fn table(&self, kind: &str) -> Option<&Table> {
        self.tables.get(kind)
    }

    /// An entity, retired or not.
    pub(super) fn entity(&self, kind: &str, id: i64) -> Option<&Entity> {
        self.tables.get(kind)?.get(id)
    }

    /// The entity behind a link, unless it is retired.
    pub(super) fn live(&self, link: &Link) -> Option<&Entity> {
        self.entity(link.kind, link.id)
            .filter(|entity| !entity.is_retired)
    }

    /// All entities of a type by id.
    pub(super) fn entities(&self, kind: &str) -> impl DoubleEndedIterator<Item = &Entity> {
        self.tables.get(kind).into_iter().flat_map(Table::rows)
    }

    /// The live rows of a type that link to something, by id.
    pub(super) fn linked(
        &self,
        kind: &str,
        field: Name,
        link: Link,
    ) -> impl DoubleEndedIterator<Item = &Entity> {
        let rows = self.linked_ever(kind, field, link);
        rows.filter(|row| !row.is_retired)
    }

    /// As [`Self::linked`], with those that are retired.
    pub(super) fn linked_ever(
        &self,
        kind: &str,
        field: Name,
        link: Link,
    ) -> impl DoubleEndedIterator<Item = &Entity> {
        let table = self.tables.get(kind);
        let ids = table.and_then(|table| table.linked(field, link));
        ids.into_iter()
            .flatten()
            .filter_map(move |id| table?.get(*id))
    }

    /// The first live row of a type with a text in a field by which rows are found.
    pub(super) fn named(&self, kind: &str, field: Name, text: &str) -> Option<&Entity> {
        let table = self.tables.get(kind)?;
        let mut ids = table.named(field, &text.to_lowercase())?.iter();
        ids.find_map(|id| table.get(*id).filter(|row| !row.is_retired))
    }

    /// The name that a link shows.
    pub(super) fn name(&self, link: &Link) -> Cow<'_, str> {
        let parts = self
            .schema
            .get(link.kind)
            .zip(self.entity(link.kind, link.id));
        let parts = parts.into_iter().flat_map(|(def, entity)| {
            let fields = def.display.iter();
            fields.filter_map(|field| entity.get(field).as_str())
        });
        let joined = parts.fold(None, |all: Option<Cow<'_, str>>, part| {
            Some(all.map_or(Cow::Borrowed(part), |all| format!("{all} {part}").into()))
        });
        joined.unwrap_or_else(|| format!("{} {}", link.kind, link.id).into())
    }

    /// Takes the next id of a type away.
    pub(super) fn take_id(&mut self, kind: Name) -> i64 {
        self.tables.entry(kind).or_default().take_id()
    }

    /// Gives away no id of a type up to this one.
    pub(super) fn reserve_ids(&mut self, kind: Name, last: i64) {
        self.tables.entry(kind).or_default().reserve(last);
    }

    /// Puts an empty entity there.
    pub(super) fn make(&mut self, link: Link) {
        self.tables.entry(link.kind).or_default().make(link.id);
    }

    /// Takes an entity away for ever.
    pub(super) fn forget(&mut self, link: Link) {
        self.tables.entry(link.kind).or_default().forget(link.id);
    }

    /// Writes a value; returns what it was.
    pub(super) fn set(&mut self, link: Link, field: Name, value: Kept) -> Kept {
        let table = self.tables.get_mut(link.kind);
        table.map_or(Kept::Null, |table| table.set(link.id, field, value))
    }

    /// Hides an entity or shows it again.
    pub(super) fn retire(&mut self, link: Link, is_retired: bool) {
        if let Some(table) = self.tables.get_mut(link.kind) {
            table.retire(link.id, is_retired);
        }
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
        let status: Arc<str> = "sg_status_list".into();
        let project = Link::new(keep("Project"), 1);
        let user = Link::new(keep("HumanUser"), 1);
        let first = self.log.reserve(count);
        for (id, step) in (first..).zip(0..count) {
            let kind = keep(KINDS[step / 2 % KINDS.len()]);
            self.log.publish(EventRow {
                id,
                event_type: types[step % types.len()].clone(),
                attribute: (step % 2 == 1).then(|| status.clone()),
                meta: bulk_meta(kind, step).into(),
                entity: Some(Link::new(kind, 1)),
                project: Some(project),
                user: Some(user),
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
