//! Batches: many writes in one request, all or none.
//!
//! In: requests. Out: one envelope for each, in their order.
//! Never: half of it.

use serde_json::{Value, json};

use super::{Done, Refusal, Rest, refusal::Wrong, whole};
use crate::sandbox::{cell::Link, name::Name, row::uuid};

const NAME: &str = "requests";

impl Rest<'_> {
    /// `POST /entity/_batch`
    pub(super) fn batch(&mut self) -> Result<Done, Refusal> {
        let requests = match &self.body[NAME] {
            Value::Null => return Err(Refusal::parameter(NAME, "is missing")),
            Value::Array(list) => list.clone(),
            _ => return Err(Refusal::parameter(NAME, "must be an array")),
        };
        check(&requests)?;
        let mut payload = Vec::with_capacity(requests.len());
        let mut asked = Vec::with_capacity(requests.len());
        for request in &requests {
            let (word, link) = self.asked(request)?;
            let mut one = self.translated(request, word, link)?;
            one["request_type"] = word.into();
            payload.push(one);
            asked.push((word, link));
        }
        let Value::Array(done) = self.call("batch", &payload.into())? else {
            return Err(Refusal::broken());
        };
        let done = done.into_iter().zip(asked);
        let shape = self.shape();
        let told = done.map(|(record, (word, link))| match word {
            "create" => json!({"data": self.made(record)}),
            "update" => {
                let data = shape.record(record);
                let links = json!({"self": data["links"]["self"]});
                json!({"data": data, "links": links, "status": 200})
            }
            _ => json!({
                "request_type": word, "type": link.kind, "id": link.id,
                "uuid": uuid(link), "did_delete": record,
            }),
        });
        let told: Value = told.collect();
        Ok(Done::Json(200, json!({"data": told})))
    }

    /// What a request is about.
    fn asked<'r>(&self, request: &'r Value) -> Result<(&'r str, Link), Refusal> {
        let name = request["entity"].as_str().unwrap_or_default();
        let kind: Name = self.kind(name)?;
        let word = request["request_type"].as_str().unwrap_or_default();
        // A create has no id yet.
        let id = whole(&request["record_id"]).unwrap_or_default();
        Ok((word, Link::new(kind, id)))
    }

    fn translated(&self, request: &Value, word: &str, link: Link) -> Result<Value, Refusal> {
        match (word, &request["data"]) {
            ("create", Value::Object(sent)) => self.creation(link.kind, sent),
            ("update", Value::Object(sent)) => self.change(link, sent),
            ("delete", _) => Ok(json!({"type": link.kind, "id": link.id})),
            _ => Err(Refusal::parameters(json!({
                "data": ["data hash containing field/value pairs is required for the given request"]
            }))),
        }
    }
}

/// Whether requests have the shape of some.
fn check(requests: &[Value]) -> Result<(), Refusal> {
    let mut all = Wrong::default();
    for (index, request) in requests.iter().enumerate() {
        let mut wrong = Wrong::default();
        match &request["request_type"] {
            Value::Null => wrong.add("request_type", "is missing"),
            word if matches!(word.as_str(), Some("create" | "update" | "delete")) => {}
            _ => wrong.add("request_type", "must be one of: create, update, delete"),
        }
        match &request["entity"] {
            Value::Null => wrong.add("entity", "is missing"),
            Value::String(_) => {}
            _ => wrong.add("entity", "must be a string"),
        }
        all.nest(&index.to_string(), wrong);
    }
    let mut wrong = Wrong::default();
    wrong.nest(NAME, all);
    wrong.check()
}
