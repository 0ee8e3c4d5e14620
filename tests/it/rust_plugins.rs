//! A plugin made with the Rust SDK, a real child of the real daemon: handlers, calls, state, faults, many at once.
//!
//! The child is this test binary: `acts_as_a_plugin` is a plugin when the daemon starts it, and nothing otherwise.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use sgeventd_plugin::{ErrorKind, Outcome, Plugin};

use crate::support::{Daemon, Site, Studio};

/// What the plugin's own rows are called in the log.
const SAID: &str = "Studio_Rust_Said";

#[derive(Deserialize)]
struct Shot {
    id: i64,
    code: String,
}

#[derive(Deserialize)]
struct Row<'a> {
    event_type: &'a str,
    attribute_name: Option<&'a str>,
}

#[test]
fn acts_as_a_plugin() {
    match std::env::var("SGEVENTD_PLUGIN").as_deref() {
        Ok("probe") => std::process::exit(i32::from(probe().run())),
        Ok("many") => std::process::exit(i32::from(many().run())),
        _ => {}
    }
}

/// Uses everything once, at the first event of a Shot's status; the second attempt finds the first one's work.
#[expect(clippy::print_stdout, reason = "a print must not break the pipe")]
fn probe() -> Plugin {
    Plugin::new("probe")
        .version("7.1")
        .delivery(json!({ "max_attempts": 3 }))
        .on("Shotgun_Shot_Change", &["description"], |event, context| {
            println!("printed by the first handler");
            let row: Row<'_> = event.read_as()?;
            assert_eq!(row.event_type, event.event_type());
            assert_eq!(row.attribute_name, Some("description"));
            let runs: u32 = context.state().get("runs")?.unwrap_or_default();
            context.state().set("runs", &(runs + 1))?;
            context.log_with("warning", "the first handler", json!({ "runs": runs + 1 }));
            Ok(Outcome::Ok)
        })
        .on("Shotgun_Shot_Change", &["description"], |event, context| {
            if event.attempt() == 1 {
                return Ok(Outcome::Retry(Some(Duration::ZERO), "once more".into()));
            }
            let id = event.get("meta")["entity_id"].as_i64().expect("an id");
            let sg = &mut context.sg();
            let shot: Option<Shot> = sg.find_one_as("Shot", json!([["id", "is", id]]), &["code"])?;
            let shot = shot.ok_or("no such Shot")?;
            assert_eq!(shot.id, id);
            let fault = sg.find("Shot", json!([["nope", "is", 1]]), &[]);
            let fault = fault.expect_err("the site has no such field");
            assert_eq!(fault.kind(), ErrorKind::Fault);
            assert_eq!(fault.fault_code(), Some(103));
            let refused = sg.rpc("get_session_token", json!(null));
            assert_eq!(refused.expect_err("a credential").kind(), ErrorKind::Permission);
            let fresh = sg.create(
                "Shot",
                json!({ "code": "made", "project": event.get("project") }),
            )?;
            let fresh = fresh["id"].as_i64().expect("an id");
            assert!(sg.delete("Shot", fresh)?);
            assert!(sg.revive("Shot", fresh)?);
            // The working directory is its own folder.
            std::fs::write("note.txt", "written by a plugin")?;
            let file = sg.upload("Shot", fresh, Path::new("note.txt"), None)?;
            sg.download(&json!(file), Path::new("back.txt"))?;
            assert_eq!(std::fs::read_to_string("back.txt")?, "written by a plugin");
            let thumbnail = sg.upload_thumbnail("Shot", fresh, Path::new("note.txt"))?;
            let source = json!({ "type": "Shot", "id": fresh });
            let shared = sg.share_thumbnail(&[json!({ "type": "Shot", "id": id })], &source)?;
            assert!(thumbnail > file && shared.is_some());
            let filmstrip = sg.upload_filmstrip_thumbnail("Shot", fresh, Path::new("none.png"));
            assert_eq!(filmstrip.expect_err("no file").kind(), ErrorKind::BadCall);
            let batch = [
                json!({ "request_type": "update", "entity_type": "Shot", "entity_id": fresh, "data": { "sg_cut_in": 5 } }),
                json!({ "request_type": "delete", "entity_type": "Shot", "entity_id": fresh }),
            ];
            let done = sg.batch(&batch)?;
            assert_eq!((&done[0]["sg_cut_in"], &done[1]), (&json!(5), &json!(true)));
            let count = json!([{ "field": "id", "type": "count" }]);
            let shots = sg.summarize("Shot", json!([]), count)?["summaries"]["id"].clone();
            let first: Vec<Value> = sg.ask(
                "find",
                json!({ "entity_type": "Shot", "filters": [], "limit": 1, "order": [{ "field_name": "id", "direction": "desc" }] }),
            )?;
            let runs: Option<u32> = context.state().get("runs")?;
            context.state().delete("runs")?;
            let gone: Option<u32> = context.state().get("runs")?;
            context.progress("nearly", 90.0);
            context.extend(Duration::from_secs(60));
            assert!(!context.is_cancelled());
            let said = json!({
                "code": shot.code, "runs": runs, "gone": gone, "rows": first.len(), "counted": shots.is_u64(),
                "config": context.config()["word"],
            });
            context.sg().create(
                "EventLogEntry",
                json!({ "event_type": SAID, "project": event.get("project"), "meta": said }),
            )?;
            Ok(Outcome::Ok)
        })
        .on("Shotgun_Shot_Change", &["description"], |_, _| {
            panic!("the third handler breaks for good")
        })
}

