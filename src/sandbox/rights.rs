//! Rights: what somebody's permission group lets them see and change.
//!
//! In: who calls; a row, a method with its payload. Out: yes, or the refusal in the site's words.
//! What cannot be seen is not there: rows are missing, links to them are nothing, fields have no name.
//! Never: a change; a look at what a call answers (that is the view's, which asks here).

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{
    cell::{Cell, Link},
    check::missing,
    fault::Fault,
    name::Name,
    schema::{EVENT_LOG, Schema},
    store::Store,
    view::Row,
};

/// A group may stand on another one; a circle of them ends here.
const PARENTS_MAX: usize = 8;
/// Methods that change the site for everybody.
/// Making, changing and ending webhooks: they are told everything, whoever made them.
pub(super) const WEBHOOKS: &str = "webhook";
/// Who somebody is and what they may do: not theirs to change.
const NOT_OWN: [&str; 5] = [
    "permission_rule_set",
    "projects",
    "login",
    "sg_status_list",
    "groups",
];
const FOR_MANAGERS: [&str; 7] = [
    WEBHOOKS,
    "schema_field_create",
    "schema_field_update",
    "schema_field_delete",
    "schema_field_revive",
    "work_schedule_update",
    "user_subscriptions_create",
];
/// Methods whose payload names rows that must be seen.
const NAME_ROWS: [&str; 6] = [
    "follow",
    "unfollow",
    "followers",
    "following",
    "work_schedule_read",
    "update_project_last_accessed_by_current_user",
];

/// What a group may, beside a site's own administrators.
#[derive(Debug)]
struct Level {
    code: &'static str,
    sees_all_projects: bool,
    is_manager: bool,
    /// Types that it does not see.
    hidden_types: &'static [Name],
    /// Fields that it does not see.
    hidden_fields: &'static [(Name, Name)],
    /// Types that it makes; what it made it changes and retires. None: all but those of administrators.
    makes: Option<&'static [&'static str]>,
    /// What it changes of the work of others.
    changes: &'static [(&'static str, &'static [&'static str])],
}

/// Types that only administrators write.
const FOR_ADMINS: [&str; 4] = ["ApiUser", "HumanUser", "PermissionRuleSet", "LocalStorage"];
const OF_TASKS: [(&str, &[&str]); 2] = [
    (
        "Task",
        &["sg_status_list", "sg_description", "image", "notes"],
    ),
    (
        "Version",
        &["sg_status_list", "image", "notes", "playlists"],
    ),
];
const MADE_BY_ARTISTS: [&str; 8] = [
    "Note",
    "Reply",
    "Version",
    "PublishedFile",
    "Attachment",
    "TimeLog",
    "Playlist",
    EVENT_LOG,
];
const CONTRACTS: [(&str, &str); 2] = [
    ("HumanUser", "contract_start_date"),
    ("HumanUser", "contract_end_date"),
];
const BIDS: [(&str, &str); 7] = [
    ("HumanUser", "contract_start_date"),
    ("HumanUser", "contract_end_date"),
    ("Task", "est_in_mins"),
    ("Task", "time_logs"),
    ("Task", "time_logs_sum"),
    ("Task", "time_logs_over_under_bid"),
    ("Task", "time_percent_of_est"),
];

/// By the code of the group. `admin` and `api_admin` may do all and are not here.
static LEVELS: [Level; 4] = [
    Level {
        code: "manager",
        sees_all_projects: true,
        is_manager: true,
        hidden_types: &[],
        hidden_fields: &[],
        makes: None,
        changes: &[],
    },
    Level {
        code: "artist",
        sees_all_projects: false,
        is_manager: false,
        hidden_types: &["Booking"],
        hidden_fields: &CONTRACTS,
        makes: Some(&MADE_BY_ARTISTS),
        changes: &OF_TASKS,
    },
    Level {
        code: "vendor",
        sees_all_projects: false,
        is_manager: false,
        hidden_types: &["Booking", "TimeLog"],
        hidden_fields: &BIDS,
        makes: Some(&["Note", "Reply", "Version", "PublishedFile", "Attachment"]),
        changes: &[OF_TASKS[0]],
    },
    Level {
        code: "client_user",
        sees_all_projects: false,
        is_manager: false,
        hidden_types: &["Booking", "TimeLog", "PublishedFile"],
        hidden_fields: &BIDS,
        makes: Some(&["Note", "Reply"]),
        changes: &[],
    },
];
const ADMINS: [&str; 2] = ["admin", "api_admin"];

