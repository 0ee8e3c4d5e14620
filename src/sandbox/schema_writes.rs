//! The methods that write the schema, with the rows that they leave in the log.
//!
//! In: payloads. Out: the name of a field, or whether it was done.
//! Never: a rule about fields; those are the schema's.

use serde_json::{Value, json};

use super::{
    cell::{Cell, Link},
    fault::Fault,
    method::Call,
    name::keep,
    row::Draft,
    schema::Changed,
    store::{Actor, Commit, Store},
};

/// The type whose rows stand for fields.
const COLUMN: &str = "DisplayColumn";

impl Call<'_> {
    /// Makes a field; it can be used at once.
    pub(super) fn schema_field_create(&mut self, who: &Actor) -> Result<String, Fault> {
        let made = self.store.schema.create_field(self.payload)?;
        self.note(who, &made, "New");
        Ok(Value::from(made.field).to_string())
    }

    /// Changes a field's properties.
    pub(super) fn schema_field_update(&mut self, who: &Actor) -> Result<String, Fault> {
        let changed = self.store.schema.update_field(self.payload)?;
        if !changed.properties.is_empty() {
            self.note(who, &changed, "Change");
        }
        Ok("true".into())
    }

    /// Deletes a field that was made on this site.
    pub(super) fn schema_field_delete(&mut self, who: &Actor) -> Result<String, Fault> {
        let gone = self.store.schema.delete_field(self.payload)?;
        Ok(self.told_of(who, gone, "Delete"))
    }

    /// Brings such a field back with all its values.
    pub(super) fn schema_field_revive(&mut self, who: &Actor) -> Result<String, Fault> {
        let back = self.store.schema.revive_field(self.payload)?;
        Ok(self.told_of(who, back, "New"))
    }

    fn told_of(&mut self, who: &Actor, changed: Option<Changed>, action: &str) -> String {
        if let Some(changed) = &changed {
            self.note(who, changed, action);
        }
        changed.is_some().to_string()
    }

    fn note(&mut self, who: &Actor, changed: &Changed, action: &str) {
        let done = self.store.transact(who, self.now, Commit::Now, |work| {
            let column = match column(work.store(), changed) {
                Some(column) => column,
                None => work.make(keep(COLUMN)),
            };
            for (field, value) in [
                ("name", changed.field.to_owned()),
                ("human_name", changed.name.clone()),
                ("entity_type", changed.kind.to_owned()),
                ("data_type", changed.data_type.word()),
            ] {
                work.set(column, keep(field), Cell::text(value));
            }
            if action == "Change" {
                for (property, old, new) in &changed.properties {
                    let meta = json!({
                        "type": "attribute_change", "attribute_name": property,
                        "entity_type": COLUMN, "entity_id": column.id, "old_value": old, "new_value": new,
                    });
                    let mut draft = Draft::about(column, action, meta);
                    draft.attribute = Some(property.clone());
                    work.drafts.push(draft);
                }
                return Ok(());
            }
            let meta = json!({
                "type": if action == "New" { "new_entity" } else { "entity_retirement" },
                "entity_type": COLUMN, "entity_id": column.id,
            });
            work.drafts.push(Draft::about(column, action, meta));
            Ok(())
        });
        debug_assert!(done.is_ok(), "nothing in it can be refused");
    }
}

/// The row that stands for a field.
fn column(store: &Store, changed: &Changed) -> Option<Link> {
    let mut columns = store.entities(COLUMN);
    let known = columns.find(|column| {
        column.get("name").as_str() == Some(changed.field)
            && column.get("entity_type").as_str() == Some(changed.kind)
    });
    known.map(|column| Link::new(keep(COLUMN), column.id))
}
