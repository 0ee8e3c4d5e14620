//! `sgeventd check`: each fault of a plugin is found by its own rule and by no other; good plugins pass unedited.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn check(plugin: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgeventd"));
    command.arg("check").arg(plugin).args(more);
    command.output().expect("our own binary")
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A folder with a plugin of this command; the plugin's name is `plugin`.
fn folder(command: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let plugin = dir.path().join("plugin");
    fs::create_dir(&plugin).expect("a folder");
    let text = format!("command = {command:?}\n");
    fs::write(plugin.join("plugin.toml"), text).expect("a file");
    (dir, plugin)
}

fn with_fault(fault: &str) -> (tempfile::TempDir, PathBuf) {
    let program = root().join("tests/zoo/check/bad.py");
    folder(&["python3", "-IS", &program.display().to_string(), fault])
}

/// Rules that were broken, each with the scenario that found it.
fn faults(report: &Value) -> Vec<(&str, &str)> {
    let scenarios = report["scenarios"].as_array().expect("scenarios");
    let mut found = Vec::new();
    for scenario in scenarios {
        for finding in scenario["findings"].as_array().expect("findings") {
            let part = |value: &'static str| finding[value].as_str().unwrap_or_default();
            for key in ["what", "expected", "mend", "section"] {
                assert!(!part(key).is_empty(), "{key} in {finding}");
            }
            if part("weight") == "fault" {
                found.push((part("rule"), scenario["name"].as_str().unwrap_or_default()));
            }
        }
    }
    found
}

