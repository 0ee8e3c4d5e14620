//! Whatever is saved over a plugin's file, the old version works until a new one has passed its handshake.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    Daemon, Site, Studio, plugin,
    versions::{alerts, file, has_handled, is_version, version, with_plugin},
};

/// A save that was not followed by the next one for so long may be a reload of its own.
const TOGETHER: Duration = Duration::from_millis(400);

#[tokio::test]
async fn ten_saves_in_a_second_are_one_reload_and_the_last_is_up_within_two_seconds() {
    let site = Site::quiet().await;
    let (studio, daemon) = with_plugin(&site, "saved", "", "").await;
    let mut number = 1;
    let mut least = Duration::MAX;
    // The machine may be busy once, not each time.
    for _ in 0..4 {
        let before = daemon.plugin_when("saved", "works", |_| true).await;
        let (mut saved, mut longest) = (Instant::now(), Duration::ZERO);
        for _ in 0..10 {
            number += 1;
            let text = version(&studio, "saved", number, "");
            fs::write(studio.path(&file("saved")), text).expect("a file");
            longest = longest.max(saved.elapsed());
            saved = Instant::now();
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        let last = number.to_string();
        let report = daemon
            .plugin_when("saved", "the last version", is_version(&last))
            .await;
        least = least.min(saved.elapsed());
        if longest < TOGETHER {
            let reloads = report["generation"].as_u64() > before["generation"].as_u64();
            let next = before["generation"]
                .as_u64()
                .map(|generation| generation + 1);
            assert!(reloads && report["generation"].as_u64() == next, "{report}");
            assert_eq!(report["restarts"], 0, "{report}");
        }
        if longest < TOGETHER && least <= Duration::from_secs(2) {
            break;
        }
    }
    assert!(least <= Duration::from_secs(2), "{least:?}");
    site.work(2);
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, "saved"))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("saved"), site.truth(), "in order, each once");
    let run = studio.recheck(&site, "ten-saves", &[39]);
    run.told_and_over(&[]);
    run.with("swap_s", least.as_secs_f64()).judge();
}

/// Waits for an alert of a plugin whose old version goes on, and hands it events.
async fn goes_on(site: &Site, studio: &Studio, daemon: &Daemon, old: &Value, why: &str) {
    let name = "kept";
    let is_told = |status: &Value| {
        let said = "does not work, the old one goes on";
        let told = alerts(status, name);
        told.iter()
            .any(|text| text.contains(said) && text.contains(why))
    };
    daemon.status_when(why, is_told).await;
    site.work(2);
    daemon
        .status_when("the old one goes on", |_| has_handled(studio, site, name))
        .await;
    let report = daemon.plugin_when(name, "works", |_| true).await;
    assert_eq!(report["pid"], old["pid"], "the same process: {report}");
    assert_eq!(report["state"], "ok", "{report}");
}

#[tokio::test]
async fn a_file_that_is_no_plugin_any_more_leaves_the_old_version_at_work() {
    let site = Site::quiet().await;
    let name = "kept";
    let (studio, daemon) = with_plugin(&site, name, "", "").await;
    let path = studio.path(&file(name));
    let mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&path, mode).expect("its mode");
    };
    let is_quiet = |status: &Value| alerts(status, name).is_empty();
    let first = daemon.plugin_when(name, "works", |_| true).await;
    mode(0o644);
    goes_on(&site, &studio, &daemon, &first, "chmod +x").await;
    let status = daemon.status().await.expect("it runs");
    let remedy = format!("chmod +x {}", path.display());
    assert_eq!(status["alerts"][0]["remedy"], remedy, "{status}");
    assert_eq!(status["not_plugins"], serde_json::json!([]), "told once");
    mode(0o755);
    daemon
        .status_when("it may be executed again", is_quiet)
        .await;
    let is_other = |report: &Value| is_version("1")(report) && report["pid"] != first["pid"];
    let second = daemon.plugin_when(name, "validated anew", is_other).await;
    assert_eq!(second["restarts"], 0, "{second}");
    // Saved without its first line.
    let whole = version(&studio, name, 2, "");
    let (_, headless) = whole.split_once('\n').expect("two lines");
    studio.replace(&file(name), headless, 0o755);
    goes_on(&site, &studio, &daemon, &second, "#!").await;
    studio.replace(&file(name), &whole, 0o755);
    let third = daemon.plugin_when(name, "mended", is_version("2")).await;
    daemon.status_when("that is over, too", is_quiet).await;
    // Removed, and put back before it counts as gone: the absence is what is tested.
    fs::rename(&path, studio.path("aside")).expect("moved");
    tokio::time::sleep(Duration::from_secs(2)).await;
    fs::rename(studio.path("aside"), &path).expect("moved");
    site.work(2);
    daemon
        .status_when("all handled", |_| has_handled(&studio, &site, name))
        .await;
    let report = daemon.plugin_when(name, "works", is_version("2")).await;
    assert_eq!(report["pid"], third["pid"], "nothing has changed: {report}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed(name), site.truth(), "in order, each once");
    let run = studio.recheck(&site, "no-plugin-any-more", &[39]);
    let twice = Some([("invalid".to_owned(), 2)].into());
    assert_eq!((&run.alerts, &run.recovered), (&twice, &twice));
    run.with("missed", 0).judge();
}