/// What one caller may.
#[derive(Debug)]
pub(super) struct Rights(Option<Limits>);

#[derive(Debug)]
struct Limits {
    level: &'static Level,
    /// What people call the group.
    group: String,
    me: Link,
    projects: BTreeSet<i64>,
    /// Without the fields and types that are not seen.
    schema: Schema,
}

/// Those of an administrator.
#[cfg(test)]
pub(super) static ALL: Rights = Rights(None);

impl Rights {
    /// Everything.
    pub(super) fn all() -> Arc<Self> {
        Arc::new(Self(None))
    }

    /// Those of somebody's permission group; who has none may do all.
    pub(super) fn of(store: &Store, user: Link) -> Arc<Self> {
        let entity = store.entity(user.kind, user.id);
        let group = entity.and_then(|entity| entity.get("permission_rule_set").link());
        let (Some(entity), Some(group)) = (entity, group) else {
            return Self::all();
        };
        let Some(level) = level(store, group) else {
            return Self::all();
        };
        let projects = entity.get("projects").links().iter();
        let mut schema = store.schema.clone();
        schema.hide(level.hidden_types, level.hidden_fields);
        Arc::new(Self(Some(Limits {
            level,
            group: store.name(&group).into_owned(),
            me: user,
            projects: projects.map(|project| project.id).collect(),
            schema,
        })))
    }

    /// Whether nothing is kept from somebody.
    pub(super) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The types and fields that are seen.
    pub(super) fn schema<'a>(&'a self, whole: &'a Schema) -> &'a Schema {
        self.0.as_ref().map_or(whole, |limits| &limits.schema)
    }

    /// Whether a row is seen.
    pub(super) fn sees(&self, store: &Store, row: Row<'_>) -> bool {
        self.0.as_ref().is_none_or(|limits| limits.sees(store, row))
    }

