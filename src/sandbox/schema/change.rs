//! Changes to the schema: fields that are made, changed, deleted and brought back while the site runs.
//!
//! In: the payloads of the four methods that write a schema. Out: what changed, for the log; or the refusal.
//! Never: a field that came with the program is taken away.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{DataType, FieldDef, Schema};
use crate::sandbox::{
    cell::{Cell, Kept},
    fault::Fault,
    name::{Name, keep, known},
    value::{class, ruby},
};

/// What was done to a field.
#[derive(Debug)]
pub(in crate::sandbox) struct Changed {
    /// The entity type.
    pub(in crate::sandbox) kind: Name,
    /// The field.
    pub(in crate::sandbox) field: Name,
    /// What people call it.
    pub(in crate::sandbox) name: String,
    /// What its values are.
    pub(in crate::sandbox) data_type: DataType,
    /// Properties with what they were and what they are.
    pub(in crate::sandbox) properties: Vec<(String, Value, Value)>,
}

type Given<'a> = Vec<(&'a str, &'a Value)>;

impl Schema {
    /// `schema_field_create`.
    pub(in crate::sandbox) fn create_field(&mut self, payload: &Value) -> Result<Changed, Fault> {
        const METHOD: &str = "schema_field_create";
        let kind = payload["type"].as_str().unwrap_or_default();
        let kind = self.entity(kind, METHOD)?.kind;
        let word = &payload["data_type"];
        let data_type: Option<DataType> = serde_json::from_value(word.clone()).ok();
        let data_type = data_type
            .filter(|data_type| data_type.can_be_made())
            .ok_or_else(|| {
                Fault::request(format!(
                    "API {METHOD}() invalid 'data_type' {word} for a field of {kind}"
                ))
            })?;
        let given = properties(METHOD, payload)?;
        let name = given.iter().find(|(property, _)| *property == "name");
        let name = name.and_then(|(_, value)| value.as_str()).map(str::trim);
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
            Fault::request(format!(
                "API {METHOD}() invalid/missing string property 'name':\n{}",
                ruby(payload)
            ))
        })?;
        let field = self.free_name(METHOD, kind, name)?;
        let mut def = blank(keep(&field), name, data_type);
        for (property, value) in given {
            def.set(METHOD, kind, property, value, None)?;
        }
        let changed = Changed {
            kind,
            field: def.field,
            name: def.name.clone(),
            data_type,
            properties: Vec::new(),
        };
        self.put(kind, def);
        Ok(changed)
    }

    /// `schema_field_update`.
    pub(in crate::sandbox) fn update_field(&mut self, payload: &Value) -> Result<Changed, Fault> {
        const METHOD: &str = "schema_field_update";
        let (kind, field) = names(payload);
        let mut def = FieldDef::clone(self.field_of(METHOD, kind, field)?);
        let kind = self.entity(kind, METHOD)?.kind;
        let project = payload["project"]["id"].as_i64();
        let mut changed = Vec::new();
        for (property, value) in properties(METHOD, payload)? {
            let old = def.set(METHOD, kind, property, value, project)?;
            if old != *value {
                changed.push((property.to_owned(), old, value.clone()));
            }
        }
        let done = Changed {
            kind,
            field: def.field,
            name: def.name.clone(),
            data_type: def.kind,
            properties: changed,
        };
        self.put(kind, def);
        Ok(done)
    }

    /// `schema_field_delete`; nothing when it was deleted before.
    pub(in crate::sandbox) fn delete_field(
        &mut self,
        payload: &Value,
    ) -> Result<Option<Changed>, Fault> {
        const METHOD: &str = "schema_field_delete";
        let (kind, field) = names(payload);
        let def = self.entity(kind, METHOD)?;
        if known(field).is_some_and(|field| def.trash.contains_key(field)) {
            return Ok(None);
        }
        let field = self.field_of(METHOD, kind, field)?.clone();
        if !field.is_custom {
            let name = field.field;
            return Err(Fault::operation(format!(
                "API {METHOD}() {kind}.{name} is a field of every site and cannot be deleted."
            )));
        }
        Ok(Some(self.move_field(kind, &field, true)))
    }

    /// `schema_field_revive`; nothing when it is there.
    pub(in crate::sandbox) fn revive_field(
        &mut self,
        payload: &Value,
    ) -> Result<Option<Changed>, Fault> {
        const METHOD: &str = "schema_field_revive";
        let (kind, field) = names(payload);
        let def = self.entity(kind, METHOD)?;
        match known(field).and_then(|field| def.trash.get(field)).cloned() {
            Some(field) => Ok(Some(self.move_field(kind, &field, false))),
            None => self.field_of(METHOD, kind, field).map(|_| None),
        }
    }

    fn move_field(&mut self, kind: &str, field: &Arc<FieldDef>, to_trash: bool) -> Changed {
        let def = self
            .types
            .get_mut(kind)
            .expect("who calls has found a field of it");
        let def = Arc::make_mut(def);
        if to_trash {
            def.fields.remove(field.field);
            def.trash.insert(field.field, field.clone());
        } else {
            def.trash.remove(field.field);
            def.fields.insert(field.field, field.clone());
        }
        Changed {
            kind: def.kind,
            field: field.field,
            name: field.name.clone(),
            data_type: field.kind,
            properties: Vec::new(),
        }
    }

    fn put(&mut self, kind: Name, field: FieldDef) {
        if let Some(def) = self.types.get_mut(kind) {
            Arc::make_mut(def)
                .fields
                .insert(field.field, Arc::new(field));
        }
    }

    /// `Frames Left` is `sg_frames_left`, a second one `sg_frames_left_1`.
    fn free_name(&self, method: &str, kind: &str, name: &str) -> Result<String, Fault> {
        let def = self.entity(kind, method)?;
        let mut plain = String::new();
        for letter in name.to_lowercase().chars() {
            if letter.is_ascii_alphanumeric() {
                plain.push(letter);
            } else if !plain.is_empty() && !plain.ends_with('_') {
                plain.push('_');
            }
        }
        let stem = format!("sg_{}", plain.trim_end_matches('_'));
        if stem == "sg_" {
            return Err(Fault::request(format!(
                "API {method}() no field name can be made of '{name}'"
            )));
        }
        if def.trash.contains_key(stem.as_str()) {
            return Err(Fault::operation(format!(
                "API {method}() CRUD ERROR #6: Create failed for [{kind}.{stem}]: a field of this name is in the trash."
            )));
        }
        let taken = |name: &str| def.fields.contains_key(name) || def.trash.contains_key(name);
        let numbered = (1..).map(|number| format!("{stem}_{number}"));
        let mut names = std::iter::once(stem.clone()).chain(numbered);
        Ok(names.find(|name| !taken(name)).unwrap_or(stem))
    }
}

