//! The published params of each call are those that are read here: no member more, none less, and the required ones.

use std::collections::BTreeSet;

use serde_json::{Value, json, value::RawValue};
use sgeventd_protocol::calls::{CALLS, Touches};

use super::plan;

/// The source of what reads params: whatever looks like a member in it is tried.
const SOURCES: [&str; 5] = [
    include_str!("mod.rs"),
    include_str!("find.rs"),
    include_str!("write.rs"),
    include_str!("schema.rs"),
    include_str!("files.rs"),
];

/// Params that are enough for a call.
pub(in crate::services) fn enough(method: &str) -> Value {
    let shot = json!({ "type": "Shot", "id": 5 });
    let row = json!({ "entity_type": "Shot", "entity_id": 5 });
    let with = |mut params: Value, name: &str, value: Value| {
        params[name] = value;
        params
    };
    let found = json!({ "entity_type": "Shot", "filters": [] });
    match method {
        "sg.find" | "sg.find_one" => found,
        "sg.summarize" => with(found, "summary_fields", json!([])),
        "sg.create" => json!({ "entity_type": "Shot", "data": { "code": "a" } }),
        "sg.update" => with(row, "data", json!({ "code": "a" })),
        "sg.batch" => json!({ "requests": [
            { "request_type": "delete", "entity_type": "Shot", "entity_id": 5 }] }),
        "sg.schema_field_read" => json!({ "entity_type": "Shot" }),
        "sg.text_search" => json!({ "text": "a", "entity_types": { "Shot": [] } }),
        "sg.upload" | "sg.upload_thumbnail" | "sg.upload_filmstrip_thumbnail" => {
            with(row, "path", "a.png".into())
        }
        "sg.share_thumbnail" => json!({ "entities": [shot], "source_entity": shot }),
        "sg.download" => json!({ "attachment": 7, "file_path": "a.png" }),
        "sg.rpc" => json!({ "method": "read" }),
        "state.get" | "state.delete" => json!({ "key": "a" }),
        "state.set" => json!({ "key": "a", "value": 1 }),
        "sg.delete" | "sg.revive" => row,
        _ => json!({}),
    }
}

/// The row of a method in the published table.
pub(in crate::services) fn row(method: &str) -> Value {
    let meta = include_str!("../../../protocol/v1/meta.json");
    let meta: Value = serde_json::from_str(meta).unwrap();
    let mut rows = meta["methods"].as_array().unwrap().iter();
    let row = rows.find(|row| row["method"] == method);
    row.unwrap_or_else(|| panic!("{method} is not published"))
        .clone()
}

/// The published members of a call's params, and which of them are required.
fn published(method: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let schema = include_str!("../../../protocol/v1/schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let params = row(method)["params"]["$ref"].as_str().unwrap().to_owned();
    let params = schema.pointer(params.trim_start_matches('#')).unwrap();
    let members = params["properties"].as_object().unwrap();
    let members = members.keys().filter(|name| *name != "_meta");
    let required = params["required"].as_array().into_iter().flatten();
    let required = required.map(|name| name.as_str().unwrap().to_owned());
    (members.cloned().collect(), required.collect())
}

/// Every word that stands where a member of a struct does.
fn candidates() -> BTreeSet<String> {
    let lines = SOURCES.iter().flat_map(|source| source.lines());
    let words = lines.filter_map(|line| {
        let (head, _) = line.trim().split_once(": ")?;
        let word = head.rsplit(' ').next()?.trim_start_matches("r#");
        let is_word = word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (is_word && !word.is_empty()).then(|| word.to_owned())
    });
    words.collect()
}

fn planned(method: &str, params: &Value) -> String {
    let raw = RawValue::from_string(params.to_string()).unwrap();
    format!("{:?}", plan(method, &raw))
}

#[test]
fn what_is_published_is_what_is_read() {
    let values = [
        json!(true),
        json!(false),
        json!(7),
        json!("any"),
        json!(["x"]),
        json!([{ "field_name": "x", "direction": "desc" }]),
        json!({ "type": "Task", "id": 2 }),
        json!({ "code": "add" }),
        json!(8),
        json!([]),
        json!([{ "type": "Task", "id": 3 }]),
        json!({ "Shot": [["id", "is", 1]] }),
    ];
    for (method, _) in CALLS
        .iter()
        .filter(|(_, touches)| *touches != Touches::State)
    {
        let (members, required) = published(method);
        let enough = enough(method);
        let as_it_is = planned(method, &enough);
        assert!(as_it_is.starts_with("Ok"), "{method}: {as_it_is}");
        let counts = |name: &String| {
            values.iter().any(|value| {
                let mut params = enough.clone();
                params[name] = value.clone();
                let planned = planned(method, &params);
                // A wrong kind is refused of a member that is ignored, too.
                let is_named = planned.contains(&format!("`{name}`"));
                let is_kind = planned.contains("; allowed: ");
                let is_read = planned.starts_with("Ok") || is_named && !is_kind;
                is_read && planned != as_it_is
            })
        };
        let tried = candidates()
            .union(&members)
            .cloned()
            .collect::<BTreeSet<_>>();
        let read: BTreeSet<String> = tried.into_iter().filter(counts).collect();
        assert_eq!(members, read, "{method}: published, read");
        for name in &required {
            let mut params = enough.clone();
            params.as_object_mut().unwrap().remove(name);
            let without = planned(method, &params);
            assert!(
                without.starts_with("Err"),
                "{method} without {name}: {without}"
            );
        }
    }
}
