//! Params and results of the calls that a plugin makes, with the argument names of the official Python client.

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::message::CallMeta;

/// A row of the site: its fields by name, with `type` and `id`.
pub(super) type Row = Map<String, Value>;

/// A link to a row.
#[derive(JsonSchema)]
pub(super) struct Link {
    /// Such as `Shot`.
    pub(super) r#type: String,
    pub(super) id: i64,
}

/// Filters as the official client has them: a list of `[field, relation, value…]` and of groups, or one group.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum Filters {
    /// All must hold, or any, by `filter_operator`.
    List(Vec<Value>),
    /// `{"filter_operator": "any", "filters": […]}`.
    Group(Map<String, Value>),
}

/// One of the orders of rows.
#[derive(JsonSchema)]
pub(super) struct Sort {
    pub(super) field_name: Option<String>,
    /// The older spelling of `field_name`; it wins.
    pub(super) column: Option<String>,
    /// `asc` or `desc`.
    pub(super) direction: Option<String>,
}

/// Params of `sg.find`.
#[derive(JsonSchema)]
pub(super) struct Find {
    pub(super) entity_type: String,
    pub(super) filters: Filters,
    /// Names, deep ones as `entity.Shot.code`; none: the id alone.
    pub(super) fields: Option<Vec<String>>,
    pub(super) order: Option<Vec<Sort>>,
    /// `all` or `any`.
    pub(super) filter_operator: Option<String>,
    /// 0: all.
    pub(super) limit: Option<u64>,
    pub(super) retired_only: Option<bool>,
    pub(super) page: Option<u64>,
    pub(super) include_archived_projects: Option<bool>,
    pub(super) additional_filter_presets: Option<Vec<Value>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.find_one`.
#[derive(JsonSchema)]
pub(super) struct FindOne {
    pub(super) entity_type: String,
    pub(super) filters: Filters,
    pub(super) fields: Option<Vec<String>>,
    pub(super) order: Option<Vec<Sort>>,
    pub(super) filter_operator: Option<String>,
    pub(super) retired_only: Option<bool>,
    pub(super) include_archived_projects: Option<bool>,
    pub(super) additional_filter_presets: Option<Vec<Value>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.create`.
#[derive(JsonSchema)]
pub(super) struct Create {
    pub(super) entity_type: String,
    /// Values by field; no `image`, which is uploaded by a call of its own.
    pub(super) data: Row,
    pub(super) return_fields: Option<Vec<String>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.update`.
#[derive(JsonSchema)]
pub(super) struct Update {
    pub(super) entity_type: String,
    pub(super) entity_id: i64,
    pub(super) data: Row,
    /// `set`, `add` or `remove` by the name of a field with several links.
    pub(super) multi_entity_update_modes: Option<Map<String, Value>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.delete` and `sg.revive`.
#[derive(JsonSchema)]
pub(super) struct ById {
    pub(super) entity_type: String,
    pub(super) entity_id: i64,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.batch`: all or nothing.
#[derive(JsonSchema)]
pub(super) struct Batch {
    /// Each `{"request_type": "create"|"update"|"delete", "entity_type", "entity_id", "data", …}`.
    pub(super) requests: Vec<Map<String, Value>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.summarize`.
#[derive(JsonSchema)]
pub(super) struct Summarize {
    pub(super) entity_type: String,
    pub(super) filters: Filters,
    /// Each `{"field", "type"}`.
    pub(super) summary_fields: Vec<Value>,
    pub(super) filter_operator: Option<String>,
    /// Each `{"field", "type", "direction"}`.
    pub(super) grouping: Option<Vec<Value>>,
    pub(super) include_archived_projects: Option<bool>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.schema_read` and `sg.schema_entity_read`.
#[derive(JsonSchema)]
pub(super) struct Schema {
    pub(super) project_entity: Option<Link>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.schema_field_read`.
#[derive(JsonSchema)]
pub(super) struct SchemaField {
    pub(super) entity_type: String,
    /// None: all fields of the type.
    pub(super) field_name: Option<String>,
    pub(super) project_entity: Option<Link>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.text_search`.
#[derive(JsonSchema)]
pub(super) struct TextSearch {
    pub(super) text: String,
    /// Filters by type.
    pub(super) entity_types: Map<String, Value>,
    pub(super) project_ids: Option<Vec<i64>>,
    pub(super) limit: Option<u64>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.upload_thumbnail` and `sg.upload_filmstrip_thumbnail`.
#[derive(JsonSchema)]
pub(super) struct Picture {
    pub(super) entity_type: String,
    pub(super) entity_id: i64,
    /// Below a folder that the plugin was granted.
    pub(super) path: String,
    pub(super) display_name: Option<String>,
    pub(super) tag_list: Option<String>,
    pub(super) created_at: Option<String>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.upload`.
#[derive(JsonSchema)]
pub(super) struct Upload {
    pub(super) entity_type: String,
    pub(super) entity_id: i64,
    /// Below a folder that the plugin was granted.
    pub(super) path: String,
    /// Of the entity; none: the file is attached to it.
    pub(super) field_name: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) tag_list: Option<String>,
    pub(super) created_at: Option<String>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.share_thumbnail`.
#[derive(JsonSchema)]
pub(super) struct ShareThumbnail {
    pub(super) entities: Vec<Link>,
    /// Either a picture, or …
    pub(super) thumbnail_path: Option<String>,
    /// … who has one.
    pub(super) source_entity: Option<Link>,
    pub(super) filmstrip_thumbnail: Option<bool>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.download`.
#[derive(JsonSchema)]
pub(super) struct Download {
    /// An attachment's id, or its value as a field has it.
    pub(super) attachment: Value,
    /// Where it goes, below a folder that the plugin was granted.
    pub(super) file_path: String,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `sg.rpc`: one call of the site's own API.
#[derive(JsonSchema)]
pub(super) struct Rpc {
    pub(super) method: String,
    /// Without credentials: those are the daemon's.
    pub(super) payload: Option<Value>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `state.get` and `state.delete`.
#[derive(JsonSchema)]
pub(super) struct Key {
    /// At most 1 KiB.
    pub(super) key: String,
}

/// Result of `state.get`.
#[derive(JsonSchema)]
pub(super) struct Found {
    /// Null when there is none.
    pub(super) value: Value,
}

/// Params of `state.set`.
#[derive(JsonSchema)]
pub(super) struct KeyAndValue {
    pub(super) key: String,
    /// At most 64 KiB of JSON, 16 MiB for all keys of a plugin.
    pub(super) value: Value,
}
