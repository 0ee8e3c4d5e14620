//! A plugin's file changes, and the daemon swaps versions without missing or doubling an event; a broken version does not get in.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    Daemon, Site, Studio, is_alive,
    versions::{alerts, file, has_handled, is_version, version, with_plugin},
};

#[tokio::test]
async fn a_changed_executable_takes_over_when_the_old_one_has_drained() {
    let site = Site::quiet().await;
    let slow = "def handle(event, delivery):\n    time.sleep(0.02)\n    note(version=VERSION)\n    return {}";
    let (studio, daemon) = with_plugin(&site, "swapped", slow, "").await;
    let old = daemon.plugin_when("swapped", "works", |_| true).await;
    studio.replace(
        &file("swapped"),
        version(&studio, "swapped", 2, slow),
        0o755,
    );
    site.work(20);
    let new = daemon
        .plugin_when("swapped", "version 2", is_version("2"))
        .await;
    site.work(5);
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, "swapped"))
        .await;
    assert_eq!(new["restarts"], 0, "asked for: {new}");
    assert!(!is_alive(old["pid"].as_i64().expect("a pid")));
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(
        studio.handed("swapped"),
        site.truth(),
        "in order, each once"
    );
    let book = studio.book("swapped");
    let versions: Vec<_> = book
        .iter()
        .filter_map(|line| line["version"].as_i64())
        .collect();
    assert!(versions.is_sorted() && versions.contains(&1) && versions.contains(&2));
}

/// Two edits while the first one is tried and drained: the last one runs in the end.
#[tokio::test]
async fn the_last_of_many_edits_wins() {
    let site = Site::quiet().await;
    let slow = "time.sleep(0.7)\ndef handle(event, delivery):\n    return {}";
    let (studio, daemon) = with_plugin(&site, "edited", slow, "").await;
    for number in 2..6 {
        studio.replace(
            &file("edited"),
            version(&studio, "edited", number, slow),
            0o755,
        );
        // Longer than the quiet time after a change, shorter than the handshake: edits meet each other.
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    site.work(3);
    daemon
        .plugin_when("edited", "version 5", is_version("5"))
        .await;
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, "edited"))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("edited"), site.truth());
    let pids = studio.book("edited");
    let pids: std::collections::BTreeSet<_> = pids
        .iter()
        .filter_map(|line| line["pid"].as_i64())
        .collect();
    assert!(
        pids.iter().all(|pid| !is_alive(*pid)),
        "no version is left over"
    );
}

