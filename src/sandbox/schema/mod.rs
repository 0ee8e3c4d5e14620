//! The schema: which entity types and fields there are. What comes with the program is data in the JSON files beside this one.
//!
//! In: names. Out: definitions.
//! Never: a row.

mod change;
mod data_type;
mod describe;
mod foreign;
mod load;
mod portable;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

pub(super) use change::Changed;
pub(super) use data_type::DataType;
pub(super) use foreign::is_of_entities;
pub(super) use load::RawType;

use super::{
    cell::Kept,
    fault::Fault,
    name::{Name, known},
};

/// The log's own type, which is stored apart.
pub(super) const EVENT_LOG: &str = "EventLogEntry";

/// A field that nobody gets; a filter by it is passed over.
pub(super) const NEVER_TOLD: &str = "audit_trail";

/// The types of a site.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    types: BTreeMap<Name, Arc<TypeDef>>,
    connections: BTreeMap<Name, Connection>,
    /// Short codes of states and what people call them.
    pub(super) statuses: BTreeMap<String, String>,
}

/// One entity type.
#[derive(Debug, Clone)]
pub(super) struct TypeDef {
    /// `Shot`.
    pub(super) kind: Name,
    name: String,
    /// The fields whose values, joined, are the name of a link.
    pub(super) display: Vec<Name>,
    /// True when a create without a project is refused.
    pub(super) needs_project: bool,
    /// The field that makes a project unnecessary.
    pub(super) unless: Option<Name>,
    /// By name.
    pub(super) fields: BTreeMap<Name, Arc<FieldDef>>,
    /// Fields that were deleted: their values are still there, nobody sees them.
    trash: BTreeMap<Name, Arc<FieldDef>>,
}

/// One field.
#[derive(Debug, Clone)]
pub(super) struct FieldDef {
    /// `sg_status_list`.
    pub(super) field: Name,
    /// What people call it.
    pub(super) name: String,
    /// What its values are.
    pub(super) kind: DataType,
    description: String,
    valid_types: Vec<String>,
    /// Of lists; empty: anything.
    pub(super) valid_values: Vec<String>,
    /// What a create without this field writes.
    pub(super) default: Kept,
    /// The field of the linked entity that lists this one.
    pub(super) back: Option<Name>,
    /// The rows that stand for the links in it.
    pub(super) via: Option<Connection>,
    /// What it is worked out from when it is read.
    pub(super) derived: Option<Derived>,
    /// False for what only the site writes.
    pub(super) editable: bool,
    /// True for what may be given to a create, and only then.
    pub(super) at_create: bool,
    /// True when no two live entities may have the same value.
    pub(super) unique: bool,
    ui_value_displayable: bool,
    summary_default: String,
    custom_metadata: String,
    /// True for what was made on this site.
    is_custom: bool,
    is_visible: bool,
    /// Projects in which it is the other way round.
    turned_in: BTreeSet<i64>,
    /// Values that a project hides.
    hidden_values: BTreeMap<i64, Vec<String>>,
}

impl TypeDef {
    /// Whether a row cannot be without a project.
    pub(super) fn is_project_mandatory(&self) -> bool {
        self.needs_project && self.unless.is_none()
    }
}

/// A type whose rows stand for the links of a list: `PlaylistVersionConnection` for `Playlist.versions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connection {
    /// The type of these rows.
    pub(super) kind: Name,
    /// Their field that names the owner of the list.
    pub(super) here: Name,
    /// Their field that names what is in the list.
    pub(super) there: Name,
    /// The owner's type.
    pub(super) owner: Name,
    /// The list.
    pub(super) list: Name,
}

/// Fields that are not kept but worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Derived {
    /// The name that a link shows.
    DisplayName,
    /// The notes whose state is open.
    OpenNotes,
    /// How many those are.
    OpenNotesCount,
    /// When the caller opened the project last.
    LastAccessed,
    /// The minutes of all time logs.
    TimeLogsSum,
    /// Those and the bid: the difference.
    OverUnderBid,
    /// Those of the bid in percent.
    PercentOfBid,
    /// True when nobody is assigned.
    Unassigned,
    /// How many are.
    AssigneeCount,
    /// Whether the caller has seen the version.
    Viewed,
    /// Whether the caller has read the note.
    Read,
}

impl Schema {
    /// The schema that comes with the program.
    pub(super) fn builtin() -> Self {
        static BUILTIN: LazyLock<Schema> =
            LazyLock::new(|| load::builtin().expect("a test reads the files of the schema"));
        BUILTIN.clone()
    }

    /// Takes types and fields away that somebody does not see.
    pub(super) fn hide(&mut self, types: &[Name], fields: &[(Name, Name)]) {
        for kind in types {
            self.types.remove(kind);
        }
        for (kind, field) in fields {
            if let Some(def) = self.types.get_mut(kind) {
                Arc::make_mut(def).fields.remove(field);
            }
        }
    }

    /// A type by name, for the method that asks.
    pub(super) fn entity(&self, kind: &str, method: &str) -> Result<&Arc<TypeDef>, Fault> {
        self.get(kind).ok_or_else(|| {
            Fault::request(format!(
                "API {method}() invalid/missing string entity 'type':\n{{\"type\"=>\"{kind}\"}}"
            ))
        })
    }

    /// A type by name.
    pub(super) fn get(&self, kind: &str) -> Option<&Arc<TypeDef>> {
        self.types.get(kind)
    }

    /// All types by name.
    pub(super) fn types(&self) -> impl Iterator<Item = &Arc<TypeDef>> {
        self.types.values()
    }

    /// A field of a type.
    pub(super) fn field(&self, kind: &str, field: &str) -> Option<&Arc<FieldDef>> {
        self.get(kind)?.fields.get(known(field)?)
    }

    /// The list that the rows of a type stand for.
    pub(super) fn connection(&self, kind: &str) -> Option<Connection> {
        self.connections.get(kind).copied()
    }

    fn field_of(&self, method: &str, kind: &str, field: &str) -> Result<&Arc<FieldDef>, Fault> {
        let def = self.entity(kind, method)?;
        def.fields
            .get(field)
            .ok_or_else(|| Fault::request(format!("API {method}() {kind}.{field} doesn't exist.")))
    }
}

impl FieldDef {
    /// What people call a value of a list.
    fn display_value<'a>(&'a self, schema: &'a Schema, value: &'a str) -> &'a str {
        let status = schema
            .statuses
            .get(value)
            .filter(|_| self.kind == DataType::StatusList);
        status.map_or(value, String::as_str)
    }

    /// True when a name of the field or its kind is looked for often.
    pub(super) fn is_link(&self) -> bool {
        self.kind.is_link()
    }
}
