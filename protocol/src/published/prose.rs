//! The prose beside the schema says the same: every name, what must be there, and lines that are lines.

use std::fs;

use serde_json::Value;

use super::{
    methods::all,
    tests::{folder, generated, schema, validator},
};

fn prose() -> String {
    fs::read_to_string(folder().join("PROTOCOL.md")).expect("the prose")
}

#[test]
fn the_prose_names_every_method_code_and_member() {
    let prose = prose();
    for method in all() {
        assert!(
            prose.contains(&format!("`{}`", method.name)),
            "{}",
            method.name
        );
    }
    for (code, _) in crate::ErrorCode::ALL {
        assert!(prose.contains(&(*code as i64).to_string()), "{code:?}");
    }
    let schema = schema();
    for definition in [
        "Manifest",
        "Delivery",
        "Initialize",
        "Start",
        "Limits",
        "Granted",
    ] {
        let members = schema["$defs"][definition]["properties"].as_object();
        for name in members.unwrap_or_else(|| panic!("{definition}")).keys() {
            assert!(prose.contains(&format!("`{name}`")), "{definition}.{name}");
        }
    }
}

#[test]
fn the_prose_names_what_each_code_has_as_data() {
    let (prose, schema, meta) = (prose(), schema(), generated("meta.json"));
    for error in meta["errors"].as_array().expect("errors") {
        let start = format!("| {} |", error["code"]);
        let line = prose.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{start}"));
        let cell = line.split(" | ").last().expect("a cell");
        let reference = error["data"]["$ref"].as_str();
        let members = reference.and_then(|to| schema.pointer(to.trim_start_matches('#')));
        let members = members.and_then(|data| data["properties"].as_object());
        for name in members.into_iter().flatten().map(|(name, _)| name) {
            assert!(cell.contains(&format!("`{name}`")), "{line}: {name}");
        }
        assert_eq!(members.is_some(), cell.contains('`'), "{line}");
    }
}

#[test]
fn the_prose_shows_the_members_of_what_is_nested_in_params() {
    let (prose, schema) = (prose(), schema());
    let mut words: Vec<&str> = Vec::new();
    let request = &schema["$defs"]["BatchRequest"]["oneOf"];
    for kind in request.as_array().expect("kinds") {
        let members = kind["properties"].as_object().expect("members");
        words.extend(members.keys().map(|name| &**name));
    }
    for (definition, member) in [("SummaryField", "type"), ("Grouping", "type")] {
        let shown = &schema["$defs"][definition]["properties"][member]["examples"];
        words.extend(
            shown
                .as_array()
                .expect("examples")
                .iter()
                .flat_map(Value::as_str),
        );
    }
    for definition in [
        "SummaryField",
        "Grouping",
        "Summaries",
        "SummaryGroup",
        "FilterGroup",
    ] {
        let members = schema["$defs"][definition]["properties"].as_object();
        words.extend(members.expect(definition).keys().map(|name| &**name));
    }
    for mode in schema["$defs"]["UpdateMode"]["oneOf"]
        .as_array()
        .expect("modes")
    {
        words.extend(mode["const"].as_str());
    }
    for word in words {
        let is_shown = ["`", "\""]
            .iter()
            .any(|quote| prose.contains(&format!("{quote}{word}{quote}")));
        assert!(is_shown, "{word}");
    }
}

#[test]
fn the_lines_of_the_prose_are_lines_of_their_sides() {
    let (daemon, plugin) = (validator("FromDaemon"), validator("FromPlugin"));
    let prose = prose();
    let mut count = 0;
    for line in prose.lines() {
        let (valid, text) = match (line.strip_prefix("→ {"), line.strip_prefix("← {")) {
            (Some(text), _) => (&daemon, text),
            (_, Some(text)) => (&plugin, text),
            _ => continue,
        };
        let message: Value = serde_json::from_str(&format!("{{{text}")).expect(line);
        let wrong = valid.validate(&message).map_err(|error| error.to_string());
        assert_eq!(wrong, Ok(()), "{line}");
        count += 1;
    }
    assert!(count >= 10, "a whole life has more than {count} lines");
}

#[test]
fn what_must_be_there_is_in_bold() {
    let (meta, schema) = (generated("meta.json"), schema());
    let prose = prose();
    for row in meta["methods"].as_array().expect("rows") {
        let (method, params) = (
            row["method"].as_str().expect("a name"),
            &row["params"]["$ref"],
        );
        if row["side"] != "plugin" || method.starts_with('$') {
            continue;
        }
        let start = format!("| `{method}`");
        let Some(line) = prose.lines().find(|line| line.starts_with(&start)) else {
            continue;
        };
        let params = params
            .as_str()
            .expect("params of their own")
            .trim_start_matches('#');
        let params = schema.pointer(params).expect("a definition");
        let required = params["required"].as_array().into_iter().flatten();
        let required: Vec<&str> = required.filter_map(Value::as_str).collect();
        let members = line.split('|').nth(2).expect("a cell");
        for name in params["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            let is_bold = members.contains(&format!("**`{name}`**"));
            assert_eq!(
                is_bold,
                required.contains(&name.as_str()),
                "{method}: {name}"
            );
        }
    }
}
