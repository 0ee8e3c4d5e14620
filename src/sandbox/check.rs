//! Checks: what may be written where, before anything is.
//!
//! In: a write, the store. Out: the value in its stored form, or the refusal in the site's words.
//! Never: a change.

use serde_json::Value;

use super::{
    cell::{Cell, Kept, Link},
    fault::Fault,
    links::{Mode, combine},
    name::Name,
    schema::{DataType, FieldDef, TypeDef},
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
    pub(super) def: &'a TypeDef,
}

impl Check<'_> {
    /// What a create writes: what was sent and is not empty, and what the site fills in.
    pub(super) fn values_of_create(&self, writes: &[Write]) -> Result<Vec<(Name, Kept)>, Fault> {
        let mut values: Vec<(Name, Kept)> = Vec::with_capacity(writes.len() + 4);
        for write in writes {
            let (field, value) = self.value(write, None)?;
            values.retain(|(known, _)| *known != field);
            if !value.is_empty() {
                values.push((field, value));
            }
        }
        for (name, field) in &self.def.fields {
            let is_left_out = !writes.iter().any(|write| write.field == *name);
            // Boxes that are unchecked read so without a value, and sites do not log them.
            let is_none = matches!(field.default, Cell::Null | Cell::Bool(false));
            if !is_none && field.kind != DataType::Uuid && is_left_out {
                values.push((name, field.default.clone()));
            }
        }
        // What it is called comes first: the rows of other sides name it.
        values.sort_by_key(|(name, _)| !self.def.display.contains(name));
        Ok(values)
    }

    /// Checks one value and brings it into the stored form.
    pub(super) fn value(&self, write: &Write, id: Option<i64>) -> Result<(Name, Kept), Fault> {
        let Self { method, def, .. } = *self;
        let kind = def.kind;
        let field = write.field.as_str();
        let place = Place {
            method,
            kind,
            field,
        };
        let Some((name, field_def)) = def.fields.get_key_value(field) else {
            return Err(Fault::request(format!(
                "API {method}() {kind}.{field} doesn't exist."
            )));
        };
        let is_open = field_def.editable || (field_def.at_create && method == "create");
        if !is_open {
            return Err(place.failed("field is not editable."));
        }
        let value = stored(field_def, &place, &write.value)?;
        self.links_exist(&place, value.links())?;
        if field == "project" {
            self.is_project(&place, &value, method == "update")?;
        }
        if field_def.unique {
            self.is_free(&place, field_def, &value, id)?;
        }
        if !field_def.kind.is_multi() {
            return Ok((name, value));
        }
        let old = id.and_then(|id| self.store.entity(kind, id));
        let old = old.map_or(&[][..], |entity| entity.get(field).links());
        let list = combine(old, value.links(), write.mode);
        Ok((name, Cell::Links(list.into())))
    }

    fn links_exist(&self, place: &Place<'_>, links: &[Link]) -> Result<(), Fault> {
        let is_there = |link: &&Link| {
            self.store.entity(link.kind, link.id).is_some()
                || (link.kind == super::schema::EVENT_LOG && self.store.log.get(link.id).is_some())
        };
        let gone = links.iter().find(|link| !is_there(link));
        gone.map_or(Ok(()), |link| {
            Err(missing(place.method, link.kind, link.id))
        })
    }

    /// Of all links to one entity only this is held to its type; what must have one keeps it.
    fn is_project(&self, place: &Place<'_>, value: &Kept, is_kept: bool) -> Result<(), Fault> {
        let wrong = value.links().iter().find(|link| link.kind != "Project");
        if let Some(link) = wrong {
            let kind = link.kind;
            return Err(place.failed(&format!(
                "'{kind}' is not a valid type. Valid types: Project"
            )));
        }
        if is_kept && value.is_empty() && self.def.is_project_mandatory() {
            return Err(place.failed("a project is required."));
        }
        Ok(())
    }

    pub(super) fn is_free(
        &self,
        place: &Place<'_>,
        def: &FieldDef,
        value: &Kept,
        id: Option<i64>,
    ) -> Result<(), Fault> {
        let Place {
            method,
            kind,
            field,
        } = place;
        let text = value.as_str().unwrap_or_default();
        let taken = self
            .store
            .named(kind, def.field, text)
            .is_some_and(|row| Some(row.id) != id);
        if value.is_empty() || !taken {
            return Ok(());
        }
        let (number, what) = if *method == "create" {
            (61, "Create")
        } else {
            (51, "Update")
        };
        let name = &def.name;
        Err(Fault::operation(format!(
            "API {method}() CRUD ERROR #{number}: {what} failed for [{kind}.{field}]. The value for the {name} field is required to be unique. <br> "
        )))
    }
}

/// There is no such entity.
pub(super) fn missing(method: &str, kind: &str, id: i64) -> Fault {
    let what = format!("Entity of type [{kind}] with id={id} does not exist.");
    Fault::absent(method, what)
}