fn names(payload: &Value) -> (&str, &str) {
    let text = |key: &str| payload[key].as_str().unwrap_or_default();
    (text("type"), text("field_name"))
}

/// `[{"property_name": "description", "value": "…"}]`
fn properties<'a>(method: &str, payload: &'a Value) -> Result<Given<'a>, Fault> {
    let wrong = || {
        Fault::request(format!(
            "API {method}() invalid/missing array 'properties':\n{payload}"
        ))
    };
    let list = payload["properties"].as_array().ok_or_else(wrong)?;
    let each = list.iter().map(|item| {
        let name = item["property_name"].as_str().ok_or_else(wrong)?;
        Ok((name, &item["value"]))
    });
    each.collect()
}

fn blank(field: Name, name: &str, kind: DataType) -> FieldDef {
    let default = match kind {
        DataType::Checkbox => Cell::Bool(false),
        _ => Cell::Null,
    };
    FieldDef {
        field,
        name: name.to_owned(),
        kind,
        description: String::new(),
        valid_types: Vec::new(),
        valid_values: Vec::new(),
        default,
        back: None,
        via: None,
        derived: None,
        editable: true,
        at_create: false,
        unique: false,
        ui_value_displayable: true,
        summary_default: "none".into(),
        custom_metadata: String::new(),
        is_custom: true,
        is_visible: true,
        turned_in: std::collections::BTreeSet::new(),
        hidden_values: BTreeMap::new(),
    }
}

impl FieldDef {
    /// Sets a property; returns what it was.
    fn set(
        &mut self,
        method: &str,
        kind: &str,
        property: &str,
        value: &Value,
        project: Option<i64>,
    ) -> Result<Value, Fault> {
        let place = format!("{kind}.{}", self.field);
        let wrong = |expected: &str| {
            let class = class(value);
            Fault::request(format!(
                "API {method}() property '{property}' of {place} expected [{expected}] data type(s) but got {class}: {value}"
            ))
        };
        let text = || {
            value
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| wrong("String"))
        };
        let words = || {
            let list = value.as_array().ok_or_else(|| wrong("Array"))?;
            let words = list.iter().map(|word| word.as_str().map(str::to_owned));
            words
                .collect::<Option<Vec<String>>>()
                .ok_or_else(|| wrong("Array"))
        };
        let old = |value: String| Value::from(value);
        Ok(match property {
            "name" => old(std::mem::replace(&mut self.name, text()?)),
            "description" => old(std::mem::replace(&mut self.description, text()?)),
            "summary_default" => old(std::mem::replace(&mut self.summary_default, text()?)),
            "custom_metadata" if self.is_custom => {
                old(std::mem::replace(&mut self.custom_metadata, text()?))
            }
            "valid_values" if self.kind.is_list() => {
                std::mem::replace(&mut self.valid_values, words()?).into()
            }
            "hidden_values" if self.kind.is_list() => {
                let project = project.ok_or_else(|| missing_project(method, property))?;
                self.hidden_values
                    .insert(project, words()?)
                    .unwrap_or_default()
                    .into()
            }
            "valid_types" if self.is_link() && self.is_custom => {
                let types = words()?;
                if let Some(unknown) = types.iter().find(|name| known(name).is_none()) {
                    return Err(Fault::request(format!(
                        "API {method}() property 'valid_types' of {place}: '{unknown}' is not an entity type"
                    )));
                }
                std::mem::replace(&mut self.valid_types, types).into()
            }
            "default_value" if self.is_custom => {
                let fits = match self.kind {
                    DataType::Checkbox => value.is_boolean(),
                    kind if kind.is_whole() => value.is_i64() || value.is_null(),
                    kind if kind.is_number() => value.is_number() || value.is_null(),
                    _ => value.is_string() || value.is_null(),
                };
                if !fits {
                    return Err(wrong(super::super::value::expected(self.kind)));
                }
                std::mem::replace(&mut self.default, Kept::from(value)).json()
            }
            "visible" if self.is_custom => {
                let visible = value
                    .as_bool()
                    .ok_or_else(|| wrong("TrueClass, FalseClass"))?;
                let project = project.ok_or_else(|| missing_project(method, property))?;
                let was = self.is_visible_in(Some(project));
                if visible == self.is_visible {
                    self.turned_in.remove(&project);
                } else {
                    self.turned_in.insert(project);
                }
                was.into()
            }
            _ => {
                return Err(Fault::request(format!(
                    "API {method}() property '{property}' of {place} cannot be set"
                )));
            }
        })
    }
}

fn missing_project(method: &str, property: &str) -> Fault {
    Fault::request(format!(
        "API {method}() property '{property}' needs a 'project'"
    ))
}
