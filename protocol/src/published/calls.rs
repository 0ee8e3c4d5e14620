//! Params and results of the calls that a plugin makes, with the argument names of the official Python client.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::queries::{Filter, FilterOperator, Filters, Grouping, Sort, SummaryField};
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

/// Params of `sg.find`.
#[derive(JsonSchema)]
pub(super) struct Find {
    pub(super) entity_type: String,
    pub(super) filters: Filters,
    /// Names, deep ones as `entity.Shot.code`; none: the id alone.
    pub(super) fields: Option<Vec<String>>,
    pub(super) order: Option<Vec<Sort>>,
    /// Of a list of filters; none: `all`.
    pub(super) filter_operator: Option<FilterOperator>,
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
    pub(super) filter_operator: Option<FilterOperator>,
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
    /// By the name of a field with several links; one that is not named is set.
    pub(super) multi_entity_update_modes: Option<BTreeMap<String, UpdateMode>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// What is done with the links that a field has.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum UpdateMode {
    /// These instead of those.
    Set,
    /// These besides those.
    Add,
    /// Those without these.
    Remove,
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
    /// Done in this order; none: an empty list of results.
    pub(super) requests: Vec<BatchRequest>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// One write of a batch, with the members of the call of that name.
#[derive(JsonSchema)]
#[serde(tag = "request_type", rename_all = "snake_case")]
pub(super) enum BatchRequest {
    /// As `sg.create`.
    Create {
        entity_type: String,
        data: Row,
        return_fields: Option<Vec<String>>,
    },
    /// As `sg.update`.
    Update {
        entity_type: String,
        entity_id: i64,
        data: Row,
        multi_entity_update_modes: Option<BTreeMap<String, UpdateMode>>,
    },
    /// As `sg.delete`.
    Delete { entity_type: String, entity_id: i64 },
}

/// What became of one request of a batch.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum BatchResult {
    /// Of a create or an update.
    Row(Row),
    /// Of a delete.
    Deleted(bool),
}

/// Params of `sg.summarize`.
#[derive(JsonSchema)]
pub(super) struct Summarize {
    pub(super) entity_type: String,
    pub(super) filters: Filters,
    pub(super) summary_fields: Vec<SummaryField>,
    pub(super) filter_operator: Option<FilterOperator>,
    /// Groups, and groups within them.
    pub(super) grouping: Option<Vec<Grouping>>,
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
    /// The types to look into, each with its filters.
    pub(super) entity_types: BTreeMap<String, Vec<Filter>>,
    pub(super) project_ids: Option<Vec<i64>>,
    pub(super) limit: Option<u64>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Result of `sg.text_search`.
#[derive(JsonSchema)]
pub(super) struct Matches {
    /// Rows with `type`, `id`, `name`, and a little more of each.
    pub(super) matches: Vec<Row>,
    /// What was looked for, word by word.
    pub(super) terms: Vec<Value>,
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
    /// `method_name` of the site's API, such as `follow`. What hands out a credential is never served.
    pub(super) method: String,
    /// The second of the two `params` of the site's API; the first, with the credentials, is the daemon's.
    pub(super) payload: Option<Value>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<CallMeta>,
}

/// Params of `state.get` and `state.delete`.
#[derive(JsonSchema)]
pub(super) struct Key {
    /// 1 byte to 1 KiB.
    #[schemars(length(min = 1))]
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
    /// 1 byte to 1 KiB.
    #[schemars(length(min = 1))]
    pub(super) key: String,
    /// At most 64 KiB of JSON, 16 MiB for all keys of a plugin.
    pub(super) value: Value,
}
