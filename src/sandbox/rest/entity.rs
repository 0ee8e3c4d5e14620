//! Entities: listed, read, made, changed, retired and brought back, each under its address.
//!
//! In: a type, an id, fields with values. Out: records.
//! Never: a change of more than one entity; that is a batch.

use serde_json::{Map, Value, json};

use super::{
    Done, Refusal, Rest, filters::Reader, listing::truth, refusal::Wrong, values::coerced,
};
use crate::sandbox::{cell::Link, name::Name, schema::DataType, value::Place};

/// What every create tells beside what was sent.
const TOLD: [&str; 3] = ["created_at", "updated_at", "cached_display_name"];
const MODE: &str = "multi_entity_update_mode";

impl Rest<'_> {
    /// `GET /entity/shots`
    pub(super) fn list(&mut self, kind: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let reader = Reader {
            schema: self.seen_schema(),
            kind,
            method: "read",
        };
        let filters = reader.query(&self.query.tree["filter"])?;
        self.listed(kind, filters)
    }

    /// A page of records.
    pub(super) fn listed(&mut self, kind: Name, filters: Value) -> Result<Done, Refusal> {
        let (payload, page) = self.listing(kind, filters)?;
        let rows = self.rows(&payload)?;
        let shape = self.shape();
        let data = shape.records(rows);
        let links = self.page_links(page);
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// `GET /entity/shots/860`
    pub(super) fn one(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.link(kind, id)?;
        let mut wrong = Wrong::default();
        let fields = self.fields(link.kind, &mut wrong);
        wrong.check()?;
        let fields = fields.unwrap_or_else(|| self.all_fields(link.kind));
        let row = self.row(link, &fields)?;
        let data = self.shape().record(row);
        let links = self.own_links();
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// One row with some fields, live unless the options say otherwise.
    pub(super) fn row(&mut self, link: Link, fields: &[String]) -> Result<Value, Refusal> {
        let mut wrong = Wrong::default();
        let options = self.options(&mut wrong);
        wrong.check()?;
        let mut payload = json!({
            "type": link.kind, "return_fields": fields,
            "filters": {"conditions": [{"path": "id", "relation": "is", "values": [link.id]}]},
            "paging": {"entities_per_page": 1, "current_page": 1},
            "return_paging_info_without_counts": true,
        });
        for (name, value) in options {
            payload[name] = value;
        }
        let row = self.rows(&payload)?.into_iter().next();
        row.ok_or_else(|| Refusal::absent(format!("{}: {} not found", link.kind, link.id)))
    }

    /// `POST /entity/shots`
    pub(super) fn create(&mut self, kind: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let payload = self.creation(kind, &self.fields_sent())?;
        let record = self.call("create", &payload)?;
        let data = self.made(record);
        let links = json!({"self": data["links"]["self"]});
        Ok(Done::Json(201, json!({"data": data, "links": links})))
    }

    fn fields_sent(&self) -> Map<String, Value> {
        self.body.as_object().cloned().unwrap_or_default()
    }

    /// The payload of `create`.
    pub(super) fn creation(&self, kind: Name, sent: &Map<String, Value>) -> Result<Value, Refusal> {
        let fields = self.writes("create", kind, sent)?;
        let def = self.seen_schema().get(kind);
        let told = def.into_iter().flat_map(|def| def.fields.iter());
        let told = told.filter(|(name, field)| {
            field.is_link() || TOLD.contains(name) || !field.default.is_empty()
        });
        let told: Vec<&str> = told.map(|(name, _)| *name).collect();
        Ok(json!({"type": kind, "fields": fields, "return_fields": told}))
    }

    /// A record that was just made; it has its times in another form than one that is read.
    pub(super) fn made(&self, record: Value) -> Value {
        let mut data = self.shape().record(record);
        if let Value::Object(attributes) = &mut data["attributes"] {
            for name in ["created_at", "updated_at"] {
                if let Some(Value::String(at)) = attributes.get_mut(name) {
                    *at = at.replace('T', " ").replace('Z', " UTC");
                }
            }
        }
        data
    }

    /// `PUT /entity/shots/860`
    pub(super) fn update(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.link(kind, id)?;
        let payload = self.change(link, &self.fields_sent())?;
        let record = self.call("update", &payload)?;
        let data = self.shape().record(record);
        let links = json!({"self": self.own()});
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// The payload of `update`; its answer is the whole record.
    pub(super) fn change(&self, link: Link, sent: &Map<String, Value>) -> Result<Value, Refusal> {
        let fields = self.writes("update", link.kind, sent)?;
        let told = self.all_fields(link.kind);
        Ok(json!({"type": link.kind, "id": link.id, "fields": fields, "return_fields": told}))
    }

    /// Fields with values as API3 writes them.
    fn writes(
        &self,
        method: &str,
        kind: Name,
        sent: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let each = sent.iter().map(|(name, value)| {
            let place = Place {
                method,
                kind,
                field: name,
            };
            let def = self.seen_schema().field(kind, name);
            let Some(def) = def else {
                return Ok(json!({"field_name": name, "value": value}));
            };
            // `{"multi_entity_update_mode": "add", "value": [...]}`
            if def.kind.is_multi() && value.get(MODE).is_some() {
                return Ok(json!({"field_name": name, "value": value["value"], MODE: value[MODE]}));
            }
            let value = coerced(def, &place, value)?;
            Ok(json!({"field_name": name, "value": value}))
        });
        each.collect()
    }

    /// `DELETE /entity/shots/860`
    pub(super) fn delete(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.link(kind, id)?;
        let payload = json!({"type": link.kind, "id": link.id});
        if self.call("delete", &payload)? == true {
            return Ok(Done::Empty);
        }
        let Link { kind, id } = link;
        Err(Refusal::absent(format!(
            "Entity of type [{kind}] with id={id} does not exist."
        )))
    }

    /// `POST /entity/shots/860?revive=true`
    pub(super) fn revive(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.link(kind, id)?;
        match &self.query.tree["revive"] {
            Value::Null => return Err(Refusal::parameter("revive", "is missing")),
            word if truth(word) == Some(true) => {}
            _ => return Err(Refusal::parameter("revive", "must be true")),
        }
        let payload = json!({"type": link.kind, "id": link.id});
        let revived = self.call("revive", &payload)?;
        let own = self.own();
        Ok(Done::Json(
            200,
            json!({"data": link.bare(), "links": {"self": own}, "meta": {"did_revive": revived}}),
        ))
    }

    /// `GET /entity/shots/860/relationships/tasks`
    pub(super) fn relationship(&mut self, at: [&str; 3]) -> Result<Done, Refusal> {
        let [kind, id, field] = at;
        let link = self.link(kind, id)?;
        if !self.field(link.kind, field)?.1 {
            return Err(
                Refusal::request(format!("Field '{field}' is not a relationship field"))
                    .with_source(
                        json!({"related_field": [" is not an Entity or Multi Entity field."]}),
                    ),
            );
        }
        let row = self.row(link, &[field.to_owned()])?;
        let own = self.own();
        Ok(Done::Json(
            200,
            json!({"data": row[field], "links": {"self": own}}),
        ))
    }

    /// What the values of a field are, and whether they are links.
    pub(super) fn field(&self, kind: Name, field: &str) -> Result<(DataType, bool), Refusal> {
        let def = self.seen_schema().field(kind, field);
        def.map(|def| (def.kind, def.is_link()))
            .ok_or_else(|| Refusal::unknown(format!("Field '{kind}.{field}' does not exist.")))
    }

    /// `GET /entity/versions/5/image`, with `?alt=original` the file itself.
    pub(super) fn file(&mut self, at: [&str; 3]) -> Result<Done, Refusal> {
        let [kind, id, field] = at;
        let link = self.link(kind, id)?;
        if field.contains('.') {
            return Err(Refusal::accept(field));
        }
        let (data_type, _) = self.field(link.kind, field)?;
        if !matches!(data_type, DataType::Image | DataType::Url) {
            let kind = link.kind;
            return Err(Refusal::request(format!(
                "Field {kind}.{field} is not an image or attachment."
            )));
        }
        let row = self.row(link, &[field.to_owned()])?;
        let value = &row[field];
        match self.query.text("alt") {
            None => {
                let links = self.own_links();
                Ok(Done::Json(200, json!({"data": value, "links": links})))
            }
            Some("original" | "thumbnail") => {
                let address = value.as_str().or_else(|| value["url"].as_str());
                let empty = if data_type == DataType::Url {
                    format!("Field {field} is empty.")
                } else {
                    "File not found".into()
                };
                let address = address.ok_or_else(|| Refusal::absent(empty))?;
                Ok(Done::Redirect(address.to_owned()))
            }
            Some(_) => Err(Refusal::parameter(
                "alt",
                "must be one of: original, thumbnail",
            )),
        }
    }
}
