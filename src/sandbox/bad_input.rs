//! Bad input: whatever is sent to whatever method, the answer is JSON, and the site goes on.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    method::names,
    state::{Scenario, State},
    trouble::Outcome,
};
use crate::{clock::Unix, secret::Secret};

/// 2026-07-15 12:00:00 UTC.
pub(super) const NOW: Unix = Unix(1_784_116_800_000);

/// A site with a show and one script.
pub(super) fn site() -> State {
    let scripts = vec![("tests".into(), Secret::new("key"))];
    State::new(scripts, Scenario::Demo, 7, NOW).unwrap()
}

fn send(site: &mut State, body: &str) -> Value {
    match site.call(body.as_bytes(), NOW) {
        Outcome::Answer(answer) => {
            assert_eq!(answer.status, 200, "{body}");
            serde_json::from_str(&answer.body)
                .unwrap_or_else(|error| panic!("{error}: {}", answer.body))
        }
        other => panic!("{body}: {other:?}"),
    }
}

fn call(site: &mut State, method: &str, payload: &Value) -> Value {
    let auth = json!({"script_name": "tests", "script_key": "key"});
    let body = json!({"method_name": method, "params": [auth, payload]});
    send(site, &body.to_string())
}

/// A word that some method knows somewhere, or none.
fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "type",
        "id",
        "fields",
        "filters",
        "conditions",
        "logical_operator",
        "path",
        "relation",
        "values",
        "return_fields",
        "paging",
        "entities_per_page",
        "current_page",
        "sorts",
        "field_name",
        "direction",
        "return_only",
        "additional_filter_presets",
        "preset_name",
        "latest_by",
        "summaries",
        "field",
        "grouping",
        "value",
        "multi_entity_update_mode",
        "request_type",
        "data_type",
        "properties",
        "property_name",
        "project",
        "user",
        "entity",
        "entity_type",
        "date",
        "working",
        "start_date",
        "end_date",
        "text",
        "entity_types",
        "project_ids",
        "max_results",
        "note_id",
        "entity_fields",
        "root_path",
        "search_criteria",
        "search_string",
        "prefs",
        "page_id",
        "format",
        "project_id",
        "users",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// Words that mean something to the site, and some that do not.
pub(super) fn text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "Shot",
        "Task",
        "EventLogEntry",
        "Note",
        "HumanUser",
        "Project",
        "Page",
        "PlaylistVersionConnection",
        "code",
        "entity",
        "meta",
        "task_assignees",
        "created_at",
        "due_date",
        "sg_status_list",
        "tags",
        "entity.Shot.code",
        "$FROM$Task.entity.content",
        "image",
        "is",
        "is_not",
        "in",
        "between",
        "in_last",
        "name_contains",
        "type_is",
        "in_calendar_week",
        "and",
        "or",
        "all",
        "create",
        "update",
        "delete",
        "asc",
        "desc",
        "retired",
        "LATEST",
        "ENTITIES_CREATED_AT",
        "count",
        "sum",
        "exact",
        "month",
        "status_percentage",
        "text",
        "multi_entity",
        "name",
        "valid_types",
        "visible",
        "2026-07-15",
        "/",
        "/Project/2/Shot",
        "csv",
        "add",
        "DAY",
        "2026-07-15T12:00:00Z",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => ".{0,12}"]
}