#[tokio::test]
async fn a_watched_file_restarts_its_plugin_and_no_other() {
    let site = Site::quiet().await;
    let body = "MANIFEST[\"watch\"] = [\"lib/**/*.txt\"]";
    let (studio, daemon) = with_plugin(&site, "watching", body, "").await;
    fs::create_dir_all(studio.path("plugins/lib/deep")).expect("a folder");
    let is_next = |first: u64| {
        move |report: &Value| report["state"] == "ok" && report["generation"].as_u64() > Some(first)
    };
    // What was there when the daemon first looked is no change: a new file each time, until it has looked.
    let mut number = 0;
    let generation = loop {
        number += 1;
        studio.replace(&format!("plugins/lib/deep/{number}.txt"), "one", 0o644);
        let seen = daemon.plugin_when("watching", "it sees a new file", is_next(1));
        if let Ok(report) = tokio::time::timeout(Duration::from_secs(2), seen).await {
            break report["generation"].as_u64().expect("a number");
        }
        assert!(number < 8, "new files are not seen: {}", studio.log());
    };
    studio.replace("plugins/lib/deep/1.txt", "two", 0o644);
    let second = daemon
        .plugin_when("watching", "it sees the change", is_next(generation))
        .await;
    assert_eq!(second["restarts"], 0);
    let witness = daemon.plugin_when("witness", "works", |_| true).await;
    assert_eq!(witness["generation"], 1, "{witness}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}

#[tokio::test]
async fn a_broken_version_does_not_get_in_until_it_is_mended() {
    let site = Site::quiet().await;
    let (studio, daemon) = with_plugin(&site, "broken", "", "").await;
    let old = daemon.plugin_when("broken", "works", |_| true).await["pid"].clone();
    let whole = version(&studio, "broken", 2, "");
    let mut beats = vec![(studio.beats().await, f64::MAX)];
    // An editor that writes in place, and is not done yet: the file ends in the middle of a word.
    let half = whole.find("json.dumps(dict(what").expect("a line") + 15;
    fs::write(studio.path(&file("broken")), &whole[..half]).expect("half a file");
    let status = daemon
        .status_when("an alert", |status| !alerts(status, "broken").is_empty())
        .await;
    let sentence = alerts(&status, "broken")[0];
    assert!(
        sentence.contains("does not work, the old one goes on"),
        "{sentence}"
    );
    beats[0].1 = studio.beats().await;
    site.work(5);
    daemon
        .status_when("the old one goes on", |_| {
            has_handled(&studio, &site, "broken")
        })
        .await;
    let report = daemon.plugin_when("broken", "is ok", |_| true).await;
    assert_eq!(
        (&report["state"], &report["version"]),
        (&"ok".into(), &"1".into())
    );
    assert_eq!(report["pid"], old, "the same process");
    fs::write(studio.path(&file("broken")), &whole).expect("the whole file");
    daemon
        .plugin_when("broken", "mended", is_version("2"))
        .await;
    daemon
        .status_when("the alert is over", |status| {
            alerts(status, "broken").is_empty()
        })
        .await;
    site.work(5);
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, "broken"))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("broken"), site.truth());
    let log = studio.log();
    let told = log.lines().filter(|line| {
        line.contains("does not work, the old one goes on") && !line.contains("alert over")
    });
    assert_eq!(told.count(), 1, "once: {log}");
    assert!(log.contains("SyntaxError"), "the reason: {log}");
    let run = studio.recheck(&site, "half-a-file", &[39]);
    run.told_and_over(&["invalid"]);
    run.with("missed", 0).quiet(&beats).judge();
}

/// A link's target lies in a folder that the kernel is not asked about, and its time is set back: the poll sees it all the same.
#[tokio::test]
async fn a_change_without_a_word_of_the_kernel_is_seen() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    fs::create_dir(studio.path("far")).expect("a folder");
    let studio = {
        let text = version(&studio, "linked", 1, "");
        studio.file("far/linked.py", text, 0o755)
    };
    std::os::unix::fs::symlink(
        studio.path("far/linked.py"),
        studio.path("plugins/linked.py"),
    )
    .expect("a link");
    let old = fs::metadata(studio.path("far/linked.py")).expect("a file");
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("linked", "version 1", is_version("1"))
        .await;
    // In place, so that the inode and the size stay, and the time is set back.
    fs::write(
        studio.path("far/linked.py"),
        version(&studio, "linked", 2, ""),
    )
    .expect("a file");
    let file = fs::File::open(studio.path("far/linked.py")).expect("a file");
    file.set_modified(old.modified().unwrap_or(SystemTime::UNIX_EPOCH))
        .expect("its time");
    let new = fs::metadata(studio.path("far/linked.py")).expect("a file");
    let seen = |file: &fs::Metadata| (file.len(), file.modified().expect("a time"));
    assert_eq!(seen(&old), seen(&new), "size and time are what they were");
    let begun = Instant::now();
    daemon
        .plugin_when("linked", "version 2", is_version("2"))
        .await;
    let took = begun.elapsed();
    assert!(took <= Duration::from_secs(10), "{took:?}");
    site.work(2);
    daemon.delivered(&studio, &site.truth()).await;
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, "linked"))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("linked"), site.truth(), "in order, each once");
    let run = studio.recheck(&site, "same-time-same-size", &[41]);
    run.told_and_over(&[]);
    run.with("swap_s", took.as_secs_f64()).judge();
}

