//! The answers of `schema_read`, `schema_entity_read` and `schema_field_read`.

use serde_json::{Map, Value, json};

use super::{DataType, FieldDef, Schema, TypeDef};
use crate::sandbox::fault::Fault;

impl Schema {
    /// The answer of `schema_entity_read`.
    pub(in crate::sandbox) fn entities(&self) -> Value {
        let one = |def: &TypeDef| {
            let is_custom = def.kind.starts_with("Custom");
            json!({"name": fixed(&def.name), "visible": property(true, is_custom)})
        };
        let all = self.types().map(|def| (def.kind.to_owned(), one(def)));
        Value::Object(all.collect())
    }

    /// The answer of `schema_read`.
    pub(in crate::sandbox) fn all_fields(&self, project: Option<i64>) -> Value {
        let all = self.types();
        let all = all.map(|def| (def.kind.to_owned(), self.describe(def, None, project)));
        Value::Object(all.collect())
    }

    /// The answer of `schema_field_read`.
    pub(in crate::sandbox) fn fields(
        &self,
        kind: &str,
        field: Option<&str>,
        project: Option<i64>,
    ) -> Result<Value, Fault> {
        let def = self.entity(kind, "schema_field_read")?;
        if let Some(field) = field {
            self.field_of("schema_field_read", kind, field)?;
        }
        Ok(self.describe(def, field, project))
    }

    fn describe(&self, def: &TypeDef, only: Option<&str>, project: Option<i64>) -> Value {
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let fields = def.fields.iter().filter(|(name, _)| wanted(name));
        let described: Map<String, Value> = fields
            .map(|(name, field)| ((*name).to_owned(), field.describe(self, def.kind, project)))
            .collect();
        Value::Object(described)
    }
}

impl FieldDef {
    fn describe(&self, schema: &Schema, kind: &str, project: Option<i64>) -> Value {
        let is_custom = self.is_custom;
        let is_project_mandatory = schema
            .get(kind)
            .is_some_and(|def| def.is_project_mandatory());
        let mut properties = json!({
            "default_value": property(self.shown_default(), is_custom),
            "summary_default": property(&self.summary_default, true),
        });
        if self.is_link() {
            properties["valid_types"] = property(&self.valid_types, is_custom);
        }
        if self.kind.is_list() {
            properties["valid_values"] = property(&self.valid_values, true);
            let shown: Map<String, Value> = self
                .valid_values
                .iter()
                .map(|value| (value.clone(), self.display_value(schema, value).into()))
                .collect();
            properties["display_values"] = fixed(shown);
            let hidden = project.and_then(|id| self.hidden_values.get(&id));
            properties["hidden_values"] =
                property(hidden.cloned().unwrap_or_default(), project.is_some());
        }
        if self.kind == DataType::Summary {
            properties["query"] = fixed(Value::Null);
        }
        let visible = self.is_visible_in(project);
        json!({
            "name": property(&self.name, true), "description": property(&self.description, true),
            "custom_metadata": property(none_if_empty(&self.custom_metadata), is_custom), "entity_type": fixed(kind),
            "data_type": fixed(self.kind), "editable": fixed(self.editable || self.at_create),
            "mandatory": fixed(self.field == "project" && is_project_mandatory), "unique": fixed(self.unique), "properties": properties,
            "visible": property(visible, is_custom), "ui_value_displayable": fixed(self.ui_value_displayable),
        })
    }

    fn shown_default(&self) -> Value {
        match self.kind {
            DataType::Uuid => Value::Null,
            _ => self.default.json(),
        }
    }

    /// Whether a project shows it.
    pub(super) fn is_visible_in(&self, project: Option<i64>) -> bool {
        let is_turned = project.is_some_and(|id| self.turned_in.contains(&id));
        self.is_visible != is_turned
    }
}

fn none_if_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A property that nobody can change.
fn fixed(value: impl serde::Serialize) -> Value {
    property(value, false)
}

fn property(value: impl serde::Serialize, editable: bool) -> Value {
    json!({"value": serde_json::to_value(value).unwrap_or_default(), "editable": editable})
}
