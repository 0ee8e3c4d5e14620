//! The schema: which entity types and fields there are, as data in `schema.json`.
//!
//! In: names. Out: definitions, and the answers of the three schema methods.
//! Never: a change while it runs.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fault::Fault;

/// The log's own type, which is stored apart.
pub(super) const EVENT_LOG: &str = "EventLogEntry";

/// The types of the site.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Schema {
    types: BTreeMap<String, TypeDef>,
}

/// One entity type.
#[derive(Debug, Deserialize)]
pub(super) struct TypeDef {
    name: String,
    /// The field whose value is the name of a link.
    pub(super) display: String,
    /// True when a create without a project is refused.
    pub(super) needs_project: bool,
    /// By name.
    pub(super) fields: BTreeMap<String, FieldDef>,
}

/// One field.
#[derive(Debug, Deserialize)]
pub(super) struct FieldDef {
    /// What people call it.
    pub(super) name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub(super) kind: DataType,
    #[serde(default)]
    valid_types: Vec<String>,
    /// Of lists; empty: anything.
    #[serde(default)]
    pub(super) valid_values: Vec<String>,
    /// What a create without this field writes.
    #[serde(default)]
    pub(super) default: Value,
    /// The field of the linked entity that lists this one.
    pub(super) back: Option<String>,
    /// False for what only the site writes.
    #[serde(default = "yes")]
    pub(super) editable: bool,
    /// True when no two live entities may have the same value.
    #[serde(default)]
    pub(super) unique: bool,
}

fn yes() -> bool {
    true
}

/// What the values of a field are; the names are the site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DataType {
    Text,
    Number,
    Float,
    Percent,
    Duration,
    Checkbox,
    Date,
    DateTime,
    List,
    StatusList,
    Entity,
    MultiEntity,
    Addressing,
    Image,
    Url,
    Serializable,
    Uuid,
    Password,
    EntityType,
}

impl DataType {
    /// True for lists of links.
    pub(super) fn is_multi(self) -> bool {
        matches!(self, Self::MultiEntity | Self::Addressing)
    }

    /// The site's word for it.
    pub(super) fn word(self) -> String {
        let word = serde_json::to_value(self).unwrap_or_default();
        word.as_str().unwrap_or_default().to_owned()
    }
}

impl Schema {
    /// The schema that comes with the program.
    pub(super) fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Schema> = LazyLock::new(|| {
            serde_json::from_str(include_str!("schema.json")).expect("a test reads schema.json")
        });
        &BUILTIN
    }

    /// A type by name, for the method that asks.
    pub(super) fn entity(&self, kind: &str, method: &str) -> Result<&TypeDef, Fault> {
        self.types.get(kind).ok_or_else(|| {
            Fault::request(format!(
                "API {method}() invalid/missing string entity 'type':\n{{\"type\"=>\"{kind}\"}}"
            ))
        })
    }

    /// A type by name.
    pub(super) fn get(&self, kind: &str) -> Option<&TypeDef> {
        self.types.get(kind)
    }

    /// The name of a type as the schema holds it.
    pub(super) fn name_of(&self, kind: &str) -> Option<&str> {
        self.types
            .get_key_value(kind)
            .map(|(name, _)| name.as_str())
    }

    /// The answer of `schema_entity_read`.
    pub(super) fn entities(&self) -> Value {
        let one = |def: &TypeDef| json!({"name": fixed(&def.name), "visible": fixed(true)});
        let all = self
            .types
            .iter()
            .map(|(kind, def)| (kind.clone(), one(def)));
        Value::Object(all.collect())
    }

    /// The answer of `schema_read`.
    pub(super) fn all_fields(&self) -> Value {
        let all = self
            .types
            .iter()
            .map(|(kind, def)| (kind.clone(), def.describe(kind, None)));
        Value::Object(all.collect())
    }

    /// The answer of `schema_field_read`.
    pub(super) fn fields(&self, kind: &str, field: Option<&str>) -> Result<Value, Fault> {
        let def = self.entity(kind, "schema_field_read")?;
        if let Some(field) = field
            && !def.fields.contains_key(field)
        {
            return Err(Fault::request(format!(
                "API schema_field_read() {kind}.{field} doesn't exist."
            )));
        }
        Ok(def.describe(kind, field))
    }
}

impl TypeDef {
    fn describe(&self, kind: &str, only: Option<&str>) -> Value {
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let fields = self.fields.iter().filter(|(name, _)| wanted(name));
        let described: Map<String, Value> = fields
            .map(|(name, field)| (name.clone(), field.describe(kind)))
            .collect();
        Value::Object(described)
    }
}

impl FieldDef {
    fn describe(&self, kind: &str) -> Value {
        let mut properties =
            json!({"default_value": fixed(&self.default), "summary_default": fixed("none")});
        if matches!(self.kind, DataType::Entity) || self.kind.is_multi() {
            properties["valid_types"] = fixed(&self.valid_types);
        }
        if matches!(self.kind, DataType::List | DataType::StatusList) {
            properties["valid_values"] = fixed(&self.valid_values);
            let shown: Map<String, Value> = self
                .valid_values
                .iter()
                .map(|value| (value.clone(), value.as_str().into()))
                .collect();
            properties["display_values"] = fixed(shown);
            properties["hidden_values"] = fixed(json!([]));
        }
        json!({
            "name": fixed(&self.name), "description": fixed(""), "custom_metadata": fixed(""),
            "entity_type": fixed(kind), "data_type": fixed(self.kind), "editable": fixed(self.editable),
            "mandatory": fixed(false), "unique": fixed(self.unique), "properties": properties,
            "visible": fixed(true), "ui_value_displayable": fixed(true),
        })
    }
}

/// A property: its value, and that nobody can change it here.
fn fixed(value: impl serde::Serialize) -> Value {
    json!({"value": serde_json::to_value(value).unwrap_or_default(), "editable": false})
}
