//! The committed files are what is generated, every example validates, and the schema says what the reader reads.

use std::{collections::HashMap, fs, path::PathBuf};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    files::all_files,
    methods::{Kind, Method, Side, all},
};
use crate::{
    Answer, Manifest,
    calls::CALLS,
    codec::{Codec, Item, LINE_MAX, Side as Reader},
};

pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("v1")
}

/// A generated file, which is what is committed.
pub(super) fn generated(name: &str) -> Value {
    let files = all_files();
    let (_, text) = files
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a file");
    serde_json::from_str(text).expect("JSON")
}

pub(super) fn schema() -> Value {
    generated("schema.json")
}

/// A validator of one definition.
pub(super) fn validator(name: &str) -> Validator {
    let mut schema = schema();
    let root = schema.as_object_mut().expect("an object");
    root.remove("anyOf");
    root.insert("$ref".into(), format!("#/$defs/{name}").into());
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// A validator of params or result as the table has them.
fn part(reference: &Value) -> Validator {
    let mut schema = schema();
    let root = schema.as_object_mut().expect("an object");
    root.remove("anyOf");
    root.extend(reference.as_object().cloned().unwrap_or_default());
    jsonschema::draft202012::new(&schema).expect("a schema")
}

#[test]
fn what_is_published_is_what_is_generated() {
    let is_writing = std::env::var_os("SGEVENTD_PUBLISH").is_some();
    for (name, text) in all_files() {
        let path = folder().join(name);
        if is_writing {
            fs::write(&path, &text).expect("a file of ours");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found, text,
            "{name} is old: SGEVENTD_PUBLISH=1 cargo test -p sgeventd-protocol published"
        );
    }
}

#[test]
fn every_example_is_a_line_of_its_side_and_its_answers_fit() {
    let sides = [
        ("daemon", validator("FromDaemon")),
        ("plugin", validator("FromPlugin")),
    ];
    let meta = generated("meta.json");
    let rows = meta["methods"].as_array().expect("rows");
    let results: HashMap<&str, Validator> = rows
        .iter()
        .filter(|row| !row["result"].is_null())
        .map(|row| {
            (
                row["method"].as_str().expect("a name"),
                part(&row["result"]),
            )
        })
        .collect();
    let errors = meta["errors"].as_array().expect("errors").iter();
    let failures: HashMap<i64, &Value> = errors
        .map(|error| (error["code"].as_i64().expect("a code"), &error["data"]))
        .collect();
    let mut shown: Vec<String> = Vec::new();
    let files = fs::read_dir(folder().join("examples")).expect("examples");
    for path in files.flatten().map(|file| file.path()) {
        let text = fs::read_to_string(&path).expect("an example");
        let mut open: HashMap<(String, String), String> = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), at + 1);
            let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{place}: {e}"));
            let from = line["from"]
                .as_str()
                .unwrap_or_else(|| panic!("{place}: no `from`"));
            let message = &line["message"];
            let (_, valid) = sides
                .iter()
                .find(|(side, _)| *side == from)
                .expect("a side");
            let errors: Vec<String> = valid.iter_errors(message).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{place}: {errors:?}");
            let id = message["id"].to_string();
            if let Some(method) = message["method"].as_str() {
                shown.push(method.to_owned());
                open.insert((from.to_owned(), id), method.to_owned());
            } else {
                let asked = if from == "daemon" { "plugin" } else { "daemon" };
                let method = open.remove(&(asked.to_owned(), id));
                let method = method.unwrap_or_else(|| panic!("{place} answers nothing"));
                if let Some(data) = message["error"].get("data") {
                    let of_code = failures[&message["error"]["code"].as_i64().expect("a code")];
                    assert!(!of_code.is_null(), "{place}: no data is published");
                    let said = part(of_code).validate(data).map_err(|e| e.to_string());
                    assert_eq!(said, Ok(()), "{place}");
                }
                if let Some(result) = message.get("result") {
                    let said = results[&*method]
                        .validate(result)
                        .map_err(|e| e.to_string());
                    assert_eq!(said, Ok(()), "{place}");
                }
            }
        }
        open.retain(|(_, id), _| id != "null");
        assert!(
            open.is_empty(),
            "{}: never answered: {open:?}",
            path.display()
        );
    }
    for method in all() {
        assert!(
            shown.iter().any(|name| name == method.name),
            "no example shows {}",
            method.name
        );
    }
}