#[tokio::test]
async fn a_file_saved_while_a_version_shakes_hands_is_the_one_that_runs() {
    let site = Site::quiet().await;
    let hangs = "note(hangs=VERSION)\ntime.sleep(600)";
    let studio = Studio::new(&site).witness();
    let (text, old) = (
        version(&studio, "first", 1, hangs),
        version(&studio, "next", 1, ""),
    );
    let studio = studio
        .file(&file("first"), text, 0o755)
        .file(&file("next"), old, 0o755);
    let has_begun = |name: &str| {
        let book = studio.book(name);
        book.iter().any(|line| line["hangs"].is_i64())
    };
    let daemon = Daemon::start(&studio).await;
    daemon.plugin_when("next", "works", is_version("1")).await;
    let text = version(&studio, "next", 2, hangs);
    studio.replace(&file("next"), text, 0o755);
    daemon
        .status_when("both shake hands", |_| {
            has_begun("first") && has_begun("next")
        })
        .await;
    // The old one works meanwhile.
    site.work(2);
    daemon
        .status_when("the old one goes on", |_| {
            has_handled(&studio, &site, "next")
        })
        .await;
    for name in ["first", "next"] {
        studio.replace(&file(name), version(&studio, name, 3, ""), 0o755);
        let report = daemon.plugin_when(name, "mended", is_version("3")).await;
        assert_eq!(report["restarts"], 0, "{report}");
    }
    site.work(2);
    daemon
        .status_when("all handled", |_| {
            has_handled(&studio, &site, "first") && has_handled(&studio, &site, "next")
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    for name in ["first", "next"] {
        assert_eq!(studio.handed(name), site.truth(), "{name}");
    }
}

/// Six plugins import one library; a change of it must not start them all at once.
#[tokio::test]
async fn a_change_that_hits_many_is_taken_in_turns() {
    let site = Site::quiet().await;
    let names = ["one", "two", "three", "four", "five", "six"];
    let body = "MANIFEST[\"watch\"] = [\"library.txt\"]\nnote(begins=True)\ntime.sleep(0.2)\ndef told(msg):\n    if msg[\"method\"] == \"initialize\":\n        note(begins=False)";
    let mut studio = Studio::new(&site)
        .witness()
        .file("plugins/library.txt", "0", 0o644);
    for name in names {
        let text = version(&studio, name, 1, body);
        studio = studio.file(&file(name), text, 0o755);
    }
    let daemon = Daemon::start(&studio).await;
    for name in names {
        daemon.plugin_when(name, "works", is_version("1")).await;
    }
    // What was there when the daemon first looked is no change: another one, until it has looked for each of them.
    for change in 1.. {
        studio.replace("plugins/library.txt", change.to_string(), 0o644);
        let all_seen = daemon.status_when("each sees a change", |status| {
            names.iter().all(|name| {
                plugin(status, name).is_some_and(|report| report["generation"].as_u64() > Some(1))
            })
        });
        let in_time = tokio::time::timeout(Duration::from_secs(2), all_seen);
        if in_time.await.is_ok() {
            break;
        }
        assert!(change < 8, "no change is seen: {}", studio.log());
    }
    let is_new =
        |report: &Value| report["state"] == "ok" && report["generation"].as_u64() > Some(1);
    for name in names {
        let report = daemon.plugin_when(name, "starts again", is_new).await;
        assert_eq!(report["restarts"], 0, "{report}");
    }
    site.work(3);
    daemon
        .status_when("all handled", |_| {
            names.iter().all(|name| has_handled(&studio, &site, name))
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let mut steps = Vec::new();
    for name in names {
        assert_eq!(studio.handed(name), site.truth(), "{name}");
        let book = studio.book(name);
        let begun: BTreeMap<i64, f64> = times(&book, true).collect();
        let done = times(&book, false);
        // A process that was ended in its handshake has no end of it.
        steps.extend(done.flat_map(|(pid, end)| [(begun[&pid], 1), (end, -1)]));
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let at_once = steps.iter().scan(0, |now, step| {
        *now += step.1;
        Some(*now)
    });
    let most = at_once.max().expect("handshakes");
    let cores = std::thread::available_parallelism().expect("cores").get();
    assert!(
        most <= i32::try_from(cores).expect("few"),
        "{most} at once, {steps:?}"
    );
}

/// When processes began, or were done with, their handshakes.
fn times(book: &[Value], begins: bool) -> impl Iterator<Item = (i64, f64)> {
    let lines = book.iter().filter(move |line| line["begins"] == begins);
    lines.filter_map(|line| Some((line["pid"].as_i64()?, line["at"].as_f64()?)))
}
