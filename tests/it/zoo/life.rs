//! Beasts that do not live as a plugin should: they end, cannot be started, change, vanish, are slow.

use std::fs;

use serde_json::{Value, json};

use super::{
    Cage, Seen, alert, has_settled, is_disabled, is_restarting, reason, visits, was_ended,
};
use crate::support::{Site, Studio};

/// It ended at once, and is started again and again: with what it said last, and no alert yet.
async fn is_started_again(vice: &str, words: &str) -> Seen {
    let mut cage = Cage::new(vice, "").await;
    let is_tried_again = |report: &Value| is_restarting(report) && was_ended(report);
    let report = cage.sees("is started again", is_tried_again).await;
    assert!(reason(&report).contains(words), "{report}");
    assert_eq!(report["ok"], false, "{report}");
    let remedy = report["remedy"].as_str().unwrap_or_default();
    assert!(
        remedy.contains("it starts again when the file changes"),
        "{report}"
    );
    let seen = cage.close(&[25]).await;
    assert!(
        seen.log.contains("the plugin's process ended"),
        "{}",
        seen.log
    );
    seen.run.told_and_over(&[]);
    seen
}

#[tokio::test]
async fn exits_0() {
    visits(async || {
        let words = "exit 0 before it answered `initialize`; on stdout: \"hello\"";
        is_started_again("exits_0", words).await
    })
    .await;
}

#[tokio::test]
async fn exits_1() {
    visits(async || {
        is_started_again(
            "exits_1",
            "exit 1 before it answered `initialize`; last words on stderr: \"no licence for today\"",
        )
        .await
    })
    .await;
}

#[tokio::test]
async fn dies_in_handshake() {
    visits(async || {
        let words = "No module named 'sgtk_of_another_studio'";
        is_started_again("dies_in_handshake", words).await
    })
    .await;
}

pub(super) async fn never_answers_handshake() {
    visits(async || {
        let mut cage = Cage::new("never_answers_handshake", "").await;
        let is_starting = |report: &Value| report["state"] == "starting" && report["pid"].is_i64();
        let report = cage.sees("starts", is_starting).await;
        assert_eq!(report["ok"], true, "it has a minute: {report}");
        let seen = cage.close(&[25]).await;
        seen.run.told_and_over(&[]);
        seen
    })
    .await;
}

#[tokio::test]
async fn changes_its_manifest() {
    visits(async || {
        let mut cage = Cage::new("changes_its_manifest", "").await;
        let is_third = |report: &Value| report["version"] == "3.0" && has_settled(report);
        let report = cage.sees("its third life works", is_third).await;
        let subscriptions = report["subscriptions"].as_array().map(Vec::len);
        assert_eq!((subscriptions, &report["restarts"]), (Some(3), &json!(2)));
        let seen = cage.close(&[25]).await;
        seen.run.told_and_over(&[]);
        seen
    })
    .await;
}

/// It gets no events and is not tried again before somebody acts, which one alert says.
async fn is_given_up(vice: &str, words: &[&str]) -> Seen {
    let mut cage = Cage::new(vice, "").await;
    let report = cage.sees("disabled", is_disabled).await;
    for word in words {
        assert!(reason(&report).contains(word), "{report}");
    }
    assert_eq!(report["pid"], Value::Null, "{report}");
    assert!(report["remedy"].is_string(), "{report}");
    assert!(report["behind"].as_u64() > Some(0), "it keeps its place");
    let seen = cage.close(&[25]).await;
    let alert = alert(&seen.status, "disabled");
    assert!(words.iter().all(|word| alert.contains(word)), "{alert}");
    seen.run.told(&["disabled"], &[]);
    seen
}

#[tokio::test]
async fn exits_78() {
    visits(async || is_given_up("exits_78", &["exit 78", "this is the wrong studio"]).await).await;
}

#[tokio::test]
async fn wrong_version() {
    visits(async || is_given_up("wrong_version", &["version 99", "allowed: 1"]).await).await;
}

#[tokio::test]
async fn works_very_slowly() {
    visits(async || {
        let mut cage = Cage::new("works_very_slowly", "").await;
        let report = cage.sees("works", has_settled).await;
        assert_eq!(
            (&report["restarts"], &report["ok"]),
            (&json!(0), &json!(true))
        );
        assert!(report["p50_ms"].as_f64() >= Some(250.0), "{report}");
        let seen = cage.close(&[25]).await;
        seen.run.told_and_over(&[]);
        seen
    })
    .await;
}