/// Any JSON.
pub(super) fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-2_i64..40).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        4 => text().prop_map(Value::from),
    ];
    plain.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => prop::collection::btree_map(word(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Payloads whose outermost parts are right, so that something is reached behind them.
pub(super) fn payload() -> impl Strategy<Value = Value> {
    let likely = (text(), value(), -1_i64..40, value(), value(), value()).prop_map(
        |(kind, filters, id, fields, paging, more)| {
            let conditions = json!([{"path": "id", "relation": "is", "values": [1]}, filters]);
            json!({
                "type": kind, "id": id, "filters": {"logical_operator": "and", "conditions": conditions},
                "return_fields": fields, "fields": [{"field_name": "code", "value": paging}, more],
                "sorts": more, "summaries": [{"field": "id", "type": "count"}, more], "grouping": more,
                "user": {"type": "HumanUser", "id": id}, "entity": {"type": "Shot", "id": id},
                "properties": [{"property_name": "name", "value": "Made Up"}, more], "data_type": "text",
            })
        },
    );
    prop_oneof![value(), likely]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_method_answers_whatever_it_is_sent(payloads in prop::collection::vec(payload(), 4)) {
        let mut site = site();
        for payload in &payloads {
            for method in names().chain(["info", "nonsense", ""]) {
                call(&mut site, method, payload);
            }
            call(&mut site, "batch", &json!([payload, {"request_type": "update", "type": "Task", "id": 1, "fields": [payload]}]));
        }
        // What was there is there.
        let found = call(&mut site, "read", &json!({"type": "Project", "return_fields": ["name"], "filters": null}));
        prop_assert!(found["results"]["entities"].as_array().is_some_and(|rows| !rows.is_empty()), "{found}");
    }

    #[test]
    fn bytes_that_are_no_call_are_answered(bytes: Vec<u8>, text in ".{0,80}") {
        let mut site = site();
        for body in [&bytes[..], text.as_bytes()] {
            let answered = matches!(site.call(body, NOW), Outcome::Answer(answer) if answer.body.contains("exception"));
            prop_assert!(answered);
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_the_words_of_the_reference() {
    let mut site = site();
    let read = |more: Value| {
        let mut payload =
            json!({"type": "Shot", "return_fields": ["id"], "filters": {"conditions": []}});
        for (key, value) in more.as_object().into_iter().flatten() {
            payload[key] = value.clone();
        }
        payload
    };
    let one = |path: &str, relation: &str, value: Value| json!({"filters": {"conditions": [{"path": path, "relation": relation, "values": [value]}]}});
    let set = |field: &str, value: Value| json!({"type": "Shot", "id": 1, "fields": [{"field_name": field, "value": value}]});
    for (method, payload, code, words) in [
        ("nonsense", json!({}), 103, "API nonsense() is not a method"),
        (
            "read",
            json!({"type": "Nonsense"}),
            103,
            "API read() invalid/missing string entity 'type':\n{",
        ),
        (
            "read",
            Value::Null,
            103,
            "API read() invalid/missing string entity 'type'",
        ),
        (
            "read",
            read(json!({"paging": {"current_page": 1}})),
            103,
            "API read() invalid/missing integer 'paging' 'entities_per_page':\n{",
        ),
        (
            "read",
            read(json!({"paging": {"entities_per_page": 5, "current_page": 0}})),
            103,
            "'paging' 'current_page'",
        ),
        (
            "read",
            read(one("nope", "is", json!(1))),
            103,
            "API read() Shot.nope doesn't exist.",
        ),
        (
            "read",
            read(one("code", "is", json!({"a": null}))),
            103,
            "API read() Shot.code expected [String, NilClass] data type(s) but got Hash:\n{\"a\"=>nil}",
        ),
        (
            "read",
            read(one("code", "resembles", json!("a"))),
            103,
            "Valid relations: [\"is\",\"is_not\",\"contains\"",
        ),
        (
            "read",
            read(one("project", "is", json!({"type": "Project"}))),
            103,
            "invalid/missing entity hash",
        ),
        (
            "read",
            read(json!({"additional_filter_presets": [{}]})),
            103,
            "'additional_filter_presets'",
        ),
        (
            "read",
            read(json!({"additional_filter_presets": 3})),
            103,
            "'additional_filter_presets'",
        ),
        (
            "read",
            json!({"type": "EventLogEntry", "filters": one("meta", "is", json!("x"))["filters"]}),
            103,
            "API read() EventLogEntry.meta's 'serializable' data type cannot be used in a filter.",
        ),
        (
            "create",
            json!({"type": "Shot", "fields": []}),
            103,
            "API create() missing 'project' attribute: {}",
        ),
        (
            "create",
            json!({"type": "Shot", "fields": 3}),
            103,
            "array 'fields'",
        ),
        (
            "update",
            set("nope", json!(1)),
            103,
            "API update() Shot.nope doesn't exist.",
        ),
        (
            "update",
            set("code", json!([])),
            103,
            "API update() Shot.code expected [String, NilClass] data type(s) but got Array:\n[]",
        ),
        (
            "update",
            set("sg_cut_in", json!(1_u64 << 40)),
            104,
            "API update() CRUD ERROR #5: Update failed for [Shot.sg_cut_in]: PG::NumericValueOutOfRange",
        ),
        (
            "update",
            set("created_at", json!("2026-01-01")),
            104,
            "not editable",
        ),
        (
            "update",
            json!({"type": "Shot", "id": 999, "fields": []}),
            104,
            "API update() CRUD ERROR #3: Entity of type [Shot] with id=999 does not exist.",
        ),
        (
            "delete",
            json!({"type": "Shot", "id": 999}),
            104,
            "API delete() CRUD ERROR #3: Entity of type [Shot] with id=999 does not exist.",
        ),
        (
            "delete",
            json!({"type": "Shot", "id": "1"}),
            103,
            "invalid/missing integer 'id'",
        ),
        ("batch", json!({}), 103, "API batch() expected [Array]"),
        (
            "batch",
            json!([{"request_type": "vanish", "type": "Shot"}]),
            103,
            "API batch() request with index 0 failed.  All requests rolled back.\nAPI batch() invalid 'request_type' 'vanish'",
        ),
        (
            "summarize",
            json!({"type": "Shot", "summaries": [{"field": "code", "type": "sum"}]}),
            103,
            "invalid summary type 'sum' for data type 'text'",
        ),
        (
            "follow",
            json!({"user": {"type": "Shot", "id": 1}, "entity": {"type": "Shot", "id": 1}}),
            103,
            "HumanUser 'user'",
        ),
        (
            "query_display_name_cache",
            json!({"text": "ab", "entity_types": {"Shot": null}}),
            103,
            "3 characters",
        ),
        (
            "note_thread_contents",
            json!({"note_id": 999}),
            104,
            "Entity of type [Note] with id=999 does not exist",
        ),
        (
            "export_page",
            json!({"format": "csv", "page_id": 999}),
            104,
            "Entity of type [Page]",
        ),
    ] {
        let told = call(&mut site, method, &payload);
        let message = told["message"].as_str().unwrap_or_default();
        assert_eq!(
            (&told["exception"], &told["error_code"]),
            (&json!(true), &json!(code)),
            "{method} {payload}: {told}"
        );
        assert!(message.contains(words), "{method} {payload}: {message}");
    }
    for body in [
        "",
        "{",
        "[]",
        "3",
        "{\"method_name\": 3}",
        "{\"method_name\": \"read\", \"params\": 3}",
        "{\"method_name\": \"read\", \"params\": [{}, {\"type\": NaN}]}",
    ] {
        let told = send(&mut site, body);
        assert_eq!(told["error_code"], 103, "{body}");
    }
}

#[test]
fn a_filter_may_be_nested_as_deep_as_the_site_looks() {
    let mut site = site();
    let mut nested = json!({"path": "id", "relation": "is", "values": [1]});
    for depth in 0..300 {
        nested = json!({"logical_operator": if depth % 2 == 0 { "or" } else { "and" }, "conditions": [nested]});
        if depth == 200 {
            let found = call(
                &mut site,
                "read",
                &json!({"type": "Task", "filters": nested}),
            );
            assert_eq!(
                found["results"]["entities"],
                json!([{"type": "Task", "id": 1}])
            );
        }
    }
    let told = call(
        &mut site,
        "read",
        &json!({"type": "Task", "filters": nested}),
    );
    assert_eq!(told["error_code"], 103, "{told}");
    // More than any reader should follow.
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let told = send(
        &mut site,
        &format!("{{\"method_name\": \"read\", \"params\": {deep}}}"),
    );
    assert!(told["message"].as_str().unwrap().contains("levels deep"));
}
