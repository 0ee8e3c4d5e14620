//! What fits: writes to a site whose schema may be that of another studio.
//!
//! In: writes that our own schema takes. Out: those of them that the site's schema takes, done.
//! Never: what a caller asked for; that is taken as it is or refused.

use serde_json::Value;

use super::{
    cell::Link,
    check::Write,
    fault::Fault,
    schema::{DataType, FieldDef},
    transaction::Transaction,
};

impl Transaction<'_> {
    /// Makes an entity with those fields that the site has; nothing when it has no such type.
    pub(super) fn create_what_fits(
        &mut self,
        kind: &str,
        writes: &[Write],
    ) -> Result<Option<i64>, Fault> {
        if self.store().schema.get(kind).is_none() {
            return Ok(None);
        }
        let writes = self.fitting(kind, writes);
        self.create(kind, &writes).map(Some)
    }

    /// Changes those fields that the site has.
    pub(super) fn update_what_fits(
        &mut self,
        kind: &str,
        id: i64,
        writes: &[Write],
    ) -> Result<(), Fault> {
        let writes = self.fitting(kind, writes);
        self.update(kind, id, &writes)
    }

    fn fitting(&self, kind: &str, writes: &[Write]) -> Vec<Write> {
        let def = self.store().schema.get(kind);
        let fits = |write: &&Write| {
            let field = def.and_then(|def| def.fields.get(write.field.as_str()));
            field.is_some_and(|field| takes(field, &write.value)) && self.leads(&write.value)
        };
        writes.iter().filter(fits).cloned().collect()
    }

    /// Whether what is linked is there: a site without departments has none to link to.
    fn leads(&self, value: &Value) -> bool {
        match value {
            Value::Array(list) => list.iter().all(|value| self.leads(value)),
            Value::Object(_) => Link::read(value)
                .is_some_and(|link| self.store().entity(link.kind, link.id).is_some()),
            _ => true,
        }
    }
}

fn takes(field: &FieldDef, value: &Value) -> bool {
    let is_listed = field.kind.is_list() && !field.valid_values.is_empty();
    let word = value.as_str().filter(|_| is_listed);
    let is_known = word.is_none_or(|word| field.valid_values.iter().any(|known| known == word));
    let is_linked = match value {
        Value::Array(list) => list.iter().all(Value::is_object),
        value => value.is_object(),
    };
    let is_right = match field.kind {
        DataType::Entity => is_linked && value.is_object(),
        kind if kind.is_multi() => is_linked && value.is_array(),
        DataType::Checkbox => value.is_boolean(),
        kind if kind.is_number() => value.is_number(),
        _ => !is_linked,
    };
    field.editable && is_known && (is_right || value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::schema::Schema;

    #[test]
    fn a_field_takes_what_is_of_its_type() {
        let schema = Schema::builtin();
        let link = json!({"type": "Shot", "id": 1});
        for (kind, field, value, fits) in [
            ("Shot", "code", json!("a"), true),
            ("Shot", "code", link.clone(), false),
            ("Shot", "sg_cut_in", json!("a"), false),
            ("Shot", "sg_sequence", link.clone(), true),
            ("Shot", "sg_sequence", json!([link]), false),
            ("Shot", "assets", json!([link]), true),
            ("Shot", "assets", link.clone(), false),
            ("Shot", "sg_status_list", json!("ip"), true),
            ("Shot", "sg_status_list", json!("zzz"), false),
            ("Shot", "created_at", json!("2026-07-15T00:00:00Z"), false),
        ] {
            let def = schema.field(kind, field).unwrap();
            assert_eq!(takes(def, &value), fits, "{kind}.{field} {value}");
        }
    }
}