fn is_found_by(fault: &str, rule: &str, scenario: &str) {
    let (_dir, plugin) = with_fault(fault);
    // Its 17 MiB with each event take their time; whoever says nothing is not waited for so long.
    let timeout = match fault {
        "writes_a_long_line" => "20s",
        _ => "3s",
    };
    let output = check(&plugin, &["--json", "--timeout", timeout]);
    let report = json(&output);
    let found = faults(&report);
    assert!(
        found.iter().all(|(name, _)| *name == rule),
        "{found:?}: {report:#}"
    );
    let is_there = found.iter().any(|(_, name)| *name == scenario);
    assert!(is_there, "{found:?}: {report:#}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["ok"], false);
}

/// A test for each fault: the rule, and the scenario that finds it.
macro_rules! faults {
    ($($fault:ident: $rule:literal in $scenario:literal;)+) => {
        $(#[test] fn $fault() { is_found_by(stringify!($fault), $rule, $scenario); })+

        #[test]
        fn every_rule_has_a_plugin_that_breaks_it() {
            let broken = [$($rule,)+ "starts", "handled", "unknown-request"];
            for rule in sgeventd::check::RULES {
                assert!(broken.contains(&rule.name), "{}", rule.name);
            }
        }
    };
}

faults! {
    no_handshake: "handshake" in "handshake";
    dies_at_once: "handshake" in "handshake";
    imports_what_is_not_there: "handshake" in "handshake";
    disables_itself: "start-disabled" in "handshake";
    leaves: "stays" in "handshake";
    wrong_version: "version" in "handshake";
    claims_any_version: "version" in "version";
    wrong_manifest: "manifest" in "handshake";
    writes_before_start: "before-start" in "before-start";
    prints: "stdout" in "stdout";
    echoes: "echo" in "stdout";
    no_jsonrpc: "json-rpc" in "messages";
    an_error_that_is_none: "json-rpc" in "messages";
    never_ends_a_line: "newline" in "handshake";
    leaves_out_the_newline: "newline" in "messages";
    writes_a_long_line: "long-line" in "messages";
    answers_twice: "answer-once" in "answers";
    answers_under_another_id: "answer-asked" in "answers";
    answers_ahead: "answer-asked" in "answers";
    drops_an_event: "answer-events" in "events";
    says_nothing_known: "event-answer" in "events";
    dies_at_an_unknown_method: "ignore-unknown" in "unknown";
    dies_at_a_large_event: "large-event" in "large";
    splits_at_u2028: "u2028" in "separators";
    dies_at_a_cancel: "cancel" in "cancel";
    ignores_the_end_of_input: "exit-on-eof" in "eof";
    ignores_shutdown: "shutdown" in "shutdown";
    ends_with_7: "shutdown" in "shutdown";
    calls_without_reading: "keep-reading" in "events";
    never_reads_its_answer: "call-in-handler" in "events";
    takes_any_line_for_its_answer: "call-in-handler" in "late-calls";
    dies_when_a_call_fails: "call-fails" in "site-away";
    ends_early: "ends-early" in "late-calls";
    loses_one_of_several: "window" in "window";
    calls_what_is_not_there: "known-method" in "calls";
    sends_an_unknown_notification: "known-method" in "calls";
    calls_with_wrong_params: "call-params" in "calls";
    calls_what_it_did_not_declare: "declared" in "calls";
    calls_in_the_background: "declared" in "calls";
    names_a_foreign_parent: "parent" in "calls";
}

/// The findings of a rule, whatever their weight.
fn findings<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    let scenarios = report["scenarios"].as_array().expect("scenarios");
    let all = scenarios
        .iter()
        .flat_map(|one| one["findings"].as_array().expect("findings"));
    all.filter(|one| one["rule"] == rule).collect()
}

#[test]
fn what_python_says_of_an_import_is_told_with_what_to_do() {
    let (_dir, plugin) = with_fault("imports_what_is_not_there");
    let report = json(&check(&plugin, &["--json", "--only", "handshake"]));
    let [found] = findings(&report, "handshake")[..] else {
        panic!("{report:#}");
    };
    let error = "ModuleNotFoundError: No module named 'shotgun_api4'";
    let what = found["what"].as_str().expect("words");
    assert!(
        what.ends_with(&format!("after `initialize`: {error}")),
        "{what}"
    );
    let log = found["log"].as_array().expect("lines");
    assert_eq!(
        log.first().expect("a line"),
        "Traceback (most recent call last):"
    );
    assert_eq!(log.last().expect("a line"), error);
    let mend = found["mend"].as_str().expect("words");
    assert!(mend.starts_with("install the module"), "{mend}");
}

#[test]
fn a_rust_plugin_that_is_not_built_is_told_how_to_build_it() {
    let (_dir, plugin) = folder(&["./target/release/plugin"]);
    fs::write(plugin.join("Cargo.toml"), "").expect("a file");
    let report = json(&check(&plugin, &["--json"]));
    assert_eq!(faults(&report), [("starts", "handshake")], "{report:#}");
    let what = findings(&report, "starts")[0]["what"].to_string();
    assert!(what.contains("is not built: cd "), "{what}");
    assert!(what.contains("&& cargo build --release"), "{what}");
}

#[test]
fn how_many_of_several_events_are_lost_is_told() {
    let (_dir, plugin) = with_fault("loses_one_of_several");
    let report = json(&check(
        &plugin,
        &["--json", "--only", "window", "--timeout", "3s"],
    ));
    let what = findings(&report, "window")[0]["what"].to_string();
    let start = "3 of 4 events that were open at once have no answer within 3 s";
    assert!(what.contains(start), "{what}");
}

#[test]
fn a_plugin_that_handles_nothing_passes_with_a_note() {
    let (_dir, plugin) = with_fault("handles_nothing");
    let report = passes(&plugin);
    let [found] = findings(&report, "handled")[..] else {
        panic!("{report:#}");
    };
    assert_eq!(found["weight"], "note");
    let what = found["what"].as_str().expect("words");
    assert!(
        what.starts_with("none of 8 events was handled: 8 dead"),
        "{what}"
    );
    let (_dir, plugin) = with_fault("good");
    assert!(findings(&passes(&plugin), "handled").is_empty());
}

/// The loop that answers every id with a result, whatever was asked.
const LOOP: &str = r#"#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    msg, result = json.loads(line), {}
    if msg["method"] == "initialize":
        result = {"protocol": 1, "manifest": {"subscriptions": [{"events": {"Shotgun_Task_Change": ["sg_status_list"]}}]}}
    elif msg["method"] == "event":
        print("changed:", msg["params"]["event"]["entity"], file=sys.stderr)
    if "id" in msg:
        print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], "result": result}), flush=True)
"#;

#[test]
fn a_loop_that_answers_all_passes_with_a_note() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("loop.py");
    fs::write(&file, LOOP).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
    let (_dir, twin) = with_fault("answers_any_request");
    for plugin in [&file, &twin] {
        let report = passes(plugin);
        let [found] = findings(&report, "unknown-request")[..] else {
            panic!("{report:#}");
        };
        assert_eq!(found["weight"], "note");
        assert_eq!(outcome(&report, "unknown-request"), "passed");
    }
}

#[test]
fn a_folder_without_a_manifest_is_named_and_told_what_to_write() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("bare");
    fs::create_dir(&folder).expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgeventd"));
    command.args(["check", ".", "--json"]).current_dir(&folder);
    let report = json(&command.output().expect("our own binary"));
    assert_eq!(report["plugin"], "bare", "{report:#}");
    let mend = findings(&report, "starts")[0]["mend"]
        .as_str()
        .expect("words");
    assert!(mend.starts_with("put a plugin.toml"), "{mend}");
}

