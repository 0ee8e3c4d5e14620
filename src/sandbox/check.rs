//! Checks: what may be written where, before anything is.
//!
//! In: a write, the store. Out: the value in its stored form, or the refusal in the site's words.
//! Never: a change.

use serde_json::Value;

use super::{
    fault::Fault,
    links::{Mode, combine, links},
    schema::{FieldDef, TypeDef},
    store::Store,
    value::{Place, stored},
};

/// One field that is written.
#[derive(Debug, Clone)]
pub(super) struct Write {
    /// The field.
    pub(super) field: String,
    /// The value as it was sent.
    pub(super) value: Value,
    /// Only of lists of links.
    pub(super) mode: Mode,
}

impl Write {
    /// Sets a field.
    pub(super) fn set(field: &str, value: impl Into<Value>) -> Self {
        Self {
            field: field.to_owned(),
            value: value.into(),
            mode: Mode::Set,
        }
    }
}

/// A method that writes to a type.
pub(super) struct Check<'a> {
    /// What there is.
    pub(super) store: &'a Store,
    /// The method, for refusals.
    pub(super) method: &'a str,
    /// The entity type.
    pub(super) kind: &'a str,
    /// Its definition.
    pub(super) def: &'a TypeDef,
}

impl Check<'_> {
    /// What a create writes: what was sent and is not empty, and what the site fills in.
    pub(super) fn values_of_create(&self, writes: &[Write]) -> Result<Vec<(String, Value)>, Fault> {
        let mut values = Vec::new();
        for write in writes {
            let value = self.value(write, None)?;
            if !is_empty(&value) {
                values.push((write.field.clone(), value));
            }
        }
        for (name, field) in &self.def.fields {
            if !field.default.is_null() && !writes.iter().any(|w| w.field == *name) {
                values.push((name.clone(), field.default.clone()));
            }
        }
        Ok(values)
    }

    /// Checks one value and brings it into the stored form.
    pub(super) fn value(&self, write: &Write, id: Option<i64>) -> Result<Value, Fault> {
        let Self {
            method, kind, def, ..
        } = *self;
        let field = &write.field;
        let Some(field_def) = def.fields.get(field) else {
            return Err(Fault::request(format!(
                "API {method}() {kind}.{field} doesn't exist."
            )));
        };
        if !field_def.editable {
            return Err(Fault::operation(format!(
                "API {method}() CRUD ERROR #5: Update failed for [{kind}.{field}]: field is not editable."
            )));
        }
        let place = Place {
            method,
            kind,
            field,
        };
        let value = stored(field_def, &place, &write.value)?;
        self.links_exist(&place, &value)?;
        if field_def.unique {
            self.is_free(&place, field_def, &value, id)?;
        }
        if !field_def.kind.is_multi() {
            return Ok(value);
        }
        let old = id.and_then(|id| self.store.entity(kind, id)?.fields.get(field));
        Ok(combine(old, &value, write.mode))
    }

    fn links_exist(&self, place: &Place<'_>, value: &Value) -> Result<(), Fault> {
        let gone = links(value)
            .into_iter()
            .find(|link| self.store.entity(&link.kind, link.id).is_none());
        gone.map_or(Ok(()), |link| {
            Err(missing(place.method, &link.kind, link.id))
        })
    }

    fn is_free(
        &self,
        place: &Place<'_>,
        def: &FieldDef,
        value: &Value,
        id: Option<i64>,
    ) -> Result<(), Fault> {
        let Place {
            method,
            kind,
            field,
        } = place;
        let taken = !value.is_null()
            && self.store.entities(kind).any(|entity| {
                !entity.is_retired
                    && entity.fields.get(*field) == Some(value)
                    && entity.fields.get("id").and_then(Value::as_i64) != id
            });
        if !taken {
            return Ok(());
        }
        let number = if *method == "create" { 61 } else { 51 };
        let name = &def.name;
        Err(Fault::operation(format!(
            "API {method}() CRUD ERROR #{number}: Update failed for [{kind}.{field}]. The value for the {name} field is required to be unique. <br> "
        )))
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// There is no such entity.
pub(super) fn missing(method: &str, kind: &str, id: i64) -> Fault {
    Fault::operation(format!(
        "API {method}() CRUD ERROR #3: Entity of type [{kind}] with id={id} does not exist."
    ))
}