#[tokio::test]
async fn a_file_that_vanishes_is_missing_and_goes_on_where_it_was() {
    let site = Site::quiet().await;
    let (studio, daemon) = with_plugin(&site, "moved", "", "").await;
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, "moved"))
        .await;
    fs::rename(studio.path(&file("moved")), studio.path("aside")).expect("moved");
    let report = daemon
        .plugin_when("moved", "missing", |report| report["state"] == "missing")
        .await;
    assert!(
        report["pid"].is_null()
            && report["reason"]
                .as_str()
                .is_some_and(|why| why.contains("gone"))
    );
    let gone = format!(
        "moved gets no events: {} is gone",
        studio.path(&file("moved")).display()
    );
    daemon
        .status_when("an alert", |status| alerts(status, "moved") == [&gone])
        .await;
    assert!(studio.log().contains(&gone), "{}", studio.log());
    site.work(6);
    daemon.delivered(&studio, &site.truth()).await;
    assert!(!has_handled(&studio, &site, "moved"));
    fs::rename(studio.path("aside"), studio.path(&file("moved"))).expect("moved");
    daemon
        .status_when("it goes on", |status| {
            has_handled(&studio, &site, "moved") && alerts(status, "moved").is_empty()
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("moved"), site.truth(), "in order, each once");
}

/// Waits for a disabled plugin, mends its file, and checks that it goes on at the event where it was; no restart of the daemon.
async fn comes_back_by_an_edit(
    name: &str,
    bad: &str,
    good: &str,
    keys: &str,
    cause: &str,
) -> Studio {
    let site = Site::quiet().await;
    let bad = bad.replace("TRUTH_3", &site.truth()[3].to_string());
    let section = format!("[plugin.{name}]\n{keys}\n");
    let studio = Studio::new(&site).witness().section(&section);
    let text = version(&studio, name, 1, &bad);
    let studio = studio.file(&file(name), text, 0o755);
    let daemon = Daemon::start(&studio).await;
    let report = daemon
        .plugin_when(name, "disabled", |report| report["state"] == "disabled")
        .await;
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(cause), "{reason}");
    assert!(
        report["remedy"]
            .as_str()
            .is_some_and(|text| text.starts_with("edit "))
    );
    daemon
        .status_when("an alert", |status| {
            alerts(status, name)
                .iter()
                .any(|text| text.contains("is disabled"))
        })
        .await;
    studio.replace(&file(name), version(&studio, name, 2, good), 0o755);
    daemon.plugin_when(name, "back", is_version("2")).await;
    daemon
        .status_when("all handled, no alert", |status| {
            let known: std::collections::BTreeSet<i64> = studio.handed(name).into_iter().collect();
            known.is_superset(&site.truth().into_iter().collect())
                && alerts(status, name).is_empty()
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    studio
}

#[tokio::test]
async fn a_plugin_that_stops_on_errors_comes_back_at_its_event() {
    let bad = "def handle(event, delivery):\n    if event['id'] == TRUTH_3:\n        raise KeyError('sg_cut_in')\n    return {}";
    let keys = "delivery = { on_error = \"stop\" }";
    let studio = comes_back_by_an_edit("stopper", bad, "", keys, "sg_cut_in").await;
    let handed = studio.handed("stopper");
    assert_eq!(
        handed[3], handed[4],
        "at the event where it stopped: {handed:?}"
    );
    let mut once = handed.clone();
    once.dedup();
    assert_eq!(once.len() + 1, handed.len(), "that one alone is repeated");
    assert!(once.is_sorted());
}

#[tokio::test]
async fn a_plugin_that_fails_event_after_event_comes_back() {
    let bad = "def handle(event, delivery):\n    raise ValueError('no farm')";
    let keys = "delivery = { max_attempts = 1 }";
    let studio = comes_back_by_an_edit("failer", bad, "", keys, "three events in a row").await;
    let handed = studio.handed("failer");
    assert!(handed.is_sorted(), "{handed:?}");
}

/// It need not wait for the end of its pause, a minute long in the end.
#[tokio::test]
async fn a_plugin_that_ends_again_and_again_comes_back_by_an_edit() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let bad = "#!/bin/sh\necho no licence >&2\nexit 1\n";
    let studio = studio.file("plugins/looper.sh", bad, 0o755);
    let daemon = Daemon::start(&studio).await;
    let report = daemon
        .plugin_when("looper", "failed twice", |report| {
            report["state"] == "restarting" && report["restarts"].as_u64() > Some(1)
        })
        .await;
    let reason = report["reason"].as_str().unwrap_or_default();
    assert_eq!(
        reason,
        "exit 1 before it answered `initialize`; last words on stderr: \"no licence\""
    );
    let good = version(&studio, "looper", 2, "");
    studio.replace("plugins/looper.sh", good, 0o755);
    daemon.plugin_when("looper", "back", is_version("2")).await;
    site.work(2);
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, "looper"))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("looper"), site.truth());
}