/// A beast among the files of a plugin folder: what it does to its own file is seen there.
async fn in_a_folder(vice: &str) -> Cage {
    let site = Site::quiet().await;
    let (studio, program) = Studio::new(&site).beast(vice);
    let program = fs::read(studio.path(&program)).expect("a beast");
    let path = studio.path("beasts").display().to_string();
    let section = format!("[plugin.{vice}]\nenabled = false\npythonpath = [\"{path}\"]\n");
    let studio = studio
        .file(&format!("plugins/{vice}.py"), program, 0o755)
        .section(&section);
    Cage::open(site, studio, vice).await
}

pub(super) async fn deletes_its_file() {
    visits(async || {
        let mut cage = in_a_folder("deletes_its_file").await;
        let file = cage.studio.path("plugins/deletes_its_file.py");
        let text = fs::read(&file).expect("its file");
        let is_missing = |report: &Value| report["state"] == "missing";
        let report = cage.sees("is missing", is_missing).await;
        assert!(reason(&report).contains("is gone"), "{report}");
        assert_eq!(report["remedy"], "put the file back", "{report}");
        let is_told =
            |status: &Value| alert(status, "missing").contains("deletes_its_file.py is gone");
        cage.status_when("an alert", is_told).await;
        // It deletes the file of each of its lives: one that only works is put there.
        let healthy = String::from_utf8(text).expect("Python");
        let healthy = healthy.replace("os.unlink(__file__)", "None");
        cage.studio
            .replace("plugins/deletes_its_file.py", healthy, 0o755);
        let works = |report: &Value| has_settled(report) && report["pid"].is_i64();
        let report = cage.sees("goes on with a file", works).await;
        assert_eq!(report["restarts"], 0, "{report}");
        let seen = cage.close(&[25]).await;
        seen.run.told_and_over(&["missing"]);
        seen
    })
    .await;
}

#[tokio::test]
async fn replaces_its_file() {
    visits(async || {
        let mut cage = in_a_folder("replaces_its_file").await;
        cage.sees("works", has_settled).await;
        // Its file is another one each time somebody looks; a new one beside it is found all the same.
        let late = cage.studio.actor_text("late", "");
        cage.studio.replace("plugins/late.py", late, 0o755);
        cage.daemon
            .plugin_when("late", "is found", has_settled)
            .await;
        let report = cage.sees("works", has_settled).await;
        assert!(report["generation"].as_u64() <= Some(2), "{report}");
        assert_eq!(report["restarts"], 0, "{report}");
        let seen = cage.close(&[25]).await;
        seen.run.told_and_over(&[]);
        seen
    })
    .await;
}

/// A program that cannot be started is explained in `status`, in the log and by an alert; mended, it works.
async fn cannot_start(name: &str, mode: u32, bytes: &[u8], words: &str) -> Seen {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).file(name, bytes, mode);
    let studio = studio.plugin(name, &[name], "enabled = false");
    let mut cage = Cage::open(site, studio, name).await;
    let report = cage.sees("restarting", is_restarting).await;
    assert!(reason(&report).contains(words), "{report}");
    assert_eq!(report["ok"], false, "{report}");
    let remedy = report["remedy"].as_str().unwrap_or_default();
    let is_chmod = remedy.starts_with("chmod +x /");
    assert_eq!(is_chmod, words.contains("chmod"), "{report}");
    let status = cage
        .status_when("an alert", |status| !alert(status, "start").is_empty())
        .await;
    let alert = alert(&status, "start");
    assert!(
        alert.contains("cannot be started") && alert.contains(words),
        "{alert}"
    );
    let actor = cage.studio.actor_text(name, "");
    cage.studio.replace(name, actor, 0o755);
    cage.sees("mended", has_settled).await;
    let seen = cage.close(&[25]).await;
    seen.run.told_and_over(&["start"]);
    assert!(seen.log.contains(words), "{}", seen.log);
    seen
}

#[tokio::test]
async fn not_executable() {
    visits(async || {
        cannot_start(
            "plain",
            0o644,
            b"#!/bin/sh\n",
            "is not executable: chmod +x",
        )
        .await
    })
    .await;
}

#[tokio::test]
async fn no_interpreter() {
    visits(async || {
        cannot_start(
            "lost",
            0o755,
            b"#!/opt/studio/python9\n",
            "the interpreter /opt/studio/python9",
        )
        .await
    })
    .await;
}

#[tokio::test]
async fn wrong_architecture() {
    visits(async || {
        // A big-endian 64-bit program for IBM Z, machine 22.
        let mut elf = b"\x7fELF\x02\x02\x01".to_vec();
        elf.resize(64, 0);
        (elf[17], elf[19], elf[23]) = (2, 22, 1);
        cannot_start("foreign", 0o755, &elf, "is a program for machine 22").await
    })
    .await;
}
