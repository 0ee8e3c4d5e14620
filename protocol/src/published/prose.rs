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