#[test]
fn the_list_is_json_for_programs() {
    let output = check(Path::new("--list"), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let list = json(&output);
    let names: Vec<_> = list.as_array().expect("a list").iter().collect();
    assert_eq!(names.len(), sgeventd::check::SCENARIOS.len());
    assert!(names.iter().all(|one| one["title"].is_string()));
    assert_eq!(names[0]["name"], "handshake");
}

#[test]
fn what_the_daemon_would_not_start_is_told_with_its_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text, mode, part) in [
        ("mode.py", "#!/usr/bin/env python3\n", 0o644, "chmod +x"),
        ("text.py", "x = 1\n", 0o755, "first line"),
        ("lost.py", "#!/no/such/python\n", 0o755, "/no/such/python"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let output = check(&path, &["--json"]);
        let report = json(&output);
        assert_eq!(faults(&report), [("starts", "handshake")], "{report:#}");
        assert!(report.to_string().contains(part), "{report:#}");
        assert_eq!(output.status.code(), Some(1));
    }
}

fn passes(plugin: &Path) -> Value {
    let output = check(plugin, &["--json", "--timeout", "30s"]);
    let report = json(&output);
    assert_eq!(faults(&report), [], "{report:#}");
    assert_eq!(
        (output.status.code(), &report["ok"]),
        (Some(0), &true.into())
    );
    report
}

fn outcome<'a>(report: &'a Value, scenario: &str) -> &'a str {
    let mut all = report["scenarios"].as_array().expect("scenarios").iter();
    let one = all.find(|one| one["name"] == scenario);
    one.and_then(|one| one["outcome"].as_str())
        .expect("an outcome")
}

#[test]
fn the_good_twin_of_the_bad_ones_passes() {
    let (_dir, plugin) = with_fault("good");
    let report = passes(&plugin);
    assert_eq!(outcome(&report, "late-calls"), "passed");
    assert_eq!(outcome(&report, "window"), "not_applicable");
}