    /// Whether a call may be made at all; what it answers is the view's.
    ///
    /// # Errors
    /// The refusal; a row that is not seen does not exist.
    pub(super) fn admit(&self, store: &Store, method: &str, payload: &Value) -> Result<(), Fault> {
        let Some(limits) = &self.0 else {
            return Ok(());
        };
        if FOR_MANAGERS.contains(&method) && !limits.level.is_manager {
            let what = format!("API {method}() can not be called by this user.");
            return Err(limits.refusal(&what, method));
        }
        if NAME_ROWS.contains(&method) {
            let id = payload["project_id"].as_i64();
            let project =
                id.and_then(|id| Link::read(&serde_json::json!({"type": "Project", "id": id})));
            limits.all_seen(store, method, project)?;
            return limits.all_seen(store, method, links(payload));
        }
        match method {
            "create" | "update" | "delete" | "revive" => limits.write(store, method, payload),
            "batch" => {
                let parts = payload.as_array().into_iter().flatten();
                parts.enumerate().try_for_each(|(index, part)| {
                    let method = part["request_type"].as_str().unwrap_or_default();
                    let done = limits.write(store, method, part);
                    done.map_err(|fault| fault.in_batch(index))
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether a file may be put to an entity: as its picture, or as an attachment.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub(super) fn admit_file(
        &self,
        store: &Store,
        link: Link,
        picture: Option<&str>,
    ) -> Result<(), Fault> {
        let Some(limits) = &self.0 else {
            return Ok(());
        };
        limits.all_seen(store, "upload", [link])?;
        match picture {
            Some(field) => limits.update(store, link, [field].into_iter()),
            None => limits.create("Attachment"),
        }
    }
}

/// The nearest known group; one that stands on none is an artist's.
fn level(store: &Store, group: Link) -> Option<&'static Level> {
    let mut at = Some(group);
    for _ in 0..PARENTS_MAX {
        let Some(row) = at.and_then(|link| store.entity(link.kind, link.id)) else {
            break;
        };
        let code = row.get("code").as_str().unwrap_or_default();
        if ADMINS.contains(&code) {
            return None;
        }
        if let Some(level) = LEVELS.iter().find(|level| level.code == code) {
            return Some(level);
        }
        at = row.get("parent_set").link();
    }
    LEVELS.iter().find(|level| level.code == "artist")
}

/// Every link in a payload.
fn links(value: &Value) -> Vec<Link> {
    let mut found = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => match Link::read(value) {
                Some(link) => found.push(link),
                None => open.extend(members.values()),
            },
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

impl Limits {
    fn sees(&self, store: &Store, row: Row<'_>) -> bool {
        let level = self.level;
        let kind = row.kind();
        if level.hidden_types.contains(&kind) {
            return false;
        }
        if let Row::Event(event) = row {
            let about = event.entity.map_or("", |entity| entity.kind);
            let field = event.attribute.as_deref().unwrap_or_default();
            let is_hidden = level.hidden_types.contains(&about)
                || level.hidden_fields.contains(&(about, field));
            if is_hidden {
                return false;
            }
        }
        if level.sees_all_projects {
            return true;
        }
        if kind == "Project" {
            return self.projects.contains(&row.id());
        }
        if let Some(project) = row.stored("project").link() {
            return self.projects.contains(&project.id);
        }
        let owners = owners(store, row);
        let mut owners = owners.iter().filter_map(|owner| existing(store, *owner));
        owners.all(|owner| self.sees(store, owner))
    }

    /// What a payload names must be seen, or it is not there.
    fn all_seen(
        &self,
        store: &Store,
        method: &str,
        links: impl IntoIterator<Item = Link>,
    ) -> Result<(), Fault> {
        for link in links {
            if existing(store, link).is_some_and(|row| !self.sees(store, row)) {
                return Err(missing(method, link.kind, link.id));
            }
        }
        Ok(())
    }

    fn write(&self, store: &Store, method: &str, payload: &Value) -> Result<(), Fault> {
        let kind = payload["type"].as_str().unwrap_or_default();
        let def = self.schema.entity(kind, method)?;
        self.all_seen(store, method, links(&payload["fields"]))?;
        let fields = payload["fields"].as_array().into_iter().flatten();
        let fields = fields.filter_map(|field| field["field_name"].as_str());
        let is_hidden = |field: &&str| self.level.hidden_fields.contains(&(def.kind, *field));
        if let Some(field) = fields.clone().find(is_hidden) {
            let what = format!("API {method}() {kind}.{field} doesn't exist.");
            return Err(Fault::request(what));
        }
        if method == "create" {
            return self.create(def.kind);
        }
        let Some(id) = payload["id"].as_i64() else {
            // The method has words for that.
            return Ok(());
        };
        let link = Link::new(def.kind, id);
        self.all_seen(store, method, [link])?;
        match method {
            "update" => self.update(store, link, fields),
            _ => self.retire(store, method, link),
        }
    }

    fn create(&self, kind: &str) -> Result<(), Fault> {
        if self.makes(kind) {
            return Ok(());
        }
        let what =
            format!("API create() CRUD ERROR #6.1: Entity {kind} can not be created by this user.");
        Err(self.refusal(&what, &format!("create {kind}")))
    }

    fn update<'f>(
        &self,
        store: &Store,
        link: Link,
        fields: impl Iterator<Item = &'f str>,
    ) -> Result<(), Fault> {
        let Link { kind, id } = link;
        let mut fields = fields;
        if link == self.me {
            return match fields.find(|field| NOT_OWN.contains(field)) {
                None => Ok(()),
                Some(field) => Err(self.no_field(link, field)),
            };
        }
        if self.made(store, link) || (self.level.makes.is_none() && self.makes(kind)) {
            return Ok(());
        }
        let changes = self.level.changes.iter().find(|(known, _)| *known == kind);
        let Some((_, allowed)) = changes else {
            let what = format!(
                "API update() CRUD ERROR #5.1: Entity {kind} {id} can not be updated by this user."
            );
            return Err(self.refusal(&what, &format!("update {kind}")));
        };
        match fields.find(|field| !allowed.contains(field)) {
            None => Ok(()),
            Some(field) => Err(self.no_field(link, field)),
        }
    }

    fn no_field(&self, link: Link, field: &str) -> Fault {
        let kind = link.kind;
        let what = format!(
            "API update() CRUD ERROR #5.2: Field {kind}.{field} can not be updated by this user."
        );
        self.refusal(&what, &format!("update {kind}.{field}"))
    }

    fn retire(&self, store: &Store, method: &str, link: Link) -> Result<(), Fault> {
        let Link { kind, id } = link;
        let is_manager = self.level.makes.is_none() && self.makes(kind) && kind != "Project";
        if is_manager || self.made(store, link) {
            return Ok(());
        }
        let what = format!(
            "API {method}() CRUD ERROR #4.1: Entity {kind} {id} can not be {method}d by this user."
        );
        Err(self.refusal(&what, &format!("{method} {kind}")))
    }

    fn makes(&self, kind: &str) -> bool {
        match self.level.makes {
            Some(kinds) => kinds.contains(&kind),
            None => !FOR_ADMINS.contains(&kind),
        }
    }

    /// Whether it is of a kind that the caller makes, and the caller made it.
    fn made(&self, store: &Store, link: Link) -> bool {
        let row = store.entity(link.kind, link.id);
        let by = row.and_then(|row| row.get("created_by").link());
        self.makes(link.kind) && by == Some(self.me)
    }

    fn refusal(&self, what: &str, deed: &str) -> Fault {
        let group = &self.group;
        Fault::operation(format!("{what} Rule: {group} may not {deed}"))
    }
}

/// The row behind a link, retired or not.
fn existing(store: &Store, link: Link) -> Option<Row<'_>> {
    if link.kind == EVENT_LOG {
        return store.log.get(link.id).map(Row::Event);
    }
    let entity = store.entity(link.kind, link.id)?;
    Some(Row::Entity(link.kind, entity))
}

/// What a row without a project belongs to: a reply to its note, a connection to both its ends, an event to what it is about.
fn owners(store: &Store, row: Row<'_>) -> Vec<Link> {
    let link = |field: &str| match row.stored(field) {
        Cell::Link(link) => Some(link),
        _ => None,
    };
    let fields = match (row, store.schema.connection(row.kind())) {
        (_, Some(connection)) => [connection.here, connection.there],
        (Row::Event(_) | Row::Entity("Reply", _), None) => ["entity", ""],
        _ => return Vec::new(),
    };
    fields.into_iter().filter_map(link).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::Unix,
        sandbox::{
            check::Write,
            name::keep,
            store::{Actor, Commit},
        },
    };

    #[test]
    fn a_group_is_the_nearest_known_one_above_it() {
        let mut store = Store::new();
        let now = Unix(0);
        let set = |id: i64| json!({"type": "PermissionRuleSet", "id": id});
        let made = store.transact(&Actor::human(1), now, Commit::Now, |work| {
            for (code, parent) in [
                ("admin", None),
                ("vendor", None),
                ("freelance", Some(2)),
                ("remote", Some(3)),
                ("lead", Some(1)),
                ("alone", None),
                ("circle", None),
            ] {
                let parent = parent.map_or(Value::Null, set);
                let writes = [Write::set("code", code), Write::set("parent_set", parent)];
                work.create("PermissionRuleSet", &writes)?;
            }
            work.update("PermissionRuleSet", 7, &[Write::set("parent_set", set(7))])
        });
        made.unwrap();
        for (id, expected) in [
            (1, None),
            (2, Some("vendor")),
            (4, Some("vendor")),
            (5, None),
            (6, Some("artist")),
            (7, Some("artist")),
            (99, Some("artist")),
        ] {
            let group = Link::new(keep("PermissionRuleSet"), id);
            let found = level(&store, group).map(|level| level.code);
            assert_eq!(found, expected, "{id}");
        }
    }

    #[test]
    fn every_type_and_field_that_is_hidden_is_in_the_schema() {
        let schema = Schema::builtin();
        for level in &LEVELS {
            let made = level.makes.unwrap_or_default().iter();
            let changed = level.changes.iter().map(|(kind, _)| kind);
            for kind in level.hidden_types.iter().chain(made).chain(changed) {
                assert!(schema.get(kind).is_some(), "{}: {kind}", level.code);
            }
            let changed = level.changes.iter();
            let changed =
                changed.flat_map(|(kind, fields)| fields.iter().map(move |f| (*kind, *f)));
            for (kind, field) in level.hidden_fields.iter().copied().chain(changed) {
                let def = schema.field(kind, field);
                assert!(def.is_some(), "{}: {kind}.{field}", level.code);
            }
        }
        for kind in FOR_ADMINS {
            assert!(schema.get(kind).is_some(), "{kind}");
        }
    }
}
