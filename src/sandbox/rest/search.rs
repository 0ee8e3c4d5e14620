//! Searches: by filters, by words, and sums of what is found.
//!
//! In: filters in a body. Out: records; summaries; names that fit.
//! Never: a filter of the query; here only the body filters.

use serde_json::{Map, Value, json};

use super::{Done, Refusal, Rest, filters::Reader, refusal::Wrong};
use crate::sandbox::name::Name;

/// Names that are told at once.
const NAMES: i64 = 25;
/// All that can be summed up; which of them a field has is found out later.
const SUMMARIES: [&str; 14] = [
    "record_count",
    "count",
    "sum",
    "maximum",
    "minimum",
    "average",
    "earliest",
    "latest",
    "percentage",
    "status_percentage",
    "status_percentage_as_float",
    "status_list",
    "checked",
    "unchecked",
];

impl Rest<'_> {
    fn filters(&self, method: &str, kind: Name, filters: &Value) -> Result<Value, Refusal> {
        let reader = Reader {
            schema: self.seen_schema(),
            kind,
            method,
        };
        reader.body(filters, self.syntax)
    }

    /// `POST /entity/shots/_search`
    pub(super) fn search(&mut self, kind: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let filters = self.filters("read", kind, &self.body["filters"])?;
        self.listed(kind, filters)
    }

    /// `POST /entity/shots/_summarize`
    pub(super) fn summarize(&mut self, kind: &str) -> Result<Done, Refusal> {
        let kind = self.kind(kind)?;
        let filters = self.filters("summarize", kind, &self.body["filters"])?;
        let mut wrong = Wrong::default();
        self.check_summaries(&mut wrong);
        let options = self.options(&mut wrong);
        wrong.check()?;
        let mut payload = json!({
            "type": kind, "filters": filters,
            "summaries": self.body["summary_fields"], "grouping": self.body["grouping"],
        });
        for (name, value) in options {
            payload[name] = value;
        }
        let data = self.call("summarize", &payload)?;
        Ok(Done::Json(200, json!({"data": data})))
    }

    fn check_summaries(&self, wrong: &mut Wrong) {
        const NAME: &str = "summary_fields";
        let list = match &self.body[NAME] {
            Value::Null => return wrong.add(NAME, "is missing"),
            Value::Array(list) => list,
            _ => return wrong.add(NAME, "must be an array"),
        };
        let mut inner = Wrong::default();
        for (index, one) in list.iter().enumerate() {
            let mut parts = Wrong::default();
            if !one["field"].is_string() {
                parts.add("field", "is missing");
            }
            let word = one["type"].as_str();
            if !word.is_some_and(|word| SUMMARIES.contains(&word)) {
                let all = SUMMARIES.join(", ");
                parts.add("type", &format!("must be one of: {all}"));
            }
            inner.nest(&index.to_string(), parts);
        }
        wrong.nest(NAME, inner);
    }

    /// `POST /entity/_text_search`
    pub(super) fn text_search(&mut self) -> Result<Done, Refusal> {
        let mut wrong = Wrong::default();
        match &self.body["text"] {
            Value::Null => wrong.add("text", "is missing"),
            Value::String(text) if text.is_empty() => wrong.add("text", "must be filled"),
            Value::String(_) => {}
            _ => wrong.add("text", "must be a string"),
        }
        match &self.body["entity_types"] {
            Value::Null => wrong.add("entity_types", "is missing"),
            Value::Object(_) => {}
            _ => wrong.add("entity_types", "must be a hash"),
        }
        let page = self.page([NAMES, NAMES], &mut wrong);
        wrong.check()?;
        let mut types = Map::new();
        for (name, filters) in self.map("entity_types")? {
            let kind = self.kind(name)?;
            let filters = self.filters("text_search", kind, filters)?;
            types.insert(kind.to_owned(), filters);
        }
        let payload = json!({
            "text": self.body["text"], "entity_types": types,
            "max_results": page.size.saturating_mul(page.number),
        });
        let found = self.call("query_display_name_cache", &payload)?;
        let shape = self.shape();
        let matches = found["matches"].as_array().into_iter().flatten();
        let data = page.of(matches).map(|one| {
            let kind = one["type"].as_str().unwrap_or_default();
            json!({
                "id": one["id"], "type": kind, "links": {"self": shape.address(kind, &one["id"])},
                "attributes": {"name": one["name"], "links": one["links"], "status": one["status"]},
            })
        });
        let data: Value = data.collect();
        Ok(Done::Json(200, json!({"data": data})))
    }
}
