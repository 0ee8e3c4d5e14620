//! Wires of real plugins in five languages, recorded, are what `protocol/v1` says; every method is on one of them.
//!
//! `make wires` records them anew into `protocol/v1/wires`. The wires of every other test are judged when its daemon ends.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::{
    rust_plugins::section,
    support::{
        Daemon, Site, Studio, need,
        wires::{Contract, Plugins, Seen, judge_all},
    },
};

/// The plugins by name; their wires are kept under it.
const PLUGINS: [&str; 5] = ["python_sdk", "probe", "shell_notes", "node", "perl"];

/// Longer lines of wires are kept in part.
const LINE_MAX: usize = 20_000;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/v1/wires")
}

/// A line per method, and which are on no wire.
#[expect(clippy::print_stdout, reason = "a table for who records")]
fn missing(seen: &Seen) -> Vec<&'static str> {
    let count = |method: &&str| seen.get(*method).copied().unwrap_or_default();
    for method in Contract::methods() {
        println!("{method:32} {:>6}", count(&method));
    }
    let methods = Contract::methods().into_iter();
    methods.filter(|method| count(method) == 0).collect()
}

#[test]
fn the_wires_that_are_kept_are_as_published() {
    let seen = judge_all(&kept(), Plugins::AreRight);
    assert_eq!(
        missing(&seen),
        [""; 0],
        "on no wire; `make wires` records them"
    );
    for plugin in PLUGINS {
        assert!(kept().join(format!("{plugin}.jsonl")).exists(), "{plugin}");
    }
}

/// Of each event on a kept wire its id, its trace, and its span behind the plugin and the attempt that it belongs to.
fn traced(plugin: &str) -> Vec<(i64, String, String)> {
    let text = fs::read_to_string(kept().join(format!("{plugin}.jsonl"))).expect("a wire");
    let lines = text
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).expect("JSON") });
    let events = lines.filter(|line| line["message"]["method"] == "event");
    let one = |line: Value| {
        let params = &line["message"]["params"];
        let (event, delivery) = (&params["event"]["id"], &params["delivery"]);
        let whose = format!(
            "{plugin} {event} {} {}",
            delivery["attempt"], delivery["replay"]
        );
        let trace = params["_meta"]["traceparent"].as_str().expect("a text");
        let (trace, span) = trace[3..].split_at(32);
        let event = event.as_i64().expect("an id");
        (event, trace.to_owned(), format!("{whose}: {span}"))
    };
    events.map(one).collect()
}

#[test]
fn each_event_is_one_trace_and_each_attempt_a_span_of_it() {
    let all: Vec<_> = PLUGINS.into_iter().flat_map(traced).collect();
    let traces: HashMap<i64, &String> = all.iter().map(|(id, trace, _)| (*id, trace)).collect();
    for (id, trace, span) in &all {
        assert_eq!(traces[id], trace, "{span}");
    }
    let different: HashSet<&&String> = traces.values().collect();
    assert_eq!(different.len(), traces.len(), "a trace for each event");
    // A span belongs to one attempt of one plugin: as many spans as there are of these.
    let whose: HashSet<&String> = all.iter().map(|(_, _, span)| span).collect();
    let spans: HashSet<&str> = whose
        .iter()
        .filter_map(|span| span.rsplit(": ").next())
        .collect();
    assert_eq!(spans.len(), whose.len());
    assert!(whose.len() > traces.len(), "some event went to two plugins");
}