#[test]
fn the_examples_are_read_as_what_they_are() {
    let files = fs::read_dir(folder().join("examples")).expect("examples");
    for path in files.flatten().map(|file| file.path()) {
        for line in fs::read_to_string(&path).expect("an example").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let side = match line["from"].as_str() {
                Some("plugin") => Reader::Daemon,
                _ => Reader::Plugin,
            };
            let mut codec = Codec::new(side, LINE_MAX);
            codec.push(line["message"].to_string().as_bytes());
            codec.push(b"\n");
            let items: Vec<Item> = codec.next_item().into_iter().flatten().collect();
            let is_message = matches!(
                items[..],
                [Item::Request { .. } | Item::Notification { .. } | Item::Response { .. }]
            );
            // A plugin's own ids are of any kind; the daemon's answers carry them back.
            let is_own_id = side == Reader::Plugin && line["message"].get("method").is_none();
            assert!(is_message || is_own_id, "{line}: {items:?}");
        }
    }
}

#[test]
fn the_table_says_who_may_send_what_as_the_codec_has_it() {
    for method in all() {
        let is_daemons = crate::codec::DAEMON_METHODS.contains(&method.name);
        assert_eq!(is_daemons, method.side == Side::Daemon, "{}", method.name);
    }
}

#[test]
fn every_call_that_is_served_is_published_in_its_order() {
    let methods = all();
    let is_call = |method: &&Method| (method.side, method.kind) == (Side::Plugin, Kind::Request);
    let published: Vec<&str> = methods
        .iter()
        .filter(is_call)
        .map(|method| method.name)
        .collect();
    let served: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    assert_eq!(published, served);
}

/// Members as authors write them, right and wrong.
fn manifest() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(json!(null)),
        Just(json!("all")),
        Just(json!("entity")),
        Just(json!(0)),
        Just(json!(1)),
        Just(json!(256)),
        Just(json!(257)),
        Just(json!(1.5)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!(["a"])),
        Just(json!({})),
        Just(json!("retry")),
        Just(json!("never")),
        Just(json!([1])),
        Just(json!([["id", "is", 1]])),
        Just(json!([["id", "like", 1]])),
        Just(json!([["shot.id", "is", 1]])),
        Just(json!([["entity.name", "exists", true]])),
        Just(json!([["id", "is"]])),
        Just(json!({"Shotgun_Shot_Change": ["code"]})),
        Just(json!({"*": null})),
        Just(json!({"Shotgun_Shot_Change": "code"})),
    ];
    let flat = prop::collection::btree_map(
        prop::sample::select(vec![
            "name",
            "version",
            "description",
            "watch",
            "alerts",
            "subscriptions",
        ]),
        value.clone(),
        0..4,
    );
    let inner = |names: Vec<&'static str>| {
        prop::collection::btree_map(prop::sample::select(names), value.clone(), 0..3)
    };
    let delivery = inner(vec![
        "max_in_flight",
        "order",
        "timeout_ms",
        "max_attempts",
        "on_error",
    ]);
    let permissions = inner(vec!["sg", "upload", "background"]);
    let subscription = inner(vec!["id", "events", "where"]);
    (flat, delivery, permissions, subscription).prop_map(
        |(flat, delivery, permissions, subscription)| {
            let mut manifest = json!(flat);
            manifest["delivery"] = json!(delivery);
            manifest["permissions"] = json!(permissions);
            if manifest.get("subscriptions").is_none() {
                manifest["subscriptions"] = json!([subscription]);
            }
            manifest
        },
    )
}

proptest! {
    /// What the schema accepts is read without a mistake, and what it refuses has one.
    #[test]
    fn schema_and_reader_agree_about_manifests(manifest in manifest()) {
        thread_local! { static VALID: Validator = validator("Manifest"); }
        let is_valid = VALID.with(|valid| valid.is_valid(&manifest));
        let read = Manifest::try_from(manifest.clone());
        prop_assert_eq!(is_valid, read.is_ok(), "{} {:?}", manifest, read.err());
    }

    /// An answer whose status the schema refuses is a failure, and no other: for the type of another member nothing is done again.
    #[test]
    fn schema_and_reader_agree_about_answers(
        status in prop_oneof![Just(json!("ok")), Just(json!("skip")), Just(json!("retry")), Just(json!("dead")), Just(json!("fine")), Just(json!(7)), Just(json!(null))],
        has_status: bool,
        after in prop_oneof![Just(json!(5)), Just(json!(0.5)), Just(json!("soon"))],
        has_after: bool,
    ) {
        thread_local! { static VALID: Validator = validator("Answer"); }
        let mut answer = json!({});
        if has_status {
            answer["status"] = status;
        }
        if has_after && answer["status"] == "retry" {
            answer["after_ms"] = after;
        }
        let is_valid = VALID.with(|valid| valid.is_valid(&answer));
        let is_failed = matches!(Answer::from_result(&answer.to_string()), Answer::Failed(_));
        let is_lenient = answer["after_ms"] == "soon";
        prop_assert_eq!(is_valid, !is_failed && !is_lenient, "{}", answer);
    }
}