/// Takes many events at once; some of its handlers call the site.
fn many() -> Plugin {
    Plugin::new("many")
        .delivery(json!({ "max_in_flight": 64, "order": "none" }))
        .on_matching(json!({}), |event, context| {
            if event.id() % 7 == 0 {
                context.sg().find_one("Project", json!([]), &["name"])?;
            }
            Ok(Outcome::Ok)
        })
}

/// A studio with one of the plugins of this file.
fn studio(site: &Site, name: &str, keys: &str) -> Studio {
    Studio::new(site).section(&section(name, keys))
}

/// The section of a plugin of this file.
pub(crate) fn section(name: &str, keys: &str) -> String {
    let exe = std::env::current_exe().expect("our own file");
    let command = [
        &*exe.display().to_string(),
        "--exact",
        "rust_plugins::acts_as_a_plugin",
        "--nocapture",
    ];
    let command = serde_json::to_string(&command).expect("JSON");
    format!("[plugin.{name}]\ncommand = {command}\n{keys}\n")
}

#[tokio::test]
async fn a_rust_plugin_uses_the_whole_sdk() {
    let site = Site::quiet().await;
    let studio = studio(&site, "probe", "config = { word = \"hello\" }");
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("probe", "ready", |plugin| plugin["state"] == "ok")
        .await;
    let all = json!({ "type": "Shot", "return_fields": ["code"], "filters": { "conditions": [] } });
    let shot = site.call("read", &all).await["results"]["entities"][0].clone();
    site.call(
        "update",
        &json!({ "type": "Shot", "id": shot["id"], "fields": [{ "field_name": "description", "value": "new" }] }),
    )
    .await;
    let probe = daemon
        .plugin_when("probe", "one dead letter", |plugin| {
            plugin["counts"]["dead"] == 1
        })
        .await;
    assert_eq!(probe["restarts"], 0, "a panic is an answer: {probe}");
    let said = site.call(
        "read",
        &json!({ "type": "EventLogEntry", "return_fields": ["meta"], "filters": { "conditions": [
            { "path": "event_type", "relation": "is", "values": [SAID] }] } }),
    )
    .await;
    let rows = said["results"]["entities"].as_array().expect("rows");
    assert_eq!(rows.len(), 1, "what is done is not done again: {rows:?}");
    assert_eq!(
        rows[0]["meta"],
        json!({ "code": shot["code"], "runs": 1, "gone": null, "rows": 1, "counted": true, "config": "hello" })
    );
    assert_eq!(daemon.stop().await, Some(0));
    let log = studio.log();
    for words in [
        "printed by the first handler",
        "the first handler",
        "the third handler breaks for good",
    ] {
        assert!(log.contains(words), "{words}\n{log}");
    }
}

#[tokio::test]
async fn a_window_above_one_settles_every_event() {
    let site = Site::quiet().await;
    site.work(60);
    let studio = studio(&site, "many", "");
    let daemon = Daemon::start(&studio).await;
    let wanted = site.truth().len();
    let many = daemon
        .plugin_when("many", "all are settled", |plugin| {
            plugin["counts"]["ok"] == wanted
        })
        .await;
    assert_eq!(many["restarts"], 0, "{many}");
    assert_eq!(daemon.stop().await, Some(0));
}