#[tokio::test]
async fn wires_of_real_plugins_are_as_published() {
    for program in ["node", "perl"] {
        let found = std::process::Command::new(program)
            .arg("--version")
            .output();
        if found.is_err() {
            return need(program);
        }
    }
    let site = Site::quiet().await;
    let studio = studio(&site);
    let daemon = Daemon::start(&studio).await;
    for name in PLUGINS {
        daemon
            .plugin_when(name, "ready", |plugin| plugin["state"] == "ok")
            .await;
    }
    site.describe("one").await;
    daemon
        .plugin_when("perl", "settled", |plugin| plugin["counts"]["ok"] == 1)
        .await;
    site.describe("slow").await;
    // Artists write Notes as well, which the shell's plugin answers.
    site.work(60);
    let settled = |name: &'static str, counts: Value| {
        let daemon = &daemon;
        async move {
            daemon
                .plugin_when(name, "settled", |plugin| {
                    let counts = counts.as_object().expect("counts").iter();
                    counts
                        .clone()
                        .all(|(kind, count)| plugin["counts"][kind].as_u64() >= count.as_u64())
                })
                .await;
        }
    };
    settled("python_sdk", json!({ "dead": 1, "skipped": 1 })).await;
    settled("node", json!({ "ok": 1, "skipped": 1 })).await;
    settled("perl", json!({ "ok": 1, "dead": 1 })).await;
    settled("shell_notes", json!({ "ok": 1 })).await;
    settled("probe", json!({ "dead": 2 })).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());

    let seen = judge_all(studio.wires(), Plugins::AreRight);
    assert_eq!(missing(&seen), [""; 0], "on no wire\n{}", studio.log());
    if std::env::var_os("SGEVENTD_RECORD").is_some() {
        keep(&studio, &site);
    }
}

fn studio(site: &Site) -> Studio {
    Studio::new(site)
        .file(
            "python_sdk.py",
            include_str!("../wires/python_sdk.py"),
            0o755,
        )
        .plugin("python_sdk", &["python_sdk.py"], "")
        .section(&section("probe", "config = { word = \"hello\" }"))
        .file(
            "shell_notes.sh",
            include_str!("../../examples/shell_notes/shell_notes.sh"),
            0o755,
        )
        .plugin("shell_notes", &["shell_notes.sh"], "")
        .file("node.mjs", include_str!("../wires/node.mjs"), 0o755)
        .plugin("node", &["node.mjs"], "")
        .file("perl.pl", include_str!("../wires/perl.pl"), 0o755)
        .plugin("perl", &["perl.pl"], "")
}

/// Writes each plugin's wire to the tree, without what is of this machine.
fn keep(studio: &Studio, site: &Site) {
    let mut texts = vec![String::new(); PLUGINS.len()];
    let mut files: Vec<PathBuf> = fs::read_dir(studio.wires())
        .expect("wires")
        .flatten()
        .map(|file| file.path())
        .collect();
    files.sort_by_key(|file| {
        let number = file
            .file_stem()
            .and_then(|stem| stem.to_str()?.rsplit('-').next()?.parse().ok());
        number.unwrap_or(u32::MAX)
    });
    let folder = studio.path("");
    let folder = folder.display().to_string();
    for file in files {
        let text = fs::read_to_string(file).expect("a wire");
        let first: Value =
            serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        let name = &first["message"]["params"]["plugin"]["name"];
        let at = PLUGINS
            .iter()
            .position(|plugin| *plugin == *name)
            .expect("a plugin of ours");
        for line in text.lines().filter(|line| line.contains("\"message\":")) {
            let line = line
                .replace(folder.trim_end_matches('/'), "/srv/studio")
                .replace(&site.sandbox.url(), "https://studio.example");
            texts[at].push_str(&short(line));
            texts[at].push('\n');
        }
    }
    fs::create_dir_all(kept()).expect("a folder");
    for (plugin, text) in PLUGINS.iter().zip(texts) {
        fs::write(kept().join(format!("{plugin}.jsonl")), text).expect("a file of ours");
    }
}

/// A line with a whole schema in it keeps two types of that, and two fields of each.
fn short(line: String) -> String {
    if line.len() < LINE_MAX {
        return line;
    }
    let mut line: Value = serde_json::from_str(&line).expect("JSON");
    let result = line["message"]["result"].as_object_mut();
    keep_two(result.expect("what is long is a result"), 2);
    line.to_string()
}

fn keep_two(of: &mut Map<String, Value>, depth: u32) {
    if of.len() > 10 {
        let mut count = 0;
        of.retain(|_, _| {
            count += 1;
            count <= 2
        });
    }
    if depth > 0 {
        of.values_mut()
            .filter_map(Value::as_object_mut)
            .for_each(|inner| keep_two(inner, depth - 1));
    }
}
