//! A schema as it is written into files and read from them again.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    FieldDef, Schema, TypeDef,
    load::{Fields, RawField, RawType, type_def},
};
use crate::sandbox::name::{Name, known};

impl Schema {
    /// Takes a type that stands in a file.
    pub(in crate::sandbox) fn add(&mut self, kind: &str, raw: RawType) -> Result<(), String> {
        if self.types.contains_key(kind) {
            return Err(format!("the type \"{kind}\" is there a second time"));
        }
        let def = type_def(kind, raw, &BTreeMap::new()).map_err(|error| error.to_string())?;
        self.insert(def);
        Ok(())
    }

    /// Takes a type with the connections that its lists have.
    pub(super) fn insert(&mut self, def: TypeDef) {
        let all = def.fields.values().chain(def.trash.values());
        let connections = all.filter_map(|field| field.via);
        self.connections
            .extend(connections.map(|via| (via.kind, via)));
        self.types.insert(def.kind, Arc::new(def));
    }
}

impl TypeDef {
    /// A field, deleted or not.
    pub(in crate::sandbox) fn field_or_trash(&self, name: &str) -> Option<&Arc<FieldDef>> {
        let name = known(name)?;
        self.fields.get(name).or_else(|| self.trash.get(name))
    }

    /// As it is written into files.
    pub(in crate::sandbox) fn raw(&self) -> RawType {
        let all = |fields: &BTreeMap<Name, Arc<FieldDef>>| -> Fields {
            let fields = fields.iter();
            fields
                .map(|(name, field)| ((*name).to_owned(), field.raw()))
                .collect()
        };
        RawType {
            name: self.name.clone(),
            display: self.display.iter().map(|name| (*name).to_owned()).collect(),
            needs_project: self.needs_project,
            unless: self.unless.map(str::to_owned),
            sets: Vec::new(),
            fields: all(&self.fields),
            trash: all(&self.trash),
        }
    }
}

impl FieldDef {
    fn raw(&self) -> RawField {
        let via = self
            .via
            .map(|via| format!("{}.{}.{}", via.kind, via.here, via.there));
        RawField {
            name: self.name.clone(),
            r#type: self.kind,
            valid_types: self.valid_types.clone(),
            valid_values: self.valid_values.clone(),
            default: self.default.json(),
            back: self.back.map(str::to_owned),
            via,
            derived: self.derived,
            editable: (!self.editable).then_some(false),
            at_create: self.at_create,
            unique: self.unique,
            ui_value_displayable: (!self.ui_value_displayable).then_some(false),
            summary_default: (self.summary_default != "none").then(|| self.summary_default.clone()),
            description: self.description.clone(),
            custom_metadata: self.custom_metadata.clone(),
            custom: self.is_custom,
            hidden: !self.is_visible,
            turned_in: self.turned_in.clone(),
            hidden_values: self.hidden_values.clone(),
        }
    }
}
