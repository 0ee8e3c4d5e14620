//! The manifest as a schema: what [`crate::Manifest`] reads member by member.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a plugin declares of itself. Every member may be left out; unknown members are ignored.
#[derive(Debug, JsonSchema, Deserialize)]
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
#[derive(Debug, JsonSchema, Deserialize)]
pub(super) struct Subscription {
    /// How `delivery.match` names it; its place in the list when it has none.
    pub(super) id: Option<String>,
    /// Event type to attributes. None: every event. When the type `*` is there, it alone counts.
    pub(super) events: Option<BTreeMap<String, Option<Vec<String>>>>,
    /// All must hold: `[path, relation, value]`.
    pub(super) r#where: Option<Vec<Condition>>,
}

/// `[path, relation, value]`.
#[derive(Debug, JsonSchema, Deserialize)]
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

/// How a value is compared: exactly, in its case. `is_not` and `not_in` hold for null.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Relation {
    Is,
    IsNot,
    In,
    NotIn,
    StartsWith,
    EndsWith,
    Contains,
    Exists,
}

/// How events are handed out.
#[derive(Debug, JsonSchema, Deserialize)]
pub(super) struct Delivery {
    /// Lanes at work at once; with `order: "all"` it is 1 whatever is asked.
    #[schemars(range(min = 1, max = 256))]
    pub(super) max_in_flight: Option<u16>,
    /// What keeps its order.
    pub(super) order: Option<Order>,
    /// The time to answer.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(super) timeout_ms: Option<u64>,
    /// Attempts until a dead letter.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) max_attempts: Option<u32>,
    /// What a failure means.
    pub(super) on_error: Option<OnError>,
}

/// What keeps its order: everything in one lane, the events of one entity, of one project, nothing.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    All,
    Entity,
    Project,
    None,
}

/// What a failure means: again a few times, the plugin is disabled at this event, a dead letter at once.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnError {
    Retry,
    Stop,
    Skip,
}

/// What the plugin asks to be allowed.
#[derive(Debug, JsonSchema, Deserialize)]
pub(super) struct Permissions {
    /// Grants such as `find` or `update:Task.sg_status_list`; none: all but sudo.
    pub(super) sg: Option<Vec<String>>,
    /// Upload and download; none: yes.
    pub(super) upload: Option<bool>,
    /// Calls outside an event; none: no.
    pub(super) background: Option<bool>,
}

/// Who is told.
#[derive(Debug, JsonSchema, Deserialize)]
pub(super) struct Alerts {
    /// Whether mails about it go, or to whom.
    pub(super) emails: Option<Value>,
}
