//! The schema under addresses: types, fields, and the changes to fields.
//!
//! In: a type, a field, properties. Out: properties with their values.
//! Never: another name of a field than the site makes.

use serde_json::{Value, json};

use super::{Done, Refusal, Rest, listing::truth, refusal::Wrong, whole};
use crate::sandbox::{name::Name, schema::DataType};

impl Rest<'_> {
    fn project(&self) -> Value {
        let id = whole(self.given("project_id"));
        id.map_or(Value::Null, |id| json!({"type": "Project", "id": id}))
    }

    fn told(&self, data: &Value) -> Result<Done, Refusal> {
        let links = self.own_links();
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// `GET /schema`
    pub(super) fn schema(&mut self) -> Result<Done, Refusal> {
        let project = self.project();
        let all = self.call("schema_entity_read", &json!({"project": project}))?;
        self.told(&all)
    }

    /// `GET /schema/Shot`
    pub(super) fn schema_type(&mut self, kind: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let all = self.call("schema_entity_read", &Value::Null)?;
        self.told(&all[kind])
    }

    /// `GET /schema/Shot/fields`
    pub(super) fn schema_fields(&mut self, kind: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let project = self.project();
        let fields = self.call(
            "schema_field_read",
            &json!({"type": kind, "project": project}),
        )?;
        self.told(&fields)
    }

    /// `GET /schema/Shot/fields/code`
    pub(super) fn schema_field(&mut self, kind: &str, field: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let described = self.described(kind, field)?;
        self.told(&described)
    }

    fn described(&mut self, kind: Name, field: &str) -> Result<Value, Refusal> {
        self.field(kind, field)?;
        let project = self.project();
        let payload = json!({"type": kind, "field_name": field, "project": project});
        Ok(self.call("schema_field_read", &payload)?[field].take())
    }

    /// `POST /schema/Shot/fields`
    pub(super) fn field_create(&mut self, kind: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let mut wrong = Wrong::default();
        let data_type = match &self.body["data_type"] {
            Value::Null => {
                wrong.add("data_type", "is missing");
                ""
            }
            Value::String(word) => word.as_str(),
            _ => {
                wrong.add("data_type", "must be a string");
                ""
            }
        };
        let known = DataType::named(data_type);
        if !data_type.is_empty() && !known.is_some_and(DataType::can_be_made) {
            wrong.add("data_type", "is not valid");
        }
        let properties = self.properties(true, &mut wrong);
        wrong.check()?;
        let payload = json!({"type": kind, "data_type": data_type, "properties": properties});
        let made = self.call("schema_field_create", &payload)?;
        let made = made.as_str().unwrap_or_default();
        let described = self.described(kind, made)?;
        let own = format!("{}/schema/{kind}/fields/{made}", self.base);
        Ok(Done::Json(
            201,
            json!({"data": described, "links": {"self": own}}),
        ))
    }

    fn properties(&self, is_needed: bool, wrong: &mut Wrong) -> Value {
        match &self.body["properties"] {
            Value::Null if is_needed => wrong.add("properties", "is missing"),
            Value::Null => return json!([]),
            list @ Value::Array(_) => return list.clone(),
            _ => wrong.add("properties", "must be an array"),
        }
        Value::Null
    }

    /// `PUT /schema/Shot/fields/sg_x`; without properties nothing happens.
    pub(super) fn field_update(&mut self, kind: &str, field: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        self.field(kind, field)?;
        let mut wrong = Wrong::default();
        let properties = self.properties(false, &mut wrong);
        wrong.check()?;
        let payload = json!({
            "type": kind, "field_name": field, "properties": properties, "project": self.project(),
        });
        self.call("schema_field_update", &payload)?;
        let described = self.described(kind, field)?;
        self.told(&described)
    }

    /// `DELETE /schema/Shot/fields/sg_x`
    pub(super) fn field_delete(&mut self, kind: &str, field: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        self.field(kind, field)?;
        let payload = json!({"type": kind, "field_name": field});
        self.call("schema_field_delete", &payload)?;
        Ok(Done::Empty)
    }

    /// `POST /schema/Shot/fields/sg_x` with `{"revive": true}`
    pub(super) fn field_revive(&mut self, kind: &str, field: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        match self.given("revive") {
            Value::Null => return Err(Refusal::parameter("revive", "is missing")),
            word if truth(word) == Some(true) => {}
            _ => return Err(Refusal::parameter("revive", "must be true")),
        }
        let payload = json!({"type": kind, "field_name": field});
        self.call("schema_field_revive", &payload)?;
        Ok(Done::Empty)
    }
}
