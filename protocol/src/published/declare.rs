//! The manifest as a schema: what [`crate::Manifest`] reads member by member.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::manifest::{Delivery, Permissions, Relation};

/// What a plugin declares of itself. Every member may be left out; unknown members are ignored.
#[derive(Debug, JsonSchema)]
pub(crate) struct Manifest {
    /// For display; the identity is the daemon's.
    pub(super) name: Option<String>,
    /// The plugin's version.
    pub(super) version: Option<String>,
    /// In a sentence.
    pub(super) description: Option<String>,
    /// Which events it wants; none: it runs and gets nothing.
    pub(super) subscriptions: Option<Vec<Subscription>>,
    /// How it wants them; the operator's config wins over every member.
    pub(super) delivery: Option<Delivery>,
    /// What it asks to be allowed.
    pub(super) permissions: Option<Permissions>,
    /// Who is told.
    pub(super) alerts: Option<Alerts>,
    /// A JSON Schema of the operator's `config` table.
    pub(super) config_schema: Option<Map<String, Value>>,
    /// Files besides the executable whose change restarts the plugin: paths and patterns, from its folder.
    pub(super) watch: Option<Vec<String>>,
}

/// Events of some types, attributes and conditions.
#[derive(Debug, JsonSchema)]
pub(super) struct Subscription {
    /// How `delivery.match` names it; its place in the list when it has none.
    pub(super) id: Option<String>,
    /// Event type to attributes. None: every event. When the type `*` is there, it alone counts.
    pub(super) events: Option<BTreeMap<String, Option<Vec<String>>>>,
    /// All must hold: `[path, relation, value]`.
    pub(super) r#where: Option<Vec<Condition>>,
}

/// `[path, relation, value]`.
#[derive(Debug, JsonSchema)]
pub(super) struct Condition(
    /// `id`, `event_type`, `attribute_name`, `created_at`, `session_uuid`; `project`, `entity` and `user`, alone or with `.id`,
    /// `.type`, `.name`; `meta.<key>`.
    #[schemars(regex(
        pattern = r"^(id|event_type|attribute_name|created_at|session_uuid|(project|entity|user)(\.(id|type|name))?|meta\..+)$"
    ))]
    pub(super) String,
    pub(super) Relation,
    /// A list for `in` and `not_in`, text for `starts_with`, `ends_with` and `contains`, true or false for `exists`.
    pub(super) Value,
);

/// Who is told.
#[derive(Debug, JsonSchema)]
pub(super) struct Alerts {
    /// `true`: to the operator's people; `false`: to nobody; a list of addresses: to these.
    pub(super) emails: Option<Value>,
}