#[tokio::test]
async fn what_is_no_plugin_is_listed_with_the_reason_and_alerts_nobody() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site)
        .witness()
        .file("plugins/helper.py", "NAMES = 1\n", 0o644)
        .file("plugins/.hidden.py", "#!/usr/bin/env python3\n", 0o755)
        .file("plugins/task.py~", "#!/usr/bin/env python3\n", 0o755)
        .file("plugins/.task.py.swp", "b0VIM", 0o600)
        .file("plugins/forgot.sh", "#!/bin/sh\n", 0o644)
        .file("plugins/README", "what these do", 0o755);
    fs::create_dir(studio.path("plugins/lib")).expect("a folder");
    let daemon = Daemon::start(&studio).await;
    let status = daemon
        .status_when("all are listed", |status| {
            status["not_plugins"]
                .as_array()
                .is_some_and(|all| all.len() == 7)
        })
        .await;
    for (name, reason) in [
        ("helper.py", "not a program"),
        (".hidden.py", "dot"),
        ("task.py~", "editor"),
        (".task.py.swp", "dot"),
        ("forgot.sh", "chmod +x"),
        ("README", "#!"),
        ("lib", "plugin.toml"),
    ] {
        let path = studio.path("plugins").join(name).display().to_string();
        let all = status["not_plugins"].as_array().expect("a list");
        let one = all
            .iter()
            .find(|one| one["path"] == path)
            .expect("it is listed");
        assert!(
            one["reason"]
                .as_str()
                .is_some_and(|why| why.contains(reason)),
            "{one}"
        );
    }
    assert_eq!(status["alerts"], serde_json::json!([]));
    assert_eq!(status["plugins"].as_array().map(Vec::len), Some(1));
    // One of them becomes a plugin, without a restart.
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(studio.path("plugins/forgot.sh"), mode).expect("its mode");
    daemon.plugin_when("forgot", "found", |_| true).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}

/// Why its process was started, as each was told.
fn reasons(studio: &Studio, name: &str) -> Vec<String> {
    let book = studio.book(name);
    let asked = book.iter().filter(|line| line["method"] == "initialize");
    let reason = |line: &Value| line["params"]["plugin"]["reason"].clone();
    let reasons = asked.map(reason);
    reasons
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_file_that_comes_while_the_daemon_runs_is_a_change_and_no_boot() {
    let site = Site::quiet().await;
    let (studio, daemon) = with_plugin(&site, "early", "", "").await;
    let text = version(&studio, "late", 1, "");
    studio.replace(&file("late"), text, 0o755);
    daemon.plugin_when("late", "works", is_version("1")).await;
    assert_eq!(reasons(&studio, "early"), ["boot"]);
    assert_eq!(reasons(&studio, "late"), ["changed"]);
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let daemon = Daemon::start(&studio).await;
    daemon.plugin_when("late", "works", is_version("1")).await;
    assert_eq!(reasons(&studio, "late"), ["changed", "boot"]);
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}