#[test]
fn every_example_passes_unedited() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("examples"))
        .expect("a folder")
        .flatten()
    {
        let folder: PathBuf = entry.path();
        // One that is compiled is checked where it is built: `examples.rs`.
        let text = fs::read_to_string(folder.join("plugin.toml")).unwrap_or_default();
        if text.contains("./") && !text.contains("target/") {
            passes(&folder);
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn a_plugin_made_with_the_rust_sdk_passes() {
    let (_dir, plugin) = folder(&[env!("CARGO_BIN_EXE_sgeventd"), "__demo-plugin"]);
    let report = passes(&plugin);
    assert_eq!(outcome(&report, "late-calls"), "passed");
}

/// Several events at once, with calls and state in each.
const MANY: &str = r#"#!/usr/bin/env python3
from sgeventd import Plugin
plugin = Plugin("many", version="3", max_in_flight=4, order="entity")

@plugin.on("Shotgun_Shot_Change", attributes=["sg_status_list"], where=[["user", "is_not", "self"]])
def handle(event, sg):
    shot = sg.find_one("Shot", [["id", "is", event.entity["id"]]], ["code"])
    assert shot, event.entity
    plugin.state.set(str(shot["id"]), shot["code"])
    plugin.log.info("seen %s", shot["code"])

plugin.run()
"#;

#[test]
fn a_plugin_made_with_the_python_sdk_passes_with_several_events_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("many.py");
    fs::write(&file, MANY).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
    let report = passes(&file);
    assert_eq!(outcome(&report, "window"), "passed");
    assert_eq!(
        report["events"],
        serde_json::json!(["Shotgun_Shot_Change(sg_status_list)"])
    );
    assert_eq!(report["version"], "3");
}

#[test]
fn the_document_is_as_its_schema_says() {
    let schema = fs::read_to_string(root().join("docs/check.schema.json")).expect("a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let (_dir, plugin) = with_fault("prints");
    let report = json(&check(&plugin, &["--json", "--only", "stdout"]));
    let keys = |value: &Value| {
        let map = value.as_object().expect("an object");
        map.keys().cloned().collect::<BTreeSet<String>>()
    };
    let required = |of: &Value| {
        let list = of["required"].as_array().expect("a list").iter();
        list.map(|key| key.as_str().expect("a text").to_owned())
            .collect::<BTreeSet<String>>()
    };
    let mut all = report["scenarios"].as_array().expect("scenarios").iter();
    let scenario = all.find(|one| one["name"] == "stdout").expect("it");
    let finding = &scenario["findings"][0];
    for (found, wanted) in [
        (&report, &schema),
        (scenario, &schema["$defs"]["scenario"]),
        (finding, &schema["$defs"]["finding"]),
    ] {
        assert_eq!(keys(found), required(wanted), "{found:#}");
        assert_eq!(keys(found), keys(&wanted["properties"]));
    }
    assert_eq!(finding["rule"], "stdout");
    assert_eq!(outcome(&report, "stdout"), "failed");
}

#[test]
fn every_scenario_is_in_the_docs() {
    let docs = fs::read_to_string(root().join("docs/check.md")).expect("docs");
    for scenario in &sgeventd::check::SCENARIOS {
        let name = format!("`{}`", scenario.name);
        assert!(docs.contains(&name), "{name}");
    }
}

#[test]
fn the_report_is_plain_in_a_pipe_and_fits_80_columns() {
    let (_dir, plugin) = with_fault("dies_at_a_large_event");
    let output = check(&plugin, &["--only", "large"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    for part in [
        "ok   handshake",
        "FAIL large",
        "fault       large-event: it ended by itself, exit 5",
        "expected",
        "to mend",
        "PROTOCOL.md 1, the wire",
        "bad: 2 passed, 1 failed",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let place = plugin.display().to_string();
    for line in said.lines().filter(|line| !line.contains(&place)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(
        !said.contains('\u{1b}'),
        "colours are for terminals: {said:?}"
    );
}

#[test]
fn what_is_typed_wrong_is_usage() {
    let (dir, plugin) = with_fault("good");
    let rows = dir.path().join("rows.json");
    fs::write(&rows, "[{\"id\": \"seven\"}]").expect("a file");
    let rows = rows.display().to_string();
    for (plugin, more, part) in [
        (Path::new("/no/such/plugin.py"), &[][..], "is not there"),
        (&plugin, &["--only", "larg"], "did you mean large"),
        (&plugin, &["--config-json", "[1]"], "allowed: a JSON object"),
        (
            &plugin,
            &["--config-json", "@/no/such/file"],
            "cannot be read",
        ),
        (&plugin, &["--event", &rows], "integer `id`"),
        (
            &plugin,
            &["--event", "/nope"],
            "/nope cannot be read: it is not there",
        ),
        (&plugin, &["--timeout", "0s"], "allowed: a duration above 0"),
    ] {
        let output = check(plugin, more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// Logs what it is configured with and which events it gets.
const TELLS: &str = r#"#!/usr/bin/env python3
import json, os, sys
want = None
for line in sys.stdin.buffer:
    msg, result = json.loads(line), {}
    if msg["method"] == "initialize":
        result = {"protocol": 1, "manifest": {"subscriptions": [{"events": {"Studio_Odd_Thing": None}}]}}
    elif msg["method"] == "start":
        if msg["params"]["config"].get("colour") != "red" or os.environ.get("STUDIO") != "yes":
            result = {"disable": "no colour"}
    elif msg["method"] == "event" and msg["params"]["event"]["id"] != 77:
        result = {"status": "which one?"}
    answer = {"result": result}
    if msg["method"] == "a_later_request":
        answer = {"error": {"code": -32601, "message": "unknown method"}}
    if "id" in msg:
        print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], **answer}), flush=True)
"#;

#[test]
fn config_environment_and_events_can_be_given() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("tells.py");
    fs::write(&file, TELLS).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
    let plain = check(&file, &["--json"]);
    assert_eq!(faults(&json(&plain)), [("start-disabled", "handshake")]);

    let config = dir.path().join("sgeventd.toml");
    let text = "[site]\nurl = \"https://studio.example\"\nscript = \"s\"\nkey = { env = \"NO_SUCH_KEY_HERE\" }\n\
                [state]\ndir = \"state\"\n[plugins]\npaths = [\".\"]\n\
                [plugin.tells]\nenv = { STUDIO = \"yes\" }\n";
    fs::write(&config, text).expect("a file");
    let rows = dir.path().join("rows.jsonl");
    let row = r#"{"id": 77, "event_type": "Studio_Odd_Thing"}"#;
    fs::write(&rows, format!("{row}\n{}\n", row.replace("Odd", "Other"))).expect("a file");
    let place = |path: &Path| path.display().to_string();
    let (config, rows) = (place(&config), place(&rows));
    let colour = r#"{"colour": "red"}"#;
    let given = [
        "--json",
        "--config",
        &config,
        "--event",
        &rows,
        "--config-json",
        colour,
    ];
    let report = json(&check(&file, &given));
    assert_eq!(faults(&report), [], "{report:#}");
    assert_eq!(outcome(&report, "events"), "passed");
    assert_eq!(report["unmade"][0]["subscription"], "your event 2");
}
