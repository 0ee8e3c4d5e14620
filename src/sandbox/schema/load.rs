//! Reading a schema: types that name sets of fields and fields of their own.
//!
//! Never: a definition; those are in the JSON files.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Not,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Connection, DataType, Derived, FieldDef, Schema, TypeDef};
use crate::sandbox::{cell::Kept, name::keep};

const FILES: [&str; 6] = [
    include_str!("production.json"),
    include_str!("people.json"),
    include_str!("review.json"),
    include_str!("admin.json"),
    include_str!("custom.json"),
    include_str!("connections.json"),
];
const SETS: &str = include_str!("sets.json");
const STATUSES: &str = include_str!("statuses.json");

/// By name.
pub(super) type Fields = BTreeMap<String, RawField>;

/// A type as it is written in files.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct RawType {
    pub(super) name: String,
    pub(super) display: Vec<String>,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(super) needs_project: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unless: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sets: Vec<String>,
    #[serde(default)]
    pub(super) fields: Fields,
    /// Fields that were deleted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) trash: Fields,
}

/// A field as it is written in files: what is not said is as it is mostly.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawField {
    pub(super) name: String,
    pub(super) r#type: DataType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) valid_types: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) valid_values: Vec<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) default: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) back: Option<String>,
    /// `PlaylistVersionConnection.playlist.version`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) via: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) derived: Option<Derived>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) editable: Option<bool>,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(super) at_create: bool,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(super) unique: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ui_value_displayable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) summary_default: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) custom_metadata: String,
    /// Made on this site.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(super) custom: bool,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(super) hidden: bool,
    /// Projects in which it is the other way round.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) turned_in: BTreeSet<i64>,
    /// Values that a project hides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) hidden_values: BTreeMap<i64, Vec<String>>,
}

/// The schema that comes with the program.
pub(super) fn builtin() -> serde_json::Result<Schema> {
    let sets: BTreeMap<String, Fields> = serde_json::from_str(SETS)?;
    let mut schema = Schema {
        types: BTreeMap::new(),
        connections: BTreeMap::new(),
        statuses: serde_json::from_str(STATUSES)?,
    };
    for file in FILES {
        let types: BTreeMap<String, RawType> = serde_json::from_str(file)?;
        for (kind, raw) in types {
            let def = type_def(&kind, raw, &sets)?;
            schema.insert(def);
        }
    }
    Ok(schema)
}

/// A type out of its sets and its own fields.
pub(super) fn type_def(
    kind: &str,
    raw: RawType,
    sets: &BTreeMap<String, Fields>,
) -> serde_json::Result<TypeDef> {
    let kind = keep(kind);
    let mut fields = Fields::new();
    for name in &raw.sets {
        let set = sets.get(name).ok_or_else(|| {
            serde::de::Error::custom(format!("{kind}: there is no set called {name}"))
        })?;
        fields.extend(set.clone());
    }
    fields.extend(raw.fields);
    let def = |(field, raw): (String, RawField)| {
        let def = field_def(kind, &field, raw);
        (def.field, Arc::new(def))
    };
    Ok(TypeDef {
        kind,
        name: raw.name,
        display: raw.display.iter().map(|field| keep(field)).collect(),
        needs_project: raw.needs_project,
        unless: raw.unless.as_deref().map(keep),
        fields: fields.into_iter().map(def).collect(),
        trash: raw.trash.into_iter().map(def).collect(),
    })
}

/// A field with all that is not said.
pub(super) fn field_def(kind: &'static str, field: &str, raw: RawField) -> FieldDef {
    let field = keep(field);
    let via = raw.via.as_deref().and_then(|via| {
        let mut parts = via.split('.').map(keep);
        Some(Connection {
            kind: parts.next()?,
            here: parts.next()?,
            there: parts.next()?,
            owner: kind,
            list: field,
        })
    });
    FieldDef {
        field,
        name: raw.name,
        kind: raw.r#type,
        description: raw.description,
        valid_types: raw.valid_types,
        valid_values: raw.valid_values,
        default: Kept::from(&raw.default),
        back: raw.back.as_deref().map(keep),
        via,
        derived: raw.derived,
        editable: raw.editable.unwrap_or(true),
        at_create: raw.at_create,
        unique: raw.unique,
        ui_value_displayable: raw.ui_value_displayable.unwrap_or(true),
        summary_default: raw.summary_default.unwrap_or_else(|| "none".into()),
        custom_metadata: raw.custom_metadata,
        is_custom: raw.custom,
        is_visible: !raw.hidden,
        turned_in: raw.turned_in,
        hidden_values: raw.hidden_values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::name::known;

    #[test]
    fn every_name_in_the_files_is_one_that_there_is() {
        let schema = builtin().unwrap();
        for def in schema.types() {
            for name in def.display.iter().chain(&def.unless) {
                assert!(def.fields.contains_key(name), "{}.{name}", def.kind);
            }
            for field in def.fields.values() {
                let place = format!("{}.{}", def.kind, field.field);
                for kind in &field.valid_types {
                    assert!(schema.get(kind).is_some(), "{place}: {kind}");
                }
                for state in field
                    .valid_values
                    .iter()
                    .filter(|_| field.kind == DataType::StatusList)
                {
                    assert!(schema.statuses.contains_key(state), "{place}: {state}");
                }
                if let Some(back) = field.back {
                    let mut kinds = field.valid_types.iter().filter_map(|kind| schema.get(kind));
                    let any = kinds.any(|def| def.fields.contains_key(back));
                    assert!(any || field.valid_types.is_empty(), "{place}: {back}");
                }
                if let Some(via) = field.via {
                    let rows = schema.get(via.kind).unwrap();
                    assert!(rows.fields.contains_key(via.here), "{place}");
                    assert!(rows.fields.contains_key(via.there), "{place}");
                }
            }
        }
        assert!(known("Shot").is_some());
    }

    #[test]
    fn a_link_and_the_list_on_its_other_side_name_each_other() {
        let schema = builtin().unwrap();
        for def in schema.types() {
            for field in def.fields.values() {
                let Some(back) = field.back else { continue };
                for kind in &field.valid_types {
                    let Some(other) = schema.field(kind, back) else {
                        continue;
                    };
                    let types = &other.valid_types;
                    let names_us = types.is_empty() || types.iter().any(|kind| kind == def.kind);
                    assert!(names_us, "{}.{} and {kind}.{back}", def.kind, field.field);
                }
            }
        }
    }
}
