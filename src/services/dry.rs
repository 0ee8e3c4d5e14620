//! Answers for writes that are not sent: what the site would have said, with new ids below zero.
//!
//! In: a method, its payload, a source of ids. Out: an answer of the right shape. Pure but for the counter.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    arguments::read,
    sugar::json::{Members, text},
};

/// Ids for rows that do not exist, -1 and below.
#[derive(Debug, Default)]
pub(super) struct NegativeIds(AtomicI64);

impl NegativeIds {
    pub(super) fn next(&self) -> i64 {
        self.0.fetch_sub(1, Ordering::Relaxed) - 1
    }
}

#[derive(Deserialize)]
struct Write<'a> {
    #[serde(default)]
    request_type: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    fields: Vec<Field<'a>>,
    #[serde(borrow, default)]
    return_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Field<'a> {
    field_name: String,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

/// What the site would have answered; the reason when the payload is none that it would take.
pub(super) fn answer(
    method: &str,
    payload: Option<&RawValue>,
    ids: &NegativeIds,
) -> Result<Box<RawValue>, String> {
    let payload = payload.map_or("null", RawValue::get);
    let answer = match method {
        "create" | "update" | "delete" | "revive" => one(method, &read(payload)?, ids),
        "batch" => {
            let parts: Vec<Write<'_>> = read(payload)?;
            let answers = parts.iter().map(|part| {
                let verb = part.request_type.as_deref().unwrap_or_default();
                one(verb, part, ids)
            });
            format!("[{}]", answers.collect::<Vec<_>>().join(","))
        }
        "follow" => echo(payload, "{\"followed\":true")?,
        "unfollow" => echo(payload, "{\"unfollowed\":true")?,
        "work_schedule_update" => payload.to_owned(),
        "user_subscriptions_create" => "{\"status\":\"success\"}".to_owned(),
        "schema_field_create" => "\"sg_dry_run\"".to_owned(),
        "schema_field_update"
        | "schema_field_delete"
        | "update_project_last_accessed_by_current_user" => "true".to_owned(),
        _ => "null".to_owned(),
    };
    RawValue::from_string(answer).map_err(|error| error.to_string())
}

fn one(verb: &str, write: &Write<'_>, ids: &NegativeIds) -> String {
    let id = match (verb, write.id) {
        ("create", _) => ids.next().to_string(),
        ("update", Some(id)) => id.get().to_owned(),
        _ => return "true".to_owned(),
    };
    let mut record = format!("{{\"type\":{},\"id\":{id}", text(&write.kind));
    for field in &write.fields {
        let value = field.value.unwrap_or(RawValue::NULL);
        record.push_str(&format!(",{}:{}", text(&field.field_name), value.get()));
    }
    // What was asked for besides is not known, but its name must be there.
    let asked = write
        .return_fields
        .and_then(|raw| read::<Vec<String>>(raw.get()).ok());
    for name in asked.unwrap_or_default() {
        let is_written = write.fields.iter().any(|field| field.field_name == name);
        if !is_written && !matches!(&*name, "id" | "type") {
            record.push_str(&format!(",{}:null", text(&name)));
        }
    }
    record.push('}');
    record
}

/// The members of the payload behind what the site adds.
fn echo(payload: &str, head: &str) -> Result<String, String> {
    let members: Members<'_> = read(payload)?;
    let mut answer = head.to_owned();
    for (name, value) in members.iter() {
        answer.push_str(&format!(",{}:{}", text(name), value.get()));
    }
    answer.push('}');
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_gets_an_answer_of_its_shape() {
        let ids = NegativeIds::default();
        let create = r#"{"request_type":"create","type":"Note","fields":[{"field_name":"subject","value":"Hi"}]}"#;
        let asked = r#"{"type":"Note","fields":[{"field_name":"code","value":1}],"return_fields":["id","code","sg_x"]}"#;
        let update = r#"{"request_type":"update","type":"Shot","id":7,"fields":[{"field_name":"code","value":null}]}"#;
        let delete = r#"{"request_type":"delete","type":"Shot","id":7}"#;
        let batch = format!("[{create},{update},{delete}]");
        let link = r#"{"user":{"id":1},"entity":{"id":2}}"#;
        for (method, payload, expected) in [
            (
                "create",
                create,
                r#"{"type":"Note","id":-1,"subject":"Hi"}"#,
            ),
            ("update", update, r#"{"type":"Shot","id":7,"code":null}"#),
            ("delete", delete, "true"),
            (
                "batch",
                &batch,
                r#"[{"type":"Note","id":-2,"subject":"Hi"},{"type":"Shot","id":7,"code":null},true]"#,
            ),
            (
                "create",
                asked,
                r#"{"type":"Note","id":-3,"code":1,"sg_x":null}"#,
            ),
            (
                "follow",
                link,
                r#"{"followed":true,"user":{"id":1},"entity":{"id":2}}"#,
            ),
            ("frobnicate", "{}", "null"),
        ] {
            let payload = RawValue::from_string(payload.to_owned()).unwrap();
            assert_eq!(
                answer(method, Some(&payload), &ids).unwrap().get(),
                expected,
                "{method}"
            );
        }
        assert!(answer("create", None, &ids).is_err());
    }
}
